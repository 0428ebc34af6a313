package simulation

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/blob"
	"github.com/strongroom/strongroom/internal/command/installation"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/store/sqlite"
)

// site is the installation in which a year is lived: all of a server's parts but
// those that reach outside.
type site struct {
	Store        *sqlite.Store
	Kernel       *control.Kernel
	Checkpoints  *control.Checkpoints
	Installation *document.Installation
	LogKey       string // verifier key

	blobs  *blob.Store
	signer note.Signer
	root   *person
	stop   context.CancelFunc
	done   chan error

	mu  sync.Mutex
	now time.Time
}

// Year is a simulated installation at its end.
type Year struct {
	*site
	Programme *compliance.Programme // as its checks ran
	Truth     Truth
}

// Now is the simulation's clock.
func (s *site) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *site) set(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = t
}

// Close stops the kernel and closes the ledger.
func (s *site) Close() error {
	s.stop()
	return errors.Join(<-s.done, s.Store.Close())
}

func newSite(ctx context.Context, cfg Config) (*site, error) {
	s := &site{now: Begin, done: make(chan error, 1)}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	master := filepath.Join(cfg.Dir, "master.key")
	if err := secret.CreateMasterFile(master); err != nil {
		return nil, err
	}
	wrapper, err := secret.OpenMasterFile(master)
	if err != nil {
		return nil, err
	}
	if s.Store, err = sqlite.Create(ctx, filepath.Join(cfg.Dir, "ledger.db"), cfg.Log); err != nil {
		return nil, err
	}
	keyring := secret.NewKeyring(wrapper, s.Store)
	s.Kernel = control.New(control.Config{Store: s.Store, Keyring: keyring, Log: cfg.Log, Now: s.Now})
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go func() { s.done <- s.Kernel.Run(run) }()
	if s.blobs, err = blob.Open(filepath.Join(cfg.Dir, "blobs"), keyring); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.begin(ctx, cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// begin appends entry 0, and makes the keys that it names.
func (s *site) begin(ctx context.Context, cfg Config) error {
	id := uuid.NewString()
	origin := ledger.Origin(id, 1)
	skey, vkey, err := ledger.GenerateKey(rand.Reader, origin)
	if err != nil {
		return err
	}
	if s.signer, err = note.NewSigner(skey); err != nil {
		return err
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	signer, err := ledger.NewSigner(ledger.SignerConfig{
		Origin: origin, Anchor: ledger.NewFileAnchor(filepath.Join(cfg.Dir, "anchor")), Signers: []note.Signer{s.signer}, Keys: []note.Verifier{verifier},
	})
	if err != nil {
		return err
	}
	s.Checkpoints = &control.Checkpoints{Store: s.Store, Signer: signer, Log: quiet}
	s.LogKey = vkey
	create := &installation.Create{ID: id, Name: "simulated.invalid", LogKey: vkey, Version: "simulation", Email: "root@" + domain, Simulated: true}
	if _, err := s.Kernel.Execute(ctx, create, platform); err != nil {
		return err
	}
	s.root = &person{name: "root", id: create.Account, email: create.Email}
	return s.Store.Read(ctx, func(v store.View) (err error) {
		s.Installation, err = store.One[*document.Installation](v, "all", "")
		return err
	})
}

// Export makes the pack of a space over the whole year, as an auditor of its
// team gets it, also if the space did not live to its end.
func (y *Year) Export(ctx context.Context, space string, out io.Writer) error {
	x := evidence.New(evidence.Config{
		Store: y.Store, Kernel: y.Kernel, Checkpoints: y.Checkpoints, Blobs: y.blobs, Signer: y.signer, Installation: y.Installation,
		Programme: y.Programme, Program: "strongroom simulate", Now: y.Now,
	})
	_, ended := y.Truth.Ended(space)
	q := evidence.Request{Space: space, Ended: ended, From: y.Truth.First, To: y.Truth.Last.Add(time.Second)}
	return x.Export(ctx, y.Truth.auditor(space), q, func(string) io.Writer { return out })
}

var platform = control.System("simulation", ledger.ViaScheduler)
