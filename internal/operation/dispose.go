package operation

import (
	"context"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// Repositories are where apps' code lies.
type Repositories interface {
	// Remove deletes an app's repository, once no push to it is under way.
	// One that is not there is no error.
	Remove(ctx context.Context, app string) error
}

// disposeApp removes what a destroyed app leaves: its code, and what its builds
// kept. A build that is under way has ended when the repository is gone.
func (r *Runner) disposeApp(ctx context.Context, j store.Job) error {
	app, err := before[*document.App](ctx, r, j)
	if err != nil {
		return err
	}
	if err := r.cfg.Repositories.Remove(ctx, app.ID); err != nil {
		return err
	}
	disposal, err := r.dispose(ctx, apps.BuildCache(app.ID), func(why string) error {
		r.cfg.Log.Warn("what an app's builds kept cannot be destroyed yet", "app", app.Name, "reason", why)
		return nil
	})
	if err != nil {
		return err
	}
	return r.record(ctx, &apps.Dispose{App: app, Cache: disposal.ReadTried}, j)
}

// disposeSpace removes the files of a space that is gone.
func (r *Runner) disposeSpace(ctx context.Context, j store.Job) error {
	space, err := before[*document.Space](ctx, r, j)
	if err != nil {
		return err
	}
	if err := r.cfg.Blobs.DeleteScope(ctx, space.ID); err != nil {
		return err
	}
	if err := r.cfg.Driver.RemoveLogs(ctx, space.ID); err != nil {
		return err
	}
	return r.record(ctx, &spaces.Dispose{Space: space}, j)
}

// before gives a job's subject as it was before the entry that ended it.
func before[T document.Doc](ctx context.Context, r *Runner, j store.Job) (d T, err error) {
	err = r.cfg.Store.At(ctx, j.Seq, func(v store.View) (err error) {
		d, err = store.Get[T](v, j.Ref)
		return err
	})
	return d, moot(err)
}
