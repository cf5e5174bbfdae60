package config

import (
	"net"
	"net/url"
	"path/filepath"
	"strconv"

	"github.com/keyturn/keyturn"
	yaml "go.yaml.in/yaml/v3"
)

// Audit says what becomes of the audit log beside the store.
type Audit struct {
	// HideNames replaces the names of secrets in new records by keyed tokens.
	HideNames bool
	Forward   []Forward

	identifiersLine int
}

// Forward is one place that records are sent on to: a file or a syslog.
type Forward struct {
	File     string // absolute path
	Syslog   string // "local", or udp://HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT
	Required bool   // nothing may happen that was not sent there
	Line     int
}

func (f file) audit(n *yaml.Node) (Audit, error) {
	var out Audit
	pairs, err := f.mapping(n, "audit", "identifiers", "forward")
	if err != nil {
		return out, err
	}
	for _, p := range pairs {
		switch p.key {
		case "identifiers":
			how, err := f.oneOf(p.node, "identifiers", "plain", "hmac")
			if err != nil {
				return out, err
			}
			out.HideNames, out.identifiersLine = how == "hmac", p.line
		case "forward":
			if out.Forward, err = f.forwards(p.node); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

func (f file) forwards(n *yaml.Node) ([]Forward, error) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return nil, f.errAt(n.Line, "forward is not a list of places", "write forward: [{file: /var/log/keyturn.jsonl}]")
	}
	var out []Forward
	seen := map[string]bool{}
	for _, c := range n.Content {
		to, err := f.forward(c)
		if err != nil {
			return nil, err
		}
		if seen[to.File+" "+to.Syslog] {
			return nil, f.errAt(to.Line, "forward names the same place twice", "keep one of the two")
		}
		seen[to.File+" "+to.Syslog] = true
		out = append(out, to)
	}
	return out, nil
}

func (f file) forward(n *yaml.Node) (Forward, error) {
	to := Forward{Line: n.Line}
	pairs, err := f.mapping(n, "a place of forward", "file", "syslog", "required")
	if err != nil {
		return to, err
	}
	for _, p := range pairs {
		switch p.key {
		case "file":
			to.File, err = f.text(p.node, "file")
			if err == nil && (!filepath.IsAbs(to.File) || keyturn.Clean(to.File) != to.File || filepath.Clean(to.File) != to.File) {
				err = f.errAt(p.line, "file is not an absolute path", "write it from the root on, without . and ..")
			}
		case "syslog":
			to.Syslog, err = f.syslog(p)
		case "required":
			var s string
			s, err = f.oneOf(p.node, "required", "true", "false")
			to.Required = s == "true"
		}
		if err != nil {
			return to, err
		}
	}
	switch u, _ := url.Parse(to.Syslog); {
	case (to.File == "") == (to.Syslog == ""):
		return to, f.errAt(n.Line, "a place of forward is a file or a syslog", "write {file: /PATH} or {syslog: tls://HOST:6514}")
	case to.Required && u != nil && u.Scheme == "udp":
		return to, f.errAt(n.Line, "a syslog over UDP cannot be required: nobody learns what is lost on the way", "use tls://HOST:PORT, or leave required out")
	}
	return to, nil
}

// syslog reads "local" or an address.
func (f file) syslog(p pair) (string, error) {
	s, err := f.text(p.node, "syslog")
	if err != nil || s == "local" {
		return s, err
	}
	bad := f.errAt(p.line, "syslog is not an address", "write local, udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT")
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Scheme+"://"+u.Host != s || u.Hostname() == "" || keyturn.Clean(s) != s {
		return "", bad
	}
	if port, err := strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
		return "", bad
	}
	switch u.Scheme {
	case "udp", "tls":
	case "tcp":
		if ip := net.ParseIP(u.Hostname()); !loopback(u.Hostname()) && (ip == nil || !ip.IsPrivate()) {
			return "", f.errAt(p.line, "syslog over plain TCP is for this machine and private addresses only", "use tls://HOST:PORT")
		}
	default:
		return "", bad
	}
	return s, nil
}

// String names the place: "file /var/log/keyturn.jsonl".
func (f Forward) String() string {
	if f.File != "" {
		return "file " + f.File
	}
	return "syslog " + f.Syslog
}

func (o *Operator) auditEntries(add func(key, value string, line int)) {
	if o.Audit.identifiersLine > 0 {
		how := "plain"
		if o.Audit.HideNames {
			how = "hmac"
		}
		add("audit.identifiers", how, o.Audit.identifiersLine)
	}
	for i, to := range o.Audit.Forward {
		value := to.String()
		if to.Required {
			value += ", required"
		}
		add("audit.forward["+strconv.Itoa(i)+"]", value, to.Line)
	}
}
