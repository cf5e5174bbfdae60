package keyturn

import (
	"iter"
	"strings"
)

// Fold stops a listing at the next segment below under: what lies deeper is
// yielded once for each folder, as an Info with a zero Ref and for a Path the
// prefix that lists it, as people type it: "local/myapp/". Errors pass: one beside a
// folder is of that folder alone, and any other ends it.
func Fold(under Prefix, list iter.Seq2[Info, error]) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		seen := map[string]bool{}
		for info, err := range list {
			if err == nil && !info.Ref.IsZero() {
				rest := strings.TrimPrefix(strings.TrimPrefix(info.Ref.Name(), under.Path()), "/")
				if segment, _, deeper := strings.Cut(rest, "/"); deeper {
					folder := strings.TrimPrefix(under.Path()+"/"+segment, "/")
					if seen[folder] {
						continue
					}
					seen[folder] = true
					info = Info{}
					var r Ref
					if r, err = NewRef(under.Mount(), folder); err == nil {
						info.Path = r.Path() + "/"
					}
				}
			}
			if !yield(info, err) || err != nil && !info.IsFolder() {
				return
			}
		}
	}
}
