package parse_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/parse"
)

const day = 24 * time.Hour

func invalid(t *testing.T, text string, err error) {
	t.Helper()
	if !errors.Is(err, keyturn.Invalid) {
		t.Errorf("%q: %v", text, err)
	}
}

func TestAge(t *testing.T) {
	for text, want := range map[string]time.Duration{"90d": 90 * day, "36500d": 36500 * day, "12h": 12 * time.Hour, "1h30m": 90 * time.Minute, "60s": time.Minute} {
		if d, err := parse.Age(text); err != nil || d != want {
			t.Errorf("%q: %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "d", "0d", "-1d", "36501d", "99999999999999999999d", "1.5d", "12", "0h", "-1h", "1w", "1d12h", " 1d"} {
		_, err := parse.Age(text)
		invalid(t, text, err)
	}
}

// A date is one of the place where it is asked for what was, and of UTC for what expires.
func TestMomentAndExpiry(t *testing.T) {
	here := time.FixedZone("here", 3600)
	now := time.Date(2026, 3, 4, 5, 6, 7, 890, here)
	zero := time.Time{}
	for text, want := range map[string][3]time.Time{
		"":                          {zero, zero, zero},
		"2d":                        {now.Add(-2 * day), now.Add(-2 * day), now.Add(2 * day).Truncate(time.Second)},
		"2026-03-01":                {time.Date(2026, 3, 1, 0, 0, 0, 0, here), time.Date(2026, 3, 2, 0, 0, 0, 0, here), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)},
		"2026-03-01T01:02:03+02:00": {time.Date(2026, 2, 28, 23, 2, 3, 0, time.UTC), time.Date(2026, 2, 28, 23, 2, 3, 0, time.UTC), time.Date(2026, 2, 28, 23, 2, 3, 0, time.UTC)},
	} {
		since, err := parse.Moment(text, now, false)
		until, err2 := parse.Moment(text, now, true)
		expires, err3 := parse.Expiry(text, now)
		if err := errors.Join(err, err2, err3); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		for i, got := range []time.Time{since, until, expires} {
			if !got.Equal(want[i]) || got.Location() != time.UTC {
				t.Errorf("%q: %v, not %v", text, got, want[i])
			}
		}
	}
	for _, text := range []string{"yesterday", "2026-02-30", "2026-03-01T01:02:03", "0d", "\x1b[2J"} {
		_, err := parse.Moment(text, now, false)
		invalid(t, text, err)
		_, err = parse.Expiry(text, now)
		invalid(t, text, err)
	}
}

func TestGlob(t *testing.T) {
	for pattern, names := range map[string]map[string]bool{
		"db":         {"db": true, "a/db": false, "dbs": false},
		"*/db":       {"a/db": true, "db": false, "a/b/db": false},
		"**/db":      {"db": true, "a/db": true, "a/b/db": true, "a/db/b": false},
		"a/**":       {"a": true, "a/b/c": true, "b/a": false},
		"a/**/b/**":  {"a/b": true, "a/x/b/y": true, "a/x": false},
		"**/prod-?":  {"x/prod-1": true, "prod-12": false},
		"[ab]/\\*":   {"a/*": true, "a/x": false},
		"**/**/**/x": {"x": true, "a/b/c/d/x": true},
	} {
		g, err := parse.Glob(pattern)
		if err != nil {
			t.Errorf("%q: %v", pattern, err)
			continue
		}
		for name, want := range names {
			if g.Match(name) != want {
				t.Errorf("%q matches %q: %v", pattern, name, !want)
			}
		}
	}
	for _, pattern := range []string{"", "/a", "a//b", "a/", "a**", "**b", "[a", `a\`, strings.Repeat("a/", 64) + "a"} {
		_, err := parse.Glob(pattern)
		invalid(t, pattern, err)
	}
}

func TestFilter(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	ref, err := keyturn.ParseRef("local/team/db")
	if err != nil {
		t.Fatal(err)
	}
	info := keyturn.Info{Ref: ref, State: keyturn.Live, Created: now.Add(-10 * day), Expires: now.Add(5 * day), Labels: map[string]string{"team": "web", "empty": ""}}
	if test, err := (parse.Filter{}).Test(now); test != nil || err != nil {
		t.Error("no filter filters")
	}
	for _, x := range []struct {
		parse.Filter
		pass bool
	}{
		{parse.Filter{Match: "**/db"}, true},
		{parse.Filter{Match: "db"}, false},
		{parse.Filter{Labels: []string{"team=web", "empty="}}, true},
		{parse.Filter{Labels: []string{"team=web", "tier="}}, false},
		{parse.Filter{OlderThan: "9d"}, true},
		{parse.Filter{OlderThan: "11d"}, false},
		{parse.Filter{Expiring: "6d"}, true},
		{parse.Filter{Expiring: "4d"}, false},
		{parse.Filter{Match: "**", Expiring: "4d"}, false},
	} {
		test, err := x.Test(now)
		if err != nil {
			t.Fatal(err)
		}
		if test(info) != x.pass {
			t.Errorf("%+v: %v", x.Filter, !x.pass)
		}
		if test(keyturn.Info{Path: "kt://local/team/"}) {
			t.Errorf("%+v: a folder passes", x.Filter)
		}
	}
	ended := keyturn.Info{Ref: ref, State: keyturn.Deleted, Expires: now}
	if test, _ := (parse.Filter{Expiring: "1d"}).Test(now); test(ended) {
		t.Error("a deleted secret expires")
	}
	for _, f := range []parse.Filter{{Match: "["}, {Labels: []string{"team"}}, {Labels: []string{"=x"}}, {OlderThan: "x"}, {Expiring: "x"}} {
		_, err := f.Test(now)
		invalid(t, f.Match, err)
	}
}

func TestLabels(t *testing.T) {
	set, gone, err := parse.Labels([]string{"a=1", "z-", "b=x=y", "c-d=", "k-"}, true)
	if err != nil || !reflect.DeepEqual(set, map[string]string{"a": "1", "b": "x=y", "c-d": ""}) || !reflect.DeepEqual(gone, []string{"k", "z"}) {
		t.Errorf("%v, %v, %v", set, gone, err)
	}
	if set, gone, err := parse.Labels(nil, false); set != nil || gone != nil || err != nil {
		t.Errorf("%v, %v, %v", set, gone, err)
	}
	for _, words := range [][]string{{"a"}, {"=1"}, {"-"}, {""}, {"a=1", "a=2"}, {"a=1", "a-"}, {"a-", "a=1"}, {"a-", "a-"}} {
		_, _, err := parse.Labels(words, true)
		invalid(t, strings.Join(words, " "), err)
	}
	_, _, err = parse.Labels([]string{"a-"}, false)
	invalid(t, "a- without merge", err)
}

func TestGenerate(t *testing.T) {
	for text, want := range map[string]keyturn.Generate{
		"password":          {Field: "password"},
		"password:40":       {Field: "password", Length: 40},
		"password:40:alnum": {Field: "password", Length: 40, Charset: "alnum"},
		"id:uuid":           {Field: "id", Charset: "uuid"},
	} {
		if g, err := parse.Generate(text, 1); err != nil || g != want {
			t.Errorf("%q: %+v, %v", text, g, err)
		}
	}
	for _, text := range []string{"", ":40", "a:", "a:0", "a:-1", "a:x", "a:40:", "a:40:uuid", "a:40:hex:x"} {
		_, err := parse.Generate(text, 2)
		invalid(t, text, err)
		if text != "" && strings.Contains(err.Error(), text+"'") {
			t.Errorf("%q is repeated: %v", text, err)
		}
	}
}
