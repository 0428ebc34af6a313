package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCloseLeavesOneFile: what is closed can be copied as one file, and nothing
// of it stays open.
func TestCloseLeavesOneFile(t *testing.T) {
	s := create(t)
	write(t, s, "a", "b", "c")
	if _, err := s.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	fds, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range fds {
		if to, _ := os.Readlink(fd); strings.HasPrefix(to, s.path) {
			t.Errorf("%s is open", to)
		}
	}
	if _, err := os.Stat(s.path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the write-ahead log is left behind: %v", err)
	}
}
