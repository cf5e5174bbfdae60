package config

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"

	yaml "go.yaml.in/yaml/v3"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
)

var remembering sync.Mutex

// Remember adds rule at the end of the rules of the operator's file at path, and
// returns its line. Everything else in the file keeps its bytes, and the file its
// mode; a file that does not exist is made, readable by its owner only. The rule
// is checked for its spelling only: the caller makes sure that it means something.
//
// The file is replaced as a whole or not at all, and only after the new text was
// read back and found to differ by this rule alone. Where rules are not written
// one below the other it is Invalid, with the line to paste as hint. It is
// Conflict where the file changes meanwhile. On return the change is durable, or
// nothing is left behind.
func Remember(path string, rule Rule) (line int, err error) {
	remembering.Lock()
	defer remembering.Unlock()
	text, err := rule.OneLine()
	if err != nil {
		return 0, err
	}
	there, err := exists(path)
	if err != nil {
		return 0, err
	}
	target := path
	if there {
		if target, err = filepath.EvalSymlinks(path); err != nil {
			return 0, unreadable(path, err)
		}
	} else if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, unwritable(path, err)
	}
	unlock, err := lockFolder(filepath.Dir(target))
	if err != nil {
		return 0, unwritable(path, err)
	}
	defer unlock()
	var old []byte
	var info fs.FileInfo
	if there {
		if old, info, err = readTrusted(path); err != nil {
			return 0, err
		}
	}
	now, line, err := insert(path, old, text)
	if err != nil {
		return 0, err
	}
	if err := replace(path, target, old, now, info); err != nil {
		return 0, err
	}
	return line, nil
}

// insert returns the text of old with one more rule, and the rule's line.
func insert(path string, old []byte, text string) (now []byte, line int, err error) {
	f := file(path)
	before, err := ParseOperator(path, old)
	if err != nil {
		return nil, 0, err
	}
	top, err := f.root(old)
	if err != nil {
		return nil, 0, err
	}
	at, add := place(top, old)
	if at < 0 {
		return nil, 0, f.errAt(top.Line, "the rules are not written one below the other, so none can be added here", "add it yourself under 'rules':\n- "+text)
	}
	nl := "\n"
	if i := bytes.IndexByte(old, '\n'); i > 0 && old[i-1] == '\r' {
		nl = "\r\n"
	}
	lines := bytes.SplitAfter(old, []byte("\n"))
	head := bytes.Join(lines[:at], nil)
	if len(head) > 0 && head[len(head)-1] != '\n' {
		head = append(head, nl...)
	}
	add = strings.ReplaceAll(add, "\n", nl) + "- " + text + nl
	now = slices.Concat(head, []byte(add), bytes.Join(lines[at:], nil))

	after, err := ParseOperator(path, now)
	if err != nil || !oneMore(before, after, text) {
		return nil, 0, f.errAt(0, "no rule can be added to this file without changing something else", "add it yourself under 'rules':\n- "+text)
	}
	return now, after.Rules[len(after.Rules)-1].Line, nil
}

// place finds where a rule goes: before the line with that index (from 0), after
// the text add. It returns -1 where it cannot go anywhere.
func place(top *yaml.Node, old []byte) (at int, add string) {
	lines := bytes.SplitAfter(old, []byte("\n"))
	end := len(lines)
	if len(lines[end-1]) == 0 {
		end-- // what follows the last line's end is no line
	}
	if top == nil {
		return end, "rules:\n  "
	}
	if top.Style&yaml.FlowStyle != 0 {
		return -1, ""
	}
	indent := strings.Repeat(" ", top.Column-1)
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, v := top.Content[i], top.Content[i+1]
		if key.Value != "rules" {
			continue
		}
		switch {
		case isNull(v) && v.Value == "":
			return min(key.Line, end), indent + "  "
		case v.Kind != yaml.SequenceNode || v.Style&yaml.FlowStyle != 0 || len(v.Content) == 0:
			return -1, ""
		}
		if i+2 < len(top.Content) {
			end = min(end, top.Content[i+2].Line-1)
		}
		for end > v.Line && isApart(lines[end-1], v.Column) {
			end--
		}
		return end, strings.Repeat(" ", v.Column-1)
	}
	return end, indent + "rules:\n" + indent + "  "
}

// isApart reports whether a line behind a rule does not belong to it: it is
// blank, or a comment that begins no further right than the rule's dash.
func isApart(line []byte, dash int) bool {
	text := bytes.TrimLeft(line, " \t")
	if len(bytes.TrimSpace(text)) == 0 {
		return true
	}
	return text[0] == '#' && len(line)-len(text) < dash
}

// oneMore reports whether after is before with one more rule, and nothing else.
func oneMore(before, after *Operator, text string) bool {
	n := len(before.Rules)
	if len(after.Rules) != n+1 || after.Rules[n].Text != text {
		return false
	}
	return reflect.DeepEqual(withoutLines(before, n), withoutLines(after, n))
}

// withoutLines is o with its first n rules and no line numbers.
func withoutLines(o *Operator, n int) Operator {
	c := *o
	c.confirmLine, c.Notify.Line, c.Audit.identifiersLine = 0, 0, 0
	c.Audit.Forward = slices.Clone(o.Audit.Forward)
	for i := range c.Audit.Forward {
		c.Audit.Forward[i].Line = 0
	}
	c.Rules, c.Groups, c.Mounts = make([]Rule, n), slices.Clone(o.Groups), slices.Clone(o.Mounts)
	copy(c.Rules, o.Rules)
	for i := range c.Rules {
		c.Rules[i].Line = 0
	}
	for i := range c.Groups {
		c.Groups[i].Line = 0
	}
	for i := range c.Mounts {
		c.Mounts[i].Line = 0
		c.Mounts[i].Settings = slices.Clone(c.Mounts[i].Settings)
		for j := range c.Mounts[i].Settings {
			c.Mounts[i].Settings[j].Line = 0
		}
	}
	return c
}

// replace puts now in the place of target, which must still hold old. info is that of
// target; nil if it was not there.
func replace(path, target string, old, now []byte, info fs.FileInfo) error {
	f, err := durable.Begin(target)
	if err != nil {
		return unwritable(path, err)
	}
	defer f.Drop()
	if info != nil {
		if err := durable.KeepOwner(f.File, info); err != nil {
			return unwritable(path, err)
		}
		if err := f.Chmod(info.Mode().Perm()); err != nil {
			return unwritable(path, err)
		}
	}
	if _, err := f.Write(now); err != nil {
		return unwritable(path, err)
	}
	if err := f.Sync(); err != nil { // so that little time is left between the look and the new name
		return unwritable(path, err)
	}
	if still, err := holds(target, old, info != nil); err != nil {
		return err
	} else if !still {
		return keyturn.E(keyturn.Conflict, keyturn.Clean(path)+" was changed meanwhile", "try again")
	}
	if err := f.Replace(); err != nil {
		e := keyturn.AsError(unwritable(path, err))
		e.Unknown = f.InPlace // the rule is there, and may be gone after a loss of power
		return e
	}
	return nil
}

// holds reports whether target is as it was.
func holds(target string, old []byte, there bool) (bool, error) {
	data, _, err := read(target)
	if errors.Is(err, fs.ErrNotExist) {
		return !there, nil
	}
	if err != nil {
		return false, err
	}
	return there && bytes.Equal(data, old), nil
}

func unwritable(path string, err error) error {
	if e := (*keyturn.Error)(nil); errors.As(err, &e) {
		return err
	}
	return keyturn.E(keyturn.Unavailable, "cannot change "+keyturn.Clean(path), "check its permissions, those of its folder, and the disk").Because(err)
}
