package admin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
	"github.com/keyturn/keyturn/internal/platform/vault/policy"
)

// Members of an item with the settings of an engine, a login method or a secret.
var (
	tuneColumns   = []string{"path", "type", "description", "ttl_seconds", "max_ttl_seconds", "listing_visibility", "max_versions", "cas_required", "delete_version_after_seconds"}
	kvTuneColumns = []string{"ref", "max_versions", "cas_required", "delete_version_after_seconds", "current_version", "oldest_version"}
)

// kvInputs are the settings of a kv-v2 engine, and of one secret in it
// (https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2).
func kvInputs(unset string) []keyturn.Input {
	return []keyturn.Input{
		{Name: "max-versions", Kind: keyturn.InputNumber, Short: "of kv-v2: how many versions are kept, 0: " + unset},
		{Name: "cas-required", Kind: keyturn.InputText, Short: "of kv-v2: whether each put must say which version it replaces", Choices: []string{"yes", "no"}},
		{Name: "delete-version-after", Kind: keyturn.InputDuration, Short: "of kv-v2: when a new version is deleted by itself, 0s: " + unset},
	}
}

func tuneActions() []action {
	at := keyturn.Input{Name: "path", Kind: keyturn.InputText, Short: "where it is", Place: true, Required: true}
	tune := []keyturn.Input{at, ttlInput, maxTTLInput,
		{Name: "description", Kind: keyturn.InputText, Short: "for people"},
		{Name: "listing-visibility", Kind: keyturn.InputText, Short: "whether who is not logged in sees it", Choices: []string{"unauth", "hidden"}}}
	secret := keyturn.Input{Name: "ref", Kind: keyturn.InputOn, Short: "the secret", Place: true, Required: true}
	return []action{
		{Action: keyturn.Action{
			Name: "settings", Operation: "read-engine", Short: "Show how a secrets engine is set", Reads: true, Columns: tuneColumns,
			Long:    "Show how a secrets engine is set: how long what it issues lives, and of kv-v2 how many\nversions are kept, for how long, and whether a put must say what it replaces.",
			Example: "  keyturn vault settings secret",
			Inputs:  []keyturn.Input{at},
		}, Do: engineMounts.settings},
		{Action: keyturn.Action{
			Name: "tune", Operation: "tune-engine", Short: "Change how a secrets engine is set", Columns: tuneColumns,
			Long: `Change how a secrets engine is set; what is left out stays. It is read back and told.

Of kv-v2 these are for all secrets in it that do not say otherwise: see 'keyturn vault kv
tune'. With a smaller --max-versions the versions that are too many are gone with the
next put of their secret.`,
			Example: "  keyturn vault tune secret --description 'secrets of the shop' --max-versions 20\n  keyturn vault tune secret --cas-required no --delete-version-after 0s",
			Inputs:  append(slices.Clone(tune), kvInputs("no limit but the server's own")...),
		}, Do: engineMounts.tune},
		{Action: keyturn.Action{
			Name: "auth settings", Operation: "read-auth-method", Short: "Show how a login method is set", Reads: true, Columns: tuneColumns,
			Long:    "Show how a login method is set: how long its tokens live.",
			Example: "  keyturn vault auth settings token",
			Inputs:  []keyturn.Input{at},
		}, Do: loginMounts.settings},
		{Action: keyturn.Action{
			Name: "auth tune", Operation: "tune-auth-method", Short: "Change how a login method is set", Columns: tuneColumns,
			Long:    "Change how a login method is set; what is left out stays. It is read back and told.",
			Example: "  keyturn vault auth tune approle --ttl 1h --max-ttl 24h",
			Inputs:  tune,
		}, Do: loginMounts.tune},
		{Action: keyturn.Action{
			Name: "kv settings", Operation: "read-secret-settings", Short: "Show how many versions of a secret are kept, and how", Reads: true, Columns: kvTuneColumns,
			Long:    "Show how many versions of a secret are kept, for how long, and whether a put must say\nwhich it replaces; 0 is as the engine is set. No value is read.",
			Example: "  keyturn vault kv settings vault/secret/myapp/config",
			Inputs:  []keyturn.Input{secret},
		}, Do: secretSettings},
		{Action: keyturn.Action{
			Name: "kv tune", Operation: "tune-secret", Short: "Change how many versions of a secret are kept, and how", Columns: kvTuneColumns,
			Long: `Change how many versions of one secret are kept, for how long, and whether a put must
say which it replaces; what is left out stays. It is read back and told. Labels are set
by 'keyturn put --label'.

With a smaller --max-versions the versions that are too many are gone with the next put.`,
			Example: "  keyturn vault kv tune vault/secret/myapp/config --max-versions 5 --delete-version-after 90d",
			Inputs:  append([]keyturn.Input{secret}, kvInputs("as the engine is set")...),
		}, Do: tuneSecret},
	}
}

// kvSettings are the settings of a kv-v2 engine or of one secret, as the server returns them.
type kvSettings struct {
	Max     int    `json:"max_versions"`
	CAS     bool   `json:"cas_required"`
	Delete  string `json:"delete_version_after"`
	Current int    `json:"current_version"`
	Oldest  int    `json:"oldest_version"`
}

func (k kvSettings) add(item map[string]any) {
	item["max_versions"], item["cas_required"], item["delete_version_after_seconds"] = k.Max, k.CAS, seconds(k.Delete)
}

func seconds(s string) int64 {
	d, _ := time.ParseDuration(s) // 0 where it says nothing
	return int64(d / time.Second)
}

// kvBody returns the request that sets the given kv-v2 settings; empty where none is given.
func kvBody(a platform.Act) map[string]any {
	body := map[string]any{}
	if a.Args.Has("max-versions") {
		body["max_versions"] = a.Args.Number("max-versions")
	}
	if a.Args.Has("cas-required") {
		body["cas_required"] = a.Args.Text("cas-required") == "yes"
	}
	if a.Args.Has("delete-version-after") {
		body["delete_version_after"] = a.Args.Seconds("delete-version-after")
	}
	return body
}

// fewerVersions returns a notice where fewer versions are kept than before.
func fewerVersions(before, after kvSettings) []string {
	if after.Max > 0 && (after.Max < before.Max || before.Max == 0) {
		return []string{"versions beyond the newest " + strconv.Itoa(after.Max) + " are gone with the next put"}
	}
	return nil
}

// named returns the mount at the path that an action names, and the path.
func (k mountKind) named(ctx context.Context, s *server, a platform.Act) (string, mounted, error) {
	at := trimSlashes(a.Args.Text("path"))
	if err := checkPath("an "+k.what, at); err != nil {
		return "", mounted{}, err
	}
	all, err := k.all(ctx, s)
	if err != nil {
		return "", mounted{}, err
	}
	m, ok := all[at]
	if !ok {
		return "", mounted{}, notFound(k.what+" at", at, slices.Sorted(maps.Keys(all)))
	}
	return at, m, nil
}

// item returns the settings of the mount at a path.
func (k mountKind) item(ctx context.Context, s *server, at string, m mounted) (map[string]any, kvSettings, error) {
	item := map[string]any{"path": at, "type": m.kind(), "description": m.Description, "ttl_seconds": m.Config.TTL, "max_ttl_seconds": m.Config.MaxTTL,
		"listing_visibility": max(m.Config.Visibility, "hidden")}
	var kv kvSettings
	if k != engineMounts || m.kind() != "kv-v2" {
		return item, kv, nil
	}
	err := s.call(ctx, http.MethodGet, at+"/config", nil, &kv)
	if errors.Is(err, keyturn.Denied) { // a token may be allowed to see mounts and not this
		return item, kv, nil
	}
	kv.add(item)
	return item, kv, err
}

func (k mountKind) settings(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, m, err := k.named(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	item, _, err := k.item(ctx, s, at, m)
	return platform.Acted{Told: keyturn.Told{Items: []map[string]any{item}, Single: true}}, err
}

func (k mountKind) tune(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, m, err := k.named(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	body, kv := map[string]any{}, kvBody(a)
	setMembers(body, a, map[string]string{"description": "description", "listing-visibility": "listing_visibility"}, leaseTimes)
	switch {
	case len(body)+len(kv) == 0:
		return platform.Acted{}, nothingToTune()
	case len(kv) > 0 && m.kind() != "kv-v2":
		return platform.Acted{}, keyturn.E(keyturn.Unsupported, "the engine "+quoted(at)+" is of type "+keyturn.Clean(m.kind())+", which keeps no versions", "leave out what is for kv-v2")
	}
	_, before, err := k.item(ctx, s, at, m)
	if err != nil {
		return platform.Acted{}, err
	}
	if len(body) > 0 {
		if err := k.timesError(s.call(ctx, http.MethodPost, k.api+"/"+at+"/tune", body, nil), at); err != nil {
			return platform.Acted{}, err
		}
	}
	if len(kv) > 0 {
		if err := s.call(ctx, http.MethodPost, at+"/config", kv, nil); err != nil {
			e := *keyturn.AsError(err)
			if len(body) > 0 {
				e.Message += "; what is not of kv-v2 was changed"
			}
			return platform.Acted{}, &e
		}
	}
	out := platform.Acted{Told: keyturn.Told{Says: "changed the " + k.what + " " + keyturn.Clean(at)}}
	if _, m, err = k.named(ctx, s, a); err == nil {
		var item map[string]any
		var after kvSettings
		if item, after, err = k.item(ctx, s, at, m); err == nil {
			out.Items = []map[string]any{item}
			if kv["max_versions"] != nil {
				out.Notices = fewerVersions(before, after)
			}
		}
	}
	noteUnread(err, &out)
	return out, nil
}

func nothingToTune() error {
	return keyturn.E(keyturn.Invalid, "nothing is said to change", "say what: its help lists the settings")
}

// noteUnread adds a notice where a change could not be read back.
func noteUnread(err error, out *platform.Acted) {
	if err != nil {
		out.Notices = append(out.Notices, "it was changed, and could not be read back: "+keyturn.AsError(err).Message)
	}
}

func tooLong(err error) bool {
	return api.Says(err, "less than") || api.Says(err, "greater than")
}

func longerThanLongest(err error) error {
	return keyturn.E(keyturn.Invalid, "the server refuses these times: the default must not be longer than the longest", "shorten --ttl, or raise --max-ttl").Because(err)
}

// timesError explains the error of a request that sets times.
func (k mountKind) timesError(err error, at string) error {
	switch {
	case err == nil:
		return nil
	case tooLong(err):
		return longerThanLongest(err)
	case k == loginMounts:
		return needsSudo(err, k.api+"/"+at+"/tune", `"update"`)
	}
	return err
}

// metadataPath returns the path of a secret's settings, and its engine.
func metadataPath(ctx context.Context, s *server, a platform.Act) (string, policy.Engine, error) {
	if a.On.Version() != "" || a.On.Field() != "" {
		return "", policy.Engine{}, keyturn.E(keyturn.Invalid, "these settings are of a whole secret, with all of its versions", "leave version and field out").About(a.On)
	}
	e, within, err := s.engineOf(ctx, a.On.Name())
	if err != nil {
		return "", e, err
	}
	if e.KV != 2 {
		return "", e, keyturn.E(keyturn.Unsupported, "the engine "+quoted(e.Path)+" is kv version 1, which keeps no versions", "there is nothing to set").About(a.On)
	}
	return e.Path + "/metadata/" + within, e, nil
}

// readKVSettings reads the settings of a secret; NotFound where there is no such secret.
func readKVSettings(ctx context.Context, s *server, a platform.Act, at string) (kvSettings, error) {
	var kv kvSettings
	err := s.call(ctx, http.MethodGet, at, nil, &kv)
	if errors.Is(err, keyturn.NotFound) {
		return kv, keyturn.E(keyturn.NotFound, "no secret at "+keyturn.Clean(a.On.Name()), "").About(a.On)
	}
	return kv, err
}

func (k kvSettings) item(a platform.Act) map[string]any {
	item := map[string]any{"ref": a.On.String(), "current_version": k.Current, "oldest_version": k.Oldest}
	k.add(item)
	return item
}

func secretSettings(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, _, err := metadataPath(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	kv, err := readKVSettings(ctx, s, a, at)
	return platform.Acted{Told: keyturn.Told{Items: []map[string]any{kv.item(a)}, Single: true}}, err
}

func tuneSecret(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	body := kvBody(a)
	if len(body) == 0 {
		return platform.Acted{}, nothingToTune()
	}
	at, e, err := metadataPath(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	before, err := readKVSettings(ctx, s, a, at)
	if err != nil {
		return platform.Acted{}, err
	}
	if err := s.call(ctx, http.MethodPost, at, body, nil); err != nil {
		return platform.Acted{}, err
	}
	out := platform.Acted{Told: keyturn.Told{Says: "changed the settings of " + keyturn.Clean(a.On.Short())}}
	after, err := readKVSettings(ctx, s, a, at)
	noteUnread(err, &out)
	if err != nil {
		return out, nil
	}
	out.Items = []map[string]any{after.item(a)}
	if body["max_versions"] != nil {
		out.Notices = fewerVersions(before, after)
	}
	var engine kvSettings
	if seconds(after.Delete) > 0 && s.call(ctx, http.MethodGet, e.Path+"/config", nil, &engine) == nil && seconds(engine.Delete) > 0 && seconds(engine.Delete) < seconds(after.Delete) {
		out.Notices = append(out.Notices, "the engine deletes versions earlier, after "+strconv.FormatInt(seconds(engine.Delete), 10)+" seconds, and the shorter time counts")
	}
	return out, nil
}
