// Package vault is the platform of HashiCorp Vault and OpenBao: the secrets of
// their key/value engines, version 2 and 1, over the HTTP API that both share.
//
//	driver.go   how a mount is made of settings, or of Vault's own variables
//	token.go    which token counts: VAULT_TOKEN, the kept login, the token file
//	api/        one request: address, token, namespace, errors by their codes
//	engine.go   which engine a name lies in, and its version
//	vault.go    the platform's Spec, reading
//	write.go    writing, deleting, destroying
//	list.go     names
//	issue.go    dynamic credentials; see lease/
//	status.go   sealed or not, active or not
//	session.go  logging in and out; login/ has the methods
//	admin/      actions that only Vault has; policy/ its policies
//
// A name is the engine's path and the secret's, as people know them:
// "secret/myapp/config", never "secret/data/myapp/config"; the engine is found by
// asking the server (sys/internal/ui/mounts).
//
//   - Fields are the members of the secret's JSON object: strings as they are,
//     anything else as its JSON text (Secret.Typed tells which), so that it is
//     written back with its type.
//   - Labels are the custom metadata of version 2, which belong to the secret and
//     not to one version: a put that names some writes them after the value, in a
//     second request, and one that names none leaves them alone.
//   - Delete, restore and destroy are those of version 2; on version 1 a secret
//     has one version, without a number, and only destroy.
package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// Spec is what the platform states of itself. Limits of labels are those of
// custom metadata, from https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2.
// The largest secret depends on the server's storage and is not stated.
var Spec = platform.Spec{
	Platform: "vault",
	Remote:   true,
	Names: platform.Rule{
		Allowed: "a name is ENGINE/PATH, at most 512 bytes, without control or invisible characters; no segment begins or ends with a space, and none below the engine is * or +",
		Check:   checkName,
	},
	MaxName: maxName,
	FieldNames: platform.Rule{
		Allowed: "a field's name is text of 1 to 256 bytes",
		Check:   checkField,
	},
	Fields:          true,
	Text:            true,
	CompareAndSet:   true,
	OrderedVersions: true,
	NumericVersions: true,
	Recovery:        platform.RecoveryForever,
	RestoreVersion:  true,
	DestroyVersion:  true,
	Labels:          platform.LabelLimits{Max: 64, Key: 128, Value: 512, NotEmpty: true, OfSecret: true},
}

// maxName is the most bytes of a name.
const maxName = 512

func checkName(name string) string {
	switch {
	case len(name) > maxName:
		return "it is longer than 512 bytes"
	case !strings.Contains(name, "/"):
		return "it names no secret below an engine"
	case keyturn.Clean(name) != name || strings.ContainsRune(name, unicode.ReplacementChar):
		return "it has control or invisible characters"
	}
	for i, seg := range strings.Split(name, "/") {
		if strings.TrimSpace(seg) != seg {
			return "a segment begins or ends with a space"
		}
		if i > 0 && (seg == "*" || seg == "+") {
			return "a segment below the engine is * or +, which policies take for any name"
		}
		if strings.IndexFunc(seg, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
			return "it has white space other than a plain space"
		}
	}
	return ""
}

func checkField(name string) string {
	if name == "" || len(name) > 256 || !utf8.ValidString(name) {
		return "it is empty, longer than 256 bytes, or not text"
	}
	return ""
}

// Platform is one Vault or OpenBao server as one token sees it.
type Platform struct {
	// Keeper keeps the token of a login; nil where none can be kept. It is set before the
	// first use.
	Keeper platform.Keeper

	tokens *tokenSource // nil where Config.Token has another source

	client *api.Client
	mount  string

	mu      sync.Mutex
	engines map[string]engine        // by path
	asked   map[string]chan struct{} // by the first segment of names: closed once the server was asked about one
}

// New returns the platform of a server for the mount of that name. Nothing is
// sent yet. Invalid where c cannot be used.
func New(c api.Config, mount string) (*Platform, error) {
	c.Mount = mount
	cl, err := api.New(c)
	if err != nil {
		return nil, err
	}
	return &Platform{client: cl, mount: mount, engines: map[string]engine{}, asked: map[string]chan struct{}{}}, nil
}

// version is one version as version 2 tells of it.
type version struct {
	Version  int               `json:"version"`
	Created  time.Time         `json:"created_time"`
	Deleted  moment            `json:"deletion_time"`
	Gone     bool              `json:"destroyed"`
	Metadata map[string]string `json:"custom_metadata"`
}

// moment is a time that is "" where there is none.
type moment struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (m *moment) UnmarshalJSON(b []byte) error {
	if string(b) == `""` || string(b) == "null" {
		*m = moment{}
		return nil
	}
	return m.Time.UnmarshalJSON(b)
}

// state: a deletion time that lies ahead is delete_version_after at work.
func (v version) state(now time.Time) keyturn.State {
	switch {
	case v.Gone:
		return keyturn.Destroyed
	case !v.Deleted.IsZero() && !v.Deleted.After(now):
		return keyturn.Deleted
	}
	return keyturn.Live
}

// metadata is what version 2 knows of a secret.
type metadata struct {
	Current  int                `json:"current_version"`
	Versions map[string]version `json:"versions"`
	Custom   map[string]string  `json:"custom_metadata"`
}

// Get implements platform.Platform.
func (p *Platform) Get(ctx context.Context, ref keyturn.Ref) (keyturn.Secret, error) {
	e, rest, err := p.engine(ctx, ref)
	if err != nil {
		return keyturn.Secret{}, err
	}
	if e.version == 1 {
		return p.getPlain(ctx, ref, e, rest)
	}
	query := ""
	if ref.Version() != "" {
		if _, err := number(ref, ref.Version()); err != nil {
			return keyturn.Secret{}, err // the server takes 0 for the newest
		}
		query = "version=" + ref.Version()
	}
	var answer struct {
		Data     map[string]json.RawMessage `json:"data"`
		Metadata *version                   `json:"metadata"`
	}
	err = p.client.Do(ctx, ref, http.MethodGet, e.path+"/data/"+rest, query, nil, &answer)
	if keyturn.AsError(err) != nil && keyturn.AsError(err).Code != keyturn.NotFound {
		return keyturn.Secret{}, err
	}
	if v := answer.Metadata; v == nil || err != nil || v.state(p.client.Now()) != keyturn.Live {
		return keyturn.Secret{}, p.unreadable(ref, e, rest, v)
	}
	info := p.info(ref, e, rest, *answer.Metadata)
	info.Labels, info.Current = answer.Metadata.Metadata, ref.Version() == ""
	return secretOf(ref, info, answer.Data)
}

// unreadable is the NotFound for a version that cannot be read; v is what the
// server said of it, nil for nothing. Mount tells the way back.
func (p *Platform) unreadable(ref keyturn.Ref, e engine, rest string, v *version) error {
	if v == nil || v.Version == 0 {
		return keyturn.E(keyturn.NotFound, "no secret at "+e.path+"/"+rest, "").About(ref)
	}
	hidden := platform.Hidden{Version: strconv.Itoa(v.Version), State: v.state(p.client.Now())}
	return keyturn.E(keyturn.NotFound, "version "+hidden.Version+" of "+keyturn.Clean(ref.Secret().Short())+" is "+string(hidden.State), "").About(ref).Because(hidden)
}

// secretOf reads the members of a secret's JSON object.
func secretOf(ref keyturn.Ref, info keyturn.Info, data map[string]json.RawMessage) (keyturn.Secret, error) {
	s := keyturn.Secret{Info: info, Values: make(map[string]keyturn.Value, len(data))}
	for f, raw := range data {
		var text string
		if len(raw) > 0 && raw[0] == '"' {
			if err := json.Unmarshal(raw, &text); err != nil {
				return keyturn.Secret{}, keyturn.E(keyturn.Unavailable, "the server's answer cannot be read", "").About(ref)
			}
			s.Values[f] = keyturn.NewValue([]byte(text))
			continue
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw); err != nil {
			return keyturn.Secret{}, keyturn.E(keyturn.Unavailable, "the server's answer cannot be read", "").About(ref)
		}
		s.Values[f] = keyturn.NewValue(compact.Bytes())
		s.Typed = append(s.Typed, f)
	}
	slices.Sort(s.Typed)
	return s, nil
}

// Describe implements platform.Describer.
func (p *Platform) Describe(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error) {
	e, rest, err := p.engine(ctx, ref)
	if err != nil {
		return keyturn.Info{}, err
	}
	if e.version == 1 {
		return p.describePlain(ctx, ref, e, rest)
	}
	m, err := p.metadata(ctx, ref, e, rest)
	if err != nil {
		return keyturn.Info{}, err
	}
	want := ref.Version()
	if want == "" {
		want = strconv.Itoa(m.Current)
	}
	v, ok := m.Versions[want]
	if !ok {
		return keyturn.Info{}, keyturn.E(keyturn.NotFound, "no version "+keyturn.Clean(want)+" of "+keyturn.Clean(ref.Secret().Short()),
			"'keyturn history "+keyturn.Quote(ref.Secret().Short())+"' lists the versions").About(ref)
	}
	info := p.described(ref, e, rest, m, v)
	if info.State == keyturn.Live {
		info.Fields, err = p.fields(ctx, ref, e, rest, want)
	}
	return info, err
}

// fields asks for the names of a version's fields, which needs no value; nil where
// this token may not ask, or the server is too old to be asked.
func (p *Platform) fields(ctx context.Context, ref keyturn.Ref, e engine, rest, version string) ([]string, error) {
	var answer struct {
		Keys map[string]any `json:"subkeys"`
	}
	err := p.client.Do(ctx, ref, http.MethodGet, e.path+"/subkeys/"+rest, "depth=1&version="+version, nil, &answer)
	if err != nil {
		switch keyturn.AsError(err).Code {
		case keyturn.Denied, keyturn.NotFound, keyturn.Unsupported:
			return nil, nil
		}
		return nil, err
	}
	return slices.Sorted(maps.Keys(answer.Keys)), nil
}

// Versions implements platform.Historian.
func (p *Platform) Versions(ctx context.Context, ref keyturn.Ref) ([]keyturn.Info, error) {
	e, rest, err := p.engine(ctx, ref)
	if err != nil {
		return nil, err
	}
	if e.version == 1 {
		info, err := p.describePlain(ctx, ref, e, rest)
		return []keyturn.Info{info}, err
	}
	m, err := p.metadata(ctx, ref, e, rest)
	if err != nil {
		return nil, err
	}
	var out []keyturn.Info
	for _, n := range m.numbers() {
		out = append(out, p.described(ref, e, rest, m, m.Versions[strconv.Itoa(n)]))
	}
	return out, nil
}

// numbers are the versions that are known, newest first.
func (m metadata) numbers() []int {
	var out []int
	for v := range m.Versions {
		if n, err := strconv.Atoi(v); err == nil {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	slices.Reverse(out)
	return out
}

// metadata asks what version 2 knows of a secret; NotFound where there is none.
// A secret of which only the metadata was written has no version, and is none.
func (p *Platform) metadata(ctx context.Context, ref keyturn.Ref, e engine, rest string) (metadata, error) {
	var m metadata
	err := p.client.Do(ctx, ref, http.MethodGet, e.path+"/metadata/"+rest, "", nil, &m)
	if keyturn.AsError(err) != nil && keyturn.AsError(err).Code == keyturn.NotFound || err == nil && len(m.Versions) == 0 {
		return metadata{}, keyturn.E(keyturn.NotFound, "no secret at "+e.path+"/"+rest, "").About(ref)
	}
	for n, v := range m.Versions {
		v.Version, _ = strconv.Atoi(n)
		m.Versions[n] = v
	}
	return m, err
}

func (p *Platform) described(ref keyturn.Ref, e engine, rest string, m metadata, v version) keyturn.Info {
	info := p.info(ref, e, rest, v)
	info.Labels, info.Versions = m.Custom, len(m.Versions)
	info.Current = v.Version == m.Current && info.State == keyturn.Live
	return info
}

func (p *Platform) info(ref keyturn.Ref, e engine, rest string, v version) keyturn.Info {
	info := keyturn.Info{Ref: ref.Secret(), Path: e.path + "/data/" + rest, Version: strconv.Itoa(v.Version),
		State: v.state(p.client.Now()), Created: v.Created.UTC()}
	if info.State == keyturn.Live && !v.Deleted.IsZero() { // by delete_version_after
		info.Ends = v.Deleted.UTC()
	}
	return info
}
