package backup

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/keyturn/keyturn"
)

var at = time.Date(2026, 1, 24, 10, 0, 0, 0, time.UTC)

func wantCode(t *testing.T, doing string, err error, want ...keyturn.Code) {
	t.Helper()
	e := keyturn.AsError(err)
	for _, c := range want {
		if e == nil && c == "" || e != nil && e.Code == c {
			return
		}
	}
	t.Errorf("%s: %v, want %q", doing, err, want)
}

// pair is a recipient and what opens its backups.
func pair(t *testing.T) (Recipients, Identities, string) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	to, err := ParseRecipients([]string{id.Recipient().String()})
	if err != nil {
		t.Fatal(err)
	}
	ids, err := ParseIdentities([]byte("# made for a test\n"+id.String()+"\n"), nobody(t))
	if err != nil {
		t.Fatal(err)
	}
	return to, ids, id.String()
}

// nobody is asked for a passphrase.
func nobody(t *testing.T) func() (keyturn.Value, error) {
	return func() (keyturn.Value, error) {
		t.Error("a passphrase was asked for")
		return keyturn.Value{}, errors.New("nobody")
	}
}

func says(words string) func() (keyturn.Value, error) {
	return func() (keyturn.Value, error) { return keyturn.NewValue([]byte(words)), nil }
}

var key = []byte("keyturn root key v1\nplainly a fake\n")

func manifest(db []byte) Manifest {
	return Manifest{Store: "3f", Format: 2, Writer: "v0.1", Time: at, Size: int64(len(db)), Log: Log{Size: 7, Root: "ab"}}
}

func write(t *testing.T, to Recipients, db []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, to, manifest(db), key, bytes.NewReader(db)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// noise is a store of n bytes.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	to, ids, _ := pair(t)
	for _, n := range []int{0, 1, 511, 512, 513, 64<<10 - 1, 64 << 10, 200_000} {
		db := noise(n)
		file := write(t, to, db)
		if bytes.Contains(file, key[:12]) || n > 100 && bytes.Contains(file, db[:32]) {
			t.Fatal("the backup is not encrypted")
		}
		var got bytes.Buffer
		m, k, err := Read(bytes.NewReader(file), ids, &got)
		want := manifest(db)
		want.Version = 1
		if err != nil || !bytes.Equal(got.Bytes(), db) || !bytes.Equal(k, key) || m != want {
			t.Fatalf("%d bytes: %+v, %v", n, m, err)
		}
	}
}

// TestDamage cuts a backup at lengths all over it and turns bits everywhere: all are
// refused.
func TestDamage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	t.Parallel()
	to, ids, _ := pair(t)
	file := write(t, to, noise(3000))
	refused := func(doing string, b []byte) {
		t.Helper()
		m, k, err := Read(bytes.NewReader(b), ids, io.Discard)
		if wantCode(t, doing, err, keyturn.Corrupt, keyturn.Denied, keyturn.Invalid); k != nil || m != (Manifest{}) {
			t.Errorf("%s: something was returned", doing)
		}
		if e := keyturn.AsError(err); e != nil && e.Hint == "" {
			t.Errorf("%s: no hint", doing)
		}
	}
	const header = 400 // more than age's own; behind it every third byte is enough
	step := func(i int) int {
		if i < header {
			return i + 1
		}
		return i + 3
	}
	for n := rand.N(3); n < len(file); n = step(n) {
		refused("cut", file[:n])
	}
	for i := rand.N(3); i < len(file); i = step(i) {
		b := bytes.Clone(file)
		b[i] ^= 1 << (i % 8)
		refused("a bit turned", b)
	}
	refused("longer", append(bytes.Clone(file), 0))
	large := write(t, to, noise(200_000))
	for range 300 {
		refused("a large one, cut", large[:rand.N(len(large))])
		b := bytes.Clone(large)
		b[rand.N(len(b))] ^= 1 << rand.N(8)
		refused("a large one, a bit turned", b)
	}
	for doing, b := range map[string]string{"empty": "", "text": "not a backup\n", "SQLite": "SQLite format 3\x00" + strings.Repeat("x", 200), "its first byte": "a"} {
		_, _, err := Read(strings.NewReader(b), ids, io.Discard)
		want := keyturn.Invalid
		if doing == "its first byte" {
			want = keyturn.Corrupt
		}
		wantCode(t, doing, err, want)
	}
}

// TestOthers: what somebody encrypted that is no backup of ours.
func TestOthers(t *testing.T) {
	t.Parallel()
	to, ids, _ := pair(t)
	encrypt := func(plain []byte) []byte {
		var out bytes.Buffer
		w, err := age.Encrypt(&out, to.list...)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(plain)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	r, err := age.Decrypt(bytes.NewReader(write(t, to, noise(600))), ids.list...)
	if err != nil {
		t.Fatal(err)
	}
	good, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Read(bytes.NewReader(encrypt(good)), ids, io.Discard)
	wantCode(t, "the same again", err, "")
	for doing, c := range map[string]struct {
		plain []byte
		want  keyturn.Code
	}{
		"empty":             {nil, keyturn.Corrupt},
		"text":              {[]byte(strings.Repeat("hello ", 200)), keyturn.Corrupt},
		"a newer form":      {bytes.Replace(good, []byte(`"keyturn_backup":1`), []byte(`"keyturn_backup":2`), 1), keyturn.Invalid},
		"form none":         {bytes.Replace(good, []byte(`"keyturn_backup":1`), []byte(`"keyturn_backup":0`), 1), keyturn.Invalid},
		"no manifest":       {good[1024:], keyturn.Invalid},
		"another size":      {bytes.Replace(good, []byte(`"size":600`), []byte(`"size":601`), 1), keyturn.Invalid},
		"something after":   {append(bytes.Clone(good), "more"...), keyturn.Corrupt},
		"a file after":      {append(bytes.Clone(good[:len(good)-1024]), good...), keyturn.Corrupt},
		"an end cut":        {good[:len(good)-1024-512], keyturn.Corrupt},
		"no end of archive": {good[:len(good)-1024], ""}, // tar takes the end of the stream for it
	} {
		_, _, err := Read(bytes.NewReader(encrypt(c.plain)), ids, io.Discard)
		wantCode(t, doing, err, c.want)
	}
}

type broken struct{ left int }

func (b *broken) Read(p []byte) (int, error)  { return b.move(p) }
func (b *broken) Write(p []byte) (int, error) { return b.move(p) }
func (b *broken) move(p []byte) (int, error) {
	if b.left < len(p) {
		return 0, errors.New("the disk is full")
	}
	b.left -= len(p)
	return len(p), nil
}

// TestBrokenDisk: what cannot be read or written is told as that, not as damage.
func TestBrokenDisk(t *testing.T) {
	t.Parallel()
	to, ids, _ := pair(t)
	db := noise(200_000)
	file := write(t, to, db)
	_, _, err := Read(bytes.NewReader(file), ids, &broken{100_000})
	wantCode(t, "nowhere to write", err, keyturn.Unavailable)
	_, _, err = Read(io.MultiReader(bytes.NewReader(file[:100_000]), &broken{}), ids, io.Discard)
	wantCode(t, "the source fails", err, keyturn.Unavailable)
	for n := 0; n < len(file); n += 5000 {
		if err := Write(&broken{n}, to, manifest(db), key, bytes.NewReader(db)); err == nil || !strings.Contains(err.Error(), "full") {
			t.Fatalf("a disk with %d bytes: %v", n, err)
		}
	}
	if err := Write(io.Discard, to, manifest(db), key, bytes.NewReader(db[1:])); err == nil {
		t.Error("a store that is shorter than the manifest says was backed up")
	}
	if err := Write(io.Discard, to, manifest(db), key, io.MultiReader(bytes.NewReader(db), strings.NewReader("x"))); err == nil {
		t.Error("a store that is longer than the manifest says was backed up")
	}
}

func TestRecipients(t *testing.T) {
	t.Parallel()
	one, oneID, oneKey := pair(t)
	_, otherID, _ := pair(t)
	db := noise(100)
	both := Recipients{append(one.list, mustPair(t).list...)}
	for _, to := range []Recipients{one, both} {
		_, _, err := Read(bytes.NewReader(write(t, to, db)), otherID.And(oneID), io.Discard)
		wantCode(t, "one of two identities fits", err, "")
		_, _, err = Read(bytes.NewReader(write(t, to, db)), otherID, io.Discard)
		if wantCode(t, "another identity", err, keyturn.Denied); !strings.Contains(keyturn.AsError(err).Hint, "X25519") {
			t.Errorf("hint: %s", keyturn.AsError(err).Hint)
		}
	}
	// Post-quantum keys, alone.
	pq, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	to, err := ParseRecipients([]string{pq.Recipient().String()})
	if err != nil {
		t.Fatal(err)
	}
	ids, err := ParseIdentities([]byte(pq.String()), nobody(t))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Read(bytes.NewReader(write(t, to, db)), ids, io.Discard)
	wantCode(t, "post-quantum", err, "")
	err = Write(io.Discard, Recipients{append(to.list, one.list...)}, manifest(db), key, bytes.NewReader(db))
	wantCode(t, "mixed", err, keyturn.Invalid)
	for _, bad := range [][]string{nil, {""}, {"age1"}, {"age1qqqq"}, {oneKey}, {"ssh-ed25519 AAAA"}, {"ecdsa-sha2-nistp256 AAAA"}, make([]string, maxRecipients+1)} {
		_, err := ParseRecipients(bad)
		wantCode(t, "recipients", err, keyturn.Invalid)
		if len(bad) == 1 && len(bad[0]) > 20 && strings.Contains(err.Error()+keyturn.AsError(err).Hint, bad[0]) {
			t.Error("a private key given as a recipient is repeated")
		}
	}
}

func mustPair(t *testing.T) Recipients {
	to, _, _ := pair(t)
	return to
}

func TestIdentities(t *testing.T) {
	t.Parallel()
	to, _, text := pair(t)
	file := write(t, to, noise(100))
	for _, bad := range []string{"", "# nothing\n", "age1qqqq", "AGE-SECRET-KEY-1QQQQ", "-----BEGIN OPENSSH PRIVATE KEY-----\n", text[:len(text)-1]} {
		_, err := ParseIdentities([]byte(bad), nobody(t))
		wantCode(t, "identities", err, keyturn.Invalid)
		if len(bad) > 30 && strings.Contains(err.Error()+keyturn.AsError(err).Hint, bad[20:]) {
			t.Error("the error repeats the key")
		}
	}
	// An identity file that is itself sealed.
	var sealed bytes.Buffer
	r, err := age.NewScryptRecipient("words of the key")
	if err != nil {
		t.Fatal(err)
	}
	r.SetWorkFactor(10)
	a := armor.NewWriter(&sealed)
	w, err := age.Encrypt(a, r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, text+"\n")
	if err := errors.Join(w.Close(), a.Close()); err != nil {
		t.Fatal(err)
	}
	ids, err := ParseIdentities(sealed.Bytes(), says("words of the key"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Read(bytes.NewReader(file), ids, io.Discard)
	wantCode(t, "a sealed identity", err, "")
	_, err = ParseIdentities(sealed.Bytes(), says("other words"))
	wantCode(t, "a sealed identity, wrong words", err, keyturn.Denied)
}

func TestPassphrase(t *testing.T) {
	t.Parallel()
	words := keyturn.NewValue([]byte("correct horse battery"))
	to, err := PassphraseRecipient(words)
	if err != nil {
		t.Fatal(err)
	}
	to.list[0].(*age.ScryptRecipient).SetWorkFactor(10)
	file := write(t, to, noise(100))
	open := func(ids Identities, err error) error {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = Read(bytes.NewReader(file), ids, io.Discard)
		return err
	}
	wantCode(t, "the passphrase", open(PassphraseIdentity(words)), "")
	wantCode(t, "a wrong one", open(PassphraseIdentity(keyturn.NewValue([]byte("correct horse")))), keyturn.Denied)
	_, ids, _ := pair(t)
	err = open(ids, nil)
	if wantCode(t, "a key", err, keyturn.Denied); !strings.Contains(keyturn.AsError(err).Hint, "--passphrase") {
		t.Errorf("hint: %s", keyturn.AsError(err).Hint)
	}
	// A file that asks for more memory than there is.
	costly := bytes.Replace(file, []byte(" 10\n"), []byte(" 30\n"), 1)
	if bytes.Equal(costly, file) {
		t.Fatal("the file's cost was not found")
	}
	id, err := PassphraseIdentity(words)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Read(bytes.NewReader(costly), id, io.Discard)
	wantCode(t, "a costly file", err, keyturn.Corrupt)
	_, err = PassphraseRecipient(keyturn.NewValue(nil))
	wantCode(t, "no passphrase", err, keyturn.Invalid)
	_, err = PassphraseIdentity(keyturn.NewValue(nil))
	wantCode(t, "no passphrase", err, keyturn.Invalid)
}
