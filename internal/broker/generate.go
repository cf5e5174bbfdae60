package broker

import (
	"crypto/rand"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/keyturn/keyturn"
)

// maxGenerated is how many fields one put may have generated.
const maxGenerated = 100

const (
	generatedLength    = 32
	maxGeneratedLength = 4096
)

// charsets are the sets that values can be generated of. Letters that are easily
// mistaken stay in: values are not for reading.
var charsets = map[string]string{
	"alnum":     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
	"alpha":     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
	"lower":     "abcdefghijklmnopqrstuvwxyz",
	"upper":     "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
	"digits":    "0123456789",
	"hex":       "0123456789abcdef",
	"base64url": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
	"symbols":   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,-./:;<=>?@[]^_{|}~",
}

// checkGenerated refuses too many fields, fields that are not sorted or are there
// twice, and everything that checkGenerate refuses. Its errors are Invalid.
func checkGenerated(all []keyturn.Generate) error {
	if len(all) > maxGenerated {
		return keyturn.E(keyturn.Invalid, fmt.Sprintf("at most %d fields are generated at once", maxGenerated), "use several puts with --merge")
	}
	for i, g := range all {
		if i > 0 && g.Field < all[i-1].Field {
			return keyturn.E(keyturn.Invalid, "generated fields must be sorted", "")
		}
		if i > 0 && g.Field == all[i-1].Field {
			return keyturn.E(keyturn.Invalid, "the field '"+keyturn.Clean(g.Field)+"' is generated twice", "")
		}
		if err := checkGenerate(g); err != nil {
			return err
		}
	}
	return nil
}

// checkGenerate refuses a value that cannot be generated: one without a field, of an
// unknown character set, or of a length that is out of bounds. Its errors are Invalid.
func checkGenerate(g keyturn.Generate) error {
	if g.Field == "" {
		return keyturn.E(keyturn.Invalid, "a generated field needs a name", "write --generate FIELD[:LENGTH[:CHARSET]]")
	}
	if g.Charset == "uuid" {
		if g.Length != 0 {
			return keyturn.E(keyturn.Invalid, "a UUID has no length to choose", "write --generate FIELD:uuid")
		}
		return nil
	}
	if _, ok := charsets[g.Charset]; !ok && g.Charset != "" {
		return keyturn.E(keyturn.Invalid, "no character set '"+keyturn.Clean(g.Charset)+"'",
			fmt.Sprintf("there are %v and uuid", slices.Sorted(maps.Keys(charsets))))
	}
	if g.Length < 0 || g.Length > maxGeneratedLength {
		return keyturn.E(keyturn.Invalid, fmt.Sprintf("a generated value has 1 to %d characters", maxGeneratedLength), "")
	}
	return nil
}

// generate makes a value of independent, evenly drawn characters, or a random UUID
// (RFC 9562, version 4). It fails where checkGenerate does.
func generate(g keyturn.Generate) (keyturn.Value, error) {
	if err := checkGenerate(g); err != nil {
		return keyturn.Value{}, err
	}
	if g.Charset == "uuid" {
		var u [16]byte
		_, _ = rand.Read(u[:])
		u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
		return keyturn.NewValue(fmt.Appendf(nil, "%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])), nil
	}
	set, n := charsets[g.Charset], g.Length
	if set == "" {
		set = charsets["alnum"]
	}
	if n == 0 {
		n = generatedLength
	}
	out := make([]byte, n)
	for i := range out {
		k, err := rand.Int(rand.Reader, big.NewInt(int64(len(set))))
		if err != nil {
			return keyturn.Value{}, keyturn.E(keyturn.Internal, "the system gives no random numbers", "").Because(err)
		}
		out[i] = set[k.Int64()]
	}
	return keyturn.NewValue(out), nil
}
