// Package broker carries out operations. Every operation of every door takes the same
// six steps in [Broker.Do]: receive, decide, approve, announce, act, conclude. No other
// package has a platform act for a caller.
//
//	broker.go      the six steps
//	safety.go      1: operations that hold a secret, or write among keyturn's own files
//	wellformed.go  1: which operations make sense
//	decide.go      2: what the rules say of an operation, from its parts
//	trust.go       2: which projects' files a person has accepted, and what passes to a command
//	approve.go     3: approvals: asked for, given, spent
//	record.go      4, 6: what the log records of an operation
//	act.go         5: the table of all operations
//
// Each kind of operation has a file: list, run, put, copy, action, login, lease,
// migration, audit, store. output.go says what comes back from a command. generate.go makes values, fit.go says what of a secret fits
// on another platform, and crash.go turns a panic into an error. Package journal keeps
// what has to outlast a command.
package broker

import (
	"cmp"
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/rules"
)

// Mounts knows the configured platforms. It is safe for concurrent use.
type Mounts interface {
	// Names lists the mounts, sorted, without contacting any.
	Names() []string
	// Mount returns one; NotFound where none has that name.
	Mount(name string) (*platform.Mount, error)
}

// Prover asks the person who is calling for a proof that an agent could not
// give. It fails with Denied where there is no person at a terminal.
type Prover interface {
	// Passphrase asks for the passphrase, or, where fresh is set, for a new one
	// typed twice. about is what it is asked for, in one line.
	Passphrase(ctx context.Context, about string, fresh bool) (keyturn.Value, error)
}

// Config is what a Broker works with. Fields that are not bools are needed, but those
// that may be nil by their comments; Now is time.Now where it is nil.
type Config struct {
	Mounts Mounts
	Rules  *rules.Set
	Log    *audit.Log
	Items  journal.Items
	// Judged is the digest of the operator's file that Rules are from, for the record; ""
	// where there is no file.
	Judged string
	// Bar refuses operations for a reason that lies in the whole session: the operator's
	// file is not the pinned one, or the store is in a place that it does not know. Nil:
	// there is none.
	Bar func(op keyturn.Op) error
	// WhoIs finds out who is calling; an error refuses the operation.
	WhoIs  func(ctx context.Context) (keyturn.Actor, error)
	Prover Prover
	// Entrance asks for what is secret of a login; nil where nobody can log in.
	Entrance Entrance
	// Withheld refuses, with the reason, mounts that callers of this process may not use
	// whatever anybody approves; nil where there are none.
	Withheld func(mount string) error
	// Remember adds a rule to the operator's configuration and says where.
	Remember func(rules.Rule) (where string, err error)
	// Repin returns, after Remember, what pins the file that it wrote to, where the file was
	// the pinned one before or is the first one; nil: nothing is pinned.
	Repin func() (op keyturn.UseConfig, yes bool)
	// PinOf returns what UseConfig pins: nil where no file is to be pinned. standing is set
	// where a file counts for agents and services already, without a pin. Where PinOf is
	// nil, the operation's own words are pinned.
	PinOf func(op keyturn.UseConfig) (pin *journal.ConfigPin, standing bool, err error)
	// Confirm asks the person a question that takes a yes; an error is a no. Nil: nobody
	// can be asked.
	Confirm func(ctx context.Context, question string) error
	// Adopt makes the place where the store is now its own; nil where there is no store.
	Adopt func(ctx context.Context, op keyturn.AdoptStore) error
	// RuleLine is a rule in one line, as Remember writes it.
	RuleLine func(rules.Rule) (string, error)
	// Actions lists what platforms can do that no other platform can: it says which texts
	// of an action are addresses, statements or secrets. It is asked only for an action; nil: no
	// list is known.
	Actions func() []keyturn.Administration
	// Home is keyturn's own folder, which no operation has a file written into; "" where
	// there is none.
	Home string
	// Operators are files of the operator's that no operation has written onto, absolute:
	// the configuration, the places where one would be read, and the files that it names.
	Operators []string
	// Store is keyturn's own store as a whole; nil where there is none.
	Store Store
	// Holders says which processes that hold leases still live; nil where nobody looks.
	Holders Holders
	// ConfirmReveal has even a person type the passphrase before a value is shown.
	ConfirmReveal bool
	// Remote is set where callers come over a network: then nobody may do anything by
	// default.
	Remote bool
	Now    func() time.Time
}

// Broker does operations. It implements keyturn.Service.
type Broker struct {
	Config
	journal journal.Journal
	begun   *begun
	// tidying is set where keyturn itself revokes leases: see Tidy.
	tidying bool
}

var _ keyturn.Service = (*Broker)(nil)

// New returns a broker.
func New(c Config) *Broker {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Broker{Config: c, journal: journal.New(c.Items, c.Now), begun: &begun{runs: map[string]begunRun{}}}
}

// call is one operation on its way through the door.
type call struct {
	id       string
	op       keyturn.Op
	form     []byte // canonical
	hash     keyturn.OpHash
	actor    keyturn.Actor
	from     keyturn.Call
	parent   *call
	verdict  rules.Verdict
	approval string            // id of the approval it runs under
	held     map[string]string // the versions it was approved for, by secret; "" for no version
	// lateApproval is the id of the approval that was found to be needed only while
	// acting.
	lateApproval string
	children     []*call // of a composite operation
	recorded     bool    // of a child: its outcome is recorded
	unrecorded   bool    // it has no record: another one counts it
	mixed        bool    // the rules allow it but for mixedNames
	requests     bool    // it made a request for an approval
	bare         bool    // it is refused and recorded without its texts: see bareForm
}

// Do takes op through the door.
func (b *Broker) Do(ctx context.Context, op keyturn.Op) (keyturn.Result, error) {
	ctx = platform.Bounded(ctx)
	// 1: who is calling, and what exactly do they ask
	c, err := b.receive(ctx, op)
	if err != nil {
		return nil, b.refuse(ctx, c, err)
	}
	if b.Bar != nil {
		if err := b.Bar(c.op); err != nil {
			return nil, b.refuse(ctx, c, err)
		}
	}
	// 2: may they? Decided before anything is looked up.
	if err := b.decide(c); err != nil {
		return nil, b.refuse(ctx, c, err)
	}
	if err := b.trusted(ctx, c); err != nil {
		return nil, b.refuse(ctx, c, err)
	}
	// 3: has whoever must say yes said yes, to this and nothing else?
	if err := b.approve(ctx, c); err != nil {
		return nil, b.refuse(ctx, c, err)
	}
	// 4: no record, no access
	if err := b.announce(ctx, c); err != nil {
		return nil, tell(c, err)
	}
	// 5: the platform acts
	res, err := b.act(ctx, c)
	// 6: what came of it; durably for changes, before the answer
	return b.conclude(ctx, c, res, err)
}

// receive finds out who is calling, fixes the operation's canonical form, and refuses
// operations that hold a secret, make no sense, or write among keyturn's own files.
func (b *Broker) receive(ctx context.Context, op keyturn.Op) (*call, error) {
	c := &call{id: keyturn.NewID(b.Now()), from: keyturn.CallOf(ctx)}
	formErr := c.take(op) // first, so that the attempt of nobody is recorded too
	secretErr := b.holdsSecret(c.op)
	c.bare = secretErr != nil // whatever it is refused for
	var err error
	if c.actor, err = b.WhoIs(ctx); err != nil {
		return c, err
	}
	if c.actor.Principal() == "" || c.actor.Name == "" {
		return c, keyturn.E(keyturn.Denied, "nobody is known to be calling", "")
	}
	for _, err := range []error{formErr, secretErr} {
		if err != nil {
			return c, err
		}
	}
	if err := wellFormed(c.op); err != nil {
		return c, err
	}
	if err := b.sealedFields(ctx, c); err != nil {
		return c, err
	}
	if err := newNames(c.actor, c.op); err != nil {
		return c, err
	}
	return c, b.checkFiles(c.op)
}

// take makes op the operation of c, in its canonical form, so that exactly what is
// hashed, approved and recorded runs, also where op could be written in two ways, such
// as with an empty list and with none.
func (c *call) take(op keyturn.Op) error {
	if t := reflect.TypeOf(op); t == nil || t.Kind() != reflect.Struct {
		return keyturn.E(keyturn.Invalid, "this is not an operation", "")
	}
	c.op = op
	if d, ok := op.(keyturn.DestroySecret); ok && d.Versions != nil && len(d.Versions) == 0 {
		// Its form would say: the whole secret.
		return keyturn.E(keyturn.Invalid, "no version to destroy is named", "leave --versions out to destroy the whole secret")
	}
	form, err := keyturn.EncodeOp(op)
	if err != nil {
		return err
	}
	fixed, err := keyturn.DecodeOp(form)
	if err != nil {
		return err
	}
	c.op, c.form, c.hash = fixed, form, keyturn.HashForm(form)
	return nil
}

// announce records the intent of c and, for a composite operation, of all its
// children, in one durable write.
func (b *Broker) announce(ctx context.Context, c *call) error {
	records := []keyturn.Record{b.intent(c)}
	for _, child := range c.children {
		child.approval = c.approval
		records = append(records, b.intent(child))
	}
	return b.Log.Append(ctx, records...)
}

// conclude records the outcome and returns the answer.
func (b *Broker) conclude(ctx context.Context, c *call, res keyturn.Result, err error) (keyturn.Result, error) {
	if err == nil {
		switch res := res.(type) {
		case *keyturn.Listing:
			res.Secrets = recordedAtEnd(b, c, res.Secrets)
			return res, nil
		case *keyturn.Records:
			res.Records = recordedAtEnd(b, c, res.Records)
			return res, nil
		case *keyturn.Exported:
			res.Lines = recordedAtEnd(b, c, res.Lines)
			return res, nil
		}
	}
	for _, child := range c.children {
		if !child.recorded { // c ended before their turn came
			b.Log.Later(ctx, child.outcome(nil, err))
		}
	}
	record := c.outcome(res, err)
	if !changes(c.op) {
		b.Log.Later(ctx, record)
		return res, tell(c, err)
	}
	if logErr := b.Log.Append(context.WithoutCancel(ctx), record); logErr != nil {
		b.Log.Later(ctx, record) // once the log is well again
		if err == nil {
			return nil, tell(c, &keyturn.Error{Code: keyturn.Unavailable, Unknown: true, Err: logErr,
				Message: "the change was made, but its outcome could not be recorded",
				Hint:    "look at 'keyturn history', then repair the audit log: see 'keyturn status'"})
		}
	}
	return res, tell(c, err)
}

// maxRefused is the largest canonical form that the record of a refusal keeps, in bytes.
const maxRefused = 4 << 10

// refuse records that c was not let through, and returns why as the caller sees it.
// Nothing has happened, also where the refusal cannot be recorded; but then the request
// for approval that why may hold is not handed out. Who is refused cannot fill the log:
// of a large operation the hash is recorded, and of very many refusals how many there
// were (see journal.Refusals).
func (b *Broker) refuse(ctx context.Context, c *call, why error) error {
	e := *keyturn.AsError(why)
	if c.form != nil {
		r := b.intent(c)
		r.Phase, r.Code, r.Status = keyturn.Refusal, e.Code, "error"
		if e.Code == keyturn.Denied {
			r.Status = "denied"
		}
		if len(r.Op) > maxRefused {
			r.Op = nil // its hash stays
		}
		if e.Code == keyturn.Pending {
			r.Status = "pending"
		}
		if e.Approval != nil {
			r.Approval = e.Approval.ID
		}
		if err := b.recordRefusal(context.WithoutCancel(ctx), c, r); err != nil {
			if e.Approval != nil {
				return tell(c, err)
			}
			e.Err = errors.Join(e.Err, err)
		}
	}
	return tell(c, &e)
}

// recordRefusal writes the record of a refusal, or counts it for a later record.
func (b *Broker) recordRefusal(ctx context.Context, c *call, r keyturn.Record) error {
	stands, err := b.journal.Refusals.Add(ctx, c.actor)
	if err != nil {
		stands = 1 // what cannot be counted is recorded
	}
	if c.requests { // a change, however much was refused before
		stands = max(1, stands)
	}
	if c.unrecorded = stands == 0; c.unrecorded {
		return nil
	}
	if stands > 1 {
		r.Count = stands
	}
	return b.Log.Append(ctx, r)
}

// tellRefusals records how many refusals no record stands for.
func (b *Broker) tellRefusals(ctx context.Context) {
	due, err := b.journal.Refusals.Due(ctx)
	if err != nil {
		return // the caller's own operation reports it
	}
	for _, u := range due {
		b.Log.Later(ctx, keyturn.Record{ID: keyturn.NewID(b.Now()), Phase: keyturn.Refusal, Status: "denied", Code: keyturn.Denied, Count: u.Count,
			Actor: &keyturn.Actor{Kind: u.Kind, Name: cmp.Or(u.Name, "unknown"), Proof: "counted"}})
	}
}

// tell completes an error for the door: it names the operation and its record, and its
// text is cleaned, since names in it come from outside.
func tell(c *call, err error) error {
	if err == nil {
		return nil
	}
	e := shown(keyturn.AsError(err))
	if c.op != nil {
		if e.Op == "" {
			e.Op = c.op.Kind()
		}
		if refs := c.op.Refs(); e.Ref.IsZero() && len(refs) == 1 {
			e.Ref = refs[0]
		}
	}
	if c.form != nil && !c.unrecorded {
		e.AuditID = c.id
	}
	return e
}
