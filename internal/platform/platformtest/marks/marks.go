// Package marks is what the suite needs that is about no platform: a value that must
// not leave, however it is written, whether two are the same, and everything that an
// error says.
package marks

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
)

// Forms returns mark as it may appear in text: plain, base64 in its three
// alignments, hexadecimal, URL, JSON, as a list of numbers, and reversed.
func Forms(mark string) []string {
	b := []byte(mark)
	turned := slices.Clone(b)
	slices.Reverse(turned)
	quoted, _ := json.Marshal(mark)
	out := []string{
		mark, string(turned), hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)),
		url.QueryEscape(mark), url.PathEscape(mark), strings.Trim(string(quoted), `"`),
		strings.Trim(fmt.Sprintf("%q", mark), `"`), strings.Trim(fmt.Sprint(b), "[]"),
	}
	for shift := range 3 {
		padded := append(make([]byte, shift), b...)
		from, to := (shift*8+5)/6, len(padded)*8/6
		out = append(out, base64.RawStdEncoding.EncodeToString(padded)[from:to],
			base64.RawURLEncoding.EncodeToString(padded)[from:to])
	}
	return out
}

// All is everything in an error, with its causes, in all the ways it prints.
func All(err error) string {
	var b strings.Builder
	for ; err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(&b, "%v; %+v; %#v; ", err, err, err)
		if e, ok := err.(*keyturn.Error); ok {
			b.WriteString(e.Hint + "; ")
			for _, each := range e.Each {
				b.WriteString(All(each))
			}
		}
	}
	return b.String()
}

// Say is an error for whoever reads the suite's findings.
func Say(err error) string {
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

// Same tells how two sets of values differ, without telling a value.
func Same(got, want map[string]keyturn.Value) string {
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

// FirstError is the error that ends a listing; nil where it has none.
func FirstError(list iter.Seq2[keyturn.Info, error]) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// Level is the names that a listing of a mount yields below a prefix, with shallow of
// one level: folders by the prefix that lists them.
func Level(mount, under string, names []string, shallow bool) map[string]bool {
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

// Labels are those of now with some set and others removed.
func Labels(now, set map[string]string, remove []string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, now)
	maps.Copy(out, set)
	for _, k := range remove {
		delete(out, k)
	}
	return out
}

// Settle asks until problem is "", and returns the last one: once, or where what is
// asked may come late for some time.
func Settle(late bool, problem func() string) string {
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

// Cancelled is a context that has ended.
func Cancelled(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx, cancel
}
