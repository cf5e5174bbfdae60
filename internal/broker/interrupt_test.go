package broker_test

import (
	"context"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker"
	"github.com/keyturn/keyturn/internal/platform"
)

// Whoever interrupts a change that was sent has interrupted nothing for sure: of every
// change the log says that its outcome is not known, and so does the error.
func TestInterruptedChange(t *testing.T) {
	gone := func(unknown bool) error {
		return &keyturn.Error{Code: keyturn.Unavailable, Unknown: unknown, Message: "given up", Err: context.Canceled}
	}
	copies := keyturn.CopySecret{From: api, To: copied}
	for at, ops := range map[string][]keyturn.Op{
		"Put":     {keyturn.PutSecret{Ref: web, Mode: keyturn.Replace, Generate: []keyturn.Generate{{Field: "value"}}}, copies, making(copied), keyturn.RollbackSecret{Ref: db, To: "1"}},
		"Delete":  {keyturn.DeleteSecret{Ref: web}},
		"Restore": {keyturn.RestoreSecret{Ref: old}},
		"Destroy": {keyturn.DestroySecret{Ref: web}},
		"Lease":   {keyturn.TakeLease{Ref: dyn}},
		"Perform": {making(copied)},
	} {
		for _, op := range ops {
			for _, unknown := range []bool{true, false} {
				w, _ := newLeaseWorld(t)
				w.must(keyturn.PutSecret{Ref: db, Mode: keyturn.Merge, Generate: []keyturn.Generate{{Field: "value"}}})
				w.down(at, gone(unknown))
				if e := w.no(keyturn.Unavailable, op); e.Unknown != unknown {
					t.Errorf("%s: the error says unknown %v, want %v", op.Kind(), e.Unknown, unknown)
				}
				all := w.records()
				last := all[len(all)-1]
				if last.Phase != keyturn.Outcome || last.Unknown != unknown || (last.Status == "interrupted") == unknown {
					t.Errorf("%s: on record %s %+v", op.Kind(), last.Status, last)
				}
			}
		}
	}
}

// Who leaves at a prompt has sent nothing.
func TestInterruptedPrompt(t *testing.T) {
	w := newWorld(t, func(c *broker.Config) { c.Entrance = leaving{} })
	spec := w.mounts["prod"].Spec()
	spec.Remote = true
	w.mounts["prod"] = platform.NewMount("prod", &spy{w: w, Memory: w.mem["prod"]}, spec, "")
	op := making(copied)
	op.Uses = nil
	_, _, err := w.do(op)
	if e := keyturn.AsError(err); e == nil || e.Unknown {
		t.Errorf("%+v", e)
	}
	all := w.records()
	if last := all[len(all)-1]; last.Status != "interrupted" || last.Unknown {
		t.Errorf("on record %+v", last)
	}
}

// leaving is an entrance of somebody who leaves.
type leaving struct{}

func (leaving) Ask(context.Context, string, platform.Input) (keyturn.Value, error) {
	return keyturn.Value{}, context.Canceled
}

func (leaving) Visit(context.Context, string) error { return nil }
