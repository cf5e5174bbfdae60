package keyturn_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"text/template"

	"go.yaml.in/yaml/v3"

	"github.com/keyturn/keyturn"
)

const canary = "CaNaRy-7f3e9a51c0d2"

// carrying is every shape in which code of ours holds a value.
func carrying(v keyturn.Value) map[string]any {
	type inner struct {
		V      keyturn.Value
		hidden keyturn.Value
	}
	s := keyturn.Secret{Info: keyturn.Info{Ref: keyturn.MustRef("local/a")}, Values: map[string]keyturn.Value{"f": v}}
	return map[string]any{
		"value":     v,
		"pointer":   &v,
		"slice":     []keyturn.Value{v},
		"map":       map[string]keyturn.Value{"k": v},
		"struct":    inner{V: v, hidden: v},
		"structptr": &inner{V: v, hidden: v},
		"secret":    s,
		"revealed":  &keyturn.Revealed{Secret: s},
		"delivery":  &keyturn.Delivery{Env: []keyturn.Delivered{{Name: "N", Value: v}}},
		"filling":   &keyturn.Filling{Values: map[keyturn.Ref]keyturn.Value{keyturn.MustRef("local/a"): v}},
		"any":       []any{any(v), any(&v)},
	}
}

func assertClean(t *testing.T, how, out string) {
	t.Helper()
	if strings.Contains(out, canary) || strings.Contains(out, canary[:10]) ||
		strings.Contains(out, fmt.Sprintf("%x", canary)) || strings.Contains(out, fmt.Sprint([]byte(canary[:4]))[1:10]) {
		t.Errorf("%s shows the value: %.200q", how, out)
	}
}

func TestValueCannotBePrinted(t *testing.T) {
	v := keyturn.NewValue([]byte(canary))
	verbs := "vTtbcdoOqxXUeEfFgGspw"
	for name, x := range carrying(v) {
		for _, verb := range verbs {
			for _, flags := range []string{"", "+", "#", "-", " ", "0", "+#", "60", ".3"} {
				format := "%" + flags + string(verb)
				assertClean(t, name+" "+format, fmt.Sprintf(format, x))
			}
		}
		assertClean(t, name+" Sprint", fmt.Sprint(x))
		assertClean(t, name+" Errorf", fmt.Errorf("bad: %w %v", errors.New("x"), x).Error())
		var buf bytes.Buffer
		log.New(&buf, "", 0).Print(x)
		slog.New(slog.NewTextHandler(&buf, nil)).Info("m", "x", x)
		slog.New(slog.NewJSONHandler(&buf, nil)).Info("m", "x", x)
		_ = template.Must(template.New("").Parse("{{.}} {{printf \"%v\" .}}")).Execute(&buf, x)
		_ = json.NewEncoder(&buf).Encode(x)
		_ = xml.NewEncoder(&buf).Encode(x)
		_ = gob.NewEncoder(&buf).Encode(x)
		func() {
			defer func() { _ = recover() }() // yaml panics on some maps; it must not print
			_ = yaml.NewEncoder(&buf).Encode(x)
		}()
		walk(&buf, reflect.ValueOf(x), 0)
		assertClean(t, name, buf.String())
	}
	if got := fmt.Sprintf("%s %v %q %d", v, v, v, v); got != "[redacted] [redacted] [redacted] [redacted]" {
		t.Errorf("a value prints as %q", got)
	}
}

// walk prints like those packages that look into unexported fields.
func walk(w *bytes.Buffer, v reflect.Value, depth int) {
	if depth > 12 || !v.IsValid() {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		walk(w, v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			fmt.Fprintf(w, "%s:", v.Type().Field(i).Name)
			walk(w, v.Field(i), depth+1)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			walk(w, v.Index(i), depth+1)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			walk(w, it.Key(), depth+1)
			walk(w, it.Value(), depth+1)
		}
	case reflect.String:
		w.WriteString(v.String())
	case reflect.Uint8:
		w.WriteByte(byte(v.Uint()))
	default:
		fmt.Fprintf(w, "%v", v)
	}
}

func TestValueInPanic(t *testing.T) {
	if os.Getenv("KEYTURN_TEST_PANIC") != "" {
		x := carrying(keyturn.NewValue([]byte(canary)))[os.Getenv("KEYTURN_TEST_PANIC")]
		panic(x)
	}
	for name := range carrying(keyturn.Value{}) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestValueInPanic$")
		cmd.Env = append(os.Environ(), "KEYTURN_TEST_PANIC="+name, "GOTRACEBACK=all")
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "panic") {
			t.Fatalf("%s did not panic: %s", name, out)
		}
		assertClean(t, "panic of "+name, string(out))
	}
}

func TestValueKeepsItsBytes(t *testing.T) {
	for _, in := range [][]byte{nil, {}, {0}, []byte("x\n"), {0xff, 0xfe}, bytes.Repeat([]byte("ab"), 1<<16)} {
		own := bytes.Clone(in)
		v := keyturn.NewValue(own)
		for i := range own {
			own[i]++ // the caller's slice is not the value's
		}
		if !bytes.Equal(v.Reveal(), in) || v.Len() != len(in) {
			t.Errorf("%d bytes did not survive", len(in))
		}
		if !v.Equal(keyturn.NewValue(in)) || v.Equal(keyturn.NewValue(append(bytes.Clone(in), 1))) {
			t.Errorf("Equal is wrong for %d bytes", len(in))
		}
	}
	var zero keyturn.Value
	if zero.Len() != 0 || !zero.Equal(keyturn.NewValue(nil)) {
		t.Error("the zero value is not empty")
	}
}

func TestValueCannotBeDecoded(t *testing.T) {
	var v keyturn.Value
	for _, in := range []string{`"[redacted]"`, `"x"`, `""`} {
		if err := json.Unmarshal([]byte(in), &v); err == nil {
			t.Errorf("%s was taken for a value", in)
		}
	}
}
