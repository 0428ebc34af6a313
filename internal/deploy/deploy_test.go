package deploy_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/blob"
	"github.com/strongroom/strongroom/internal/build"
	"github.com/strongroom/strongroom/internal/build/git"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/deploy"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/memory"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/reconcile"
	"github.com/strongroom/strongroom/internal/secret"
)

// builder stands in for build.Builder, which needs containers: it reads the
// source and does what the test says.
type builder struct {
	in    build.Input
	files []string
	then  func(out io.Writer) (build.Result, error)
}

func (b *builder) Build(_ context.Context, in build.Input, out io.Writer) (build.Result, error) {
	b.in, b.files = in, nil
	for r := tar.NewReader(in.Source); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return build.Result{}, err
		}
		b.files = append(b.files, h.Name)
	}
	return b.then(out)
}

// buildKey signs what good builds.
var buildKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// envelope is a provenance of the image: signed, and about nothing else.
func envelope(image string, key ed25519.PrivateKey) []byte {
	const payloadType = "application/vnd.in-toto+json"
	payload := fmt.Sprintf(`{"subject":[{"digest":{"sha256":%q}}]}`, strings.TrimPrefix(image, "sha256:"))
	pae := fmt.Sprintf("DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
	return fmt.Appendf(nil, `{"payloadType":%q,"payload":%q,"signatures":[{"sig":%q}]}`, payloadType,
		base64.StdEncoding.EncodeToString([]byte(payload)), base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(pae))))
}

const goodImage = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func good(out io.Writer) (build.Result, error) {
	fmt.Fprintln(out, "-----> Node.js app detected")
	return build.Result{
		Image: goodImage, SlugBytes: 4096, SBOM: []byte(`{"bomFormat":"CycloneDX"}`), Provenance: envelope(goodImage, buildKey),
		ProcessTypes: []build.ProcessType{{Type: "web", Command: "node server.js"}}, Buildpacks: []build.BuildpackUsed{{Name: "heroku/nodejs"}},
	}, nil
}

// buildSpace is the network of builds.
const buildSpace = "0198c0de-0000-7000-8000-00000000b01d"

// lab is a git server over the world's app clinic, and a work tree.
type lab struct {
	*commandtest.World
	builder  *builder
	engine   *memory.Driver
	deployer *deploy.Deployer
	url      *url.URL
	work     string
}

func newLab(t *testing.T, blobs *blob.Store) *lab {
	t.Helper()
	l := &lab{World: commandtest.New(t, commandtest.Noon), builder: &builder{then: good}, work: filepath.Join(t.TempDir(), "work")}
	if blobs == nil {
		blobs = l.Blobs
	}
	l.engine = memory.New(memory.Config{})
	t.Cleanup(func() { l.engine.Close() })
	if err := l.engine.EnsureSpace(t.Context(), driver.Space{ID: buildSpace, Name: "builds"}); err != nil {
		t.Fatal(err)
	}
	l.deployer = deploy.New(deploy.Config{
		Processes: reconcile.Processes{Store: l.Store, Keyring: l.Keyring}, Kernel: l.Kernel, Blobs: blobs, Build: l.builder,
		Space: buildSpace, Volumes: l.engine, Key: buildKey.Public().(ed25519.PublicKey),
		Log: slog.New(slog.DiscardHandler), WebURL: func(app string) string { return "https://" + app + ".apps.localhost/" },
		Authenticate: func(r *http.Request) (control.By, error) {
			_, name, ok := r.BasicAuth()
			if !ok || l.Accounts[name] == nil {
				return control.By{}, fault.New(fault.Unauthenticated, "Invalid credentials provided.")
			}
			return l.As(name), nil
		},
	})
	h, err := git.New(git.Config{Root: filepath.Join(t.TempDir(), "git")}, l.deployer, l.deployer)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.Close()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	if l.url, err = url.Parse(server.URL); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(l.work, 0o700); err != nil {
		t.Fatal(err)
	}
	l.git("init", "-q", "-b", "main")
	l.commit("server.js")
	return l
}

func (l *lab) git(args ...string) (string, error) {
	cmd := exec.CommandContext(l.T.Context(), "git", args...)
	cmd.Dir = l.work
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + l.work, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org",
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (l *lab) commit(name string) string {
	l.T.Helper()
	if err := os.WriteFile(filepath.Join(l.work, name), []byte(name), 0o600); err != nil {
		l.T.Fatal(err)
	}
	for _, args := range [][]string{{"add", name}, {"commit", "-q", "-m", name}} {
		if out, err := l.git(args...); err != nil {
			l.T.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	out, err := l.git("rev-parse", "HEAD")
	if err != nil {
		l.T.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// remote is the app's repository for somebody, "" for nobody.
func (l *lab) remote(app, who string) string {
	u := *l.url
	if who != "" {
		u.User = url.UserPassword("", who)
	}
	u.Path = "/" + app + ".git"
	return u.String()
}

func (l *lab) push(app, who string) (string, error) {
	return l.git("push", l.remote(app, who), "main")
}

func (l *lab) builds() []*document.Build {
	return commandtest.Find[*document.Build](l.World, "app", l.IDs["app:clinic"])
}

// newest is the build of the newest push.
func (l *lab) newest() *document.Build {
	list := l.builds()
	return list[len(list)-1]
}

func (l *lab) read(digest string) string {
	l.T.Helper()
	ward := l.IDs["space:ward"]
	r, err := l.Blobs.Get(l.T.Context(), &ward, digest)
	if err != nil {
		l.T.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		l.T.Fatal(err)
	}
	return string(b)
}

// TestPush takes a push with the real git to a release that waits.
func TestPush(t *testing.T) {
	l := newLab(t, nil)
	const canary = "CANARY-config"
	l.Do(&config.Set{App: "clinic", Values: map[string]*secret.Value{"NPM_TOKEN": commandtest.Value(canary)}}, l.As("dev"))
	l.Do(&apps.SetBuildpacks{Identity: "clinic", Buildpacks: []string{"nodejs", "ours"}}, l.As("dev"))
	commit := l.commit("package.json")
	before := l.Size()
	out, err := l.push("clinic", "dev")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(out, "Node.js app detected") || !strings.Contains(out, "waits for the approval of a second person") || !strings.Contains(out, "releases:approve v6 --app clinic") {
		t.Errorf("the pusher is told: %s", out)
	}
	if b := l.newest(); !slices.Equal(b.Authors, []string{"a@example.org"}) {
		t.Errorf("written by %q", b.Authors)
	}
	if in := l.builder.in; in.Commit != commit || in.App != l.IDs["app:clinic"] || in.Space != buildSpace || !slices.Contains(l.builder.files, "package.json") {
		t.Errorf("built %+v of %v", in, l.builder.files)
	}
	if got := l.builder.in.Buildpacks; !slices.Equal(got, []string{"heroku/nodejs", "ours"}) {
		t.Errorf("built with %q", got)
	}
	env := map[string]string{}
	for _, e := range l.builder.in.Env {
		env[e.Name] = e.Value
	}
	if env["NPM_TOKEN"] != canary || env["DATABASE_URL"] == "" {
		t.Error("the build was not given the config")
	}
	if where := l.Tells(canary); len(where) > 0 {
		t.Errorf("a config var is told by %v", where)
	}
	b := l.newest()
	slug := commandtest.Get[*document.Slug](l.World, b.Slug)
	if b.Status != document.BuildSucceeded || b.ByEmail != "dev@example.org" || b.Buildpack != "heroku/nodejs" || !strings.Contains(l.read(b.Log), "Node.js app detected") {
		t.Errorf("%+v", b)
	}
	if slug.Commit != commit || l.read(slug.SBOM) != `{"bomFormat":"CycloneDX"}` || l.read(slug.Provenance) == "" || len(slug.Processes) != 1 {
		t.Errorf("%+v", slug)
	}
	lines := l.Since(before)
	got := commandtest.Actions(lines)
	if !slices.Contains(got, "repository.push") || !slices.Contains(got, "build.start") || got[len(got)-1] != "build.finish" {
		t.Errorf("recorded as %v", got)
	}
	start, finish := lines[slices.Index(got, "build.start")], lines[len(lines)-1]
	if start.Actor.Email != "dev@example.org" || start.Via != ledger.ViaGit || finish.Actor.Email != "build" || finish.Cause == nil || *finish.Cause != start.Seq {
		t.Errorf("%v, %v", start, finish)
	}
	l.Do(&releases.Approve{App: "clinic", Identity: "v6"}, l.As("approver"))
}

// TestProvenanceIsChecked has builds whose provenance nobody could verify later.
func TestProvenanceIsChecked(t *testing.T) {
	l := newLab(t, nil)
	for name, raw := range map[string][]byte{
		"none": nil, "unsigned": []byte(`{"payload":""}`),
		"of another key":   envelope(goodImage, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))),
		"of another image": envelope("sha256:"+strings.Repeat("b", 64), buildKey),
	} {
		l.builder.then = func(out io.Writer) (build.Result, error) {
			r, err := good(out)
			r.Provenance = raw
			return r, err
		}
		if out, err := l.push("clinic", "dev"); err == nil {
			t.Errorf("%s: it was pushed: %s", name, out)
		}
		if b := l.newest(); b.Status != document.BuildFailed || b.Slug != "" {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

func TestReleasePhaseIsAProcess(t *testing.T) {
	l := newLab(t, nil)
	l.builder.then = func(out io.Writer) (build.Result, error) {
		r, err := good(out)
		r.Release = "node migrate.js"
		return r, err
	}
	if out, err := l.push("clinic", "dev"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	slug := commandtest.Get[*document.Slug](l.World, l.newest().Slug)
	if !slices.Equal(slug.Processes, []document.Process{{Type: "release", Command: "node migrate.js"}, {Type: "web", Command: "node server.js"}}) {
		t.Errorf("%+v", slug.Processes)
	}
}

// TestWhoMay tries repositories as everybody who may not, and leaves each
// attempt in the scope that it was aimed at.
func TestWhoMay(t *testing.T) {
	l := newLab(t, nil)
	ward := l.IDs["space:ward"]
	for _, who := range []string{"viewer", "auditor", "collab", "stranger", "root"} {
		for _, args := range [][]string{{"push", l.remote("clinic", who), "main"}, {"ls-remote", l.remote("clinic", who)}} {
			before := l.Size()
			out, err := l.git(args...)
			if err == nil {
				t.Errorf("%s may %s", who, args[0])
			}
			lines := l.Since(before)
			if len(lines) == 0 || lines[0].Scope != ward || lines[0].Outcome != ledger.Denied || !strings.HasPrefix(lines[0].Action, "repository.") {
				t.Errorf("%s %s: recorded as %v\n%s", who, args[0], lines, out)
			}
		}
	}
	for _, remote := range []string{l.remote("clinic", ""), l.remote("clinic", "nobody"), l.remote("there-is-none", "dev")} {
		if out, err := l.git("ls-remote", remote); err == nil {
			t.Errorf("%s was read: %s", remote, out)
		}
	}
	// Strangers are told the same of what there is and what there is not.
	there, _ := l.git("ls-remote", l.remote("clinic", "stranger"))
	none, _ := l.git("ls-remote", l.remote("klinic", "stranger"))
	if strings.ReplaceAll(there, "clinic", "klinic") != none {
		t.Errorf("%q differs from %q", there, none)
	}
	if n := len(l.builds()); n != 2 { // the world's
		t.Errorf("%d builds", n)
	}
	if out, err := l.git("ls-remote", l.remote("clinic", "dev")); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestBuildFails(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"of the app's":      {fault.New(fault.Invalid, "npm install exited with status 1."), "npm install exited with status 1."},
		"of the platform's": {errors.New("disk sda1: CANARY-internal"), "The build failed."},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, nil)
			l.builder.then = func(out io.Writer) (build.Result, error) {
				fmt.Fprintln(out, "npm ERR!")
				return build.Result{}, tt.err
			}
			before := len(commandtest.Find[*document.Release](l.World, "app", l.IDs["app:clinic"]))
			out, err := l.push("clinic", "dev")
			if err == nil || !strings.Contains(out, "npm ERR!") {
				t.Errorf("a failed build was pushed: %s", out)
			}
			if b := l.newest(); b.Status != document.BuildFailed || b.Message != tt.want || !strings.Contains(l.read(b.Log), "npm ERR!") {
				t.Errorf("%+v", b)
			}
			if where := l.Tells("CANARY-internal"); len(where) > 0 || strings.Contains(out, "CANARY-internal") {
				t.Errorf("what went wrong inside is told by %v, the pusher: %s", where, out)
			}
			if n := len(commandtest.Find[*document.Release](l.World, "app", l.IDs["app:clinic"])); n != before {
				t.Error("a failed build was released")
			}
			// The next push goes through.
			l.builder.then = good
			if out, err := l.push("clinic", "dev"); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestEvidenceCannotBeStored has the blob store's disk gone: nothing is released
// that could not be proven, and the build does not stay pending.
func TestEvidenceCannotBeStored(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	broken, err := blob.Open(dir, nokeys{})
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, broken)
	if out, err := l.push("clinic", "dev"); err == nil {
		t.Errorf("it was pushed: %s", out)
	}
	if b := l.newest(); b.Status != document.BuildFailed || b.Slug != "" {
		t.Errorf("%+v", b)
	}
}

type nokeys struct{}

func (nokeys) DataKey(context.Context, *string) ([]byte, error) {
	return nil, fault.New(fault.Unavailable, "The evidence store cannot be written to.")
}

// TestPusherLeavesMeanwhile takes the pusher's role away while the build runs.
func TestPusherLeavesMeanwhile(t *testing.T) {
	l := newLab(t, nil)
	l.builder.then = func(out io.Writer) (build.Result, error) {
		l.Do(&teams.RevokeRole{Team: "care", Email: "dev@example.org", Role: authz.Member}, l.As("owner"))
		return good(out)
	}
	out, err := l.push("clinic", "dev")
	if err == nil || !strings.Contains(out, "may no longer deploy") {
		t.Errorf("the pusher is told: %s", out)
	}
	if b := l.newest(); b.Status != document.BuildFailed {
		t.Errorf("%+v", b)
	}
}

// TestAppGoesMeanwhile destroys the app while the build runs.
func TestAppGoesMeanwhile(t *testing.T) {
	l := newLab(t, nil)
	create := &apps.Create{Name: "doomed", Space: "ward"}
	l.Do(create, l.As("dev"))
	l.builder.then = func(out io.Writer) (build.Result, error) {
		l.Do(&apps.Destroy{Identity: "doomed"}, l.As("owner"))
		return good(out)
	}
	if out, err := l.push("doomed", "dev"); err == nil {
		t.Errorf("it was pushed: %s", out)
	}
}

// TestRecover ends builds that a stop broke off.
func TestRecover(t *testing.T) {
	l := newLab(t, nil)
	start := &releases.StartBuild{App: "clinic", Commit: strings.Repeat("c", 40)}
	l.Do(start, l.As("dev"))
	before := l.Size()
	for range 2 {
		if err := l.deployer.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if b := commandtest.Get[*document.Build](l.World, start.Build.ID); b.Status != document.BuildFailed || !strings.Contains(b.Message, "stopped") {
		t.Errorf("%+v", b)
	}
	if n := l.Size() - before; n != 1 {
		t.Errorf("%d entries", n)
	}
}

// TestEndCannotBeRecorded has the ledger take nothing when a build ends: the push
// is refused, and the build ends on record as soon as the ledger takes entries.
func TestEndCannotBeRecorded(t *testing.T) {
	l := newLab(t, nil)
	l.builder.then = func(out io.Writer) (build.Result, error) {
		l.Set(commandtest.Noon.Add(-time.Hour)) // the ledger does not believe the clock
		return good(out)
	}
	if out, err := l.push("clinic", "dev"); err == nil {
		t.Errorf("it was pushed: %s", out)
	}
	l.Set(commandtest.Noon)
	if b := l.newest(); b.Status != document.BuildPending {
		t.Fatalf("%+v", b)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.deployer.Run(ctx) }()
	for deadline := time.Now().Add(30 * time.Second); l.newest().Status == document.BuildPending && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if b := l.newest(); b.Status != document.BuildFailed || !strings.Contains(b.Message, "Push again") {
		t.Errorf("%+v", b)
	}
	l.builder.then = good
	if out, err := l.push("clinic", "dev"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
