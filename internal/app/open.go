package app

import (
	"context"
	"path/filepath"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/home"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/alive"
)

// open opens the store and puts the door before it.
func (m machine) open(ctx context.Context, how session.How) (*session.Session, error) {
	facts, err := m.unopened(how)
	if err != nil {
		return nil, err
	}
	if facts.Actor.Kind == keyturn.Person { // the others' configuration is not known yet
		if err := expected(facts); err != nil {
			return nil, err
		}
	}
	store, err := m.folder(how, facts).Open(ctx)
	if err != nil {
		return nil, err
	}
	s, err := m.session(ctx, how, store)
	if err != nil {
		_ = store.Close()
		return nil, err
	}
	return s, nil
}

// folder is keyturn's own folder as one command sees it.
func (m machine) folder(how session.How, facts session.Facts) home.Folder {
	return home.Folder{How: how, Facts: facts, Env: m.env, Dir: m.Dir, Err: m.Err, Now: m.Now, Options: m.stateOptions()}
}

// restore puts a backup in the place of the store, or only verifies it.
func (m machine) restore(ctx context.Context, how session.How, o session.RestoreOptions) (session.Restored, error) {
	facts, err := m.unopened(how)
	if err != nil {
		return session.Restored{}, err
	}
	return m.folder(how, facts).Restore(ctx, o)
}

func (m machine) stateOptions() state.Options {
	return state.Options{Writer: version(), Now: m.Now}
}

func (m machine) session(ctx context.Context, how session.How, store *home.Store) (*session.Session, error) {
	st, err := m.stand(ctx, how, store.Facts, store)
	if err != nil {
		return nil, err
	}
	place, err := store.Place()
	if err != nil {
		return nil, err
	}
	facts, db := st.facts, store.DB()
	store.Facts = facts
	log, forwarded, err := store.Log(ctx)
	if err != nil {
		return nil, err
	}
	ms := &mounts{db: db, drivers: drivers(db), operator: facts.Operator, known: facts.Mounts, env: m.driverEnv(facts.Actor)}
	running := alive.In(filepath.Join(facts.Home, "running"))
	remember, repin := m.remember(how, st)
	b := broker.New(broker.Config{
		Mounts: ms, Entrance: entrance{Environ: m.Environ, Err: m.Err, Login: how.Login, Desk: how.Desk, Person: facts.Actor.Kind == keyturn.Person},
		Rules: facts.Rules, Judged: facts.Operator.Digest(), Bar: st.bar(how), Withheld: ms.withheld, Log: log, Items: db, Home: facts.Home, Operators: facts.Operators, Actions: Actions,
		Store: store, Holders: running, WhoIs: whoIs(facts.Actor), Prover: session.Prover{Desk: how.Desk}, Confirm: confirm(how),
		Remember: remember, Repin: repin, PinOf: st.pinOf,
		Adopt: func(ctx context.Context, op keyturn.AdoptStore) error {
			err := store.Adopt(ctx, op)
			if err == nil {
				st.adopted.Store(true)
			}
			return err
		},
		RuleLine:      func(r rules.Rule) (string, error) { return config.Rule(r.Source()).OneLine() },
		ConfirmReveal: facts.Operator != nil && facts.Operator.Confirm != "",
		Now:           m.Now,
	})
	if st.first && st.moved == nil {
		if _, err := b.Do(ctx, st.pin.Now); err != nil {
			forwarded()
			return nil, err
		}
		st.pinned()
	}
	st.pin.Now.Env = home.TrustedEnv(m.env)
	tidy := func(ctx context.Context) []string {
		if st.closed() {
			return nil
		}
		told := b.Tidy(ctx)
		running.Sweep()
		return told
	}
	return &session.Session{Service: b, Facts: facts, How: how, Pin: st.pin, Notes: st.notes, Moved: st.moved, Adopt: place, KeepLines: b.KeepLines, SameLines: b.SameLines, Tidy: tidy, Attend: ms.attend, Store: store.StoreFacts(), StoreState: store.State,
		Unfinished: []session.UnfinishedWork{store.Unfinished, store.Copies, ms.leftover}, Close: func() error {
			ms.close()
			err := b.Flush()
			running.Release()
			forwarded()
			if closeErr := store.Close(); err == nil {
				err = closeErr
			}
			return err
		}}, nil
}

// peek returns what can be known of the store without its root key.
func (m machine) peek(ctx context.Context, how session.How) (session.StoreFacts, error) {
	path, err := home.Path(how, m.env, m.Dir)
	if err != nil {
		return session.StoreFacts{}, err
	}
	return home.Peek(ctx, path, m.stateOptions())
}

// inspect looks at the store and its surroundings from outside.
func (m machine) inspect(ctx context.Context, how session.How) (session.Inspection, error) {
	path, err := home.Path(how, m.env, m.Dir)
	if err != nil {
		return session.Inspection{}, err
	}
	return home.Inspect(ctx, path, m.stateOptions()), nil
}

// create makes the local store, and makes the operator's configuration known to it.
func (m machine) create(ctx context.Context, how session.How, kind string) (session.Created, error) {
	facts, err := m.unopened(how)
	if err != nil {
		return session.Created{}, err
	}
	made, store, err := m.folder(how, facts).Make(ctx, kind)
	if err != nil {
		return made, err
	}
	defer store.Close()
	if facts.Operator == nil {
		return made, nil
	}
	m.making = true
	s, err := m.session(ctx, how, store)
	if err != nil {
		return made, err
	}
	return made, s.Close()
}
