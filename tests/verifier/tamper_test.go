package verifier

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/evidence/evidencetest"
	"github.com/strongroom/strongroom/internal/pack"
)

// TestTampering alters a pack of everything that the lab's world has, as the
// exporter writes it.
func TestTampering(t *testing.T) {
	l, p := evidencetest.New(t), newPair(t)
	l.Set(evidencetest.After(2 * time.Hour))
	f := takeApart(t, l.Export(evidence.Request{From: evidencetest.After(-time.Hour), To: evidencetest.After(time.Hour), Recordings: true}))
	p.accepted(t, "made anew", f.resigned(t, l.Signer), pack.Options{Key: l.VKey})
	// The folders of items are all alike; the first stands for them.
	maps.DeleteFunc(f.content, func(path string, _ []byte) bool {
		return strings.HasPrefix(path, "items/164.") && !strings.HasPrefix(path, "items/164.312-c-1/")
	})
	t.Run("flips", func(t *testing.T) { tryFlips(t, l, p, f) })
	t.Run("lines", func(t *testing.T) { tryLines(t, l, p, f) })
	t.Run("files", func(t *testing.T) { tryFiles(t, l, p, f) })
}

// proven tells by which check an altered file is refused although the log's own
// key signed it; "" for files that are signed, not proven.
func (f *files) proven(path string) pack.Group {
	switch {
	case path == "checkpoint":
		return pack.SignatureGroup
	case path == "ledger/headers", path == "ledger/range.json":
		return pack.HeadersGroup
	case path == "ledger/bodies":
		return pack.BodiesGroup
	case bytes.Contains(f.content["reports/index.json"], []byte(`"`+path+`"`)):
		return pack.ReportsGroup
	case strings.HasPrefix(path, "blobs/"):
		return pack.BlobsGroup
	}
	return ""
}

// tryFlips: nobody but the holder of the log's key can change a bit of any
// file, and he of none that is proven.
func tryFlips(t *testing.T, l *evidencetest.Lab, p *pair, f *files) {
	key := pack.Options{Key: l.VKey}
	for _, path := range f.paths() {
		for i, flipped := range flips(f.content[path], 3) {
			what := fmt.Sprintf("%s, flip %d", path, i)
			g := f.with(path, flipped)
			if !unlisted(path) {
				p.refused(t, what, g.zipped(t), key, pack.FormGroup)
			} else {
				p.refused(t, what, g.zipped(t), key, pack.FormGroup, pack.SignatureGroup)
			}
			if check := f.proven(path); check != "" {
				// JSON that is none any more is a matter of form.
				p.refused(t, what+", signed", g.resigned(t, l.Signer), key, check, pack.FormGroup)
			} else if strings.HasSuffix(path, ".json") && !unlisted(path) {
				p.agree(t, what+", signed", g.resigned(t, l.Signer), key)
			}
		}
	}
}

// tryLines drops, doubles and swaps lines and rows of what is proven, with the
// manifest made anew by the log's own key.
func tryLines(t *testing.T, l *evidencetest.Lab, p *pair, f *files) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, path := range f.paths() {
		all := lines(f.content[path])
		if check := f.proven(path); len(all) < 2 || check == "" || check == pack.SignatureGroup || check == pack.BlobsGroup {
			continue
		}
		for range 2 {
			i := random.IntN(len(all))
			j := (i + 1) % len(all)
			swapped := slices.Clone(all)
			swapped[i], swapped[j] = all[j], all[i]
			for what, changed := range map[string][][]byte{
				"dropped": slices.Delete(slices.Clone(all), i, i+1),
				"doubled": slices.Insert(slices.Clone(all), i, all[i]),
				"swapped": swapped,
				"added":   append(slices.Clone(all), []byte("1\n")),
			} {
				g := f.with(path, bytes.Join(changed, nil))
				if what == "swapped" && bytes.Equal(g.content[path], f.content[path]) {
					continue
				}
				p.refused(t, fmt.Sprintf("%s, line %d %s", path, i, what), g.resigned(t, l.Signer), pack.Options{Key: l.VKey}, f.proven(path))
			}
		}
	}
}

// tryFiles drops every file and adds some, with and without a new manifest.
func tryFiles(t *testing.T, l *evidencetest.Lab, p *pair, f *files) {
	key := pack.Options{Key: l.VKey}
	for _, path := range f.paths() {
		g := f.with(path, nil)
		p.refused(t, path+" dropped", g.zipped(t), key, pack.FormGroup)
		switch required := f.proven(path); {
		case unlisted(path):
		case required == "" && (strings.HasPrefix(path, "reports/") || strings.HasPrefix(path, "items/")) && path != "reports/index.json":
			p.accepted(t, path+" dropped, signed", g.resigned(t, l.Signer), key) // signed, not proven
		default:
			p.refused(t, path+" dropped, signed", g.resigned(t, l.Signer), key)
		}
	}
	zeros := "blobs/" + strings.Repeat("0", 64)
	for _, path := range []string{"reports/extra.csv", "a", "INDEX.html", zeros} {
		p.refused(t, path+" added", f.with(path, []byte("x")).zipped(t), key, pack.FormGroup)
	}
	p.accepted(t, "a file added, signed", f.with("reports/extra.csv", []byte("x")).resigned(t, l.Signer), key)
	p.refused(t, "a blob of another digest, signed", f.with(zeros, []byte("x")).resigned(t, l.Signer), key, pack.BlobsGroup)
	unnamed := "blobs/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" // of "x"
	p.refused(t, "a blob that no body names, signed", f.with(unnamed, []byte("x")).resigned(t, l.Signer), key, pack.BlobsGroup)
}
