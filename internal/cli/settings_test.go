package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/strongroom/strongroom/internal/engine"
)

func TestSettingsThatOthersCanRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "strongroom.json")
	if err := os.WriteFile(path, []byte(`{"server": {"build": {"proxy": "http://user:CANARY@proxy.example.org"}}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	warning := func() string {
		t.Helper()
		var log bytes.Buffer
		if _, err := readSettings(path, newLog(&log)); err != nil {
			t.Fatal(err)
		}
		return log.String()
	}
	if w := warning(); !strings.Contains(w, path) || strings.Contains(w, "CANARY") {
		t.Errorf("of a file for all it says %q", w)
	}
	if os.Geteuid() != 0 {
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
	} else if err := giveSettings(path); err != nil {
		t.Fatal(err)
	}
	if w := warning(); w != "" {
		t.Errorf("of a file for few it says %q", w)
	}
}

// TestInitGivesSettings needs root, as the change of owners that it is about does.
func TestInitGivesSettings(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files to the server's user")
	}
	s := newSite(t, nil)
	info, err := os.Stat(s.config)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm() != 0o640 || owner.Uid != 0 || owner.Gid != engine.ServerUID {
		t.Errorf("%s of %d:%d, want 0640 of 0:%d", info.Mode(), owner.Uid, owner.Gid, engine.ServerUID)
	}
	if err := giveSettings(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Error(err)
	}
	if err := giveSettings("/dev/null"); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("/dev/null: %v, %v", info.Mode(), err)
	}
}
