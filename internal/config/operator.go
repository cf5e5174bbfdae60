package config

import (
	"net"
	"net/url"
	"strings"

	"github.com/keyturn/keyturn"
	yaml "go.yaml.in/yaml/v3"
)

// Platforms lists the platforms that a mount can be of.
func Platforms() []string { return []string{"local", "vault", "aws", "azure", "gcp", "kubernetes"} }

// Operator is the operator's file: it decides.
type Operator struct {
	File   string // absolute, where it was read from a file
	Text   string // what was read, where it was read from a file
	Mounts []Mount
	Groups []Group
	Rules  []Rule
	// Confirm is what even a person at a terminal does before a value is shown:
	// "passphrase", or "" for nothing.
	Confirm string
	Notify  Notify
	Audit   Audit
	// Unchecked says why owner and mode were not checked; "" where they were.
	Unchecked string

	confirmLine int
}

// Mount is one configured platform.
type Mount struct {
	Name     string
	Platform string
	Settings []Setting // in the order of the file, without platform
	Line     int
}

// Setting is one setting of a mount, as it is written.
type Setting struct {
	Key   string
	Value string // of one that is a list its texts, parted by ", "
	Line  int
}

// Notify says where news go.
type Notify struct {
	Webhook string
	On      []string // pending, halted, expiring
	Line    int      // of notify; 0 where there is none
}

// Mount returns the mount of that name.
func (o *Operator) Mount(name string) (Mount, bool) {
	if o != nil {
		for _, m := range o.Mounts {
			if m.Name == name {
				return m, true
			}
		}
	}
	return Mount{}, false
}

// Setting returns a setting's text; "" where there is none.
func (m Mount) Setting(key string) string {
	for _, s := range m.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// ParseOperator reads the text of an operator's file; name is for messages and
// positions. Invalid, with file and line, for anything that is not exactly one.
func ParseOperator(name string, data []byte) (*Operator, error) {
	f, o := file(name), &Operator{File: name}
	if err := f.lines(data); err != nil {
		return nil, err
	}
	top, err := f.root(data)
	if err != nil || top == nil {
		return o, err
	}
	pairs, err := f.mapping(top, "the operator's file", "mounts", "groups", "rules", "reveal", "notify", "audit")
	if err != nil {
		for _, p := range []string{"env", "expect", "never"} {
			if strings.HasSuffix(err.Error(), "unknown key '"+p+"' in the operator's file") {
				keyturn.AsError(err).Hint = "'" + p + "' belongs in a project's keyturn.yaml; this is the operator's"
			}
		}
		return nil, err
	}
	for _, p := range pairs {
		switch p.key {
		case "mounts":
			o.Mounts, err = f.mounts(p.node)
		case "groups":
			o.Groups, err = f.groups(p.node)
		case "rules":
			o.Rules, err = f.rules(p.node)
		case "reveal":
			err = f.reveal(p.node, o)
		case "notify":
			o.Notify, err = f.notify(p.node)
			o.Notify.Line = p.line
		case "audit":
			o.Audit, err = f.audit(p.node)
		}
		if err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (f file) mounts(n *yaml.Node) ([]Mount, error) {
	if isNull(n) {
		return nil, nil
	}
	pairs, err := f.mapping(n, "mounts")
	if err != nil {
		return nil, err
	}
	var out []Mount
	for _, p := range pairs {
		m, err := f.mount(p)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (f file) mount(p pair) (Mount, error) {
	m := Mount{Name: p.key, Line: p.line}
	if err := f.mountName(p); err != nil {
		return m, err
	}
	what := "the mount " + quote(p.key)
	settings, err := f.mapping(p.node, what)
	if err != nil {
		return m, err
	}
	for _, s := range settings {
		if s.key == "platform" {
			m.Platform, err = f.oneOf(s.node, "platform", Platforms()...)
		} else {
			var v Setting
			v, err = f.setting(s)
			m.Settings = append(m.Settings, v)
		}
		if err != nil {
			return m, err
		}
	}
	if m.Platform == "" {
		return m, f.errAt(p.line, what+" has no platform", "write platform: "+strings.Join(Platforms(), ", ")+" (one of them)")
	}
	return m, nil
}

// mountName checks a key that names a mount.
func (f file) mountName(p pair) error {
	prefix, err := keyturn.ParsePrefix(p.key)
	if err != nil || prefix.Mount() != p.key {
		return f.errAt(p.line, quote(p.key)+" cannot be the name of a mount", "a mount is named with a-z, 0-9 and -, beginning with a letter")
	}
	return nil
}

// credentials are settings that would put a secret into the configuration.
var credentials = map[string]bool{"token": true, "password": true, "passphrase": true, "secret": true,
	"secret_id": true, "secret_key": true, "access_key": true, "secret_access_key": true, "session_token": true,
	"client_secret": true, "api_key": true, "private_key": true, "root_key": true, "credentials": true}

// lists are the settings that hold several texts.
var lists = map[string]bool{"addresses": true}

// setting reads one setting: a single text that is no credential, or a list of them.
func (f file) setting(p pair) (Setting, error) {
	s := Setting{Key: p.key, Line: p.line}
	ok := p.key != "" && len(p.key) <= 63 && p.key[0] >= 'a' && p.key[0] <= 'z'
	for i := 0; ok && i < len(p.key); i++ {
		c := p.key[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-'
	}
	if !ok {
		return s, f.errAt(p.line, quote(p.key)+" cannot be the name of a setting", "settings are named with a-z, 0-9, _ and -")
	}
	if credentials[strings.ReplaceAll(p.key, "-", "_")] {
		return s, f.errAt(p.line, "the setting "+quote(p.key)+" would put a credential into this file",
			"leave it out: credentials come from the platform's own usual place")
	}
	if !lists[p.key] {
		v, err := f.text(p.node, p.key)
		if err == nil {
			s.Value, err = v, f.settingText(p, v)
		}
		return s, err
	}
	all, err := f.list(p.node, p.key)
	if err != nil {
		return s, err
	}
	for _, v := range all {
		if strings.Contains(v, ",") {
			return s, f.errAt(p.line, "an entry of "+quote(p.key)+" has a comma in it", "write a list: "+p.key+": [ONE, OTHER]")
		}
		if err := f.settingText(p, v); err != nil {
			return s, err
		}
	}
	s.Value = strings.Join(all, ", ")
	return s, nil
}

// settingText checks one text of a setting.
func (f file) settingText(p pair, v string) error {
	if keyturn.Clean(v) != v || len(v) > 4096 {
		return f.errAt(p.line, "the setting "+quote(p.key)+" is too long or has control characters", "")
	}
	if u, err := url.Parse(v); strings.Contains(v, "://") && (err != nil || u.User != nil) {
		return f.errAt(p.line, "the address in "+quote(p.key)+" is not one, or holds a name or a password", "write the address without them")
	}
	return nil
}

func (f file) groups(n *yaml.Node) ([]Group, error) {
	if isNull(n) {
		return nil, nil
	}
	pairs, err := f.mapping(n, "groups")
	if err != nil {
		return nil, err
	}
	var out []Group
	for _, p := range pairs {
		members, err := f.list(p.node, "the group "+quote(p.key))
		if err != nil {
			return nil, err
		}
		out = append(out, Group{Name: p.key, Members: members, File: string(f), Line: p.line})
	}
	return out, nil
}

func (f file) reveal(n *yaml.Node, o *Operator) error {
	pairs, err := f.mapping(n, "reveal", "confirm")
	if err != nil {
		return err
	}
	for _, p := range pairs {
		o.confirmLine = p.line
		if o.Confirm, err = f.oneOf(p.node, "confirm", "passphrase"); err != nil {
			return err
		}
	}
	return nil
}

func (f file) notify(n *yaml.Node) (Notify, error) {
	var out Notify
	pairs, err := f.mapping(n, "notify", "webhook", "on")
	if err != nil {
		return out, err
	}
	for _, p := range pairs {
		switch p.key {
		case "webhook":
			if out.Webhook, err = f.text(p.node, "webhook"); err != nil {
				return out, err
			}
			u, err := url.Parse(out.Webhook)
			if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
				return out, f.errAt(p.line, "webhook is not an https address", "write https://HOST/PATH, without user or password")
			}
		case "on":
			var all []*yaml.Node
			if _, err := f.list(p.node, "on"); err != nil {
				return out, err
			}
			if all = p.node.Content; p.node.Kind == yaml.ScalarNode {
				all = []*yaml.Node{p.node}
			}
			for _, c := range all {
				s, err := f.oneOf(c, "occasion", "pending", "halted", "expiring")
				if err != nil {
					return out, err
				}
				out.On = append(out.On, s)
			}
		}
	}
	if out.Webhook == "" {
		return out, f.errAt(n.Line, "notify has no webhook", "write webhook: https://HOST/PATH")
	}
	return out, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
