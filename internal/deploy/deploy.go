// Package deploy turns a git push into a build and a release: it lets pushers
// in, runs the build, and records each step in the pusher's name.
//
// internal/server gives it to build/git as Gate and Deployer.
package deploy

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/blob"
	"github.com/strongroom/strongroom/internal/build"
	"github.com/strongroom/strongroom/internal/build/git"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/reconcile"
	"github.com/strongroom/strongroom/internal/store"
)

// Config of a Deployer.
type Config struct {
	reconcile.Processes
	Kernel *control.Kernel
	Blobs  *blob.Store
	Build  Builder
	// Key verifies the provenance of builds before anything is released.
	Key ed25519.PublicKey
	// Space is the id of the space whose network builds use.
	Space string
	// Volumes hold what builds keep for the next one.
	Volumes Volumes
	// CacheBytes is how much that may be, for each app; default 512 MiB.
	CacheBytes int64
	// Authenticate gives the actor behind a request, via git.
	Authenticate func(r *http.Request) (control.By, error)
	// WebURL is where an app's default domain is reached, for the pusher.
	WebURL func(app string) string
	Log    *slog.Logger
}

// Builder makes an image of a source; build.Builder does.
type Builder interface {
	Build(ctx context.Context, in build.Input, out io.Writer) (build.Result, error)
}

// Deployer implements git.Gate and git.Deployer.
type Deployer struct {
	cfg Config

	mu   sync.Mutex
	owed []string // builds whose end the ledger did not take
}

// New returns a Deployer.
func New(cfg Config) *Deployer {
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 512 << 20
	}
	return &Deployer{cfg: cfg}
}

// Authorize implements git.Gate.
func (d *Deployer) Authorize(r *http.Request, name string, write bool) (git.Repo, error) {
	by, err := d.cfg.Authenticate(r)
	if err != nil {
		return git.Repo{}, err
	}
	by.Via = ledger.ViaGit
	access := &Access{App: name, Write: write}
	if _, err := d.cfg.Kernel.Execute(r.Context(), access, by); err != nil {
		return git.Repo{}, err
	}
	return git.Repo{App: access.Result.ID, Name: access.Result.Name, Actor: by}, nil
}

// Deploy implements git.Deployer.
func (d *Deployer) Deploy(ctx context.Context, push git.Push, out io.Writer) error {
	by, ok := push.Repo.Actor.(control.By)
	if !ok {
		return fmt.Errorf("deploy: the push has no actor")
	}
	start := &releases.StartBuild{App: push.Repo.App, Commit: push.Commit}
	if err := d.brings(ctx, push, start); err != nil {
		return err
	}
	seq, err := d.cfg.Kernel.Execute(ctx, start, by)
	if err != nil {
		return err
	}
	var log bytes.Buffer
	result, buildErr := d.build(ctx, push, start.Build, io.MultiWriter(out, &log))
	finish := &releases.FinishBuild{ID: start.Build.ID}
	if err := d.keep(ctx, start.Build.Space, finish, log.Bytes(), result); err != nil {
		// What cannot be proven is not released; that the build ended is on
		// record all the same.
		finish, buildErr = &releases.FinishBuild{ID: start.Build.ID}, err
	}
	if buildErr != nil {
		d.cfg.Log.Warn("build failed", "app", push.Repo.Name, "build", start.Build.ID, "error", buildErr)
		finish.Failed = failure(buildErr)
	}
	system := control.System("build", ledger.ViaGit)
	system.Cause = &seq
	if _, err := d.cfg.Kernel.Execute(context.WithoutCancel(ctx), finish, system); err != nil {
		d.owe(start.Build.ID)
		return err
	}
	if buildErr != nil {
		return buildErr
	}
	if finish.Release == nil { // the pusher lost the right to deploy meanwhile
		return fault.New(fault.Forbidden, "%s", finish.Failed)
	}
	d.tell(out, push, finish)
	return nil
}

// maxMakers bounds how many people the commits of a push may name.
const maxMakers = 10_000

// brings finds whose work the push brings over the code that is live.
func (d *Deployer) brings(ctx context.Context, push git.Push, start *releases.StartBuild) error {
	live, pushed := "", map[string]bool{}
	if err := d.cfg.Store.Read(ctx, func(v store.View) error {
		current, err := store.Find[*document.Release](v, "current", push.Repo.App)
		if err != nil {
			return err
		}
		for _, r := range current {
			live = r.Commit
		}
		builds, err := store.Find[*document.Build](v, "app", push.Repo.App)
		for _, b := range builds {
			pushed[b.Commit] = true
		}
		return err
	}); err != nil {
		return err
	}
	seen := map[string]bool{}
	return push.Commits(ctx, live, func(c git.Commit) error {
		if pushed[c.ID] {
			start.Parts = append(start.Parts, c.ID)
		}
		for _, e := range c.Emails {
			if !seen[e] {
				seen[e] = true
				start.Claimed = append(start.Claimed, e)
			}
		}
		if len(seen) > maxMakers {
			return fault.New(fault.Invalid, "The commits of this push name more than %d people.", maxMakers)
		}
		return nil
	})
}

// Recover ends on record the builds that a stop of the server broke off. Call
// it before serving.
func (d *Deployer) Recover(ctx context.Context) error {
	var broken []*document.Build
	if err := d.cfg.Store.Read(ctx, func(v store.View) (err error) {
		broken, err = store.Find[*document.Build](v, "open", "")
		return err
	}); err != nil {
		return err
	}
	for _, b := range broken {
		if err := d.end(ctx, b.ID, "The server stopped while it ran. Push again."); err != nil {
			return err
		}
	}
	return nil
}

// end records that a build has failed, unless it has ended or is gone.
func (d *Deployer) end(ctx context.Context, build, why string) error {
	end := &releases.FinishBuild{ID: build, Failed: why}
	if _, err := d.cfg.Kernel.Execute(ctx, end, control.System("build", ledger.ViaGit)); err != nil && fault.Of(err) != fault.Conflict && fault.Of(err) != fault.NotFound {
		return fmt.Errorf("end the build %s: %w", build, err)
	}
	return nil
}

func (d *Deployer) owe(build string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.owed = append(d.owed, build)
}

// tryAgain is how often a build's end is tried to be recorded.
const tryAgain = time.Second

// Run ends on record, until ctx ends, the builds whose end the ledger did not
// take. Their pushes were refused, so they have failed whatever they made.
func (d *Deployer) Run(ctx context.Context) error {
	tick := time.NewTicker(tryAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		d.mu.Lock()
		owed := d.owed
		d.owed = nil
		d.mu.Unlock()
		for _, b := range owed {
			if err := d.end(ctx, b, "Its end could not be recorded when it came. Push again."); err != nil {
				d.owe(b)
			}
		}
	}
}

func failure(err error) string {
	if m := fault.Message(err); m != "" {
		return m
	}
	return "The build failed."
}

// build runs the builder on the pushed tree.
func (d *Deployer) build(ctx context.Context, push git.Push, b *document.Build, out io.Writer) (*build.Result, error) {
	source, err := push.Archive(ctx)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	in := build.Input{
		BuildID: b.ID, App: b.App, AppName: push.Repo.Name, Space: d.cfg.Space, Commit: push.Commit,
		Source: source, SourceURI: "git+strongroom:" + push.Repo.Name,
	}
	if err := d.fill(ctx, &in); err != nil {
		return nil, err
	}
	in.CacheVolume = d.cache(ctx, b)
	result, err := d.cfg.Build.Build(ctx, in, out)
	d.closeCache(ctx, in.CacheVolume, err != nil)
	if err != nil {
		return nil, err
	}
	if err := result.Check(ctx, d.cfg.Key); err != nil {
		return nil, err
	}
	return &result, nil
}

// fill adds the app's buildpacks and config vars: a build may need them, as on
// Heroku.
func (d *Deployer) fill(ctx context.Context, in *build.Input) error {
	var cfg *document.Config
	if err := d.cfg.Store.Read(ctx, func(v store.View) (err error) {
		list, err := v.Get(document.KindBuildpackList, in.App)
		if err != nil {
			return err
		}
		if l, ok := list.(*document.BuildpackList); ok {
			in.Buildpacks = l.URLs
		}
		cfg, err = store.Get[*document.Config](v, in.App)
		return err
	}); err != nil {
		return err
	}
	values, err := config.Open(ctx, d.cfg.Keyring, cfg)
	if err != nil {
		return err
	}
	for _, x := range cfg.Vars {
		in.Env = append(in.Env, driver.EnvVar{Name: x.Name, Value: string(values[x.Name].Reveal())})
	}
	return nil
}

// keep stores the build's bulk evidence and describes the slug.
func (d *Deployer) keep(ctx context.Context, scope string, f *releases.FinishBuild, log []byte, r *build.Result) error {
	ctx = context.WithoutCancel(ctx)
	var err error
	if f.Log, err = d.put(ctx, scope, log, "text/plain", "build-log"); err != nil || r == nil {
		return err
	}
	if f.SBOM, err = d.put(ctx, scope, r.SBOM, "application/vnd.cyclonedx+json", "sbom"); err != nil {
		return err
	}
	if f.Statement, err = d.put(ctx, scope, r.Provenance, "application/vnd.dsse.envelope.v1+json", "provenance"); err != nil {
		return err
	}
	var used []string
	for _, b := range r.Buildpacks {
		used = append(used, b.Name)
	}
	f.Buildpack = strings.Join(used, " ")
	f.Slug = document.Slug{Image: r.Image, Size: r.SlugBytes}
	for _, p := range r.ProcessTypes {
		f.Slug.Processes = append(f.Slug.Processes, document.Process{Type: p.Type, Command: p.Command})
	}
	if r.Release != "" {
		f.Slug.Processes = append(f.Slug.Processes, document.Process{Type: "release", Command: r.Release})
	}
	sort.Slice(f.Slug.Processes, func(i, j int) bool { return f.Slug.Processes[i].Type < f.Slug.Processes[j].Type })
	return nil
}

func (d *Deployer) put(ctx context.Context, scope string, b []byte, mediaType, role string) (*ledger.Blob, error) {
	ref, err := d.cfg.Blobs.Put(ctx, &scope, bytes.NewReader(b), int64(len(b))+1)
	if err != nil {
		return nil, err
	}
	return &ledger.Blob{SHA256: ref.SHA256, Size: ref.Size, MediaType: mediaType, Role: role}, nil
}

// tell says what became of the push.
func (d *Deployer) tell(out io.Writer, push git.Push, f *releases.FinishBuild) {
	r := f.Release
	switch r.Status {
	case document.ReleaseWaiting:
		fmt.Fprintf(out, "-----> Release v%d waits for the approval of a second person:\n       strongroom releases:approve v%d --app %s\n", r.Version, r.Version, push.Repo.Name)
	case document.ReleasePending:
		fmt.Fprintf(out, "-----> Release v%d runs its release phase\n", r.Version)
	default:
		fmt.Fprintf(out, "-----> Released v%d\n       %s deployed to Strongroom\n", r.Version, d.cfg.WebURL(push.Repo.Name))
	}
}
