package keyturn

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Op is one operation: a plain struct for each kind, found in ops.go. It says
// what is wanted and holds no value of a secret, so it can be hashed for an
// approval, recorded, sent and shown as it is.
type Op interface {
	// Kind names the operation, verb-noun: "put-secret". It never changes.
	Kind() string
	// Verb is what rules decide about.
	Verb() Verb
	// Refs are the secrets that rules decide about; none for an operation that
	// is about a mount, the log or keyturn itself.
	Refs() []Ref
}

// Composite is an operation that is carried out by children. It is decided and
// approved once, over its plan; each child must be part of that plan, is checked
// against the rules by itself, and is recorded with its parent's id.
type Composite interface {
	Op
	// Plan lists every child that may run.
	Plan() []Op
}

// MaxOp is the largest canonical form of an operation, in bytes.
const MaxOp = 1 << 20

// EncodeOp returns the canonical form of op: one JSON object with the member
// "op" for its kind, keys sorted, no white space, empty members left out. It is
// what approvals hash, so it never changes for a given kind; golden files hold
// it. Text that is not valid UTF-8 is Invalid, since JSON could not tell two such
// texts apart.
func EncodeOp(op Op) ([]byte, error) {
	if !textIsValid(reflect.ValueOf(op), 0) {
		return nil, E(Invalid, "an argument of this operation is not valid UTF-8", "names, arguments and paths must be text")
	}
	var raw bytes.Buffer
	enc := json.NewEncoder(&raw)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(op); err != nil || raw.Bytes()[0] != '{' {
		return nil, E(Internal, "the operation has no JSON form", "").Because(err)
	}
	form, _ := canonical(raw.Bytes(), member{[]byte(`"op"`), strconv.AppendQuote(nil, op.Kind())})
	if len(form) > MaxOp {
		return nil, E(Invalid, "this operation is too large", "name fewer secrets or arguments at once")
	}
	return form, nil
}

// DecodeOp reads a canonical form. Unknown kinds and members, and any form that
// is not the canonical one, are Invalid.
func DecodeOp(data []byte) (Op, error) {
	if len(data) > MaxOp {
		return nil, E(Invalid, "this operation is too large", "")
	}
	members, kind := map[string]json.RawMessage{}, ""
	err := json.Unmarshal(data, &members)
	if err == nil && members["op"] != nil {
		err = json.Unmarshal(members["op"], &kind)
	}
	if err != nil {
		return nil, E(Invalid, "this is not an operation", "").Because(err)
	}
	delete(members, "op")
	i := slices.IndexFunc(kinds, func(op Op) bool { return op.Kind() == kind })
	if i < 0 {
		return nil, E(Invalid, "unknown operation '"+Clean(kind)+"'", "")
	}
	p := reflect.New(reflect.TypeOf(kinds[i]))
	rest, err := json.Marshal(members)
	if err != nil {
		return nil, E(Invalid, "this is not an operation", "").Because(err)
	}
	dec := json.NewDecoder(bytes.NewReader(rest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(p.Interface()); err != nil {
		return nil, E(Invalid, "the operation '"+kind+"' is malformed", "").Because(err)
	}
	op := p.Elem().Interface().(Op)
	if again, err := EncodeOp(op); err != nil || !bytes.Equal(again, data) {
		return nil, E(Invalid, "the operation '"+kind+"' is not in its canonical form", "").Because(err)
	}
	return op, nil
}

// Kinds lists one empty operation of each kind, in the order of ops.go.
func Kinds() []Op { return slices.Clone(kinds) }

// OpHash is the hash of a canonical form: what an approval covers. Hashes are
// comparable.
type OpHash [sha256.Size]byte

// HashOp hashes op's canonical form under keyturn's domain.
func HashOp(op Op) (OpHash, error) {
	form, err := EncodeOp(op)
	if err != nil {
		return OpHash{}, err
	}
	return HashForm(form), nil
}

// HashForm is HashOp of the operation whose canonical form this is: what EncodeOp
// returned, or DecodeOp took.
func HashForm(form []byte) OpHash {
	return sha256.Sum256(append([]byte("keyturn operation v1\n"), form...))
}

// String returns the hash in hexadecimal.
func (h OpHash) String() string { return hex.EncodeToString(h[:]) }

// Fingerprint is the short form that a page and a terminal both show, so that a
// person sees that they mean the same operation: "7QK2-M4XD-9TPA".
func (h OpHash) Fingerprint() string {
	s := alphabet.EncodeToString(h[:8])
	return strings.ToUpper(s[:4] + "-" + s[4:8] + "-" + s[8:12])
}

// alphabet is Crockford's base 32: no i, l, o, u.
var alphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID returns an identifier that is unique without asking anyone: 48 bits of
// time, so that ids sort by age, and 80 random bits; 26 characters.
func NewID(now time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	_, _ = rand.Read(b[6:]) // never fails: crypto/rand ends the program instead
	return alphabet.EncodeToString(b[:])
}

// textIsValid walks op's strings; operations are shallow, plain structs.
func textIsValid(v reflect.Value, depth int) bool {
	if depth > 8 {
		return false
	}
	switch v.Kind() {
	case reflect.String:
		return utf8.ValidString(v.String())
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanInterface() && !textIsValid(f, depth+1) { // exported, that is
				return false
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if !textIsValid(v.Index(i), depth+1) {
				return false
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if !textIsValid(it.Key(), depth+1) || !textIsValid(it.Value(), depth+1) {
				return false
			}
		}
	}
	return true
}
