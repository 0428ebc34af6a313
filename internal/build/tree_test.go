package build

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
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
		{"long link", []tar.Header{link("x", strings.Repeat("y/", 3000))}, "longer than 4000 bytes"},
		{"deep", []tar.Header{reg(strings.Repeat("d/", 201) + "x")}, "more than 200 directories deep"},
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

// What is refused is not held in memory first: headers alone can fill it.
func TestEndlessHeaders(t *testing.T) {
	bare := func(h tar.Header) []byte { return bytes.TrimSuffix(pack(t, h), make([]byte, 1024)) } // without the end marker
	long := tar.Header{Typeflag: tar.TypeDir, Name: "d/", PAXRecords: map[string]string{"A.b": strings.Repeat("x", 1<<20-100)}}
	cases := []struct {
		name   string
		stream []byte
		files  int
		most   uint64 // bytes allocated
		says   string
	}{
		{"many members", bytes.Repeat(bare(tar.Header{Typeflag: tar.TypeDir, Name: "d/"}), 100_000), 50, 4 << 20, "more than 50 files"},
		{"long headers", bytes.Repeat(bare(long), 60), 10, 60 << 20, "more than 10 files"},
		{"long names", longNames(t), 100_000, 1 << 30, "names in the source take more than 32 MiB"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rule := rules{what: "source", maxBytes: 1 << 30, maxFiles: c.files, outside: func(string) bool { return false }}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := readTree(bytes.NewReader(c.stream), filepath.Join(t.TempDir(), "t"), rule)
			runtime.ReadMemStats(&after)
			if fault.Of(err) != fault.TooLarge || !strings.Contains(fault.Message(err), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > c.most {
				t.Errorf("%d bytes were allocated", n)
			}
		})
	}
}

// longNames has names of 3,900 bytes, 40 MB of them.
func longNames(t *testing.T) []byte {
	var headers []tar.Header
	for i := range 10_500 {
		headers = append(headers, tar.Header{Typeflag: tar.TypeDir, Name: strings.Repeat("n", 3900) + strconv.Itoa(i)})
	}
	return pack(t, headers...)
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
