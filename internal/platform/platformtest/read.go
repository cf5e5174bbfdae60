package platformtest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"unicode/utf8"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// spec checks that Spec and the interfaces of the platform agree.
func (s *suite) spec() {
	spec := s.h.Spec
	var lies []string
	claim := func(ok bool, what string) {
		if !ok {
			lies = append(lies, what)
		}
	}
	_, putter := s.h.Platform.(platform.Putter)
	_, deleter := s.h.Platform.(platform.Deleter)
	_, restorer := s.h.Platform.(platform.Restorer)
	_, destroyer := s.h.Platform.(platform.Destroyer)
	claim(slices.Contains([]string{"local", "vault", "aws", "azure", "gcp", "kubernetes"}, spec.Platform), "Platform is none that keyturn knows")
	claim(spec.Names.Check == nil || spec.Names.Allowed != "", "Names does not say what is allowed")
	claim(spec.MaxName == 0 || spec.Names.Problem(strings.Repeat("a/", spec.MaxName/2)+"aa") != "", "MaxName is less than a name can have")
	claim(spec.FieldNames.Check == nil || spec.FieldNames.Allowed != "", "FieldNames does not say what is allowed")
	claim(deleter == restorer, "it deletes what it cannot restore, or restores what it cannot delete")
	claim(deleter == (spec.Recovery != platform.NoRecovery), "Recovery does not fit to whether it can delete")
	claim(!spec.RestoreVersion || restorer && s.historian(), "RestoreVersion without a Restorer and a Historian")
	claim(!spec.DestroyVersion || destroyer && s.historian(), "DestroyVersion without a Destroyer and a Historian")
	claim(!spec.OrderedVersions || s.historian(), "OrderedVersions without a Historian")
	claim(!spec.CompareAndSet || putter, "CompareAndSet without a Putter")
	claim(spec.Fields || spec.MaxFields <= 1, "MaxFields without Fields")
	claim(spec.MaxSecret == 0 || spec.MaxValue <= spec.MaxSecret, "MaxValue is more than MaxSecret")
	for _, l := range lies {
		s.Errorf("Spec: %s", l)
	}
	if h := s.m.Status(s.Context()); h.Err != nil || !h.Reachable {
		s.Errorf("the platform under test is not healthy: %+v", h)
	}
}

func (s *suite) notFound() {
	ctx, ref := s.Context(), s.ref()
	_, err := s.m.Get(ctx, ref)
	if e := s.want(keyturn.NotFound, err, "get of nothing"); e.Hint != "" {
		s.Errorf("get of nothing: the hint '%s' takes the place of the nearest names", e.Hint)
	}
	_, err = s.m.Get(ctx, s.of(ref, s.field(1)))
	s.want(keyturn.NotFound, err, "get of a field of nothing")
	if d, ok := s.h.Platform.(platform.Describer); ok {
		_, err = d.Describe(ctx, ref)
		s.want(keyturn.NotFound, err, "describe of nothing")
	}
	if s.historian() {
		_, err = s.m.Versions(ctx, ref)
		s.want(keyturn.NotFound, err, "history of nothing")
		_, err = s.m.Rollback(ctx, ref, "")
		s.wantAny(err, "rollback of nothing", keyturn.NotFound, keyturn.Unsupported)
	}
	_, _, err = s.m.Delete(ctx, ref)
	s.wantAny(err, "delete of nothing", keyturn.NotFound, keyturn.Unsupported)
	_, err = s.m.Restore(ctx, ref)
	s.wantAny(err, "restore of nothing", keyturn.NotFound, keyturn.Unsupported)
	s.wantAny(s.m.Destroy(ctx, ref, nil), "destroy of nothing", keyturn.NotFound, keyturn.Unsupported)

	s.putter()
	s.put(ref, s.one("there"))
	s.holds(ref, "", s.one("there"))
	e := s.want(keyturn.NotFound, second(s.m.Get(ctx, s.of(ref, "absent"))), "get of a field that is not there")
	if !strings.Contains(e.Hint, s.field(1)) {
		s.Errorf("a field that is not there: the hint does not name those that are: %s", e.Hint)
	}
	if !s.historian() {
		return
	}
	if !s.h.Spec.NumericVersions {
		_, err = s.m.Get(ctx, s.at(ref, "ffffffffffffffffffffffffffffffff"))
		s.wantAny(err, "get of a version that is not there", keyturn.NotFound, keyturn.Invalid)
		return
	}
	_, err = s.m.Get(ctx, s.at(ref, "987654"))
	s.want(keyturn.NotFound, err, "get of a version that is not there")
	for _, v := range []string{"0", "-1", "+1", "01", "1.0", "1e0", "0x1", "１", "one", "99999999999999999999999"} {
		_, err = s.m.Get(ctx, s.at(ref, v))
		s.want(keyturn.Invalid, err, "get of version '"+v+"'")
	}
}

func second[A any](_ A, err error) error { return err }

func (s *suite) values() {
	s.putter()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, bytes := range map[string]string{
		"plain":            "correct horse battery staple",
		"empty":            "",
		"a NUL":            "a\x00b\x00",
		"only a NUL":       "\x00",
		"invalid UTF-8":    "\xff\xfe\x80 \xc3(",
		"trailing newline": "line\n",
		"only a newline":   "\n",
		"CR LF":            "a\r\nb\r\n",
		"spaces around":    "  a  ",
		"byte order mark":  "\xef\xbb\xbfa",
		"all bytes":        string(all),
		"JSON object":      `{"b":1,"a":"x" , "a":1e400}`,
		"JSON string":      `"quoted"`,
		"base64":           "aGVsbG8=",
		"reference":        "kt://local/a#b",
		"number":           "007",
		"large number":     "12345678901234567890",
		"not normalised":   "e\u0301 \u00e9 \u212b",
		"template":         "${A} {{.B}} %s %n $(id)",
	} {
		want := map[string]keyturn.Value{s.field(1): keyturn.NewValue([]byte(bytes))}
		ref := s.ref()
		c, err := s.m.Put(s.Context(), ref, platform.Put{Values: want})
		if s.h.Spec.Text && !utf8.ValidString(bytes) {
			s.want(keyturn.Invalid, err, "put of a value that is not text: "+name)
			continue
		}
		if err != nil {
			s.Errorf("value '%s': put: %s", name, say(err))
			continue
		}
		s.settle(func() string {
			got, err := s.m.Get(s.Context(), s.of(ref, s.field(1)))
			if err != nil {
				return "value '" + name + "': get: " + say(err)
			}
			if what := difference(got.Values, want); what != "" {
				return "value '" + name + "': " + what
			}
			return ""
		})
		if s.historian() {
			s.holds(s.at(ref, c.Info.Version), c.Info.Version, want)
		}
	}
}

// fill returns a value of n bytes that does not compress and begins with the
// mark, where that fits.
func (s *suite) fill(n int, seed uint32) keyturn.Value {
	b := make([]byte, n)
	x := seed*2654435761 + 88172645
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x >> 11)
	}
	copy(b, s.mark)
	return keyturn.NewValue(b)
}

// largest proves the limits of size: what is at the limit is kept whole, what is
// over it is Invalid and changes nothing.
func (s *suite) largest() {
	p := s.putter()
	spec := s.h.Spec
	if spec.MaxValue > 64<<20 || spec.MaxSecret > 256<<20 {
		s.Skipf("not proven: the limits are too large to be tried")
	}
	small := s.one("small")
	try := func(what string, at, over map[string]keyturn.Value) {
		s.Helper()
		ref := s.ref()
		s.holds(ref, s.put(ref, at).Version, at)
		info := s.put(ref, small)
		_, err := s.m.Put(s.Context(), ref, platform.Put{Values: over, Mode: keyturn.Replace})
		s.want(keyturn.Invalid, err, "put of one more than the most "+what)
		s.holds(ref, info.Version, small)
		// The platform itself may take more than its Spec says, but then whole.
		if _, err = p.Put(s.Context(), ref, platform.New{Values: over}); err == nil {
			s.holds(ref, "", over)
		} else {
			s.scan("the error of a put that is too large", errorText(err))
			s.holds(ref, info.Version, small)
		}
	}
	one := func(n int) map[string]keyturn.Value {
		return map[string]keyturn.Value{s.field(1): s.fill(n, 1)}
	}
	if spec.MaxValue > 0 {
		try("bytes of a value", one(spec.MaxValue), one(spec.MaxValue+1))
	}
	if spec.MaxSecret > 0 && spec.Fields {
		sum := func(n int) map[string]keyturn.Value {
			out := map[string]keyturn.Value{}
			for i := 0; n > 0; i++ {
				part := n
				if spec.MaxValue > 0 {
					part = min(n, spec.MaxValue)
				}
				out[s.field(i)] = s.fill(part, uint32(i)+2)
				n -= part
			}
			return out
		}
		try("bytes of a secret", sum(spec.MaxSecret), sum(spec.MaxSecret+1))
	}
	if spec.MaxFields > 0 && spec.Fields {
		many := func(n int) map[string]keyturn.Value {
			out := map[string]keyturn.Value{}
			for i := range n {
				out[s.field(i)] = keyturn.NewValue(fmt.Append(nil, i))
			}
			return out
		}
		try("fields", many(spec.MaxFields), many(spec.MaxFields+1))
	}
}

// list: complete, without duplicates, without reading a value, and true.
func (s *suite) list() {
	s.putter()
	want := map[string]keyturn.Info{}
	for i := range 30 {
		ref := s.ref()
		info := s.put(ref, s.one("listed"))
		if i%3 == 0 { // a second version must not be a second entry
			info = s.put(ref, s.one("listed again"))
		}
		want[ref.Name()] = info
	}
	under := s.prefix(s.h.Prefix)
	before := s.reads()
	for kind, list := range map[string]func() iter.Seq2[keyturn.Info, error]{
		"platform": func() iter.Seq2[keyturn.Info, error] { return s.h.Platform.List(s.Context(), s.h.Prefix) },
		"mount":    func() iter.Seq2[keyturn.Info, error] { return s.m.List(s.Context(), under, false) },
	} {
		s.settle(func() string {
			seen := map[keyturn.Ref]bool{}
			left := len(want)
			for info, err := range list() {
				if err != nil {
					return kind + " list: " + say(err)
				}
				s.scanInfo(info)
				if info.Ref.IsZero() {
					continue
				}
				if seen[info.Ref] {
					s.Fatalf("%s list: '%s' is listed twice", kind, info.Ref.Name())
				}
				seen[info.Ref] = true
				if !keyturn.Under(s.h.Prefix, info.Ref.Name()) || info.Ref.Mount() != s.h.Mount || info.Ref != info.Ref.Secret() {
					return kind + " list: '" + info.Ref.String() + "' is not below the prefix, or not a plain reference"
				}
				if w, ok := want[info.Ref.Name()]; ok {
					left--
					if info.State != keyturn.Live || info.Version != "" && info.Version != w.Version {
						return fmt.Sprintf("%s list: '%s' at version '%s', %s; want '%s', live", kind, info.Ref.Name(), info.Version, info.State, w.Version)
					}
				}
			}
			if left > 0 {
				return fmt.Sprintf("%s list: %d of %d names are missing", kind, left, len(want))
			}
			return ""
		})
	}
	if s.reads() != before {
		s.Errorf("list has read values")
	}
	for range s.m.List(s.Context(), under, false) {
		break // a consumer may stop; the platform must not go on
	}
}

// reads is the count of values read so far; 0 where nobody counts.
func (s *suite) reads() int {
	if s.h.Reads == nil {
		s.Logf("not proven: nobody counts the reads of values")
		return 0
	}
	return s.h.Reads()
}

func (s *suite) prefix(path string) keyturn.Prefix {
	s.Helper()
	text := s.h.Mount + "/"
	if path != "" {
		text = s.refOf(path).Path()
	}
	p, err := keyturn.ParsePrefix(text)
	if err != nil {
		s.Fatalf("the suite's own prefix '%s': %v", text, err)
	}
	return p
}

// listPrefix: a prefix is one of whole segments.
func (s *suite) listPrefix() {
	s.putter()
	top := s.name()
	all := []string{top, top + "x", top + "x/a", top + "/a", top + "/a/b", top + "/ab", top + "/A"}
	if s.h.Spec.Names.Problem(top+"/a/b") != "" {
		all = []string{top, top + "x"}
	}
	for _, n := range all {
		s.put(s.refOf(n), s.one("x"))
	}
	for _, under := range append(slices.Clone(all), top+"/absent", top+"y") {
		var want []string
		for _, n := range all {
			if keyturn.Under(under, n) {
				want = append(want, n)
			}
		}
		slices.Sort(want)
		s.settle(func() string {
			var got []string
			for info, err := range s.h.Platform.List(s.Context(), under) {
				if err != nil {
					return "list of '" + under + "': " + say(err)
				}
				got = append(got, info.Ref.Name())
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				return fmt.Sprintf("list of '%s': %q, want %q", under, got, want)
			}
			return s.listSome(under, want)
		})
	}
}

// listSome: less of a listing is a part of it: names alone, and one level of them.
func (s *suite) listSome(under string, names []string) string {
	l, ok := s.h.Platform.(platform.Lister)
	if !ok {
		return ""
	}
	for _, look := range []platform.Look{{Names: true}, {Shallow: true}, {Shallow: true, Names: true}} {
		want := level(s.h.Mount, under, names, look.Shallow)
		for info, err := range l.ListSome(s.Context(), under, look) {
			name := info.Ref.Name()
			if info.IsFolder() {
				name = info.Path
			}
			if err != nil || !want[name] || !look.Names && !info.IsFolder() && info.State == "" {
				return fmt.Sprintf("list of '%s', %+v: '%s', %s; want one of %v, once", under, look, name, say(err), want)
			}
			delete(want, name)
		}
		if len(want) > 0 {
			return fmt.Sprintf("list of '%s', %+v: %v is missing", under, look, want)
		}
	}
	return ""
}

// describe: what is known without the values, and no more.
func (s *suite) describe() {
	s.putter()
	d, ok := s.h.Platform.(platform.Describer)
	if !ok {
		s.Skipf("not proven: the platform cannot describe")
	}
	ref := s.ref()
	values := s.one("described")
	if s.h.Spec.Fields {
		values[s.field(0)] = s.value("another")
	}
	s.put(ref, s.one("first"))
	put := s.put(ref, values)
	want := []string{}
	for i := range len(values) {
		want = append(want, s.field(1-i))
	}
	slices.Sort(want)
	if s.h.Spec.FieldNamesNeedValue {
		want = nil
	}
	before := s.reads()
	s.settle(func() string {
		info, err := d.Describe(s.Context(), ref)
		if err != nil {
			return "describe: " + say(err)
		}
		s.scanInfo(info)
		switch {
		case info.Ref != ref || info.Version != put.Version || info.State != keyturn.Live || !info.Current:
			return fmt.Sprintf("describe: %+v, want the current version '%s' of '%s'", info, put.Version, ref)
		case !slices.Equal(info.Fields, want) || (info.Fields == nil) != (want == nil):
			return fmt.Sprintf("describe: fields %q, want %q", info.Fields, want)
		case info.Created.IsZero() || info.Created.Location() != time.UTC:
			return fmt.Sprintf("describe: created %v, want a time in UTC", info.Created)
		}
		return ""
	})
	if s.historian() {
		versions, err := s.m.Versions(s.Context(), ref)
		if err != nil {
			s.Fatalf("history: %s", say(err))
		}
		for _, v := range versions {
			if s.h.Spec.FieldNamesNeedValue && v.Fields != nil {
				s.Errorf("history names fields, which Spec says is not known without the value")
			}
		}
	}
	if s.reads() != before {
		s.Errorf("describe or history has read values")
	}
}

func (s *suite) getMany() {
	s.putter()
	a, b := s.ref(), s.ref()
	s.put(a, s.one("a"))
	s.put(b, s.one("b"))
	s.holds(b, "", s.one("b"))
	s.holds(a, "", s.one("a"))
	before := s.reads()
	out := s.m.GetMany(s.Context(), []keyturn.Ref{s.of(b, s.field(1)), s.ref(), a, s.of(a, s.field(1)), s.of(a, "absent"), b})
	for i, want := range []map[string]keyturn.Value{s.one("b"), nil, s.one("a"), s.one("a"), nil, s.one("b")} {
		if want == nil {
			s.want(keyturn.NotFound, out[i].Err, fmt.Sprintf("get many, reference %d", i))
		} else if out[i].Err != nil {
			s.Errorf("get many, reference %d: %s", i, say(out[i].Err))
		} else if what := difference(out[i].Secret.Values, want); what != "" {
			s.Errorf("get many, reference %d: %s", i, what)
		}
	}
	if n := s.reads() - before; s.h.Reads != nil && n != 2 {
		s.Errorf("get many of 2 secrets has read %d values, want 2", n)
	}
}

// cancellation: a cancelled call ends with an error and changes nothing.
func (s *suite) cancellation() {
	p := s.putter()
	ref := s.ref()
	info := s.put(ref, s.one("before"))
	s.put(s.ref(), s.one("another"))
	s.put(s.ref(), s.one("a third"))
	s.holds(ref, info.Version, s.one("before"))
	ctx, cancel := cancelled(s.Context())
	defer cancel()
	calls := map[string]func() error{
		"get":  func() error { return second(s.h.Platform.Get(ctx, ref)) },
		"put":  func() error { return second(p.Put(ctx, ref, platform.New{Values: s.one("after")})) },
		"list": func() error { return firstError(s.h.Platform.List(ctx, s.h.Prefix)) },

		"mount get":     func() error { return second(s.m.Get(ctx, ref)) },
		"mount put":     func() error { return second(s.m.Put(ctx, ref, platform.Put{Values: s.one("after")})) },
		"mount list":    func() error { return firstError(s.m.List(ctx, s.prefix(s.h.Prefix), false)) },
		"mount destroy": func() error { return s.m.Destroy(ctx, ref, nil) },
		"mount get many": func() error {
			return s.m.GetMany(ctx, []keyturn.Ref{ref})[0].Err
		},
	}
	if d, ok := s.h.Platform.(platform.Describer); ok {
		calls["describe"] = func() error { return second(d.Describe(ctx, ref)) }
	}
	if d, ok := s.h.Platform.(platform.Deleter); ok {
		calls["delete"] = func() error { _, _, err := d.Delete(ctx, ref); return err }
	}
	if d, ok := s.h.Platform.(platform.Destroyer); ok {
		calls["destroy"] = func() error { return d.Destroy(ctx, ref, nil) }
	}
	if d, ok := s.h.Platform.(platform.Historian); ok {
		calls["history"] = func() error { return second(d.Versions(ctx, ref)) }
	}
	for name, call := range calls {
		err := call()
		if err == nil {
			s.Errorf("%s goes on though its context was cancelled", name)
			continue
		}
		s.scan("the error of a cancelled "+name, errorText(err))
		if strings.HasPrefix(name, "mount") {
			s.want(keyturn.Unavailable, err, "cancelled "+name)
		}
	}
	s.holds(ref, info.Version, s.one("before"))

	s.settle(func() string {
		n := 0
		for range s.m.List(s.Context(), s.prefix(s.h.Prefix), false) {
			n++
		}
		if n < 3 {
			return "list: names are missing"
		}
		return ""
	})
	ctx, cancel = context.WithCancel(s.Context())
	defer cancel()
	after := 0
	var last error
	for _, err := range s.m.List(ctx, s.prefix(s.h.Prefix), false) {
		if last = err; err == nil && ctx.Err() != nil {
			after++
		}
		cancel()
	}
	if after > 0 || last == nil {
		s.Errorf("a list that is cancelled midway goes on with %d names, and ends with %v", after, last)
	}
}
