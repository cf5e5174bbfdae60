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
	facts, err := m.facts(how)
	if err != nil {
		return nil, err
	}
	if err := expected(facts); err != nil {
		return nil, err
	}
	store, err := m.folder(how, facts).Open(ctx)
	if err != nil {
		return nil, err
	}
	s, err := m.session(ctx, how, facts, store)
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
	facts, err := m.facts(how)
	if err != nil {
		return session.Restored{}, err
	}
	return m.folder(how, facts).Restore(ctx, o)
}

func (m machine) stateOptions() state.Options {
	return state.Options{Writer: version(), Now: m.Now}
}

func (m machine) session(ctx context.Context, how session.How, facts session.Facts, store *home.Store) (*session.Session, error) {
	db := store.DB()
	log, forwarded := store.Log()
	ms := &mounts{db: db, drivers: drivers(db), operator: facts.Operator, known: facts.Mounts, env: m.driverEnv(facts.Actor)}
	running := alive.In(filepath.Join(facts.Home, "running"))
	var b *broker.Broker
	b = broker.New(broker.Config{
		Mounts: ms, Entrance: entrance{Environ: m.Environ, Err: m.Err, Login: how.Login, Desk: how.Desk, Person: facts.Actor.Kind == keyturn.Person},
		Rules: facts.Rules, Withheld: ms.withheld, Log: log, Items: db, Home: facts.Home, Operators: facts.Operators, Actions: Actions, Store: store, Holders: running,
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
	return &session.Session{Service: b, Facts: facts, How: how, Tidy: tidy, Attend: ms.attend, Store: store.StoreFacts(), StoreState: store.State,
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

// create makes the local store, and makes the operator's configuration known to it.
func (m machine) create(ctx context.Context, how session.How, kind string) (session.Created, error) {
	facts, err := m.facts(how)
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
	s, err := m.session(ctx, how, facts, store)
	if err != nil {
		return made, err
	}
	return made, s.Close()
}
