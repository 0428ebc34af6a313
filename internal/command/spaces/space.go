// Package spaces has the commands about private spaces: their life, who may
// connect to them, and what was tried against them.
//
// internal/api calls it for people, internal/reconcile for the platform.
package spaces

import (
	"context"
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
		CA: cert, CAKey: &document.Sealed{ID: c.caKey.ID, SHA256: c.caKey.Digest()}, Ruleset: document.NewID(), OutboundSet: document.NewID(), Links: []document.AppLink{},
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
	open := document.Anywhere
	open.By, open.At = by.Actor.Email, now
	c.Space.Outbound, c.Space.OutboundBy, c.Space.OutboundAt = []document.OutboundRef{open}, by.Actor.Email, now
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

// Decide deletes the document, where the space's findings were sent to, and what
// was counted of strangers and of attempts to leave it.
func (c *Gone) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	d.Delete(document.KindSpace, c.ID)
	channels, err := store.Find[*document.Alert](v, "scope", c.ID)
	if err != nil {
		return err
	}
	for _, a := range channels {
		d.Delete(document.KindAlert, a.ID)
	}
	strangers, err := store.Find[*document.Stranger](v, "space", c.ID)
	if err != nil {
		return err
	}
	for _, s := range strangers {
		d.Delete(document.KindStranger, s.ID)
	}
	refused, err := store.Find[*document.Refusal](v, "space", c.ID)
	if err != nil {
		return err
	}
	for _, r := range refused {
		d.Delete(document.KindRefusal, r.ID)
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
