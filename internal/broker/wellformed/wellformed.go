// Package wellformed says which operations make sense, before anybody is asked
// whether they may be done. It is pure.
package wellformed

import (
	"fmt"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker/generate"
)

// maxRefs is how many references one operation may have.
const maxRefs = 1000

// Check refuses operations that make no sense, whoever asks. Its errors are
// Invalid.
func Check(op keyturn.Op) error {
	refs := op.Refs()
	if len(refs) > maxRefs {
		return keyturn.E(keyturn.Invalid, fmt.Sprintf("this operation names more than %d secrets", maxRefs), "name fewer at once")
	}
	for _, r := range refs {
		if r.IsZero() {
			return keyturn.E(keyturn.Invalid, "a reference is missing", "write MOUNT/NAME, for instance local/myapp")
		}
	}
	switch op := op.(type) {
	case keyturn.ListSecrets:
		if op.Under.IsZero() {
			return keyturn.E(keyturn.Invalid, "a prefix is missing", "write MOUNT/, for instance local/")
		}
	case keyturn.RunCommand:
		if len(op.Command) == 0 || op.Command[0] == "" {
			return keyturn.E(keyturn.Invalid, "no command was given", "write it behind --, for instance: keyturn run -- npm start")
		}
	case keyturn.PutSecret:
		return put(op)
	case keyturn.SealValues:
		return put(keyturn.PutSecret{Ref: op.Ref, Candidate: "-"})
	case keyturn.CopySecret:
		return copying(op)
	case keyturn.TakeLease:
		return lease(op.Ref)
	case keyturn.RenewLease:
		if op.Seconds < 0 || op.Seconds > maxTerm {
			return keyturn.E(keyturn.Invalid, "a lease is renewed for at most ten years", "say --for 1h, or leave it out for as long as before")
		}
		return lease(op.Ref)
	case keyturn.RevokeLease:
		return lease(op.Ref)
	case keyturn.MigrateSecrets:
		return migration(op)
	case keyturn.PlatformAction:
		return action(op)
	case keyturn.Login:
		return login(op)
	case keyturn.Logout:
		return mount(op.Mount)
	case keyturn.PruneLog:
		if op.Before.IsZero() || op.Before.Location() != time.UTC {
			return keyturn.E(keyturn.Invalid, "it is not said which records are to be dropped", "name an age: keyturn audit prune --older-than 400d")
		}
		if len(op.Restored) > 0 {
			return keyturn.E(keyturn.Invalid, "what dropped records told is not for a request to say", "leave it out")
		}
	}
	return nil
}

// maxTerm is the longest term that is asked for, in seconds.
const maxTerm = 10 * 366 * 24 * 3600

func lease(ref keyturn.Ref) error {
	if ref != ref.Secret() {
		return keyturn.E(keyturn.Invalid, "a lease is of a whole secret, which is made when it is taken", "write "+keyturn.Quote(ref.Secret().Short()))
	}
	return nil
}

func put(op keyturn.PutSecret) error {
	switch {
	case op.Ref.Version() != "":
		return keyturn.E(keyturn.Invalid, "a put makes a new version: the reference cannot name one", "leave ?version= out; --if-version says which one must be current")
	case op.Ref.Field() != "":
		return keyturn.E(keyturn.Invalid, "a put takes the secret's reference, without a field", "name the fields behind it: keyturn put "+keyturn.Quote(op.Ref.Secret().Short())+" "+keyturn.Quote(op.Ref.Field()))
	case op.Mode != "" && op.Mode != keyturn.Merge && op.Mode != keyturn.Replace:
		return keyturn.E(keyturn.Invalid, "a put merges or replaces", "")
	case !op.Expires.Equal(op.Expires.Truncate(time.Second)) || op.Expires.Location() != time.UTC:
		return keyturn.E(keyturn.Invalid, "an expiry is in UTC and whole seconds", "")
	case op.Candidate == "" && len(op.Generate) == 0 && op.Mode != keyturn.Merge:
		return keyturn.E(keyturn.Invalid, "no value was given", "name a field, or --generate FIELD; with --merge only labels and expiry can change")
	case len(op.Unlabel) > 0 && op.Mode != keyturn.Merge:
		return keyturn.E(keyturn.Invalid, "a label is taken away from those that are there", "say --merge; without it --label names all of them")
	case !slices.IsSorted(op.Unlabel):
		return keyturn.E(keyturn.Invalid, "labels that are taken away must be sorted", "")
	case !slices.IsSorted(op.Public):
		return keyturn.E(keyturn.Invalid, "public fields must be sorted", "")
	}
	return generate.CheckAll(op.Generate)
}

func copying(op keyturn.CopySecret) error {
	switch {
	case op.To.Version() != "":
		return keyturn.E(keyturn.Invalid, "a copy makes a new version: its target cannot name one", "leave ?version= out; --if-version says which one must be current")
	case (op.From.Field() == "") != (op.To.Field() == ""):
		return keyturn.E(keyturn.Invalid, "a field goes to a field, and a whole secret to a whole secret", "name a field on both sides, SRC#FIELD DST#FIELD, or on neither")
	case op.Mode != "" && op.Mode != keyturn.Merge && op.Mode != keyturn.Replace:
		return keyturn.E(keyturn.Invalid, "a copy merges or replaces", "")
	case op.Mode != "" && op.To.Field() != "":
		return keyturn.E(keyturn.Invalid, "one field is always merged: the others stay", "leave --merge and --replace out")
	case op.From == op.To:
		return keyturn.E(keyturn.Invalid, "source and target are the same", "name another target, or an earlier version of the source")
	}
	return nil
}
