// Package keyturn is the vocabulary of keyturn: the nouns, verbs, rules of
// spelling and errors that every other package speaks. It does nothing by
// itself and imports the standard library only.
//
// Read it in this order:
//
//	ref.go       Ref and Prefix: how a secret is named, one spelling only
//	value.go     Value: bytes that cannot be printed, logged or marshalled
//	secret.go    Info and Secret: what is known of a secret, and what is in it
//	verb.go      Verb: what may be done to a secret, as rules say it
//	actor.go     Actor: who is asking, and how that was found out
//	op.go        Op: one operation, with one canonical JSON form
//	ops.go       the operations themselves
//	result.go    what an operation answers
//	service.go   Service: Do(ctx, Op), the one way to get anything done
//	error.go     Code and Error: what went wrong and what to do next
//	record.go    Record: what the audit log says of an operation
//
// A door (command line, MCP, web) makes an [Op], hands it to a [Service] and
// shows the [Result]. The only Service that acts is package broker.
package keyturn
