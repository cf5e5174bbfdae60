package oracle

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/migrate/files"
)

// variables loads a compose file as compose does, and returns what services and
// builds get: "SERVICE NAME" to value, "-" in front where it is passed on.
func variables(data []byte, env map[string]string) (map[string]string, error) {
	p, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  ".",
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: data}},
		Environment: env,
	}, func(o *loader.Options) {
		o.SetProjectName("oracle", true)
		o.SkipResolveEnvironment = true
	})
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	add := func(where string, m types.MappingWithEquals) {
		for k, v := range m {
			if v == nil {
				out[where+k] = "-"
			} else {
				out[where+k] = "=" + *v
			}
		}
	}
	for name, s := range p.Services {
		add(name+" ", s.Environment)
		if s.Build != nil {
			add(name+" build ", s.Build.Args)
		}
	}
	return out, nil
}

// TestCompose: by compose's own reading, every service gets the same variables
// from the rewritten file, once its references are resolved, and the file is
// refused where they are not.
func TestCompose(t *testing.T) {
	paths, err := filepath.Glob("../files/testdata/corpus/*compose*")
	if err != nil || len(paths) < 15 {
		t.Fatalf("%d files: %v", len(paths), err)
	}
	target := keyturn.MustRef("kt://local/app")
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f, err := files.Read("compose.yaml", data, files.Options{Mounts: map[string]string{"op:Private": "team"}})
			if err != nil {
				t.Fatal(err)
			}
			out, err := f.Rewrite(target)
			if err != nil {
				t.Fatal(err)
			}
			stored := map[keyturn.Ref]string{}
			for _, e := range f.Entries() {
				if ref, err := target.WithField(e.Field); err == nil && e.Secret {
					stored[ref] = string(e.Value.Reveal())
				} else if e.Foreign {
					stored[*e.Reference] = string(e.Value.Reveal())
				}
			}
			around := map[string]string{"DB_PASSWORD": "around", "TAG": "1", "A": "a"}
			want, err := variables(data, around)
			if err != nil {
				t.Fatalf("before: %v", err)
			}
			if _, err := variables(out.Data, around); len(out.Env) > 0 && (err == nil || !strings.Contains(err.Error(), "start with keyturn run -- docker compose up")) {
				t.Errorf("without its values compose says %v", err)
			}
			for _, line := range out.Env {
				around[line.Name] = stored[line.Ref]
			}
			got, err := variables(out.Data, around)
			if err != nil {
				t.Fatalf("after: %v", err)
			}
			if !maps.Equal(want, got) {
				for k := range want {
					if want[k] != got[k] {
						t.Errorf("%s is another", k)
					}
				}
				t.Errorf("%d variables before, %d after", len(want), len(got))
			}
			t.Logf("%d variables, %d moved", len(want), len(out.Env))
		})
	}
}
