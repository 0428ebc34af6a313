package query

import (
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
