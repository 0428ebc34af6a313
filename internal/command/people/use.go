package people

import (
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// useEvery is how exactly it is known when an account was last used.
const useEvery = 24 * time.Hour

// Used tells whether the last use of an account is on record as exactly as it
// shall be. That of nobody's account is in what the platform tries with it.
func Used(a *document.Account, now time.Time) bool {
	return a.Nobodys() || now.Sub(LastUse(a)) < useEvery
}

// LastUse is when an account was last used, to the day; at the earliest when it
// was made.
func LastUse(a *document.Account) time.Time {
	if a.UsedAt == nil {
		return a.CreatedAt
	}
	return *a.UsedAt
}

// Use records that somebody came with an account's password or token: once a
// day, whatever they came for. Plain reads are on record in no other way, and an
// account that nobody uses must be told from one that only reads.
type Use struct{ Account string }

// Action is account.use.
func (*Use) Action() string { return "account.use" }

// Aim is the account.
func (c *Use) Aim(v store.View) (control.Aim, error) {
	acct, err := store.Get[*document.Account](v, c.Account)
	if err != nil {
		return control.Aim{}, err
	}
	return control.Aim{Target: ledger.Target{Kind: "account", ID: acct.ID, Name: acct.Email}, Need: authz.Anyone}, nil
}

// Decide refuses whoever was faster: of several requests at once one is enough.
func (c *Use) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	acct, err := store.Get[*document.Account](v, c.Account)
	if err != nil {
		return err
	}
	if by.Actor.ID != acct.ID {
		return fault.New(fault.Forbidden, "An account is used by whom it belongs to.")
	}
	if Used(acct, now) {
		return fault.New(fault.Conflict, "That the account was used is on record already.")
	}
	acct.UsedAt = &now
	d.Put(acct)
	return nil
}
