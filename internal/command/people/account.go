// Package people has the commands about accounts, their tokens and their keys.
//
// internal/api and internal/cli's installation commands call it.
package people

import (
	"context"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// CreateAccount makes an account for a person.
type CreateAccount struct {
	Email    string
	Name     string
	Password secret.Value // empty: none can be used
	Operator bool
	Account  *document.Account // the result

	id     string
	sealed *secret.Sealed
}

// Action is account.create.
func (*CreateAccount) Action() string { return "account.create" }

// Prepare hashes and seals the password.
func (c *CreateAccount) Prepare(ctx context.Context, t control.Tools) error {
	email, err := document.CleanEmail(c.Email)
	if err != nil {
		return err
	}
	c.Email, c.id = email, document.NewID()
	if len(c.Password.Reveal()) == 0 {
		return nil
	}
	hash, err := secret.HashPassword(string(c.Password.Reveal()))
	if err != nil {
		return err
	}
	s, err := t.Keyring.Seal(ctx, secret.Installation, hash)
	c.sealed = &s
	return err
}

// Aim is the installation.
func (c *CreateAccount) Aim(store.View) (control.Aim, error) {
	return control.Aim{Target: ledger.Target{Kind: "account", ID: c.id, Name: c.Email}, Need: authz.Operate}, nil
}

// Decide refuses a second account with the address.
func (c *CreateAccount) Decide(v store.View, by control.By, _ time.Time, d *control.Decision) error {
	have, err := store.Find[*document.Account](v, "email", c.Email)
	if err != nil {
		return err
	}
	if len(have) > 0 {
		return fault.New(fault.Conflict, "There is an account for %s already.", c.Email)
	}
	name := strings.TrimSpace(c.Name)
	if name == "" {
		name = c.Email
	}
	c.Account = &document.Account{Base: document.Base{ID: c.id}, Email: c.Email, Name: name, CreatedBy: by.Actor.ID, Operator: c.Operator}
	if c.sealed != nil {
		c.Account.Password = &document.Sealed{ID: c.sealed.ID, SHA256: c.sealed.Digest()}
		d.Sealed = append(d.Sealed, *c.sealed)
	}
	d.Put(c.Account)
	return nil
}

// SuspendAccount ends what a person may do, at once and everywhere.
type SuspendAccount struct {
	Email   string
	Account *document.Account // the result
}

// Action is account.suspend.
func (*SuspendAccount) Action() string { return "account.suspend" }

// Aim is the account.
func (c *SuspendAccount) Aim(v store.View) (control.Aim, error) {
	acct, err := byEmail(v, c.Email)
	if err != nil {
		return control.Aim{}, err
	}
	c.Account = acct
	return control.Aim{Target: ledger.Target{Kind: "account", ID: acct.ID, Name: acct.Email}, Need: authz.Operate}, nil
}

// Decide suspends the account and revokes its tokens.
func (c *SuspendAccount) Decide(v store.View, by control.By, _ time.Time, d *control.Decision) error {
	if c.Account.ID == by.Actor.ID {
		return fault.New(fault.Conflict, "You cannot suspend your own account.")
	}
	c.Account.Suspended = true
	d.Put(c.Account)
	tokens, err := store.Find[*document.Token](v, "account", c.Account.ID)
	if err != nil {
		return err
	}
	for _, t := range tokens {
		d.Delete(document.KindToken, t.ID)
	}
	return nil
}
