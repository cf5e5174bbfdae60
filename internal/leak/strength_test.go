package leak

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"
)

// TestStrength: what a generator makes has the bits that it takes to be sought for an
// agent, and what people choose has not.
func TestStrength(t *testing.T) {
	random := func(alphabet string, n int) string {
		var b strings.Builder
		for range n {
			i, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
			if err != nil {
				t.Fatal(err)
			}
			b.WriteByte(alphabet[i.Int64()])
		}
		return b.String()
	}
	const lower, digit = "abcdefghijklmnopqrstuvwxyz", "0123456789"
	letters := lower + strings.ToUpper(lower)
	bytes := func(n int) []byte {
		b := make([]byte, n)
		_, _ = rand.Read(b)
		return b
	}
	for what, make := range map[string]func() string{
		"22 letters and digits":       func() string { return random(letters+digit, 22) },
		"28 small letters and digits": func() string { return random(lower+digit, 28) },
		"32 hex digits":               func() string { return hex.EncodeToString(bytes(16)) },
		"16 bytes in base64":          func() string { return base64.RawStdEncoding.EncodeToString(bytes(16)) },
		"32 bytes":                    func() string { return string(bytes(32)) },
		"a token with a prefix":       func() string { return "ghp_" + random(letters+digit, 36) },
		"a key with a prefix":         func() string { return "sk_live_" + random(letters+digit, 24) },
		"a uuid": func() string {
			h := hex.EncodeToString(bytes(16))
			return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
		},
		"24 printable characters": func() string { return random(letters+digit+"!#$%&*+-_.:;", 24) },
	} {
		least := 1e9
		for range 2000 {
			v := make()
			bits := Bits([]byte(v))
			least = min(least, bits)
			if bits < MinBits {
				t.Errorf("%s: %q has %.1f bits", what, v, bits)
				break
			}
		}
		t.Logf("%s: %.1f bits at least", what, least)
	}
	for _, v := range []string{"", "x", "sunshine0042", "12345678", "87654321", "19841224", "24121984", "CorrectHorse1", "Tr0ub4dor&3",
		"P@ssw0rd2024!", "correct-horse-battery", "correct horse battery staple", "CorrectHorseBatteryStaple", "hunter2hunter2hunter2hunter2",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "1qaz2wsx3edc4rfv", "00000000000000000000000000000000",
		"abcabcabcabcabcabcabcabcabcabc", "4111111111111111", "+1-202-555-0175", "anna@example.com", "summer2024winter2025", "Administrator123!",
		"deadbeefdeadbeefdeadbeefdeadbeef",
		"company-prod-db-password-4821", "DE89370400440532013000", "DE89 3704 0044 0532 0130 00", "FR1420041010050500013M02606", "+4915112345678900000",
		"anna.mueller@example.com-1990", "deploy-bot@my-project-123456.iam.gserviceaccount.com", "deploy-bot@my-project-846231.iam.gserviceaccount.com",
		random(digit, 16), random(letters+digit, 8), random(lower, 12)} {
		if bits := Bits([]byte(v)); bits >= MinBits {
			t.Errorf("%q has %.1f bits", v, bits)
		} else {
			t.Logf("%q: %.1f", v, bits)
		}
	}
}
