package evidence_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/fault"
)

// slow is a client that reads nothing until it may.
type slow struct {
	begun func()
	may   chan struct{}
}

func (w *slow) Write(p []byte) (int, error) {
	w.begun()
	<-w.may
	return len(p), nil
}

// TestManyExports: of a hundred at once a few are made and the others are told
// so, with nothing on record. Afterwards there is room again.
func TestManyExports(t *testing.T) {
	l := newLab(t)
	l.Set(at(2 * time.Hour))
	q := evidence.Request{Space: "ward", From: at(-time.Hour), To: at(time.Hour)}
	may := make(chan struct{})
	var begun, done sync.WaitGroup
	before := l.Size()
	const room = 4
	begun.Add(room)
	for range room {
		done.Go(func() {
			w := &slow{begun: sync.OnceFunc(begun.Done), may: may}
			if err := l.exporter.Export(t.Context(), l.As("auditor"), q, func(string) io.Writer { return w }); err != nil {
				t.Errorf("there is room for %d: %v", room, err)
			}
		})
	}
	begun.Wait()
	recorded := l.Size()
	for range 100 - room {
		err := l.exporter.Export(t.Context(), l.As("auditor"), q, func(string) io.Writer { t.Error("a pack was begun"); return io.Discard })
		if fault.Of(err) != fault.TooMany || !strings.Contains(fault.Message(err), "Ask again") {
			t.Fatalf("%v", err)
		}
	}
	if recorded != before+room || l.Size() != recorded {
		t.Errorf("%d entries of %d exports, %d after the others", recorded-before, room, l.Size()-before)
	}
	close(may)
	done.Wait()
	l.export(evidence.Request{From: q.From, To: q.To})
}

// TestNothingIsLeft of the reports on disk, also when a client goes away.
func TestNothingIsLeft(t *testing.T) {
	l := newLab(t)
	l.Set(at(2 * time.Hour))
	q := evidence.Request{From: at(-time.Hour), To: at(time.Hour)}
	l.export(q)
	q.Space = "ward"
	for range 2 {
		if err := l.exporter.Export(t.Context(), l.As("auditor"), q, func(string) io.Writer {
			list, err := os.ReadDir(l.waiting)
			if err != nil || len(list) != 0 {
				t.Errorf("there are %d files with names, %v", len(list), err)
			}
			return &brokenPipe{5000}
		}); err == nil {
			t.Error("half a pack was taken for whole")
		}
	}
	if list, err := os.ReadDir(l.waiting); err != nil || len(list) != 0 {
		t.Errorf("%d files are left, %v", len(list), err)
	}
}

// TestNoRoom: where there is no place for reports, no pack is begun.
func TestNoRoom(t *testing.T) {
	l := newLab(t)
	l.Set(at(2 * time.Hour))
	if err := os.RemoveAll(l.waiting); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.waiting, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := l.exporter.Export(t.Context(), l.As("auditor"), evidence.Request{Space: "ward", From: at(-time.Hour), To: at(time.Hour)}, func(string) io.Writer {
		return errWriter{t}
	})
	if err == nil {
		t.Error("a pack without a place for its reports")
	}
}

type errWriter struct{ t *testing.T }

func (w errWriter) Write([]byte) (int, error) {
	w.t.Error("a pack was begun")
	return 0, errors.New("no")
}
