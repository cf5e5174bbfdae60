package app

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/app/access"
	"github.com/keyturn/keyturn/internal/app/mounted"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
	"github.com/keyturn/keyturn/internal/broker"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/alive"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// open opens the store and puts the door before it.
func (m machine) open(ctx context.Context, how command.How) (*command.Session, error) {
	facts, err := m.facts(how)
	if err != nil {
		return nil, err
	}
	if err := expected(facts); err != nil {
		return nil, err
	}
	keeper, err := m.openStore(ctx, how, facts)
	if err != nil {
		return nil, cutShort(facts.Home, err)
	}
	s, err := m.session(ctx, how, facts, keeper)
	if err != nil {
		_ = keeper.close()
		return nil, err
	}
	return s, nil
}

func (m machine) stateOptions() state.Options {
	return state.Options{Writer: version(), Now: m.Now, Tree: verify.Append, VFS: m.vfs}
}

func (m machine) session(ctx context.Context, how command.How, facts command.Facts, keeper *storeKeeper) (*command.Session, error) {
	db := keeper.db
	log, forwarded := m.auditLog(facts, db)
	ms := &mounted.Mounts{DB: db, Operator: facts.Operator, Known: facts.Mounts, Env: m.env, Now: m.Now, Person: facts.Actor.Kind == keyturn.Person}
	running := alive.In(filepath.Join(facts.Home, "running"))
	var b *broker.Broker
	b = broker.New(broker.Config{
		Mounts: ms, Entrance: access.Entrance{Environ: m.Environ, Err: m.Err, Login: how.Login, Prompt: how.Prompt, Person: facts.Actor.Kind == keyturn.Person, Own: ms.OwnVariable},
		Rules: facts.Rules, Withheld: ms.Withheld, Log: log, Items: db, Store: keeper, Holders: running,
		WhoIs: whoIs(facts.Actor), Prover: how.Prompt, Remember: m.remember(how, func(file string) error {
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
	return &command.Session{Service: b, Facts: facts, Tidy: b.Tidy, Attend: ms.Attend, Store: storeFacts(db), StoreState: keeper.state,
		Unfinished: []command.UnfinishedWork{keeper.unfinished, keeper.copies}, Close: func() error {
			ms.Close()
			err := b.Flush()
			running.Release()
			forwarded()
			if closeErr := keeper.close(); err == nil {
				err = closeErr
			}
			return err
		}}, nil
}

// peek tells of the store what can be known without its root key.
func (m machine) peek(ctx context.Context, how command.How) (command.StoreFacts, error) {
	home, err := m.home(how)
	if err != nil {
		return command.StoreFacts{}, err
	}
	f, err := state.Peek(ctx, home, m.stateOptions())
	return factsOf(f), cutShort(home, err)
}

// cutShort is err; where it says that there is no store, and a restore moved one
// aside and was killed, it says that, and what goes on.
func cutShort(home string, err error) error {
	marks := interrupted(home)
	if !errors.Is(err, keyturn.NotFound) || len(marks) == 0 {
		return err
	}
	dir := filepath.Dir(marks[len(marks)-1])
	return keyturn.E(keyturn.NotFound, "there is no store at '"+keyturn.Clean(filepath.Join(home, state.File))+"': a restore was cut short once it had moved it to '"+keyturn.Clean(dir)+"'",
		"the same command goes on: keyturn store restore BACKUP --identity KEYFILE --replace\nor move the files back, and then delete that folder").Because(err)
}

func storeFacts(db *state.DB) command.StoreFacts { return factsOf(db.Stats()) }

func factsOf(f state.Facts) command.StoreFacts {
	return command.StoreFacts{ID: f.ID, Path: f.Path, RootKey: f.Kind, KeyAt: spotOf(f).shown(filepath.Dir(f.Path))}
}

// knownConfig keeps an agent from choosing the rules it is judged by: it may use
// those configuration files that a person has used with this store, and no
// others, whatever variables it sets. A person's use makes a file known, and is
// recorded. Who leaves all files out may do nothing by default, and whoever
// approves what they ask for judges it again by files of their own.
func knownConfig(ctx context.Context, b *broker.Broker, f command.Facts) error {
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
func (m machine) create(ctx context.Context, how command.How, kind string) (command.Created, error) {
	facts, err := m.facts(how)
	if err != nil {
		return command.Created{}, err
	}
	op := keyturn.CreateStore{Store: state.NewID()}
	d := facts.Rules.Decide(rules.Request{Actor: facts.Actor, Verb: op.Verb()})
	if d.Effect != rules.Allow {
		e := keyturn.E(keyturn.Denied, facts.Actor.Principal()+" may not make a store: "+d.Why, "a person does it with 'keyturn init'")
		e.By = "rule"
		return command.Created{}, e
	}
	if _, err := os.Lstat(filepath.Join(facts.Home, state.File)); err == nil {
		return command.Created{}, keyturn.E(keyturn.Conflict, "there is a store already at "+keyturn.Clean(filepath.Join(facts.Home, state.File)),
			"'keyturn status' tells about it")
	}
	if err := cutShort(facts.Home, keyturn.E(keyturn.NotFound, "", "")); len(interrupted(facts.Home)) > 0 {
		e := keyturn.AsError(err)
		return command.Created{}, keyturn.E(keyturn.Conflict, e.Message, e.Hint)
	}
	if kind == "" {
		kind = usualKind(how)
	}
	keys := m.keys(how, facts, op.Store)
	key, where, err := keys.New(ctx, kind)
	if err != nil {
		return command.Created{}, err
	}
	defer clear(key)
	opts := m.stateOptions()
	opts.ID, opts.Kind, opts.Place = op.Store, kind, where
	db, err := state.Create(ctx, facts.Home, [32]byte(key), opts)
	if err != nil {
		m.discard(facts.Home, op.Store, keys, spot{kind, where})
		return command.Created{}, err
	}
	keeper := &storeKeeper{machine: m, how: how, facts: facts, db: db, keys: keys, at: spot{kind, where}, root: bytes.Clone(key)}
	defer keeper.close()
	op.RootKey = kind
	if err := recordOwn(ctx, audit.New(db, m.Now), op.Store, op, facts.Actor, d.Where()); err != nil {
		return command.Created{}, err
	}
	made := command.Created{StoreFacts: storeFacts(db), AuditID: op.Store}
	if facts.Operator == nil {
		return made, nil
	}
	s, err := m.session(ctx, how, facts, keeper) // makes the configuration known
	if err != nil {
		return made, err
	}
	return made, s.Close()
}

// discard takes back the root key of a store that was not made, unless it was: what
// failed, or was cut short, may have come after the store got its name.
func (m machine) discard(home, id string, keys rootkey.Keeper, at spot) {
	now, err := state.Peek(context.Background(), home, m.stateOptions())
	if errors.Is(err, keyturn.NotFound) || err == nil && now.ID != id {
		_ = keys.Discard(at.Kind, at.Place)
	}
}

// usualKind is where a new root key is kept when nobody says it.
func usualKind(how command.How) string {
	if how.Home == "" && rootkey.Available() == nil {
		return rootkey.Keychain
	}
	return rootkey.File
}

// recordOwn records what the program itself did where there was no door yet.
func recordOwn(ctx context.Context, log *audit.Log, id string, op keyturn.Op, actor keyturn.Actor, rule string) error {
	form, err := keyturn.EncodeOp(op)
	if err != nil {
		return err
	}
	hash, err := keyturn.HashOp(op)
	if err != nil {
		return err
	}
	intent := keyturn.Record{ID: id, Phase: keyturn.Intent, Actor: &actor, Door: "cli", Op: form, OpHash: hash.String(), Rule: rule}
	outcome := keyturn.Record{ID: id, Phase: keyturn.Outcome, Status: "success"}
	return log.Append(ctx, intent, outcome)
}
