package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/store/sqlite"
)

// newLedger makes a ledger with the world in it.
func newLedger(ctx context.Context, w world, path string) (*sqlite.Store, error) {
	s, err := sqlite.Create(ctx, path, quiet)
	if err != nil {
		return nil, err
	}
	if err := s.Write(w.seed); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (p *pool) openStore(ctx context.Context, dir string) (func(int64) error, func() error, error) {
	s, err := newLedger(ctx, wide, filepath.Join(dir, "ledger.db"))
	if err != nil {
		return nil, nil, err
	}
	g := newGroup(func(list []*sample) error {
		return s.Write(func(batch store.Batch) error {
			for _, x := range list {
				if err := x.appendTo(batch); err != nil {
					return err
				}
			}
			return nil
		})
	})
	do := func(n int64) error {
		x, err := p.sample(n)
		if err != nil {
			return err
		}
		return g.submit(x)
	}
	return do, func() error { g.close(); return s.Close() }, nil
}

// openKernel appends as a person does: through control.Kernel, which finds out
// who they are, what they may do, and decides.
func openKernel(ctx context.Context, dir string) (func(int64) error, func() error, error) {
	s, err := newLedger(ctx, wide, filepath.Join(dir, "ledger.db"))
	if err != nil {
		return nil, nil, err
	}
	k := control.New(control.Config{Store: s, Log: quiet})
	running, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.Run(running) }()
	do := func(n int64) error {
		i := int(n)
		quantity := i % apps.MaxQuantity
		cmd := &apps.Scale{
			Identity: appName(i % worldApps),
			Updates:  []apps.ScaleUpdate{{Type: processType(i / worldApps % worldFormations), Quantity: &quantity}},
		}
		by := control.By{Actor: person(i % worldAccounts), Via: ledger.ViaAPI, RequestID: document.NewID()}
		_, err := k.Execute(ctx, cmd, by)
		return err
	}
	return do, func() error { stop(); return errors.Join(<-done, s.Close()) }, nil
}

func person(account int) ledger.Actor {
	return ledger.Actor{
		Kind: ledger.AccountActor, ID: id('a', account), Email: email(account), IP: "198.51.100.7", UserAgent: "heroku-cli/11.10.0", MFA: true,
	}
}

func (p *pool) openFlat(_ context.Context, dir string) (func(int64) error, func() error, error) {
	f, err := newFlat(dir)
	if err != nil {
		return nil, nil, err
	}
	g := newGroup(f.commit)
	return p.submit(g), func() error { g.close(); return f.close() }, nil
}

// submit gives peers their samples.
func (p *pool) submit(g *group[*leaf]) func(int64) error {
	return func(n int64) error {
		l, err := p.leaf(n)
		if err != nil {
			return err
		}
		return g.submit(l)
	}
}

// postgresWriter starts the peer's server; nil where none is installed.
func (b *bench) postgresWriter(ctx context.Context, samples *pool) (*writer, func(), error) {
	dir, remove, err := b.dir()
	if err != nil {
		return nil, nil, err
	}
	p, err := startPostgres(ctx, dir)
	if errors.Is(err, errNoPostgres) {
		b.say("  %v: not compared with it", err)
		return nil, remove, nil
	}
	if err != nil {
		remove()
		return nil, nil, err
	}
	open := func(ctx context.Context, _ string) (func(int64) error, func() error, error) {
		r, err := newRival(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		g := newGroup(r.commit)
		return samples.submit(g), func() error { g.close(); return r.close() }, nil
	}
	return &writer{p.name(), open}, func() { p.close(); remove() }, nil
}
