package server

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/vault/admin/policy"
	"github.com/keyturn/keyturn/internal/platform/vault/admin/words"
)

// Mounted is an engine or a login method as sys/mounts and sys/auth tell of it.
type Mounted struct {
	Type        string            `json:"type"`
	Description string            `json:"description"`
	Options     map[string]string `json:"options"`
	Config      struct {
		TTL        int    `json:"default_lease_ttl"` // seconds
		MaxTTL     int    `json:"max_lease_ttl"`
		Visibility string `json:"listing_visibility"` // "" for hidden
	} `json:"config"`
}

// Kind is the type as 'enable' takes it.
func (m Mounted) Kind() string {
	if v := m.Options["version"]; m.Type == "kv" && v != "" {
		return "kv-v" + v
	}
	return m.Type
}

// KV is the version of a key/value engine, else 0.
func (m Mounted) KV() int {
	switch {
	case m.Type != "kv" && m.Type != "generic":
		return 0
	case m.Options["version"] == "2":
		return 2
	}
	return 1
}

// Sort says engines or login methods.
type Sort struct {
	What string // "engine"
	API  string // where they are
}

// What can be mounted.
var (
	Engines = Sort{"engine", "sys/mounts"}
	Logins  = Sort{"login method", "sys/auth"}
)

// All asks what is mounted, by path without a slash at its end.
func (k Sort) All(ctx context.Context, s *Server) (map[string]Mounted, error) {
	var answer map[string]Mounted
	if err := s.Call(ctx, http.MethodGet, k.API, nil, &answer); err != nil {
		return nil, err
	}
	out := map[string]Mounted{}
	for p, m := range answer {
		out[words.Place(p)] = m
	}
	return out, nil
}

// Exactly refuses what is not itself the path of an engine or login method of a type: a
// path within another one, or in the server's own settings, takes the same requests and
// makes something else of them. It is NotFound, said as none says where nothing is there.
func (k Sort) Exactly(ctx context.Context, s *Server, at, kind string, none *keyturn.Error) error {
	m, err := k.At(ctx, s, at)
	switch {
	case err == nil && m.Type != kind:
		return keyturn.E(keyturn.NotFound, "the "+k.What+" at "+words.Quoted(at)+" is of type "+keyturn.Clean(m.Type)+", not "+kind, k.hint())
	case err == nil || !errors.Is(err, keyturn.NotFound) || errors.Is(err, errWithin):
		return err
	}
	return none.Because(err)
}

// errWithin is why a path is none of a mount: it is within one.
var errWithin = errors.New("a path within another mount")

// At finds what is mounted at a path itself; NotFound where nothing is. A token that may
// not list what is mounted may still ask about what it may do something in
// (https://developer.hashicorp.com/vault/api-docs/system/internal-ui-mounts).
func (k Sort) At(ctx context.Context, s *Server, at string) (Mounted, error) {
	below := ""
	if k == Logins {
		below = "auth/"
	}
	var m struct {
		Mounted
		Path string `json:"path"`
	}
	err := s.Call(ctx, http.MethodGet, "sys/internal/ui/mounts/"+below+at, nil, &m)
	switch found := words.Place(m.Path); {
	case err == nil && found == at:
		return m.Mounted, nil
	case err == nil:
		return Mounted{}, keyturn.E(keyturn.NotFound, words.Quoted(at)+" is no "+k.What+", but within "+words.Quoted(found), k.hint()).Because(errWithin)
	case !errors.Is(err, keyturn.Denied): // the server says no more where nothing is mounted
		return Mounted{}, err
	}
	all, listErr := k.All(ctx, s)
	if m, ok := all[at]; ok {
		return m, nil
	}
	none := "there is no " + k.What + " at " + words.Quoted(at)
	if listErr == nil {
		return Mounted{}, keyturn.E(keyturn.NotFound, none, k.hint()).Because(err)
	}
	e := keyturn.E(keyturn.Denied, none+", or your token may do nothing in it", "one of its policies has to hold a path below \""+keyturn.Clean(below+at)+"/\"; "+k.hint()).Because(err)
	e.By = "platform"
	return Mounted{}, e
}

func (k Sort) hint() string { return "'keyturn vault " + k.Listing() + "' lists them" }

// Listing is the action that lists them.
func (k Sort) Listing() string {
	if k == Engines {
		return "engines"
	}
	return "auth list"
}

// EngineOf finds the engine that a secret's name lies in, and the name within it.
func (s *Server) EngineOf(ctx context.Context, name string) (policy.Engine, string, error) {
	var m struct {
		Mounted
		Path string `json:"path"`
	}
	if err := s.Call(ctx, http.MethodGet, "sys/internal/ui/mounts/"+name, nil, &m); err != nil {
		if errors.Is(err, keyturn.Denied) {
			e := keyturn.E(keyturn.Denied, "there is no engine for "+keyturn.Clean(name)+", or your token may do nothing in it", "'keyturn vault engines' lists the engines").Because(err)
			e.By = "platform"
			return policy.Engine{}, "", e
		}
		return policy.Engine{}, "", err
	}
	e := policy.Engine{Path: words.Place(m.Path), KV: m.KV()}
	within := strings.TrimPrefix(name, e.Path+"/")
	if e.KV == 0 && !strings.HasPrefix(within, "creds/") && !strings.HasPrefix(within, "static-creds/") {
		return e, "", keyturn.E(keyturn.Unsupported, "the engine '"+keyturn.Clean(e.Path)+"' is of type "+keyturn.Clean(m.Type)+"; this is for engines that keep secrets, and for credentials", "write a policy by hand: keyturn vault policy write")
	}
	if within == name || within == "" {
		return e, "", keyturn.E(keyturn.Invalid, words.Quoted(name)+" is an engine, not a secret in it", "name a secret below it")
	}
	return e, within, nil
}
