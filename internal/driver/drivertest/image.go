package drivertest

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Program is where Layout puts the test app.
const Program = "/bin/testapp"

// Build compiles the test app statically and returns it.
func Build(t *testing.T) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "testapp")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "github.com/strongroom/strongroom/internal/driver/drivertest/testapp")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the test app: %v\n%s", err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Layout packs a program as an OCI image layout in a tar stream.
func Layout(t *testing.T, program []byte) []byte {
	t.Helper()
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.AppendLayers(base, layer(t, root()), layer(t, app(program)))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cfg.OS, cfg.Architecture = "linux", runtime.GOARCH
	cfg.Config = v1.Config{Env: []string{"PATH=/bin"}}
	if img, err = mutate.ConfigFile(img, cfg); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendImage(img); err != nil {
		t.Fatal(err)
	}
	return pack(t, dir)
}

func layer(t *testing.T, content []byte) v1.Layer {
	t.Helper()
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// root is the file system of the image's first layer.
func root() []byte {
	var entries []entry
	for _, dir := range []string{"bin", "etc", "home", "proc", "dev", "sys"} {
		entries = append(entries, entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}})
	}
	file := tar.Header{Typeflag: tar.TypeReg, Mode: 0o644}
	passwd, removed := file, file
	passwd.Name, removed.Name = "etc/passwd", "etc/removed"
	return archive(append(
		entries,
		entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}},
		entry{Header: passwd, content: "root:x:0:0::/:/bin/sh\n"},
		entry{Header: removed, content: "the second layer takes it away\n"},
	)...)
}

// app is the second: the program, and a file less.
func app(program []byte) []byte {
	return archive(
		entry{Header: tar.Header{Typeflag: tar.TypeReg, Name: Program[1:], Mode: 0o755}, content: string(program)},
		entry{Header: tar.Header{Typeflag: tar.TypeReg, Name: "etc/.wh.removed", Mode: 0o644}},
	)
}

func pack(t *testing.T, dir string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
