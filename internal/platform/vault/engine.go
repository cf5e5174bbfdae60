package vault

import (
	"context"
	"net/http"
	"strings"

	"github.com/keyturn/keyturn"
)

// engine is one key/value engine.
type engine struct {
	path    string // without a slash at its end
	version int    // 1 or 2
}

// mounted is what the server says of what is mounted somewhere.
type mounted struct {
	Path    string            `json:"path"`
	Type    string            `json:"type"`
	Options map[string]string `json:"options"`
}

func (m mounted) engine(path string) (engine, bool) {
	e := engine{path: strings.TrimSuffix(path, "/"), version: 1}
	if m.Options["version"] == "2" {
		e.version = 2
	}
	return e, m.Type == "kv" || m.Type == "generic"
}

// engine finds the engine that a name lies in, and the secret's path within it.
// An engine that was found is remembered: none can be mounted below another one's
// path while that one is there.
func (p *Platform) engine(ctx context.Context, ref keyturn.Ref) (engine, string, error) {
	name := ref.Name()
	p.mu.Lock()
	for path, e := range p.engines {
		if rest, ok := strings.CutPrefix(name, path+"/"); ok {
			p.mu.Unlock()
			return e, rest, nil
		}
	}
	p.mu.Unlock()
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
	e, ok := m.engine(m.Path)
	rest, within := strings.CutPrefix(name, e.path+"/")
	if !within || rest == "" {
		return engine{}, "", keyturn.E(keyturn.Invalid, name+" is the engine '"+keyturn.Clean(e.path)+"' itself, not a secret in it",
			"name a secret below it").About(ref)
	}
	if !ok {
		return engine{}, "", keyturn.E(keyturn.Unsupported, "the engine '"+keyturn.Clean(e.path)+"' is of type "+keyturn.Clean(m.Type)+", which keeps no secrets of yours",
			"secrets are kept in engines of type kv").About(ref)
	}
	p.mu.Lock()
	p.engines[e.path] = e
	p.mu.Unlock()
	return e, rest, nil
}

// visible lists the key/value engines that this token can see.
func (p *Platform) visible(ctx context.Context) ([]engine, error) {
	var answer struct {
		Secret map[string]mounted `json:"secret"`
	}
	if err := p.client.Do(ctx, keyturn.Ref{}, http.MethodGet, "sys/internal/ui/mounts", "", nil, &answer); err != nil {
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
