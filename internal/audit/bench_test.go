package audit_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// BenchmarkVerifyFile verifies an exported file of records as a get makes them.
func BenchmarkVerifyFile(b *testing.B) {
	s := &store{}
	l := audit.New(s, nil)
	var records []keyturn.Record
	for i := range 10_000 {
		r := intent(keyturn.NewID(time.Unix(int64(i), 0)))
		r.Door, r.Rule, r.OpHash = "cli", "default", strings.Repeat("0", 64)
		r.Op = fmt.Appendf(nil, `{"op":"reveal-secret","ref":"kt://local/team/app%d#password"}`, i)
		o := outcome(r.ID)
		o.Version = "3"
		records = append(records, r, o)
	}
	if err := l.Append(b.Context(), records...); err != nil {
		b.Fatal(err)
	}
	text := export(b, l, audit.Range{})
	b.ResetTimer()
	for range b.N {
		if _, err := file(text, verify.Held{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(records)*b.N)/b.Elapsed().Seconds(), "records/s")
}
