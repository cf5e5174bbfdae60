package imports

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/keyturn/keyturn"
)

// tree collects the values of a file.
type tree struct {
	name   string
	values []value
}

func (t *tree) broken(what string) error {
	return bad(keyturn.Invalid, t.name, what, hintDecrypt)
}

func (t *tree) add(keys, path []string, is any) error {
	if len(path) > maxDepth || len(t.values) >= MaxFields {
		return t.broken("the file is too deep or has too many values")
	}
	t.values = append(t.values, value{append([]string(nil), keys...), strings.Join(path, "."), is})
	return nil
}

// sopsYAML reads the documents of a YAML file of sops.
func sopsYAML(name string, data []byte) (values []value, meta metadata, err error) {
	t := &tree{name: name}
	defer func() {
		if recover() != nil { // the parser has panicked on broken files before
			values, err = nil, t.broken("the file is not valid YAML")
		}
	}()
	found := false
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc yaml.Node
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, meta, t.broken("the file is not valid YAML")
		}
		if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
			return nil, meta, t.broken("a document of the file is no mapping")
		}
		root := doc.Content[0]
		kept := *root
		kept.Content = nil
		for i := 0; i+1 < len(root.Content); i += 2 {
			if root.Content[i].Value != "sops" {
				kept.Content = append(kept.Content, root.Content[i], root.Content[i+1])
				continue
			}
			if err := t.plainOnly(root.Content[i+1], 0); err != nil {
				return nil, meta, err
			}
			if !found && root.Content[i+1].Decode(&meta) != nil {
				return nil, meta, t.broken("the metadata of sops cannot be read")
			}
			found = true
		}
		if err := t.yaml(&kept, nil, nil); err != nil {
			return nil, meta, err
		}
	}
	return t.values, meta, nil
}

// plainOnly refuses aliases, by which a small text could grow large.
func (t *tree) plainOnly(n *yaml.Node, depth int) error {
	if n.Kind == yaml.AliasNode || depth > maxDepth {
		return t.broken("the metadata of sops cannot be read")
	}
	for _, c := range n.Content {
		if err := t.plainOnly(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) yaml(n *yaml.Node, keys, path []string) error {
	if len(path) > maxDepth {
		return t.broken("the file is too deep")
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if k.Kind != yaml.ScalarNode || k.ShortTag() == "!!merge" {
				return t.broken("the file has a key that is no text")
			}
			if err := t.yaml(n.Content[i+1], append(keys[:len(keys):len(keys)], k.Value), append(path[:len(path):len(path)], k.Value)); err != nil {
				return err
			}
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			if err := t.yaml(c, keys, append(path[:len(path):len(path)], strconv.Itoa(i))); err != nil {
				return err
			}
		}
	case yaml.ScalarNode:
		var is any
		if err := n.Decode(&is); err != nil {
			return t.broken("the file has a value that cannot be read")
		}
		switch is := is.(type) {
		case nil:
			return nil
		case string, int, float64, bool:
			return t.add(keys, path, is)
		}
		return t.broken("the file has a value that is neither text, number nor boolean")
	default:
		return t.broken("the file has aliases (*name)")
	}
	return nil
}

// sopsJSON reads a JSON file of sops. Its binary files have this form too.
func sopsJSON(name string, data []byte) ([]value, metadata, error) {
	t := &tree{name: name}
	var meta metadata
	all, ok := members(data)
	if !ok {
		return nil, meta, t.broken("the file is no JSON object")
	}
	for _, m := range all {
		if m.key == "sops" {
			if json.Unmarshal(m.raw, &meta) != nil {
				return nil, meta, t.broken("the metadata of sops cannot be read")
			}
			continue
		}
		if err := t.json(m.raw, []string{m.key}, []string{m.key}); err != nil {
			return nil, meta, err
		}
	}
	return t.values, meta, nil
}

func (t *tree) json(raw json.RawMessage, keys, path []string) error {
	raw = bytes.TrimSpace(raw)
	if len(path) > maxDepth || len(raw) == 0 {
		return t.broken("the file is too deep")
	}
	switch raw[0] {
	case '{':
		all, ok := members(raw)
		if !ok {
			return t.broken("the file is not valid JSON")
		}
		for _, m := range all {
			if err := t.json(m.raw, append(keys[:len(keys):len(keys)], m.key), append(path[:len(path):len(path)], m.key)); err != nil {
				return err
			}
		}
		return nil
	case '[':
		var all []json.RawMessage
		if json.Unmarshal(raw, &all) != nil {
			return t.broken("the file is not valid JSON")
		}
		for i, r := range all {
			if err := t.json(r, keys, append(path[:len(path):len(path)], strconv.Itoa(i))); err != nil {
				return err
			}
		}
		return nil
	}
	var is any
	if json.Unmarshal(raw, &is) != nil {
		return t.broken("the file is not valid JSON")
	}
	if is == nil {
		return nil
	}
	return t.add(keys, path, is)
}

// sopsDotenv reads a dotenv file of sops: NAME=VALUE lines without quotes, \n for a line
// break, and the metadata flattened into names like sops_age__list_0__map_enc.
func sopsDotenv(name string, data []byte) ([]value, metadata, error) {
	t := &tree{name: name}
	flat := map[string]any{}
	var recipients []map[string]any
	for line := range strings.SplitSeq(string(data), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" || line[0] == '#' {
			continue
		}
		key, text, ok := strings.Cut(line, "=")
		if !ok {
			return nil, metadata{}, t.broken("a line of the file is not NAME=VALUE")
		}
		text = strings.ReplaceAll(text, `\n`, "\n")
		inner, ours := strings.CutPrefix(key, "sops_")
		if !ours {
			if err := t.add([]string{key}, []string{key}, text); err != nil {
				return nil, metadata{}, err
			}
			continue
		}
		kind, rest, list := strings.Cut(inner, "__list_")
		index, part, _ := strings.Cut(rest, "__map_")
		switch {
		case list && kind == "age":
			n, err := strconv.Atoi(index)
			if err != nil || n < 0 || n > 1000 {
				return nil, metadata{}, t.broken("the metadata of sops cannot be read")
			}
			for len(recipients) <= n {
				recipients = append(recipients, map[string]any{})
			}
			recipients[n][part] = text
		case list:
			flat[kind] = []any{""}
		case inner == "mac_only_encrypted":
			flat[inner] = text == "true"
		case inner != "shamir_threshold":
			flat[inner] = text
		}
	}
	flat["age"] = recipients
	meta, err := remarshal(flat)
	if err != nil {
		return nil, meta, t.broken("the metadata of sops cannot be read")
	}
	return t.values, meta, nil
}
