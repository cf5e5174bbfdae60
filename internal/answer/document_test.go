package answer

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

// listed are the members that look as if they could hold a value, each with what they hold.
var listed = map[string]string{
	"Secret.Version":  "a number or a text: the platform's name of a version",
	"Document.Before": "a number or a text: the platform's name of a version",
	"Secret.Labels":   "texts by text, {} for none",
	"Document.Item":   "what a platform tells of one thing; platformtest shows that it holds no secret",
	"Document.Items":  "what a platform tells of several things; platformtest shows that it holds no secret",
	"Record.Op":       "the canonical form of an operation, in which no value is",
	"Setting.Value":   "a setting of keyturn.yaml, which names secrets and holds none",
	"Mount.Source":    "where a token comes from: the name of a variable or a file",
}

// No document has a place for a value: no member is of such a type or name, or could hold
// anything, beside those that are listed.
func TestNoPlaceForValues(t *testing.T) {
	used, seen := map[string]bool{}, map[reflect.Type]bool{}
	var look func(at string, typ reflect.Type)
	suspect := func(at, why string) {
		if used[at] = true; listed[at] == "" {
			t.Errorf("%s %s", at, why)
		}
	}
	look = func(at string, typ reflect.Type) {
		switch {
		case typ == reflect.TypeFor[keyturn.Value]():
			suspect(at, "is a value")
			return
		case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Uint8:
			suspect(at, "holds bytes, which may be a value")
			return
		case typ.Kind() == reflect.Interface:
			suspect(at, "may hold anything, a value too")
			return
		}
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array:
			look(at, typ.Elem())
		case reflect.Map:
			look(at, typ.Key())
			look(at, typ.Elem())
		case reflect.Struct:
			if seen[typ] {
				return
			}
			seen[typ] = true
			name := typ.Name()
			if typ == reflect.TypeFor[Document]() {
				name = "Document"
			}
			for f := range fields(typ) {
				at := name + "." + f.Name
				says := strings.ToLower(f.Name + " " + f.Tag.Get("json"))
				if strings.Contains(says, "value") || strings.Contains(says, "token") {
					suspect(at, "is named as a value or a token is")
				}
				look(at, f.Type)
			}
		}
	}
	look("Document", reflect.TypeFor[Document]())
	for at := range listed {
		if !used[at] {
			t.Errorf("%s is listed, and could hold no value: take it off the list", at)
		}
	}
}

func fields(typ reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range typ.NumField() {
			if !yield(typ.Field(i)) {
				return
			}
		}
	}
}

// Show copies every member but those that it replaces, whatever their type.
func TestShow(t *testing.T) {
	type secret struct {
		Secret
		Values map[string]string `json:"values"`
	}
	type wrapped struct {
		Token string `json:"token"`
		Wrapped
	}
	var doc Document
	for f := range fields(reflect.TypeFor[Document]()) {
		fill(reflect.ValueOf(&doc).Elem().FieldByIndex(f.Index))
	}
	members := func(doc any) map[string]json.RawMessage {
		b, err := Encode(doc)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]json.RawMessage{}
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	plain := members(doc)
	shown := members(Show(doc, &secret{*doc.Secret, map[string]string{"a": "b"}}, &wrapped{"c", *doc.Wrapped}))
	if n := reflect.TypeFor[Document]().NumField(); len(plain) != n || len(shown) != n {
		t.Fatalf("%d members, %d shown, of %d", len(plain), len(shown), n)
	}
	for _, name := range slices.Sorted(maps.Keys(plain)) {
		if differs := string(plain[name]) != string(shown[name]); differs != (name == "secret" || name == "wrapped") {
			t.Errorf("%s: %s became %s", name, plain[name], shown[name])
		}
	}
}

// fill gives v something that is not left out of JSON.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.String:
		v.SetString("x")
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]any{"x": "x"}))
	case reflect.Interface:
		v.Set(reflect.ValueOf("x"))
	}
}
