package server

import (
	"context"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/compliance/builtin"
	"github.com/strongroom/strongroom/internal/compliance/host"
	"github.com/strongroom/strongroom/internal/compliance/record"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/postgres"
	"github.com/strongroom/strongroom/internal/store"
)

// newProgramme is the program's, with the operator's own catalogue if there is
// a directory of one.
func newProgramme(reach builtin.Reach, own string) (*compliance.Programme, error) {
	if own == "" {
		return builtin.Programme(reach)
	}
	if info, err := os.Stat(own); err != nil || !info.IsDir() {
		return nil, fault.New(fault.Invalid, "catalogue: %q is not a directory", own)
	}
	return builtin.Programme(reach, os.DirFS(own))
}

// reach is what checks look at outside of the state.
func (p *parts) reach() builtin.Reach {
	return builtin.Reach{
		Attempts: newAttempts(p),
		Host: host.Config{
			Engine: p.driver, Store: p.store, Clock: host.KernelClock, Listeners: host.KernelListeners, Installed: p.installed, Sessions: p.sessions(),
			Declared: append([]string{p.cfg.API, p.cfg.Rendezvous, p.cfg.Bastion, p.cfg.EdgeHTTPS, p.cfg.EdgeHTTP}, p.cfg.Listeners...),
		},
		Record: record.Means{Store: p.store, Checkpoints: p.checkpoints, Outside: p.outside, Now: time.Now},
	}
}

// sessions asks databases who is connected to them, as their superuser.
func (p *parts) sessions() func(context.Context, []*document.Addon) map[string][]host.Session {
	watch := postgres.NewWatch(func(ctx context.Context, a *document.Addon) (*pgx.Conn, error) {
		var space *document.Space
		if err := p.store.Read(ctx, func(v store.View) (err error) {
			space, err = store.Get[*document.Space](v, a.Space)
			return err
		}); err != nil {
			return nil, err
		}
		admin, err := p.keyring.Open(ctx, a.Admin.ID, a.Admin.SHA256)
		if err != nil {
			return nil, err
		}
		return postgres.Connect(ctx, p.driver, a, space.CA, "postgres", "postgres", admin)
	})
	return func(ctx context.Context, list []*document.Addon) map[string][]host.Session {
		out, ids := map[string][]host.Session{}, map[string]bool{}
		for _, a := range list {
			ids[a.ID] = true
			one, cancel := context.WithTimeout(ctx, 5*time.Second) // one that hangs keeps the others from being asked
			sessions, err := watch.Sessions(one, a)
			cancel()
			if err != nil {
				p.log.Warn("a database could not be asked who is connected to it", "addon", a.Name, "error", err)
				continue
			}
			out[a.ID] = []host.Session{}
			for _, s := range sessions {
				out[a.ID] = append(out[a.ID], host.Session(s))
			}
		}
		watch.Only(ids)
		return out
	}
}

// newCompliance runs the programme's checks.
func newCompliance(p *parts) *compliance.Engine {
	return compliance.New(compliance.Config{Store: p.store, Kernel: p.kernel, Programme: p.programme, Log: p.log, Now: time.Now})
}
