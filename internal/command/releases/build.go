package releases

import (
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// StartBuild records that somebody pushed a commit.
type StartBuild struct {
	App, Commit string
	// Claimed are the addresses that the commits name which it brings over the
	// live code; Parts those of the commits that were pushed before.
	Claimed, Parts []string
	Build          *document.Build // the result

	app *document.App
}

// Action is build.start.
func (*StartBuild) Action() string { return "build.start" }

// Aim is the app.
func (c *StartBuild) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.app, err = apps.Find(v, c.App); err != nil {
		return control.Aim{}, err
	}
	return apps.Aim(c.app, authz.AppDeploy), nil
}

// Decide makes the build in the pusher's name.
func (c *StartBuild) Decide(v store.View, by control.By, _ time.Time, d *control.Decision) error {
	authors, err := authors(v, c.app, c.Claimed, c.Parts)
	if err != nil {
		return err
	}
	c.Build = &document.Build{
		Base: document.Base{ID: document.NewID()}, App: c.app.ID, Space: c.app.Space, Commit: c.Commit,
		By: by.Actor.ID, ByEmail: by.Actor.Email, Authors: authors, Status: document.BuildPending,
	}
	d.Note("commit", c.Commit)
	d.Put(c.Build)
	return nil
}

// FinishBuild records how a build ended. A good one becomes a slug and a
// release of the pusher's.
type FinishBuild struct {
	ID        string // of the build
	Failed    string // why, or ""
	Log       *ledger.Blob
	Buildpack string
	Slug      document.Slug // image, processes, size, archive
	SBOM      *ledger.Blob
	Statement *ledger.Blob // provenance

	Build   *document.Build
	Release *document.Release // the result of a good build

	app *document.App
}

// Action is build.finish.
func (*FinishBuild) Action() string { return "build.finish" }

// Aim is the app.
func (c *FinishBuild) Aim(v store.View) (control.Aim, error) {
	b, err := store.Get[*document.Build](v, c.ID)
	if err != nil {
		return control.Aim{}, err
	}
	c.Build = b
	if c.app, err = store.Get[*document.App](v, b.App); err != nil {
		return control.Aim{}, err
	}
	return apps.Aim(c.app, authz.System), nil
}

// Decide checks once more that the pusher may deploy: a build takes minutes.
func (c *FinishBuild) Decide(v store.View, _ control.By, now time.Time, d *control.Decision) error {
	b := c.Build
	if b.Status != document.BuildPending {
		return fault.New(fault.Conflict, "The build is %s already.", b.Status)
	}
	if c.Log != nil {
		b.Log = c.Log.SHA256
		d.Blobs = append(d.Blobs, *c.Log)
	}
	b.Buildpack = c.Buildpack
	if err := c.mayStill(v); err != nil {
		return err
	}
	if c.Failed != "" {
		b.Status, b.Message = document.BuildFailed, c.Failed
		d.Outcome, d.Error = ledger.Failed, c.Failed
		d.Put(b)
		return nil
	}
	slug := c.Slug
	slug.Base = document.Base{ID: document.NewID()}
	slug.App, slug.Space, slug.Commit, slug.Build = b.App, b.Space, b.Commit, b.ID
	for _, x := range []struct {
		blob *ledger.Blob
		to   *string
	}{{c.SBOM, &slug.SBOM}, {c.Statement, &slug.Provenance}} {
		if x.blob != nil {
			*x.to = x.blob.SHA256
			d.Blobs = append(d.Blobs, *x.blob)
		}
	}
	b.Status, b.Slug = document.BuildSucceeded, slug.ID
	d.Put(b)
	d.Put(&slug)
	return c.release(v, &slug, now, d)
}

// mayStill fails a build whose pusher was suspended or lost their role while it
// ran.
func (c *FinishBuild) mayStill(v store.View) error {
	who := authz.Subject{Account: c.Build.By}
	roles, err := authz.RolesOf(v, who.Account, c.app.Team)
	if err != nil {
		return err
	}
	ok, err := authz.Allowed(v, who, roles, authz.AppDeploy, authz.Resource{Team: c.app.Team, App: c.app.ID})
	if err == nil && !ok && c.Failed == "" {
		c.Failed = c.Build.ByEmail + " may no longer deploy to this app."
	}
	return err
}

func (c *FinishBuild) release(v store.View, slug *document.Slug, now time.Time, d *control.Decision) error {
	rev, err := configRev(v, c.app.ID)
	if err != nil {
		return err
	}
	c.Release, err = Release(pending{v, slug}, Cut{
		App: c.app, Description: "Deploy " + short(c.Build.Commit), Slug: slug, ConfigRev: rev,
		By: c.Build.By, ByEmail: c.Build.ByEmail, Authors: c.Build.Authors, Code: true,
	}, now, d)
	return err
}

// pending is a view that knows the slug that this decision is about to put.
type pending struct {
	store.View
	slug *document.Slug
}

// Get implements store.View.
func (p pending) Get(kind document.Kind, id string) (document.Doc, error) {
	if kind == document.KindSlug && id == p.slug.ID {
		return p.slug, nil
	}
	return p.View.Get(kind, id)
}

func short(commit string) string {
	if len(commit) > 8 {
		return commit[:8]
	}
	return commit
}
