package verifier

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/pack"
)

// files is a pack taken apart: what a tamperer works on.
type files struct {
	manifest pack.Manifest
	content  map[string][]byte
}

func takeApart(t *testing.T, b []byte) *files {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	must(t, err)
	f := &files{content: map[string][]byte{}}
	for _, file := range z.File {
		in, err := file.Open()
		must(t, err)
		f.content[file.Name], err = io.ReadAll(in)
		must(t, err)
	}
	must(t, json.Unmarshal(f.content["manifest.json"], &f.manifest))
	return f
}

// with is a copy with another content of one file; nil: without the file.
func (f *files) with(path string, content []byte) *files {
	g := &files{f.manifest, maps.Clone(f.content)}
	g.content[path] = content
	if content == nil {
		delete(g.content, path)
	}
	return g
}

func (f *files) paths() []string { return slices.Sorted(maps.Keys(f.content)) }

// resigned makes a pack of the files with a new manifest, signed by the signer:
// what the holder of the log's key can do.
func (f *files) resigned(t *testing.T, signer note.Signer) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := pack.Create(&out, f.manifest)
	must(t, err)
	for _, path := range f.paths() {
		if !unlisted(path) {
			must(t, w.AddBytes(path, f.content[path]))
		}
	}
	_, err = w.Close(signer)
	must(t, err)
	return out.Bytes()
}

// unlisted are the two files that the manifest does not list.
func unlisted(path string) bool { return path == "manifest.json" || path == "manifest.sig" }

// zipped makes a zip of the files as they are: what everybody can do.
func (f *files) zipped(t *testing.T) []byte {
	t.Helper()
	return zipped(t, func(w *zip.Writer) {
		for _, path := range f.paths() {
			store(t, w, &zip.FileHeader{Name: path}, f.content[path])
		}
	})
}

func zipped(t *testing.T, fill func(w *zip.Writer)) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	fill(w)
	must(t, w.Close())
	return out.Bytes()
}

func store(t *testing.T, w *zip.Writer, h *zip.FileHeader, content []byte) {
	t.Helper()
	file, err := w.CreateHeader(h)
	must(t, err)
	_, err = file.Write(content)
	must(t, err)
}

// flips are copies of the content, in each of which one bit of one byte is
// flipped: at places that are random and always the same, and at both ends.
func flips(content []byte, count int) [][]byte {
	var out [][]byte
	random := rand.New(rand.NewPCG(uint64(len(content)), 1))
	for i := range count {
		at := random.IntN(len(content))
		switch i {
		case 0:
			at = 0
		case 1:
			at = len(content) - 1
		}
		b := bytes.Clone(content)
		b[at] ^= 1 << random.IntN(8)
		out = append(out, b)
	}
	return out
}

// lines splits a file; each line keeps its end.
func lines(content []byte) [][]byte {
	all := bytes.SplitAfter(content, []byte("\n"))
	return all[:len(all)-1]
}
