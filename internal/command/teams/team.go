// Package teams has the commands about teams: members, roles, policies, and
// the second person that some of them need (SOC 2 CC6.3, separation of duties).
//
// internal/api and internal/cli call it.
package teams

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

// Create makes a team; its creator becomes its first owner.
type Create struct {
	Name string
	Team *document.Team // the result

	key secret.WrappedKey
}

// Action is team.create.
func (*Create) Action() string { return "team.create" }

// Prepare makes the team's data key.
func (c *Create) Prepare(ctx context.Context, t control.Tools) error {
	if err := document.CheckName("team", c.Name); err != nil {
		return err
	}
	c.Team = &document.Team{Base: document.Base{ID: document.NewScope()}, Name: c.Name}
	var err error
	c.key, err = t.Keyring.NewKey(ctx, c.Team.ID)
	return err
}

// Aim is the new team.
func (c *Create) Aim(store.View) (control.Aim, error) {
	return control.Aim{Scope: c.Team.ID, Target: target(c.Team), Need: authz.Operate, New: true}, nil
}

// Decide refuses a name that is taken. A new team requires one approval: it is
// made weaker knowingly or not at all.
func (c *Create) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	have, err := store.Find[*document.Team](v, "name", c.Name)
	if err != nil {
		return err
	}
	if len(have) > 0 {
		return fault.New(fault.Invalid, "Name %s is already taken.", c.Name)
	}
	c.Team.CreatedBy = by.Actor.ID
	d.Put(c.Team)
	d.Put(&document.Member{
		Base: document.Base{ID: document.NewID()}, Team: c.Team.ID, Account: by.Actor.ID, Email: by.Actor.Email,
		Roles:     []string{string(authz.Owner)},
		GrantedBy: []document.Grant{{Role: string(authz.Owner), By: by.Actor.ID, ByEmail: by.Actor.Email, At: now}},
	})
	d.Put(&document.Policy{Base: document.Base{ID: c.Team.ID}, Approvals: 1})
	d.Keys = append(d.Keys, c.key)
	return nil
}

// Find looks a team up by name or id.
func Find(v store.View, identity string) (*document.Team, error) {
	if t, err := store.Get[*document.Team](v, identity); err == nil {
		return t, nil
	}
	return store.One[*document.Team](v, "name", identity)
}

func target(t *document.Team) ledger.Target {
	return ledger.Target{Kind: "team", ID: t.ID, Name: t.Name}
}

// manage is the aim of what only those who manage the team may do.
func manage(t *document.Team, on ledger.Target) control.Aim {
	return control.Aim{
		Scope: t.ID, Target: on, Need: authz.TeamManage, See: authz.TeamView, On: authz.Resource{Team: t.ID}, Hidden: "team",
	}
}

// member finds an account's membership, nil if it has none.
func member(v store.View, team, account string) (*document.Member, error) {
	list, err := store.Find[*document.Member](v, "team+account", team+"+"+account)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// others lists the members besides one who may be a second person: they manage
// the team, are not suspended, and hold their role by somebody else's hand.
func others(v store.View, team, than string) ([]*document.Member, error) {
	list, err := store.Find[*document.Member](v, "team", team)
	if err != nil {
		return nil, err
	}
	var out []*document.Member
	for _, m := range list {
		if m.Account == than || !managesTeam(m) {
			continue
		}
		can, err := second(v, m, than)
		if err != nil {
			return nil, err
		}
		if can {
			out = append(out, m)
		}
	}
	return out, nil
}

func managesTeam(m *document.Member) bool {
	return slices.Contains(m.Roles, string(authz.Owner)) || slices.Contains(m.Roles, string(authz.Admin))
}
