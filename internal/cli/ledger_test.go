package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/ledger"
)

// TestLedgerVerify looks at a ledger while the server writes it, and after it
// was exchanged for an older copy and for another one.
func TestLedgerVerify(t *testing.T) {
	s := newSite(t, nil)
	s.space("care", "clinic")
	kept := s.file("checkpoint", s.ok("ledger:checkpoint"))
	size := strings.Split(read(t, kept), "\n")[1]
	out := s.ok("ledger:verify", "--data", s.data, "--checkpoint", kept)
	if !strings.Contains(out, "It continues the given checkpoint over "+size+" entries.") || !strings.Contains(out, "It continues the anchored checkpoint over ") {
		t.Errorf("beside the server: %s", out)
	}
	// What it does beside the server must not disturb it.
	s.ok("teams:create", "more")
	s.fails(1, "and so a part of the present", "ledger:erase", "0", "--reason", "it is old", "--confirm", "x")
	s.fails(2, "is no seq", "ledger:erase", "first", "--confirm", "x")
	s.fails(2, "needs the seq", "ledger:erase")
	s.stop()

	var got struct {
		Whole                    bool
		Entries, Anchored, Given int64
		Fault                    string
	}
	if err := json.Unmarshal([]byte(s.ok("ledger:verify", "--data", s.data, "--json")), &got); err != nil || !got.Whole || got.Entries == 0 || got.Anchored != got.Entries || got.Given != 0 {
		t.Errorf("without the server: %+v, %v", got, err)
	}
	s.fails(1, "the ledger was rewritten", "ledger:verify", "--data", s.data, "--checkpoint", s.file("forged", s.forged(read(t, kept))))
	db := filepath.Join(s.data, "server", "ledger.db")
	s.sameOwner(filepath.Dir(db))
	anchor := filepath.Join(s.data, "anchor", "checkpoint")
	whole, newest := read(t, db), read(t, anchor)

	other := newSite(t, nil)
	foreign := other.file("checkpoint", other.ok("ledger:checkpoint"))
	other.stop()
	s.fails(1, "was not signed by this ledger's key", "ledger:verify", "--data", s.data, "--checkpoint", foreign)

	// An anchor that the database fell behind of: the way back to it is a copy.
	replace(t, db, whole)
	if got := s.serve(); got.code != 0 {
		t.Fatalf("served again: %+v", got)
	}
	t.Setenv("STRONGROOM_URL", s.url)
	t.Setenv("STRONGROOM_CA", s.ca)
	t.Setenv("STRONGROOM_TOKEN", s.token)
	s.ok("teams:create", "newer")
	later := s.file("later", s.ok("ledger:checkpoint"))
	s.stop()
	for _, beside := range []string{"-wal", "-shm"} {
		if err := os.Remove(db + beside); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	replace(t, db, whole)
	s.fails(1, "and those after it are gone", "ledger:verify", "--data", s.data)
	// With the anchor exchanged too, only who kept a checkpoint notices.
	replace(t, anchor, newest)
	s.ok("ledger:verify", "--data", s.data)
	s.fails(1, "are gone: the given checkpoint was signed over", "ledger:verify", "--data", s.data, "--checkpoint", later)
	failed := s.fails(1, "", "ledger:verify", "--data", s.data, "--checkpoint", later, "--json")
	if err := json.Unmarshal([]byte(failed.out), &got); err != nil || got.Whole || !strings.Contains(got.Fault, "gone") {
		t.Errorf("as JSON: %+v, %v", failed, err)
	}

	if err := os.Remove(anchor); err != nil {
		t.Fatal(err)
	}
	s.fails(1, "holds no checkpoint", "ledger:verify", "--data", s.data)
	s.fails(1, "no such file", "ledger:verify", "--data", t.TempDir())
	s.fails(2, "is empty", "ledger:verify", "--data", s.data, "--checkpoint", s.file("empty", ""))
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// replace writes a file's bytes back, as from a backup.
func replace(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// forged is a checkpoint with another root, signed by the log's own key: what
// an auditor holds once root has rewritten the ledger.
func (s *site) forged(signed string) string {
	s.t.Helper()
	text, _, _ := strings.Cut(signed, "\n\n")
	c, err := ledger.ParseCheckpoint(text + "\n")
	if err != nil {
		s.t.Fatal(err)
	}
	c.Root[0] ^= 1
	key, err := note.NewSigner(strings.TrimSpace(read(s.t, filepath.Join(s.data, "secrets", "log.key"))))
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := ledger.SignCheckpoint(c, key)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(out)
}

// sameOwner wants what root left in the ledger's directory to be the server's.
func (s *site) sameOwner(dir string) {
	s.t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	owner := func(name string) uint32 {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			s.t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Uid
	}
	for _, e := range list {
		if strings.HasPrefix(e.Name(), "ledger.db") && owner(e.Name()) != owner("ledger.db") {
			s.t.Errorf("%s belongs to %d: the server cannot open it", e.Name(), owner(e.Name()))
		}
	}
}
