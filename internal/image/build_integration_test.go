//go:build integration

package image

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/strongroom/strongroom/images"
)

// testArchive returns the archive of a recipe, built once per recipe digest
// and kept for later runs.
func testArchive(t *testing.T, recipe string) string {
	t.Helper()
	dir := os.Getenv("STRONGROOM_IMAGES")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(cache, "strongroom", "images")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, recipe+".tar")
	if _, err := Build(t.Context(), images.Recipes, recipe, out, Options{}, t.Output()); err != nil {
		t.Fatal(err)
	}
	return out
}

// Two builds from the same mirror give the same bytes, and the second of an
// unchanged recipe does not happen.
func TestBuildIsDeterministicAndCached(t *testing.T) {
	out := filepath.Join(t.TempDir(), "base.tar")
	first, err := Build(t.Context(), images.Recipes, "base", out, Options{}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Build(t.Context(), images.Recipes, "base", out, Options{Force: true}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if first.Digest != second.Digest {
		t.Errorf("built anew, the image is %s instead of %s", second.Digest, first.Digest)
	}
	before, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Build(t.Context(), images.Recipes, "base", out, Options{}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(out); err != nil || !os.SameFile(before, after) {
		t.Errorf("an unchanged recipe was built again (%v)", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(out), ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestBaseIsSmallAndWithoutPrivilege(t *testing.T) {
	var total int64
	for name, h := range topLayer(t, testArchive(t, "base")) {
		total += h.Size
		if h.Mode&0o6000 != 0 {
			t.Errorf("%s has mode %o", name, h.Mode)
		}
	}
	if total > 200<<20 {
		t.Errorf("the base takes %d MiB", total>>20)
	}
}
