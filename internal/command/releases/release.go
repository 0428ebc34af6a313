package releases

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Find looks a release of an app up by id or version ("3" or "v3").
func Find(v store.View, app *document.App, identity string) (*document.Release, error) {
	if n, err := strconv.Atoi(strings.TrimPrefix(identity, "v")); err == nil {
		return store.One[*document.Release](v, "app+version", app.ID+"+"+strconv.Itoa(n))
	}
	r, err := store.Get[*document.Release](v, identity)
	if err != nil {
		return nil, err
	}
	if r.App != app.ID {
		return nil, fault.New(fault.NotFound, "Couldn't find that release.")
	}
	return r, nil
}

// aimed is a release of an app that a command is about. Only whoever may see
// the app is told that there is no such release.
type aimed struct {
	Release *document.Release
	app     *document.App
	missing error
}

func (x *aimed) aim(v store.View, app, release string, need authz.Permission) (out control.Aim, err error) {
	if x.app, err = apps.Find(v, app); err != nil {
		return out, err
	}
	out = apps.Aim(x.app, need)
	out.Hidden = "app"
	if x.Release, x.missing = Find(v, x.app, release); x.missing != nil {
		x.Release = nil
		out.Target.Kind = "release"
		return out, nil
	}
	out.Target = ledger.Target{Kind: "release", ID: x.Release.ID, Name: fmt.Sprintf("%s v%d", x.app.Name, x.Release.Version)}
	return out, nil
}

// waits refuses a release that does not wait for approval.
func (x *aimed) waits() error {
	if x.Release.Status != document.ReleaseWaiting {
		return fault.New(fault.Conflict, "Release v%d does not wait for approval: it is %s.", x.Release.Version, x.Release.Status)
	}
	return nil
}

// Approve is a second person's yes to a release that waits for one.
type Approve struct {
	App, Identity string // app; version or id of the release
	Note          string

	aimed // with the result
}

// Action is release.approve.
func (*Approve) Action() string { return "release.approve" }

// Aim is the release. The author of one may aim at it: Decide refuses them
// with the reason that matters.
func (c *Approve) Aim(v store.View) (control.Aim, error) {
	return c.aim(v, c.App, c.Identity, authz.AppView)
}

// Decide refuses the author, their creatures, and everybody who is no approver.
func (c *Approve) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	if c.missing != nil {
		return c.missing
	}
	r := c.Release
	if err := c.second(v, by); err != nil {
		return err
	}
	for _, a := range r.Approvals {
		if a.By == by.Actor.ID {
			return fault.New(fault.Conflict, "You approved this release already.")
		}
	}
	if err := c.waits(); err != nil {
		return err
	}
	yes, err := approval(c.Note, by, now)
	if err != nil {
		return err
	}
	r.Approvals = append(r.Approvals, *yes)
	if len(r.Approvals) < r.Required {
		d.Put(r)
		return nil
	}
	if _, err := catchUp(v, r); err != nil {
		return err
	}
	own, err := c.carries(v, by)
	if err != nil {
		return err
	}
	if own != nil {
		return fault.New(fault.Forbidden, "Your own change of the config, v%d, would go live with it: somebody else must approve that first.", own.Version)
	}
	return proceed(v, c.app, r, now, d)
}

// approval is a person's yes, now.
func approval(note string, by control.By, now time.Time) (*document.Approval, error) {
	if len(note) > 2000 {
		return nil, fault.New(fault.Invalid, "A note has at most 2,000 characters.")
	}
	return &document.Approval{By: by.Actor.ID, Email: by.Actor.Email, At: now, Note: note}, nil
}

// second refuses whoever is no second person for the release.
func (x *aimed) second(v store.View, by control.By) error {
	if by.Actor.ID == x.Release.By {
		return fault.New(fault.Forbidden, "You pushed this release: a second person must approve it.")
	}
	if slices.Contains(x.Release.Authors, by.Actor.Email) {
		return fault.New(fault.Forbidden, "You wrote or pushed part of this release: somebody who did not must approve it.")
	}
	ok, err := authz.Allowed(v, by.Subject(), by.Actor.Roles, authz.AppApprove, authz.Resource{Team: x.app.Team, App: x.app.ID})
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.Forbidden, "Only an approver of the team can approve a release.")
	}
	return x.independent(v, by, x.Release.By, x.Release.ByEmail, "pushed this release")
}

// independent refuses whoever owes their account or role to somebody who had a
// hand in the release.
func (x *aimed) independent(v store.View, by control.By, of, email, did string) error {
	members, err := store.Find[*document.Member](v, "team+account", x.app.Team+"+"+by.Actor.ID)
	if err != nil {
		return err
	}
	for _, m := range members {
		ok, err := teams.Independent(v, m, of)
		if err != nil {
			return err
		}
		if !ok {
			return fault.New(fault.Forbidden, "Your account or your role goes back to %s, who %s: somebody independent must approve it.", email, did)
		}
	}
	return nil
}

// carries gives the person's own config change that goes live together with
// somebody else's release, nil if there is none: nobody else has seen it.
func (x *aimed) carries(v store.View, by control.By) (*document.Release, error) {
	list, err := store.Find[*document.Release](v, "app", x.app.ID)
	if err != nil {
		return nil, err
	}
	r := x.Release
	var lived int64 // the newest config that was live before it
	for _, o := range list {
		if o.LiveAt != nil && o.ID != r.ID && (r.LiveAt == nil || o.LiveAt.Before(*r.LiveAt)) {
			lived = max(lived, o.ConfigRev)
		}
	}
	for _, o := range list {
		unseen := o.LiveAt == nil && o.Required > 0 && configOnly(o) && o.ConfigRev > lived && o.ConfigRev <= r.ConfigRev
		if unseen && o.By == by.Actor.ID {
			return o, nil
		}
	}
	return nil, nil
}

// Rollback makes a release of an earlier one's code and config.
type Rollback struct {
	App, Identity string            // app; version or id to go back to
	Release       *document.Release // the result

	aimed
}

// Action is release.rollback.
func (*Rollback) Action() string { return "release.rollback" }

// Aim is the earlier release.
func (c *Rollback) Aim(v store.View) (control.Aim, error) {
	return c.aim(v, c.App, c.Identity, authz.AppDeploy)
}

// Decide goes back to code that was live before: no new approval is needed for
// it, because it had one.
func (c *Rollback) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	if c.missing != nil {
		return c.missing
	}
	from := c.aimed.Release
	if from.LiveAt == nil || from.Slug == "" {
		return fault.New(fault.Invalid, "Cannot roll back to v%d: it was never live with a build.", from.Version)
	}
	slug, err := store.Get[*document.Slug](v, from.Slug)
	if err != nil {
		return err
	}
	c.Release, err = Release(v, Cut{
		App: c.app, Description: fmt.Sprintf("Rollback to v%d", from.Version), Slug: slug, ConfigRev: from.ConfigRev,
		By: by.Actor.ID, ByEmail: by.Actor.Email, Rollback: from.Version,
	}, now, d)
	return err
}

// FinishPhase records how a release phase ended: live, or failed.
type FinishPhase struct {
	ID      string // of the release
	Output  *ledger.Blob
	Failed  string // why, or ""
	Release *document.Release

	app *document.App
}

// Action is release.phase.
func (*FinishPhase) Action() string { return "release.phase" }

// Aim is the release.
func (c *FinishPhase) Aim(v store.View) (control.Aim, error) {
	r, err := store.Get[*document.Release](v, c.ID)
	if err != nil {
		return control.Aim{}, err
	}
	if c.app, err = store.Get[*document.App](v, r.App); err != nil {
		return control.Aim{}, err
	}
	c.Release = r
	a := apps.Aim(c.app, authz.System)
	a.Target = ledger.Target{Kind: "release", ID: r.ID, Name: fmt.Sprintf("%s v%d", c.app.Name, r.Version)}
	return a, nil
}

// Decide is for releases that are in their phase.
func (c *FinishPhase) Decide(v store.View, _ control.By, now time.Time, d *control.Decision) error {
	r := c.Release
	if r.Status != document.ReleasePending {
		return fault.New(fault.Conflict, "Release v%d is %s.", r.Version, r.Status)
	}
	if c.Output != nil {
		r.Output = c.Output.SHA256
		d.Blobs = append(d.Blobs, *c.Output)
	}
	if c.Failed == "" {
		return c.succeed(v, now, d)
	}
	r.Status = document.ReleaseFailed
	d.Outcome, d.Error = ledger.Failed, c.Failed
	d.Put(r)
	return nil
}

// succeed makes the release live, or has its phase run again with what went
// live while it ran.
func (c *FinishPhase) succeed(v store.View, now time.Time, d *control.Decision) error {
	changed, err := catchUp(v, c.Release)
	if err != nil {
		return err
	}
	if !changed {
		return live(v, c.app, c.Release, now, d)
	}
	d.Note("repeated", "another release went live meanwhile")
	return proceed(v, c.app, c.Release, now, d)
}
