package spool

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// aged writes a segment of one line as it would have been written then.
func aged(t *testing.T, cfg Config, app, text string, at time.Time) {
	t.Helper()
	dir := filepath.Join(cfg.Dir, "s1", app)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	id := uint64(at.UnixNano())
	path := segment{first: id}.path(dir)
	b := appendRecord([]byte(magic), id, at, "app", "web.1", []byte(text))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestOldLinesExpire(t *testing.T) {
	cfg, err := testConfig(t).normal()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	days := func(n int) time.Time { return now.Add(-time.Duration(n) * 24 * time.Hour) }
	aged(t, cfg, "open", "40 days", days(40))
	aged(t, cfg, "open", "35 days", days(35))
	aged(t, cfg, "open", "10 days", days(10))
	aged(t, cfg, "closed", "40 days", days(40))
	aged(t, cfg, "closed", "5 days", days(5))
	aged(t, cfg, "gone", "40 days", days(40))
	aged(t, cfg, "opengone", "40 days", days(40))
	s := newStore(cfg, testLog(t))
	for _, app := range []string{"open", "opengone"} {
		if _, err := s.journal("s1", app); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.expire(days(30)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(cfg.Dir, "s1", "gone")); !os.IsNotExist(err) {
		t.Errorf("the directory of an app without lines: %v", err)
	}
	for app, want := range map[string][]string{
		// A segment goes when its newest line is too old: the next one's first says so.
		"open": {"35 days", "10 days"}, "closed": {"40 days", "5 days"}, "gone": nil, "opengone": nil,
	} {
		j, err := s.journal("s1", app)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, j.texts(t)); diff != "" {
			t.Errorf("lines of %s (-want +got):\n%s", app, diff)
		}
		j.print("new")
		j.flushed(t)
		if diff := cmp.Diff(append(want, "new"), j.texts(t)); diff != "" {
			t.Errorf("then, lines of %s (-want +got):\n%s", app, diff)
		}
		j.rest(time.Now().Add(time.Hour))
	}
}

func TestRemoveSpace(t *testing.T) {
	cfg := testConfig(t)
	client, _ := running(t, cfg)
	pipe := fifo(t, "pipe")
	open(t, client, testStream(pipe))
	write(t, pipe, "one\n")
	if err := client.Write(t.Context(), Line{Space: "s2", App: "a1", Text: "other"}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, client, 1)
	if err := client.Close(t.Context(), "pipe"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := client.RemoveSpace(t.Context(), "s1"); err != nil {
			t.Fatal(err)
		}
	}
	if got := queried(t, client, all()); len(got) != 0 {
		t.Errorf("lines of a removed space: %v", got)
	}
	if _, err := os.Stat(filepath.Join(cfg.Dir, "s1")); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
	if got := queried(t, client, driver.LogQuery{Space: "s2", App: "a1", Lines: 9}); len(got) != 1 {
		t.Errorf("lines of another space: %v", got)
	}
	if err := client.Write(t.Context(), Line{Space: "s1", App: "a1", Text: "again"}); err != nil {
		t.Fatal(err)
	}
	if got := texts(queried(t, client, all())); !cmp.Equal(got, []string{"again"}) {
		t.Errorf("lines of a space that is used again: %q", got)
	}
	for _, bad := range []string{"", "..", "a/b"} {
		if err := client.RemoveSpace(t.Context(), bad); fault.Of(err) != fault.Invalid {
			t.Errorf("RemoveSpace(%q) = %v", bad, err)
		}
	}
}
