package app

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/launch/browser"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/wire"
	"github.com/keyturn/keyturn/internal/session"
)

// entrance gets the secret inputs of a login: from the pipe that the caller named, from
// the variable or file where the vendor's tools expect them, or from the person.
type entrance struct {
	Environ []string
	Err     io.Writer
	Login   session.Login
	Desk    session.Desk
	Person  bool // the caller is a person
}

// Ask implements broker.Entrance.
func (e entrance) Ask(ctx context.Context, mount string, in platform.Input) (keyturn.Value, error) {
	from := e.Login
	if from.Given != nil && !in.Typed {
		return from.Given()
	}
	name := in.Env
	if in.Signed && from.Variable != "" {
		name = from.Variable
		if e.env(name) == "" {
			return keyturn.Value{}, keyturn.E(keyturn.Invalid, "the variable "+keyturn.Clean(name)+" is not set", "--jwt-env names the one that holds the signed token")
		}
	}
	if v := e.env(name); name != "" && v != "" && name != in.Foreign {
		return keyturn.NewValue([]byte(v)), nil
	}
	if address := e.env("ACTIONS_ID_TOKEN_REQUEST_URL"); in.Signed && address != "" {
		return wire.GitHubToken(ctx, address, keyturn.NewValue([]byte(e.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))), from.Audience)
	}
	if in.File != "" {
		v, err := platform.ReadTokenFile(in.File)
		if err != nil || v.Len() > 0 {
			return v, err
		}
	}
	if !e.Person || !e.Desk.Possible() {
		return keyturn.Value{}, nil
	}
	question := strings.ToUpper(in.Help[:1]) + in.Help[1:] + ", for " + mount
	if in.Optional {
		question += " (empty: none)"
	}
	return e.Desk.Secret(ctx, question)
}

// Visit implements broker.Entrance. It always prints the address: the browser may open on
// another screen.
func (e entrance) Visit(ctx context.Context, url string) error {
	say := func(s string) { _, _ = io.WriteString(e.Err, s+"\n") }
	opened := false
	if e.Person && !e.Login.NoBrowser {
		err := browser.Open(ctx, e.Environ, url)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		opened = err == nil
	}
	if opened {
		say("log in in your browser, which opens this page:")
	} else {
		say("open this page in a browser on this machine, and log in:")
	}
	say("  " + keyturn.Clean(url))
	return nil
}

func (e entrance) env(name string) string {
	for _, v := range slices.Backward(e.Environ) {
		if v, ok := strings.CutPrefix(v, name+"="); ok {
			return v
		}
	}
	return ""
}
