package build

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/image"
)

func testRules() rules {
	return rules{what: "source", maxBytes: 1 << 20, maxFiles: 50, outside: func(string) bool { return false }}
}

func pack(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, h := range headers {
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.CopyN(tw, zeros{}, h.Size); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func reg(name string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 3, Mode: 0o644}
}

func link(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
}

func TestHostileTrees(t *testing.T) {
	cases := []struct {
		name    string
		headers []tar.Header
		says    string
	}{
		{"plain", []tar.Header{reg("a"), reg("./b/c"), {Typeflag: tar.TypeDir, Name: "d/"}, link("d/up", "../a"), {Typeflag: tar.TypeLink, Name: "hard", Linkname: "a"}}, ""},
		{"absolute", []tar.Header{reg("/etc/passwd")}, "not a path inside"},
		{"parent", []tar.Header{reg("../x")}, "not a path inside"},
		{"parent inside", []tar.Header{reg("a/../../x")}, "not a path inside"},
		{"absolute link", []tar.Header{link("x", "/etc/passwd")}, "leads out of it"},
		{"link up", []tar.Header{link("d/x", "../../etc")}, "leads out of it"},
		{"link to nothing", []tar.Header{link("x", "")}, "leads out of it"},
		{"below a link", []tar.Header{link("x", "y"), reg("x/passwd")}, "which is not a directory"},
		{"below a link that comes later", []tar.Header{reg("x/passwd"), link("x", "y")}, "which is not a directory"},
		{"below a file", []tar.Header{reg("x"), reg("x/y")}, "which is not a directory"},
		{"link, then a file of that name", []tar.Header{link("x", "y"), reg("x")}, "twice"},
		{"same under another spelling", []tar.Header{reg("x"), reg("./x")}, "twice"},
		{"hard link out", []tar.Header{{Typeflag: tar.TypeLink, Name: "x", Linkname: "/etc/shadow"}}, "not a path inside"},
		{"hard link to a link", []tar.Header{link("l", "a"), {Typeflag: tar.TypeLink, Name: "x", Linkname: "l"}}, "hard link"},
		{"device", []tar.Header{{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}}, "neither a file"},
		{"fifo", []tar.Header{{Typeflag: tar.TypeFifo, Name: "f"}}, "neither a file"},
		{"large file", []tar.Header{{Typeflag: tar.TypeReg, Name: "x", Size: 1<<20 + 1}}, "larger than 1 MiB"},
		{"large together", []tar.Header{{Typeflag: tar.TypeReg, Name: "x", Size: 1 << 19}, {Typeflag: tar.TypeReg, Name: "y", Size: 1<<19 + 1}}, "larger than 1 MiB"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tr, err := readTree(bytes.NewReader(pack(t, c.headers...)), filepath.Join(t.TempDir(), "t"), testRules())
			if (err == nil) != (c.says == "") || (err != nil && !strings.Contains(fault.Message(err), c.says)) {
				t.Fatalf("got %v, want %q", err, c.says)
			}
			if err == nil {
				tr.Close()
			}
		})
	}
}

func TestTooManyFiles(t *testing.T) {
	var headers []tar.Header
	for i := range 60 {
		headers = append(headers, reg("f"+strings.Repeat("x", i)))
	}
	_, err := readTree(bytes.NewReader(pack(t, headers...)), filepath.Join(t.TempDir(), "t"), testRules())
	if fault.Of(err) != fault.TooLarge {
		t.Errorf("got %v", err)
	}
}

// A small stream that unpacks to gigabytes is given up at the bound.
func TestZipBomb(t *testing.T) {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "x", Size: 200 << 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(tw, zeros{}, 200<<20); err != nil {
		t.Fatal(err)
	}
	tw.Close()
	zw.Close()
	name := filepath.Join(t.TempDir(), "t")
	_, err := readTree(&b, name, testRules())
	if fault.Of(err) != fault.TooLarge {
		t.Errorf("got %v", err)
	}
}

func TestCutOffStreamsAreRefused(t *testing.T) {
	whole := pack(t, reg("a"), reg("b"))
	for _, n := range []int{100, 512, 600, 1100} {
		if _, err := readTree(bytes.NewReader(whole[:n]), filepath.Join(t.TempDir(), "t"), testRules()); fault.Of(err) != fault.Invalid {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	zw.Write(whole)
	zw.Close()
	if _, err := readTree(bytes.NewReader(b.Bytes()[:b.Len()-9]), filepath.Join(t.TempDir(), "t"), testRules()); fault.Of(err) != fault.Invalid {
		t.Errorf("cut gzip: %v", err)
	}
}

// FuzzReadTree: whatever is accepted stays inside when it is laid out.
func FuzzReadTree(f *testing.F) {
	f.Add(pack(f, reg("a"), link("b", "a"), tar.Header{Typeflag: tar.TypeDir, Name: "d/"}))
	f.Add(pack(f, link("x", "../y")))
	f.Add(pack(f, reg("a/b"), tar.Header{Typeflag: tar.TypeLink, Name: "h", Linkname: "a/b"}))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tr, err := readTree(bytes.NewReader(raw), filepath.Join(t.TempDir(), "t"), testRules())
		if err != nil {
			if fault.Of(err) == "" {
				t.Errorf("an internal error: %v", err)
			}
			return
		}
		defer tr.Close()
		links := map[string]bool{}
		for _, e := range tr.entries {
			h := e.Header
			if !filepath.IsLocal(h.Name) {
				t.Errorf("%q is outside", h.Name)
			}
			if h.Typeflag == tar.TypeSymlink {
				links[h.Name] = true
				if path.IsAbs(h.Linkname) || !filepath.IsLocal(path.Join(path.Dir(h.Name), h.Linkname)) {
					t.Errorf("%q leads to %q", h.Name, h.Linkname)
				}
			}
		}
		for _, e := range tr.entries {
			for dir := path.Dir(e.Header.Name); dir != "."; dir = path.Dir(dir) {
				if links[dir] {
					t.Errorf("%q is below the link %q", e.Header.Name, dir)
				}
			}
		}
		var out bytes.Buffer
		if err := image.WriteLayer(&out, tr.file, tr.under("app"), epoch); err != nil {
			t.Errorf("what was accepted cannot be written: %v", err)
		}
	})
}
