package files

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/document"
)

func mustRead(t testing.TB, name, data string, o Options) *File {
	t.Helper()
	f, err := Read(name, []byte(data), o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func rewritten(t testing.TB, f *File) string {
	t.Helper()
	out, err := f.Rewrite(target)
	if err != nil {
		t.Fatal(err)
	}
	return string(out.Data)
}

func TestKinds(t *testing.T) {
	const secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: YQ==}\n"
	for _, c := range []struct {
		name, data string
		want       Kind
	}{
		{".env", "A=b", Env}, {"app/.env.production", "A=b", Env}, {"prod.env", "A=b", Env}, {`C:\app\.ENV`, "A=b", Env}, {".env", "", Env},
		{"settings", "# c\nexport A = b\n", Env}, {"settings", `{"a":"b"}`, JSON}, {"x.json", "[1]", JSON},
		{"compose.yaml", "services: {}\n", Compose}, {"compose.prod.yml", "services:\n  a: {}\n", Compose}, {"docker-compose.override.yml", "services:\n", Compose},
		{"stack.yml", "services:\n  a:\n    image: b\n", Compose}, {"app.yaml", "services:\n  a: b\n", YAML}, {"compose.yaml", "a: b\n", YAML},
		{"s.yaml", secret, Manifest}, {"s.yaml", "a: b\n---\n" + secret, Manifest},
		{"s.yaml", strings.Replace(secret, "v1", "v2", 1), YAML}, {"s.yaml", strings.Replace(secret, "Secret", "SealedSecret", 1), YAML},
		{"s.json", `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Secret","data":{"a":"YQ=="}}]}`, Manifest},
		{"empty.yaml", "", YAML},
	} {
		f, err := Read(c.name, []byte(c.data), Options{})
		if err != nil || f.Kind() != c.want {
			t.Errorf("%s %q: %v, want %s", c.name, c.data, err, c.want)
			continue
		}
		if _, err := f.Rewrite(target); err != nil {
			t.Errorf("%s %q: %v", c.name, c.data, err)
		}
	}
}

// TestErrors: code, line, a hint, and never a value.
func TestErrors(t *testing.T) {
	deep := strings.Repeat("[", 200) + `"canary-x"` + strings.Repeat("]", 200)
	many := "[" + strings.Repeat(`"canary-x",`, MaxEntries+1) + `"canary-x"]`
	for what, c := range map[string]struct{ name, data, at string }{
		"no kind":              {"notes.txt", "canary-x canary-x", "notes.txt:"},
		"broken JSON":          {"a.json", "{\n\"a\": \"canary-x\",\n}", "a.json:3:"},
		"empty JSON":           {"a.json", "", "a.json:1:"},
		"JSON with comments":   {"a.json", "{ // canary-x\n}", "a.json:1:"},
		"two of JSON":          {"a.json", "{}\n{\"a\":\"canary-x\"}", "a.json:2:"},
		"broken YAML":          {"a.yaml", "a: b\nc: \"canary-x\n", "a.yaml:"},
		"tab in YAML":          {"a.yaml", "a:\n\tb: canary-x\n", "a.yaml:2:"},
		"alias without anchor": {"a.yaml", "a: *canary-x\n", "a.yaml:"},
		"UTF-16":               {"a.yaml", "\xFF\xFEa\x00", "a.yaml:1:"},
		"Latin-1":              {"a.yaml", "a: canary-x\xE4\n", "a.yaml:"},
		"zero byte":            {"a.yaml", "a: b\nc: canary-x\x00\n", "a.yaml:2:"},
		"broken .env":          {".env", "A=b\ncanary-x\n", ".env:2:"},
		"open quote":           {".env", "A=\"canary-x\n", ".env:1:"},
		"too large":            {".env", "A=" + strings.Repeat("x", document.MaxSize), ".env:"},
		"deep JSON":            {"a.json", deep, "a.json:1:"},
		"deep YAML":            {"a.yaml", deep, "a.yaml:1:"},
		"many in JSON":         {"a.json", many, "a.json:1:"},
		"many in YAML":         {"a.yaml", many, "a.yaml:1:"},
		"many in .env":         {".env", strings.Repeat("A=canary-x\n", MaxEntries+1), ".env:"},
		"sops":                 {"a.yaml", "a: ENC[AES256_GCM,data:canary-x]\nsops:\n  mac: x\n", "a.yaml:"},
		"manifest of aliases":  {"a.yaml", "apiVersion: v1\nkind: Secret\nstringData:\n  a: &a canary-x\n  b: *a\n", "a.yaml:5:"},
		"manifest held twice": {"a.yaml", "apiVersion: v1\nkind: Secret\nmetadata:\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: |\n" +
			"      {\"data\":{\"a\":\"canary-x\"}}\ndata: {a: YQ==}\n", "a.yaml:5:"},
		"a bomb of merges": {"compose.yaml", bomb(), "compose.yaml:"},
	} {
		_, err := Read(c.name, []byte(c.data), Options{})
		e := keyturn.AsError(err)
		switch {
		case !errors.Is(err, keyturn.Invalid):
			t.Errorf("%s: %v, want Invalid", what, err)
		case !strings.HasPrefix(e.Message, c.at):
			t.Errorf("%s: %q does not begin with %s", what, e.Message, c.at)
		case strings.Contains(e.Message+e.Hint, "canary-x"):
			t.Errorf("%s: the error quotes the file", what)
		case e.Hint == "":
			t.Errorf("%s: %q has no hint", what, e.Message)
		}
	}
}

// bomb is a compose file whose merges stand for 20^8 mappings.
func bomb() string {
	var b strings.Builder
	b.WriteString("x0: &a0 {}\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "x%d: &a%d\n  <<: [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 20), ", "))
	}
	b.WriteString("services:\n  a:\n    image: b\n    <<: *a8\n")
	return b.String()
}

func TestChoose(t *testing.T) {
	const file = "DB_USER=app\nDB_PASS=fake\nURL=pg://${DB_USER}:${DB_PASS}@h\nSAME=${DB_PASS}\nPORT=80\nDEBUG=true\nEMPTY=\nHOMEPATH=${HOME}/x\n"
	moved := func(f *File) string {
		var out []string
		for _, e := range f.Entries() {
			if e.Secret {
				out = append(out, e.Name)
			}
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		what string
		Choice
		want, err, hint string
	}{
		{"as judged", Choice{}, "DB_USER DB_PASS URL", "", ""},
		{"all", Choice{All: true}, "DB_USER DB_PASS URL PORT DEBUG", "", ""},
		{"all but one", Choice{All: true, Keep: []string{"PORT"}}, "DB_USER DB_PASS URL DEBUG", "", ""},
		{"keep", Choice{Keep: []string{"DB_USER"}}, "DB_PASS URL", "", ""},
		{"only", Choice{Only: []string{"PORT"}}, "PORT", "", ""},
		{"only, and what is made of it", Choice{Only: []string{"DB_PASS"}}, "DB_PASS URL", "", ""},
		{"only an end", Choice{Only: []string{"URL"}}, "URL", "", ""},
		{"keep what is made of it", Choice{Keep: []string{"URL"}}, "", ".env:3: URL cannot be kept: it is made of DB_USER, which moves", "keep DB_USER too"},
		{"keep all of them", Choice{Keep: []string{"URL", "DB_USER", "DB_PASS"}}, "", "", ""},
		{"only what cannot", Choice{Only: []string{"HOMEPATH"}}, "", ".env:8: HOMEPATH cannot move: made of HOME", "--only"},
		{"only what is empty", Choice{Only: []string{"EMPTY"}}, "", ".env:7: EMPTY cannot move: empty", "--only"},
		{"no such name", Choice{Keep: []string{"DB_PAS"}}, "", ".env: nothing in it is named DB_PAS", "DB_PASS"},
	} {
		f := mustRead(t, ".env", file, Options{})
		err := f.Choose(c.Choice)
		if c.err == "" {
			if err != nil || moved(f) != c.want {
				t.Errorf("%s: %q and %v, want %q", c.what, moved(f), err, c.want)
				continue
			}
			out := rewritten(t, f)
			sameEnvironment(t, []byte(file), []byte(out), stored(t, f))
			continue
		}
		if e := keyturn.AsError(err); !errors.Is(err, keyturn.Invalid) || !strings.Contains(e.Message, c.err) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s: %+v, want %q with %q", c.what, e, c.err, c.hint)
		}
		if moved(f) != "DB_USER DB_PASS URL" {
			t.Errorf("%s: a choice that failed left %q", c.what, moved(f))
		}
	}
	// A choice begins anew each time.
	f := mustRead(t, ".env", file, Options{})
	for _, c := range []Choice{{All: true}, {Only: []string{"PORT"}}, {}} {
		if err := f.Choose(c); err != nil {
			t.Fatal(err)
		}
	}
	if moved(f) != "DB_USER DB_PASS URL" {
		t.Errorf("after three choices: %q", moved(f))
	}
}

// TestUnsettled: a file whose own judgement cannot be carried out says so when
// it is rewritten, until a choice settles it.
func TestUnsettled(t *testing.T) {
	f := mustRead(t, ".env", "DB_PASS=fake\nURL=pg://$USER:$DB_PASS@h\n", Options{})
	_, err := f.Rewrite(target)
	if e := keyturn.AsError(err); !errors.Is(err, keyturn.Invalid) || !strings.Contains(e.Message, "URL uses DB_PASS") || !strings.Contains(e.Hint, "--keep") {
		t.Errorf("%+v", e)
	}
	if err := f.Choose(Choice{Keep: []string{"DB_PASS"}}); err != nil {
		t.Fatal(err)
	}
	if got := rewritten(t, f); got != string(f.data) {
		t.Errorf("nothing moves, and the file is %q", got)
	}
}

// TestDuplicates: each line is rewritten, the last value wins, and what is made
// of an earlier one keeps it.
func TestDuplicates(t *testing.T) {
	const file = "P=fake-1\nA=$P\nP=fake-2\nB=${P}\nP=fake-3\nC=x$P\n"
	f := mustRead(t, ".env", file, Options{})
	got := map[string]string{}
	for ref, v := range stored(t, f) {
		got[ref.Field()] = string(v.Reveal())
	}
	want := map[string]string{"P": "fake-3", "A": "fake-1", "B": "fake-2", "C": "xfake-3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	sameEnvironment(t, []byte(file), []byte(rewritten(t, f)), stored(t, f))
}

// TestQuotingOfReferences: a reference that a quote or a $ is part of still
// reads as itself.
func TestQuotingOfReferences(t *testing.T) {
	for _, name := range []string{"it's", `a"b`, "a`b", "a$b", "$HOME", `a\b`, "a'b\"c", "x:", "a,b", "a{b}", "a[b]", "ü", "a b", "a#b", "a&b", "*a", "a: b"} {
		ref, err := keyturn.NewRef("local", name)
		if err != nil {
			t.Fatal(err)
		}
		for file, data := range map[string]string{
			".env":         "A_SECRET=fake\nB_SECRET='fake'\nC_SECRET=\"fake\"\nD_SECRET=`fake`\n",
			"a.yaml":       "a_secret: fake\nb_secret: 'fake'\nc_secret: \"fake\"\nd_secret: |\n  fake\ne: {f_secret: fake, g_secret: 'fake'}\nh_secrets: [fake]\n",
			"a.json":       `{"a_secret": "fake", "b_secrets": ["fake"]}`,
			"compose.yaml": "services: {a: {image: b, environment: {A_SECRET: fake}}}\n",
			"s.yaml":       "apiVersion: v1\nkind: Secret\nstringData: {a: fake}\n",
		} {
			f := mustRead(t, file, data, Options{})
			out, err := f.Rewrite(ref)
			if err != nil {
				t.Errorf("%s with %s: %v", file, ref, err)
				continue
			}
			switch f.Kind() {
			case Compose:
				env, err := JoinEnv(".env", nil, out.Env)
				if err != nil {
					t.Errorf("%s: %v", ref, err)
				} else if again := mustRead(t, ".env", string(env), Options{}); again.Entries()[0].Reference == nil {
					t.Errorf("%s is no reference in %q", ref, env)
				}
			case Manifest:
				p, err := document.ParseTemplate("t", out.Template)
				if err != nil || len(p.Refs()) != 1 || p.Refs()[0].Secret() != ref {
					t.Errorf("%s is no reference in %q: %v", ref, out.Template, err)
				}
			default:
				for _, e := range mustRead(t, file, string(out.Data), Options{}).Entries() {
					if e.Reference == nil || e.Reference.Secret() != ref {
						t.Errorf("%s: %s is not %s", file, e.Name, ref)
					}
				}
			}
		}
	}
}

func TestTaken(t *testing.T) {
	f := mustRead(t, "compose.yaml", "services:\n  my-app:\n    image: a\n    environment:\n      DB_PASS: fake\n      OTHER_PASS: fake-2\n", Options{Taken: []string{"DB_PASS"}})
	out, err := f.Rewrite(target)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Env) != 2 || out.Env[0].Name != "MY_APP_DB_PASS" || out.Env[1].Name != "OTHER_PASS" {
		t.Errorf("%v", out.Env)
	}
}

func TestJoinEnv(t *testing.T) {
	lines := []EnvLine{{"A", keyturn.MustRef("kt://local/app#A")}, {"B", keyturn.MustRef("kt://local/app#B")}}
	const both = "A=kt://local/app#A\nB=kt://local/app#B\n"
	for _, c := range []struct{ what, existing, want string }{
		{"nothing", "", both},
		{"others", "# mine\nX=1\n", "# mine\nX=1\n" + both},
		{"no line end", "X=1", "X=1\n" + both},
		{"CR LF", "X=1\r\n", "X=1\r\nA=kt://local/app#A\r\nB=kt://local/app#B\r\n"},
		{"one there", "B='kt://local/app#B'\n", "B='kt://local/app#B'\nA=kt://local/app#A\n"},
		{"both there", both, both},
	} {
		got, err := JoinEnv(".env", []byte(c.existing), lines)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v", c.what, got, err)
		}
	}
	for _, existing := range []string{"A=canary-x\n", "A=kt://local/other#A\n", "A=kt://local/app#A\nA=canary-x\n"} {
		_, err := JoinEnv(".env", []byte(existing), lines)
		if e := keyturn.AsError(err); !errors.Is(err, keyturn.Conflict) || e.Hint == "" || strings.Contains(e.Message, "canary-x") {
			t.Errorf("%q: %+v, want Conflict", existing, e)
		}
	}
	if _, err := JoinEnv(".env", []byte("A=\"\n"), lines); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("a broken file: %v", err)
	}
}

func TestRewriteNeedsASecret(t *testing.T) {
	f := mustRead(t, ".env", "A_SECRET=fake\n", Options{})
	if _, err := f.Rewrite(keyturn.Ref{}); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("no secret: %v", err)
	}
	long := mustRead(t, "a.json", `{"`+strings.Repeat("k", keyturn.MaxField)+`_secret":"fake"}`, Options{})
	if _, err := long.Rewrite(target); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("a name that is too long: %v", err)
	}
	version := keyturn.MustRef("kt://local/app?version=3")
	if out, err := f.Rewrite(version); err != nil || string(out.Data) != "A_SECRET=kt://local/app#A_SECRET\n" {
		t.Errorf("a version is no place to write to: %q, %v", out.Data, err)
	}
}

// FuzzRewrite: what Read takes is either refused by Rewrite or comes out with
// references where values were, every other byte as it was.
func FuzzRewrite(f *testing.F) {
	for path, name := range corpus(f) {
		_, data := load(f, path, name)
		f.Add(name, data, false)
	}
	f.Add(".env", []byte("A=\"${B:-$C}\"\nB=1\nA=$A$A\nexport C='x'#y\n"), true)
	f.Add("a.yaml", []byte("? |\n  a\n: &x !!str |2-\n    b_secret\n? [a]\n: *x\n"), true)
	f.Add("compose.yaml", []byte(bomb()), true)
	f.Fuzz(func(t *testing.T, name string, data []byte, all bool) {
		file, err := Read(name, bytes.Clone(data), Options{Mounts: others})
		if err != nil {
			if keyturn.AsError(err).Code != keyturn.Invalid {
				t.Fatalf("%v", err)
			}
			return
		}
		if all {
			if err := file.Choose(Choice{All: true}); err != nil {
				return
			}
		}
		out, err := file.Rewrite(target)
		if err != nil {
			if strings.Contains(err.Error(), "would not read the same") {
				t.Errorf("%v", err) // nothing is lost by it, but nobody can migrate such a file
			}
			return
		}
		values := stored(t, file)
		if file.Kind() == Manifest {
			return // Rewrite has filled the template and compared
		}
		onlyScalars(t, file, data, out.Data)
		again, err := Read(name, out.Data, Options{Mounts: others})
		if err != nil || again.Kind() != file.Kind() || len(again.items) != len(file.items) {
			t.Fatalf("the new text reads as something else: %v", err)
		}
		for i, e := range file.Entries() {
			now := again.Entries()[i]
			if now.Name != e.Name || now.Secret && e.Secret {
				t.Errorf("line %d: %s is now %s", e.Line, e.Name, now.Name)
			}
			if e.Secret && file.Kind() != Compose {
				ref, err := target.WithField(e.Field)
				if err != nil || now.Reference == nil || *now.Reference != ref || !values[ref].Equal(e.Value) {
					t.Errorf("line %d: %s is not %v", e.Line, e.Name, ref)
				}
			}
		}
	})
}

// TestLarge: a file at the limits takes seconds at most, whatever its shape.
func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	const n = 2500
	long := strings.Repeat("x", 1000)
	for what, c := range map[string]struct{ name, data string }{
		"one line of YAML":   {"a.yaml", "[" + strings.Repeat(`"`+long+`",`, n) + "1]"},
		"one line of JSON":   {"a.json", "[" + strings.Repeat(`"`+long+`",`, n) + "1]"},
		"lines of .env":      {".env", strings.Repeat("A_SECRET=\"$B"+long+"\"\n", n)},
		"the same name":      {"a.yaml", strings.Repeat("---\na_secret: "+long+"\n", n)},
		"multi-line values":  {".env", strings.Repeat("A_SECRET=\"a\n\n\n\n\n\nb\"\n", n)},
		"braces":             {"compose.yaml", "services: {a: {image: b, environment: {A: \"" + strings.Repeat("${A:-", 200_000) + "\"}}}"},
		"comments":           {".env", strings.Repeat("# A_SECRET="+long+"\n", n)},
		"many documents":     {"a.yaml", strings.Repeat("---\na: b\n", n)},
		"keys without place": {"a.yaml", strings.Repeat("? - a\n: b\n", n)},
	} {
		start := time.Now()
		f, err := Read(c.name, []byte(c.data), Options{})
		if err == nil {
			_, err = f.Rewrite(target)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: %d bytes took %v (%v)", what, len(c.data), took, err)
		} else {
			t.Logf("%s: %d bytes, %v, %v", what, len(c.data), took.Round(time.Millisecond), err)
		}
	}
}
