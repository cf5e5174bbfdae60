package guarded

import (
	"os"
	"path/filepath"
	"testing"
)

// TestMayWrite: the files of any store and of any operator are guarded, though nothing
// names them: by where they are and by what they hold, whatever links lead there.
func TestMayWrite(t *testing.T) {
	dir := t.TempDir()
	database := make([]byte, 4096)
	copy(database, "SQLite format 3\x00")
	foreign := string(database)
	copy(database[68:], "ktrn")
	for name, text := range map[string]string{
		"s/keyturn.db": string(database), "s/running/x": "", "k/root.key": "keyturn root key v1\nmade-up\n", "aside/old.db": string(database),
		"aside/sealed": "keyturn sealed root key v1\n", "ops.yaml": "mounts:\n  web: {platform: local}\n", "rules.yaml": "rules:\n- {who: person, may: [use], on: \"local/**\"}\n",
		"sink.jsonl": `{"seq":1,"leaf":"SdSYl7mP0+nSzcnj/KMiO0+koZVHgiukarDa32MrZ4s=","record":{}}`, "home/.config/keyturn/note": "", "real/keyturn/note": "",
		"free/keyturn.db": foreign, "free/keyturn.yaml": "env: {A: \"kt://local/a#b\"}\n", "free/alerts.yaml": "groups:\n- name: a\n  rules: [{alert: b, expr: c}]\n",
		"free/compose.yaml": "services: {web: {image: rules}}\n", "free/empty": "", "free/export.jsonl": `{"keyturn":"audit-export","v":1}`, "free/keyturn/x": "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	guarded := []string{"s/keyturn.db", "s/new", "s/running/new", "k/root.key", "k/new", "aside/old.db", "aside/sealed", "ops.yaml", "rules.yaml", "sink.jsonl", "home/.config/keyturn/keyturn.yaml"}
	for name, to := range map[string]string{"links/store": "s", "links/config": "home/.config/keyturn", "links/ops": "ops.yaml", "links/key": "k/root.key"} {
		_ = os.Mkdir(filepath.Join(dir, "links"), 0o700)
		if os.Symlink(filepath.Join(dir, to), filepath.Join(dir, name)) == nil {
			if info, _ := os.Stat(filepath.Join(dir, name)); info.IsDir() {
				name += "/keyturn.yaml"
			}
			guarded = append(guarded, name)
		}
	}
	for _, name := range guarded {
		if MayWrite(filepath.Join(dir, name), "", nil) == nil {
			t.Errorf("%s is not guarded", name)
		}
	}
	for _, name := range []string{"free/keyturn.db", "free/keyturn.yaml", "free/alerts.yaml", "free/compose.yaml", "free/empty", "free/export.jsonl", "free/new", "free/keyturn/keyturn.yaml", "home/.config/keyturn/note", "home/.config/keyturn.yaml", "none/new"} {
		if err := MayWrite(filepath.Join(dir, name), "", nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
