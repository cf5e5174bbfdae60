package platformtest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
)

// say formats an error for the suite's findings.
func say(err error) string {
	if err == nil {
		return "no error"
	}
	e := keyturn.AsError(err)
	out := string(e.Code) + ": " + e.Message
	if e.Hint != "" {
		out += " (hint: " + e.Hint + ")"
	}
	if e.Err != nil {
		out += fmt.Sprintf(" (cause: %v)", e.Err)
	}
	return out
}

// difference describes how two sets of values differ, without a value; "" where they
// are equal.
func difference(got, want map[string]keyturn.Value) string {
	gotFields, wantFields := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))
	if !slices.Equal(gotFields, wantFields) {
		return fmt.Sprintf("fields %q, want %q", gotFields, wantFields)
	}
	for _, f := range wantFields {
		if !got[f].Equal(want[f]) {
			return fmt.Sprintf("field '%s' is not byte for byte what was put", f)
		}
	}
	return ""
}

// firstError returns the first error of a listing; nil where it has none.
func firstError(list iter.Seq2[keyturn.Info, error]) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// level returns the names that a listing of a mount must yield below a prefix. With
// shallow that is one level, where a folder is named by the prefix that lists it.
func level(mount, under string, names []string, shallow bool) map[string]bool {
	want := map[string]bool{}
	for _, n := range names {
		segment, _, deeper := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(n, under), "/"), "/")
		if ref, err := keyturn.NewRef(mount, under+"/"+segment); deeper && shallow && err == nil {
			n = ref.Path() + "/"
		}
		want[n] = true
	}
	return want
}

// mergeLabels returns the labels of now, with those of set added and those of remove
// taken away.
func mergeLabels(now, set map[string]string, remove []string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, now)
	maps.Copy(out, set)
	for _, k := range remove {
		delete(out, k)
	}
	return out
}

// settle calls problem until it returns "", and returns its last answer. It calls
// problem once, or, where late, for some time.
func settle(late bool, problem func() string) string {
	tries := 1
	if late {
		tries = 200
	}
	what := ""
	for try := range tries {
		if try > 0 {
			time.Sleep(min(time.Duration(try)*time.Millisecond, 250*time.Millisecond))
		}
		if what = problem(); what == "" {
			return ""
		}
	}
	return what
}

// cancelled returns a context that has ended.
func cancelled(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx, cancel
}
