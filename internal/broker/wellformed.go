package broker

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/variable"
)

// maxRefs is how many references one operation may have.
const maxRefs = 1000

// wellFormed refuses operations that make no sense, whoever asks, before anybody is
// asked whether they may be done. Its errors are Invalid.
func wellFormed(op keyturn.Op) error {
	refs := op.Refs()
	if len(refs) > maxRefs {
		return keyturn.E(keyturn.Invalid, fmt.Sprintf("this operation names more than %d secrets", maxRefs), "name fewer at once")
	}
	for _, r := range refs {
		if r.IsZero() {
			return keyturn.E(keyturn.Invalid, "a reference is missing", "write MOUNT/NAME, for instance local/myapp")
		}
	}
	switch op := op.(type) {
	case keyturn.ListSecrets:
		if op.Under.IsZero() {
			return keyturn.E(keyturn.Invalid, "a prefix is missing", "write MOUNT/, for instance local/")
		}
	case keyturn.RunCommand:
		if len(op.Command) == 0 || op.Command[0] == "" {
			return keyturn.E(keyturn.Invalid, "no command was given", "write it behind --, for instance: keyturn run -- npm start")
		}
		return checkRun(op)
	case keyturn.UseConfig:
		for _, v := range op.Env {
			if name, _, ok := strings.Cut(v, "="); !ok || name == "" || strings.ContainsRune(v, 0) {
				return keyturn.E(keyturn.Invalid, "the environment of a person is written NAME=value", "")
			}
		}
	case keyturn.RenderTemplate:
		if op.Template == "" || !isDigest(op.Digest) {
			return keyturn.E(keyturn.Invalid, "it is not said which template is filled", "name its whole path, and the SHA-256 of its text in hexadecimal")
		}
		return checkFound(op.Found, op.Found != "")
	case keyturn.TrustProject:
		for i, name := range op.Kept {
			if i > 0 && op.Kept[i-1] >= name || variable.Key(name) == variable.PassphraseFile {
				return keyturn.E(keyturn.Invalid, "the variables that are kept are named once each, sorted, without "+variable.PassphraseFile, "")
			}
		}
		return checkSettings(op.Steers)
	case keyturn.PutSecret:
		return checkPut(op)
	case keyturn.SealValues:
		return checkPut(keyturn.PutSecret{Ref: op.Ref, Candidate: "-"})
	case keyturn.CopySecret:
		return checkCopy(op)
	case keyturn.TakeLease:
		return checkLease(op.Ref)
	case keyturn.RenewLease:
		if op.Seconds < 0 || op.Seconds > maxTerm {
			return keyturn.E(keyturn.Invalid, "a lease is renewed for at most ten years", "say --for 1h, or leave it out for as long as before")
		}
		return checkLease(op.Ref)
	case keyturn.RevokeLease:
		return checkLease(op.Ref)
	case keyturn.MigrateSecrets:
		return checkMigration(op)
	case keyturn.PlatformAction:
		return checkAction(op)
	case keyturn.Login:
		return checkLogin(op)
	case keyturn.Logout:
		return checkMount(op.Mount)
	case keyturn.PruneLog:
		if op.Before.IsZero() || op.Before.Location() != time.UTC {
			return keyturn.E(keyturn.Invalid, "it is not said which records are to be dropped", "name an age: keyturn audit prune --older-than 400d")
		}
		if len(op.Restored) > 0 {
			return keyturn.E(keyturn.Invalid, "what dropped records told is not for a request to say", "leave it out")
		}
	}
	return nil
}

// checkRun refuses a command that would get the file of the store's passphrase, whoever
// asks, and lists that are not in order.
func checkRun(op keyturn.RunCommand) error {
	for _, bd := range op.Env {
		if variable.Key(bd.Name) == variable.PassphraseFile {
			return keyturn.E(keyturn.Invalid, "no command gets "+variable.PassphraseFile, "leave it out")
		}
	}
	for _, f := range op.EnvFiles {
		if err := checkFound(f.Path, true); err != nil {
			return err
		}
		if err := checkSettings(f.Steers); err != nil {
			return err
		}
	}
	for i, name := range op.Pass {
		if i > 0 && op.Pass[i-1] >= name || variable.Ours(name) {
			return keyturn.E(keyturn.Invalid, "the variables that pass are named once each, sorted, and are not keyturn's own", "")
		}
	}
	return nil
}

func checkFound(path string, needed bool) error {
	if needed && (!filepath.IsAbs(path) || filepath.Clean(path) != path) {
		return keyturn.E(keyturn.Invalid, "a file that asks for secrets is named by its whole path", "")
	}
	return nil
}

func checkSettings(list []keyturn.Setting) error {
	for i, s := range list {
		if i > 0 && list[i-1].Name >= s.Name || variable.Key(s.Name) == variable.PassphraseFile {
			return keyturn.E(keyturn.Invalid, "the variables of a file are named once each, sorted, without "+variable.PassphraseFile, "")
		}
	}
	return nil
}

// isDigest reports whether s is a SHA-256 in hexadecimal, as text.
func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && hex.EncodeToString(b) == s
}

// maxTerm is the longest term that a lease can be renewed for, in seconds.
const maxTerm = 10 * 366 * 24 * 3600

func checkLease(ref keyturn.Ref) error {
	if ref != ref.Secret() {
		return keyturn.E(keyturn.Invalid, "a lease is of a whole secret, which is made when it is taken", "write "+keyturn.Quote(ref.Secret().Short()))
	}
	return nil
}

func checkPut(op keyturn.PutSecret) error {
	switch {
	case op.Ref.Version() != "":
		return keyturn.E(keyturn.Invalid, "a put makes a new version: the reference cannot name one", "leave ?version= out; --if-version says which one must be current")
	case op.Ref.Field() != "":
		return keyturn.E(keyturn.Invalid, "a put takes the secret's reference, without a field", "name the fields behind it: keyturn put "+keyturn.Quote(op.Ref.Secret().Short())+" "+keyturn.Quote(op.Ref.Field()))
	case op.Mode != "" && op.Mode != keyturn.Merge && op.Mode != keyturn.Replace:
		return keyturn.E(keyturn.Invalid, "a put merges or replaces", "")
	case !op.Expires.Equal(op.Expires.Truncate(time.Second)) || op.Expires.Location() != time.UTC:
		return keyturn.E(keyturn.Invalid, "an expiry is in UTC and whole seconds", "")
	case op.Candidate == "" && len(op.Generate) == 0 && op.Mode != keyturn.Merge:
		return keyturn.E(keyturn.Invalid, "no value was given", "name a field, or --generate FIELD; with --merge only labels and expiry can change")
	case len(op.Unlabel) > 0 && op.Mode != keyturn.Merge:
		return keyturn.E(keyturn.Invalid, "a label is taken away from those that are there", "say --merge; without it --label names all of them")
	case !slices.IsSorted(op.Unlabel):
		return keyturn.E(keyturn.Invalid, "labels that are taken away must be sorted", "")
	case op.Candidate == "" && len(op.Fields) > 0:
		return keyturn.E(keyturn.Invalid, "fields are named, but no values are sealed for them", "")
	case !slices.IsSorted(op.Public):
		return keyturn.E(keyturn.Invalid, "public fields must be sorted", "")
	}
	return checkGenerated(op.Generate)
}

func checkCopy(op keyturn.CopySecret) error {
	switch {
	case op.To.Version() != "":
		return keyturn.E(keyturn.Invalid, "a copy makes a new version: its target cannot name one", "leave ?version= out; --if-version says which one must be current")
	case (op.From.Field() == "") != (op.To.Field() == ""):
		return keyturn.E(keyturn.Invalid, "a field goes to a field, and a whole secret to a whole secret", "name a field on both sides, SRC#FIELD DST#FIELD, or on neither")
	case op.Mode != "" && op.Mode != keyturn.Merge && op.Mode != keyturn.Replace:
		return keyturn.E(keyturn.Invalid, "a copy merges or replaces", "")
	case op.Mode != "" && op.To.Field() != "":
		return keyturn.E(keyturn.Invalid, "one field is always merged: the others stay", "leave --merge and --replace out")
	case op.From == op.To:
		return keyturn.E(keyturn.Invalid, "source and target are the same", "name another target, or an earlier version of the source")
	}
	return nil
}

// actionName matches an action's name: words, each of which is also a segment of the
// path that rules decide about.
var actionName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z-]*( [a-z][a-z-]*)*$`) })

// maxWrap is for how many seconds a wrapped secret can be opened, at most.
const maxWrap = 24 * 60 * 60

// checkAction refuses what no platform could do. Which actions there are, and what
// each takes, platform.Mount knows.
func checkAction(op keyturn.PlatformAction) error {
	if err := checkMount(op.Mount); err != nil {
		return err
	}
	wrong := func(why, hint string) error { return keyturn.E(keyturn.Invalid, why, hint) }
	ways := 0
	for _, is := range []bool{!op.To.IsZero(), op.Out != "", op.Wrap != 0} {
		if is {
			ways++
		}
	}
	switch {
	case len(op.Action) > 100 || !actionName().MatchString(op.Action):
		return wrong("'"+keyturn.Clean(op.Action)+"' is not the name of an action", "")
	case !op.On.IsZero() && op.On.Mount() != op.Mount:
		return wrong("an action is about its own mount", "name a secret of "+op.Mount)
	case ways > 1:
		return wrong("a secret goes to one place", "name one of --to, --to-file and --wrap")
	case op.To.Version() != "":
		return wrong("a new version is made: the reference cannot name one", "leave ?version= out")
	case op.Out != "" && !filepath.IsAbs(op.Out):
		return wrong("the file for a secret is named by its whole path", "")
	case op.Wrap < 0 || op.Wrap > maxWrap:
		return wrong("a wrapped secret waits from a second to a day", "say --wrap 60s")
	}
	before := ""
	for _, u := range op.Uses {
		if u.Optional || u.Name <= before {
			return wrong("the secrets that an action uses are named once each, sorted", "")
		}
		before = u.Name
	}
	return nil
}

// maxLogin is the most bytes of each text of a login.
const maxLogin = 512

// checkLogin refuses what no platform could take. Which methods there are, and what
// each needs, the platform says.
func checkLogin(op keyturn.Login) error {
	if err := checkMount(op.Mount); err != nil {
		return err
	}
	if op.Method == "" {
		return keyturn.E(keyturn.Invalid, "it is not said how to log in", "name a --method")
	}
	for _, s := range []string{op.Method, op.Path, op.Role, op.RoleID, op.Username} {
		if len(s) > maxLogin || keyturn.Clean(s) != s {
			return keyturn.E(keyturn.Invalid, "what a login says is at most 512 bytes of plain text each", "what is secret is asked for, and has no place on the command line")
		}
	}
	return nil
}

func checkMount(name string) error {
	p, err := keyturn.ParsePrefix(name)
	if err != nil || p.Mount() != name {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(name)+"' is not the name of a mount", "'keyturn list' shows the mounts")
	}
	return nil
}

// maxMigrated is how many files one migration writes.
const maxMigrated = 200

func checkMigration(op keyturn.MigrateSecrets) error {
	switch {
	case op.Ref.Version() != "" || op.Ref.Field() != "":
		return keyturn.E(keyturn.Invalid, "a migration goes into a whole secret, as a new version", "write --to MOUNT/NAME")
	case len(op.Fields) == 0 && len(op.Files) == 0 || (len(op.Fields) == 0) != (op.Candidate == "") || (len(op.Files) == 0) != (op.Texts == ""):
		return keyturn.E(keyturn.Invalid, "a migration names its fields with their values, and its files with their texts", "")
	case !slices.IsSorted(op.Fields) || len(slices.Compact(slices.Clone(op.Fields))) != len(op.Fields):
		return keyturn.E(keyturn.Invalid, "the fields of a migration must be sorted", "")
	case len(op.Files) > maxMigrated:
		return keyturn.E(keyturn.Invalid, fmt.Sprintf("a migration writes at most %d files", maxMigrated), "name fewer at once")
	}
	seen := map[string]bool{}
	for _, f := range op.Files {
		if !filepath.IsAbs(f.Path) || filepath.Clean(f.Path) != f.Path || seen[f.Path] {
			return keyturn.E(keyturn.Invalid, "the files of a migration are absolute paths, each once", "")
		}
		if seen[f.Path] = true; f.New {
			continue
		}
		if mode, err := strconv.ParseUint(f.Mode, 8, 32); err != nil || mode > 0o7777 {
			return keyturn.E(keyturn.Invalid, "the mode of a migrated file is octal", "for instance 0644")
		}
	}
	return nil
}
