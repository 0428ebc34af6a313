package teams

import (
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// GrantRole gives a person a role in a team, in addition to those they hold.
// Approver needs a second person; where nobody else could be one, Exception
// with a reason grants it and leaves a compensating-control exception behind.
type GrantRole struct {
	Team, Email string // team: name or id
	Role        authz.Role
	// Replace takes the other roles of Heroku's single-role kind away: what
	// `heroku members:set` means.
	Replace   bool
	Exception bool

	Member  *document.Member  // the result, or
	Request *document.Request // what waits for a second person

	team *document.Team
	person
}

// Action is role.grant.
func (*GrantRole) Action() string { return "role.grant" }

// Aim is the person in the team.
func (c *GrantRole) Aim(v store.View) (control.Aim, error) {
	if !slices.Contains(authz.Roles(), c.Role) {
		return control.Aim{}, fault.New(fault.Invalid, "No such role as %.32q. Roles are %v.", c.Role, authz.Roles())
	}
	var err error
	if c.team, err = Find(v, c.Team); err != nil {
		return control.Aim{}, err
	}
	return c.aim(v, c.team, c.Email)
}

// Decide grants, asks for a second person, or grants with an exception.
func (c *GrantRole) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	if c.acct == nil {
		return c.missing
	}
	d.Note("role", string(c.Role))
	d.Note("team", c.team.Name)
	m, err := member(v, c.team.ID, c.acct.ID)
	if err != nil {
		return err
	}
	if m == nil {
		m = &document.Member{Base: document.Base{ID: document.NewID()}, Team: c.team.ID, Account: c.acct.ID, Email: c.acct.Email}
	}
	if c.Role != authz.Approver || slices.Contains(m.Roles, string(c.Role)) {
		if err := keepsOwner(v, m, c.Replace && c.Role != authz.Owner); err != nil {
			return err
		}
		c.Member = m
		grant(m, c.Role, c.Replace, by, "", now)
		d.Put(m)
		return nil
	}
	return c.weighty(v, m, by, now, d)
}

func (c *GrantRole) weighty(v store.View, m *document.Member, by control.By, now time.Time, d *control.Decision) error {
	seconds, err := others(v, c.team.ID, by.Actor.ID)
	if err != nil {
		return err
	}
	if !c.Exception {
		c.Request = &document.Request{
			Base: document.Base{ID: document.NewID()}, Team: c.team.ID, What: c.Action(), By: by.Actor.ID, ByEmail: by.Actor.Email,
			Account: c.acct.ID, Email: c.acct.Email, Role: string(c.Role), Reason: by.Reason, State: document.RequestWaiting,
		}
		d.Put(c.Request)
		d.Note("waits_for", "a second person")
		return nil
	}
	if err := mayExcept(seconds, by); err != nil {
		return err
	}
	c.Member = m
	grant(m, c.Role, false, by, "", now)
	d.Put(m)
	d.Put(Exception(c.team.ID, c.Action(), c.acct.Email+" as "+string(c.Role), by))
	return nil
}

// mayExcept refuses an exception that is not needed, or not explained.
func mayExcept(seconds []*document.Member, by control.By) error {
	if len(seconds) > 0 {
		return fault.New(fault.Forbidden, "This needs a second person, and there is one who can: %s. Ask them instead of making an exception.", seconds[0].Email)
	}
	if by.Reason == "" {
		return fault.New(fault.Invalid, "An exception needs a reason: the exceptions report shows it to auditors.")
	}
	return nil
}

// Exception is the document of what somebody did alone that takes two, with
// their reason.
func Exception(team, what, subject string, by control.By) *document.Exception {
	return &document.Exception{
		Base: document.Base{ID: document.NewID()}, Team: team, What: what, Subject: subject,
		By: by.Actor.ID, ByEmail: by.Actor.Email, Reason: by.Reason,
	}
}

// herokuRoles are those that a member has one of, as Heroku knows them.
var herokuRoles = []string{string(authz.Owner), string(authz.Admin), string(authz.Member), string(authz.Collaborator), string(authz.Viewer)}

func grant(m *document.Member, role authz.Role, replace bool, by control.By, approver string, now time.Time) {
	if slices.Contains(m.Roles, string(role)) && approver == "" {
		// Who gave it stays on record: giving it again must not make somebody
		// independent of the one they have it from.
		if replace {
			drop(m, role)
		}
		return
	}
	g := document.Grant{Role: string(role), By: by.Actor.ID, ByEmail: by.Actor.Email, Approver: approver, At: now}
	if by.Actor.ID == m.Account && approver == "" {
		g = inherited(m, g)
	}
	if replace {
		drop(m, role)
	}
	if !slices.Contains(m.Roles, string(role)) {
		m.Roles = append(m.Roles, string(role))
	}
	slices.Sort(m.Roles)
	m.GrantedBy = slices.DeleteFunc(m.GrantedBy, func(g document.Grant) bool { return g.Role == string(role) })
	m.GrantedBy = append(m.GrantedBy, g)
}

// inherited is a role that people give themselves: it comes from whoever gave
// them the power to.
func inherited(m *document.Member, g document.Grant) document.Grant {
	for _, power := range []authz.Role{authz.Owner, authz.Admin} {
		for _, x := range m.GrantedBy {
			if x.Role == string(power) {
				g.By, g.ByEmail, g.Approver = x.By, x.ByEmail, x.Approver
				return g
			}
		}
	}
	return g
}

// drop takes the other roles of Heroku's single-role kind away.
func drop(m *document.Member, but authz.Role) {
	gone := func(r string) bool { return r != string(but) && slices.Contains(herokuRoles, r) }
	m.Roles = slices.DeleteFunc(slices.Clone(m.Roles), gone)
	m.GrantedBy = slices.DeleteFunc(slices.Clone(m.GrantedBy), func(g document.Grant) bool { return gone(g.Role) })
}

// RevokeRole takes a role away; the last role takes the membership with it.
type RevokeRole struct {
	Team, Email string
	Role        authz.Role       // "" = all: remove the member
	Member      *document.Member // the result: as it was

	team *document.Team
	person
}

// Action is role.revoke.
func (*RevokeRole) Action() string { return "role.revoke" }

// Aim is the person in the team.
func (c *RevokeRole) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.team, err = Find(v, c.Team); err != nil {
		return control.Aim{}, err
	}
	return c.aim(v, c.team, c.Email)
}

// Decide keeps the team's last owner.
func (c *RevokeRole) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	if c.acct == nil {
		return c.missing
	}
	m, err := member(v, c.team.ID, c.acct.ID)
	if err != nil {
		return err
	}
	if m == nil || c.Role != "" && !slices.Contains(m.Roles, string(c.Role)) {
		return fault.New(fault.NotFound, "%s does not hold that role in %s.", c.acct.Email, c.team.Name)
	}
	if err := keepsOwner(v, m, c.Role == "" || c.Role == authz.Owner); err != nil {
		return err
	}
	d.Note("role", string(c.Role))
	was := *m
	c.Member = &was
	m.Roles = slices.DeleteFunc(slices.Clone(m.Roles), func(r string) bool { return c.Role == "" || r == string(c.Role) })
	m.GrantedBy = slices.DeleteFunc(slices.Clone(m.GrantedBy), func(g document.Grant) bool { return !slices.Contains(m.Roles, g.Role) })
	if len(m.Roles) == 0 {
		d.Delete(document.KindMember, m.ID)
		return nil
	}
	d.Put(m)
	return nil
}

// keepsOwner refuses to leave a team without an owner.
func keepsOwner(v store.View, m *document.Member, losesOwner bool) error {
	if !losesOwner || !slices.Contains(m.Roles, string(authz.Owner)) {
		return nil
	}
	list, err := store.Find[*document.Member](v, "team", m.Team)
	if err != nil {
		return err
	}
	for _, x := range list {
		if x.ID == m.ID || !slices.Contains(x.Roles, string(authz.Owner)) {
			continue
		}
		acct, err := v.Get(document.KindAccount, x.Account)
		if err != nil {
			return err
		}
		if a, ok := acct.(*document.Account); ok && !a.Suspended {
			return nil
		}
	}
	return fault.New(fault.Conflict, "%s is the team's only owner. Make somebody else an owner first.", m.Email)
}

// person is somebody in a team whom a command is about. Only whoever manages
// the team is told that there is no such account.
type person struct {
	acct    *document.Account
	missing error
}

func (p *person) aim(v store.View, t *document.Team, email string) (control.Aim, error) {
	p.acct, p.missing = accountByEmail(v, email)
	if kind := fault.Of(p.missing); kind == fault.NotFound || kind == fault.Invalid {
		p.acct = nil
		return manage(t, ledger.Target{Kind: "account"}), nil
	}
	if p.missing != nil {
		return control.Aim{}, p.missing
	}
	return manage(t, ledger.Target{Kind: "account", ID: p.acct.ID, Name: p.acct.Email}), nil
}

func accountByEmail(v store.View, identity string) (*document.Account, error) {
	if a, err := store.Get[*document.Account](v, identity); err == nil {
		return a, nil
	}
	email, err := document.CleanEmail(identity)
	if err != nil {
		return nil, err
	}
	a, err := store.One[*document.Account](v, "email", email)
	if fault.Of(err) == fault.NotFound {
		return nil, fault.New(fault.NotFound, "There is no account for %s. An operator makes one with: strongroom accounts:create %s", email, email)
	}
	return a, err
}
