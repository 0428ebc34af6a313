package sqlite

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// TestMain lowers the number of random histories: each makes a database with
// real syncs. -rapid.checks on the command line raises it again.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "20"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

var quiet = slog.New(slog.DiscardHandler)

func create(t testing.TB) *Store {
	t.Helper()
	s, err := Create(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func reopen(t testing.TB, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	n, err := Open(t.Context(), s.path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// team is a small document to write.
func team(n int, name string) *document.Team {
	return &document.Team{Base: document.Base{Schema: 1, ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", n)}, Name: name}
}

// put appends one entry that changes the documents.
func put(b store.Batch, now time.Time, docs ...document.Doc) (int64, error) {
	d := store.Draft{Body: ledger.Body{
		Action: "test.put", Outcome: ledger.OK, Via: ledger.ViaAPI, Actor: ledger.Actor{Kind: ledger.SystemActor},
		Target: ledger.Target{Kind: "test"},
	}}
	for _, doc := range docs {
		rev, _, err := b.Rev(doc.Kind(), doc.Ident())
		if err != nil {
			return 0, err
		}
		raw, err := document.Encode(doc)
		if err != nil {
			return 0, err
		}
		d.Scope = doc.Within()
		d.Body.Changes = append(d.Body.Changes, ledger.Change{Kind: string(doc.Kind()), ID: doc.Ident(), Rev: rev + 1, Doc: raw})
		d.Docs = append(d.Docs, doc)
	}
	return b.Append(now, d)
}

var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// write appends an entry for each name, all in one batch.
func write(t testing.TB, s *Store, names ...string) {
	t.Helper()
	if err := tryWrite(s, names...); err != nil {
		t.Fatal(err)
	}
}

func tryWrite(s *Store, names ...string) error {
	return s.Write(func(b store.Batch) error {
		for i, name := range names {
			if _, err := put(b, epoch.Add(time.Duration(b.Size())*time.Second), team(i, name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// alter changes the database file behind the store's back.
func alter(t testing.TB, s *Store, statement string, args ...any) {
	t.Helper()
	if _, err := s.writer.Exec(statement, args...); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
