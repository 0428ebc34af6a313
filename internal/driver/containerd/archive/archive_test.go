package archive

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/fault"
)

// pack writes entries; a name that ends in / is a directory, "a>b" a symbolic
// and "a=b" a hard link.
func pack(t testing.TB, names ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range names {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o4755, Size: 2}
		if from, to, ok := strings.Cut(name, ">"); ok {
			h = &tar.Header{Typeflag: tar.TypeSymlink, Name: from, Linkname: to}
		} else if from, to, ok := strings.Cut(name, "="); ok {
			h = &tar.Header{Typeflag: tar.TypeLink, Name: from, Linkname: to}
		} else if strings.HasSuffix(name, "/") {
			h = &tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			io.WriteString(w, "ok")
		}
	}
	w.Close()
	return buf.Bytes()
}

// extractHere extracts as the user that runs the test.
func extractHere(t *testing.T, dir string, archive []byte) error {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	return Extract(t.Context(), root, IDs{Base: os.Getuid(), Size: 65536}, 1<<20, bytes.NewReader(archive))
}

func TestExtract(t *testing.T) {
	for _, tt := range []struct {
		name    string
		entries []string
		refused bool
	}{
		{"files", []string{"a/", "a/b", "c"}, false},
		{"parents are made", []string{"a/b/c/d"}, false},
		{"replaces", []string{"a", "a"}, false},
		{"a link inside", []string{"a", "b>a", "c=a"}, false},
		{"a dangling link", []string{"b>/etc/passwd"}, false},
		{"a file in place of a link", []string{"b>../outside", "b"}, false},
		{"climbs", []string{"../outside"}, true},
		{"climbs in the midst", []string{"a/../../outside"}, true},
		{"absolute", []string{"/outside"}, true},
		{"through a link", []string{"b>..", "b/outside"}, true},
		{"through an absolute link", []string{"b>/", "b/tmp/outside"}, true},
		{"hard link to the outside", []string{"b=../outside"}, true},
		{"hard link through a link", []string{"b>..", "c=b/outside"}, true},
		{"directory through a link", []string{"b>..", "b/new/"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			outside := filepath.Join(dir, "outside")
			inside := filepath.Join(dir, "inside")
			write(t, outside, "untouched", 0o600)
			if err := os.Mkdir(inside, 0o700); err != nil {
				t.Fatal(err)
			}
			err := extractHere(t, inside, pack(t, tt.entries...))
			if tt.refused != (err != nil) {
				t.Errorf("got %v", err)
			}
			wantUntouched(t, dir)
		})
	}
}

func TestExtractDropsSetUserID(t *testing.T) {
	dir := t.TempDir()
	if err := extractHere(t, dir, pack(t, "a")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "a"))
	if err != nil || info.Mode() != 0o755 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestExtractIsBounded(t *testing.T) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "a", Mode: 0o600, Size: 1 << 40}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := extractHere(t, dir, buf.Bytes()); fault.Of(err) != fault.TooLarge {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left %v", entries)
	}
}

func wantUntouched(t *testing.T, dir string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "outside"))
	if err != nil || string(content) != "untouched" {
		t.Errorf("the file outside is %q, %v", content, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("beside the directory: %v, %v", entries, err)
	}
}

// FuzzExtract: whatever the archive, nothing outside of the directory changes.
func FuzzExtract(f *testing.F) {
	f.Add(pack(f, "a/", "a/b", "c>a", "d=a/b"))
	f.Add(pack(f, "b>..", "b/outside"))
	f.Add(pack(f, "../outside"))
	f.Add([]byte("no archive"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		if len(archive) > 1<<20 {
			return
		}
		dir := t.TempDir()
		inside := filepath.Join(dir, "inside")
		write(t, filepath.Join(dir, "outside"), "untouched", 0o600)
		if err := os.Mkdir(inside, 0o700); err != nil {
			t.Fatal(err)
		}
		extractHere(t, inside, archive) // an error is as good as none
		wantUntouched(t, dir)
	})
}

func TestIDs(t *testing.T) {
	r := IDs{Base: 200000, Size: 65536}
	for id, want := range map[uint32]int{200000: 0, 201000: 1000, 265535: 65535, 265536: 65534, 0: 65534, 199999: 65534} {
		if got := r.inside(id); got != want {
			t.Errorf("%d becomes %d, want %d", id, got, want)
		}
	}
	for id, want := range map[int]bool{-1: false, 0: true, 65535: true, 65536: false} {
		if r.contains(id) != want {
			t.Errorf("contains %d: %v", id, !want)
		}
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// TestRoundTrip carries a directory out and into another.
func TestRoundTrip(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	if err := extractHere(t, from, pack(t, "a/", "a/b", "c>a/b")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(from)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var buf bytes.Buffer
	if err := Write(&buf, root, IDs{Base: os.Getuid(), Size: 65536}); err != nil {
		t.Fatal(err)
	}
	if err := extractHere(t, to, buf.Bytes()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(to, "c"))
	if link, _ := os.Readlink(filepath.Join(to, "c")); err != nil || string(b) != "ok" || link != "a/b" {
		t.Errorf("read %q through %q, %v", b, link, err)
	}
}
