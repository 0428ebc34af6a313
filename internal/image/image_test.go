package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/strongroom/strongroom/images"
	"github.com/strongroom/strongroom/internal/fault"
)

var date = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

const status = `Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc
Version: 2.41-12

Package: gone
Status: deinstall ok config-files
Version: 1

Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2+x
`

// rootfs is a tar as mmdebstrap writes it, in an order that seed changes.
func rootfs(t *testing.T, reverse bool, at time.Time) string {
	t.Helper()
	type member struct {
		tar.Header
		content string
	}
	members := []member{
		{tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755}, ""},
		{tar.Header{Typeflag: tar.TypeDir, Name: "./etc/", Mode: 0o755}, ""},
		{tar.Header{Typeflag: tar.TypeReg, Name: "./etc/passwd", Mode: 0o644}, "root:x:0:0::/root:/bin/bash\npostgres:x:100:101::/old:/bin/sh\n"},
		{tar.Header{Typeflag: tar.TypeReg, Name: "./etc/group", Mode: 0o644}, "root:x:0:\npostgres:x:101:\n"},
		{tar.Header{Typeflag: tar.TypeReg, Name: "./etc/machine-id", Mode: 0o644}, "abc"},
		{tar.Header{Typeflag: tar.TypeReg, Name: "./etc/ssl/private/ssl-cert-snakeoil.key", Mode: 0o600}, "PRIVATE KEY"},
		{tar.Header{Typeflag: tar.TypeSymlink, Name: "./etc/ssl/certs/abc.0", Linkname: "ssl-cert-snakeoil.pem"}, ""},
		{tar.Header{Typeflag: tar.TypeReg, Name: "./usr/bin/su", Mode: 0o4755}, "program"},
		{tar.Header{Typeflag: tar.TypeChar, Name: "./dev/null", Devmajor: 1, Devminor: 3}, ""},
		{tar.Header{Typeflag: tar.TypeReg, Name: "./var/log/dpkg.log", Mode: 0o644}, at.String()},
		{tar.Header{Typeflag: tar.TypeReg, Name: "./var/lib/dpkg/status", Mode: 0o644}, status},
		{tar.Header{Typeflag: tar.TypeDir, Name: "./var/lib/postgresql/", Mode: 0o755, Uid: 100, Gid: 101}, ""},
		{tar.Header{Typeflag: tar.TypeReg, Name: "./var/lib/postgresql/17/main/PG_VERSION", Mode: 0o600, Uid: 100, Gid: 101}, "17"},
	}
	if reverse {
		slices.Reverse(members)
	}
	members = append(members, member{tar.Header{Typeflag: tar.TypeLink, Name: "./usr/bin/a-link", Linkname: "./usr/bin/su"}, ""})
	name := filepath.Join(t.TempDir(), "rootfs.tar")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tw := tar.NewWriter(f)
	for _, m := range members {
		m.Size, m.ModTime = int64(len(m.content)), at
		if err := tw.WriteHeader(&m.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, m.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

func testRecipe() Recipe {
	return Recipe{
		Name: "test", Suite: "trixie", Date: date, Remove: []string{"/var/lib/postgresql/*"},
		Users: []User{{"postgres", 26, "/var/lib/postgresql"}}, Dirs: []Dir{{"/app", 1000, "0755"}}, UID: 26, Ports: []int{5432},
		Env: map[string]string{"B": "2", "A": "1"}, Command: []string{"/entry"},
		overlay: map[string][]byte{"entry": []byte("#!/bin/sh\n"), "etc/note": []byte("plain")},
	}
}

func assembled(t *testing.T, reverse bool, at time.Time) (v1.Image, string) {
	t.Helper()
	img, err := assemble(testRecipe(), date, rootfs(t, reverse, at), filepath.Join(t.TempDir(), "layer"))
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "image.tar")
	if err := writeFile(out, img, "strongroom/test:trixie"); err != nil {
		t.Fatal(err)
	}
	return img, out
}

func TestAssembleIsDeterministic(t *testing.T) {
	_, first := assembled(t, false, time.Unix(1, 0))
	_, second := assembled(t, true, time.Unix(2_000_000_000, 0))
	a, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(second)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("the same packages in another order and at another time give another archive")
	}
}

func TestAssembledImage(t *testing.T) {
	img, name := assembled(t, false, date)
	if err := validate.Image(img); err != nil {
		t.Errorf("go-containerregistry: %v", err)
	}
	files := topLayer(t, name)
	for path, want := range map[string]tar.Header{
		"usr/bin/su":          {Mode: 0o755},
		"usr/bin/a-link":      {Linkname: "usr/bin/su", Mode: 0},
		"entry":               {Mode: 0o755},
		"etc/note":            {Mode: 0o644},
		"app/":                {Mode: 0o755, Uid: 1000, Gid: 1000},
		"var/lib/postgresql/": {Mode: 0o755, Uid: 26, Gid: 26},
	} {
		h := files[path]
		if h == nil || h.Mode != want.Mode || h.Uid != want.Uid || h.Gid != want.Gid || h.Linkname != want.Linkname || !h.ModTime.Equal(date) {
			t.Errorf("%s: %+v, want %+v", path, h, want)
		}
	}
	for _, path := range []string{"etc/machine-id", "etc/ssl/private/ssl-cert-snakeoil.key", "etc/ssl/certs/abc.0", "dev/null", "var/log/dpkg.log", "var/lib/postgresql/17/main/PG_VERSION"} {
		if files[path] != nil {
			t.Errorf("%s is in the image", path)
		}
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c.Config.User != "26:26" || !slices.Equal(c.Config.Env, []string{"A=1", "B=2"}) || !slices.Equal(c.Config.Cmd, []string{"/entry"}) {
		t.Errorf("configuration %+v", c.Config)
	}
}

func topLayer(t *testing.T, archive string) map[string]*tar.Header {
	t.Helper()
	a, err := Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	img, err := a.Image()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Errorf("go-containerregistry on the archive: %v", err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	r, err := layers[len(layers)-1].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*tar.Header{}
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = h
	}
}

// TestAll reads the archive that was opened, whatever has its name by now.
func TestAll(t *testing.T) {
	_, name := assembled(t, false, date)
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	other := name + ".new"
	if err := os.WriteFile(other, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, name); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := io.ReadAll(a.All()); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, want %d, %v", len(got), len(want), err)
		}
	}
}

func TestInfoAndSBOM(t *testing.T) {
	_, name := assembled(t, false, date)
	info, err := ReadInfo(name)
	if err != nil {
		t.Fatal(err)
	}
	want := []Package{{"bash", "5.2+x", "amd64", "bash"}, {"libc6", "2.41-12", "amd64", "glibc"}}
	if diff := cmp.Diff(want, info.Packages); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	if info.RecipeDigest != testRecipe().Digest() || info.Suite != "trixie" || !info.Date.Equal(date) {
		t.Errorf("info %+v", info)
	}
	raw, err := info.SBOM()
	if err != nil {
		t.Fatal(err)
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(raw), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if got := (*bom.Components)[0].PackageURL; got != "pkg:deb/debian/bash@5.2%2Bx?arch=amd64&distro=trixie" {
		t.Errorf("package URL %q", got)
	}
	if again, err := info.SBOM(); err != nil || !bytes.Equal(raw, again) {
		t.Errorf("the bill of materials is not deterministic (%v)", err)
	}
}

func TestAppend(t *testing.T) {
	_, base := assembled(t, false, date)
	digests := map[string]bool{}
	for range 2 {
		out := filepath.Join(t.TempDir(), "app.tar")
		digest, err := Append(t.Context(), base, out, Config{Ref: "app", Labels: map[string]string{"x": "y"}, Command: []string{"run"}, Date: date},
			func(w io.Writer) error {
				return WriteLayer(w, nil, []Entry{File("app/hello", 0o644, 1000, []byte("hi"))}, date)
			})
		if err != nil {
			t.Fatal(err)
		}
		digests[digest] = true
		if h := topLayer(t, out)["app/hello"]; h == nil || h.Uid != 1000 {
			t.Errorf("app/hello: %+v", h)
		}
		info, err := ReadInfo(out)
		if err != nil || info.Digest != digest || len(info.Packages) != 2 {
			t.Errorf("info %+v, %v", info, err)
		}
	}
	if len(digests) != 1 {
		t.Errorf("digests %v", digests)
	}
	out := filepath.Join(t.TempDir(), "none.tar")
	if _, err := Append(t.Context(), base, out, Config{}, func(io.Writer) error { return errors.New("stop") }); err == nil {
		t.Error("a failing layer gave an image")
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a failing layer left an archive")
	}
}

func TestOpenRefusesWhatIsNotAnImage(t *testing.T) {
	_, good := assembled(t, false, date)
	raw, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	manifest := bytes.Index(raw, []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest`))
	if manifest < 0 {
		t.Fatal("no manifest in the archive")
	}
	altered := bytes.Clone(raw)
	altered[manifest+20] ^= 1
	for name, content := range map[string][]byte{
		"nothing": nil, "noise": []byte("noise"), "cut off": raw[:len(raw)/2], "altered manifest": altered,
		"tar of something else": raw[512*3:],
	} {
		file := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if a, err := Open(file); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
}

func TestRecipes(t *testing.T) {
	digests := map[string]bool{}
	for _, name := range []string{"base", "build", "postgres"} {
		r, err := Load(images.Recipes, name)
		if err != nil {
			t.Fatal(err)
		}
		digests[r.Digest()] = true
		if r.UID == 0 || r.Name != name {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if len(digests) != 3 {
		t.Error("recipes share a digest")
	}
	build, err := Load(images.Recipes, "build")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(build.Packages, "bash") || !slices.Contains(build.Packages, "git") || build.overlay["usr/local/bin/launch"] == nil {
		t.Error("build does not extend base")
	}
}

func TestHostileRecipes(t *testing.T) {
	for text, says := range map[string]string{
		`{"name": "x", "suite": "trixie", "date": "2026-01-01T00:00:00Z", "packages": ["a", "--option"]}`:                          "not the name of a Debian package",
		`{"name": "x", "suite": "../sid", "date": "2026-01-01T00:00:00Z"}`:                                                         "name and a suite",
		`{"name": "x", "suite": "trixie"}`:                                                                                         "no date",
		`{"name": "x", "suite": "trixie", "date": "2026-01-01T00:00:00Z", "packagse": []}`:                                         "unknown field",
		`{"name": "x", "suite": "trixie", "date": "2026-01-01T00:00:00Z", "dirs": [{"path": "../x", "mode": "0755"}]}`:             "clean absolute path",
		`{"name": "x", "suite": "trixie", "date": "2026-01-01T00:00:00Z", "users": [{"name": "root", "uid": 0, "home": "/root"}]}`: "an id in 1",
		`{"name": "x", "suite": "trixie", "date": "2026-01-01T00:00:00Z", "remove": ["etc"]}`:                                      "absolute path pattern",
	} {
		_, err := Load(fstest.MapFS{"x/recipe.json": {Data: []byte(text)}}, "x")
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %q", text, err, says)
		}
	}
	if _, err := Load(fstest.MapFS{}, "x"); fault.Of(err) != fault.NotFound {
		t.Errorf("no recipe: %v", err)
	}
}

func TestSources(t *testing.T) {
	host := fstest.MapFS{
		"etc/os-release": {Data: []byte("ID=debian\nVERSION_CODENAME=bookworm\n")},
		"etc/apt/sources.list.d/debian.sources": {Data: []byte(`Types: deb
# a comment
URIs: http://mirror.test/debian/
Suites: bookworm bookworm-updates
Components: main contrib

Types: deb-src deb
URIs: http://mirror.test/security
Suites: bookworm-security
Components: main

Types: deb
Enabled: no
URIs: http://off.test/debian
Suites: bookworm
Components: main
`)},
		"etc/apt/sources.list.d/vendor.list": {Data: []byte("deb [arch=amd64] https://vendor.test/node nodistro main\ndeb https://vendor.test/sdk sdk-bookworm main\n")},
		"etc/apt/sources.list":               {Data: []byte("# deb http://commented.test x main\ndeb http://old.test/debian bookworm main\n")},
	}
	got, err := Sources(host, "trixie")
	if err != nil {
		t.Fatal(err)
	}
	by := "deb [signed-by=" + archiveKeyring + "] "
	want := []string{
		by + "http://old.test/debian trixie main",
		by + "http://mirror.test/debian trixie main",
		by + "http://mirror.test/debian trixie-updates main",
		by + "http://mirror.test/security trixie-security main",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := Sources(fstest.MapFS{"etc/os-release": host["etc/os-release"]}, "trixie"); fault.Of(err) != fault.Invalid {
		t.Errorf("no mirror: %v", err)
	}
	if _, err := Sources(fstest.MapFS{}, "trixie"); fault.Of(err) != fault.Invalid {
		t.Errorf("no os-release: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("noise"))
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	_ = writeDocument(tw, "index.json", []byte(`{"manifests":[{"digest":"sha256:`+strings.Repeat("0", 64)+`"}]}`))
	_ = tw.Close()
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		name := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := Open(name)
		if err != nil {
			return
		}
		defer a.Close()
		_, _ = a.Info() // must not panic
	})
}
