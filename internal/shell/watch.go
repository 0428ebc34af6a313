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
	err = d.cfg.Store.Read(ctx, func(v store.View) (err error) {
		ok, err = Permitted(v, account, app, authz.AppShell)
		return err
	})
	return ok, err
}

// Permitted tells whether an account has a permission on an app; nobody has one
// on an app that is gone.
func Permitted(v store.View, account, app string, need authz.Permission) (bool, error) {
	a, err := apps.Find(v, app)
	if fault.Of(err) == fault.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	roles, err := authz.RolesOf(v, account, a.Team)
	if err != nil {
		return false, err
	}
	return authz.Allowed(v, authz.Subject{Account: account}, roles, need, authz.Resource{Team: a.Team, App: a.ID})
}
