package platformtest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// scan looks for a value in text that leaves.
func (s *suite) scan(where, text string) {
	s.Helper()
	for _, m := range s.marks {
		if strings.Contains(text, m) {
			s.Errorf("a value is in %s", where)
			return
		}
	}
}

func (s *suite) scanInfo(info keyturn.Info) {
	s.Helper()
	s.scan("an Info", fmt.Sprintf("%+v", info))
}

// canary sends marked values along every route that can fail; want scans each
// error, and Check.Run the log.
func (s *suite) canary() {
	p := s.putter()
	ctx, ref := s.Context(), s.ref()
	values := s.one("canary")
	info := s.put(ref, values)
	got, err := s.m.Get(ctx, ref)
	if err != nil {
		s.Fatalf("get: %s", say(err))
	}
	s.scan("a printed Secret", fmt.Sprintf("%v %+v %#v", got, got, got))
	if b, err := json.Marshal(got); err == nil {
		s.scan("a Secret as JSON", string(b))
	}

	fails := func(doing string, err error) {
		s.Helper()
		if err != nil {
			s.scan("the error of "+doing, errorText(err))
		}
	}
	try := func(doing string, put platform.Put) {
		s.Helper()
		_, err := s.m.Put(ctx, ref, put)
		fails(doing, err)
	}
	try("a put with an unknown mode", platform.Put{Values: values, Mode: "other"})
	try("a put with a stale version", platform.Put{Values: values, IfVersion: "999999", Mode: keyturn.Replace})
	try("a put with a wrong version", platform.Put{Values: values, IfVersion: "x", Mode: keyturn.Replace})
	try("a put of what exists", platform.Put{Values: values, IfVersion: keyturn.None, Mode: keyturn.Replace})
	try("a put without the fields before", platform.Put{Values: map[string]keyturn.Value{s.field(2): s.value("other")}})
	try("a put with a public field that is not there", platform.Put{Values: values, Mode: keyturn.Replace, Public: []string{"absent"}})
	if s.h.Spec.MaxValue > 0 && s.h.Spec.MaxValue <= 64<<20 {
		large := map[string]keyturn.Value{s.field(1): s.fill(s.h.Spec.MaxValue+1, 0)}
		try("a put that is too large", platform.Put{Values: large, Mode: keyturn.Replace})
		_, err = p.Put(ctx, ref, platform.New{Values: large})
		fails("a put that is too large for the platform", err)
	}
	if s.h.Spec.CompareAndSet {
		_, err = p.Put(ctx, ref, platform.New{Values: values, IfVersion: keyturn.None})
		fails("a put of what exists on the platform", err)
		_, err = p.Put(ctx, s.ref(), platform.New{Values: values, IfVersion: info.Version})
		fails("a put of what does not exist on the platform", err)
	}
	done, cancel := cancelled(ctx)
	defer cancel()
	_, err = p.Put(done, ref, platform.New{Values: values})
	fails("a cancelled put", err)
	_, err = s.m.Get(ctx, s.of(ref, "absent"))
	fails("a get of a field that is not there", err)
	_, err = s.m.Rollback(ctx, ref, "999999")
	fails("a rollback to nothing", err)
	for _, err := range s.m.List(ctx, s.prefix(s.h.Prefix), false) {
		fails("a list", err)
	}
	health := s.m.Status(ctx)
	s.scan("the status", fmt.Sprintf("%+v", health))
	if health.Err != nil {
		fails("the status", health.Err)
	}
	if _, _, err := s.m.Delete(ctx, ref); err == nil {
		_, err = s.m.Get(ctx, ref)
		fails("a get of what is deleted", err)
		_, err = s.m.Put(ctx, ref, platform.Put{Values: values, IfVersion: keyturn.None, Mode: keyturn.Replace})
		fails("a put over what is deleted", err)
	}
	fails("a destroy", s.m.Destroy(ctx, ref, nil))
}

// forms returns the spellings in which mark could leak into text: plain, base64 in its
// three alignments, hexadecimal, URL, JSON, a list of numbers, and reversed.
func forms(mark string) []string {
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

// errorText returns everything that an error and its causes print, in all formats.
func errorText(err error) string {
	var b strings.Builder
	for ; err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(&b, "%v; %+v; %#v; ", err, err, err)
		if e, ok := err.(*keyturn.Error); ok {
			b.WriteString(e.Hint + "; ")
			for _, each := range e.Each {
				b.WriteString(errorText(each))
			}
		}
	}
	return b.String()
}
