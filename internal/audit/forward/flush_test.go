package forward

import (
	"context"
	"iter"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn"
)

// counting is a place that has everything already.
type counting struct {
	last    keyturn.LogEntry
	flushed int
}

func (c *counting) at() (keyturn.LogEntry, bool, error)          { return c.last, true, nil }
func (c *counting) send(context.Context, keyturn.LogEntry) error { return nil }
func (c *counting) flush() error                                 { c.flushed++; return nil }
func (c *counting) reset()                                       {}

// Where another process was faster it may not have come to the disk yet: a required
// place is made sure of all the same.
func TestFlushedThoughSentByAnother(t *testing.T) {
	row := keyturn.LogEntry{Seq: 1, Leaf: [32]byte{1}}
	rows := func(_ context.Context, from int64) iter.Seq2[keyturn.LogEntry, error] {
		return func(yield func(keyturn.LogEntry, error) bool) {
			if from == 1 {
				yield(row, nil)
			}
		}
	}
	place := &counting{last: row}
	s := New(t.TempDir(), []Target{{File: filepath.Join(t.TempDir(), "a"), Required: true}}, nil)
	defer s.Close()
	s.places[0].sink = place
	if err := s.Forward(t.Context(), rows, 1); err != nil || place.flushed != 1 {
		t.Errorf("flushed %d times, %v", place.flushed, err)
	}
}
