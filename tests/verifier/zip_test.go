package verifier

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io/fs"
	"maps"
	"testing"

	"github.com/strongroom/strongroom/internal/pack"
)

// TestZip wraps the right files in zips that a pack may not be.
func TestZip(t *testing.T) {
	l, p := newStory(t), newPair(t)
	b, key := l.pack(t, storyPack(l)), pack.Options{Key: l.vkey}
	f := takeApart(t, b)
	rest := func(w *zip.Writer, but string) {
		for _, path := range f.paths() {
			if path != but {
				store(t, w, &zip.FileHeader{Name: path, Method: zip.Deflate}, f.content[path])
			}
		}
	}
	link, folder := &zip.FileHeader{Name: "index.html"}, &zip.FileHeader{Name: "index.html"}
	link.SetMode(fs.ModeSymlink | 0o777)
	folder.SetMode(fs.ModeDir | 0o755)
	html := f.content["index.html"]
	one := func(h *zip.FileHeader) func(w *zip.Writer) {
		return func(w *zip.Writer) { rest(w, "index.html"); store(t, w, h, html) }
	}
	cut := bytes.Clone(b[:len(b)-1])
	for what, z := range map[string][]byte{
		"nothing":             nil,
		"no zip":              []byte("strongroom-evidence/1 and more than twenty-two bytes"),
		"data after it":       append(bytes.Clone(b), 0),
		"data before it":      append([]byte{0}, b...),
		"cut off":             cut,
		"a comment":           zipped(t, func(w *zip.Writer) { rest(w, ""); must(t, w.SetComment("x")) }),
		"a member's comment":  zipped(t, one(&zip.FileHeader{Name: "index.html", Comment: "x"})),
		"a link":              zipped(t, one(link)),
		"a folder as a file":  zipped(t, one(folder)),
		"a folder":            zipped(t, func(w *zip.Writer) { rest(w, ""); store(t, w, &zip.FileHeader{Name: "reports/"}, nil) }),
		"a name twice":        zipped(t, func(w *zip.Writer) { rest(w, ""); store(t, w, &zip.FileHeader{Name: "index.html"}, html) }),
		"a name in capitals":  zipped(t, func(w *zip.Writer) { rest(w, ""); store(t, w, &zip.FileHeader{Name: "Index.html"}, html) }),
		"a name from above":   zipped(t, one(&zip.FileHeader{Name: "../index.html"})),
		"a name from the top": zipped(t, one(&zip.FileHeader{Name: "/index.html"})),
		"a name of Windows":   zipped(t, one(&zip.FileHeader{Name: `reports\index.html`})),
		"a name with a dot":   zipped(t, one(&zip.FileHeader{Name: "./index.html"})),
		"a name of others":    zipped(t, one(&zip.FileHeader{Name: "índex.html"})),
		"another name inside": zipped(t, one(&zip.FileHeader{Name: "index.html", Extra: extra(0x7075, "evil.html")})),
		"encryption inside":   zipped(t, one(&zip.FileHeader{Name: "index.html", Extra: extra(0x9901, "\x02\x00AE\x03\x08\x00")})),
	} {
		p.refused(t, what, z, key, pack.FormGroup)
	}
	p.accepted(t, "compressed anew", zipped(t, func(w *zip.Writer) { rest(w, "") }), key)
	p.accepted(t, "stored", f.zipped(t), key)
	p.accepted(t, "in another order", zipped(t, one(&zip.FileHeader{Name: "index.html"})), key)
}

// extra is a zip's extra field.
func extra(id uint16, content string) []byte {
	b := binary.LittleEndian.AppendUint16(nil, id)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(content)))
	return append(b, content...)
}

// TestZipFlips flips bits of the zip itself. What is accepted holds the same
// files: zips keep some things that a pack does not use. Which of these are
// forgiven is each verifier's own business.
func TestZipFlips(t *testing.T) {
	l, p := newStory(t), newPair(t)
	b, key := l.pack(t, storyPack(l)), pack.Options{Key: l.vkey}
	want := takeApart(t, b).content
	for i, flipped := range flips(b, 150) {
		first, second := p.first(t, flipped, key), p.second(t, flipped, key)
		for _, v := range []verdict{first, second} {
			if v.Verdict == "VERIFIED" && !maps.EqualFunc(want, takeApart(t, flipped).content, bytes.Equal) {
				t.Errorf("flip %d: accepted with other files: %+v", i, v)
			}
		}
		if first.Verdict != second.Verdict {
			t.Logf("flip %d: %s, and %s: %s%s", i, first.Verdict, second.Verdict, first.Reason, second.Reason)
		}
	}
}
