package cli

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEvidenceVerifier: the page is written once, printed with its digest, and
// compared when it is there.
func TestEvidenceVerifier(t *testing.T) {
	file := filepath.Join(t.TempDir(), "v.html")
	first, again := strongroom(t.Context(), "", "evidence:verifier", file), strongroom(t.Context(), "", "evidence:verifier", file)
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%x  %s\n", sha256.Sum256(page), file)
	if first.code != 0 || first.out != want || again != first || !strings.Contains(string(page), "<script>") {
		t.Errorf("%+v, and again %+v, want %s", first, again, want)
	}
	if err := os.WriteFile(file, append(page, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	if other := strongroom(t.Context(), "", "evidence:verifier", file); other.code != 1 || !strings.Contains(other.err, "is not the page that this program writes") {
		t.Errorf("another page: %+v", other)
	}
	if two := strongroom(t.Context(), "", "evidence:verifier", file, file); two.code != 2 {
		t.Errorf("two files: %+v", two)
	}
	if nowhere := strongroom(t.Context(), "", "evidence:verifier", filepath.Join(file, "x")); nowhere.code != 1 {
		t.Errorf("a file in a file: %+v", nowhere)
	}
}
