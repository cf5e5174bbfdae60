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
				rest := strings.TrimPrefix(prefix, e.path+"/")
				if !p.leaves(ctx, e, []string{rest}, true, yield) || !p.walk(ctx, e, rest+"/", yield) {
					return
				}
			}
		}
	}
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
	err := p.client.Do(ctx, keyturn.Ref{}, "LIST", path+folder, "", nil, &answer)
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
		infos, errs := make([]keyturn.Info, len(page)), make([]error, len(page))
		slots := make(chan struct{}, together)
		var wg sync.WaitGroup
		for i, name := range page {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				infos[i], errs[i] = p.leaf(ctx, e, name, maybe)
			})
		}
		wg.Wait()
		for i := range page {
			if errors.Is(errs[i], keyturn.NotFound) {
				continue
			}
			if !yield(infos[i], errs[i]) || errs[i] != nil {
				return false
			}
		}
	}
	return true
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
	m, err := p.metadata(ctx, ref, e, rest)
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
	if err := p.client.Do(ctx, keyturn.Ref{}, "LIST", e.path+"/"+folder, "", nil, &answer); err != nil {
		return keyturn.Info{}, err
	}
	if !slices.Contains(answer.Keys, name) {
		return keyturn.Info{}, keyturn.E(keyturn.NotFound, "no secret at "+e.path+"/"+rest, "")
	}
	return plainInfo(ref, e, rest), nil
}
