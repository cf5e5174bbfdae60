// Package broker is the one door behind every door: each operation, from the
// command line, an agent or a server, takes the same six steps in [Broker.Do],
// and only this package lets a platform act.
package broker

import (
	"context"
	"fmt"
	"iter"
	"runtime/debug"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/approval"
	"github.com/keyturn/keyturn/internal/audit"
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

// Config is what a Broker works with. All but the last two are needed.
type Config struct {
	Mounts Mounts
	Rules  *rules.Set
	Log    *audit.Log
	Items  Items
	// WhoIs finds out who is calling; an error refuses the operation.
	WhoIs  func(ctx context.Context) (keyturn.Actor, error)
	Prover Prover
	// Remember adds a rule to the operator's configuration and says where.
	Remember func(rules.Rule) (where string, err error)
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
	verdict  verdict
	approval string // id of the approval it runs under
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
	// 3: has whoever must say yes said yes, to this and nothing else?
	if err := b.approve(ctx, c); err != nil {
		return nil, b.refuse(ctx, c, err)
	}
	// 4: no record, no access
	children, err := b.announce(ctx, c)
	if err != nil {
		return nil, tell(c, err)
	}
	// 5: the platform acts
	res, err := b.act(ctx, c, children)
	// 6: what came of it; durably for changes, before the answer
	return b.conclude(ctx, c, res, err)
}

// receive finds out who calls and fixes the operation's canonical form.
func (b *Broker) receive(ctx context.Context, op keyturn.Op) (*call, error) {
	c := &call{id: keyturn.NewID(b.Now()), op: op, from: keyturn.CallOf(ctx)}
	var err error
	if c.actor, err = b.WhoIs(ctx); err != nil {
		return c, err
	}
	if c.actor.Principal() == "" {
		return c, keyturn.E(keyturn.Denied, "nobody is known to be calling", "")
	}
	if c.form, err = keyturn.EncodeOp(op); err != nil {
		return c, err
	}
	if c.hash, err = keyturn.HashOp(op); err != nil {
		return c, err
	}
	return c, valid(op)
}

// announce records the intent of c and, for a composite operation, of all its
// children, in one durable write.
func (b *Broker) announce(ctx context.Context, c *call) ([]*call, error) {
	var children []*call
	if comp, ok := c.op.(keyturn.Composite); ok {
		for _, op := range comp.Plan() {
			child, err := b.child(c, op)
			if err != nil {
				return nil, err
			}
			children = append(children, child)
		}
	}
	records := []keyturn.Record{c.intent()}
	for _, child := range children {
		records = append(records, child.intent())
	}
	return children, b.Log.Append(ctx, records...)
}

// child prepares one operation of c's plan. It is decided by itself: what the
// parent's approval covers is the plan, not more.
func (b *Broker) child(c *call, op keyturn.Op) (*call, error) {
	child := &call{id: keyturn.NewID(b.Now()), op: op, actor: c.actor, from: c.from, parent: c, approval: c.approval}
	var err error
	if child.form, err = keyturn.EncodeOp(op); err != nil {
		return nil, err
	}
	if child.hash, err = keyturn.HashOp(op); err != nil {
		return nil, err
	}
	child.verdict = b.judge(child)
	if child.verdict.never || child.verdict.effect != rules.Allow && c.approval == "" {
		return nil, child.verdict.refusal(child)
	}
	return child, nil
}

// conclude records the outcome and returns the answer.
func (b *Broker) conclude(ctx context.Context, c *call, res keyturn.Result, err error) (keyturn.Result, error) {
	if err == nil {
		// What is ranged over ends when the caller is done with it.
		end := func(err error) { b.Log.Later(ctx, c.outcome(nil, err)) }
		switch res := res.(type) {
		case *keyturn.Listing:
			res.Secrets = ending(res.Secrets, end)
			return res, nil
		case *keyturn.Records:
			res.Records = ending(res.Records, end)
			return res, nil
		}
	}
	record := c.outcome(res, err)
	if !changes(c.op) {
		b.Log.Later(ctx, record)
		return res, tell(c, err)
	}
	if logErr := b.Log.Append(context.WithoutCancel(ctx), record); logErr != nil && err == nil {
		return nil, tell(c, &keyturn.Error{Code: keyturn.Unavailable, Unknown: true, Err: logErr,
			Message: "the change was made, but its outcome could not be recorded",
			Hint:    "look at 'keyturn history', then repair the audit log: see 'keyturn status'"})
	}
	return res, tell(c, err)
}

// ending ranges over seq and tells end how that ended, once.
func ending[T any](seq iter.Seq2[T, error], end func(error)) iter.Seq2[T, error] {
	var once sync.Once
	return func(yield func(T, error) bool) {
		var last error
		defer func() { once.Do(func() { end(last) }) }()
		for v, err := range seq {
			last = err
			if !yield(v, err) {
				return
			}
		}
	}
}

// refuse records that c was not let through, and returns why. Where even that
// cannot be recorded the answer is the same: nothing happened.
func (b *Broker) refuse(ctx context.Context, c *call, why error) error {
	e := keyturn.AsError(why)
	if c.form != nil {
		r := c.intent()
		r.Phase, r.Code, r.Status = keyturn.Refusal, e.Code, "denied"
		if e.Code == keyturn.Pending {
			r.Status = "pending"
		}
		if e.Approval != nil {
			r.Approval = e.Approval.ID
		}
		if err := b.Log.Append(context.WithoutCancel(ctx), r); err != nil && e.Err == nil {
			e.Err = err
		}
	}
	return tell(c, e)
}

func (c *call) intent() keyturn.Record {
	actor := c.actor
	r := keyturn.Record{ID: c.id, Phase: keyturn.Intent, Actor: &actor, Door: c.from.Door, Op: c.form,
		OpHash: c.hash.String(), Rule: c.verdict.where, Approval: c.approval, Reason: limit(keyturn.Clean(c.from.Reason), 500)}
	if c.parent != nil {
		r.Parent = c.parent.id
	}
	return r
}

func (c *call) outcome(res keyturn.Result, err error) keyturn.Record {
	r := keyturn.Record{ID: c.id, Phase: keyturn.Outcome, Status: "success"}
	if err != nil {
		e := keyturn.AsError(err)
		r.Status, r.Code, r.Unknown = "error", e.Code, e.Unknown
		return r
	}
	switch res := res.(type) {
	case *keyturn.Changed:
		r.Version = res.Secret.Version
	case *keyturn.Described:
		r.Version = res.Secret.Version
	case *keyturn.Revealed:
		r.Version = res.Secret.Version
	}
	return r
}

// tell completes an error for the door: which operation, which record.
func tell(c *call, err error) error {
	if err == nil {
		return nil
	}
	e := *keyturn.AsError(err) // a copy: platforms may share theirs
	if e.Op == "" {
		e.Op = c.op.Kind()
	}
	if refs := c.op.Refs(); e.Ref.IsZero() && len(refs) == 1 {
		e.Ref = refs[0]
	}
	if c.form != nil {
		e.AuditID = c.id
	}
	return &e
}

// guard runs one act and turns a panic into an Internal error. The panic's own
// value is dropped: it could hold a secret.
func guard(act func() (keyturn.Result, error)) (res keyturn.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			e := keyturn.AsError(fmt.Errorf("panic of type %T\n%s", p, debug.Stack()))
			e.Unknown = true
			res, err = nil, e
		}
	}()
	return act()
}

func limit(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}
