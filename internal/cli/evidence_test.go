package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSince takes the auditor's way: keep a checkpoint, later have a pack
// prove that it extends it, and check that offline.
func TestSince(t *testing.T) {
	begun := time.Now()
	s := newSite(t, nil)
	s.space("care", "clinic")
	old := s.ok("ledger:checkpoint")
	size := strings.Split(old, "\n")[1]
	kept := s.file("old.checkpoint", old)
	s.ok("teams:create", "later")

	dir := t.TempDir()
	with, without := filepath.Join(dir, "with.zip"), filepath.Join(dir, "without.zip")
	from := rfc3339(begun.Add(-time.Hour))
	s.ok("evidence:export", "--space", "clinic", "--from", from, "--since", kept, "--out", with)
	s.ok("evidence:export", "--space", "clinic", "--from", from, "--out", without)

	out := s.ok("evidence:verify", with, "--key", s.key, "--since", kept)
	if want := fmt.Sprintf("extends the checkpoint over %s entries", size); !strings.Contains(out, want) || !strings.HasSuffix(out, "\nVERIFIED\n") {
		t.Errorf("verified without %q:\n%s", want, out)
	}
	s.fails(1, "REFUSED", "evidence:verify", without, "--key", s.key, "--since", kept)
	// A pack proves growth since the checkpoint it was asked about, no other.
	newer := s.file("newer.checkpoint", s.ok("ledger:checkpoint"))
	s.fails(1, "REFUSED", "evidence:verify", with, "--key", s.key, "--since", newer)

	never := filepath.Join(dir, "never.zip")
	s.fails(1, "signature", "evidence:export", "--space", "clinic", "--from", from, "--since", s.file("x", strings.Replace(old, "\n"+size+"\n", "\n1\n", 1)), "--out", never)
	s.fails(1, "no such file", "evidence:export", "--space", "clinic", "--from", from, "--since", filepath.Join(dir, "none"), "--out", never)
	s.fails(1, "no such file", "evidence:verify", never, "--key", s.key)
}
