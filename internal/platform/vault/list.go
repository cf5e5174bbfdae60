package vault

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// together is how many requests one listing has under way.
const together = 16

// List implements platform.Platform: all folders below the prefix, engine by
// engine. What stands newest is asked for each name of version 2, several at a
// time.
func (p *Platform) List(ctx context.Context, prefix string) iter.Seq2[keyturn.Info, error] {
	return p.ListSome(ctx, prefix, platform.Look{})
}

// ListSome implements platform.Lister: one request for each folder, and with Names
// none for each name. A secret of which only the metadata was written has a name,
// too.
func (p *Platform) ListSome(ctx context.Context, prefix string, look platform.Look) iter.Seq2[keyturn.Info, error] {
	return func(yield func(keyturn.Info, error) bool) {
		engines, err := p.visible(ctx)
		if err != nil {
			yield(keyturn.Info{}, err)
			return
		}
		slices.SortFunc(engines, func(a, b engine) int { return strings.Compare(a.path, b.path) })
		l := listing{p: p, look: look, prefix: prefix, yield: yield, deep: new(bool)}
		shown := ""
		for _, e := range engines {
			on := true
			switch {
			case e.path != prefix && keyturn.Under(prefix, e.path) && look.Shallow:
				rest := strings.TrimPrefix(strings.TrimPrefix(e.path, prefix), "/")
				segment, _, _ := strings.Cut(rest, "/")
				if folder := strings.TrimPrefix(prefix+"/"+segment, "/"); folder != shown { // engines are sorted
					shown, on = folder, yield(p.folder(folder), nil)
				}
			case keyturn.Under(prefix, e.path):
				on = l.walk(ctx, e, "")
			case strings.HasPrefix(prefix, e.path+"/"):
				on = l.below(ctx, e, strings.TrimPrefix(prefix, e.path+"/"))
			}
			if !on {
				return
			}
		}
	}
}

// folder stands for a folder of a listing. One whose name no reference can hold has
// a Path that lists nothing.
func (p *Platform) folder(name string) keyturn.Info {
	ref, err := keyturn.NewRef(p.mount, name)
	if err != nil {
		return keyturn.Info{Path: name, State: keyturn.Live}
	}
	return keyturn.Info{Path: ref.Path() + "/"}
}

// listing is one listing under way. Its methods report false where the consumer has
// stopped or an error ended it.
type listing struct {
	p      *Platform
	look   platform.Look
	prefix string
	yield  func(keyturn.Info, error) bool
	deep   *bool // that a folder is too deep was told
}

// below yields the secret of that name, if there is one, and what lies below it. A
// token that may list a folder and not look at a secret of the folder's own name
// gets the folder.
func (l listing) below(ctx context.Context, e engine, name string) bool {
	var denied error
	some := false
	inner := l
	inner.yield = func(info keyturn.Info, err error) bool {
		some = true
		return l.yield(info, err)
	}
	own := inner
	own.yield = func(info keyturn.Info, err error) bool {
		if errors.Is(err, keyturn.Denied) {
			denied = err
			return true
		}
		return inner.yield(info, err)
	}
	on := own.leaves(ctx, e, []string{name}, true)
	if !on && denied == nil || !inner.walk(ctx, e, name+"/") {
		return false
	}
	if denied != nil && !some {
		l.yield(keyturn.Info{}, denied)
		return false
	}
	return true
}

// walk yields what lies in a folder, "" or ending in a slash, and below it. A folder
// below the prefix that may not be listed is told, and the rest goes on; so is the first
// that is too deep.
func (l listing) walk(ctx context.Context, e engine, folder string) bool {
	name := strings.TrimSuffix(e.path+"/"+folder, "/")
	if err := Spec.CheckDepth(name); err != nil {
		if *l.deep {
			return true
		}
		*l.deep = true
		info := l.p.folder(name)
		return l.yield(info, err) && info.IsFolder() // a name that no reference holds: Mount tells it
	}
	var answer struct {
		Keys []string `json:"keys"`
	}
	path := e.path + "/"
	if e.version == 2 {
		path += "metadata/"
	}
	err := l.p.ask(ctx, "LIST", path+folder, &answer)
	if errors.Is(err, keyturn.NotFound) {
		return true // an empty folder is none
	}
	if err != nil && errors.Is(err, keyturn.Denied) && name != l.prefix {
		if info := l.p.folder(name); info.IsFolder() {
			told := *keyturn.AsError(err)
			told.Message = keyturn.Clean(info.Path) + " may not be listed"
			return l.yield(info, &told)
		}
	}
	if err != nil {
		l.yield(keyturn.Info{}, err)
		return false
	}
	var names []string
	for _, k := range answer.Keys {
		if !strings.HasSuffix(k, "/") {
			names = append(names, folder+k)
		}
	}
	if !l.leaves(ctx, e, names, false) {
		return false
	}
	for _, k := range answer.Keys {
		if !strings.HasSuffix(k, "/") {
			continue
		}
		if l.look.Shallow {
			if !l.yield(l.p.folder(e.path+"/"+folder+strings.TrimSuffix(k, "/")), nil) {
				return false
			}
		} else if !l.walk(ctx, e, folder+k) {
			return false
		}
	}
	return true
}

// leaves yields secrets by their names, in order; one that is gone meanwhile is
// left out. maybe tells that the name may be none from the start.
func (l listing) leaves(ctx context.Context, e engine, names []string, maybe bool) bool {
	for page := range slices.Chunk(names, 4*together) {
		infos, err := l.page(ctx, e, page, maybe)
		if err != nil {
			l.yield(keyturn.Info{}, err)
			return false
		}
		for _, info := range infos {
			if info.Path != "" && !l.yield(info, nil) {
				return false
			}
		}
	}
	return true
}

// page asks about some names, several at a time. What is gone has no path. The
// first error ends all of it.
func (l listing) page(ctx context.Context, e engine, names []string, maybe bool) ([]keyturn.Info, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	infos := make([]keyturn.Info, len(names))
	slots := make(chan struct{}, together)
	var wg sync.WaitGroup
	for i, name := range names {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			info, err := l.p.leaf(ctx, e, name, maybe, l.look.Names)
			if err != nil && !errors.Is(err, keyturn.NotFound) {
				stop(err)
				return
			}
			infos[i] = info
		})
	}
	wg.Wait()
	return infos, context.Cause(ctx)
}

// ask is one request of a listing, tried again as Mount does elsewhere.
func (p *Platform) ask(ctx context.Context, method, path string, out any) error {
	_, err := platform.Retry(ctx, func() (struct{}, error) {
		return struct{}{}, p.client.Do(ctx, keyturn.Ref{}, method, path, "", nil, out)
	})
	return err
}

// leaf is what is known of one name, or with named of the name alone.
func (p *Platform) leaf(ctx context.Context, e engine, rest string, maybe, named bool) (keyturn.Info, error) {
	ref, err := keyturn.NewRef(p.mount, e.path+"/"+rest)
	if err != nil { // no reference can hold that name
		return keyturn.Info{Path: e.path + "/" + rest, State: keyturn.Live}, nil
	}
	if e.version == 1 {
		if maybe { // only a look at the value would tell; a listing never takes one
			return p.leafOfFolder(ctx, e, ref, rest)
		}
		return plainInfo(ref, e, rest), nil
	}
	if named && !maybe {
		return keyturn.Info{Ref: ref, Path: e.path + "/data/" + rest}, nil
	}
	m, err := platform.Retry(ctx, func() (metadata, error) { return p.metadata(ctx, ref, e, rest) })
	if errors.Is(err, keyturn.Denied) && !maybe {
		// This token may list the folder, and no more: there is the name.
		return keyturn.Info{Ref: ref, Path: e.path + "/data/" + rest, State: keyturn.Live}, nil
	}
	if err != nil {
		return keyturn.Info{}, err
	}
	return p.described(ref, e, rest, m, m.Versions[strconv.Itoa(m.Current)]), nil
}

// leafOfFolder finds a name of version 1 in the listing of its folder.
func (p *Platform) leafOfFolder(ctx context.Context, e engine, ref keyturn.Ref, rest string) (keyturn.Info, error) {
	var answer struct {
		Keys []string `json:"keys"`
	}
	folder, name := "", rest
	if i := strings.LastIndexByte(rest, '/'); i >= 0 {
		folder, name = rest[:i+1], rest[i+1:]
	}
	if err := p.ask(ctx, "LIST", e.path+"/"+folder, &answer); err != nil {
		return keyturn.Info{}, err
	}
	if !slices.Contains(answer.Keys, name) {
		return keyturn.Info{}, keyturn.E(keyturn.NotFound, "no secret at "+e.path+"/"+rest, "")
	}
	return plainInfo(ref, e, rest), nil
}
