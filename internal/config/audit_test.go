package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

func TestAuditErrors(t *testing.T) {
	for _, c := range []struct{ text, message, hint string }{
		{"audit: {identifiers: hashed}", "k.yaml:1: unknown identifiers 'hashed'", ""},
		{"audit: {keep: 1d}", "k.yaml:1: unknown key 'keep' in audit", ""},
		{"audit: {forward: []}", "k.yaml:1: forward is not a list of places", ""},
		{"audit: {forward: [{file: a.jsonl}]}", "k.yaml:1: file is not an absolute path", ""},
		{"audit: {forward: [{file: /a/../b}]}", "k.yaml:1: file is not an absolute path", ""},
		{"audit: {forward: [{required: true}]}", "k.yaml:1: a place of forward is a file or a syslog", ""},
		{"audit: {forward: [{file: /a, syslog: local}]}", "k.yaml:1: a place of forward is a file or a syslog", ""},
		{"audit: {forward: [{file: /a}, {file: /a}]}", "k.yaml:1: forward names the same place twice", ""},
		{"audit: {forward: [{file: /a, required: yes}]}", "k.yaml:1: unknown required 'yes'", ""},
		{"audit: {forward: [{syslog: 'udp://h:514', required: true}]}", "k.yaml:1: a syslog over UDP cannot be required: nobody learns what is lost on the way", ""},
		{"audit: {forward: [{syslog: 'tcp://logs.example.com:514'}]}", "k.yaml:1: syslog over plain TCP is for this machine and private addresses only", "use tls://HOST:PORT"},
		{"audit: {forward: [{syslog: 'http://h:1'}]}", "k.yaml:1: syslog is not an address", ""},
		{"audit: {forward: [{syslog: 'tls://h'}]}", "k.yaml:1: syslog is not an address", ""},
		{"audit: {forward: [{syslog: 'tls://u:" + strings.ReplaceAll(canary, "/", "") + "@h:1'}]}", "k.yaml:1: syslog is not an address", ""},
	} {
		_, err := ParseOperator("k.yaml", []byte(c.text))
		e := keyturn.AsError(err)
		if !errors.Is(err, keyturn.Invalid) || !strings.Contains(e.Message, c.message) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%q: %v, want %q, hint %q", c.text, err, c.message, c.hint)
		}
		if strings.Contains(e.Message+e.Hint, "hunter2") {
			t.Errorf("%q: the error repeats it: %v", c.text, err)
		}
	}
	if o, err := ParseOperator("k.yaml", []byte("audit: {identifiers: plain}")); err != nil || o.Audit.HideNames || len(o.Entries()) != 1 {
		t.Errorf("plain: %+v, %v", o, err)
	}
}
