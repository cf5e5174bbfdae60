// Package state is keyturn's own database: secrets of the local platform, the
// audit log, and small items such as requests for approval. It is one SQLite file
// that several processes use at once, and nothing in it, nor in the files that
// SQLite keeps beside it, can be read without the root key.
//
// Its parts: seal holds the keys and encrypts, rows defines what rows hold, table works
// on whole tables, and sqlite runs transactions.
//
// # Keys
//
// The root key lies outside (package rootkey). It wraps the store's random master
// key, of which all others are derived: those for looking rows up and for adding them
// up by HMAC-SHA-256, and one each for the head, versions, data keys, log and items
// (AES-256-GCM, random nonces). Each version of a secret has a data key of its own,
// wrapped by one of them: destroying a version wipes the wrapped key.
//
// SetRoot wraps the master key under another root key. Rekey draws another master
// key, and other data keys: each has a number, its epoch, with which every ciphertext
// begins. While rows of two epochs are there, rows are looked up under both, and new
// ones are written under the newer. All transactions compare the wrapped master key
// with the one that they know, and load what is new, asking for the root key where
// that has changed: other processes go on all the time. In the end the old master key
// is dropped, and the database is written anew. What stays is LogKey, of which the log
// derives its signatures: an old root key with an old copy of the file gives that away.
//
// Associated data binds each ciphertext to the format, the store, its purpose and
// its place, so that a row that was edited or moved is Corrupt when it is read. A
// secret's row holds the number of its newest version, and a revision of each
// version that was changed: a version that was taken away, or an older copy of one,
// is Corrupt too.
//
// The head, one row that every change writes anew, holds the last record of the log,
// the edge of the log's tree, up to where records were dropped, the epochs of the keys,
// and keyed sums over all rows of items and of secrets. Items are few: each use of
// any of them checks all against their sum, so that an item that was taken away, or
// replaced by an older copy (an approval that is unused again), is Corrupt. Secrets
// may be many: one that was taken away as a whole, or replaced with all its versions
// by an older copy, is Corrupt to VerifyState, not when it is read.
//
// What the store cannot notice by itself is an older copy of everything, head and log
// included. For that it counts the changes of secrets and items (LogTop's Generation),
// and gives a keyed hash over them (Digest), which a signed checkpoint can hold
// elsewhere.
//
// What can be seen without the key: how many secrets, versions, records and kinds
// of items there are, how large they are, when items expire, which rows a Rekey has
// come to, where the root key is, and who made the store.
//
// # Durability
//
// All changes are durable when the method returns (synchronous=FULL), but for
// AppendLog with durable unset, and the steps of a Rekey before its last. Such a
// transaction runs with synchronous=NORMAL, which in WAL mode leaves out just the sync
// after the commit (https://sqlite.org/pragma.html#pragma_synchronous): it cannot damage
// the database, and the next durable commit, of any process, syncs the same WAL file
// and with it all frames before its own.
//
// The WAL is part of the store while it is there, also when no process runs: copy
// or restore keyturn.db together with keyturn.db-wal, and never one of them beside
// another's. Snapshot makes a copy that is one file.
//
// SQLite's secure_delete does not zero the copies of rows that lie in the gap of a page
// since SQLite rebuilt it, so that Shred, PruneLog and Rekey write the whole database
// anew before they say that something is gone.
//
// # Formats
//
// The format is the database's user_version, and part of all associated data. This
// package reads and writes format 2. Any other format is Invalid, and the error names
// the keyturn that made the store. A frozen store of format 2, which every later program
// must open, is in internal/world/testdata/net.
package state

// Format is the version of the database's form, kept as its user_version.
const Format = 2

// File is the name of the database in keyturn's folder.
const File = "keyturn.db"

// applicationID marks the file as keyturn's: "ktrn".
const applicationID = 0x6b74726e

// schema makes an empty database. The table meta stays as it is in all formats,
// so that an older keyturn can say who wrote a newer store.
//
// Keys of meta: store (id), kind and place (of the root key), writer, check (tells
// a wrong root key from damage), master (wrapped), logkey and head (encrypted).
const schema = `
CREATE TABLE meta (k TEXT PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE secret (
	id     INTEGER PRIMARY KEY,
	name   BLOB NOT NULL UNIQUE, -- HMAC, under the key of head's epoch
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
	data BLOB NOT NULL -- leaf and record, or leaf alone; encrypted
) STRICT;
CREATE TABLE item (
	kind    BLOB NOT NULL,    -- HMAC
	id      BLOB NOT NULL,    -- HMAC
	expires INTEGER NOT NULL, -- Unix seconds, 0 for never: for collection only
	body    BLOB NOT NULL,    -- kind, id, expiry, body; encrypted
	PRIMARY KEY (kind, id)
) WITHOUT ROWID, STRICT;
`
