package runner

import (
	"context"
	"sync"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/launch"
	"github.com/keyturn/keyturn/internal/leak"
	"github.com/keyturn/keyturn/internal/session"
)

// An agent or a service that gives a command one of the values which the command gets, and
// which the caller may not see, holds the value: nobody guesses those that are sought. The
// command is not started, or is ended, its output is withheld, and the broker counts it.
// Arguments, names and the reason the broker has searched before it gave the values out;
// here is what stands beside the operation: plain variables, standard input, a template.

// watch seeks the values of a command in what its caller gives to it.
type watch struct {
	of      []keyturn.Delivered
	matcher *leak.Matcher

	mu    sync.Mutex
	input *leak.Search
	found []keyturn.Delivered
}

// newWatch returns a watch for the values; nil where there is none that is sought.
func newWatch(actor keyturn.Actor, values []keyturn.Delivered) (*watch, error) {
	if actor.Kind == keyturn.Person {
		return nil, nil
	}
	w := &watch{}
	var needles []leak.Needle
	for _, d := range values {
		if !d.Public && !d.Open && !d.Chosen {
			w.of = append(w.of, d)
			needles = append(needles, leak.Needle{Value: d.Value.Reveal(), Strong: true, Open: leak.Open(d.Ref.Field(), d.Value.Reveal())})
		}
	}
	if len(needles) == 0 {
		return nil, nil
	}
	var err error
	if w.matcher, _, err = leak.Compile(needles); err != nil {
		return nil, keyturn.E(keyturn.Invalid, "the values are too large for what the command is given to be searched for them", "give the command fewer of them, or smaller ones").Because(err)
	}
	w.input = w.matcher.Search()
	return w, nil
}

func (w *watch) wipe() {
	if w != nil {
		w.matcher.Wipe()
	}
}

// texts seeks in texts that are there as a whole.
func (w *watch) texts(texts ...string) {
	search := w.matcher.Search()
	for _, t := range texts {
		_, _ = search.Write([]byte(t))
		search.Next()
	}
	w.hits(search)
}

// stream seeks in the next piece of standard input.
func (w *watch) stream(p []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.input.Write(p)
	w.hits(w.input)
	return len(w.found) > 0
}

func (w *watch) hits(s *leak.Search) {
	for _, i := range s.Found() {
		w.found = append(w.found, w.of[i])
	}
}

// held returns the refs of what was found.
func (w *watch) held() (refs []keyturn.Ref) {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.found {
		refs = append(refs, d.Ref)
	}
	return refs
}

// refusal is the error of a caller who gave a command a value in some place.
func (w *watch) refusal(actor keyturn.Actor, where, name, done string) *keyturn.Error {
	hint := "leave it out; a person should look at how it came there, and replace the value"
	if d := w.found[0]; leak.Declarable(d.Ref.Field(), d.Value.Reveal()) {
		hint += "; or say that it is no secret: " + publish(name)
	}
	e := keyturn.E(keyturn.Denied, where+" of "+actor.Principal()+" holds the value of "+keyturn.Clean(name)+", which it may not see: "+done, hint).With(keyturn.Held)
	e.By = "rule"
	return e
}

// given seeks the values in the command's plain variables, and returns what is to be done
// with its standard input; nil where that stays as it is.
func (p *Plan) given() (input func([]byte) error, err error) {
	actor := p.runner.Facts.Actor
	if actor.Kind == keyturn.Person || p.delivery == nil {
		return nil, nil
	}
	if p.watch, err = newWatch(actor, p.hidden()); err != nil {
		return nil, err
	}
	if p.watch == nil {
		return func([]byte) error { return nil }, nil
	}
	p.watch.texts(p.inherit...)
	for _, v := range p.plain {
		p.watch.texts(v.Name, string(v.Value.Reveal()))
	}
	if len(p.watch.found) > 0 {
		return nil, p.watch.refusal(actor, "the environment", p.nameOf(p.watch.found[0]), "the command was not started")
	}
	return func(piece []byte) error {
		if !p.watch.stream(piece) {
			return nil
		}
		return p.inputRefused()
	}, nil
}

// inputRefused is the error of a standard input that holds a value.
func (p *Plan) inputRefused() error {
	return p.watch.refusal(p.runner.Facts.Actor, "the standard input", p.nameOf(p.watch.found[0]), "the command was ended, and its output is withheld")
}

// account tells the Service how the command ended for its secrets, where that counts.
func (p *Plan) account(ctx context.Context, s *session.Session, met bool) error {
	held := p.watch.held()
	if len(held) == 0 && (p.delivery == nil || !p.delivery.Reserved) {
		return nil
	}
	_, err := keyturn.Do[*keyturn.Ended](context.WithoutCancel(ctx), s.Service, keyturn.EndCommand{ID: p.delivery.AuditID, Held: held, Met: met})
	return err
}

// exitFailed is the status of keyturn's own failures.
const exitFailed = 125

// coarse is the status of a command whose output is withheld: whether it succeeded.
func coarse(s launch.Status) launch.Status {
	if s.Started && s.Code != 0 {
		s.Code = 1
	}
	s.Signal = 0
	return s
}
