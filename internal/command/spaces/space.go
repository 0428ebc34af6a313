// Package spaces has the commands about private spaces: their life, who may
// connect to them, and what was tried against them.
//
// internal/api calls it for people, internal/reconcile for the platform.
package spaces

import (
	"context"
	"net/netip"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// Create makes a space. It is allocated once the engine has it.
type Create struct {
	Name, Team, Region string
	Shield             bool
	Space              *document.Space // the result

	key   secret.WrappedKey
	caKey secret.Sealed
}

// Action is space.create.
func (*Create) Action() string { return "space.create" }

// Prepare makes the space's data key and certificate authority.
func (c *Create) Prepare(ctx context.Context, t control.Tools) error {
	if err := document.CheckName("space", c.Name); err != nil {
		return err
	}
	id := document.NewScope()
	cert, priv, err := newCA(c.Name, t.Now())
	if err != nil {
		return err
	}
	if c.key, err = t.Keyring.NewKey(ctx, id); err != nil {
		return err
	}
	if c.caKey, err = t.Keyring.SealWith(ctx, c.key, priv); err != nil {
		return err
	}
	if c.Region == "" {
		c.Region = "virginia"
	}
	c.Space = &document.Space{
		Base: document.Base{ID: id}, Name: c.Name, Shield: c.Shield, Region: c.Region, State: document.SpaceAllocating,
		CA: cert, CAKey: &document.Sealed{ID: c.caKey.ID, SHA256: c.caKey.Digest()}, Ruleset: document.NewID(),
	}
	return nil
}

// Aim is the new space, with a permission on its team.
func (c *Create) Aim(v store.View) (control.Aim, error) {
	team, err := teams.Find(v, c.Team)
	if err != nil {
		return control.Aim{}, err
	}
	c.Space.Team = team.ID
	return control.Aim{
		// A refusal belongs to the team: the space does not exist.
		Scope: c.Space.ID, Target: target(c.Space),
		Need: authz.SpaceManage, See: authz.TeamView, On: authz.Resource{Team: team.ID}, New: true, DenyScope: team.ID,
	}, nil
}

// Decide refuses a name that is taken. A private space begins open, as Heroku's
// does; a shield space begins shut in both directions.
func (c *Create) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	have, err := store.Find[*document.Space](v, "name", c.Name)
	if err != nil {
		return err
	}
	if len(have) > 0 {
		return fault.New(fault.Invalid, "Name %s is already taken.", c.Name)
	}
	c.Space.CreatedBy, c.Space.RuledBy, c.Space.RuledAt = by.Actor.ID, by.Actor.Email, now
	c.Space.Trusted = []document.TrustedIP{{Source: "0.0.0.0/0", Action: "allow"}}
	c.Space.Outbound = []document.OutboundRef{{Target: "0.0.0.0/0", Protocol: "any", FromPort: 0, ToPort: 65535}}
	if c.Shield {
		c.Space.Trusted, c.Space.Outbound = []document.TrustedIP{}, []document.OutboundRef{}
	}
	d.Put(c.Space)
	d.Keys = append(d.Keys, c.key)
	d.Sealed = append(d.Sealed, c.caKey)
	return nil
}

// Find looks a space up by name or id.
func Find(v store.View, identity string) (*document.Space, error) {
	if s, err := store.Get[*document.Space](v, identity); err == nil {
		return s, nil
	}
	return store.One[*document.Space](v, "name", identity)
}

func target(s *document.Space) ledger.Target {
	return ledger.Target{Kind: "space", ID: s.ID, Name: s.Name}
}

// Manage is the aim of what only those who manage a space may do.
func Manage(s *document.Space) control.Aim {
	return control.Aim{
		Scope: s.ID, Target: target(s), Need: authz.SpaceManage, See: authz.SpaceView, On: authz.Resource{Team: s.Team},
	}
}

// System is the aim of what the platform itself does to a space.
func System(s *document.Space) control.Aim {
	return control.Aim{Scope: s.ID, Target: target(s), Need: authz.System}
}

// Rename gives a space another name.
type Rename struct {
	Identity, Name string
	Space          *document.Space
}

// Action is space.rename.
func (*Rename) Action() string { return "space.rename" }

// Aim is the space.
func (c *Rename) Aim(v store.View) (control.Aim, error) {
	if err := document.CheckName("space", c.Name); err != nil {
		return control.Aim{}, err
	}
	var err error
	if c.Space, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Manage(c.Space), nil
}

// Decide refuses a name that is taken.
func (c *Rename) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	have, err := store.Find[*document.Space](v, "name", c.Name)
	if err != nil {
		return err
	}
	if len(have) > 0 && have[0].ID != c.Space.ID {
		return fault.New(fault.Invalid, "Name %s is already taken.", c.Name)
	}
	c.Space.Name = c.Name
	d.Put(c.Space)
	return nil
}

// Destroy ends a space that holds no app any more.
type Destroy struct {
	Identity string
	Space    *document.Space
}

// Action is space.destroy.
func (*Destroy) Action() string { return "space.destroy" }

// Aim is the space.
func (c *Destroy) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.Space, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Manage(c.Space), nil
}

// Decide refuses while there is something in it.
func (c *Destroy) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	apps, err := store.Find[*document.App](v, "space", c.Space.ID)
	if err != nil {
		return err
	}
	if len(apps) > 0 {
		return fault.New(fault.Conflict, "The space still holds %d apps, among them %s. Destroy or move them first.", len(apps), apps[0].Name)
	}
	addons, err := store.Find[*document.Addon](v, "space", c.Space.ID)
	if err != nil {
		return err
	}
	if len(addons) > 0 {
		return fault.New(fault.Conflict, "The space still holds the add-on %s, which is %s. Wait for it to end or destroy it.", addons[0].Name, addons[0].State)
	}
	if c.Space.State == document.SpaceDeleting {
		return fault.New(fault.Conflict, "The space %s is being destroyed already.", c.Space.Name)
	}
	c.Space.State = document.SpaceDeleting
	d.Put(c.Space)
	return nil
}

// Allocated records that the engine has the space.
type Allocated struct{ ID string }

// Action is space.allocate.
func (*Allocated) Action() string { return "space.allocate" }

// Aim is the space.
func (c *Allocated) Aim(v store.View) (control.Aim, error) {
	s, err := store.Get[*document.Space](v, c.ID)
	if err != nil {
		return control.Aim{}, err
	}
	return System(s), nil
}

// Decide is for spaces that wait for it.
func (c *Allocated) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	s, err := store.Get[*document.Space](v, c.ID)
	if err != nil {
		return err
	}
	if s.State != document.SpaceAllocating {
		return fault.New(fault.Conflict, "The space is %s.", s.State)
	}
	s.State = document.SpaceAllocated
	d.Put(s)
	return nil
}

// Gone records that nothing of a destroyed space is left in the engine, and
// destroys its data key: what was sealed or stored under it cannot be read again.
type Gone struct{ ID string }

// Action is space.gone.
func (*Gone) Action() string { return "space.gone" }

// Aim is the space.
func (c *Gone) Aim(v store.View) (control.Aim, error) {
	s, err := store.Get[*document.Space](v, c.ID)
	if err != nil {
		return control.Aim{}, err
	}
	return System(s), nil
}

// Decide deletes the document, and where the space's findings were sent to.
func (c *Gone) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	d.Delete(document.KindSpace, c.ID)
	channels, err := store.Find[*document.Alert](v, "scope", c.ID)
	if err != nil {
		return err
	}
	for _, a := range channels {
		d.Delete(document.KindAlert, a.ID)
	}
	d.Note("key", "destroyed")
	d.Job(JobDispose, c.ID)
	d.DestroyKeys = append(d.DestroyKeys, c.ID)
	return nil
}

// Effect forgets the key in memory too.
func (c *Gone) Effect(_ context.Context, t control.Tools, _ int64) error {
	t.Keyring.Forget(c.ID)
	return nil
}

// SetTrusted replaces who may connect to a space's apps.
type SetTrusted struct {
	Identity string
	Rules    []document.TrustedIP
	Space    *document.Space

	rules []document.TrustedIP
}

// MaxTrusted is how many inbound rules a space may have.
const MaxTrusted = 100

// Action is space.trusted.
func (*SetTrusted) Action() string { return "space.trusted" }

// Aim checks the rules.
func (c *SetTrusted) Aim(v store.View) (control.Aim, error) {
	if len(c.Rules) > MaxTrusted {
		return control.Aim{}, fault.New(fault.Invalid, "A space has at most %d trusted IP ranges.", MaxTrusted)
	}
	seen := map[string]bool{}
	c.rules = []document.TrustedIP{}
	for _, r := range c.Rules {
		if r.Action != "allow" {
			return control.Aim{}, fault.New(fault.Invalid, "The action of an inbound rule is allow, not %.32q.", r.Action)
		}
		cidr, err := document.CleanCIDR(r.Source)
		if err != nil {
			return control.Aim{}, err
		}
		if !seen[cidr] {
			c.rules = append(c.rules, document.TrustedIP{Source: cidr, Action: r.Action})
		}
		seen[cidr] = true
	}
	var err error
	if c.Space, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Manage(c.Space), nil
}

// Decide refuses to open a shield space to everybody without a reason.
func (c *SetTrusted) Decide(_ store.View, by control.By, now time.Time, d *control.Decision) error {
	for _, r := range c.rules {
		if c.Space.Shield && vast(r.Source) && by.Reason == "" {
			return fault.New(fault.Invalid, "%s opens a shield space to everybody: give a reason (Strongroom-Reason header), which is recorded.", r.Source)
		}
	}
	c.Space.Trusted, c.Space.Ruleset = c.rules, document.NewID()
	c.Space.RuledBy, c.Space.RuledAt = by.Actor.Email, now
	d.Put(c.Space)
	return nil
}

// vast tells whether a network is too large for anybody to know who is in it:
// everybody, or a few of these are everybody.
func vast(cidr string) bool {
	p, err := netip.ParsePrefix(cidr)
	return err != nil || p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 19
}

// RecordAttempt keeps the result of trying what must not work.
type RecordAttempt struct {
	Scope, Name, From, Target string
	Refused                   bool
	Result                    string
	Count                     int64
}

// Action is attempt.record.
func (*RecordAttempt) Action() string { return "attempt.record" }

// Aim is the space that was attacked.
func (c *RecordAttempt) Aim(v store.View) (control.Aim, error) {
	s, err := store.Get[*document.Space](v, c.Scope)
	if err != nil {
		return control.Aim{}, err
	}
	return System(s), nil
}

// Decide replaces the attempt's last result.
func (c *RecordAttempt) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	list, err := store.Find[*document.Attempt](v, "scope", c.Scope)
	if err != nil {
		return err
	}
	a := &document.Attempt{Base: document.Base{ID: document.NewID()}}
	for _, x := range list {
		if x.Name == c.Name && x.From == c.From && x.Target == c.Target {
			a = x
		}
	}
	a.Scope, a.Name, a.From, a.Target, a.Refused, a.Result = c.Scope, c.Name, c.From, c.Target, c.Refused, c.Result
	a.Count += c.Count
	d.Put(a)
	return nil
}
