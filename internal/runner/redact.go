package runner

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/launch"
	"github.com/keyturn/keyturn/internal/leak"
)

// What the caller sees of a command's output tells nothing of a value that the caller may
// not see, whatever the command is made to print, and neither does the time at which it is
// seen:
//
//   - Values that the caller may have chosen, or may see, are redacted after all others, in
//     what those leave: a guess among them moves nothing that stands for another value.
//   - For an agent or a service only what nobody guesses is redacted, since else a marker
//     would confirm a guess that the command was made to print. Where a value is weaker,
//     the output is withheld.
//   - An agent or a service gets the output when the command has ended, since else what is
//     held back would tell of a beginning that is right. Broker decides that
//     (keyturn.Output).
//   - Where the output is withheld, of the exit status only passes whether it is 0.

const (
	// maxHeld is how many bytes of redacted output of one stream an agent gets.
	maxHeld = 8 << 20
	// maxLine is how long a line can be of which a service gets all at once.
	maxLine = 64 << 10
	// grain is how finely an agent can tell how long a command ran.
	grain = 100 * time.Millisecond
)

// filtering is how a command's output comes to the caller.
type filtering struct {
	mode     keyturn.Output
	withheld bool
	tiers    []*leak.Matcher // in the order in which they redact
	writers  []*leak.Writer
	held     []*held
}

// person reports whether the caller is one.
func (p *Plan) person() bool { return p.runner.Facts.Actor.Kind == keyturn.Person }

// hidden are the values of the command that are not public.
func (p *Plan) hidden() (out []keyturn.Delivered) {
	for _, d := range slices.Concat(p.delivery.Env, p.delivery.Files) {
		if !d.Public {
			out = append(out, d)
		}
	}
	return out
}

// redact settles how the output comes to the caller; nil where it comes as it is. Values
// that cannot be redacted are named; where one of them is not the caller's to see, the
// output is withheld.
func (p *Plan) redact() (*filtering, error) {
	if p.Op.Plain {
		p.Output = "plain"
		return nil, nil
	}
	f := &filtering{mode: p.delivery.Output}
	if f.mode == "" && !p.person() {
		f.mode = keyturn.OutputEnd
	}
	hidden := p.hidden()
	if len(hidden) == 0 && f.mode != keyturn.OutputStatus {
		return nil, nil
	}
	if err := f.compile(p, hidden); err != nil {
		return nil, err
	}
	if f.mode == keyturn.OutputStatus && !f.withheld {
		why, next, _ := strings.Cut(p.delivery.Why, "\n")
		p.withhold(f, why)
		for line := range strings.Lines(next) {
			p.say("  %s", strings.TrimSuffix(line, "\n"))
		}
	}
	if !f.withheld {
		p.Output = "redacted"
	}
	return f, nil
}

func (p *Plan) withhold(f *filtering, why string) {
	f.withheld, p.Output = true, "withheld"
	p.say("keyturn: the output of this command is withheld: %s", keyturn.Clean(why))
}

// compile makes the tiers.
func (f *filtering) compile(p *Plan, hidden []keyturn.Delivered) error {
	told := map[string]bool{}
	var fixes []string
	withheld := false
	for _, later := range []bool{false, true} {
		var needles []leak.Needle
		var of []keyturn.Delivered
		for _, d := range hidden {
			if (d.Open || d.Chosen) != later {
				continue
			}
			of = append(of, d)
			needles = append(needles, leak.Needle{Value: d.Value.Reveal(), Label: d.Label, Strong: !d.Open && !p.person(), Apart: later && !d.Open})
		}
		if len(needles) == 0 {
			continue
		}
		m, skipped, err := leak.Compile(needles)
		if err != nil {
			f.wipe()
			return p.tooLarge(hidden).Because(err)
		}
		f.tiers = append(f.tiers, m)
		for _, s := range skipped {
			d, name := of[s.Index], p.nameOf(of[s.Index])
			if told[name] {
				continue
			}
			told[name] = true
			if d.Open {
				p.say("note: the value of %s is %s to be redacted", keyturn.Clean(name), s.Reason)
				continue
			}
			p.withhold(f, "the value of "+name+" is too short, too common or too easy to guess to be redacted") // which of them would tell of the value
			withheld = true
			if leak.Declarable(d.Ref.Field(), d.Value.Reveal()) {
				fixes = append(fixes, publish(name))
			}
		}
	}
	if withheld && len(fixes) == 0 {
		p.say("  a person can store a longer value, or have one generated")
	}
	if len(fixes) > 0 {
		p.say("  a person can store a longer value, or have one generated, or say that it is no secret:")
		for _, fix := range fixes {
			p.say("  %s", keyturn.Clean(fix))
		}
	}
	return nil
}

// filter is the launch.Filter.
func (f *filtering) filter(dst io.Writer) io.WriteCloser {
	if f.withheld {
		return nowhere{}
	}
	var out io.WriteCloser = unfiltered{dst}
	switch f.mode {
	case keyturn.OutputEnd:
		h := &held{dst: dst}
		f.held = append(f.held, h)
		out = h
	case keyturn.OutputLines:
		out = &lines{dst: dst}
	}
	c := &chain{end: out}
	var next io.Writer = out
	for _, m := range slices.Backward(f.tiers) {
		w := m.Writer(next, leak.Options{})
		f.writers = append(f.writers, w)
		c.writers, next = append(c.writers, w), w
	}
	return c
}

// late reports whether nothing is shown before the command has ended.
func (f *filtering) late() bool {
	return f.withheld || f.mode == keyturn.OutputEnd
}

// met reports whether values that may be guesses at one another met in the output.
func (f *filtering) met() bool {
	return slices.ContainsFunc(f.writers, (*leak.Writer).Stopped)
}

// release shows what was held until now.
func (f *filtering) release() (cut bool, err error) {
	for _, h := range f.held {
		e := h.release()
		err = errors.Join(err, e)
		cut = cut || h.cut
	}
	return cut, err
}

func (f *filtering) wipe() {
	for _, m := range f.tiers {
		m.Wipe()
	}
	f.drop()
}

// drop lets go of what was held.
func (f *filtering) drop() {
	for _, h := range f.held {
		h.drop()
	}
}

// chain is the redactors of one stream, the last first, and what they write to.
type chain struct {
	writers []*leak.Writer
	end     io.WriteCloser
}

func (c *chain) Write(p []byte) (int, error) {
	if len(c.writers) == 0 {
		return c.end.Write(p)
	}
	return c.writers[len(c.writers)-1].Write(p)
}

func (c *chain) Close() error {
	var failed []error
	for _, w := range slices.Backward(c.writers) {
		failed = append(failed, w.Close())
	}
	return errors.Join(append(failed, c.end.Close())...)
}

// held keeps what is written to it, maxHeld bytes at most, until release.
type held struct {
	dst io.Writer
	mu  sync.Mutex
	b   []byte
	cut bool
}

func (h *held) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := min(len(p), maxHeld-len(h.b))
	h.b = append(h.b, p[:n]...)
	h.cut = h.cut || n < len(p)
	return len(p), nil
}

// Close releases nothing: the stream may end long before the command does.
func (h *held) Close() error { return nil }

func (h *held) release() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.b
	h.b = nil
	if len(b) == 0 {
		return nil
	}
	return launch.Show(h.dst, b)
}

func (h *held) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.b = nil
}

// lines passes whole lines on, and longer ones in pieces of maxLine bytes.
type lines struct {
	dst io.Writer
	b   []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.b = append(l.b, p...)
	return len(p), l.flush(false)
}

func (l *lines) Close() error { return l.flush(true) }

// flush writes the lines that have ended; all that there is at the end.
func (l *lines) flush(all bool) error {
	n := len(l.b)
	if !all {
		n = bytes.LastIndexByte(l.b, '\n') + 1
		n += (len(l.b) - n) / maxLine * maxLine
	}
	if n == 0 {
		return nil
	}
	_, err := l.dst.Write(l.b[:n])
	l.b = l.b[:copy(l.b, l.b[n:])]
	return err
}

// publish returns the command by which a person declares a field to be no secret.
// Where the caller may not know the field's name, it says how a person finds that.
func publish(name string) string {
	ref, err := keyturn.ParseRef(name)
	if err != nil || ref.Field() == "" {
		name = keyturn.Quote(name)
		return "keyturn put " + name + " FIELD --public FIELD --merge   (the names of the fields: keyturn get " + name + ")"
	}
	return ref.Publish()
}

// tooLarge is the error of values that are too large to be redacted. It tells no length,
// and names the largest to people only: which of two is longer is not for others.
func (p *Plan) tooLarge(hidden []keyturn.Delivered) *keyturn.Error {
	message, hint := "the values are too large for the output to be redacted: together some 128 KiB can be", "give the command fewer of them, or smaller ones"
	if p.person() {
		largest := slices.MaxFunc(hidden, func(a, b keyturn.Delivered) int { return cmp.Compare(a.Value.Len(), b.Value.Len()) })
		message += "; the largest is that of " + keyturn.Clean(p.nameOf(largest))
		hint += "; people may say --no-redact"
	}
	return keyturn.E(keyturn.Invalid, message, hint)
}

// nowhere takes everything and shows nothing.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Close() error                { return nil }

// unfiltered is a filter that changes nothing.
type unfiltered struct{ io.Writer }

func (unfiltered) Close() error { return nil }
