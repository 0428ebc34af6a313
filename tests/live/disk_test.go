//go:build live

package live

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// logDiskUnwritable takes the right to write from an app's log while the
// app writes 1 MB/s: its lines are dropped and counted, and it goes on.
func logDiskUnwritable(t *testing.T, w *writer) {
	s := w.site
	space := must[named](t)(fetch[named](t, s.account(t, "developer"), "spaces", "other"))
	app := must[named](t)(fetch[named](t, s.account(t, "developer"), "apps", w.name))
	dir := filepath.Join(s.data, "logs", space.ID, app.ID)
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	probe := newProber(t, w)
	before, at := must[progress](t)(w.progress("/?reset")), time.Now()
	func() {
		immutable(t, dir, true)
		defer immutable(t, dir, false)
		time.Sleep(5 * time.Second)
	}()
	w.since(t, before, at, stall)
	probe.none(t, "while the log could not be written")
	must[progress](t)(w.progress("/?rate=10"))
	defer w.progress("/?rate=1000")
	eventually(t, partBack, "the log going on, with a word for what it lacks", func() error {
		r := s.h(t, "developer", "logs", "-n", "1500", "-a", w.name, "--source", "heroku")
		past := must[progress](t)(w.progress("/")).Lines
		if lines := w.logged(t); len(lines) == 0 || lines[len(lines)-1] < past {
			return errors.New("it does not go on")
		}
		if !strings.Contains(r.out, "dropped") {
			return fmt.Errorf("it does not say that lines were dropped:\n%.2000s", r.out)
		}
		return nil
	})
}

// immutable takes the right to write to all files and directories below dir
// from everybody, root and those who have them open included, or gives it back.
// What SQLite's processes share in memory is no part of it.
func immutable(t *testing.T, dir string, on bool) {
	t.Helper()
	flag := "-i"
	if on {
		flag = "+i"
	}
	var said bytes.Buffer
	cmd := exec.Command("find", dir, "-xdev", "(", "-type", "f", "-o", "-type", "d", ")", "!", "-name", "*-shm", "-exec", "chattr", flag, "{}", "+")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		t.Errorf("chattr %s: %v\n%s", flag, err, said.String())
	}
}
