package platform_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/platformtest"
)

var inFolder = keyturn.MustRef("mem/a/name")

// endless answers so many folders in every folder, and one name. Like a platform behind
// a network it makes each of its requests by Retry, and asks CheckDepth.
type endless struct {
	*platformtest.Memory
	folders int
	asked   *int
}

func (p endless) List(ctx context.Context, prefix string) iter.Seq2[keyturn.Info, error] {
	return func(yield func(keyturn.Info, error) bool) { p.walk(ctx, prefix, yield) }
}

func (p endless) walk(ctx context.Context, folder string, yield func(keyturn.Info, error) bool) bool {
	if err := spec.CheckDepth(folder); err != nil {
		return yield(keyturn.Info{Path: "mem/" + folder + "/"}, err)
	}
	n, err := platform.Retry(ctx, func() (int, error) { *p.asked++; return p.folders, nil })
	if err != nil {
		yield(keyturn.Info{}, err)
		return false
	}
	if !yield(keyturn.Info{Ref: inFolder, State: keyturn.Live}, nil) {
		return false
	}
	for i := range n {
		if !p.walk(ctx, strings.TrimPrefix(folder+"/"+string(rune('a'+i)), "/"), yield) {
			return false
		}
	}
	return true
}

// TestEndlessListing: a server that answers folders without end is listed to a depth,
// and with so many requests; the listing says that it is not complete, and what came
// before stands.
func TestEndlessListing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		folders, least, most int
		says                 string
	}{
		"deep": {1, platform.MaxLevels, platform.MaxLevels, "levels deep"},
		"wide": {3, 100_000, 100_000, "100,000 requests"},
	} {
		asked := 0
		m := mounted(endless{platformtest.NewMemory("mem", spec), c.folders, &asked})
		names := 0
		var last keyturn.Info
		var end error
		for info, err := range m.List(t.Context(), prefix("mem/a"), false) {
			if last, end = info, err; err == nil {
				names++
			}
		}
		if asked < c.least || asked > c.most || names != asked {
			t.Errorf("%s: %d requests, %d names", name, asked, names)
		}
		if e := wantError(t, end, keyturn.Unavailable); !strings.Contains(e.Message, c.says) || !last.IsFolder() || len(e.Message) > 250 {
			t.Errorf("%s: it ends with '%v' beside %+v", name, end, last)
		}
	}
}

// TestRequestsOfAnOperation: all listings of one operation share a budget, also where a
// listing is made for each of many folders.
func TestRequestsOfAnOperation(t *testing.T) {
	t.Parallel()
	asked := 0
	m := mounted(endless{platformtest.NewMemory("mem", spec), 3, &asked})
	ctx := platform.Bounded(t.Context())
	for range 5 {
		var end error
		for _, err := range m.Names(ctx, prefix("mem/a"), false) {
			end = err
		}
		if !platform.IsCut(end) {
			t.Fatalf("a listing of an operation ends with %v", end)
		}
	}
	if asked > 100_000 {
		t.Errorf("%d requests", asked)
	}
	// Reads that are no listing are not counted.
	if _, err := m.Get(ctx, keyturn.MustRef("mem/a")); !errors.Is(err, keyturn.NotFound) {
		t.Errorf("a read: %v", err)
	}
}
