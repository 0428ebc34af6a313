package people

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// Login checks a password: recorded when it is right and when it is not
// (45 CFR 164.308(a)(5)(ii)(C), log-in monitoring).
type Login struct {
	Email    string
	Password secret.Value
	Account  *document.Account // the result

	right bool
}

// Action is account.login.
func (*Login) Action() string { return "account.login" }

// Prepare compares the password, which takes as long for an address that does
// not exist as for one that does.
func (c *Login) Prepare(ctx context.Context, t control.Tools) error {
	var acct *document.Account
	err := t.Store.Read(ctx, func(v store.View) error {
		var err error
		acct, err = byEmail(v, c.Email)
		return err
	})
	if err != nil && fault.Of(err) != fault.NotFound && fault.Of(err) != fault.Invalid {
		return err
	}
	if acct == nil || acct.Password == nil {
		secret.CheckPassword(decoy, string(c.Password.Reveal()))
		return nil
	}
	hash, err := t.Keyring.Open(ctx, acct.Password.ID, acct.Password.SHA256)
	if err != nil {
		return err
	}
	c.right = secret.CheckPassword(hash, string(c.Password.Reveal()))
	return nil
}

// decoy has the cost of a real hash and matches nothing.
var decoy = secret.NewValue([]byte("pbkdf2-sha256$600000$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))

// Aim is the account, if there is one. The address typed is not recorded when
// it belongs to nobody: people type passwords into the wrong field.
func (c *Login) Aim(v store.View) (control.Aim, error) {
	aim := control.Aim{Target: ledger.Target{Kind: "account", Name: "unknown"}, Need: authz.Public}
	acct, err := byEmail(v, c.Email)
	if kind := fault.Of(err); kind == fault.NotFound || kind == fault.Invalid {
		return aim, nil
	}
	if err != nil {
		return aim, err
	}
	c.Account = acct
	aim.Target = ledger.Target{Kind: "account", ID: acct.ID, Name: acct.Email}
	return aim, nil
}

// Decide lets in or refuses, with one message for every reason. Who is let in
// is the actor of the entry; who is refused stays anonymous.
func (c *Login) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	if c.Account == nil || !c.right || c.Account.Suspended {
		return fault.New(fault.Unauthenticated, "Invalid credentials provided.")
	}
	d.LoggedIn = c.Account
	return nil
}

// Refuse records a token that did not let its bearer in.
type Refuse struct {
	Why string // "unknown token", "expired token", "suspended account"
	// Token and Account are ids, where the token is one that was known.
	Token, Account string
}

// Action is account.login: what failed is a log-in.
func (*Refuse) Action() string { return "account.login" }

// Aim is the account behind the token, if there is one.
func (c *Refuse) Aim(store.View) (control.Aim, error) {
	return control.Aim{Target: ledger.Target{Kind: "account", ID: c.Account, Name: c.Why}, Need: authz.Public}, nil
}

// Decide always refuses.
func (c *Refuse) Decide(store.View, control.By, time.Time, *control.Decision) error {
	return fault.New(fault.Unauthenticated, "Invalid credentials provided.")
}

func byEmail(v store.View, email string) (*document.Account, error) {
	email, err := document.CleanEmail(email)
	if err != nil {
		return nil, err
	}
	return store.One[*document.Account](v, "email", email)
}
