package server

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"

	"github.com/strongroom/strongroom/internal/alert"
	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/blob"
	"github.com/strongroom/strongroom/internal/ciphers"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/remote"
	"github.com/strongroom/strongroom/internal/gateway"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/operation"
	"github.com/strongroom/strongroom/internal/outside"
	"github.com/strongroom/strongroom/internal/probe"
	"github.com/strongroom/strongroom/internal/reconcile"
	"github.com/strongroom/strongroom/internal/recording"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/shell"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/store/sqlite"
	"github.com/strongroom/strongroom/internal/supervise"
	"github.com/strongroom/strongroom/internal/view"
)

// parts are what Run constructs, top to bottom.
type parts struct {
	cfg          Config
	log          *slog.Logger
	store        *sqlite.Store
	installation *document.Installation
	signer       *ledger.Signer
	checkpoints  *control.Checkpoints
	keyring      *secret.Keyring
	kernel       *control.Kernel
	blobs        *blob.Store
	recorder     *recording.Recorder
	driver       driver.Driver
	processes    reconcile.Processes
	desk         *shell.Desk
	runner       *operation.Runner
	loop         *reconcile.Loop
	deploys      *deploys
	prober       *probe.Prober
	outside      *outside.Observers
	programme    *compliance.Programme
	checks       *compliance.Engine
	alerts       *alert.Sender
	noteSigner   note.Signer
	certificate  []byte // that the API shows, DER
}

// Run serves until ctx ends. It refuses to serve a ledger that is damaged, that
// lost entries, or that a later version wrote, and says so.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	if err := cfg.defaults(); err != nil {
		return err
	}
	// First of all: an inherited passphrase is closed before anything is started.
	master, err := openMaster(ctx, cfg)
	if err != nil {
		return err
	}
	p := &parts{cfg: cfg, log: log}
	if err := p.openLedger(ctx); err != nil {
		return err
	}
	defer p.store.Close()
	if err := p.construct(master); err != nil {
		return err
	}
	return p.serve(ctx)
}

// openLedger opens, verifies and anchors the ledger before anything is served.
func (p *parts) openLedger(ctx context.Context) (err error) {
	if p.store, err = sqlite.Open(ctx, p.cfg.ledgerPath(), p.log); err != nil {
		return err
	}
	if err := p.checkLedger(ctx); err != nil {
		return errors.Join(err, p.store.Close())
	}
	return nil
}

func (p *parts) checkLedger(ctx context.Context) error {
	started := time.Now()
	if err := p.store.Verify(ctx, p.progress(started)); err != nil {
		return err
	}
	if err := p.store.Read(ctx, func(v store.View) (err error) {
		p.installation, err = store.One[*document.Installation](v, "all", "")
		return err
	}); err != nil {
		return err
	}
	var err error
	if p.signer, p.noteSigner, err = newSigner(p.cfg, p.installation.ID, p.installation.LogNumber, p.installation.LogKey); err != nil {
		return err
	}
	if _, signed := p.signer.Newest(); signed == nil {
		return fmt.Errorf("the anchor %s holds no checkpoint, so it cannot be told whether the ledger lost entries: bring the file back", p.cfg.anchorPath())
	}
	p.checkpoints = &control.Checkpoints{Store: p.store, Signer: p.signer, Log: p.log}
	// Signing now compares with the anchored checkpoint: a database restored
	// from an old copy is refused here.
	c, _, err := p.checkpoints.Sign(ctx)
	if err != nil {
		return fmt.Errorf("the ledger does not continue what was signed before: %w", err)
	}
	p.log.Info("ledger verified", "entries", c.Size, "took", time.Since(started).Round(time.Millisecond))
	return nil
}

// newSigner opens the log's key and the anchor outside the database.
func newSigner(cfg Config, installation string, logNumber int, vkey string) (*ledger.Signer, note.Signer, error) {
	skey, err := os.ReadFile(cfg.logKeyPath())
	if err != nil {
		return nil, nil, fmt.Errorf("the log's key: %w", err)
	}
	key, err := note.NewSigner(strings.TrimSpace(string(skey)))
	if err != nil {
		return nil, nil, fmt.Errorf("the log's key %s: %w", cfg.logKeyPath(), err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, nil, fmt.Errorf("the log's verifier key: %w", err)
	}
	s, err := ledger.NewSigner(ledger.SignerConfig{
		Origin: ledger.Origin(installation, int64(logNumber)), Anchor: ledger.NewFileAnchor(cfg.anchorPath()),
		Signers: []note.Signer{key}, Keys: []note.Verifier{verifier},
	})
	return s, key, err
}

// progress logs every two seconds, for ledgers that take long.
func (p *parts) progress(started time.Time) func(done, total int64) {
	next := started.Add(2 * time.Second)
	return func(done, total int64) {
		if now := time.Now(); now.After(next) {
			next = now.Add(2 * time.Second)
			p.log.Info("verifying the ledger", "entries", done, "of", total)
		}
	}
}

func (p *parts) construct(master secret.KeyWrapper) (err error) {
	p.keyring = secret.NewKeyring(master, p.store)
	p.kernel = control.New(control.Config{Store: p.store, Keyring: p.keyring, Log: p.log})
	if p.blobs, err = blob.Open(p.cfg.serverPath("blobs"), p.keyring); err != nil {
		return err
	}
	p.recorder, err = recording.New(recording.Config{Dir: p.cfg.serverPath("recordings"), Keys: p.keyring, Blobs: p.blobs})
	if err != nil {
		return err
	}
	p.driver = remote.Dial(p.cfg.engineSocket())
	p.processes = reconcile.Processes{Store: p.store, Keyring: p.keyring}
	p.desk = shell.New(shell.Config{
		Processes: p.processes, Kernel: p.kernel, Driver: p.driver, Recorder: p.recorder, Log: p.log, Now: time.Now,
	})
	p.runner = operation.New(operation.Config{
		Processes: p.processes, Kernel: p.kernel, Driver: p.driver, Blobs: p.blobs, Repositories: repositories{p}, Log: p.log, Now: time.Now,
	})
	p.loop = reconcile.New(reconcile.Config{
		Processes: p.processes, Kernel: p.kernel, Driver: p.driver, Log: p.log, Now: time.Now,
	})
	p.prober = probe.New(probe.Config{
		Store: p.store, Kernel: p.kernel, Driver: p.driver, Builds: buildSpaceID(p.installation.ID), Log: p.log, Now: time.Now,
	})
	if p.outside, err = outside.New(outside.Config{
		Store: p.store, Checkpoints: p.checkpoints, Kernel: p.kernel, Witnesses: p.cfg.Witnesses, Timestamps: p.cfg.Timestamps, Dir: p.cfg.outsidePath(), Log: p.log, Now: time.Now,
	}); err != nil {
		return err
	}
	if p.programme, err = newProgramme(p.reach(), p.cfg.Catalogue); err != nil {
		return err
	}
	p.checks = newCompliance(p)
	if p.alerts, err = newAlerts(p); err != nil {
		return err
	}
	p.deploys, err = newDeploys(p)
	return err
}

// serve listens, then starts what works by itself, and stops in reverse.
func (p *parts) serve(ctx context.Context) error {
	readers, stream := newLogs(p)
	handler, err := p.handler(readers, stream)
	if err != nil {
		return err
	}
	tlsConfig, err := p.tls()
	if err != nil {
		return err
	}
	apiListener, err := net.Listen("tcp", p.cfg.API)
	if err != nil {
		return fmt.Errorf("listen for the API: %w", err)
	}
	rendezvousListener, err := net.Listen("tcp", p.cfg.Rendezvous)
	if err != nil {
		return fmt.Errorf("listen for sessions: %w", err)
	}
	bastionListener, err := net.Listen("tcp", p.cfg.Bastion)
	if err != nil {
		return fmt.Errorf("listen for database tunnels: %w", err)
	}
	rendezvous, err := gateway.NewRendezvous(gateway.RendezvousConfig{Sessions: p.desk, TLS: tlsConfig, Log: p.log})
	if err != nil {
		return err
	}
	hostKey, err := p.bastionKey()
	if err != nil {
		return err
	}
	bastion, err := gateway.NewBastion(gateway.BastionConfig{Tunnels: p.desk, HostKey: hostKey, Log: p.log})
	if err != nil {
		return err
	}
	return p.run(ctx, handler, tlsConfig, apiListener, func(ctx context.Context) error {
		return rendezvous.Serve(ctx, rendezvousListener)
	}, func(ctx context.Context) error {
		return bastion.Serve(ctx, bastionListener)
	}, func(ctx context.Context) error {
		return readers.watch(ctx, p)
	})
}

// run starts the kernel first and stops it last: whatever ends records its end,
// and the last checkpoint covers what it recorded.
func (p *parts) run(ctx context.Context, handler http.Handler, tlsConfig *tls.Config, l net.Listener, edges ...func(context.Context) error) error {
	stopKernel := last(ctx, p.kernel.Run)
	stopCheckpoints := last(ctx, p.checkpoints.Run)
	err := errors.Join(p.recordStart(ctx), p.desk.Recover(ctx))
	if err == nil {
		g, gctx := errgroup.WithContext(ctx)
		for _, serve := range edges {
			g.Go(func() error { return serve(gctx) })
		}
		g.Go(func() error { return p.desk.Run(gctx) })
		g.Go(func() error { return p.runner.Run(gctx) })
		g.Go(func() error { return p.loop.Run(gctx) })
		g.Go(func() error { return p.deploys.run(gctx) })
		g.Go(func() error { return p.prober.Run(gctx) })
		g.Go(func() error { return p.checks.Run(gctx) })
		g.Go(func() error { return p.outside.Run(gctx) })
		g.Go(func() error { return p.alerts.Run(gctx) })
		g.Go(func() error { return p.answer(gctx) })
		g.Go(func() error { return serveHTTP(gctx, handler, tlsConfig, l) })
		p.log.Info("serving", "api", p.cfg.apiURL(), "fingerprint", ledger.Fingerprint(p.installation.LogKey))
		err = g.Wait()
	}
	return errors.Join(err, stopKernel(), stopCheckpoints())
}

// last starts what outlives ctx, and gives what stops it and waits for its end.
func last(ctx context.Context, serve func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- serve(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

// answer tells a supervisor who this is.
func (p *parts) answer(ctx context.Context) error {
	build, err := supervise.BuildID()
	if err != nil {
		return err
	}
	// A supervisor has made the directory; by hand there may be none.
	if err := os.MkdirAll(filepath.Dir(p.cfg.controlSocket()), 0o700); err != nil {
		return fmt.Errorf("the control socket: %w", err)
	}
	return supervise.Serve(ctx, p.cfg.controlSocket(), "server", build)
}

func serveHTTP(ctx context.Context, h http.Handler, tlsConfig *tls.Config, l net.Listener) error {
	s := &http.Server{
		Handler: h, TLSConfig: tlsConfig, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		// Requests end with the server, log streams above all.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- s.Shutdown(grace)
	}()
	if err := s.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the API: %w", err)
	}
	if err := <-stopped; err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

func (p *parts) tls() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(p.cfg.tlsPath("cert.pem"), p.cfg.tlsPath("key.pem"))
	if err != nil {
		return nil, fmt.Errorf("the API's certificate: %w", err)
	}
	p.certificate = pair.Certificate[0]
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12,
		CipherSuites: ciphers.TLS12(),
	}, nil
}

// bastionKey is made at the first start.
func (p *parts) bastionKey() (ssh.Signer, error) {
	path := p.cfg.serverPath("bastion.key")
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if raw, _, err = gateway.NewKey("bastion"); err != nil {
			return nil, err
		}
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("the bastion's key: %w", err)
	}
	return ssh.ParsePrivateKey(raw)
}

func (p *parts) buildKey() (ed25519.PrivateKey, error) {
	raw, err := os.ReadFile(p.cfg.buildKeyPath())
	if err != nil {
		return nil, fmt.Errorf("the build key: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("the build key %s cannot be read", p.cfg.buildKeyPath())
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the build key: %w", err)
	}
	ed, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the build key is a %T; an Ed25519 key is needed", key)
	}
	return ed, nil
}

// handler is the API with what other parts do for it.
func (p *parts) handler(logs api.Logs, stream http.Handler) (http.Handler, error) {
	a := &adapters{p}
	return api.New(api.Config{
		Store: p.store, Kernel: p.kernel, Checkpoints: p.checkpoints, Blobs: p.blobs, Domain: p.cfg.Domain, Version: p.cfg.Version, Help: p.cfg.Help,
		Site:      view.Site{API: p.cfg.apiURL(), Git: p.cfg.apiURL(), Region: "virginia", Since: p.installation.CreatedAt, AppPort: p.cfg.EdgePort},
		Terminals: a, Bastion: a, Network: a, Logs: logs, LogStream: stream, Git: p.deploys.git, Evidence: newEvidence(p), Probes: p.prober,
		Programme: p.programme, Live: a.live, Log: p.log, TrustedProxies: p.cfg.proxies, RatePerHour: p.cfg.RatePerHour,
	})
}
