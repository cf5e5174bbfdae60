package journal_test

import (
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/journal/journaltest"
)

// TestRefusals: refusals are recorded one by one up to a bound, then a record a minute
// stands for all that there were; in the end every one of them is told. One kind of caller
// takes nothing from another, and the clock may go back.
func TestRefusals(t *testing.T) {
	s := journaltest.New(start)
	of := func() journal.Refusals { return journal.New(s, s.Now).Refusals } // as another process has it
	var mu sync.Mutex
	made, told, records := 0, 0, 0
	add := func(n int) {
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				stands, err := of().Add(t.Context(), keyturn.Actor{Kind: keyturn.Agent, Name: "a"})
				mu.Lock()
				defer mu.Unlock()
				if made++; err != nil || stands < 0 {
					t.Error(stands, err)
				}
				if told += stands; stands > 0 {
					records++
				}
			})
		}
		wg.Wait()
	}
	add(journal.MaxRefusals)
	if told != made || records != made {
		t.Fatalf("of %d the records %d stand for %d", made, records, told)
	}
	for range 30 { // half a minute each
		add(200)
		s.Add(30 * time.Second)
	}
	if more := records - journal.MaxRefusals; more < 15 || more > 16 {
		t.Errorf("%d records in 15 minutes", more)
	}
	if stands, err := of().Add(t.Context(), keyturn.Actor{Kind: keyturn.Agent, Name: "b"}); stands != 1 || err != nil {
		t.Errorf("another agent: %d, %v", stands, err)
	}
	s.Add(-10 * time.Minute)
	add(10)
	s.Add(time.Hour)
	due, err := of().Due(t.Context())
	if err != nil || len(due) > 1 {
		t.Fatal(due, err)
	}
	for _, u := range due {
		if told += u.Count; u.Kind != keyturn.Agent {
			t.Error(u)
		}
	}
	if again, err := of().Due(t.Context()); err != nil || len(again) > 0 {
		t.Error(again, err)
	}
	if told != made {
		t.Errorf("%d were refused, and %d are told", made, told)
	}
	before := records
	add(5)
	if records != before+5 {
		t.Errorf("the next hour has %d records for 5", records-before)
	}
}
