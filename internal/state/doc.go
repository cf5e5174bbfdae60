// Package state is keyturn's own database: secrets of the local platform, the
// audit log, and small items such as requests for approval. It is one SQLite file
// that several processes use at once, and nothing in it, nor in the files that
// SQLite keeps beside it, can be read without the root key.
//
// # Keys
//
// The root key lies outside (package rootkey). It wraps the store's random master
// key, of which all other keys are derived: one for looking rows up by HMAC-SHA-256,
// and one each for names, versions, log and items (AES-256-GCM, random nonces).
// Each version of a secret has a data key of its own, wrapped by one of the derived
// keys: destroying a version wipes the wrapped key.
//
// Associated data binds each ciphertext to the format, the store, its purpose and
// its place, so that a row that was edited or moved is Corrupt when it is read. A
// secret's row holds the number of its newest version, and a revision of each
// version that was changed: a version that was taken away, or an older copy of one,
// is Corrupt too.
//
// The head, one row that every change writes anew, holds the last record of the log
// and keyed sums over all rows of items and of secrets. Items are few: each use of
// any of them checks all against their sum, so that an item that was taken away, or
// replaced by an older copy (an approval that is unused again), is Corrupt. Secrets
// may be many: one that was taken away as a whole, or replaced with all its versions
// by an older copy, is Corrupt to VerifyState, not when it is read. What the store
// cannot notice by itself is an older copy of everything, head and log included.
//
// What can be seen without the key: how many secrets, versions, records and kinds
// of items there are, how large they are, when items expire, and where the root
// key is.
//
// # Durability
//
// All changes are durable when the method returns (synchronous=FULL), but for
// AppendLog with durable unset. Its transaction runs with synchronous=NORMAL, which
// in WAL mode leaves out just the sync after the commit
// (https://sqlite.org/pragma.html#pragma_synchronous): it cannot damage the
// database, and the next durable commit, of any process, syncs the same WAL file
// and with it all frames before its own.
//
// The WAL is part of the store while it is there, also when no process runs: copy
// or restore keyturn.db together with keyturn.db-wal, and never one of them beside
// another's.
package state

// Format is the version of the database's form, kept as its user_version.
const Format = 1

// File is the name of the database in keyturn's folder.
const File = "keyturn.db"

// applicationID marks the file as keyturn's: "ktrn".
const applicationID = 0x6b74726e

// schema makes an empty database. The table meta stays as it is in all formats,
// so that an older keyturn can say who wrote a newer store.
//
// Keys of meta: store (id), kind and place (of the root key), writer, check (tells
// a wrong root key from damage), master (wrapped), head (last record and sums, encrypted).
const schema = `
CREATE TABLE meta (k TEXT PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE secret (
	id     INTEGER PRIMARY KEY,
	name   BLOB NOT NULL UNIQUE, -- HMAC
	newest INTEGER NOT NULL,     -- number of a version; also in head
	head   BLOB NOT NULL         -- name, incarnation, newest, revisions; encrypted
) STRICT;
CREATE TABLE version (
	secret INTEGER NOT NULL,
	number INTEGER NOT NULL,
	info   BLOB NOT NULL, -- state, times, fields, labels; encrypted
	key    BLOB,          -- the data key, wrapped; NULL when destroyed
	data   BLOB,          -- values in the order of fields, each encrypted; NULL when destroyed
	PRIMARY KEY (secret, number)
) WITHOUT ROWID, STRICT;
CREATE TABLE log (
	seq  INTEGER PRIMARY KEY,
	data BLOB NOT NULL -- link and record; encrypted
) STRICT;
CREATE TABLE item (
	kind    BLOB NOT NULL,    -- HMAC
	id      BLOB NOT NULL,    -- HMAC
	expires INTEGER NOT NULL, -- Unix seconds, 0 for never: for collection only
	body    BLOB NOT NULL,    -- id, expiry, body; encrypted
	PRIMARY KEY (kind, id)
) WITHOUT ROWID, STRICT;
`
