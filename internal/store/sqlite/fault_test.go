package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// full is a batch that touches every table.
func full(s *Store, name string) error {
	return s.Write(func(b store.Batch) error {
		for i := range 3 {
			if _, err := put(b, epoch.Add(time.Hour), team(i, name)); err != nil {
				return err
			}
		}
		_, err := b.Append(epoch.Add(time.Hour), store.Draft{
			Body: ledger.Body{
				Action: "test.beside", Outcome: ledger.OK, Via: ledger.ViaAPI, Actor: ledger.Actor{Kind: ledger.SystemActor},
				Target: ledger.Target{Kind: "test", ID: name}, // a new word
			},
			Sealed: []secret.Sealed{{ID: name, Key: "k", Ciphertext: []byte{1}}},
			Keys:   []secret.WrappedKey{{ID: name, Scope: name, Wrapped: []byte{1}}},
			Jobs:   []store.Job{{Kind: "test", Ref: name}},
		})
		return err
	})
}

// TestFaultAtEveryStatement fails each statement of a batch in turn, and its
// commit: nothing of the batch may remain, and the next one must go through
// without a restart.
func TestFaultAtEveryStatement(t *testing.T) {
	s := create(t)
	write(t, s, "a", "b", "c")
	if err := full(s, "first"); err != nil { // the words that all have in common
		t.Fatal(err)
	}
	var statements []string
	s.fail = func(statement string) error { statements = append(statements, statement); return nil }
	if err := full(s, "counted"); err != nil {
		t.Fatal(err)
	}
	if len(statements) < 15 {
		t.Fatalf("a batch has only %d statements: %v", len(statements), statements)
	}
	broken := errors.New("broken")
	for n, statement := range statements {
		t.Run(fmt.Sprintf("%d %s", n, statement), func(t *testing.T) {
			before, err := s.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			at := 0
			s.fail = func(string) error {
				if at++; at == n+1 {
					return broken
				}
				return nil
			}
			if err := full(s, fmt.Sprintf("failed-%d", n)); !errors.Is(err, broken) {
				t.Fatalf("the batch was acknowledged: %v", err)
			}
			s.fail = nil
			if after, _ := s.Head(t.Context()); after != before {
				t.Fatalf("the head moved from %v to %v", before, after)
			}
			if err := full(s, fmt.Sprintf("good-%d", n)); err != nil {
				t.Fatalf("the next batch: %v", err)
			}
			if err := s.Verify(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestErrorOfTheCaller fails inside the batch's function after some appends,
// as a cancelled request would.
func TestErrorOfTheCaller(t *testing.T) {
	s := create(t)
	write(t, s, "a")
	broken := errors.New("cancelled")
	err := s.Write(func(b store.Batch) error {
		if _, err := put(b, epoch, team(1, "b")); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	// An error of Append dooms the batch even if the caller goes on.
	err = s.Write(func(b store.Batch) error {
		d := store.Draft{Body: ledger.Body{Action: "test.bad", Changes: []ledger.Change{{Kind: "team", ID: "x", Rev: 7, Doc: []byte(`{}`)}}}}
		if _, err := b.Append(epoch, d); err == nil {
			t.Error("an entry with a change and no document was taken")
		}
		return nil
	})
	if err == nil {
		t.Error("a doomed batch was acknowledged")
	}
	if h, _ := s.Head(t.Context()); h.Size != 1 {
		t.Errorf("the ledger has %d entries, want 1", h.Size)
	}
	write(t, s, "c")
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestDiskFull fills the database to SQLite's own bound at many points, so that
// the failure comes from inside different statements.
func TestDiskFull(t *testing.T) {
	s := create(t)
	write(t, s, "a")
	refused := 0
	for i := range 60 {
		var pages int
		if err := s.writer.QueryRow(`PRAGMA page_count`).Scan(&pages); err != nil {
			t.Fatal(err)
		}
		alter(t, s, fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+i%4))
		before, _ := s.Head(t.Context())
		big := strings.Repeat("x", 300*(i%7+1))
		err := tryWrite(s, big, big+"1", big+"2")
		after, _ := s.Head(t.Context())
		if err != nil {
			refused++
			if after != before {
				t.Fatalf("round %d: refused and yet the head moved from %d to %d", i, before.Size, after.Size)
			}
			alter(t, s, `PRAGMA max_page_count = 1073741823`)
			// Room again: the same batch goes through on the same store.
			if err := tryWrite(s, big, big+"1", big+"2"); err != nil {
				t.Fatalf("round %d, with room again: %v", i, err)
			}
		}
	}
	if refused == 0 {
		t.Fatal("the disk was never full")
	}
	alter(t, s, `PRAGMA max_page_count = 1073741823`)
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestDamage alters the database in each way that it can be, and wants the
// verifier to name the entry.
func TestDamage(t *testing.T) {
	tests := []struct {
		name   string
		damage func(t *testing.T, s *Store)
		seq    int64
		says   string
	}{
		{"body altered", func(t *testing.T, s *Store) {
			alter(t, s, `UPDATE entries SET body = replace(body, 'test.put', 'test.pot') WHERE seq = 3`)
		}, 3, "body or salt"},
		{"salt altered", func(t *testing.T, s *Store) {
			alter(t, s, `UPDATE entries SET salt = zeroblob(16) WHERE seq = 4`)
		}, 4, "body or salt"},
		{"body and its hash altered", func(t *testing.T, s *Store) {
			r, err := s.Entry(t.Context(), 2)
			if err != nil {
				t.Fatal(err)
			}
			body := []byte(strings.Replace(string(r.Body), "test.put", "test.pot", 1))
			hash := ledger.BodyHash(r.Salt, body)
			alter(t, s, `UPDATE entries SET body = ?, hash = ? WHERE seq = 2`, body, hash[:])
		}, 2, "tree hash"},
		{"row deleted", func(t *testing.T, s *Store) {
			alter(t, s, `DELETE FROM entries WHERE seq = 5`)
		}, 5, "missing"},
		{"time moved back", func(t *testing.T, s *Store) {
			alter(t, s, `UPDATE entries SET time = '2020-01-01T00:00:00.000000000Z' WHERE seq = 3`)
		}, 3, "time"},
		{"time moved", func(t *testing.T, s *Store) {
			alter(t, s, `UPDATE entries SET time = (SELECT time FROM entries WHERE seq = 4) WHERE seq = 3`)
		}, 3, "tree hash"},
		{"scope altered", func(t *testing.T, s *Store) {
			alter(t, s, `UPDATE entries SET scope = 0 WHERE seq = 1`)
		}, 1, "tree hash"},
		{"tree hash altered", func(t *testing.T, s *Store) {
			alter(t, s, `UPDATE hashes SET data = zeroblob(length(data)) WHERE tile = 0`)
		}, 0, "tree hash"},
		{"body removed without an erasure", func(t *testing.T, s *Store) {
			alter(t, s, `UPDATE entries SET body = NULL, salt = NULL WHERE seq = 1`)
		}, 1, "no body.erase"},
		{"current document altered", func(t *testing.T, s *Store) {
			alter(t, s, `UPDATE documents SET at = at + 1 WHERE id = ?`, team(0, "").ID)
		}, 6, "is not what the entry holds"},
		{"history of a document altered", func(t *testing.T, s *Store) {
			alter(t, s, `UPDATE documents SET ladder = zeroblob(length(ladder)) WHERE id = ?`, team(0, "").ID)
		}, 6, "where the versions"},
		{"history in an entry altered", func(t *testing.T, s *Store) {
			alter(t, s, `UPDATE entries SET docs = (SELECT docs FROM entries WHERE seq = 0) WHERE seq = 3`)
		}, 3, "the changes before"},
		{"current document is an old one", func(t *testing.T, s *Store) {
			alter(t, s, `UPDATE documents SET seq = 0, rev = 1 WHERE id = ?`, team(0, "").ID)
		}, 6, "not its newest version"},
		{"current document removed", func(t *testing.T, s *Store) {
			alter(t, s, `DELETE FROM documents WHERE id = ?`, team(1, "").ID)
		}, 7, "is missing"},
		{"document that is in no entry", func(t *testing.T, s *Store) {
			alter(t, s, `INSERT INTO documents VALUES ('team', 'made-up', 1, 2, 0, 0, 0, x'00')`)
		}, 2, "is in no entry"},
		{"secondary key removed", func(t *testing.T, s *Store) {
			alter(t, s, `DELETE FROM keys WHERE name = 'name' AND value = 'h'`)
		}, 7, "not found by its name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := create(t)
			write(t, s, "a", "b", "c")
			write(t, s, "d", "e", "f")
			write(t, s, "g", "h")
			if err := s.Verify(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			tt.damage(t, s)
			err := reopen(t, s).Verify(t.Context(), nil)
			var d *store.Damage
			if !errors.As(err, &d) {
				t.Fatalf("verify: %v, want damage", err)
			}
			if d.Seq != tt.seq || !strings.Contains(d.What, tt.says) {
				t.Errorf("got %q, want entry %d and %q", d, tt.seq, tt.says)
			}
		})
	}
}

// TestTornFile overwrites pages in the middle of the file.
func TestTornFile(t *testing.T) {
	s := create(t)
	for range 50 {
		write(t, s, "a", "b", "c", "d")
	}
	alter(t, s, `PRAGMA wal_checkpoint(TRUNCATE)`)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(s.path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(s.path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for at := int64(4096 * 3); at < info.Size()-4096; at += 4096 * 4 {
		if _, err := f.WriteAt(make([]byte, 2048), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	n, err := Open(t.Context(), s.path, quiet)
	if err == nil {
		defer n.Close()
		err = n.Verify(t.Context(), nil)
	}
	if err == nil {
		t.Fatal("a torn file was verified")
	}
}

// TestOldCopy restores an old copy of the database: the anchored checkpoint
// refuses to sign what lost entries.
func TestOldCopy(t *testing.T) {
	s := create(t)
	write(t, s, "a", "b")
	alter(t, s, `PRAGMA wal_checkpoint(TRUNCATE)`)
	old := filepath.Join(t.TempDir(), "old.db")
	copyFile(t, s.path, old)
	write(t, s, "c")

	signer := newSigner(t, filepath.Join(t.TempDir(), "anchor"))
	if _, _, err := signer().Sign(3, s.Hashes(t.Context())); err != nil {
		t.Fatal(err)
	}
	restored, err := Open(t.Context(), old, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	_, _, err = signer().Sign(2, restored.Hashes(t.Context()))
	if err == nil || !strings.Contains(err.Error(), "entries were lost") {
		t.Errorf("an old copy was signed: %v", err)
	}
	// An old copy that went on differently has the length and not the root.
	write(t, restored, "other")
	if _, _, err = signer().Sign(3, restored.Hashes(t.Context())); err == nil {
		t.Error("another history was signed")
	}
}
