package teams

import (
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// UpdatePolicy changes what a team requires. Making it weaker needs a second
// person, or an exception where nobody could be one.
type UpdatePolicy struct {
	Team          string
	Approvals     *int
	ApproveConfig *bool
	Emergency     *bool
	Exception     bool

	Policy  *document.Policy  // the result, or
	Request *document.Request // what waits for a second person

	team *document.Team
}

// Action is policy.update.
func (*UpdatePolicy) Action() string { return "policy.update" }

// Aim is the team's policy.
func (c *UpdatePolicy) Aim(v store.View) (control.Aim, error) {
	if c.Approvals != nil && (*c.Approvals < 0 || *c.Approvals > 1) {
		return control.Aim{}, fault.New(fault.Invalid, "A release needs 0 or 1 approvals.")
	}
	var err error
	if c.team, err = Find(v, c.Team); err != nil {
		return control.Aim{}, err
	}
	return manage(c.team, ledger.Target{Kind: "policy", ID: c.team.ID, Name: c.team.Name}), nil
}

// Decide tightens at once and asks a second person before it loosens.
func (c *UpdatePolicy) Decide(v store.View, by control.By, _ time.Time, d *control.Decision) error {
	old, err := store.Get[*document.Policy](v, c.team.ID)
	if err != nil {
		return err
	}
	next := *old
	if c.Approvals != nil {
		next.Approvals = *c.Approvals
	}
	if c.ApproveConfig != nil {
		next.ApproveConfig = *c.ApproveConfig
	}
	if c.Emergency != nil {
		next.Emergency = *c.Emergency
	}
	if !weaker(&next, old) {
		c.Policy = &next
		d.Put(&next)
		return nil
	}
	if !c.Exception {
		c.Request = &document.Request{
			Base: document.Base{ID: document.NewID()}, Team: c.team.ID, What: c.Action(), By: by.Actor.ID, ByEmail: by.Actor.Email,
			Policy: &next, Reason: by.Reason, State: document.RequestWaiting,
		}
		d.Put(c.Request)
		d.Note("waits_for", "a second person")
		return nil
	}
	seconds, err := others(v, c.team.ID, by.Actor.ID)
	if err != nil {
		return err
	}
	if err := mayExcept(seconds, by); err != nil {
		return err
	}
	c.Policy = &next
	d.Put(&next)
	d.Put(Exception(c.team.ID, c.Action(), "a weaker policy", by))
	return nil
}

func weaker(next, old *document.Policy) bool {
	return next.Approvals < old.Approvals || old.ApproveConfig && !next.ApproveConfig || next.Emergency && !old.Emergency
}

// DecideRequest is the second person's answer.
type DecideRequest struct {
	ID    string
	Grant bool

	Request *document.Request // the result

	team *document.Team
}

// Action is request.grant or request.refuse.
func (c *DecideRequest) Action() string {
	if c.Grant {
		return "request.grant"
	}
	return "request.refuse"
}

// Aim is the request.
func (c *DecideRequest) Aim(v store.View) (control.Aim, error) {
	r, err := store.Get[*document.Request](v, c.ID)
	if err != nil {
		return control.Aim{}, err
	}
	c.Request = r
	if c.team, err = store.Get[*document.Team](v, r.Team); err != nil {
		return control.Aim{}, err
	}
	a := manage(c.team, ledger.Target{Kind: "request", ID: r.ID, Name: r.What})
	a.Hidden = "request"
	return a, nil
}

// Decide carries out what was asked for, if the second person is one.
func (c *DecideRequest) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	r := c.Request
	if r.State != document.RequestWaiting {
		return fault.New(fault.Conflict, "That request was %s already.", r.State)
	}
	if err := c.second(v, by); err != nil {
		return err
	}
	r.DecidedBy, r.State = by.Actor.ID, document.RequestRefused
	if c.Grant {
		r.State = document.RequestGranted
		if err := c.carryOut(v, by, now, d); err != nil {
			return err
		}
	}
	d.Put(r)
	return nil
}

// second refuses the asker, their creatures, and the one who would gain.
func (c *DecideRequest) second(v store.View, by control.By) error {
	if by.Actor.ID == c.Request.By {
		return fault.New(fault.Forbidden, "You asked for this: a second person must decide.")
	}
	if by.Actor.ID == c.Request.Account {
		return fault.New(fault.Forbidden, "The role would be yours: another person must decide.")
	}
	m, err := member(v, c.Request.Team, by.Actor.ID)
	if err != nil {
		return err
	}
	if m == nil {
		return fault.New(fault.Forbidden, "You are not a member of the team.")
	}
	ok, err := second(v, m, c.Request.By)
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.Forbidden, "You and %s, who asked for this, are not independent: one account, or its role, goes back to the other. Somebody else must decide.", c.Request.ByEmail)
	}
	return nil
}

func (c *DecideRequest) carryOut(v store.View, by control.By, now time.Time, d *control.Decision) error {
	r := c.Request
	if r.Policy != nil {
		return c.loosen(v, d)
	}
	m, err := member(v, r.Team, r.Account)
	if err != nil {
		return err
	}
	if m == nil {
		m = &document.Member{Base: document.Base{ID: document.NewID()}, Team: r.Team, Account: r.Account, Email: r.Email}
	}
	asker := by
	asker.Actor.ID, asker.Actor.Email = r.By, r.ByEmail
	grant(m, roleOf(r), false, asker, by.Actor.ID, now)
	d.Put(m)
	return nil
}

// loosen puts the policy that was asked for, unless it changed since: what is
// granted is what the second person saw, and takes back nothing else.
func (c *DecideRequest) loosen(v store.View, d *control.Decision) error {
	now, err := store.Get[*document.Policy](v, c.Request.Team)
	if err != nil {
		return err
	}
	next := *c.Request.Policy
	if !now.UpdatedAt.Equal(next.UpdatedAt) {
		return fault.New(fault.Conflict, "The policy was changed after this was asked for. Refuse it, and have it asked for again.")
	}
	d.Put(&next)
	return nil
}

func roleOf(r *document.Request) authz.Role { return authz.Role(r.Role) }
