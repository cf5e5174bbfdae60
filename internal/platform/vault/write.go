package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// Put implements platform.Putter. Labels are written after the value: they
// belong to the secret.
func (p *Platform) Put(ctx context.Context, ref keyturn.Ref, n platform.New) (keyturn.Info, error) {
	e, rest, err := p.engine(ctx, ref)
	if err != nil {
		return keyturn.Info{}, err
	}
	body, err := encode(ref, n)
	if err != nil {
		return keyturn.Info{}, err
	}
	if e.version == 1 {
		return p.putPlain(ctx, ref, e, rest, n, body)
	}
	options := map[string]any{}
	switch n.IfVersion {
	case "":
	case keyturn.None:
		options["cas"] = 0
	default:
		if options["cas"], err = number(ref, n.IfVersion); err != nil {
			return keyturn.Info{}, err
		}
	}
	var made version
	err = p.client.Do(ctx, ref, http.MethodPost, e.path+"/data/"+rest, "", map[string]any{"data": body, "options": options}, &made)
	if err != nil {
		return keyturn.Info{}, tooLarge(ref, err)
	}
	if made.Version < 1 {
		return keyturn.Info{}, &keyturn.Error{Code: keyturn.Unavailable, Ref: ref, Unknown: true, Message: "the server does not say which version it made"}
	}
	info := p.info(ref, e, rest, made)
	info.Current, info.Labels = true, made.Metadata
	if len(n.Labels)+len(n.Unlabel) == 0 {
		return info, nil
	}
	if err := p.relabel(ctx, ref, e, rest, n.Labels, n.Unlabel); err != nil {
		e := *keyturn.AsError(err)
		e.Message, e.Unknown = "version "+info.Version+" was written, but not its labels: "+e.Message, true
		return keyturn.Info{}, &e
	}
	if info.Labels = maps.Clone(made.Metadata); info.Labels == nil {
		info.Labels = map[string]string{}
	}
	maps.Copy(info.Labels, n.Labels)
	for _, k := range n.Unlabel {
		delete(info.Labels, k)
	}
	return info, nil
}

// Label implements platform.Labeler.
func (p *Platform) Label(ctx context.Context, ref keyturn.Ref, set map[string]string, remove []string) error {
	e, rest, err := p.engine(ctx, ref)
	if err != nil {
		return err
	}
	if e.version == 1 {
		return labelless(ref, e)
	}
	return p.relabel(ctx, ref, e, rest, set, remove)
}

// relabel changes some labels by a patch, which leaves others to whoever changes them
// meanwhile. A token without "patch", and a server that knows none, gets all of them
// read and written: there the last writer wins.
func (p *Platform) relabel(ctx context.Context, ref keyturn.Ref, e engine, rest string, set map[string]string, remove []string) error {
	path := e.path + "/metadata/" + rest
	change := map[string]any{}
	for k, v := range set {
		change[k] = v
	}
	for _, k := range remove {
		change[k] = nil
	}
	err := p.client.Do(ctx, ref, http.MethodPatch, path, "", map[string]any{"custom_metadata": change}, nil)
	if !errors.Is(err, keyturn.Denied) && !errors.Is(err, keyturn.Unsupported) {
		return err
	}
	m, err := p.metadata(ctx, ref, e, rest)
	if err != nil {
		return err
	}
	all := maps.Clone(m.Custom)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, set)
	for _, k := range remove {
		delete(all, k)
	}
	return p.client.Do(ctx, ref, http.MethodPost, path, "", map[string]any{"custom_metadata": all}, nil)
}

func labelless(ref keyturn.Ref, e engine) error {
	return keyturn.E(keyturn.Unsupported, "the engine '"+keyturn.Clean(e.path)+"' is kv version 1, which keeps no labels", "leave --label out").About(ref)
}

// Advise implements platform.Adviser: the API's own data/ and metadata/ are no part of
// a name, and who writes them makes a folder of that name.
func (p *Platform) Advise(ctx context.Context, ref keyturn.Ref) string {
	e, rest, err := p.engine(ctx, ref)
	if err != nil || e.version != 2 {
		return ""
	}
	folder, name, _ := strings.Cut(rest, "/")
	if folder != "data" && folder != "metadata" || name == "" {
		return ""
	}
	if err := p.ask(ctx, "LIST", e.path+"/metadata/"+folder+"/", nil); !errors.Is(err, keyturn.NotFound) {
		return ""
	}
	return "this makes a folder '" + folder + "' in the engine " + e.path + ": names are written without the API's " + folder + "/; was " +
		ref.Mount() + "/" + e.path + "/" + name + " meant? Then 'keyturn destroy " + keyturn.Quote(ref.Short()) + "'"
}

// tooLarge is err, or what it means where a put is beyond the limits of the server's
// listener, which then answers 500 and has written nothing
// (https://developer.hashicorp.com/vault/docs/configuration/listener/tcp, max_json_…).
func tooLarge(ref keyturn.Ref, err error) error {
	if !api.Says(err, "exceeds allowed") {
		return err
	}
	return keyturn.E(keyturn.Invalid, "a value, or the number of fields, of "+keyturn.Clean(ref.Short())+" is larger than the server takes",
		"a value may have 1 MiB and a secret 10,000 fields, where its listener's max_json settings say nothing else: use several fields, or several secrets").About(ref).Because(err)
}

// encode makes the secret's JSON object: strings, and what has another type.
func encode(ref keyturn.Ref, n platform.New) (map[string]json.RawMessage, error) {
	out := make(map[string]json.RawMessage, len(n.Values))
	for f, v := range n.Values {
		b := v.Reveal()
		if !slices.Contains(n.Typed, f) {
			var text bytes.Buffer
			enc := json.NewEncoder(&text)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(string(b)); err != nil {
				return nil, keyturn.E(keyturn.Internal, "a value has no JSON form", "").About(ref)
			}
			b = bytes.TrimSuffix(text.Bytes(), []byte("\n"))
		}
		out[f] = b
	}
	return out, nil
}

func number(ref keyturn.Ref, v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || !platform.IsNumber(v) {
		return 0, keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(v)+"' is not a version: vault counts 1, 2, 3, …", "").About(ref)
	}
	return n, nil
}

// Delete implements platform.Deleter: the newest version, for ever restorable.
func (p *Platform) Delete(ctx context.Context, ref keyturn.Ref) (keyturn.Info, time.Time, error) {
	info, err := p.mark(ctx, ref, keyturn.Deleted)
	return info, time.Time{}, err
}

// Restore implements platform.Restorer.
func (p *Platform) Restore(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error) {
	return p.mark(ctx, ref, keyturn.Live)
}

// mark deletes or undeletes one version by its number, so that another one that
// is written meanwhile is not hit.
func (p *Platform) mark(ctx context.Context, ref keyturn.Ref, to keyturn.State) (keyturn.Info, error) {
	e, rest, err := p.engine(ctx, ref)
	if err != nil {
		return keyturn.Info{}, err
	}
	if e.version == 1 {
		return keyturn.Info{}, unversioned(ref, e)
	}
	info, err := p.Describe(ctx, ref)
	if errors.Is(err, keyturn.Denied) && to == keyturn.Deleted { // to delete is not to see what is there
		info = keyturn.Info{Ref: ref.Secret(), Path: e.path + "/data/" + rest, State: to}
		return info, p.client.Do(ctx, ref, http.MethodDelete, e.path+"/data/"+rest, "", nil, nil)
	}
	if err != nil {
		return keyturn.Info{}, err
	}
	if err := platform.CheckState(ref, ref.Secret().Short(), info, to); err != nil {
		return keyturn.Info{}, err
	}
	n, err := number(ref, info.Version)
	if err != nil {
		return keyturn.Info{}, err
	}
	act := "delete"
	if to == keyturn.Live {
		act = "undelete"
	}
	err = p.client.Do(ctx, ref, http.MethodPost, e.path+"/"+act+"/"+rest, "", map[string]any{"versions": []int{n}}, nil)
	if errors.Is(err, keyturn.Denied) && to == keyturn.Deleted {
		return p.deleteNewest(ctx, ref, e, rest, info)
	}
	if err != nil {
		return keyturn.Info{}, err
	}
	info.State = to
	info.Current = false
	if to == keyturn.Live {
		if newest, err := p.Describe(ctx, ref.Secret()); err == nil {
			info.Current = newest.Version == info.Version
		}
	}
	return info, nil
}

// deleteNewest deletes whichever version is newest, for a token that may not name
// one; info is the one that was. The answer is about the one that was hit.
func (p *Platform) deleteNewest(ctx context.Context, ref keyturn.Ref, e engine, rest string, info keyturn.Info) (keyturn.Info, error) {
	if err := p.client.Do(ctx, ref, http.MethodDelete, e.path+"/data/"+rest, "", nil, nil); err != nil {
		return keyturn.Info{}, err
	}
	if now, err := p.Describe(ctx, ref.Secret()); err == nil && now.State == keyturn.Deleted {
		return now, nil
	}
	info.State, info.Current = keyturn.Deleted, false
	return info, nil
}

// Destroy implements platform.Destroyer.
func (p *Platform) Destroy(ctx context.Context, ref keyturn.Ref, versions []string) error {
	e, rest, err := p.engine(ctx, ref)
	if err != nil {
		return err
	}
	if e.version == 1 {
		return p.destroyPlain(ctx, ref, e, rest, versions)
	}
	m, err := p.metadata(ctx, ref, e, rest)
	if err != nil {
		return err
	}
	if len(versions) == 0 {
		return p.client.Do(ctx, ref, http.MethodDelete, e.path+"/metadata/"+rest, "", nil, nil)
	}
	history := "'keyturn history " + keyturn.Quote(keyturn.Clean(ref.Secret().Short())) + "' lists the versions"
	var numbers []int
	for _, v := range versions {
		n, err := number(ref, v)
		if err != nil {
			return err
		}
		known, ok := m.Versions[v]
		switch {
		case !ok:
			return keyturn.E(keyturn.NotFound, keyturn.Clean(ref.Short())+" has no version "+v+": nothing was destroyed", history).About(ref)
		case known.Gone:
			return keyturn.E(keyturn.NotFound, "version "+v+" of "+keyturn.Clean(ref.Short())+" is destroyed already: nothing else was destroyed", history).About(ref)
		}
		numbers = append(numbers, n)
	}
	return p.client.Do(ctx, ref, http.MethodPost, e.path+"/destroy/"+rest, "", map[string]any{"versions": numbers}, nil)
}

// Version 1 of the engine: one version, without a number.

func unversioned(ref keyturn.Ref, e engine) error {
	return keyturn.E(keyturn.Unsupported, "the engine '"+keyturn.Clean(e.path)+"' is kv version 1, which keeps no versions",
		"'keyturn destroy "+keyturn.Quote(ref.Secret().Short())+"' deletes for ever").About(ref)
}

func (p *Platform) getPlain(ctx context.Context, ref keyturn.Ref, e engine, rest string) (keyturn.Secret, error) {
	if ref.Version() != "" && ref.Version() != plainVersion {
		return keyturn.Secret{}, unversioned(ref, e)
	}
	data := map[string]json.RawMessage{}
	err := p.client.Do(ctx, ref, http.MethodGet, e.path+"/"+rest, "", nil, &data)
	if errors.Is(err, keyturn.NotFound) {
		err = keyturn.E(keyturn.NotFound, "no secret at "+e.path+"/"+rest, "").About(ref)
	}
	if err != nil {
		return keyturn.Secret{}, err
	}
	return secretOf(ref, plainInfo(ref, e, rest), data)
}

// describePlain finds a name in the listing of its folder: version 1 tells nothing
// of a secret but its value.
func (p *Platform) describePlain(ctx context.Context, ref keyturn.Ref, e engine, rest string) (keyturn.Info, error) {
	if ref.Version() != "" && ref.Version() != plainVersion {
		return keyturn.Info{}, unversioned(ref, e)
	}
	return p.leafOfFolder(ctx, e, ref, rest)
}

// plainVersion stands for the one version that version 1 keeps.
const plainVersion = "1"

func plainInfo(ref keyturn.Ref, e engine, rest string) keyturn.Info {
	return keyturn.Info{Ref: ref.Secret(), Path: e.path + "/" + rest, Version: plainVersion, State: keyturn.Live, Current: true, Versions: 1}
}

func (p *Platform) putPlain(ctx context.Context, ref keyturn.Ref, e engine, rest string, n platform.New, body map[string]json.RawMessage) (keyturn.Info, error) {
	if len(n.Labels)+len(n.Unlabel) > 0 {
		return keyturn.Info{}, labelless(ref, e)
	}
	if n.Demanded {
		return keyturn.Info{}, keyturn.E(keyturn.Unsupported, "the engine '"+keyturn.Clean(e.path)+"' is kv version 1, which cannot put only if a version is current",
			"leave --if-version out; another writer may then be overwritten").About(ref)
	}
	if err := p.client.Do(ctx, ref, http.MethodPost, e.path+"/"+rest, "", body, nil); err != nil {
		return keyturn.Info{}, tooLarge(ref, err)
	}
	return plainInfo(ref, e, rest), nil
}

func (p *Platform) destroyPlain(ctx context.Context, ref keyturn.Ref, e engine, rest string, versions []string) error {
	if len(versions) > 0 {
		return unversioned(ref, e)
	}
	if _, err := p.describePlain(ctx, ref, e, rest); err != nil {
		return err
	}
	return p.client.Do(ctx, ref, http.MethodDelete, e.path+"/"+rest, "", nil, nil)
}
