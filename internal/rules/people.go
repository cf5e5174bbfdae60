package rules

import (
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/variable"
)

// OnlyPeople refuses operations that no rule can allow an agent or a service. Its
// error is Denied; it is nil for people and for every other operation.
func OnlyPeople(actor keyturn.Actor, op keyturn.Op) error {
	if actor.Kind == keyturn.Person {
		return nil
	}
	what, hint := "", "a person has to do it, at a terminal of their own"
	switch op := op.(type) {
	case keyturn.ListRequests:
		what = "look through the requests"
	case keyturn.ApproveRequest:
		what = "say yes to a request"
	case keyturn.ShowTrust, keyturn.TrustProject:
		what = "trust a project's file"
	case keyturn.PruneLog:
		what = "drop records of the log"
	case keyturn.RekeyStore, keyturn.UnlockStore, keyturn.LockStore:
		what = "look after the store's keys"
	case keyturn.BackupStore, keyturn.RestoreStore:
		what = "back up or restore the whole store"
	case keyturn.UseConfig:
		if what = "choose the configuration"; op.Path != "" {
			what += " " + keyturn.Clean(op.Path)
		}
		hint = "a person looks at it, and says 'keyturn config trust'"
	case keyturn.AdoptStore:
		what = "say that a store may be where it is"
	case keyturn.Login:
		if op.Method == "oidc" {
			what = "log in on a login page"
			hint = "a service logs in by --method jwt, kubernetes or approle"
		}
	case keyturn.PutSecret:
		if len(op.Public) > 0 {
			what = "declare a field public"
		}
	case keyturn.RevokeLease:
		if op.Forget {
			what = "forget a lease that was not revoked"
		}
	case keyturn.RevealSecret:
		if op.Clipboard {
			what = "copy a value to the clipboard"
			hint = "let a program use it without seeing it: keyturn run --env NAME=" + keyturn.Quote(op.Ref.Short()) + " -- COMMAND"
		}
	case keyturn.RunCommand:
		if op.Plain {
			what = "run without redaction"
		}
		for _, b := range op.Env {
			if variable.Leads(b.Name) {
				what = "have a secret in the variable " + keyturn.Clean(b.Name) + ", which changes how programs run or where they lead"
				hint = "give the secret another name: --env NAME=" + keyturn.Quote(b.Ref.Short())
			}
		}
	}
	if what == "" {
		return nil
	}
	e := keyturn.E(keyturn.Denied, "only a person may "+what+", not "+actor.Principal(), hint)
	e.By = "rule"
	return e
}
