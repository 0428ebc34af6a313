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

// Space is a space and its team.
type Space struct {
	*document.Space
	Team *document.Team
}

// Space finds a space by name or id.
func (r *Reader) Space(identity string, need authz.Permission) (Space, error) {
	s, err := named[*document.Space](r.v, identity)
	if err != nil {
		return Space{}, err
	}
	if err := r.check(spaceAim(s, need)); err != nil {
		return Space{}, err
	}
	return r.space(s)
}

func spaceAim(s *document.Space, need authz.Permission) control.Aim {
	return control.Aim{
		Scope: s.ID, Target: ledger.Target{Kind: "space", ID: s.ID, Name: s.Name},
		Need: need, See: authz.SpaceView, On: authz.Resource{Team: s.Team},
	}
}

func (r *Reader) space(s *document.Space) (Space, error) {
	t, err := known[*document.Team](r, s.Team)
	return Space{s, t}, err
}

// Spaces lists the spaces of the caller's teams, by name.
func (r *Reader) Spaces() ([]Space, error) {
	teams, err := r.Teams()
	if err != nil {
		return nil, err
	}
	var out []Space
	for _, t := range teams {
		list, err := r.SpacesOf(t)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	slices.SortFunc(out, func(a, b Space) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// SpacesOf lists a team's spaces.
func (r *Reader) SpacesOf(t Team) ([]Space, error) {
	ok, err := r.may(authz.SpaceView, authz.Resource{Team: t.ID})
	if err != nil || !ok {
		return nil, err
	}
	list, err := store.Find[*document.Space](r.v, "team", t.ID)
	if err != nil {
		return nil, err
	}
	out := make([]Space, 0, len(list))
	for _, s := range list {
		out = append(out, Space{s, t.Team})
	}
	return out, nil
}

// SpaceDynos are the dynos of one app of a space.
type SpaceDynos struct {
	App   App
	Dynos []Dyno
}

// SpaceDynos lists what runs in a space, by app.
func (r *Reader) SpaceDynos(s Space) ([]SpaceDynos, error) {
	apps, err := r.AppsOfSpace(s)
	if err != nil {
		return nil, err
	}
	out := make([]SpaceDynos, 0, len(apps))
	for _, a := range apps {
		dynos, err := r.Dynos(a)
		if err != nil {
			return nil, err
		}
		out = append(out, SpaceDynos{a, dynos})
	}
	return out, nil
}

// Attempts lists what was tried against a space and must not work.
func (r *Reader) Attempts(s Space) ([]*document.Attempt, error) {
	return store.Find[*document.Attempt](r.v, "scope", s.ID)
}

// RefusedAttempt is a refused attempt to leave a space, and its app, nil if that is
// gone.
type RefusedAttempt struct {
	*document.Refusal
	App *document.App
}

// Refusals lists what apps of a space tried to reach outside and may not.
func (r *Reader) Refusals(s Space) ([]RefusedAttempt, error) {
	list, err := store.Find[*document.Refusal](r.v, "space", s.ID)
	if err != nil {
		return nil, err
	}
	out := make([]RefusedAttempt, 0, len(list))
	for _, x := range list {
		a, err := known[*document.App](r, x.App)
		if err != nil {
			return nil, err
		}
		out = append(out, RefusedAttempt{x, a})
	}
	return out, nil
}

// Session is a recorded session and its app, nil if that is gone.
type Session struct {
	*document.Session
	App *document.App
}

// Sessions lists a space's recorded sessions, oldest first.
func (r *Reader) Sessions(s Space) ([]Session, error) {
	list, err := store.Find[*document.Session](r.v, "space", s.ID)
	if err != nil {
		return nil, err
	}
	out := make([]Session, 0, len(list))
	for _, x := range list {
		a, err := known[*document.App](r, x.App)
		if err != nil {
			return nil, err
		}
		out = append(out, Session{x, a})
	}
	return out, nil
}

// Session finds a recorded session of a space.
func (r *Reader) Session(s Space, id string) (Session, error) {
	x, err := store.Get[*document.Session](r.v, id)
	if err != nil {
		return Session{}, err
	}
	if x.Space != s.ID {
		return Session{}, r.foreignSession(x)
	}
	a, err := known[*document.App](r, x.App)
	return Session{x, a}, err
}

// SpaceTeam adds its team to a space that a command gave.
func (r *Reader) SpaceTeam(s *document.Space) (Space, error) { return r.space(s) }

func (r *Reader) foreignSession(x *document.Session) error {
	there, err := known[*document.Space](r, x.Space)
	if err != nil {
		return err
	}
	if there == nil {
		return fault.New(fault.NotFound, "Couldn't find that session.")
	}
	aim := spaceAim(there, authz.EvidenceRead)
	aim.Target = ledger.Target{Kind: "session", ID: x.ID, Name: x.Dyno}
	aim.See = authz.EvidenceRead
	return r.elsewhere(aim)
}
