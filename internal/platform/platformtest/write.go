package platformtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// corpus are segments of names, and names of fields, that have made trouble
// somewhere.
var corpus = []string{
	"a", "A", "0", "-", "_", "a-b", "a_b", "a.b", "a b", " a", "a ", "a  b", "a+b", "a=b", "a@b", "a:b", "a,b", "a;b", "a|b",
	"a\\b", "a'b", `a"b`, "a`b", "a$b", "${a}", "$(a)", "{{.A}}", "a%b", "a%2Fb", "a%252Fb", "a#b", "a?b", "a&b", "a*b", "a[b", "a~b", "a!b",
	"...", ".a", "a.", "~", "data", "metadata", "null", "true", "None", "__proto__", "CON", "con.txt", "Robert'); DROP TABLE secrets;--",
	"é", "e\u0301", "ß", "SS", "İ", "ı", "K", "K", "日本語", "🔑", "ａ",
	"a\nb", "a\rb", "a\tb", "a\x00b", "a\x1b[31mb", "a\x7fb", "a\u0085b", "a\u00a0b", "a\u00adb", "a\u200bb", "a\u200db", "a\u202eb", "a\u2028b", "a\u2066b", "a\ufeffb", "a\ufffdb", "a\U000e0041b",
	strings.Repeat("x", 63), strings.Repeat("x", 64), strings.Repeat("x", 127), strings.Repeat("x", 128), strings.Repeat("x", 253),
	strings.Repeat("x", 255), strings.Repeat("x", 256), strings.Repeat("é", 64), strings.Repeat("é", 128),
}

// names: what the rule takes is kept apart from all other names, and is listed as
// it was written; what it does not take is Invalid.
func (s *suite) names() {
	s.putter()
	folder := s.name()
	candidates := []string{folder}
	for _, c := range corpus {
		candidates = append(candidates, folder+c, folder+"/"+c, folder+"/"+c+"/x")
	}
	long, deep := s.longest(func(n int) string {
		return folder + strings.Repeat("n", max(0, n-len(folder)))
	}), s.longest(func(n int) string {
		return strings.TrimSuffix((folder + strings.Repeat("/nnnnnnn", 256))[:n], "/")
	})
	candidates = append(candidates, long, long+"n", deep, deep+"n")
	var taken []string
	for _, name := range candidates {
		ref, err := keyturn.NewRef(s.h.Mount, name)
		if err != nil || slices.Contains(taken, name) {
			continue
		}
		_, err = s.m.Put(s.Context(), ref, platform.Put{Values: s.one(name)})
		if s.h.Spec.Names.Problem(name) == "" {
			if err != nil {
				s.Errorf("name %q: Spec takes it, put does not: %s", name, say(err))
				continue
			}
			taken = append(taken, name)
			continue
		}
		e := s.want(keyturn.Invalid, err, fmt.Sprintf("put of name %q, which Spec does not take", name))
		if e.Hint == "" || keyturn.Clean(e.Message) != e.Message {
			s.Errorf("name %q: the error has no hint, or its message is not clean", name)
		}
		s.want(keyturn.Invalid, second(s.m.Get(s.Context(), ref)), "get of a name that Spec does not take")
	}
	if len(taken) < 4 {
		s.Errorf("of the corpus of names Spec takes only %q: that proves nothing", taken)
	}
	for _, name := range taken {
		s.holds(s.refOf(name), "", s.one(name))
	}
	s.settle(func() string {
		listed := map[string]bool{}
		for info, err := range s.m.List(s.Context(), s.prefix(s.h.Prefix), false) {
			if err != nil {
				return "list: " + say(err)
			}
			listed[info.Ref.Name()] = true
		}
		for _, name := range taken {
			if !listed[name] {
				return fmt.Sprintf("name %q is not listed as it was written", name)
			}
		}
		return ""
	})
}

// longest is the longest name that the rule takes, of those that name makes of a
// length.
func (s *suite) longest(name func(n int) string) string {
	for n := keyturn.MaxName; n > 0; n-- {
		if c := name(n); s.h.Spec.Names.Problem(c) == "" {
			return c
		}
	}
	return name(1)
}

func (s *suite) fieldNames() {
	s.putter()
	ref := s.ref()
	if !s.h.Spec.Fields {
		_, err := s.m.Put(s.Context(), ref, platform.Put{Values: map[string]keyturn.Value{"other": s.value("x")}})
		s.want(keyturn.Unsupported, err, "put of a named field where there are none")
		s.absent(ref, "get after a put that was refused")
		return
	}
	values := map[string]keyturn.Value{}
	for _, f := range append(slices.Clone(corpus), "/", "a/b", ".", "..", "") {
		_, err := s.refOf(s.name()).WithField(f)
		if f != "" && err == nil && s.h.Spec.FieldNames.Problem(f) == "" {
			values[f] = s.value(f)
			continue
		}
		_, err = s.m.Put(s.Context(), ref, platform.Put{Values: map[string]keyturn.Value{f: s.value(f)}})
		s.want(keyturn.Invalid, err, fmt.Sprintf("put of field %q, which Spec does not take", f))
	}
	if len(values) < 4 {
		s.Errorf("of the corpus of fields Spec takes only %q: that proves nothing", slices.Sorted(maps.Keys(values)))
	}
	chunk := len(values)
	if s.h.Spec.MaxFields > 0 {
		chunk = min(chunk, s.h.Spec.MaxFields)
	}
	for fields := range slices.Chunk(slices.Sorted(maps.Keys(values)), max(1, chunk)) {
		part := map[string]keyturn.Value{}
		for _, f := range fields {
			part[f] = values[f]
		}
		info := s.put(ref, part)
		s.holds(ref, info.Version, part)
		for f, v := range part {
			s.holds(s.of(ref, f), info.Version, map[string]keyturn.Value{f: v})
		}
	}
}

// wholeVersion: a put leaves nothing of the version before in the new one, and
// changes nothing of the version before.
func (s *suite) wholeVersion() {
	p := s.putter()
	ref := s.ref()
	first := s.one("first")
	second := map[string]keyturn.Value{s.field(2): s.value("second")}
	a, err := p.Put(s.Context(), ref, platform.New{Values: first})
	if err != nil {
		s.Fatalf("put: %s", say(err))
	}
	s.holds(ref, a.Version, first)
	b, err := p.Put(s.Context(), ref, platform.New{Values: second})
	if err != nil {
		s.Fatalf("put: %s", say(err))
	}
	s.holds(ref, b.Version, second)
	if a.Version == b.Version {
		s.Errorf("two puts have the same version '%s'", a.Version)
	}
	c, err := p.Put(s.Context(), ref, platform.New{Values: second})
	if err != nil {
		s.Fatalf("put of the same values: %s", say(err))
	}
	s.holds(ref, c.Version, second)
	if s.historian() {
		s.holds(s.at(ref, a.Version), a.Version, first)
		s.holds(s.at(ref, b.Version), b.Version, second)
	}
}

// modes: merge, replace, and neither.
func (s *suite) modes() {
	s.putter()
	ref := s.ref()
	binary := keyturn.NewValue([]byte("\x00\xff\n"))
	if s.h.Spec.Text {
		binary = keyturn.NewValue([]byte("\x00\u00ff\n"))
	}
	if !s.h.Spec.Fields {
		info := s.putAs(ref, platform.Put{Values: s.one("a"), Mode: keyturn.Merge}).Info
		s.holds(ref, info.Version, s.one("a"))
		info = s.putAs(ref, platform.Put{Values: s.one("b"), Mode: keyturn.Merge}).Info
		s.holds(ref, info.Version, s.one("b"))
		return
	}
	c := s.putAs(ref, platform.Put{Values: map[string]keyturn.Value{"a": binary, "b": s.value("b")}})
	if !c.Created || c.Before != "" {
		s.Errorf("the first put: created %v, before '%s'", c.Created, c.Before)
	}
	s.holds(ref, c.Info.Version, map[string]keyturn.Value{"a": binary, "b": s.value("b")})
	_, err := s.m.Put(s.Context(), ref, platform.Put{Values: map[string]keyturn.Value{"b": s.value("c")}})
	e := s.want(keyturn.Conflict, err, "put that would lose a field")
	if e.Reason != keyturn.WouldVanish || !strings.Contains(e.Message, "a") || !strings.Contains(e.Hint, "--merge") || !strings.Contains(e.Hint, "--replace") {
		s.Errorf("a put that would lose a field does not say which, or what to do: %s", say(e))
	}
	d := s.putAs(ref, platform.Put{Values: map[string]keyturn.Value{"b": s.value("c")}, Mode: keyturn.Merge})
	s.holds(ref, d.Info.Version, map[string]keyturn.Value{"a": binary, "b": s.value("c")})
	if d.Created || d.Before != c.Info.Version {
		s.Errorf("a merge: created %v, before '%s', want '%s'", d.Created, d.Before, c.Info.Version)
	}
	f := s.putAs(ref, platform.Put{Values: map[string]keyturn.Value{"z": s.value("z")}, Mode: keyturn.Replace})
	s.holds(ref, f.Info.Version, map[string]keyturn.Value{"z": s.value("z")})
}

// labels: labels, public marks and the expiry are kept, or refused.
func (s *suite) labels() {
	p := s.putter()
	spec := s.h.Spec
	ref := s.ref()
	keeps := func(doing, version string, labels map[string]string, public []string, expires time.Time) {
		s.Helper()
		s.settle(func() string {
			got, err := s.m.Get(s.Context(), ref)
			if err != nil {
				return "get: " + say(err)
			}
			if got.Version != version || !maps.Equal(got.Labels, labels) || !slices.Equal(got.Public, public) || !got.Expires.Equal(expires) {
				return fmt.Sprintf("%s: version '%s', labels %q, public %q, expires %v; want '%s', %q, %q, %v",
					doing, got.Version, got.Labels, got.Public, got.Expires, version, labels, public, expires)
			}
			return ""
		})
	}
	full, least := platform.New{Values: s.one("labelled")}, ""
	if spec.Labels.NotEmpty {
		least = "v"
	}
	if l := spec.Labels; l.Max > 0 {
		full.Labels = map[string]string{"team": "a", strings.Repeat("k", max(1, l.Key)): strings.Repeat("v", l.Value)}
		for i := len(full.Labels); i < l.Max; i++ {
			full.Labels["n"+strconv.Itoa(i)] = least
		}
	} else {
		_, err := s.m.Put(s.Context(), ref, platform.Put{Values: s.one("x"), Labels: map[string]string{"a": "b"}})
		s.want(keyturn.Unsupported, err, "put with a label")
	}
	if spec.Public {
		full.Public = []string{s.field(1)}
	} else {
		_, err := s.m.Put(s.Context(), ref, platform.Put{Values: s.one("x"), Public: []string{s.field(1)}})
		s.want(keyturn.Unsupported, err, "put with a public field")
	}
	if spec.Expires {
		full.Expires = time.Date(2099, 12, 31, 23, 59, 58, 0, time.UTC)
	} else {
		_, err := s.m.Put(s.Context(), ref, platform.Put{Values: s.one("x"), Expires: time.Now().Add(time.Hour)})
		s.want(keyturn.Unsupported, err, "put with an expiry")
	}
	c := s.putAs(ref, platform.Put{Values: full.Values, Labels: full.Labels, Public: full.Public, Expires: full.Expires})
	keeps("after a put", c.Info.Version, full.Labels, full.Public, full.Expires)
	c = s.putAs(ref, platform.Put{Values: s.one("next"), Mode: keyturn.Merge})
	keeps("labels carry over, and a new value is not public", c.Info.Version, full.Labels, nil, time.Time{})
	info, err := p.Put(s.Context(), ref, platform.New{Values: full.Values})
	if err != nil {
		s.Fatalf("put: %s", say(err))
	}
	left := map[string]string(nil)
	if spec.Labels.OfSecret {
		left = full.Labels
		s.outlive(ref, full)
		if info, err = p.Put(s.Context(), ref, platform.New{Values: full.Values}); err != nil {
			s.Fatalf("put: %s", say(err))
		}
	}
	keeps("a whole version without labels", info.Version, left, nil, time.Time{})
	if l := spec.Labels; l.Max > 0 {
		over := maps.Clone(full.Labels)
		over["onemore"] = least
		refused := map[string]map[string]string{
			"one label too many": over,
			"too long a name":    {strings.Repeat("k", l.Key+1): least},
			"too long a value":   {"k": strings.Repeat("v", l.Value+1)},
			"an empty name":      {"": "v"},
			"a line break":       {"k": "a\nb"},
		}
		if l.NotEmpty {
			refused["an empty value"] = map[string]string{"k": ""}
		}
		for what, labels := range refused {
			_, err := s.m.Put(s.Context(), ref, platform.Put{Values: full.Values, Labels: labels})
			s.want(keyturn.Invalid, err, "put with labels: "+what)
		}
		keeps("after puts that were refused", info.Version, left, nil, time.Time{})
		s.relabel(ref, keeps)
	}
}

// relabel: under a merge labels are added to those that are there, and taken away one by
// one; where they belong to the secret no version is made for it.
func (s *suite) relabel(ref keyturn.Ref, keeps func(doing, version string, labels map[string]string, public []string, expires time.Time)) {
	c := s.putAs(ref, platform.Put{Values: s.one("x"), Mode: keyturn.Replace, Labels: map[string]string{"team": "web", "tier": "1"}})
	keeps("all labels named", c.Info.Version, map[string]string{"team": "web", "tier": "1"}, nil, time.Time{})
	_, err := s.m.Put(s.Context(), ref, platform.Put{Values: s.one("x"), Mode: keyturn.Replace, Unlabel: []string{"team"}})
	s.want(keyturn.Invalid, err, "put that takes a label away, and does not merge")
	next := s.putAs(ref, platform.Put{Mode: keyturn.Merge, Labels: map[string]string{"env": "prod"}, Unlabel: []string{"tier", "absent"}})
	if same := next.Info.Version == c.Info.Version; same != s.h.Spec.Labels.OfSecret {
		s.Errorf("labels alone: version '%s' after '%s', and labels are of the secret: %v", next.Info.Version, c.Info.Version, s.h.Spec.Labels.OfSecret)
	}
	keeps("one label more, one less", next.Info.Version, map[string]string{"team": "web", "env": "prod"}, nil, time.Time{})
	next = s.putAs(ref, platform.Put{Values: s.one("y"), Mode: keyturn.Merge, Labels: map[string]string{"team": "data"}})
	keeps("a label changed with a value", next.Info.Version, map[string]string{"team": "data", "env": "prod"}, nil, time.Time{})
}

// outlive: labels that belong to the secret stay when its newest version is deleted
// and another is put over it.
func (s *suite) outlive(ref keyturn.Ref, full platform.New) {
	if _, ok := s.h.Platform.(platform.Deleter); !ok || s.h.Spec.Recovery != platform.RecoveryForever {
		return
	}
	if _, _, err := s.m.Delete(s.Context(), ref); err != nil {
		s.Fatalf("delete: %s", say(err))
	}
	c := s.putAs(ref, platform.Put{Values: full.Values})
	s.settle(func() string {
		got, err := s.m.Get(s.Context(), ref)
		if err != nil {
			return "get: " + say(err)
		}
		if got.Version != c.Info.Version || !maps.Equal(got.Labels, full.Labels) || !maps.Equal(c.Info.Labels, full.Labels) {
			return fmt.Sprintf("a put over a deleted version: labels %q, told %q, want %q", got.Labels, c.Info.Labels, full.Labels)
		}
		return ""
	})
}

// compareAndSet: what is expected holds, or nothing happens.
func (s *suite) compareAndSet() {
	p := s.putter()
	ctx, ref := s.Context(), s.ref()
	if !s.h.Spec.CompareAndSet {
		for _, v := range []string{keyturn.None, "1", "x"} {
			_, err := s.m.Put(ctx, ref, platform.Put{Values: s.one("x"), IfVersion: v})
			s.want(keyturn.Unsupported, err, "put --if-version without compare-and-set")
		}
		s.absent(ref, "get after puts that were refused")
		return
	}
	fails := func(doing, version string, values map[string]keyturn.Value) {
		s.Helper()
		_, err := p.Put(ctx, ref, platform.New{Values: values, IfVersion: version})
		s.want(keyturn.Conflict, err, doing)
		e := s.want(keyturn.Conflict, second(s.m.Put(ctx, ref, platform.Put{Values: values, IfVersion: version, Mode: keyturn.Replace})), doing)
		if e.Hint == "" {
			s.Errorf("%s: the error has no hint", doing)
		}
	}
	other := s.put(s.ref(), s.one("other"))
	fails("put if at a version, of nothing", other.Version, s.one("x"))
	s.absent(ref, "get after puts that lost")
	a, err := p.Put(ctx, ref, platform.New{Values: s.one("a"), IfVersion: keyturn.None})
	if err != nil {
		s.Fatalf("put if none: %s", say(err))
	}
	fails("put if none, of what exists", keyturn.None, s.one("x"))
	b, err := p.Put(ctx, ref, platform.New{Values: s.one("b"), IfVersion: a.Version})
	if err != nil {
		s.Fatalf("put if at the newest version: %s", say(err))
	}
	fails("put if at a version that is no longer newest", a.Version, s.one("x"))
	s.holds(ref, b.Version, s.one("b"))
	e := s.want(keyturn.Conflict, second(s.m.Put(ctx, ref, platform.Put{Values: s.one("x"), IfVersion: a.Version})), "put if at an old version")
	if !strings.Contains(e.Message, b.Version) {
		s.Errorf("a put that lost does not name the current version: %s", e.Message)
	}
	if s.h.Spec.NumericVersions {
		for _, v := range []string{"0", "-1", "0" + b.Version, "+" + b.Version, b.Version + " "} {
			_, err := p.Put(ctx, ref, platform.New{Values: s.one("x"), IfVersion: v})
			s.wantAny(err, "put if at '"+v+"'", keyturn.Invalid, keyturn.Conflict)
			_, err = s.m.Put(ctx, ref, platform.Put{Values: s.one("x"), IfVersion: v})
			s.want(keyturn.Invalid, err, "put if at '"+v+"'")
		}
		s.holds(ref, b.Version, s.one("b"))
	}
}

// race: of several writers who expect the same version exactly one wins, and it is
// the winner's value that is there.
func (s *suite) race() {
	if s.putter(); !s.h.Spec.CompareAndSet {
		s.Skipf("Spec has no compare-and-set")
	}
	writers := []platform.Putter{s.h.Platform.(platform.Putter)}
	if s.h.Second != nil {
		writers = append(writers, s.h.Second.(platform.Putter))
	}
	const racers, rounds = 6, 8
	for round := range rounds {
		ref, expect := s.ref(), keyturn.None
		if round%2 == 1 {
			expect = s.put(ref, s.one("start")).Version
		}
		var (
			wg    sync.WaitGroup
			start = make(chan struct{})
			infos [racers]keyturn.Info
			errs  [racers]error
		)
		for i := range racers {
			wg.Go(func() {
				<-start
				infos[i], errs[i] = writers[i%len(writers)].Put(s.Context(), ref,
					platform.New{Values: s.one(strconv.Itoa(i)), IfVersion: expect})
			})
		}
		close(start)
		wg.Wait()
		winner, wins := -1, 0
		for i, err := range errs {
			if err == nil {
				winner, wins = i, wins+1
			} else if !errors.Is(err, keyturn.Conflict) {
				s.want(keyturn.Conflict, err, "a put that lost a race")
			}
		}
		if wins != 1 {
			s.Fatalf("of %d racing writers who all expected '%s' %d have won, want exactly 1", racers, expect, wins)
		}
		s.holds(ref, infos[winner].Version, s.one(strconv.Itoa(winner)))
	}
}

// writers: puts at the same time are all kept, each as a version of its own.
func (s *suite) writers() {
	s.putter()
	mounts := []*platform.Mount{s.m}
	if s.h.Second != nil {
		mounts = append(mounts, platform.NewMount(s.h.Mount, s.h.Second, s.h.Spec, "under test"))
	}
	const writers, each = 3, 4
	refs := []keyturn.Ref{s.ref(), s.ref()}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		puts = map[keyturn.Ref]map[string]map[string]keyturn.Value{refs[0]: {}, refs[1]: {}}
	)
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				ref, values := refs[i%2], s.one(fmt.Sprint(w, i))
				c, err := mounts[w%len(mounts)].Put(s.Context(), ref, platform.Put{Values: values, Mode: keyturn.Replace})
				for try := 0; errors.Is(err, keyturn.Conflict) && try < 20; try++ { // Mount tries five times, then it tells
					c, err = mounts[w%len(mounts)].Put(s.Context(), ref, platform.Put{Values: values, Mode: keyturn.Replace})
				}
				mu.Lock()
				if err != nil {
					s.Errorf("put beside other writers: %s", say(err))
				} else if puts[ref][c.Info.Version] != nil {
					s.Errorf("two puts were told the same version '%s'", c.Info.Version)
				} else {
					puts[ref][c.Info.Version] = values
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for ref, versions := range puts {
		for v, values := range versions {
			if s.historian() {
				s.holds(s.at(ref, v), v, values)
			}
		}
		s.settle(func() string {
			got, err := s.m.Get(s.Context(), ref)
			if err != nil {
				return "get: " + say(err)
			}
			return difference(got.Values, versions[got.Version])
		})
	}
}

// versions: history is complete, and in the order that Spec says.
func (s *suite) versions() {
	s.putter()
	if !s.historian() {
		s.Skipf("the platform has no history")
	}
	ref := s.ref()
	var want []string
	for i := range 11 { // so many that "10" and "9" tell a sort by text
		want = append(want, s.put(ref, s.one(strconv.Itoa(i))).Version)
	}
	if s.h.Spec.NumericVersions {
		last := 0
		for _, v := range want {
			n, _ := strconv.Atoi(v)
			if !platform.IsNumber(v) || n <= last {
				s.Errorf("version '%s' after %d is not a larger number", v, last)
			}
			last = n
		}
	}
	slices.Reverse(want)
	s.settle(func() string {
		versions, err := s.m.Versions(s.Context(), ref)
		if err != nil {
			return "history: " + say(err)
		}
		var got []string
		for i, v := range versions {
			got = append(got, v.Version)
			if v.State != keyturn.Live || v.Current != (v.Version == want[0]) || v.Created.IsZero() {
				return fmt.Sprintf("history: entry %d is %+v", i, v)
			}
			if s.h.Spec.OrderedVersions && i > 0 && v.Created.After(versions[i-1].Created) {
				return "history: times do not follow the order"
			}
		}
		ordered := slices.Clone(want)
		if !s.h.Spec.OrderedVersions {
			slices.Sort(got)
			slices.Sort(ordered)
		}
		if !slices.Equal(got, ordered) {
			return fmt.Sprintf("history: %q, want %q", got, ordered)
		}
		return ""
	})
	for i, v := range want {
		s.holds(s.at(ref, v), v, s.one(strconv.Itoa(len(want)-1-i)))
	}
}

// rollback: an earlier value becomes current, and the way back is told.
func (s *suite) rollback() {
	s.putter()
	ctx, ref := s.Context(), s.ref()
	if !s.historian() {
		s.want(keyturn.Unsupported, second(s.m.Rollback(ctx, ref, "")), "rollback without history")
		return
	}
	a := s.put(ref, s.one("a"))
	s.want(keyturn.NotFound, second(s.m.Rollback(ctx, ref, "")), "rollback of the only version")
	b := s.put(ref, s.one("b"))
	c := s.put(ref, s.one("c"))
	s.holds(ref, c.Version, s.one("c"))
	back, err := s.m.Rollback(ctx, ref, a.Version)
	if err != nil {
		s.Fatalf("rollback: %s", say(err))
	}
	if back.Before != c.Version || back.Created {
		s.Errorf("rollback: before '%s', created %v; want '%s'", back.Before, back.Created, c.Version)
	}
	s.holds(ref, back.Info.Version, s.one("a"))
	s.holds(s.at(ref, b.Version), b.Version, s.one("b"))
	if s.h.Spec.OrderedVersions {
		back, err = s.m.Rollback(ctx, ref, "")
		if err != nil {
			s.Fatalf("rollback: %s", say(err))
		}
		s.holds(ref, back.Info.Version, s.one("c"))
	}
	s.want(keyturn.Conflict, second(s.m.Rollback(ctx, ref, back.Info.Version)), "rollback to what is current")
}
