// Package releases has the commands about builds and releases: from a pushed
// commit over a second person's approval and the release phase to what is live.
//
// Invariants: versions of an app have no gap; exactly one release of an app is
// current once there is one; a release is approved by somebody who neither
// wrote nor pushed it, and so is the review of one that went live in an
// emergency; the entry release.live tells a release's whole story.
// internal/api, internal/build's deployer and internal/operation call it;
// config and addons cut releases of their own.
package releases

import (
	"fmt"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// JobPhase runs a release's release phase; ref is the release's id.
const JobPhase = "release.phase"

// Cut is what a new release is made of.
type Cut struct {
	App         *document.App
	Description string
	Slug        *document.Slug // nil = the current one's
	ConfigRev   int64          // revision of the app's config that it runs with
	By, ByEmail string         // who pushes or asks
	Authors     []string       // addresses of those who wrote the code
	Code        bool           // new code, as opposed to new config
	Rollback    int            // version that it goes back to
}

// Release adds a release to the decision and gives it back. It waits for
// approval, for its release phase, or is live at once, in an entry of its own.
func Release(v store.View, c Cut, now time.Time, d *control.Decision) (*document.Release, error) {
	list, err := store.Find[*document.Release](v, "app", c.App.ID)
	if err != nil {
		return nil, err
	}
	policy, err := v.Get(document.KindPolicy, c.App.Team)
	if err != nil {
		return nil, err
	}
	r := &document.Release{
		Base: document.Base{ID: document.NewID()}, App: c.App.ID, Space: c.App.Space, Version: 1 + newest(list),
		ConfigRev: c.ConfigRev, Description: c.Description, By: c.By, ByEmail: c.ByEmail, Authors: c.Authors, Rollback: c.Rollback,
		Approvals: []document.Approval{}, Code: c.Code,
	}
	if err := withSlug(v, r, c.Slug, current(list)); err != nil {
		return nil, err
	}
	switch p, ok := policy.(*document.Policy); {
	case r.Slug == "":
	case !ok && c.Code: // every team has a policy; one that lost it is not freer for it
		r.Required = 1
	case ok && (c.Code || p.ApproveConfig):
		r.Required = p.Approvals
	}
	if r.Required > 0 {
		r.Status = document.ReleaseWaiting
		d.Put(r)
		return r, nil
	}
	return r, proceed(v, c.App, r, now, d)
}

func newest(list []*document.Release) int {
	n := 0
	for _, r := range list {
		n = max(n, r.Version)
	}
	return n
}

func current(list []*document.Release) *document.Release {
	i := slices.IndexFunc(list, func(r *document.Release) bool { return r.Current })
	if i < 0 {
		return nil
	}
	return list[i]
}

// withSlug gives a release its code: the slug's, or else what is live.
func withSlug(v store.View, r *document.Release, slug *document.Slug, cur *document.Release) error {
	if slug == nil && cur != nil && cur.Slug != "" {
		var err error
		if slug, err = store.Get[*document.Slug](v, cur.Slug); err != nil {
			return err
		}
	}
	if slug != nil {
		r.Slug, r.Image, r.Commit, r.SBOM, r.Provenance = slug.ID, slug.Image, slug.Commit, slug.SBOM, slug.Provenance
	}
	return nil
}

// catchUp brings a release that waited to what went live meanwhile: to a newer
// config, and to newer code unless it brings code itself. Without that, config
// set during a deploy would take the deploy back, or the deploy the config. It
// tells whether that changed the release.
func catchUp(v store.View, r *document.Release) (bool, error) {
	if r.Rollback != 0 { // it goes back on purpose
		return false, nil
	}
	list, err := store.Find[*document.Release](v, "current", r.App)
	if err != nil {
		return false, err
	}
	cur := current(list)
	if cur == nil {
		return false, nil
	}
	was := *r
	r.ConfigRev = max(r.ConfigRev, cur.ConfigRev)
	if !r.Code {
		if err := withSlug(v, r, nil, cur); err != nil {
			return false, err
		}
	}
	return was.ConfigRev != r.ConfigRev || was.Slug != r.Slug, nil
}

// configRev is the revision of an app's config that new code runs with: the
// newest, but none that waits for a second person.
func configRev(v store.View, app string) (int64, error) {
	newest, _, err := v.Rev(document.KindConfig, app)
	if err != nil {
		return 0, err
	}
	list, err := store.Find[*document.Release](v, "app", app)
	if err != nil {
		return 0, err
	}
	var free int64
	waits := false
	for _, r := range list {
		if r.Status != document.ReleaseWaiting {
			free = max(free, r.ConfigRev)
		} else if configOnly(r) {
			waits = true
		}
	}
	if waits {
		return free, nil
	}
	return newest, nil
}

func configOnly(r *document.Release) bool { return !r.Code && r.Rollback == 0 }

// overtaken tells whether a release that waits has nothing left to bring once r
// is live: its config is part of r's, or its code is older.
func overtaken(x, r *document.Release) bool {
	if configOnly(x) {
		return x.ConfigRev <= r.ConfigRev
	}
	return x.Version < r.Version
}

// proceed takes a release that nobody needs to approve (any more) on: to its
// release phase, or live.
func proceed(v store.View, app *document.App, r *document.Release, now time.Time, d *control.Decision) error {
	phase, err := hasPhase(v, r)
	if err != nil {
		return err
	}
	if !phase {
		return live(v, app, r, now, d)
	}
	r.Status = document.ReleasePending
	d.Put(r)
	d.Job(JobPhase, r.ID)
	return nil
}

func hasPhase(v store.View, r *document.Release) (bool, error) {
	if r.Slug == "" {
		return false, nil
	}
	slug, err := store.Get[*document.Slug](v, r.Slug)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(slug.Processes, func(p document.Process) bool { return p.Type == "release" }), nil
}

// live makes a release current, in an entry release.live whose first change is
// the release with its whole story.
func live(v store.View, app *document.App, r *document.Release, now time.Time, d *control.Decision) error {
	prior, err := store.Find[*document.Release](v, "current", app.ID)
	if err != nil {
		return err
	}
	r.Status, r.Current, r.LiveAt = document.ReleaseSucceeded, true, &now
	o := &control.Other{
		Action: "release.live", Scope: app.Space, App: app.ID,
		Target: ledger.Target{Kind: "release", ID: r.ID, Name: fmt.Sprintf("%s v%d", app.Name, r.Version)},
	}
	for _, p := range prior {
		if p.ID != r.ID {
			r.Replaces = p.Version
		}
	}
	o.Put(r)
	for _, p := range prior {
		if p.ID != r.ID {
			p.Current = false
			o.Put(p)
		}
	}
	if err := expire(v, app, r, o); err != nil {
		return err
	}
	released := *app
	released.ReleasedAt = &now
	if r.Slug != "" {
		slug, err := store.Get[*document.Slug](v, r.Slug)
		if err != nil {
			return err
		}
		released.SlugSize = slug.Size
		if err := formations(v, app, slug, o); err != nil {
			return err
		}
	}
	o.Put(&released)
	d.Also = append(d.Also, o)
	return nil
}

// expire ends releases that still wait and that what was approved, or could not
// wait for it, overtook.
func expire(v store.View, app *document.App, r *document.Release, o *control.Other) error {
	if len(r.Approvals) == 0 && !r.Emergency {
		return nil
	}
	open, err := store.Find[*document.Release](v, "open", app.ID)
	if err != nil {
		return err
	}
	for _, x := range open {
		if x.ID != r.ID && x.Status == document.ReleaseWaiting && overtaken(x, r) {
			x.Status = document.ReleaseExpired
			o.Put(x)
		}
	}
	return nil
}

// formations brings the app's process types to those of the release's slug: a
// new web type starts with one dyno, any other with none, as Heroku does.
func formations(v store.View, app *document.App, slug *document.Slug, o *control.Other) error {
	have, err := store.Find[*document.Formation](v, "app", app.ID)
	if err != nil {
		return err
	}
	byType := map[string]*document.Formation{}
	for _, f := range have {
		byType[f.Type] = f
	}
	for _, p := range slug.Processes {
		if p.Type == "release" {
			continue
		}
		f, ok := byType[p.Type]
		delete(byType, p.Type)
		if ok && f.Command == p.Command {
			continue
		}
		if !ok {
			f = newFormation(app, p)
		}
		f.Command = p.Command
		o.Put(f)
	}
	for _, f := range byType {
		o.Delete(document.KindFormation, f.ID)
	}
	return nil
}

func newFormation(app *document.App, p document.Process) *document.Formation {
	f := &document.Formation{
		Base: document.Base{ID: document.NewID()}, App: app.ID, Space: app.Space, Type: p.Type, Size: document.Sizes[0].Name,
	}
	if p.Type == "web" {
		f.Quantity = 1
	}
	return f
}
