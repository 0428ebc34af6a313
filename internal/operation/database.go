package operation

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/postgres"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// database is an add-on with what setting it up needs, unsealed.
type database struct {
	addon           *document.Addon
	space           *document.Space
	image           string
	volume          secret.Value
	admin, password secret.Value
}

func (r *Runner) database(ctx context.Context, id string) (d database, err error) {
	if err = r.cfg.Store.Read(ctx, func(v store.View) (err error) {
		if d.addon, err = store.Get[*document.Addon](v, id); err != nil {
			return err
		}
		if d.space, err = store.Get[*document.Space](v, d.addon.Space); err != nil {
			return err
		}
		images, err := store.Find[*document.Image](v, "name", "postgres")
		if err == nil && len(images) > 0 {
			d.image = images[0].Digest
		}
		return err
	}); err != nil {
		return d, moot(err)
	}
	for _, x := range []struct {
		from document.Sealed
		to   *secret.Value
	}{{*d.addon.VolumeKey, &d.volume}, {*d.addon.Admin, &d.admin}, {d.addon.Roles[0].Password, &d.password}} {
		if *x.to, err = r.cfg.Keyring.Open(ctx, x.from.ID, x.from.SHA256); err != nil {
			return d, err
		}
	}
	return d, nil
}

// databaseCert is how long the certificate of a database lasts; the database
// gets a new one when it is set up again.
const databaseCert = 5 * 365 * 24 * time.Hour

// provision sets a database up: volumes, certificate, container, role.
func (r *Runner) provision(ctx context.Context, j store.Job) error {
	d, err := r.database(ctx, j.Ref)
	if err != nil {
		return err
	}
	if d.addon.State != document.AddonProvisioning {
		return nil
	}
	if d.space.State != document.SpaceAllocated {
		return fault.New(fault.Unavailable, "the space %s is %s", d.space.Name, d.space.State)
	}
	if d.image == "" {
		return fault.New(fault.Unavailable, "the postgres image is not built yet")
	}
	if err := r.setUp(ctx, d); err != nil {
		return r.explain(ctx, j, d.addon, err)
	}
	return r.record(ctx, &addons.Provisioned{ID: d.addon.ID, Image: d.image}, j)
}

func (r *Runner) setUp(ctx context.Context, d database) error {
	volumes, err := postgres.Volumes(d.addon, d.volume)
	if err != nil {
		return err
	}
	for _, v := range volumes {
		if err := r.cfg.Driver.EnsureVolume(ctx, v); err != nil {
			return err
		}
	}
	caKey, err := r.cfg.Keyring.Open(ctx, d.space.CAKey.ID, d.space.CAKey.SHA256)
	if err != nil {
		return err
	}
	cert, key, err := spaces.Issue(d.space.CA, caKey, []string{addons.Host(d.addon)}, databaseCert, r.cfg.Now())
	if err != nil {
		return err
	}
	files, err := postgres.Files(cert, key)
	if err != nil {
		return err
	}
	if err := r.cfg.Driver.PutFiles(ctx, d.addon.Volume, "", files); err != nil {
		return err
	}
	formation, err := postgres.Formation(d.addon, d.image, d.admin)
	if err != nil {
		return err
	}
	if err := r.cfg.Driver.ApplyFormation(ctx, formation); err != nil {
		return err
	}
	if err := r.ready(ctx, d.addon.ID, 3*time.Minute); err != nil {
		return err
	}
	return postgres.Setup(ctx, r.cfg.Driver, d.addon, d.space.CA, d.admin, d.password)
}

// ready waits until a formation accepts connections.
func (r *Runner) ready(ctx context.Context, formation string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		o, err := r.cfg.Driver.Observe(ctx)
		if err != nil {
			return err
		}
		for _, f := range o.Formations {
			if f.ID == formation && f.Ready > 0 {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.Unavailable, "the database did not accept connections within %s", patience)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// explain records why a database is not there yet, once for each reason.
func (r *Runner) explain(ctx context.Context, j store.Job, a *document.Addon, cause error) error {
	message := fault.Message(cause)
	if message == "" {
		message = "The database could not be set up; the server's log has the reason. It is tried again."
	}
	if a.Message != message {
		if err := r.record(ctx, &addons.ProvisionFailed{ID: a.ID, Message: message}, j); err != nil {
			return err
		}
	}
	// Whatever kind the cause has, the database is still wanted.
	return fault.Wrap(fault.Unavailable, cause, "set up %s", a.Name)
}

// deprovision stops a database and destroys its volumes, the one with the tables
// last. The disposal is recorded only after each key was removed and a read was
// tried.
func (r *Runner) deprovision(ctx context.Context, j store.Job) error {
	var a *document.Addon
	if err := r.cfg.Store.Read(ctx, func(v store.View) (err error) {
		a, err = store.Get[*document.Addon](v, j.Ref)
		return err
	}); err != nil {
		return moot(err)
	}
	if err := r.cfg.Driver.RemoveFormation(ctx, a.ID); err != nil {
		return err
	}
	refused := func(why string) error {
		if why == a.Message {
			return nil
		}
		a.Message = why
		return r.record(ctx, &addons.DisposalRefused{ID: a.ID, Message: why}, j)
	}
	data, server := postgres.VolumeIDs(a)
	var of [2]addons.Disposal
	for i, volume := range []string{server, data} {
		d, err := r.dispose(ctx, volume, refused)
		if err != nil {
			return err
		}
		of[i] = addons.Disposal{Volume: volume, KeyRemoved: d.KeyRemoved, ReadTried: d.ReadTried}
	}
	return r.record(ctx, &addons.Disposed{ID: a.ID, Server: of[0], Data: of[1]}, j)
}

// dispose destroys a volume, waiting for what still has files of it open;
// refused is told why, each time.
func (r *Runner) dispose(ctx context.Context, volume string, refused func(why string) error) (driver.Disposal, error) {
	for {
		d, err := r.cfg.Driver.DestroyVolume(ctx, volume)
		switch fault.Of(err) {
		case fault.Conflict:
			if err := refused(fault.Message(err)); err != nil {
				return d, err
			}
			select {
			case <-ctx.Done():
				return d, ctx.Err()
			case <-time.After(time.Second):
			}
		case fault.NotFound:
			// It never came to be, or an earlier try that was broken off before it
			// was recorded destroyed it, or the engine lost what it knew and the
			// image still lies somewhere. Nobody saw a destruction: none is claimed.
			return driver.Disposal{ReadTried: "the engine knows no such volume: nothing was destroyed now, look on the host for an image of it"}, nil
		default:
			return d, err
		}
	}
}
