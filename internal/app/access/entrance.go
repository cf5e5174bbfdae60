package access

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/launch/browser"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/login"
	"github.com/keyturn/keyturn/internal/session"
)

// Entrance gives a login what is secret of it: from the pipe that the caller named,
// from the variable or file where it is by custom, or from the person.
type Entrance struct {
	Environ []string
	Err     io.Writer
	Login   session.Login
	Desk    session.Desk
	Person  bool                    // the caller is one
	Own     func(mount string) bool // whether Vault's own variables are about its server
}

// Ask implements broker.Entrance.
func (e Entrance) Ask(ctx context.Context, mount string, in platform.Input) (keyturn.Value, error) {
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
	if v := e.env(name); name != "" && v != "" && (name != tokenVariable || e.Own(mount)) {
		return keyturn.NewValue([]byte(v)), nil
	}
	if address := e.env("ACTIONS_ID_TOKEN_REQUEST_URL"); in.Signed && address != "" {
		return login.GitHub(ctx, address, keyturn.NewValue([]byte(e.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))), from.Audience)
	}
	if in.File != "" {
		v, err := readToken(in.File)
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

// Visit implements broker.Entrance. The address is shown in any case: a browser
// that opens may be on another screen.
func (e Entrance) Visit(ctx context.Context, url string) error {
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

// maxToken is the most bytes of a token in a file.
const maxToken = 64 << 10

// readToken reads a token from a file; nothing where there is none. What is no file, such as
// a pipe that nobody writes to, is not opened: nothing could end waiting for it.
func readToken(path string) (keyturn.Value, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return keyturn.Value{}, noToken(path)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return keyturn.Value{}, nil
	}
	if err != nil {
		return keyturn.Value{}, keyturn.E(keyturn.Unavailable, "the file '"+keyturn.Clean(path)+"' cannot be read", "it must be readable by whoever runs keyturn").Because(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil || len(data) > maxToken {
		return keyturn.Value{}, noToken(path).Because(err)
	}
	return keyturn.NewValue(bytes.TrimSpace(data)), nil
}

func noToken(path string) *keyturn.Error {
	return keyturn.E(keyturn.Invalid, "the file '"+keyturn.Clean(path)+"' holds no token", "")
}

func (e Entrance) env(name string) string {
	for _, v := range slices.Backward(e.Environ) {
		if v, ok := strings.CutPrefix(v, name+"="); ok {
			return v
		}
	}
	return ""
}
