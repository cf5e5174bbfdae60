package vault

import (
	"context"
	"net/http"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/vault/lease"
)

// engine is one engine.
type engine struct {
	path    string // without a slash at its end
	kind    string // "kv", "database", …
	version int    // of a key/value engine: 1 or 2
}

// mounted is what the server says of what is mounted somewhere.
type mounted struct {
	Path    string            `json:"path"`
	Type    string            `json:"type"`
	Options map[string]string `json:"options"`
}

func (m mounted) engine(path string) (engine, bool) {
	e := engine{path: strings.TrimSuffix(path, "/"), kind: m.Type, version: 1}
	if m.Options["version"] == "2" {
		e.version = 2
	}
	return e, e.keeps()
}

// keeps reports whether e is a key/value engine.
func (e engine) keeps() bool { return e.kind == "kv" || e.kind == "generic" }

// engine finds the key/value engine that a name lies in, and the secret's path
// within it. Unsupported where it lies in another one.
func (p *Platform) engine(ctx context.Context, ref keyturn.Ref) (engine, string, error) {
	e, rest, err := p.anyEngine(ctx, ref)
	if err != nil || e.keeps() {
		return e, rest, err
	}
	err = keyturn.E(keyturn.Unsupported, "the engine '"+keyturn.Clean(e.path)+"' is of type "+keyturn.Clean(e.kind)+", which keeps no secrets of yours",
		"secrets are kept in engines of type kv").About(ref)
	if lease.Makes(e.kind) {
		name := keyturn.Quote(ref.Secret().Short())
		err = keyturn.E(keyturn.Unsupported, keyturn.Clean(ref.Secret().Short())+" is made anew for each asking, by an engine of type "+keyturn.Clean(e.kind),
			"hand one to a command, for as long as that runs: keyturn run --env-from "+name+" -- COMMAND\nor take one: keyturn lease create "+name).About(ref)
	}
	return engine{}, "", err
}

// anyEngine finds the engine that a name lies in, and the rest of the name. An engine
// that was found is remembered: none can be mounted below another one's path while
// that one is there.
func (p *Platform) anyEngine(ctx context.Context, ref keyturn.Ref) (engine, string, error) {
	name := ref.Name()
	if e, rest, ok := p.knownEngine(name); ok {
		return e, rest, nil
	}
	done, err := p.lead(ctx, name)
	if err != nil {
		return engine{}, "", err
	}
	defer done()
	if e, rest, ok := p.knownEngine(name); ok {
		return e, rest, nil
	}
	var m mounted
	if err := p.client.Do(ctx, ref, http.MethodGet, "sys/internal/ui/mounts/"+name, "", nil, &m); err != nil {
		e := keyturn.AsError(err)
		if e.Code == keyturn.Denied {
			// The server says the same of a path without an engine and of one that
			// this token may do nothing with.
			e = keyturn.E(keyturn.Denied, "there is no engine for "+name+", or this token may do nothing in it",
				"the first part of a name is the engine's path: 'keyturn list "+p.mount+"/' shows what is visible").About(ref).Because(err)
			e.By = "platform"
		}
		return engine{}, "", e
	}
	e, _ := m.engine(m.Path)
	rest, within := strings.CutPrefix(name, e.path+"/")
	if !within || rest == "" {
		return engine{}, "", keyturn.E(keyturn.Invalid, name+" is the engine '"+keyturn.Clean(e.path)+"' itself, not a secret in it",
			"name a secret below it").About(ref)
	}
	p.mu.Lock()
	p.engines[e.path] = e
	p.mu.Unlock()
	return e, rest, nil
}

// Path implements platform.Pather.
func (p *Platform) Path(ctx context.Context, ref keyturn.Ref) (string, error) {
	e, rest, err := p.engine(ctx, ref)
	if e.version == 2 {
		rest = "data/" + rest
	}
	return e.path + "/" + rest, err
}

// knownEngine finds a name's engine among those that were asked for.
func (p *Platform) knownEngine(name string) (engine, string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for path, e := range p.engines {
		if rest, ok := strings.CutPrefix(name, path+"/"); ok {
			return e, rest, true
		}
	}
	return engine{}, "", false
}

// lead lets the first of many that ask about one engine at a time go ahead of the
// others: mostly its answer is theirs. Call done when it is there.
func (p *Platform) lead(ctx context.Context, name string) (done func(), err error) {
	first, _, _ := strings.Cut(name, "/")
	p.mu.Lock()
	asked, follows := p.asked[first]
	if !follows {
		asked = make(chan struct{})
		p.asked[first] = asked
	}
	p.mu.Unlock()
	if !follows {
		return func() { close(asked) }, nil
	}
	select {
	case <-asked:
		return func() {}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// visible lists the key/value engines that this token can see.
func (p *Platform) visible(ctx context.Context) ([]engine, error) {
	var answer struct {
		Secret map[string]mounted `json:"secret"`
	}
	if err := p.ask(ctx, http.MethodGet, "sys/internal/ui/mounts", &answer); err != nil {
		return nil, err
	}
	var out []engine
	for path, m := range answer.Secret {
		if e, ok := m.engine(path); ok {
			out = append(out, e)
		}
	}
	return out, nil
}
