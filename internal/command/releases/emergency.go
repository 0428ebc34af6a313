package releases

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// minReason is how many characters the reason of an emergency has at least: a
// word is none.
const minReason = 10

// Emergency lets a release that waits for a second person go on without one, also
// by whoever pushed it, where the team's policy allows that. It leaves an
// exception behind, and a release that somebody has to Review.
type Emergency struct {
	App, Identity string // app; version or id of the release

	aimed // with the result
}

// Action is release.approve: it stands in the place of an approval.
func (*Emergency) Action() string { return "release.approve" }

// Aim is the release. Whoever sees it may aim at it: Decide tells the others what
// to do instead.
func (c *Emergency) Aim(v store.View) (control.Aim, error) {
	return c.aim(v, c.App, c.Identity, authz.AppView)
}

// Decide is for owners and admins of a team that allows it, who say why. The
// exception is the team's, so it is in an entry of its own, release.emergency.
func (c *Emergency) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	if c.missing != nil {
		return c.missing
	}
	r := c.Release
	if err := c.allowed(v, by); err != nil {
		return err
	}
	if err := c.waits(); err != nil {
		return err
	}
	reason := strings.TrimSpace(by.Reason)
	if utf8.RuneCountInString(reason) < minReason {
		return fault.New(fault.Invalid, "An emergency needs a reason of at least %d characters, such as --reason \"intake answers 500 to everybody\": auditors and whoever reviews the release read it.", minReason)
	}
	r.Emergency, r.Alone = true, &document.Alone{By: by.Actor.ID, Email: by.Actor.Email, At: now, Reason: reason}
	if _, err := catchUp(v, r); err != nil {
		return err
	}
	name := fmt.Sprintf("%s v%d", c.app.Name, r.Version)
	d.Note("emergency", "yes")
	o := &control.Other{
		Action: "release.emergency", Scope: c.app.Team, App: c.app.ID, Target: ledger.Target{Kind: "release", ID: r.ID, Name: name},
	}
	o.Put(teams.Exception(c.app.Team, c.Action(), name, by))
	d.Also = append(d.Also, o)
	return proceed(v, c.app, r, now, d)
}

// allowed refuses everybody who may not act alone, and everybody while the policy
// does not allow it: as an attempt to go without the second person, on record.
func (c *Emergency) allowed(v store.View, by control.By) error {
	ok, err := authz.Allowed(v, by.Subject(), by.Actor.Roles, authz.AppEmergency, authz.Resource{Team: c.app.Team, App: c.app.ID})
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.Forbidden, "Only an owner or admin of the team can let a release go live in an emergency. Ask one of them, or an approver: strongroom releases:approve v%d --app %s", c.Release.Version, c.app.Name)
	}
	policy, err := v.Get(document.KindPolicy, c.app.Team)
	if err != nil {
		return err
	}
	if p, ok := policy.(*document.Policy); ok && p.Emergency {
		return nil
	}
	team, err := store.Get[*document.Team](v, c.app.Team)
	if err != nil {
		return err
	}
	return fault.New(fault.Forbidden, "The policy of team %s allows no emergency releases. Have an approver approve it: strongroom releases:approve v%d --app %s. To allow them from now on, which takes a second person: strongroom policy --team %s --emergency yes", team.Name, c.Release.Version, c.app.Name, team.Name)
}

// Review is a second person's look, afterwards, at a release that went live in an
// emergency.
type Review struct {
	App, Identity string // app; version or id of the release
	Note          string

	aimed // with the result
}

// Action is release.review.
func (*Review) Action() string { return "release.review" }

// Aim is the release, for the same as with Approve.
func (c *Review) Aim(v store.View) (control.Aim, error) {
	return c.aim(v, c.App, c.Identity, authz.AppView)
}

// Decide refuses everybody whose approval would have been refused, and whoever
// acted alone. The release may have been replaced since: it was live.
func (c *Review) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	if c.missing != nil {
		return c.missing
	}
	r := c.Release
	if !r.Emergency {
		return fault.New(fault.Conflict, "Release v%d did not go live in an emergency: there is nothing to review.", r.Version)
	}
	if err := c.second(v, by); err != nil {
		return err
	}
	if err := c.apart(v, by); err != nil {
		return err
	}
	if r.LiveAt == nil {
		return fault.New(fault.Conflict, "Release v%d is %s: it can be reviewed once it was live.", r.Version, r.Status)
	}
	if was := r.Alone.Review; was != nil {
		return fault.New(fault.Conflict, "%s reviewed this release already.", was.Email)
	}
	var err error
	if r.Alone.Review, err = approval(c.Note, by, now); err != nil {
		return err
	}
	d.Put(r)
	return nil
}

// apart refuses whoever had a part in the emergency: acted alone, goes back to
// the one who did, or changed the config that went live with it.
func (c *Review) apart(v store.View, by control.By) error {
	alone := c.Release.Alone
	if by.Actor.ID == alone.By {
		return fault.New(fault.Forbidden, "You let this release go live alone: a second person must review it.")
	}
	if err := c.independent(v, by, alone.By, alone.Email, "let this release go live alone"); err != nil {
		return err
	}
	own, err := c.carries(v, by)
	if err == nil && own != nil {
		err = fault.New(fault.Forbidden, "Your own change of the config, v%d, went live with it: somebody else must review it.", own.Version)
	}
	return err
}
