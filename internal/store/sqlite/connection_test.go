package sqlite

import (
	"context"
	"errors"
	"testing"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// TestReaderThatBreaks has reads fail so that nobody knows what their connection
// is in: the next read has another, and nothing is left open.
func TestReaderThatBreaks(t *testing.T) {
	s := create(t)
	write(t, s, "a", "b", "c")
	for range 2 * maxReaders {
		if err := s.readers.transaction(t.Context(), func(t *transaction) error { return t.exec("COMMIT") }); err == nil {
			t.Fatal("a transaction that had ended was rolled back")
		}
		if err := s.readers.point(t.Context(), "SELECT * FROM nothing", nil); err == nil {
			t.Fatal("there is a table called nothing")
		}
		if h, err := s.Head(t.Context()); err != nil || h.Size == 0 {
			t.Fatalf("%d entries, %v", h.Size, err)
		}
	}
	if n := s.readers.db.Stats().OpenConnections; n > 1 {
		t.Errorf("%d readers are open", n)
	}
}

// TestReaderGivesUp cancels a read in its middle; the connection is whole.
func TestReaderGivesUp(t *testing.T) {
	s := create(t)
	write(t, s, "a", "b", "c")
	for range 2 * maxReaders {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.Read(ctx, func(v store.View) error {
			cancel()
			_, err := v.Find(document.KindTeam, "name", "a")
			return err
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("a cancelled read ends with %v", err)
		}
	}
	if err := s.Read(t.Context(), func(v store.View) error {
		list, err := v.Find(document.KindTeam, "name", "a")
		if len(list) != 1 {
			t.Errorf("%d teams", len(list))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
