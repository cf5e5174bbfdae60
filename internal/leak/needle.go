package leak

import (
	"bytes"
	"strings"
	"sync"
	"unicode"
)

// Needle is one secret value to be redacted.
type Needle struct {
	// Value is the secret. Compile copies what it needs; the caller keeps
	// the bytes and may wipe them as soon as Compile returns.
	Value []byte

	// Label is shown in place of the value, as in [redacted:LABEL]. If it is
	// empty, or itself contains a form of any needle, the marker is [redacted].
	// Control and format characters are dropped from it.
	Label string

	// Strong has the value, and each part of it, sought only where it has MinBits: for
	// output that is shown to somebody who may guess. A weaker value is Skipped.
	Strong bool

	// Open has only the parts of the value sought: it is no secret as a whole.
	Open bool

	// Apart tells that the value is a secret that another needle's value may be a guess
	// of. Where an occurrence of it shares bytes with one of another needle, a Writer
	// shows nothing that follows: see Writer.Stopped.
	Apart bool
}

// Skipped names a needle that is not redacted, or of which a secret part is not,
// because redacting it would ruin the output. It never holds the value.
type Skipped struct {
	Index  int    // the needle's position in the slice given to Compile
	Label  string // its Label, cleaned as in a marker
	Reason Reason
}

// Reason says why a value is not redacted.
type Reason string

// The reasons for skipping a value. White space around a value does not count.
const (
	// TooShort is a value of fewer than four bytes.
	TooShort Reason = "too short"
	// TooCommon is a well-known word, a decimal number of fewer than eight
	// digits, or one character repeated.
	TooCommon Reason = "too common"
	// PartTooShort and PartTooCommon say so of a secret part, such as the
	// password in a URL, of a value that is redacted as a whole.
	PartTooShort  Reason = "in part too short"
	PartTooCommon Reason = "in part too common"
	// TooWeak is, of a Strong needle, a value of less than MinBits; PartTooWeak says so of
	// a secret part.
	TooWeak     Reason = "too easy to guess"
	PartTooWeak Reason = "in part too easy to guess"
)

// part reports whether the reason is that of a part.
func (r Reason) part() bool { return r == PartTooShort || r == PartTooCommon || r == PartTooWeak }

const (
	minValue = 4 // a shorter value is never redacted
	minPart  = 8 // a shorter part of a value (a line, a leaf) that is not known to be secret is no needle of its own
	minForm  = 4 // a shorter form is dropped; the filter's grams rely on it
	minDigit = 8 // a decimal number with fewer digits is too common
)

// weakness reports why v, a value or a part of one, must not be redacted, or
// "" if it can be.
func weakness(v []byte) Reason {
	v = bytes.TrimSpace(v)
	switch {
	case len(v) < minValue:
		return TooShort
	case len(bytes.Trim(v, string(v[:1]))) == 0 && v[0] < 0x80,
		len(v) < minDigit && len(bytes.Trim(v, "0123456789.+-")) == 0,
		len(v) <= longestCommon && commonWords()[strings.ToLower(string(v))]:
		return TooCommon
	}
	return ""
}

// longestCommon spares long values the conversion to a string, which could not
// be wiped.
const longestCommon = 16

var commonWords = sync.OnceValue(func() map[string]bool { return wordSet(commonText) })

const commonText = `
	abcd abcdef admin administrator alpha anonymous apikey application auth
	backup basic bearer beta bool build cache changeit changeme changeme123
	client cluster code config console core data database date debug default
	delete demo deny dev0 develop developer development device disable disabled
	docker dummy email enable enabled encrypted error event example example.com
	fail failed false fatal file files foobar foo.bar ftp.example.com github
	gitlab google group guest hello helloworld home host hostname http https
	info input insecure internal json kubernetes latest letmein linux list
	local localhost localhost:3000 localhost:8080 log4 login main manager
	master message method minimal mode mongodb mysql name namespace network
	nginx nobody node none normal null number object offline online open
	openid operator oracle output owner pass passphrase passw0rd password
	password1 passwd path plain port postgres postgresql private prod
	production profile project proxy public qwerty rabbitmq read readonly
	redacted redis region remote replica required role root sample secret
	secrets secure server service session sqlite sslmode stable staging standard
	start status stdin stdout stderr stop string strict success system table
	temp test test123 tester testing text time title token trace true type
	ubuntu undefined unknown update user username users value verbose version
	warn warning windows write writer
	0.0.0.0 127.0.0.1 ::1/128 us-east-1 us-east-2 us-west-1 us-west-2 eu-west-1
	eu-west-2 eu-central-1 europe-west1 us-central1 application/json
	12345678 123456789 1234567890
`

func wordSet(words string) map[string]bool {
	set := make(map[string]bool)
	for w := range strings.FieldsSeq(words) {
		set[w] = true
	}
	return set
}

// cleanLabel drops what could disturb a terminal or deceive a reader.
func cleanLabel(label string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r > unicode.MaxASCII && (unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar) {
			return -1
		}
		return r
	}, label)
}
