package shell

import (
	"context"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// watch closes withdrawn once an account may no longer have a shell in an app:
// whoever is suspended or loses a role loses the sessions too. It ends with ctx.
func (d *Desk) watch(ctx context.Context, account, app string, withdrawn chan<- struct{}) {
	for {
		changed := d.cfg.Kernel.Changed()
		ok, err := d.may(ctx, account, app)
		if err == nil && !ok {
			close(withdrawn)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

func (d *Desk) may(ctx context.Context, account, app string) (ok bool, err error) {
	err = d.cfg.Store.Read(ctx, func(v store.View) error {
		a, err := apps.Find(v, app)
		if fault.Of(err) == fault.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		roles, err := authz.RolesOf(v, account, a.Team)
		if err != nil {
			return err
		}
		ok, err = authz.Allowed(v, authz.Subject{Account: account}, roles, authz.AppShell, authz.Resource{Team: a.Team, App: a.ID})
		return err
	})
	return ok, err
}
