package state
import ("testing";"time")
func TestZZ(t *testing.T) {
	b := time.Now()
	db, err := Open(t.Context(), "/tmp/v1big", rootOf, Options{Tree: tree})
	if err != nil { t.Fatal(errText(err)) }
	t.Log(time.Since(b)); b = time.Now()
	if err := db.VerifyState(t.Context()); err != nil { t.Fatal(errText(err)) }
	t.Log("verify", time.Since(b)); b = time.Now()
	db.Close()
	t.Log("close", time.Since(b)); b = time.Now()
	db = reopen(t, "/tmp/v1big", Options{})
	t.Log("open", time.Since(b)); b = time.Now()
	if err := db.Rekey(t.Context(), nil); err != nil { t.Fatal(errText(err)) }
	t.Log("rekey", time.Since(b))
}
