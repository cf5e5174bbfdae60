package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/document"
	"github.com/keyturn/keyturn/internal/durable"
)

// collect gathers what the words and files say.
func collect(ctx context.Context, c *command, o putOptions) (map[string]keyturn.Value, error) {
	values := map[string]keyturn.Value{}
	set := func(field string, v keyturn.Value) error {
		if field == "" {
			return keyturn.E(keyturn.Invalid, "a field needs a name", "write FIELD=VALUE, FIELD=@FILE, FIELD=- or FIELD")
		}
		if _, dup := values[field]; dup {
			return keyturn.E(keyturn.Invalid, "the field '"+keyturn.Clean(field)+"' is given twice", "give it once")
		}
		values[field] = v
		return nil
	}
	if err := o.stdinOnce(); err != nil {
		return nil, err
	}
	if err := fromFiles(c, o, set); err != nil {
		return nil, err
	}
	words := o.words
	// With --merge the values may stay as they are, and only what is said of them
	// change.
	about := o.merge && (len(o.labels) > 0 || o.expires != "" || len(o.public) > 0)
	if len(words) == 0 && len(values) == 0 && len(o.generate) == 0 && !about {
		words = []string{"value"}
	}
	if err := namedOnce(words, values, o.generate); err != nil {
		return nil, err
	}
	literal := false
	for i, w := range words {
		field, text, given := strings.Cut(w, "=")
		if !given && !c.Possible() {
			return nil, nobodyToAsk(i+1, len(o.words) == 0)
		}
		v, lit, err := valueOf(ctx, c, o, field, text, given)
		if err != nil {
			return nil, err
		}
		literal = literal || lit && text != "" && !slices.Contains(o.public, field)
		if err := set(field, v); err != nil {
			return nil, err
		}
	}
	if literal {
		c.Say("note: a value on the command line can be seen by other programs and stays in the shell's history; FIELD alone asks for it, FIELD=- takes it from a pipe")
	}
	return values, nil
}

// maxValue is the most bytes of one value on any platform.
const maxValue = 1 << 20

// namedOnce refuses fields that are given more than once, before anything is
// asked. A word alone may be a value by mistake, and is not repeated.
func namedOnce(words []string, values map[string]keyturn.Value, generated []string) error {
	seen, made := map[string]bool{}, map[string]bool{}
	for f := range values {
		seen[f] = true
	}
	for _, g := range generated {
		field, _, _ := strings.Cut(g, ":")
		made[field] = true
	}
	for i, w := range words {
		field, _, given := strings.Cut(w, "=")
		if seen[field] || made[field] {
			what := "the field '" + keyturn.Clean(field) + "'"
			if !given {
				what = "field number " + strconv.Itoa(i+1)
			}
			if made[field] {
				return keyturn.E(keyturn.Invalid, what+" is both given and generated", "choose one")
			}
			return keyturn.E(keyturn.Invalid, what+" is given twice", "give it once")
		}
		seen[field] = true
	}
	return nil
}

// publicNamed refuses --public for a field that is not put.
func publicNamed(op keyturn.PutSecret, values map[string]keyturn.Value) error {
	for _, f := range slices.Sorted(slices.Values(op.Public)) {
		_, given := values[f]
		if !given && op.Mode != keyturn.Merge && !slices.ContainsFunc(op.Generate, func(g keyturn.Generate) bool { return g.Field == f }) {
			return keyturn.E(keyturn.Invalid, "the field '"+keyturn.Clean(f)+"' cannot be public: it is not among those put",
				"give it a value, too; with --merge the current one stays").About(op.Ref)
		}
	}
	return nil
}

// nobodyToAsk does not repeat the word: it may be a value given without FIELD=.
func nobodyToAsk(n int, unnamed bool) error {
	what, field := "field number "+strconv.Itoa(n), "FIELD"
	if unnamed {
		what, field = "the field 'value'", "value"
	}
	return keyturn.E(keyturn.Invalid, "there is no terminal to ask for "+what+" at",
		"write "+field+"=- and pipe the value in, or --generate "+field)
}

// stdinOnce refuses words and flags that take standard input more than once,
// before any of it is read.
func (o putOptions) stdinOnce() error {
	n := 0
	if o.fromJSON == "-" || o.fromEnv == "-" {
		n++
	}
	for _, w := range o.words {
		if _, text, given := strings.Cut(w, "="); given && text == "-" {
			n++
		}
	}
	if n > 1 {
		return keyturn.E(keyturn.Invalid, "standard input can be taken once", "use FIELD=@FILE for the others")
	}
	return nil
}

// valueOf reads one field.
func valueOf(ctx context.Context, c *command, o putOptions, field, text string, given bool) (v keyturn.Value, literal bool, err error) {
	switch {
	case !given:
		if v, err = c.Secret(ctx, field); err == nil && v.Len() == 0 {
			c.Say("note: '%s' is empty", keyturn.Clean(field))
		}
		return v, false, err
	case text == "-":
		if c.Typing() {
			c.Say("reading '%s' from the terminal; end it with Ctrl-D", keyturn.Clean(field))
		}
		b, err := c.Input("-")
		if err != nil {
			return v, false, err
		}
		if len(b) > maxValue {
			return v, false, keyturn.E(keyturn.Invalid, "standard input is too large for '"+keyturn.Clean(field)+"'", "a value may have 1 MiB").About(o.ref)
		}
		return notEmpty(trimmed(c, o, field, b), "standard input is empty", field)
	case strings.HasPrefix(text, "@"):
		b, err := c.Input(text[1:])
		if err != nil {
			if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
				return v, false, err
			}
			// What follows the @ may be a value that happens to begin so.
			what, cause := "' cannot be read", errors.Unwrap(err)
			var p *os.PathError
			if errors.As(err, &p) {
				cause = p.Err
			} else if errors.Is(err, durable.ErrLarge) {
				what = "' is larger than 4 MiB"
			}
			if errors.Is(err, durable.ErrNoWriter) {
				what = "' is a named pipe that nobody writes to"
			}
			return v, false, keyturn.E(keyturn.Invalid, "the file for '"+keyturn.Clean(field)+what,
				`check that it exists and that you may read it; a value that begins with @ is written \@…`).Because(cause)
		}
		if o.trim {
			b = bytes.TrimSuffix(b, []byte("\n"))
		}
		return notEmpty(keyturn.NewValue(b), "the file for '"+keyturn.Clean(field)+"' is empty", field)
	}
	if strings.HasPrefix(text, `\@`) || strings.HasPrefix(text, `\-`) {
		text = text[1:]
	}
	return keyturn.NewValue([]byte(text)), true, nil
}

// notEmpty refuses an empty value from a pipe or a file: whatever should have written it
// has failed.
func notEmpty(v keyturn.Value, what, field string) (keyturn.Value, bool, error) {
	if v.Len() == 0 {
		return v, false, keyturn.E(keyturn.Invalid, what+", and nothing was stored", "look at what should write it; an empty value is written "+keyturn.Quote(keyturn.Clean(field))+"=")
	}
	return v, false, nil
}

// trimmed drops a newline that the caller does not want, and tells of one that
// may not have been meant.
func trimmed(c *command, o putOptions, field string, b []byte) keyturn.Value {
	if bytes.HasSuffix(b, []byte("\n")) {
		if o.trim {
			return keyturn.NewValue(bytes.TrimSuffix(b, []byte("\n")))
		}
		c.Say("note: '%s' ends in a newline, which is kept; --trim drops it", keyturn.Clean(field))
	}
	return keyturn.NewValue(b)
}

func fromFiles(c *command, o putOptions, set func(string, keyturn.Value) error) error {
	switch {
	case o.fromJSON != "":
		data, err := c.Input(o.fromJSON)
		if err != nil {
			return err
		}
		return jsonFields(shown(o.fromJSON), data, set)
	case o.fromEnv != "":
		data, err := c.Input(o.fromEnv)
		if err != nil {
			return err
		}
		return envFields(c, shown(o.fromEnv), data, set)
	}
	return nil
}

// shown is a file's name in messages.
func shown(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}

func envFields(c *command, name string, data []byte, set func(string, keyturn.Value) error) error {
	file, err := document.ParseEnv(name, data)
	if err != nil {
		return err
	}
	vars, notices, err := file.Expand(func(n string) (keyturn.Value, bool) { return keyturn.Value{}, false })
	if err != nil {
		return err
	}
	for _, n := range append(file.Notices, notices...) {
		c.Say("note: %s", keyturn.Clean(n.String()))
	}
	if len(vars) == 0 {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(name)+"' has no variables", "write NAME=VALUE on lines of its own")
	}
	for _, v := range vars {
		if v.Ref != nil {
			return keyturn.E(keyturn.Invalid, fmt.Sprintf("%s:%d: %s is a reference, not a value", keyturn.Clean(name), v.Line, keyturn.Clean(v.Name)),
				"'keyturn run --env-file' resolves references")
		}
		if err := set(v.Name, v.Value); err != nil {
			return err
		}
	}
	return nil
}

// jsonFields takes the members of a JSON object: strings as they are, anything
// else as its JSON text. No message repeats what is in it.
func jsonFields(name string, data []byte, set func(string, keyturn.Value) error) error {
	bad := keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(name)+"' is not one JSON object", `write {"FIELD": "VALUE", …}`)
	if !utf8.Valid(data) { // the decoder would put other bytes in their place
		return bad
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return bad
	}
	n := 0
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return bad
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return bad
		}
		field, _ := key.(string)
		b := []byte(raw)
		var text string
		if json.Unmarshal(raw, &text) == nil && bytes.HasPrefix(raw, []byte(`"`)) {
			b = []byte(text)
			if strings.ContainsRune(text, utf8.RuneError) && !bytes.ContainsRune(raw, utf8.RuneError) && !bytes.Contains(bytes.ToLower(raw), []byte(`\ufffd`)) {
				return keyturn.E(keyturn.Invalid, "a string in '"+keyturn.Clean(name)+"' has half of a surrogate pair, which is no text", "write both halves, or the character itself")
			}
		}
		if err := set(field, keyturn.NewValue(b)); err != nil {
			return err
		}
		n++
	}
	if _, err := dec.Token(); err != nil {
		return bad
	}
	if _, err := dec.Token(); err != io.EOF {
		return bad
	}
	if n == 0 {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(name)+"' has no fields", `write {"FIELD": "VALUE", …}`)
	}
	return nil
}
