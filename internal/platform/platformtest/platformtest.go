// Package platformtest is the conformance suite that every platform passes. It
// proves what package platform asks for, and every line of the platform's Spec: a
// Spec that lies fails.
//
// A platform's own tests need nothing else for Get to Destroy:
//
//	platformtest.Run(t, func(t *testing.T) platformtest.Harness {
//		return platformtest.Harness{Platform: …, Spec: …, Mount: "vault", Prefix: "secret"}
//	})
package platformtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// Harness is a platform under test.
type Harness struct {
	Platform platform.Platform
	Spec     platform.Spec
	// Mount is the name that Platform puts into references.
	Mount string
	// Prefix is the folder under which the suite makes secrets with names of its
	// own; "" for anywhere. Other secrets may be there.
	Prefix string
	// Reads returns how many values have been read so far, counted where they
	// leave: at the store, or at the wire. Nil where nobody counts; the suite then
	// says what it could not prove.
	Reads func() int
	// Log returns all that the platform has logged; nil where it logs nothing.
	Log func() string
	// Second is the same platform through another client, as from another process;
	// nil where there is none. Half of the racing writers use it.
	Second platform.Platform
}

// T is what a check needs of *testing.T.
type T interface {
	Helper()
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// Check is one part of the suite.
type Check struct {
	Name string
	run  func(*suite)
}

// Run runs the check on a platform; it may leave secrets behind under
// Harness.Prefix.
func (c Check) Run(t T, h Harness) {
	t.Helper()
	id := make([]byte, 6)
	_, _ = rand.Read(id)
	s := &suite{T: t, h: h, id: hex.EncodeToString(id), m: platform.NewMount(h.Mount, h.Platform, h.Spec, "under test")}
	s.mark = `kt"Canary&/` + s.id
	s.marks = forms(s.mark)
	c.run(s)
	if h.Log != nil {
		s.scan("the log", h.Log())
	}
}

// Checks lists the suite.
func Checks() []Check {
	return []Check{
		{"spec", (*suite).spec},
		{"not found", (*suite).notFound},
		{"values", (*suite).values},
		{"largest", (*suite).largest},
		{"names", (*suite).names},
		{"field names", (*suite).fieldNames},
		{"list", (*suite).list},
		{"list prefix", (*suite).listPrefix},
		{"describe", (*suite).describe},
		{"whole version", (*suite).wholeVersion},
		{"modes", (*suite).modes},
		{"labels", (*suite).labels},
		{"compare-and-set", (*suite).compareAndSet},
		{"compare-and-set race", (*suite).race},
		{"many writers", (*suite).writers},
		{"versions", (*suite).versions},
		{"rollback", (*suite).rollback},
		{"delete", (*suite).delete},
		{"restore version", (*suite).restoreVersion},
		{"destroy", (*suite).destroy},
		{"destroy versions", (*suite).destroyVersions},
		{"get many", (*suite).getMany},
		{"cancellation", (*suite).cancellation},
		{"canary", (*suite).canary},
	}
}

// Run runs the suite, each check on a platform of its own from open.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	t.Helper()
	for _, c := range Checks() {
		t.Run(strings.ReplaceAll(c.Name, " ", "-"), func(t *testing.T) { c.Run(t, open(t)) })
	}
}

// suite is one check at work.
type suite struct {
	T
	h     Harness
	m     *platform.Mount
	id    string
	count int
	mark  string
	marks []string // mark in all encodings
}

// putter returns the platform as a Putter, or skips the check.
func (s *suite) putter() platform.Putter {
	s.Helper()
	p, ok := s.h.Platform.(platform.Putter)
	if !ok {
		s.Skipf("not proven: the platform cannot put")
	}
	return p
}

func (s *suite) historian() bool {
	_, ok := s.h.Platform.(platform.Historian)
	return ok
}

// name returns a name that nobody uses; it is as plain as can be.
func (s *suite) name() string {
	s.count++
	n := "kt" + s.id + "n" + strconv.Itoa(s.count)
	if s.h.Prefix != "" {
		n = s.h.Prefix + "/" + n
	}
	return n
}

func (s *suite) ref() keyturn.Ref { return s.refOf(s.name()) }

func (s *suite) refOf(name string) keyturn.Ref {
	s.Helper()
	r, err := keyturn.NewRef(s.h.Mount, name)
	if err != nil {
		s.Fatalf("the suite's own name '%s' is not a reference: %v", name, err)
	}
	return r
}

func (s *suite) at(ref keyturn.Ref, version string) keyturn.Ref {
	s.Helper()
	r, err := ref.WithVersion(version)
	if err != nil {
		s.Fatalf("the platform has a version that no reference can hold: %v", err)
	}
	return r
}

func (s *suite) of(ref keyturn.Ref, field string) keyturn.Ref {
	s.Helper()
	r, err := ref.WithField(field)
	if err != nil {
		s.Fatalf("the suite's own field '%s' cannot be referred to: %v", field, err)
	}
	return r
}

// field is the n-th plain name of a field; a blob has only one.
func (s *suite) field(n int) string {
	if !s.h.Spec.Fields {
		return platform.Blob
	}
	return "f" + strconv.Itoa(n)
}

// one is a set with a marked value in one field.
func (s *suite) one(text string) map[string]keyturn.Value {
	return map[string]keyturn.Value{s.field(1): s.value(text)}
}

// value is marked, so that it can be found again where it must not be.
func (s *suite) value(text string) keyturn.Value {
	return keyturn.NewValue([]byte(s.mark + ":" + text))
}

// put puts whole versions through Mount.
func (s *suite) put(ref keyturn.Ref, values map[string]keyturn.Value) keyturn.Info {
	s.Helper()
	return s.putAs(ref, platform.Put{Values: values, Mode: keyturn.Replace}).Info
}

func (s *suite) putAs(ref keyturn.Ref, p platform.Put) platform.Change {
	s.Helper()
	c, err := s.m.Put(s.Context(), ref, p)
	if err != nil {
		s.Fatalf("put: %s", say(err))
	}
	if c.Info.Ref != ref || c.Info.Version == "" || c.Info.State != keyturn.Live {
		s.Errorf("put answered with ref '%s', version '%s', state '%s'; want '%s', a version, live", c.Info.Ref, c.Info.Version, c.Info.State, ref)
	}
	s.scanInfo(c.Info)
	return c
}

// settle waits until problem is "": not at all, unless Spec says that the
// platform is eventually consistent.
func (s *suite) settle(problem func() string) {
	s.Helper()
	if what := settle(s.h.Spec.EventuallyConsistent, problem); what != "" {
		s.Fatalf("%s", what)
	}
}

// holds checks that ref reads as exactly these values, and at the version if one
// is given.
func (s *suite) holds(ref keyturn.Ref, version string, want map[string]keyturn.Value) {
	s.Helper()
	s.settle(func() string {
		got, err := s.m.Get(s.Context(), ref)
		if err != nil {
			return "get " + ref.Short() + ": " + say(err)
		}
		s.scanInfo(got.Info)
		if version != "" && got.Version != version {
			return fmt.Sprintf("get %s: version '%s', want '%s'", ref.Short(), got.Version, version)
		}
		return difference(got.Values, want)
	})
}

// want checks an error: its code, and that it is fit to leave.
func (s *suite) want(code keyturn.Code, err error, doing string) *keyturn.Error {
	s.Helper()
	if err == nil {
		s.Fatalf("%s: no error, want %s", doing, code)
	}
	s.scan("the error of "+doing, errorText(err))
	var e *keyturn.Error
	if !errors.As(err, &e) {
		s.Fatalf("%s: want a *keyturn.Error, got: %s", doing, say(err))
	}
	if e.Code != code {
		s.Errorf("%s: code %s, want %s: %s", doing, e.Code, code, say(err))
	}
	if e.Message == "" {
		s.Errorf("%s: the error has no message", doing)
	}
	return e
}

// wantAny is want for where platforms may differ.
func (s *suite) wantAny(err error, doing string, codes ...keyturn.Code) {
	s.Helper()
	for _, c := range codes {
		if errors.Is(err, c) {
			s.want(c, err, doing)
			return
		}
	}
	s.want(codes[0], err, doing)
}

// absent checks that a reference reads as not found.
func (s *suite) absent(ref keyturn.Ref, doing string) *keyturn.Error {
	s.Helper()
	var err error
	s.settle(func() string {
		if _, err = s.m.Get(s.Context(), ref); err == nil {
			return doing + ": it can be read, want not_found"
		}
		return ""
	})
	return s.want(keyturn.NotFound, err, doing)
}
