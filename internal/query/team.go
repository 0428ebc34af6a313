package query

import (
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Team is a team and what the caller is in it.
type Team struct {
	*document.Team
	Roles []string
}

// Team finds a team by name or id.
func (r *Reader) Team(identity string, need authz.Permission) (Team, error) {
	t, err := named[*document.Team](r.v, identity)
	if err != nil {
		return Team{}, err
	}
	if err := r.check(control.Aim{
		Scope: t.ID, Target: ledger.Target{Kind: "team", ID: t.ID, Name: t.Name},
		Need: need, See: authz.TeamView, On: authz.Resource{Team: t.ID},
	}); err != nil {
		return Team{}, err
	}
	roles, err := r.Roles(t.ID)
	return Team{t, roles}, err
}

// Teams lists the teams that the caller is in, by name.
func (r *Reader) Teams() ([]Team, error) {
	members, err := store.Find[*document.Member](r.v, "account", r.who.Account)
	if err != nil {
		return nil, err
	}
	var out []Team
	for _, m := range members {
		t, err := r.Team(m.Team, authz.TeamView)
		if kind := fault.Of(err); kind == fault.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b Team) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Member is a membership and its account, nil if that is gone.
type Member struct {
	*document.Member
	Account *document.Account
}

// Members lists a team's members by address.
func (r *Reader) Members(t Team) ([]Member, error) {
	list, err := store.Find[*document.Member](r.v, "team", t.ID)
	if err != nil {
		return nil, err
	}
	out := make([]Member, 0, len(list))
	for _, m := range list {
		a, err := known[*document.Account](r, m.Account)
		if err != nil {
			return nil, err
		}
		out = append(out, Member{m, a})
	}
	slices.SortFunc(out, func(a, b Member) int { return strings.Compare(a.Email, b.Email) })
	return out, nil
}

// Member finds a team's member by address, account id or membership id.
func (r *Reader) Member(t Team, identity string) (Member, error) {
	list, err := r.Members(t)
	if err != nil {
		return Member{}, err
	}
	for _, m := range list {
		if m.ID == identity || m.Member.Account == identity || strings.EqualFold(m.Email, identity) {
			return m, nil
		}
	}
	return Member{}, fault.New(fault.NotFound, "Couldn't find that member.")
}

// Policy is what a team requires.
func (r *Reader) Policy(t Team) (*document.Policy, error) {
	return store.Get[*document.Policy](r.v, t.ID)
}

// Requests lists what waits for a second person in a team, or waited.
func (r *Reader) Requests(t Team) ([]*document.Request, error) {
	return store.Find[*document.Request](r.v, "team", t.ID)
}

// Request finds one request of a team.
func (r *Reader) Request(t Team, id string) (*document.Request, error) {
	q, err := store.Get[*document.Request](r.v, id)
	if err == nil && q.Team != t.ID {
		return nil, r.elsewhere(control.Aim{
			Scope: q.Team, Target: ledger.Target{Kind: "request", ID: q.ID, Name: q.What},
			Need: authz.TeamView, See: authz.TeamView, On: authz.Resource{Team: q.Team},
		})
	}
	return q, err
}

// Exceptions lists what should have had a second person and had none.
func (r *Reader) Exceptions(t Team) ([]*document.Exception, error) {
	return store.Find[*document.Exception](r.v, "team", t.ID)
}
