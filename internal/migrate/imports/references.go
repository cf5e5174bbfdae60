package imports

import (
	"net/url"
	"strings"

	"github.com/keyturn/keyturn"
)

// foreign is a reference of another tool, taken apart.
type foreign struct {
	key                  string // names the mount
	name, version, field string
}

// Reference translates a reference of another tool into one of keyturn's:
//
//	op://VAULT/ITEM/FIELD                       key "op:VAULT"
//	op://VAULT/ITEM/SECTION/FIELD               key "op:VAULT"
//	ref+vault://ENGINE/PATH#/KEY                key "vault", or "vault:ADDRESS" with ?address=
//	ref+awssecrets://NAME#/KEY                  key "awssecrets", or "awssecrets:REGION" with ?region=
//	ref+gcpsecrets://PROJECT/NAME#/KEY          key "gcpsecrets:PROJECT"
//	ref+azurekeyvault://VAULT/NAME/VERSION      key "azurekeyvault:VAULT"
//	ref+k8s://v1/Secret/NAMESPACE/NAME/KEY      key "k8s"
//
// mounts names the mount for each key. known is false if text is not a reference of
// such a tool; err is then nil. If it is one, but has no exact counterpart or no mount
// for its key, err is Unsupported and says which key is missing or what cannot be
// said. secretref+ is read like ref+.
func Reference(text string, mounts map[string]string) (ref keyturn.Ref, known bool, err error) {
	var f foreign
	var why string
	switch {
	case strings.HasPrefix(text, "op://"):
		f, why = onePassword(strings.TrimPrefix(text, "op://"))
	case strings.HasPrefix(text, "ref+"), strings.HasPrefix(text, "secretref+"):
		_, rest, _ := strings.Cut(text, "+")
		backend, path, ok := strings.Cut(rest, "://")
		if !ok || backend == "" || strings.ContainsAny(backend, " \t\n/") {
			return keyturn.Ref{}, false, nil
		}
		f, why = vals(backend, path)
	default:
		return keyturn.Ref{}, false, nil
	}
	no := func(message, hint string) (keyturn.Ref, bool, error) {
		return keyturn.Ref{}, true, keyturn.E(keyturn.Unsupported, message, hint)
	}
	if why != "" {
		return no(why, "write the reference by hand")
	}
	mount, ok := mounts[f.key]
	if !ok {
		return no("no mount is given for "+keyturn.Quote(keyturn.Clean(f.key)), "name the mount that stands for "+keyturn.Quote(keyturn.Clean(f.key)))
	}
	ref, err = keyturn.NewRef(mount, f.name)
	if err == nil && f.version != "" {
		ref, err = ref.WithVersion(f.version)
	}
	if err == nil && f.field != "" {
		ref, err = ref.WithField(f.field)
	}
	if err != nil {
		return no("it has no spelling as a reference of keyturn's", "write the reference by hand")
	}
	return ref, true, nil
}

// onePassword reads VAULT/ITEM/FIELD or VAULT/ITEM/SECTION/FIELD, in the form that
// 1Password's page "Secret reference syntax" gives.
func onePassword(s string) (f foreign, why string) {
	s, query, _ := strings.Cut(s, "?")
	if query != "" {
		return f, "its attribute (?" + keyturn.Clean(attribute(query)) + ") has no counterpart"
	}
	parts := strings.Split(s, "/")
	for _, p := range parts {
		if p == "" {
			return f, "a part of it is empty"
		}
		if strings.Contains(p, "${") || strings.Contains(p, "$") {
			return f, "it has a variable in it"
		}
	}
	switch len(parts) {
	case 3:
		f.field = parts[2]
	case 4:
		f.field = parts[2] + "." + parts[3]
	default:
		return f, "it does not have a vault, an item and a field"
	}
	f.key, f.name = "op:"+parts[0], parts[1]
	return f, ""
}

func attribute(query string) string {
	name, _, _ := strings.Cut(query, "=")
	return name
}

// vals reads the part behind ref+BACKEND:// of a reference, in the form that the README
// of vals gives: PATH?PARAMETERS#/KEY.
func vals(backend, s string) (f foreign, why string) {
	s, fragment, hasField := strings.Cut(s, "#")
	path, query, _ := strings.Cut(s, "?")
	path = strings.TrimSuffix(path, "+") // the end mark of a reference within text
	params, err := url.ParseQuery(query)
	if err != nil {
		return f, "its parameters cannot be read"
	}
	if hasField {
		f.field = strings.TrimPrefix(strings.TrimSuffix(fragment, "+"), "/")
		if f.field == "" || strings.Contains(f.field, "/") {
			return f, "its key is below another key, which is no field"
		}
	}
	take := func(name string) string {
		v := params.Get(name)
		params.Del(name)
		return v
	}
	with := func(key, detail string) string {
		if detail == "" {
			return key
		}
		return key + ":" + detail
	}
	parts := strings.Split(path, "/")
	switch backend {
	case "vault":
		f.key, f.name = with("vault", take("address")), path
		f.version = take("version")
		if len(parts) < 2 {
			return f, "its path has no engine and no name"
		}
		if parts[1] == "data" {
			return f, "its path has data/ behind the engine: vals adds that itself, so it may name something else"
		}
		if !hasField {
			return f, "it names no key"
		}
	case "awssecrets":
		f.key, f.name = with("awssecrets", take("region")), path
		if f.version = take("version_id"); f.version == "" {
			f.version = take("version_stage")
		}
	case "gcpsecrets":
		if len(parts) != 2 {
			return f, "it does not have a project and a name"
		}
		f.key, f.name, f.version = "gcpsecrets:"+parts[0], parts[1], take("version")
		if f.version == "latest" {
			f.version = ""
		}
	case "azurekeyvault":
		if len(parts) != 2 && len(parts) != 3 {
			return f, "it does not have a vault and a name"
		}
		if f.key, f.name = "azurekeyvault:"+parts[0], parts[1]; len(parts) == 3 {
			f.version = parts[2]
		}
	case "k8s":
		if len(parts) != 5 || parts[0] != "v1" || parts[1] != "Secret" || hasField {
			return f, "it is not v1/Secret/NAMESPACE/NAME/KEY"
		}
		f.key, f.name, f.field = "k8s", parts[2]+"/"+parts[3], parts[4]
	default:
		return f, "keyturn has no counterpart for the backend " + keyturn.Quote(keyturn.Clean(backend))
	}
	if len(params) > 0 {
		return f, "it has parameters that have no counterpart"
	}
	return f, ""
}
