package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/timestamp/timestamptest"
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
	exported := s.ok("evidence:export", "--space", "clinic", "--from", from, "--out", without, "--json")
	var wrote struct {
		File  string
		Bytes int64
	}
	if info, err := os.Stat(without); err != nil || json.Unmarshal([]byte(exported), &wrote) != nil || wrote.File != without || wrote.Bytes != info.Size() {
		t.Errorf("export --json: %s, %v", exported, err)
	}

	out := s.ok("evidence:verify", with, "--key", s.key, "--since", kept)
	if want := fmt.Sprintf("extends the checkpoint over %s entries", size); !strings.Contains(out, want) || !strings.HasSuffix(out, "\nVERIFIED\n") {
		t.Errorf("verified without %q:\n%s", want, out)
	}
	s.fails(1, "REFUSED", "evidence:verify", without, "--key", s.key, "--since", kept)
	// A pack proves growth since the checkpoint it was asked about, no other.
	newer := s.file("newer.checkpoint", s.ok("ledger:checkpoint"))
	s.fails(1, "REFUSED", "evidence:verify", with, "--key", s.key, "--since", newer)

	some := filepath.Join(dir, "some.zip")
	s.ok("evidence:export", "--space", "clinic", "--from", from, "--items", "164.312(b),164.312(d)", "--notice-date", rfc3339(begun.Add(-time.Minute)), "--out", some)
	s.ok("evidence:verify", some, "--key", s.key)
	never := filepath.Join(dir, "never.zip")
	s.fails(1, "No framework has an item", "evidence:export", "--space", "clinic", "--from", from, "--items", "164.312(z)", "--out", never)
	s.fails(1, "signature", "evidence:export", "--space", "clinic", "--from", from, "--since", s.file("x", strings.Replace(old, "\n"+size+"\n", "\n1\n", 1)), "--out", never)
	s.fails(1, "no such file", "evidence:export", "--space", "clinic", "--from", from, "--since", filepath.Join(dir, "none"), "--out", never)
	s.fails(1, "no such file", "evidence:verify", never, "--key", s.key)

	// A sample of it, by a seed; of what is refused there is none.
	dossiers := filepath.Join(dir, "dossiers")
	ask := []string{"--report", "users", "--seed", "dice 6 1", "--count", "2"}
	drawn := s.ok(append([]string{"evidence:sample", without, "--key", s.key, "--out", dossiers}, ask...)...)
	if !strings.Contains(drawn, "VERIFIED") || !strings.Contains(drawn, "reports/users.csv") {
		t.Errorf("the sample: %s", drawn)
	}
	if files, err := os.ReadDir(dossiers); err != nil || len(files) < 4 {
		t.Errorf("dossiers: %v, %v", files, err)
	}
	s.fails(3, "no key was given", append([]string{"evidence:sample", without, "--json"}, ask...)...)
	s.fails(2, "exists already", append([]string{"evidence:sample", without, "--key", s.key, "--out", dossiers}, ask...)...)
	s.fails(2, "COLUMN=VALUE", append([]string{"evidence:sample", without, "--where", "owner"}, ask...)...)
	s.fails(2, "--report and --seed", "evidence:sample", without)
	torn := s.file("torn.zip", "PK")
	s.fails(1, "nothing is drawn", append([]string{"evidence:sample", torn, "--key", s.key}, ask...)...)

	// What a program reads of a verdict, and the exit codes.
	for code, args := range map[int][]string{
		0: {without, "--key", s.key},
		1: {without, "--key", s.key, "--since", kept},
		3: {without},
	} {
		got := s.fails(code, "", append([]string{"evidence:verify", "--json"}, args...)...)
		var verdict struct {
			Verdict string
			Checks  []map[string]any
			Refusal map[string]any
		}
		if err := json.Unmarshal([]byte(got.out), &verdict); err != nil || got.err != "" {
			t.Fatalf("%v: %+v: %v", args, got, err)
		}
		want := map[int]string{0: "VERIFIED", 1: "REFUSED", 3: "CONSISTENT, ORIGIN NOT CHECKED"}[code]
		if verdict.Verdict != want || verdict.Checks[0]["group"] != "form" || verdict.Checks[0]["ok"] != true || (verdict.Refusal != nil) != (code == 1) {
			t.Errorf("%v: %+v", args, verdict)
		}
		if code == 1 && (verdict.Refusal["check"] != "headers" || verdict.Refusal["seq"] != -1.0) {
			t.Errorf("the refusal: %v", verdict.Refusal)
		}
	}
}

// TestTimestamp: the checkpoint of a pack is stamped by the authority that the
// settings name, and the stamp is verified by the certificate that is given.
func TestTimestamp(t *testing.T) {
	begun := time.Now()
	a, other := timestamptest.New(t), timestamptest.New(t)
	s := newSite(t, map[string]any{"timestamps": map[string]string{"url": a.URL, "ca_file": a.CA, "every": "1h"}})
	s.space("care", "clinic")
	dir := t.TempDir()
	with, without := filepath.Join(dir, "with.zip"), filepath.Join(dir, "without.zip")
	from := rfc3339(begun.Add(-time.Hour))
	s.ok("evidence:export", "--space", "clinic", "--from", from, "--out", with)
	a.Away.Store(true)
	s.ok("evidence:export", "--space", "clinic", "--from", from, "--out", without)
	if out := s.ok("evidence:verify", with, "--key", s.key, "--tsa", a.CA); !strings.Contains(out, "timestamped by Test TSA at 20") {
		t.Errorf("with a stamp:\n%s", out)
	}
	s.ok("evidence:verify", with, "--key", s.key)
	s.ok("evidence:verify", without, "--key", s.key)
	s.fails(1, "not timestamped", "evidence:verify", without, "--key", s.key, "--tsa", a.CA)
	s.fails(1, "not of an authority that is trusted here", "evidence:verify", with, "--key", s.key, "--tsa", other.CA)
	s.fails(1, "no certificate, in PEM", "evidence:verify", with, "--key", s.key, "--tsa", s.key)
}

// TestVisible: a terminal is shown what somebody typed, and does not do it.
func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"clinic v2": "clinic v2", "Jürgen": "Jürgen", "\x1b[2J\x07gone\r\n": "·[2J·gone··", "a\u202eb": "a·b",
		strings.Repeat("ü", 70): strings.Repeat("ü", 59) + "…",
	} {
		if got := visible(in); got != want {
			t.Errorf("%q is shown as %q", in, got)
		}
	}
}
