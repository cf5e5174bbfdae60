package config

import (
	"net/url"
	"strconv"
	"strings"
)

// Entry is one thing that a file says, and where it says it.
type Entry struct {
	Key   string // "mounts.prod.region", "rules[0]", "env.DATABASE_URL"
	Value string // never a secret; not cleaned
	File  string
	Line  int
}

// Entries lists what the operator's file says, part by part. Of the webhook only
// the host is told: its path is often a credential.
func (o *Operator) Entries() []Entry {
	if o == nil {
		return nil
	}
	var out []Entry
	add := func(key, value string, line int) { out = append(out, Entry{key, value, o.File, line}) }
	for _, m := range o.Mounts {
		add("mounts."+m.Name+".platform", m.Platform, m.Line)
		for _, s := range m.Settings {
			add("mounts."+m.Name+"."+s.Key, s.Value, s.Line)
		}
	}
	for _, g := range o.Groups {
		add("groups."+g.Name, strings.Join(g.Members, ", "), g.Line)
	}
	for i, r := range o.Rules {
		add("rules["+strconv.Itoa(i)+"]", r.Text, r.Line)
	}
	if o.Confirm != "" {
		add("reveal.confirm", o.Confirm, o.confirmLine)
	}
	if o.Notify.Webhook != "" {
		shown := "…"
		if u, err := url.Parse(o.Notify.Webhook); err == nil {
			shown = u.Scheme + "://" + u.Host + "/…"
		}
		add("notify.webhook", shown, o.Notify.Line)
	}
	if len(o.Notify.On) > 0 {
		add("notify.on", strings.Join(o.Notify.On, ", "), o.Notify.Line)
	}
	o.auditEntries(add)
	return out
}

// Entries lists what the project's file says, part by part.
func (p *Project) Entries() []Entry {
	if p == nil {
		return nil
	}
	var out []Entry
	add := func(key, value string, line int) { out = append(out, Entry{key, value, p.File, line}) }
	for _, b := range p.Env {
		add("env."+b.Name, b.Ref.String(), b.Line)
	}
	for _, e := range p.Expect {
		for _, s := range e.Settings {
			add("expect."+e.Mount+"."+s.Key, s.Value, s.Line)
		}
	}
	for i, r := range p.Never {
		add("never["+strconv.Itoa(i)+"]", r.Text, r.Line)
	}
	return out
}
