package checks

import (
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/alerts"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// maxAcceptance is how long a finding can be accepted before somebody has to
// decide anew.
const maxAcceptance = 366 * 24 * time.Hour

// aimed is a finding that a person decides about.
type aimed struct{ finding *document.Finding }

// aim needs the owner or an admin of the team whose finding it is, or an
// operator where it is the installation's.
func (x *aimed) aim(v store.View, id string) (control.Aim, error) {
	f, err := store.Get[*document.Finding](v, id)
	if err != nil {
		return control.Aim{}, err
	}
	x.finding = f
	return alerts.Manage(v, f.Scope, ledger.Target{Kind: "finding", ID: f.ID, Name: f.Check})
}

func (x *aimed) open() error {
	if x.finding.State == document.FindingClosed {
		return fault.New(fault.Conflict, "This finding is closed: its check passes again.")
	}
	return nil
}

// Accept decides to live with a finding until a day, for a reason. The check
// goes on failing, and reports go on saying so.
type Accept struct {
	ID     string
	Reason string
	Until  time.Time

	Result *document.Finding

	aimed
}

// Action is finding.accept.
func (*Accept) Action() string { return "finding.accept" }

// Aim is the finding.
func (c *Accept) Aim(v store.View) (control.Aim, error) { return c.aim(v, c.ID) }

// Decide wants a reason and an end.
func (c *Accept) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	if err := c.open(); err != nil {
		return err
	}
	c.Reason = strings.TrimSpace(c.Reason)
	switch {
	case c.Reason == "" || len(c.Reason) > 2000:
		return fault.New(fault.Invalid, "Say in 1 to 2,000 characters why this can be accepted.")
	case !c.Until.After(now):
		return fault.New(fault.Invalid, "The acceptance must end in the future.")
	case c.Until.Sub(now) > maxAcceptance:
		return fault.New(fault.Invalid, "A finding can be accepted for a year at most; then decide anew.")
	}
	f := c.finding
	f.State = document.FindingAccepted
	f.Accepted = &document.Acceptance{By: by.Actor.ID, Email: by.Actor.Email, Reason: c.Reason, At: now, Until: c.Until.UTC()}
	c.Result = f
	d.Put(f)
	return alerts.Tell(v, d, f)
}

// Assign gives a finding an owner.
type Assign struct {
	ID    string
	Email string

	Result *document.Finding

	aimed
}

// Action is finding.assign.
func (*Assign) Action() string { return "finding.assign" }

// Aim is the finding.
func (c *Assign) Aim(v store.View) (control.Aim, error) { return c.aim(v, c.ID) }

// Decide wants an account that is in use.
func (c *Assign) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	if err := c.open(); err != nil {
		return err
	}
	email, err := document.CleanEmail(c.Email)
	if err != nil {
		return err
	}
	account, err := store.One[*document.Account](v, "email", email)
	if err != nil {
		return err
	}
	if account.Suspended {
		return fault.New(fault.Invalid, "%s is suspended.", email)
	}
	c.finding.Owner = email
	c.Result = c.finding
	d.Put(c.finding)
	return nil
}

// Reopen ends acceptances whose time is over.
type Reopen struct {
	ID string

	aimed
}

// Action is finding.reopen.
func (*Reopen) Action() string { return "finding.reopen" }

// Aim is the finding; the platform does it.
func (c *Reopen) Aim(v store.View) (control.Aim, error) {
	a, err := c.aim(v, c.ID)
	a.Need, a.See = authz.System, ""
	return a, err
}

// Decide is for findings that were accepted.
func (c *Reopen) Decide(v store.View, _ control.By, now time.Time, d *control.Decision) error {
	f := c.finding
	if f.State != document.FindingAccepted || now.Before(f.Accepted.Until) {
		return fault.New(fault.Conflict, "The finding is %s.", f.State)
	}
	f.State = document.FindingOpen
	d.Put(f)
	return alerts.Tell(v, d, f)
}

// Remind says that a finding is open after its date, once.
type Remind struct {
	ID string

	aimed
}

// Action is finding.overdue.
func (*Remind) Action() string { return "finding.overdue" }

// Aim is the finding; the platform does it.
func (c *Remind) Aim(v store.View) (control.Aim, error) {
	a, err := c.aim(v, c.ID)
	a.Need, a.See = authz.System, ""
	return a, err
}

// Decide is for findings that nobody was reminded of.
func (c *Remind) Decide(v store.View, _ control.By, now time.Time, d *control.Decision) error {
	f := c.finding
	if !f.Late(now) {
		return fault.New(fault.Conflict, "The finding is %s and due %s.", f.State, f.DueAt.Format(time.DateOnly))
	}
	f.OverdueAt = &now
	d.Put(f)
	return alerts.Tell(v, d, f)
}
