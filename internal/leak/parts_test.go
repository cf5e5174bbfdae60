package leak

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWeakParts: a secret part that cannot be redacted is told; what is no secret
// part is not, however weak.
func TestWeakParts(t *testing.T) {
	for value, want := range map[string]Reason{
		"postgres://app:app@db.internal/app":            PartTooShort,
		"postgres://app:postgres@db.internal/app":       PartTooCommon,
		"mysql://root:1234@db/app":                      PartTooCommon,
		"app:pw@tcp(db:3306)/shop":                      PartTooShort,
		"https://abc@git.example/x":                     PartTooShort,
		`{"user":"app","password":"abc"}`:               PartTooShort,
		`{"db":{"pin":1234}}`:                           PartTooCommon,
		"Server=db;User Id=sa;Password=x1;Encrypt=true": PartTooShort,
		"host=db user=app password=secret":              PartTooCommon,
		"https://api.example/v1?token=abc":              PartTooShort,
		"A=1\nDB_PASSWORD=admin\n":                      PartTooCommon,
		"a: b\npassword: abc\n":                         PartTooShort,
		"Bearer abc":                                    PartTooShort,
		"YWRtaW46YWRtaW4=":                              PartTooCommon, // admin:admin
		"admin:admin":                                   PartTooCommon,
		`{"auths":{"r":{"auth":"dTpw"}}}`:               "",
	} {
		_, skipped, err := Compile([]Needle{{Value: []byte("first-value-1")}, {Value: []byte(value), Label: "l"}})
		if err != nil {
			t.Fatal(err)
		}
		var wanted []Skipped
		if want != "" {
			wanted = []Skipped{{1, "l", want}}
		}
		if diff := cmp.Diff(wanted, skipped); diff != "" {
			t.Errorf("%q: %s", value, diff)
		}
	}
	for _, value := range []string{
		"postgres://app:pw12345@db:5432/app?sslmode=disable&user=app",
		"postgres://app@db:5432/app", "ssh://git@host/x", "redis://cache:6379/0", "mongodb://app:pw-12345@a:27017,b:27017/db?replicaSet=rs0",
		`{"engine":"postgres","port":5432,"username":"app","dbname":"app","ssl":true,"password":"leaf-pass-1"}`,
		`[{"key":"env","value":"prod"}]`, `{"auth":true,"token":null,"password":""}`,
		"host=db port=5432 user=app dbname=app sslmode=disable password=pw12345",
		"Server=db;Port=1433;User Id=sa;Password=pw12345;Encrypt=true",
		"APP_ENV=dev\nAUTH=true\nPASSWORD_MIN_LENGTH=8\nTOKEN_TTL=3600\nPUBLIC_KEY=abc\nUSE_TOKEN=no\n",
		"localhost:5432", "nginx:1.25", "redis:6379", "https://hooks.example/x", "C:\\data", "fe80::1:2", "10:30",
	} {
		if _, skipped, err := Compile([]Needle{{Value: []byte(value)}}); err != nil || len(skipped) > 0 {
			t.Errorf("%q: %v, %v", value, skipped, err)
		}
	}
}

// TestOrdinary: what programs print passes, with a hundred values loaded.
func TestOrdinary(t *testing.T) {
	m, _, err := Compile(randomNeedles(100))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, 8))
	random := make([]byte, 4<<10)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	var ids, escaped, numbers strings.Builder
	for i := range 200 {
		fmt.Fprintf(&ids, "%08x-%04x-4%03x-8%03x-%012x %064x\n", rng.Uint32(), rng.Uint32()&0xffff, rng.Uint32()&0xfff, rng.Uint32()&0xfff, rng.Uint64()&(1<<48-1), rng.Uint64())
		fmt.Fprintf(&escaped, `{"id":%d,"msg":"say \"hi\" to caf\u00e9 \\ \n","url":"http:\/\/x?a=%%20b&amp;c=d","n":"=3D &lt;%d&gt; \x41"}`+"\n", i, i)
		fmt.Fprintf(&numbers, "[%d, %d, %d] 10:2%d:33 2026-12-0%d %d.%d.0.1 0x%x\n", rng.IntN(256), rng.IntN(256), rng.IntN(256), i%10, i%10, i%250, i%7, rng.Uint64())
	}
	for name, text := range map[string]string{
		"log": string(logText(64 << 10)), "ids": ids.String(), "escapes": escaped.String(), "numbers": numbers.String(),
		"hex.Dump": hex.Dump(random), "xxd": xxd(string(random), 2), "od -c": odC(string(random)), "base64": wrap(b64(string(random)), "\n", 76),
		"code":   "func main() {\n\tfmt.Printf(\"%s\\n\", os.Args[1]) // > quoted\n\t# comment\n}\n",
		"quotes": "> first\n> second\n# third  \n\n   end\t\n", "screen": "\x1b[2J\x1b[1;1Htop\x1b[K\r\n\x1b[31mred\x1b[0m\b\b \b",
	} {
		for _, size := range []int{1, 100, 5000} {
			if got := string(stream(t, m, []byte(text), size)); got != text {
				t.Errorf("%s in writes of %d: changed", name, size)
			}
		}
	}
}

// TestHostileComposites: values that nest, repeat and nearly parse cost little.
func TestHostileComposites(t *testing.T) {
	for _, value := range []string{
		strings.Repeat("a=b;", 4000), strings.Repeat("x:", 8000), strings.Repeat("'=\"", 5000), strings.Repeat("://@", 4000), strings.Repeat("[{", 4000),
		strings.Repeat("password=", 1500), strings.Repeat("%25", 5000), "https://h" + strings.Repeat("/hook", 3000), strings.Repeat("&#x", 4000), strings.Repeat("QUFB", 4000),
	} {
		m, _, err := Compile([]Needle{{Value: []byte(value)}})
		if err != nil {
			t.Fatalf("%.20q: %v", value, err)
		}
		if got := string(m.Redact([]byte("-" + value))); strings.Contains(got, value[:100]) {
			t.Errorf("%.20q is left", value)
		}
	}
}
