package build

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	provenance "github.com/in-toto/attestation/go/predicates/provenance/v1"
	attestation "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/image"
)

const secret = "correct-horse-battery"

var shellApp = map[string]string{
	"Procfile":         "web: ./serve --port $PORT\nrelease: ./migrate\n",
	"build.sh":         "echo building; cp $ENV/TOKEN ../seen; echo data > made; mkdir -p .profile.d; ln -s made link; ln -s /usr/bin/env tool; echo pkg:generic/thing@1.2 >> $BUILDPACK_COMPONENTS; chmod u+s made\n",
	"app.json":         `{"name": "intake", "env": {"GREETING": "hello", "KEY": {"generator": "secret"}, "OPT": {"value": "x", "required": false}}, "formation": {"web": {"quantity": 2, "size": "standard-1x"}}}`,
	"package.json":     `{"name": "x", "engines": {"node": "24.x"}}`,
	"sub/dir/file.txt": "deep",
}

func TestBuild(t *testing.T) {
	w := newWorkshop(t, nil)
	in := input(source(t, shellApp))
	in.Env = []driver.EnvVar{{Name: "TOKEN", Value: secret}, {Name: "../escape", Value: "x"}}
	in.SourceURI = "git+https://strongroom.example/intake.git"
	var log bytes.Buffer
	r, err := w.Build(t.Context(), in, &log)
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	for _, want := range []string{"config var FROM_PACK is not set", "heroku config:set GREETING=...", "heroku config:set OPT=...", "heroku ps:scale web=2"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the output does not say %q:\n%s", want, &log)
		}
	}
	if strings.Contains(log.String(), "config:set TOKEN") {
		t.Error("a var that is set is called missing")
	}
	wantTypes := []ProcessType{{"web", "./serve --port $PORT"}, {"worker", "./work"}}
	if diff := cmp.Diff(wantTypes, r.ProcessTypes); diff != "" {
		t.Errorf("process types (-want +got):\n%s", diff)
	}
	if r.Release != "./migrate" {
		t.Errorf("release %q", r.Release)
	}
	if diff := cmp.Diff(map[string]string{"FROM_PACK": "yes", "GREETING": "hello", "OPT": "x"}, r.ConfigVars); diff != "" {
		t.Errorf("config vars (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]Scale{"web": {2, "standard-1x"}}, r.Formation); diff != "" {
		t.Errorf("formation (-want +got):\n%s", diff)
	}
	for _, want := range []string{"-----> Building on the " + Stack, "-----> Using buildpack: shell", "-----> Shell app detected", "building\n", "Procfile declares types -> web, release"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the output:\n%s", want, &log)
		}
	}
	if !slices.Equal(w.engine.destroyed, []string{in.BuildID}) {
		t.Errorf("destroyed volumes: %v", w.engine.destroyed)
	}
	if left, _ := os.ReadDir(w.config.WorkDir); len(left) != 0 {
		t.Errorf("left in the work directory: %v", left)
	}
	if len(r.Buildpacks) != 1 || r.Buildpacks[0].Name != "shell" || !strings.HasPrefix(r.Buildpacks[0].Digest, "sha256:") {
		t.Errorf("buildpacks %+v", r.Buildpacks)
	}
	checkSlug(t, w)
	checkSBOM(t, r)
	checkProvenance(t, w, in, r)
	for name, raw := range map[string][]byte{"image": w.engine.images[0], "provenance": r.Provenance, "bill of materials": r.SBOM} {
		if bytes.Contains(raw, []byte(secret)) {
			t.Errorf("a config var is in the %s", name)
		}
	}
	for _, v := range w.engine.tasks[0].Process.Env {
		if strings.Contains(v.Value, secret) || v.Name == "TOKEN" {
			t.Errorf("a config var is in the task: %s", v.Name)
		}
	}
}

// TestRecover removes what a build left that ended with its process: container,
// volume, files and the cache that it was using, and nothing of another space.
func TestRecover(t *testing.T) {
	w := newWorkshop(t, nil)
	in := input(source(t, shellApp))
	mine := driver.Volume{ID: in.BuildID, Space: in.Space, Bytes: 64 << 20, Key: bytes.Repeat([]byte{7}, 64)}
	other := mine
	other.ID, other.Space = "0198c0de-0000-7000-8000-000000000003", "0198c0de-0000-4000-8000-000000000004"
	cache, broken := mine, mine
	cache.ID, broken.ID = "0198c0de-0000-7000-8000-000000000005", "0198c0de-0000-7000-8000-000000000006"
	for _, v := range []driver.Volume{mine, other, cache, broken} {
		if err := w.engine.EnsureVolume(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.engine.LockVolume(t.Context(), cache.ID); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, w.engine.dir(in.BuildID, inputDir), map[string]string{"run.sh": "sleep 300\n"})
	session, err := w.engine.StartTask(t.Context(), w.task(in, plan{}))
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, w.config.WorkDir, map[string]string{workPattern + "1/source.tar": "x", "kept": "y"})
	for range 2 {
		if err := w.Recover(t.Context(), in.Space, []string{cache.ID, broken.ID}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := session.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]string{other.ID: other.Space, cache.ID: cache.Space}, w.engine.volumes); diff != "" {
		t.Errorf("volumes left (-want +got):\n%s", diff)
	}
	if left, err := os.ReadDir(w.config.WorkDir); err != nil || len(left) != 1 {
		t.Errorf("left in the work directory: %v, %v", left, err)
	}
}

// slugOf lists the top layer of the last image.
func slugOf(t *testing.T, w workshop) map[string]*tar.Header {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(name, w.engine.images[len(w.engine.images)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := image.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	img, err := a.Image()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	checkLayers(t, img, layers)
	r, err := layers[len(layers)-1].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
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

// checkLayers compares what the image says of its layers with what they hold.
func checkLayers(t *testing.T, img v1.Image, layers []v1.Layer) {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	// The two of drivertest's base, and the app's.
	if len(layers) != 3 || len(c.RootFS.DiffIDs) != 3 {
		t.Fatalf("%d layers, %d in the configuration", len(layers), len(c.RootFS.DiffIDs))
	}
	for i, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := v1.SHA256(r)
		if err != nil || got != c.RootFS.DiffIDs[i] {
			t.Errorf("layer %d has the digest %v (%v), the configuration says %v", i, got, err, c.RootFS.DiffIDs[i])
		}
		r.Close()
	}
}

func checkSlug(t *testing.T, w workshop) {
	t.Helper()
	files := slugOf(t, w)
	for name, want := range map[string]tar.Header{
		"app/":                 {Typeflag: tar.TypeDir, Mode: 0o755},
		"app/made":             {Typeflag: tar.TypeReg, Mode: 0o644},
		"app/build.sh":         {Typeflag: tar.TypeReg, Mode: 0o755},
		"app/link":             {Typeflag: tar.TypeSymlink, Linkname: "made", Mode: 0o755},
		"app/tool":             {Typeflag: tar.TypeSymlink, Linkname: "/usr/bin/env", Mode: 0o755},
		"app/sub/dir/file.txt": {Typeflag: tar.TypeReg, Mode: 0o755},
	} {
		h := files[name]
		if h == nil || h.Typeflag != want.Typeflag || h.Linkname != want.Linkname || h.Mode != want.Mode || h.Uid != UID || !h.ModTime.Equal(epoch) {
			t.Errorf("%s is %+v, want %+v", name, h, want)
		}
	}
}

func checkSBOM(t *testing.T, r Result) {
	t.Helper()
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(r.SBOM), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if bom.Metadata.Component.BOMRef != r.Image || len(*bom.Components) != 1 || (*bom.Components)[0].PackageURL != "pkg:generic/thing@1.2" {
		t.Errorf("bill of materials: %s", r.SBOM)
	}
}

// checkProvenance reads the statement with in-toto's own library.
func checkProvenance(t *testing.T, w workshop, in Input, r Result) {
	t.Helper()
	payload, err := VerifyProvenance(t.Context(), r.Provenance, w.public)
	if err != nil {
		t.Fatal(err)
	}
	var s attestation.Statement
	if err := protojson.Unmarshal(payload, &s); err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil {
		t.Errorf("in-toto: %v", err)
	}
	raw, err := s.GetPredicate().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var p provenance.Provenance
	if err := protojson.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(); err != nil {
		t.Errorf("SLSA: %v", err)
	}
	if got := s.GetSubject()[0].GetDigest()["sha256"]; "sha256:"+got != r.Image {
		t.Errorf("subject %s, want %s", got, r.Image)
	}
	if got := p.GetBuildDefinition().GetResolvedDependencies()[0].GetDigest()["gitCommit"]; got != in.Commit {
		t.Errorf("source commit %q", got)
	}
	if p.GetRunDetails().GetMetadata().GetInvocationId() != in.BuildID {
		t.Errorf("invocation %q", p.GetRunDetails().GetMetadata().GetInvocationId())
	}
	var envelope map[string]any
	if err := json.Unmarshal(r.Provenance, &envelope); err != nil {
		t.Fatal(err)
	}
	envelope["payload"] = "e30="
	forged, err := json.Marshal(envelope)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyProvenance(t.Context(), forged, w.public); err == nil {
		t.Error("a forged statement is accepted")
	}
}

func TestSameSourceGivesSameImage(t *testing.T) {
	w := newWorkshop(t, nil)
	var images []string
	for range 2 {
		r, err := w.Build(t.Context(), input(source(t, map[string]string{"build.sh": "date > /dev/null; sleep 0.01; echo x > made\n", "Procfile": "web: x\n"})), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, r.Image+r.SlugDigest)
	}
	if images[0] != images[1] {
		t.Errorf("two builds gave %v", images)
	}
}

func TestCompressedSource(t *testing.T) {
	w := newWorkshop(t, nil)
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if _, err := io.Copy(zw, source(t, shellApp)); err != nil {
		t.Fatal(err)
	}
	zw.Close()
	in := input(&b)
	in.Env = []driver.EnvVar{{Name: "TOKEN", Value: secret}}
	if _, err := w.Build(t.Context(), in, io.Discard); err != nil {
		t.Fatal(err)
	}
}

func TestCacheSurvivesBuilds(t *testing.T) {
	w := newWorkshop(t, nil)
	app := map[string]string{"build.sh": "cp $CACHE/kept . 2>/dev/null; date +%N > $CACHE/kept\n", "Procfile": "web: x\n"}
	cache := "0198c0de-0000-7000-8000-00000000cac4"
	for i, want := range []bool{false, true} {
		in := input(source(t, app))
		in.CacheVolume = cache
		if _, err := w.Build(t.Context(), in, io.Discard); err != nil {
			t.Fatal(err)
		}
		if got := slugOf(t, w)["app/kept"] != nil; got != want {
			t.Errorf("build %d finds the cache: %v", i, got)
		}
	}
	if slices.Contains(w.engine.destroyed, cache) {
		t.Error("the cache was destroyed")
	}
}

// TestBrokenCache builds without a cache that cannot be written.
func TestBrokenCache(t *testing.T) {
	w := newWorkshop(t, nil)
	cache := "0198c0de-0000-7000-8000-00000000cac4"
	if err := os.WriteFile(filepath.Join(w.engine.root, cache), nil, 0o600); err != nil { // no directory
		t.Fatal(err)
	}
	in := input(source(t, shellApp))
	in.CacheVolume = cache
	if _, err := w.Build(t.Context(), in, io.Discard); err != nil {
		t.Error(err)
	}
	if m := w.engine.tasks[0].Process.Mounts; m[len(m)-1].Volume != in.BuildID {
		t.Errorf("mounts %+v", m)
	}
}

func TestBuildRefusals(t *testing.T) {
	ok := map[string]string{"build.sh": "true\n", "Procfile": "web: x\n"}
	with := func(more map[string]string) map[string]string { return merge(ok, more) }
	cases := []struct {
		name   string
		files  map[string]string
		packs  []string
		change func(*Config)
		kind   fault.Kind
		says   string
		runs   bool // something ran in the container
	}{
		{"broken package.json", with(map[string]string{"package.json": "{\n  \"name\": \"x\",\n}"}), nil, nil, fault.Invalid, "package.json is not valid JSON: line 3", false},
		{"broken app.json", with(map[string]string{"app.json": `{"formation": []}`}), nil, nil, fault.Invalid, "app.json: formation is a JSON array", false},
		{"broken Procfile", with(map[string]string{"Procfile": "web: x\nworker\n"}), nil, nil, fault.Invalid, "Procfile's line 2", false},
		{"misspelt Procfile", map[string]string{"build.sh": "true\n", "procfile": "web: x\n"}, nil, nil, fault.Invalid, "must be called Procfile", false},
		{"empty source", map[string]string{}, nil, nil, fault.Invalid, "source is empty", false},
		{"large source", with(map[string]string{"big": strings.Repeat("x", 2<<20)}), nil, nil, fault.TooLarge, "larger than 1 MiB", false},
		{"unknown buildpack", ok, []string{"heroku/cobol"}, nil, fault.Invalid, "no built-in buildpack", false},
		{"buildpack outside the directory", ok, []string{"../shell"}, nil, fault.Invalid, "no built-in buildpack", false},
		{"buildpack over http", ok, []string{"http://example.org/x.git"}, nil, fault.Invalid, "https URL", false},
		{"buildpack with credentials", ok, []string{"https://u:p@example.org/x.git"}, nil, fault.Invalid, "credentials", false},
		{"operator's buildpack that is not there", ok, []string{"perl"}, nil, fault.Invalid, "no buildpack \"perl\"", false},
		{"nothing detects", ok, []string{}, nil, fault.Invalid, "No built-in buildpack recognises", true},
		{"set buildpack does not detect", map[string]string{"x": "y"}, nil, nil, fault.Invalid, "does not recognise", true},
		{"compile fails", with(map[string]string{"build.sh": "exit 3\n"}), nil, nil, fault.Invalid, "The build failed", true},
		{"compile is killed", with(map[string]string{"build.sh": "kill -9 $$\n"}), nil, nil, fault.Invalid, "ended by signal 9", true},
		{"slug too large", with(map[string]string{"build.sh": "head -c 3000000 /dev/zero > big\n"}), nil, nil, fault.TooLarge, "slug is larger than 1 MiB", true},
		{"too many files", with(map[string]string{"build.sh": "touch f{1..200}\n"}), nil, nil, fault.TooLarge, "more than 100 files", true},
		{"link out of the slug", with(map[string]string{"build.sh": "ln -s ../../etc/passwd x\n"}), nil, nil, fault.Invalid, "leads out of it", true},
		{"link to the host", with(map[string]string{"build.sh": "ln -s /proc/self x\n"}), nil, nil, fault.Invalid, "leads out of it", true},
		{"a pipe in the slug", with(map[string]string{"build.sh": "mkfifo x\n"}), nil, nil, fault.Invalid, "neither a file", true},
		{"never ends", with(map[string]string{"build.sh": "sleep 600\n"}), nil, func(c *Config) { c.Timeout = time.Second }, fault.Invalid, "did not end within 1s", true},
		{"never ends, quietly in the background", with(map[string]string{"build.sh": "trap '' TERM; while :; do sleep 1; done\n"}), nil, func(c *Config) { c.Timeout = time.Second }, fault.Invalid, "did not end within 1s", true},
		{"broken release", with(map[string]string{"build.sh": "echo '{' > Procfile\n"}), nil, nil, fault.Invalid, "Procfile's line 1", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorkshop(t, c.change)
			in := input(source(t, c.files))
			if c.packs != nil {
				in.Buildpacks = c.packs
			}
			var log bytes.Buffer
			r, err := w.Build(t.Context(), in, &log)
			if fault.Of(err) != c.kind || !strings.Contains(fault.Message(err), c.says) {
				t.Errorf("got %v (%s), want a %s fault that says %q\n%s", err, fault.Of(err), c.kind, c.says, &log)
			}
			if r.Image != "" || len(w.engine.images) != 0 {
				t.Error("it made an image")
			}
			if got := len(w.engine.tasks) > 0; got != c.runs {
				t.Errorf("a container ran: %v", got)
			}
			if len(w.engine.volumes) != 0 {
				t.Errorf("%d volumes are left", len(w.engine.volumes))
			}
		})
	}
}

func TestCancelledBuildEnds(t *testing.T) {
	w := newWorkshop(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	out := writer(func(p []byte) (int, error) {
		if bytes.Contains(p, []byte("begun")) {
			cancel()
		}
		return len(p), nil
	})
	began := time.Now()
	_, err := w.Build(ctx, input(source(t, map[string]string{"build.sh": "echo begun; sleep 600\n"})), out)
	if fault.Of(err) != fault.Conflict || time.Since(began) > 10*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	if len(w.engine.destroyed) != 1 {
		t.Error("the scratch volume is left")
	}
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestFloodOfOutputIsBounded(t *testing.T) {
	w := newWorkshop(t, func(c *Config) { c.MaxLog = 10_000 })
	var log bytes.Buffer
	r, err := w.Build(t.Context(), input(source(t, map[string]string{"build.sh": "yes | head -c 5000000\n", "Procfile": "web: x\n"})), &log)
	if err != nil {
		t.Fatal(err)
	}
	if log.Len() > 10_200 || !strings.Contains(log.String(), "the rest is not shown") {
		t.Errorf("%d bytes were passed on", log.Len())
	}
	sum := newOutput(nil, 1<<30)
	sum.Write(log.Bytes())
	if r.Log != sum.digest() {
		t.Errorf("the log's digest is %s, that of what was passed on %s", r.Log, sum.digest())
	}
}

func TestReaderThatLeavesDoesNotEndTheBuild(t *testing.T) {
	w := newWorkshop(t, nil)
	gone := writer(func([]byte) (int, error) { return 0, errors.New("gone") })
	if _, err := w.Build(t.Context(), input(source(t, map[string]string{"build.sh": "seq 100000\n", "Procfile": "web: x\n"})), gone); err != nil {
		t.Error(err)
	}
}

func TestSeveralBuildpacksShareTheirExports(t *testing.T) {
	w := newWorkshop(t, nil)
	writeFiles(t, filepath.Join(w.config.BuildpackDir, "first"), map[string]string{
		"bin/detect":  "#!/bin/sh\n",
		"bin/compile": "#!/bin/bash\n[ -z \"$2\" ] || echo \"export FROM_FIRST=1\" > $(dirname $0)/../export\n",
		"bin/release": "#!/bin/sh\necho 'default_process_types:'\necho '  web: first'\necho '  other: first'\n",
	})
	in := input(source(t, map[string]string{"build.sh": "echo \"first says $FROM_FIRST\"\n"}))
	in.Buildpacks = []string{"first", "shell"}
	var log bytes.Buffer
	r, err := w.Build(t.Context(), in, &log)
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	if !strings.Contains(log.String(), "first says 1") {
		t.Errorf("no export:\n%s", &log)
	}
	want := []ProcessType{{"other", "first"}, {"web", "./serve"}, {"worker", "./work"}}
	if diff := cmp.Diff(want, r.ProcessTypes); diff != "" {
		t.Errorf("the last buildpack's types win (-want +got):\n%s", diff)
	}
}

func TestTaskIsConfined(t *testing.T) {
	w := newWorkshop(t, func(c *Config) { c.Registry = Registry{NPM: "https://npm.internal/", CA: []byte("pem")} })
	if _, err := w.Build(t.Context(), input(source(t, map[string]string{"build.sh": "true\n", "Procfile": "web: x\n"})), io.Discard); err != nil {
		t.Fatal(err)
	}
	p := w.engine.tasks[0].Process
	if !p.ReadOnly || p.UID != UID || p.Limits.MemoryBytes == 0 || p.Limits.PIDs == 0 || w.engine.tasks[0].Timeout == 0 || !w.engine.tasks[0].Private {
		t.Errorf("task %+v", w.engine.tasks[0])
	}
	if !slices.Contains(p.Env, driver.EnvVar{Name: "npm_config_registry", Value: "https://npm.internal/"}) {
		t.Errorf("the registry is not in %v", p.Env)
	}
	for _, m := range p.Mounts {
		if m.Path == inputPath && !m.ReadOnly {
			t.Error("the runner's input can be written")
		}
	}
}

func ExampleLaunch() {
	fmt.Println(Launch("npm start"))
	// Output: [/usr/local/bin/launch npm start]
}

// A build that fails on a full disk is told so: what tools print about it comes
// in many words.
func TestFullDisk(t *testing.T) {
	for used, says := range map[int64]string{500: "Its output says why", 995: "it filled its disk of 4096 MiB"} {
		w := newWorkshop(t, nil)
		w.engine.used = used
		_, err := w.Build(t.Context(), input(source(t, map[string]string{"build.sh": "exit 1\n", "Procfile": "web: x\n"})), io.Discard)
		if fault.Of(err) != fault.Invalid || !strings.Contains(fault.Message(err), says) {
			t.Errorf("%d of 1000 used: %v, want %q", used, err, says)
		}
	}
}
