package simulation

import (
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/installation"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// TestMark: the installation is simulated from its first entry on, and what else
// changes of it leaves that alone.
func TestMark(t *testing.T) {
	s, err := newSite(t.Context(), Config{Dir: t.TempDir(), Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	marked := func() bool {
		t.Helper()
		var in *document.Installation
		if err := s.Store.Read(t.Context(), func(v store.View) (err error) {
			in, err = store.One[*document.Installation](v, "all", "")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return in.Simulated
	}
	if !marked() {
		t.Error("it is not marked")
	}
	if _, err := s.Kernel.Execute(t.Context(), &installation.RecordBuildKey{PEM: "another"}, platform); err != nil {
		t.Fatal(err)
	}
	if !marked() {
		t.Error("a new build key took the mark away")
	}
	again := &installation.Create{ID: s.Installation.ID, Name: "real", LogKey: "x", Email: "root@example.org"}
	if _, err := s.Kernel.Execute(t.Context(), again, platform); fault.Of(err) != fault.Conflict || !marked() {
		t.Errorf("made again: %v", err)
	}
}

// TestBounds: what cannot be lived is refused before anything is made.
func TestBounds(t *testing.T) {
	for _, cfg := range []Config{
		{Entries: MinEntries, Step: time.Minute},
		{Entries: MinEntries, Step: 5 * time.Hour},
		{Entries: MinEntries, Step: 24 * time.Hour},
		{Entries: MinEntries - 1, Step: time.Hour},
	} {
		if _, err := Live(t.Context(), cfg); fault.Of(err) != fault.Invalid {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
