package server

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/fault"
)

func TestReadPassphrase(t *testing.T) {
	const secret = "correct horse battery staple"
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv(PassphraseFD, "")
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	for _, c := range []struct {
		name, file string
		want       fault.Kind
	}{
		{"a file", write("file", secret+"\r\n", 0o400), ""},
		{"without one", "", fault.Invalid},
		{"a file that others can read", write("open", secret, 0o644), fault.Invalid},
		{"an empty file", write("empty", "\n", 0o600), fault.Invalid},
		{"a large file", write("large", strings.Repeat("x", maxPassphrase+1), 0o600), fault.Invalid},
	} {
		v, err := ReadPassphrase(c.file)
		if fault.Of(err) != c.want || err == nil && string(v.Reveal()) != secret {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	// A credential wins over the file.
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	write(passphraseCredential, "another passphrase", 0o400)
	if v, err := ReadPassphrase(filepath.Join(dir, "file")); err != nil || string(v.Reveal()) != "another passphrase" {
		t.Errorf("a credential: %v", err)
	}
	t.Setenv(PassphraseFD, "three")
	if _, err := ReadPassphrase(""); fault.Of(err) != fault.Invalid {
		t.Errorf("a descriptor that is none: %v", err)
	}
}

// TestReadPassphraseInherited reads a pipe, and a file that every process which
// is started again shares.
func TestReadPassphraseInherited(t *testing.T) {
	const secret = "correct horse battery staple"
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString(secret + "\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	memory, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(memory)
	if _, err := unix.Write(memory, []byte(secret)); err != nil {
		t.Fatal(err)
	}
	piped, err := unix.Dup(int(r.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	first, err1 := unix.Dup(memory)
	second, err2 := unix.Dup(memory)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	for _, fd := range []int{piped, first, second} {
		t.Setenv(PassphraseFD, strconv.Itoa(fd))
		if v, err := ReadPassphrase(""); err != nil || string(v.Reveal()) != secret {
			t.Errorf("descriptor %d: %v", fd, err)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
			t.Errorf("descriptor %d is still open: children would inherit it", fd)
		}
	}
}
