package rows

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/codec"
	"github.com/keyturn/keyturn/internal/state/seal"
)

// Secret is the row of a secret.
type Secret struct {
	ID   int64
	Name string
	// Life is a random id that a secret gets when it is made, so that a row of a
	// secret that was destroyed does not fit the next one of the same name.
	Life   string
	Newest int
	Last   time.Time // when the newest version was made
	Revs   map[int]int
	Rev    int       // the largest of Revs
	Tag    [4]uint64 // of the row, where it was read
}

// Version is the row of a version.
type Version struct {
	Number int
	Rev    int // 0 as made; must be what the secret's row says
	Info   keyturn.Info
}

// States are those of a version, by their number.
var States = []keyturn.State{keyturn.Live, keyturn.Deleted, keyturn.Destroyed}

// no are the truth values by their number.
var no = []bool{false, true}

// The place of a version, and of a field of it.
func (s *Secret) place(what string, number int, more ...string) []string {
	return append([]string{what, s.Life, s.Name, strconv.Itoa(number)}, more...)
}

// SealHead makes the row of a secret, which stands under mac.
func (k Keys) SealHead(mac []byte, s *Secret) []byte {
	e := make(codec.Encoder, 0, 128)
	e.Text(s.Name)
	e.Text(s.Life)
	e.Num(s.Newest)
	e.Time(s.Last)
	e.Num(s.Rev)
	e.Num(len(s.Revs))
	for _, n := range slices.Sorted(maps.Keys(s.Revs)) {
		e.Num(n)
		e.Num(s.Revs[n])
	}
	return k.Seal(seal.Head, e, "secret", string(mac))
}

// OpenHead reads a secret's row that was found under mac.
func (k Keys) OpenHead(id int64, mac []byte, newest int, sealed []byte) (*Secret, error) {
	plain, err := k.Open(seal.Head, sealed, "secret", string(mac))
	if err != nil {
		return nil, Damage("the row of a secret cannot be read")
	}
	d := codec.Decoder{Rest: plain}
	s := &Secret{ID: id, Name: d.Text(), Life: d.Text(), Newest: d.Num(), Last: d.Time(), Rev: d.Num()}
	if n := d.Count(); n > 0 {
		s.Revs = make(map[int]int, n)
		for range n {
			number := d.Num()
			s.Revs[number] = d.Num()
		}
	}
	if !d.Done() || s.Newest != newest || s.Newest < 1 {
		return nil, Damage("the row of a secret does not fit its versions")
	}
	return s, nil
}

// SealInfo makes the row of a version.
func (k Keys) SealInfo(s *Secret, v *Version) []byte {
	e := make(codec.Encoder, 0, 256)
	e.Num(v.Rev)
	e.Num(slices.Index(States, v.Info.State))
	e.Time(v.Info.Created)
	e.Time(v.Info.Expires)
	e.Texts(v.Info.Fields)
	e.Texts(v.Info.Public)
	e.Num(len(v.Info.Labels))
	for _, label := range slices.Sorted(maps.Keys(v.Info.Labels)) {
		e.Text(label)
		e.Text(v.Info.Labels[label])
	}
	if len(v.Info.Given) > 0 { // versions of before it was kept end here
		e.Num(len(v.Info.Given))
		for _, field := range slices.Sorted(maps.Keys(v.Info.Given)) {
			e.Text(field)
			e.Num(slices.Index(no, v.Info.Given[field]))
		}
	}
	return k.Seal(seal.Info, e, s.place("version", v.Number)...)
}

// OpenInfo reads the row of a version; sealed is nil where the row is missing.
// Plain is what DecodeInfo reads; it has been checked.
func (k Keys) OpenInfo(s *Secret, number int, sealed []byte) (plain []byte, err error) {
	if sealed == nil {
		return nil, Damage("a version of a secret is missing")
	}
	plain, err = k.Open(seal.Info, sealed, s.place("version", number)...)
	if err != nil {
		return nil, Damage("a version of a secret cannot be read")
	}
	d := codec.Decoder{Rest: plain}
	if d.Num() != s.Revs[number] || d.Bad {
		return nil, Damage("a version of a secret was replaced by an older copy")
	}
	return plain, nil
}

// DecodeInfo reads what OpenInfo has opened.
func DecodeInfo(name string, number int, plain []byte) (*Version, error) {
	d := codec.Decoder{Rest: plain}
	v := &Version{Number: number, Rev: d.Num(), Info: keyturn.Info{Path: name, Version: strconv.Itoa(number)}}
	state := d.Num()
	v.Info.Created, v.Info.Expires = d.Time(), d.Time()
	v.Info.Fields, v.Info.Public = d.Texts(), d.Texts()
	if n := d.Count(); n > 0 {
		v.Info.Labels = make(map[string]string, n)
		for range n {
			label := d.Text()
			v.Info.Labels[label] = d.Text()
		}
	}
	if len(d.Rest) > 0 {
		n := d.Count()
		v.Info.Given = make(map[string]bool, n)
		for range n {
			field := d.Text()
			v.Info.Given[field] = d.Num() == 1
		}
	}
	if !d.Done() || state >= len(States) {
		return nil, Damage("a version of a secret cannot be read")
	}
	v.Info.State = States[state]
	return v, nil
}

// OpenVersion reads the row of a version, and checks that its key and values are
// there, or gone where it is destroyed.
func (k Keys) OpenVersion(s *Secret, number int, sealed []byte, gone bool) (*Version, error) {
	plain, err := k.OpenInfo(s, number, sealed)
	if err != nil {
		return nil, err
	}
	v, err := DecodeInfo(s.Name, number, plain)
	if err == nil && gone != (v.Info.State == keyturn.Destroyed) {
		err = Damage("a version of a secret does not fit its key")
	}
	return v, err
}

// OpenValues decrypts the values of a version.
func (k Keys) OpenValues(s *Secret, v *Version, key, data []byte) (map[string]keyturn.Value, error) {
	bad := func() (map[string]keyturn.Value, error) {
		return nil, Damage("the values of a secret cannot be read")
	}
	plainKey, err := k.Open(seal.Data, key, s.place("key", v.Number)...)
	if err != nil {
		return bad()
	}
	aead, err := seal.NewAEAD(plainKey)
	if err != nil {
		return bad()
	}
	d := codec.Decoder{Rest: data}
	out := make(map[string]keyturn.Value, len(v.Info.Fields))
	for _, f := range v.Info.Fields {
		plain, err := aead.Open(nil, nil, d.Bytes(), k.Place(s.place("field", v.Number, f)...))
		if err != nil {
			return bad()
		}
		out[f] = keyturn.NewValue(plain)
	}
	if !d.Done() {
		return bad()
	}
	return out, nil
}

// SealValues encrypts values under a data key of their own; it returns that key,
// wrapped, and the ciphertexts in the order of fields.
func (k Keys) SealValues(s *Secret, number int, fields []string, values map[string]keyturn.Value) (key, data []byte, err error) {
	plainKey := seal.Random(seal.KeySize)
	aead, err := seal.NewAEAD(plainKey)
	if err != nil {
		return nil, nil, err
	}
	e := make(codec.Encoder, 0, 256)
	for _, f := range fields {
		e.Bytes(aead.Seal(nil, nil, values[f].Reveal(), k.Place(s.place("field", number, f)...)))
	}
	return k.Seal(seal.Data, plainKey, s.place("key", number)...), e, nil
}

// Revise gives a version the next revision.
func (s *Secret) Revise(v *Version) {
	if s.Revs == nil {
		s.Revs = map[int]int{}
	}
	s.Rev++
	v.Rev = s.Rev
	s.Revs[v.Number] = s.Rev
}
