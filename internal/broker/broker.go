// Package broker is the one door behind every door: each operation, from the
// command line, an agent or a server, takes the same six steps in [Broker.Do],
// and only this package lets a platform act.
package broker

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/approval"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/broker/answer"
	"github.com/keyturn/keyturn/internal/broker/entry"
	"github.com/keyturn/keyturn/internal/broker/leases"
	"github.com/keyturn/keyturn/internal/broker/trust"
	"github.com/keyturn/keyturn/internal/broker/verdict"
	"github.com/keyturn/keyturn/internal/broker/wellformed"
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

// Items keeps small encrypted rows. State satisfies it.
type Items interface {
	approval.Items
	// Item returns one row; NotFound where there is none or it has expired.
	Item(ctx context.Context, kind, id string) (keyturn.Item, error)
}

// Config is what a Broker works with. Without Now the clock is time.Now; all
// else that is not a bool is needed.
type Config struct {
	Mounts Mounts
	Rules  *rules.Set
	Log    *audit.Log
	Items  Items
	// WhoIs finds out who is calling; an error refuses the operation.
	WhoIs  func(ctx context.Context) (keyturn.Actor, error)
	Prover Prover
	// Entrance helps with logins; nil where nobody can log in.
	Entrance entry.Entrance
	// Withheld refuses a mount that the callers of this process never have, whatever
	// anybody approves, and says why; nil where there is no such one.
	Withheld func(mount string) error
	// Remember adds a rule to the operator's configuration and says where.
	Remember func(rules.Rule) (where string, err error)
	// RuleLine is a rule in one line, as Remember writes it.
	RuleLine func(rules.Rule) (string, error)
	// Store is keyturn's own store as a whole; nil where there is none here.
	Store Store
	// Holders tell of leases whether whoever took them still lives; nil where nobody
	// looks.
	Holders leases.Holders
	// ConfirmReveal asks even a person for the passphrase before a value is shown.
	ConfirmReveal bool
	// Remote tells that callers come over a network, where nobody may do anything
	// by default.
	Remote bool
	Now    func() time.Time
}

// Broker does operations. It implements keyturn.Service.
type Broker struct {
	Config
	book  *approval.Book
	words *approval.Passphrases
	// tidying tells that this is the broker's own work: see Tidy.
	tidying bool
}

var _ keyturn.Service = (*Broker)(nil)

// New returns a broker.
func New(c Config) *Broker {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Broker{Config: c, book: approval.NewBook(c.Items, c.Now), words: approval.NewPassphrases(c.Items, c.Now)}
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
	verdict  verdict.Verdict
	approval string            // id of the approval it runs under
	held     map[string]string // what it was approved for: a version, or "", by secret
	late     string            // id of the approval that only its act found out to need
	children []*call           // of a composite operation
	told     bool              // of a child: its outcome is recorded
}

// Do takes op through the door.
func (b *Broker) Do(ctx context.Context, op keyturn.Op) (keyturn.Result, error) {
	// 1: who is calling, and what exactly do they ask
	c, err := b.receive(ctx, op)
	if err != nil {
		return nil, b.refuse(ctx, c, err)
	}
	// 2: may they? Decided before anything is looked up.
	if err := b.decide(c); err != nil {
		return nil, b.refuse(ctx, c, err)
	}
	if run, ok := c.op.(keyturn.RunCommand); ok {
		if err := trust.Project(ctx, b.Items, c.actor, run); err != nil {
			return nil, b.refuse(ctx, c, err)
		}
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

// receive finds out who calls and fixes the operation's canonical form.
func (b *Broker) receive(ctx context.Context, op keyturn.Op) (*call, error) {
	c := &call{id: keyturn.NewID(b.Now()), from: keyturn.CallOf(ctx)}
	formErr := c.take(op) // first, so that the attempt of nobody is recorded too
	var err error
	if c.actor, err = b.WhoIs(ctx); err != nil {
		return c, err
	}
	if c.actor.Principal() == "" || c.actor.Name == "" {
		return c, keyturn.E(keyturn.Denied, "nobody is known to be calling", "")
	}
	if formErr != nil {
		return c, formErr
	}
	return c, wellformed.Check(c.op)
}

// take fixes what c does by the canonical form of op: what is hashed, approved
// and recorded is exactly what runs, also where op could say the same in two
// ways, such as an empty list and none.
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
	records := []keyturn.Record{c.intent()}
	for _, child := range c.children {
		child.approval = c.approval
		records = append(records, child.intent())
	}
	return b.Log.Append(ctx, records...)
}

// conclude records the outcome and returns the answer.
func (b *Broker) conclude(ctx context.Context, c *call, res keyturn.Result, err error) (keyturn.Result, error) {
	if err == nil {
		switch res := res.(type) {
		case *keyturn.Listing:
			res.Secrets = ending(b, c, res.Secrets)
			return res, nil
		case *keyturn.Records:
			res.Records = ending(b, c, res.Records)
			return res, nil
		case *keyturn.Exported:
			res.Lines = ending(b, c, res.Lines)
			return res, nil
		}
	}
	for _, child := range c.children {
		if !child.told { // c ended before their turn came
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

// ending is the answer of c while it is ranged over: its outcome is recorded at the
// end.
func ending[T any](b *Broker, c *call, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return answer.Once(seq, func(err error) error { return tell(c, err) },
		func(last error) { b.Log.Later(context.Background(), c.outcome(nil, last)) })
}

// refuse records that c was not let through, and returns why. Where even that
// cannot be recorded nothing happened all the same; but a request that the log
// does not know of is not handed out.
func (b *Broker) refuse(ctx context.Context, c *call, why error) error {
	e := *keyturn.AsError(why)
	if c.form != nil {
		r := c.intent()
		r.Phase, r.Code, r.Status = keyturn.Refusal, e.Code, "error"
		if e.Code == keyturn.Denied {
			r.Status = "denied"
		}
		if len(r.Op) > approval.MaxForm {
			r.Op = nil // its hash stays: who is refused cannot fill the log
		}
		if e.Code == keyturn.Pending {
			r.Status = "pending"
		}
		if e.Approval != nil {
			r.Approval = e.Approval.ID
		}
		if err := b.Log.Append(context.WithoutCancel(ctx), r); err != nil {
			if e.Approval != nil {
				return tell(c, err)
			}
			e.Err = errors.Join(e.Err, err)
		}
	}
	return tell(c, &e)
}

func (c *call) intent() keyturn.Record {
	actor := c.actor
	r := keyturn.Record{ID: c.id, Phase: keyturn.Intent, Actor: &actor, Door: c.from.Door, Op: c.form,
		OpHash: c.hash.String(), Rule: c.verdict.Where, Approval: c.approval, Reason: answer.Limit(keyturn.Clean(c.from.Reason), 500)}
	if c.parent != nil {
		r.Parent = c.parent.id
	}
	return r
}

func (c *call) outcome(res keyturn.Result, err error) keyturn.Record {
	r := answer.Outcome(c.id, res, err)
	if r.Approval == "" {
		r.Approval = c.late
	}
	return r
}

// tell completes an error for the door: which operation, which record. Names in
// its text come from outside, so it is made fit to be shown.
func tell(c *call, err error) error {
	if err == nil {
		return nil
	}
	e := answer.Shown(keyturn.AsError(err))
	if c.op != nil {
		if e.Op == "" {
			e.Op = c.op.Kind()
		}
		if refs := c.op.Refs(); e.Ref.IsZero() && len(refs) == 1 {
			e.Ref = refs[0]
		}
	}
	if c.form != nil {
		e.AuditID = c.id
	}
	return e
}
