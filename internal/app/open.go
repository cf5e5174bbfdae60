package app

import (
	"context"
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/app/access"
	"github.com/keyturn/keyturn/internal/app/mounted"
	"github.com/keyturn/keyturn/internal/app/restore"
	"github.com/keyturn/keyturn/internal/app/store"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
	"github.com/keyturn/keyturn/internal/broker"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/alive"
)

// open opens the store and puts the door before it.
func (m machine) open(ctx context.Context, how session.How) (*session.Session, error) {
	facts, err := m.facts(how)
	if err != nil {
		return nil, err
	}
	if err := expected(facts); err != nil {
		return nil, err
	}
	keeper, err := m.at(how, facts).Open(ctx)
	if err != nil {
		return nil, restore.CutShort(facts.Home, err)
	}
	s, err := m.session(ctx, how, facts, keeper)
	if err != nil {
		_ = keeper.Close()
		return nil, err
	}
	return s, nil
}

// at is keyturn's folder as a command sees it.
func (m machine) at(how session.How, facts session.Facts) store.Home {
	return store.Home{How: how, Facts: facts, Env: m.env, Dir: m.Dir, Err: m.Err, Now: m.Now, Options: m.stateOptions()}
}

// restore puts a backup into the home folder, or only verifies it.
func (m machine) restore(ctx context.Context, how session.How, o session.RestoreOptions) (session.Restored, error) {
	facts, err := m.facts(how)
	if err != nil {
		return session.Restored{}, err
	}
	return restore.Run(ctx, m.at(how, facts), o)
}

func (m machine) stateOptions() state.Options {
	return state.Options{Writer: version(), Now: m.Now, Tree: verify.Append}
}

func (m machine) session(ctx context.Context, how session.How, facts session.Facts, keeper *store.Keeper) (*session.Session, error) {
	db := keeper.DB()
	log, forwarded := keeper.Log(db)
	ms := &mounted.Mounts{DB: db, Operator: facts.Operator, Known: facts.Mounts, Env: m.env, Now: m.Now, Who: facts.Actor.Kind}
	running := alive.In(filepath.Join(facts.Home, "running"))
	var b *broker.Broker
	b = broker.New(broker.Config{
		Mounts: ms, Entrance: access.Entrance{Environ: m.Environ, Err: m.Err, Login: how.Login, Desk: how.Desk, Person: facts.Actor.Kind == keyturn.Person, Own: ms.OwnVariable},
		Rules: facts.Rules, Withheld: ms.Withheld, Log: log, Items: db, Home: facts.Home, Store: keeper, Holders: running,
		WhoIs: whoIs(facts.Actor), Prover: session.Prover{Desk: how.Desk}, Remember: m.remember(how, func(file string) error {
			_, err := b.Do(ctx, keyturn.UseConfig{Path: file})
			return err
		}),
		RuleLine:      func(r rules.Rule) (string, error) { return config.Rule(r.Source()).OneLine() },
		ConfirmReveal: facts.Operator != nil && facts.Operator.Confirm != "",
		Now:           m.Now,
	})
	if err := knownConfig(ctx, b, facts); err != nil {
		forwarded()
		return nil, err
	}
	tidy := func(ctx context.Context) []string {
		told := b.Tidy(ctx)
		running.Sweep()
		return told
	}
	return &session.Session{Service: b, Facts: facts, How: how, Tidy: tidy, Attend: ms.Attend, Store: store.FactsOf(db.Stats()), StoreState: keeper.State,
		Unfinished: []session.UnfinishedWork{keeper.Unfinished, keeper.Copies, ms.Leftover}, Close: func() error {
			ms.Close()
			err := b.Flush()
			running.Release()
			forwarded()
			if closeErr := keeper.Close(); err == nil {
				err = closeErr
			}
			return err
		}}, nil
}

// peek tells of the store what can be known without its root key.
func (m machine) peek(ctx context.Context, how session.How) (session.StoreFacts, error) {
	home, err := m.home(how)
	if err != nil {
		return session.StoreFacts{}, err
	}
	f, err := state.Peek(ctx, home, m.stateOptions())
	return store.FactsOf(f), restore.CutShort(home, err)
}

// knownConfig keeps an agent from choosing the rules it is judged by: it may use
// those configuration files that a person has used with this store, and no
// others, whatever variables it sets. A person's use makes a file known, and is
// recorded. Who leaves all files out may do nothing by default, and whoever
// approves what they ask for judges it again by files of their own.
func knownConfig(ctx context.Context, b *broker.Broker, f session.Facts) error {
	if f.Operator == nil {
		return nil
	}
	known, err := b.KnowsConfig(ctx, f.Operator.File)
	if err != nil || known {
		return err
	}
	_, err = b.Do(ctx, keyturn.UseConfig{Path: f.Operator.File})
	return err
}

// create makes the local store, and its first record.
func (m machine) create(ctx context.Context, how session.How, kind string) (session.Created, error) {
	facts, err := m.facts(how)
	if err != nil {
		return session.Created{}, err
	}
	op := keyturn.CreateStore{Store: state.NewID()}
	d := facts.Rules.Decide(rules.Request{Actor: facts.Actor, Verb: op.Verb()})
	if d.Effect != rules.Allow {
		e := keyturn.E(keyturn.Denied, facts.Actor.Principal()+" may not make a store: "+d.Why, "a person does it with 'keyturn init'")
		e.By = "rule"
		return session.Created{}, e
	}
	if _, err := os.Lstat(filepath.Join(facts.Home, state.File)); err == nil {
		return session.Created{}, keyturn.E(keyturn.Conflict, "there is a store already at "+keyturn.Clean(filepath.Join(facts.Home, state.File)),
			"'keyturn status' tells about it")
	}
	if e := restore.Interrupted(facts.Home); e != nil {
		return session.Created{}, keyturn.E(keyturn.Conflict, e.Message, e.Hint)
	}
	h := m.at(how, facts)
	if kind == "" {
		kind = h.UsualKind()
	}
	keeper, err := h.Create(ctx, op.Store, kind)
	if err != nil {
		return session.Created{}, err
	}
	defer keeper.Close()
	op.RootKey = kind
	if err := store.RecordOwn(ctx, audit.New(keeper.DB(), m.Now), op.Store, op, facts.Actor, d.Where()); err != nil {
		return session.Created{}, err
	}
	made := session.Created{StoreFacts: store.FactsOf(keeper.DB().Stats()), AuditID: op.Store}
	if facts.Operator == nil {
		return made, nil
	}
	s, err := m.session(ctx, how, facts, keeper) // makes the configuration known
	if err != nil {
		return made, err
	}
	return made, s.Close()
}
