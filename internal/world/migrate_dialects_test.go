package world_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/document"
	"github.com/keyturn/keyturn/internal/world"
)

// around is a .env file without its values: names, comments, order and white space.
func around(t *testing.T, name string, data []byte) string {
	t.Helper()
	f, err := document.ParseEnv(name, data)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	at := 0
	for _, e := range f.Entries {
		b.Write(data[at:e.Start])
		b.WriteByte(0)
		at = e.End
	}
	b.Write(data[at:])
	return b.String()
}

// TestDialects migrates every .env file of the corpus with the real program: its
// child has the environment that it had, byte for byte, what was moved is gone
// from the file, and taking it back gives the bytes that were there.
func TestDialects(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "migrate", "files", "testdata", "corpus", "*.env*"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files of the corpus (%v)", len(files), err)
	}
	m := world.New(t)
	m.Must("", "init", "--key", "file")
	m.Must("", "put", "local/app", "--generate", "API_TOKEN", "--generate", "DB_PASSWORD")
	environment := func(file string) (string, bool) {
		t.Helper()
		out := m.Run("", "run", "--trust-project", "--env-file", file, "--no-redact", "--", "env", "-0")
		if out.Status != 0 {
			return out.Stderr, false
		}
		vars := strings.Split(out.Stdout, "\x00")
		slices.Sort(vars)
		return strings.Join(vars, "\x00"), true
	}
	moved, kept, tried := 0, 0, 0
	for _, corpus := range files {
		base := filepath.Base(corpus)
		data, err := os.ReadFile(corpus)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(m.Work, base)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		before, ok := environment(file)
		if !ok {
			t.Logf("%s: its references lead nowhere here, so no child starts before or after: %s", base, strings.TrimSpace(before))
			continue
		}
		for _, flags := range [][]string{nil, {"--all"}} {
			args := append([]string{"migrate", file, "--to", "local/corpus/" + base + strings.Join(flags, "")}, flags...)
			out := m.Must("", args...)
			now, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			refs := strings.Count(string(now), "kt://local/corpus/")
			moved += refs
			kept += strings.Count(out.Stdout, "  stays  ")
			if string(now) == string(data) {
				if refs > 0 || !strings.Contains(out.Stdout, "nothing to migrate") {
					t.Errorf("%s %v: the file is the same\n%s", base, flags, out.Stdout)
				}
				continue
			}
			tried++
			if after, ok := environment(file); !ok || after != before {
				t.Errorf("%s %v: the child has another environment\n%q\nwas\n%q", base, flags, after, before)
			}
			if around(t, base, now) != around(t, base, data) {
				t.Errorf("%s %v: something beside the values has changed:\n%s", base, flags, now)
			}
			m.Must("", "migrate", "--rollback", file)
			if back, err := os.ReadFile(file); err != nil || string(back) != string(data) {
				t.Errorf("%s %v: taken back it is another file (%v)", base, flags, err)
			}
		}
	}
	if moved == 0 || kept == 0 || tried < len(files) {
		t.Errorf("%d moved, %d kept, %d migrations: too little was tried", moved, kept, tried)
	}
	t.Logf("%d files, %d migrations, %d values moved, %d kept; the same environment before and after", len(files), tried, moved, kept)
}

// TestComposeDialects migrates every compose file of the corpus with the real
// program: the line that it prints starts a program that has each variable of the
// rewritten file with the value that was stored once its file is trusted, and taking
// it back leaves the folder as it was. (That compose itself reads the files the same
// way is tested in migrate/oracle.)
func TestComposeDialects(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "migrate", "files", "testdata", "corpus", "*compose*"))
	if err != nil || len(files) < 12 {
		t.Fatalf("%d files of the corpus (%v)", len(files), err)
	}
	m := world.New(t)
	m.Must("", "init", "--key", "file")
	m.Must("", "put", "local/app", "ALREADY=of a file that holds references already")
	variables, migrated := 0, 0
	for i, corpus := range files {
		data, err := os.ReadFile(corpus)
		if err != nil {
			t.Fatal(err)
		}
		base, here := filepath.Base(corpus), *m
		here.Work = filepath.Join(m.Work, fmt.Sprint(i))
		if err := os.Mkdir(here.Work, 0o700); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(here.Work, "compose.yaml")
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		ref := "local/compose/" + base
		out := here.Must("", "migrate", "compose.yaml", "--to", ref)
		if strings.Contains(out.Stdout, "nothing to migrate") {
			continue
		}
		migrated++
		if !strings.Contains(out.Stdout, "use it with: keyturn run -- docker compose up\n") {
			t.Errorf("%s: %s", base, out.Stdout)
			continue
		}
		var doc struct {
			Secret struct{ Values map[string]any }
		}
		if err := json.Unmarshal([]byte(here.Must("", "get", ref, "--reveal", "--allow-pipe", "-o", "json").Stdout), &doc); err != nil {
			t.Fatal(err)
		}
		env, err := document.ParseEnv(".env", read(t, filepath.Join(here.Work, ".env")))
		if err != nil || len(env.Entries) == 0 {
			t.Fatalf("%s: %d references in .env (%v)", base, len(env.Entries), err)
		}
		here.Must("", "trust", "--yes")
		given := strings.Split(here.Must("", "run", "--no-redact", "--", "env", "-0").Stdout, "\x00")
		now := string(read(t, file))
		for _, e := range env.Entries {
			variables++
			value, _ := doc.Secret.Values[e.Ref.Field()].(string)
			if e.Ref.Path() == "local/app" {
				value = "of a file that holds references already"
			}
			if !slices.Contains(given, e.Name+"="+value) {
				t.Errorf("%s: the variable %s has another value than what is stored", base, e.Name)
			}
			if !strings.Contains(now, "${"+e.Name+":?start with keyturn run -- docker compose up}") {
				t.Errorf("%s: the file does not ask for %s", base, e.Name)
			}
		}
		here.Must("", "migrate", "--rollback", "compose.yaml")
		entries, err := os.ReadDir(here.Work)
		if err != nil || len(entries) != 1 || string(read(t, file)) != string(data) {
			t.Errorf("%s: taken back the folder is another: %v (%v)", base, entries, err)
		}
	}
	if migrated < 12 || variables < 20 {
		t.Errorf("%d migrations and %d variables: too little was tried", migrated, variables)
	}
	t.Logf("%d files, %d migrated, %d variables with the value that was stored", len(files), migrated, variables)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
