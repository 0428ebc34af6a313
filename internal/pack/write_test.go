package pack

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"testing"

	"github.com/strongroom/strongroom/internal/fault"
)

func TestWriterRefuses(t *testing.T) {
	l := newTestLog(t)
	x := l.newExport(t)
	w, err := Create(io.Discard, x.manifest)
	must(t, err)
	must(t, w.AddBytes("reports/a.csv", nil))
	for path, kind := range map[string]fault.Kind{
		"": fault.Invalid, "/a": fault.Invalid, "a/": fault.Invalid, "a/../b": fault.Invalid, "a b": fault.Invalid, "ü": fault.Invalid,
		"reports/a.csv": fault.Conflict, "Reports/A.csv": fault.Conflict, "manifest.json": fault.Conflict, "MANIFEST.sig": fault.Conflict,
	} {
		if _, err := w.Add(path); fault.Of(err) != kind {
			t.Errorf("%q: %v", path, err)
		}
	}
	if _, err := w.AddBlob("sha256:00"); fault.Of(err) != fault.Invalid {
		t.Errorf("blob: %v", err)
	}
	if err := w.LeaveOut("x", "why"); fault.Of(err) != fault.Invalid {
		t.Errorf("left out: %v", err)
	}
	if _, err := w.Close(); err == nil {
		t.Error("closed without a signature")
	}
	for name, change := range map[string]func(*Manifest){
		"installation": func(m *Manifest) { m.Installation = "x" },
		"empty period": func(m *Manifest) { m.Period.To = m.Period.From },
		"scope twice":  func(m *Manifest) { m.Scopes = append(m.Scopes[:2:2], nil, nil) },
		"scope":        func(m *Manifest) { m.Scopes = append(m.Scopes[:2:2], nil, ptr("x")) },
		"no scopes":    func(m *Manifest) { m.Scopes = nil },
		"asked":        func(m *Manifest) { m.Scope.Spaces = []string{otherSpace} },
		"asked for ''": func(m *Manifest) { m.Scope.Spaces = []string{""} },
		"left out":     func(m *Manifest) { m.BlobsLeftOut = []LeftOut{{"sha256:", ""}} },
	} {
		m := x.manifest
		change(&m)
		if _, err := Create(io.Discard, m); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWriterReports: what went wrong below comes up.
func TestWriterReports(t *testing.T) {
	l := newTestLog(t)
	x := l.newExport(t)
	broken := errors.New("disk full")
	for limit := range 40 {
		w, err := Create(&limitedWriter{limit * 4096, broken}, x.manifest)
		must(t, err)
		random := make([]byte, 64<<10)
		for i := range random {
			random[i] = byte(i * i >> 3 * 31)
		}
		err = w.AddBytes("a", random)
		if err == nil {
			_, err = w.Close(l.signer)
		}
		if err != nil && !errors.Is(err, broken) {
			t.Errorf("limit %d: %v", limit, err)
		}
		if limit == 0 && err == nil {
			t.Error("nothing was written, without an error")
		}
	}
}

type limitedWriter struct {
	left int
	err  error
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, w.err
	}
	return len(p), nil
}

// TestManifestDigest: what Close returns is the digest of manifest.json.
func TestManifestDigest(t *testing.T) {
	l := newTestLog(t)
	var out bytes.Buffer
	w, err := Create(&out, l.newExport(t).manifest)
	must(t, err)
	must(t, w.AddBytes("z", []byte("z")))
	must(t, w.AddBytes("a", []byte("a")))
	digest, err := w.Close(l.signer)
	must(t, err)
	f := takeApart(t, out.Bytes())
	if digest != blobOf(f.content[manifestPath]).SHA256 {
		t.Errorf("digest %s", digest)
	}
	if f.manifest.Files[0].Path != "a" || f.manifest.Files[1].Path != "z" || f.manifest.Format != Format {
		t.Errorf("%+v", f.manifest)
	}
	z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	must(t, err)
	if got := z.File[0]; got.Name != "z" || got.Mode() != 0o644 || !got.Modified.Equal(at(30)) {
		t.Errorf("%+v", got.FileHeader)
	}
}

// TestChunks: however a file's bytes come, the pack is the same, and so is what
// is in it.
func TestChunks(t *testing.T) {
	l := newTestLog(t)
	x := l.newExport(t)
	long := make([]byte, 3*chunkSize+7)
	for i := range long {
		long[i] = byte(i * i >> 5 * 31)
	}
	var packs [][]byte
	for _, part := range []int{len(long), chunkSize, chunkSize - 1, 1000} {
		var out bytes.Buffer
		w, err := Create(&out, x.manifest)
		must(t, err)
		must(t, w.AddBytes("first", long[:chunkSize+1]))
		file, err := w.Add("second")
		must(t, err)
		for from := 0; from < len(long); from += part {
			_, err := file.Write(long[from:min(from+part, len(long))])
			must(t, err)
		}
		must(t, w.AddBytes("third", nil))
		_, err = w.Close(l.signer)
		must(t, err)
		packs = append(packs, out.Bytes())
	}
	for _, b := range packs {
		f := takeApart(t, b)
		if !bytes.Equal(f.content["first"], long[:chunkSize+1]) || !bytes.Equal(f.content["second"], long) || len(f.content["third"]) != 0 {
			t.Error("a file came out otherwise than it went in")
		}
		if !bytes.Equal(b, packs[0]) {
			t.Error("the same files gave other bytes")
		}
	}
}

// TestChunkFails: an error under a chunk that is packed beside comes up soon, and
// nothing is written after Stop.
func TestChunkFails(t *testing.T) {
	l := newTestLog(t)
	broken := errors.New("disk full")
	under := &limitedWriter{chunkSize / 2, broken}
	w, err := Create(under, l.newExport(t).manifest)
	must(t, err)
	file, err := w.Add("a")
	must(t, err)
	random := make([]byte, chunkSize)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err = file.Write(random); err != nil {
			break
		}
	}
	w.Stop()
	left := under.left
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if _, err := w.Close(l.signer); !errors.Is(err, broken) || under.left != left {
		t.Errorf("closed: %v, %d bytes after Stop", err, left-under.left)
	}
}
