//go:build integration

package browser

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVectors gives the specification's packs to the page. That each is refused
// for its own reason tests/verifier checks, with the same modules.
func TestVectors(t *testing.T) {
	const vectors = "../../../shared/spec/vectors"
	key, err := os.ReadFile(filepath.Join(vectors, "log.vkey"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the specification's vectors are not beside the repository")
	}
	must(t, err)
	packs, err := filepath.Glob(filepath.Join(vectors, "*.zip"))
	must(t, err)
	p := alone(t)
	for _, path := range packs {
		name, want := filepath.Base(path), "REFUSED"
		if !strings.HasPrefix(name, "bad-") {
			want = "VERIFIED"
		}
		b, err := os.ReadFile(path)
		must(t, err)
		if v := p.verify(b, string(key)); v.Verdict != want || want == "REFUSED" && !strings.Contains(v.Says, "In ") {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if len(packs) < 20 {
		t.Errorf("only %d packs", len(packs))
	}
}
