package migration

import (
	"fmt"
	"strconv"

	"github.com/keyturn/keyturn"
)

// TextsOf returns the texts of files from the values of a candidate, "before-N"
// and "after-N".
func TextsOf(files []keyturn.MigratedFile, sealed map[string]keyturn.Value) ([]Text, error) {
	out := make([]Text, len(files))
	for i, f := range files {
		before, had := sealed["before-"+strconv.Itoa(i)]
		after, will := sealed["after-"+strconv.Itoa(i)]
		if had == f.New || !will {
			return nil, keyturn.E(keyturn.Invalid, "the texts of the files are not all there", "")
		}
		out[i] = Text{Before: before, After: after}
	}
	return out, nil
}

// Compare tells what each file of m holds; now has the present texts, "now-N".
// Whole files are compared, so nothing can be guessed bit by bit.
func Compare(m keyturn.Migration, texts []Text, now map[string]keyturn.Value) []keyturn.MigrationFile {
	out := make([]keyturn.MigrationFile, len(m.Files))
	for i, f := range m.Files {
		text, there := now["now-"+strconv.Itoa(i)]
		holds := keyturn.HoldsOther
		switch {
		case there && text.Equal(texts[i].After):
			holds = keyturn.HoldsAfter
		case there != f.New && (!there || text.Equal(texts[i].Before)):
			holds = keyturn.HoldsBefore
		}
		out[i] = keyturn.MigrationFile{MigratedFile: f, Holds: holds}
	}
	return out
}

// Differs is the error of fields that hold other values already; without fields,
// which they are is not told.
func Differs(ref keyturn.Ref, fields []string) error {
	const most = 20
	list := fmt.Sprint(fields)
	if len(fields) == 0 {
		list = "some of these fields"
	} else if len(fields) > most {
		list = fmt.Sprintf("%v and %d more", fields[:most], len(fields)-most)
	}
	return keyturn.E(keyturn.Conflict, ref.Short()+" has other values already in "+list,
		"nothing was changed; say another --to, leave them out with --keep NAME, or make a new version of them with --replace").About(ref)
}

// Unread is the error of a secret that does not hold what was stored in it.
func Unread(ref keyturn.Ref, err error) error {
	e := keyturn.E(keyturn.Conflict, ref.Short()+" does not hold what was stored in it", "somebody else may have written meanwhile; no file was changed: look with 'keyturn history "+keyturn.Quote(ref.Short())+"', then try again").About(ref)
	if err != nil {
		return e.Because(err)
	}
	return e
}

// Needed is the error of one whose texts may be nowhere else.
func Needed(m keyturn.Migration) error {
	e := keyturn.E(keyturn.Conflict, "the migration "+m.ID+" was cut off: what its files held may be nowhere else",
		"end it first: keyturn migrate --resume "+m.ID+", or --rollback "+m.ID)
	if m.Phase == keyturn.MigrationReverting {
		e.Hint = "end it first: keyturn migrate --rollback " + m.ID
	}
	e.Hint += "\nor take what they held elsewhere, then forget it: keyturn migrate --rollback " + m.ID + " --out FOLDER"
	return e
}

// NotNow is the error of what cannot be done in m's phase.
func NotNow(m keyturn.Migration) error {
	e := keyturn.E(keyturn.Conflict, "the migration "+m.ID+" is "+m.Phase, "'keyturn migrate --list' shows all")
	switch m.Phase {
	case keyturn.MigrationBegun:
		e.Hint = "nothing was stored for sure and no file was changed: give the command again as it was"
	case keyturn.MigrationReverting:
		e.Hint = "go on with: keyturn migrate --rollback " + m.ID
	}
	return e
}
