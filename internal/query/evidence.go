package query

import (
	"slices"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Installation is the whole.
func (r *Reader) Installation() (*document.Installation, error) {
	return store.One[*document.Installation](r.v, "all", "")
}

// Packs lists the evidence packs of a space.
func (r *Reader) Packs(s Space) ([]*document.Pack, error) {
	return store.Find[*document.Pack](r.v, "scope", s.ID)
}

// Scope finds a space or a team whose ledger entries the caller may read, and
// gives its id. "" is the installation, for operators.
func (r *Reader) Scope(identity string) (string, error) {
	if identity == "" {
		return "", r.Operator(control.Aim{Target: ledger.Target{Kind: "installation", Name: "the installation's ledger"}})
	}
	// Nobody learns which of the two a name is that they may not see.
	s, err := r.Space(identity, authz.EvidenceRead)
	if err == nil {
		return s.ID, nil
	}
	if fault.Of(err) != fault.NotFound {
		return "", err
	}
	if refused := told(err, "Couldn't find that scope."); refused != err {
		return "", refused
	}
	t, err := r.Team(identity, authz.EvidenceRead)
	switch {
	case err == nil:
		return t.ID, nil
	case fault.Of(err) != fault.NotFound:
		return "", err
	}
	if refused := told(err, "Couldn't find that scope."); refused != err {
		return "", refused
	}
	return "", fault.New(fault.NotFound, "Couldn't find that scope.")
}

// Evidence lists the scopes whose evidence the caller reads: one space, or a
// team with its spaces, or all that there are where identity is "". True means
// everything. False means how it stands and not whom that is about: so operators
// see what they do not belong to, and everybody else sees the installation.
func (r *Reader) Evidence(identity string) (map[string]bool, error) {
	out := map[string]bool{}
	if err := r.ownEvidence(identity, out); err != nil {
		return nil, err
	}
	operates, err := r.may(authz.Operate, authz.Resource{})
	if err != nil {
		return nil, err
	}
	if operates && identity == "" {
		if err := r.everywhere(out); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, r.check(control.Aim{
			Target: ledger.Target{Kind: "installation", Name: "the evidence of the installation"}, Need: authz.EvidenceRead,
		})
	}
	out[""] = operates
	return out, nil
}

// Hidden refuses a look at something that there was, in a scope whose evidence the
// caller does not read. team is that of a space that there is no more.
func (r *Reader) Hidden(scope, team string, what ledger.Target) error {
	aim := control.Aim{Scope: scope, Target: what, Need: authz.EvidenceRead, See: authz.EvidenceRead, On: authz.Resource{Team: team}}
	switch space, err := known[*document.Space](r, scope); {
	case err != nil:
		return err
	case scope == "":
		aim.Need, aim.See = authz.Operate, authz.Operate
	case space != nil:
		aim.On.Team = space.Team
	case team == "":
		aim.On.Team = scope
	}
	return r.elsewhere(aim)
}

// PastOf refuses whoever does not read the evidence of a team, in words that do not
// tell what of the team was asked for.
func (r *Reader) PastOf(team string) error {
	_, err := r.Team(team, authz.EvidenceRead)
	if fault.Of(err) == fault.NotFound {
		return told(err, "Couldn't find that app, space or team.")
	}
	return err
}

// everywhere adds the scopes that are not there yet.
func (r *Reader) everywhere(out map[string]bool) error {
	for _, kind := range []document.Kind{document.KindTeam, document.KindSpace} {
		list, err := r.v.Find(kind, "all", "")
		if err != nil {
			return err
		}
		for _, d := range list {
			out[d.Ident()] = out[d.Ident()]
		}
	}
	return nil
}

func (r *Reader) ownEvidence(identity string, out map[string]bool) error {
	teams, err := r.Teams()
	if err != nil {
		return err
	}
	one := ""
	if identity != "" {
		if one, err = r.Scope(identity); err != nil {
			return err
		}
		out[one] = true
	}
	for _, t := range teams {
		if one != "" && one != t.ID {
			continue
		}
		ok, err := r.may(authz.EvidenceRead, authz.Resource{Team: t.ID})
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		out[t.ID] = true
		spaces, err := r.SpacesOf(t)
		if err != nil {
			return err
		}
		for _, s := range spaces {
			out[s.ID] = true
		}
	}
	return nil
}

// Alerts lists where findings are sent to, of the scopes whose evidence the caller
// reads in full.
func (r *Reader) Alerts(scope string) ([]*document.Alert, error) {
	sees, err := r.Evidence(scope)
	if err != nil {
		return nil, err
	}
	list, err := store.Find[*document.Alert](r.v, "all", "")
	return slices.DeleteFunc(list, func(a *document.Alert) bool { return !sees[a.Scope] }), err
}
