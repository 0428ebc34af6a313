package server

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/build"
	"github.com/strongroom/strongroom/internal/build/git"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/installation"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/deploy"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/image"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// deploys are git pushes. They work once the engine is there, has the
// platform's images, and has the network that builds use.
type deploys struct {
	p     *parts
	git   http.Handler
	ready atomic.Pointer[git.Handler]

	deployer *deploy.Deployer // once it is ready
}

func newDeploys(p *parts) (*deploys, error) {
	d := &deploys{p: p}
	d.git = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := d.ready.Load()
		if h == nil {
			http.Error(w, "Builds are not ready yet: the engine is starting. Try again in a moment.", http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	})
	return d, nil
}

// repositories are removed by the git handler, which is not there at once.
type repositories struct{ p *parts }

// Remove implements operation.Repositories.
func (r repositories) Remove(ctx context.Context, app string) error {
	h := r.p.deploys.ready.Load()
	if h == nil {
		return fault.New(fault.Unavailable, "builds are not ready yet")
	}
	return h.Remove(ctx, app)
}

// imageNames are the platform's own images, in the order in which they are needed
// by those who begin: the largest, for builds, last.
var imageNames = []string{"postgres", "base", "build"}

// run prepares builds, trying until it succeeds, and keeps the handler until
// ctx ends.
func (d *deploys) run(ctx context.Context) error {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := d.prepare(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return nil
		}
		d.p.log.Warn("builds are not ready yet", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
	var following sync.WaitGroup
	following.Go(func() { d.follow(ctx) })
	err := d.deployer.Run(ctx)
	following.Wait()
	return errors.Join(err, d.ready.Load().Close())
}

// follow keeps the builds' network in step with what names resolve into, until
// ctx ends.
func (d *deploys) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(5 * time.Minute):
		}
		if err := d.p.driver.EnsureSpace(ctx, d.buildSpace(ctx)); err != nil && ctx.Err() == nil {
			d.p.log.Warn("the builds' network", "error", err)
		}
	}
}

func (d *deploys) prepare(ctx context.Context) error {
	observed, err := d.p.driver.Observe(ctx)
	if err != nil {
		return err
	}
	digests := map[string]string{}
	for _, name := range imageNames {
		digest, err := d.importImage(ctx, name, observed.Images)
		if err != nil {
			return fmt.Errorf("image %s: %w", name, err)
		}
		digests[name] = digest
	}
	space := d.buildSpace(ctx)
	if err := d.p.driver.EnsureSpace(ctx, space); err != nil {
		return fmt.Errorf("the builds' network: %w", err)
	}
	h, err := d.handler(ctx, space.ID, digests["build"])
	if err != nil {
		return err
	}
	d.ready.Store(h)
	d.p.log.Info("builds are ready")
	return nil
}

// importImage gives an image to the engine, unless it has it, and puts on record
// which it is.
func (d *deploys) importImage(ctx context.Context, name string, there []string) (string, error) {
	digest, err := d.provide(ctx, d.p.cfg.imagePath(name), there)
	if err != nil {
		return "", err
	}
	var have []*document.Image
	if err := d.p.store.Read(ctx, func(v store.View) (err error) {
		have, err = store.Find[*document.Image](v, "name", name)
		return err
	}); err != nil {
		return "", err
	}
	if len(have) > 0 && have[0].Digest == digest {
		return digest, nil
	}
	by := control.System("images", ledger.ViaScheduler)
	_, err = d.p.kernel.Execute(ctx, &installation.RecordImage{Image: document.Image{Name: name, Digest: digest}}, by)
	return digest, err
}

func (d *deploys) provide(ctx context.Context, path string, there []string) (digest string, err error) {
	archive, err := image.Open(path)
	if err != nil {
		return "", err
	}
	defer archive.Close()
	if slices.Contains(there, archive.Digest()) {
		return archive.Digest(), nil
	}
	return d.p.driver.ImportImage(ctx, archive.All())
}

func (d *deploys) handler(ctx context.Context, space, buildImage string) (*git.Handler, error) {
	p := d.p
	key, err := p.buildKey()
	if err != nil {
		return nil, err
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fault.New(fault.Invalid, "the build key is a %T", key.Public())
	}
	if err := p.publishBuildKey(ctx, public); err != nil {
		return nil, err
	}
	work := p.cfg.serverPath("builds")
	if err := os.MkdirAll(work, 0o700); err != nil {
		return nil, err
	}
	registry := build.Registry{NPM: p.cfg.Build.Registry, HTTPSProxy: p.cfg.Build.Proxy, NoProxy: p.cfg.Build.NoProxy}
	if p.cfg.Build.CAFile != "" {
		if registry.CA, err = os.ReadFile(p.cfg.Build.CAFile); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "build.ca_file: %s cannot be read", p.cfg.Build.CAFile)
		}
	}
	bounds := p.cfg.Build
	timeout, err := bounds.timeout()
	if err != nil {
		return nil, err
	}
	builder, err := build.New(p.driver, build.Config{
		Timeout: timeout, MaxSource: bounds.SourceMiB << 20, MaxSlug: bounds.SlugMiB << 20, ScratchBytes: bounds.ScratchMiB << 20,
		MaxLog: bounds.LogKiB << 10, Limits: driver.Limits{MemoryBytes: bounds.MemoryMiB << 20},
		WorkDir: work, BaseArchive: p.cfg.imagePath("base"), BuildImage: buildImage, Key: key,
		BuilderID: "https://strongroom.dev/builder/" + p.installation.ID, Registry: registry, BuildpackDir: p.cfg.Build.Buildpacks, Log: p.log,
	})
	if err != nil {
		return nil, err
	}
	caches, err := d.caches(ctx)
	if err != nil {
		return nil, err
	}
	if err := builder.Recover(ctx, space, caches); err != nil {
		return nil, err
	}
	d.deployer = deploy.New(deploy.Config{
		Processes: p.processes, Kernel: p.kernel, Blobs: p.blobs, Build: builder, Space: space, Volumes: p.driver, Key: public, Log: p.log,
		Authenticate: p.authenticate, WebURL: p.webURL,
	})
	if err := d.deployer.Recover(ctx); err != nil {
		return nil, err
	}
	return git.New(git.Config{Root: p.cfg.serverPath("git"), MaxPush: bounds.PushMiB << 20, Log: p.log}, d.deployer, d.deployer)
}

// caches are the volumes that the apps' builds keep things in.
func (d *deploys) caches(ctx context.Context) (list []string, err error) {
	err = d.p.store.Read(ctx, func(v store.View) error {
		all, err := store.Find[*document.App](v, "all", "")
		for _, a := range all {
			list = append(list, apps.BuildCache(a.ID))
		}
		return err
	})
	return list, err
}

// publishBuildKey puts on record what the provenance of builds is checked with.
func (p *parts) publishBuildKey(ctx context.Context, key ed25519.PublicKey) error {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return err
	}
	cmd := &installation.RecordBuildKey{PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
	if _, err := p.kernel.Execute(ctx, cmd, control.System("builds", ledger.ViaScheduler)); err != nil && fault.Of(err) != fault.Conflict {
		return fmt.Errorf("record the build key: %w", err)
	}
	return nil
}

func (p *parts) webURL(app string) string {
	host := app + "." + p.cfg.Domain
	if p.cfg.EdgePort != 443 {
		host = net.JoinHostPort(host, strconv.Itoa(p.cfg.EdgePort))
	}
	return "https://" + host + "/"
}
