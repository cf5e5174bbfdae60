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
// time. A folder that this token may not list ends it with Denied.
func (p *Platform) List(ctx context.Context, prefix string) iter.Seq2[keyturn.Info, error] {
	return func(yield func(keyturn.Info, error) bool) {
		engines, err := p.visible(ctx)
		if err != nil {
			yield(keyturn.Info{}, err)
			return
		}
		slices.SortFunc(engines, func(a, b engine) int { return strings.Compare(a.path, b.path) })
		for _, e := range engines {
			switch {
			case keyturn.Under(prefix, e.path):
				if !p.walk(ctx, e, "", yield) {
					return
				}
			case strings.HasPrefix(prefix, e.path+"/"):
				if !p.below(ctx, e, strings.TrimPrefix(prefix, e.path+"/"), yield) {
					return
				}
			}
		}
	}
}

// below yields the secret of that name, if there is one, and what lies below it. A
// token that may list a folder and not look at a secret of the folder's own name
// gets the folder.
func (p *Platform) below(ctx context.Context, e engine, name string, yield func(keyturn.Info, error) bool) bool {
	var denied error
	some := false
	counted := func(info keyturn.Info, err error) bool {
		some = true
		return yield(info, err)
	}
	on := p.leaves(ctx, e, []string{name}, true, func(info keyturn.Info, err error) bool {
		if errors.Is(err, keyturn.Denied) {
			denied = err
			return true
		}
		return counted(info, err)
	})
	if !on && denied == nil || !p.walk(ctx, e, name+"/", counted) {
		return false
	}
	if denied != nil && !some {
		yield(keyturn.Info{}, denied)
		return false
	}
	return true
}

// walk yields what lies in a folder, "" or ending in a slash, and below it; false
// where the consumer has stopped or an error ended it.
func (p *Platform) walk(ctx context.Context, e engine, folder string, yield func(keyturn.Info, error) bool) bool {
	var answer struct {
		Keys []string `json:"keys"`
	}
	path := e.path + "/"
	if e.version == 2 {
		path += "metadata/"
	}
	err := p.ask(ctx, "LIST", path+folder, &answer)
	if errors.Is(err, keyturn.NotFound) {
		return true // an empty folder is none
	}
	if err != nil {
		yield(keyturn.Info{}, err)
		return false
	}
	var names []string
	for _, k := range answer.Keys {
		if !strings.HasSuffix(k, "/") {
			names = append(names, folder+k)
		}
	}
	if !p.leaves(ctx, e, names, false, yield) {
		return false
	}
	for _, k := range answer.Keys {
		if strings.HasSuffix(k, "/") && !p.walk(ctx, e, folder+k, yield) {
			return false
		}
	}
	return true
}

// leaves yields secrets by their names, in order; one that is gone meanwhile is
// left out. maybe tells that the name may be none from the start.
func (p *Platform) leaves(ctx context.Context, e engine, names []string, maybe bool, yield func(keyturn.Info, error) bool) bool {
	for page := range slices.Chunk(names, 4*together) {
		infos, err := p.page(ctx, e, page, maybe)
		if err != nil {
			yield(keyturn.Info{}, err)
			return false
		}
		for _, info := range infos {
			if info.State != "" && !yield(info, nil) {
				return false
			}
		}
	}
	return true
}

// page asks about some names, several at a time. What is gone has no state. The
// first error ends all of it.
func (p *Platform) page(ctx context.Context, e engine, names []string, maybe bool) ([]keyturn.Info, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	infos := make([]keyturn.Info, len(names))
	slots := make(chan struct{}, together)
	var wg sync.WaitGroup
	for i, name := range names {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			info, err := p.leaf(ctx, e, name, maybe)
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

func (p *Platform) leaf(ctx context.Context, e engine, rest string, maybe bool) (keyturn.Info, error) {
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
