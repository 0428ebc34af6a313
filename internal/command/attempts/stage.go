// Package attempts has the command that sets up what the platform tries its own
// API with: three accounts that belong to nobody, and a team of their own.
//
// Invariants: nobody can log in to these accounts (they have no password, and a
// token exists only while an attempt runs); they are told from people by their
// domain, which cannot exist; they get no role in any team but their own.
// internal/compliance/attempt calls it.
package attempts

import (
	"context"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// TeamName is the accounts' own team.
const TeamName = "strongroom-attempts"

// Stage is what the attempts are made with.
type Stage struct {
	Team *document.Team
	// Member has the least role that changes anything, Admin manages the team,
	// Suspended is its owner and suspended.
	Member, Admin, Suspended *document.Account
}

// role is an account of the stage and its role in the team.
type role struct {
	account **document.Account
	name    string
	role    authz.Role
}

func (s *Stage) roles() []role {
	return []role{{&s.Member, "attempt-member", authz.Member}, {&s.Admin, "attempt-admin", authz.Admin}, {&s.Suspended, "attempt-suspended", authz.Owner}}
}

// Find gives the stage, and whether all of it is as it has to be: there, with
// its roles, without tokens, and without anything that waits for a decision.
func Find(v store.View) (*Stage, bool, error) {
	c := &Set{}
	var d control.Decision
	err := c.set(v, control.By{}, time.Time{}, &d)
	return &c.Stage, !c.people && !c.moved, err
}

// Set brings the stage to what it has to be. What an attempt did that should
// have been refused, it undoes.
type Set struct {
	Stage Stage // the result

	ids    []string
	team   string
	key    secret.WrappedKey
	people bool // an account or token has to be changed
	moved  bool // something in the team has
}

// Action is attempt.stage.
func (*Set) Action() string { return "attempt.stage" }

// Prepare makes ids, and a key for the team if there is none yet.
func (c *Set) Prepare(ctx context.Context, t control.Tools) (err error) {
	c.team = document.NewScope()
	for range c.Stage.roles() {
		c.ids = append(c.ids, document.NewID())
	}
	c.key, err = t.Keyring.NewKey(ctx, c.team)
	return err
}

// Aim is the installation.
func (*Set) Aim(store.View) (control.Aim, error) {
	return control.Aim{Target: ledger.Target{Kind: "team", Name: TeamName}, Need: authz.System}, nil
}

// Decide changes what differs.
func (c *Set) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	return c.set(v, by, now, d)
}

func (c *Set) set(v store.View, by control.By, now time.Time, d *control.Decision) error {
	if err := c.accounts(v, d); err != nil {
		return err
	}
	o := &control.Other{Action: c.Action()}
	if err := c.ownTeam(v, o); err != nil {
		return err
	}
	o.Scope, o.Target = c.Stage.Team.ID, ledger.Target{Kind: "team", ID: c.Stage.Team.ID, Name: TeamName}
	if err := c.members(v, by, now, o); err != nil {
		return err
	}
	if err := c.requests(v, o); err != nil {
		return err
	}
	if c.moved {
		d.Also = append(d.Also, o)
	}
	return nil
}

// accounts are there, the one that has to be suspended is, and none has tokens.
func (c *Set) accounts(v store.View, d *control.Decision) error {
	for i, r := range c.Stage.roles() {
		email := r.name + "@" + document.NobodysDomain
		list, err := store.Find[*document.Account](v, "email", email)
		if err != nil {
			return err
		}
		a := &document.Account{Email: email, Name: "Nobody: " + r.name + ", with which the platform tries what must be refused"}
		have := len(list) > 0
		if have {
			a = list[0]
		} else if c.ids != nil {
			a.ID = c.ids[i]
		}
		if a.CreatedBy != "" {
			return fault.New(fault.Conflict, "Somebody made the account %s, which the platform needs for its own attempts.", email)
		}
		if suspended := a.Suspended || r.role == authz.Owner; !have || a.Suspended != suspended {
			a.Suspended, c.people = suspended, true
			d.Put(a)
		}
		*r.account = a
		if err := c.tokens(v, a, d); err != nil {
			return err
		}
	}
	return nil
}

func (c *Set) tokens(v store.View, a *document.Account, d *control.Decision) error {
	list, err := store.Find[*document.Token](v, "account", a.ID)
	for _, t := range list {
		c.people = true
		d.Delete(document.KindToken, t.ID)
	}
	return err
}

// ownTeam is there.
func (c *Set) ownTeam(v store.View, o *control.Other) error {
	list, err := store.Find[*document.Team](v, "name", TeamName)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		c.moved = true
		c.Stage.Team = &document.Team{Base: document.Base{ID: c.team}, Name: TeamName}
		o.Put(c.Stage.Team)
		o.Put(&document.Policy{Base: document.Base{ID: c.team}, Approvals: 1})
		o.Keys = append(o.Keys, c.key)
		return nil
	}
	c.Stage.Team = list[0]
	if list[0].CreatedBy != "" {
		return fault.New(fault.Conflict, "Somebody made the team %s, which the platform needs for its own attempts.", TeamName)
	}
	return nil
}

// members have exactly the role that they are for.
func (c *Set) members(v store.View, by control.By, now time.Time, o *control.Other) error {
	for _, r := range c.Stage.roles() {
		account, want := *r.account, []string{string(r.role)}
		list, err := store.Find[*document.Member](v, "team+account", c.Stage.Team.ID+"+"+account.ID)
		if err != nil {
			return err
		}
		m := &document.Member{Base: document.Base{ID: document.NewID()}, Team: c.Stage.Team.ID, Account: account.ID, Email: account.Email}
		if len(list) > 0 {
			m = list[0]
		}
		if slices.Equal(m.Roles, want) {
			continue
		}
		c.moved = true
		m.Roles, m.GrantedBy = want, []document.Grant{{Role: want[0], ByEmail: by.Actor.Email, At: now}}
		o.Put(m)
	}
	return nil
}

// requests of the team wait for nobody.
func (c *Set) requests(v store.View, o *control.Other) error {
	list, err := store.Find[*document.Request](v, "team+state", c.Stage.Team.ID+"+"+document.RequestWaiting)
	for _, r := range list {
		c.moved = true
		r.State = document.RequestObsolete
		o.Put(r)
	}
	return err
}
