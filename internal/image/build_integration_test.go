//go:build integration

package image

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/strongroom/strongroom/images"
)

// testArchive returns the archive of a recipe, built once per recipe digest
// and kept for later runs.
func testArchive(t *testing.T, recipe string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "strongroom", "images")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, recipe+".tar")
	if _, err := Build(t.Context(), images.Recipes, recipe, out, Options{}, testWriter{t}); err != nil {
		t.Fatal(err)
	}
	return out
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}
