package query

import (
	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Account is the caller's own.
func (r *Reader) Account() (*document.Account, error) {
	return store.Get[*document.Account](r.v, r.who.Account)
}

// Accounts lists all accounts, for operators.
func (r *Reader) Accounts() ([]*document.Account, error) {
	if err := r.Operator(control.Aim{Target: ledger.Target{Kind: "account", Name: "all accounts"}}); err != nil {
		return nil, err
	}
	return store.Find[*document.Account](r.v, "all", "")
}

// Tokens lists the caller's authorizations.
func (r *Reader) Tokens() ([]*document.Token, error) {
	return store.Find[*document.Token](r.v, "account", r.who.Account)
}

// Token finds one of the caller's authorizations.
func (r *Reader) Token(id string) (*document.Token, error) {
	t, err := store.Get[*document.Token](r.v, id)
	if fault.Of(err) == fault.NotFound {
		return nil, fault.New(fault.NotFound, "Couldn't find that authorization.")
	}
	if err == nil && t.Account != r.who.Account {
		return nil, told(r.refuseForeign("token", t.ID), "Couldn't find that authorization.")
	}
	return t, err
}

// refuseForeign is for what belongs to another account: nobody's permission
// shows it.
func (r *Reader) refuseForeign(kind, id string) error {
	return &Refusal{
		control.Aim{Target: ledger.Target{Kind: kind, ID: id}, Need: authz.System, See: authz.System},
		fault.New(fault.NotFound, "Couldn't find that %s.", kind),
	}
}

// Keys lists the caller's SSH keys.
func (r *Reader) Keys() ([]*document.SSHKey, error) {
	return store.Find[*document.SSHKey](r.v, "account", r.who.Account)
}

// Key finds one of the caller's SSH keys by id or fingerprint.
func (r *Reader) Key(identity string) (*document.SSHKey, error) {
	k, err := store.Get[*document.SSHKey](r.v, identity)
	if fault.Of(err) == fault.NotFound {
		k, err = store.One[*document.SSHKey](r.v, "fingerprint", identity)
	}
	if err == nil && k.Account != r.who.Account {
		return nil, r.refuseForeign("key", k.ID)
	}
	return k, err
}
