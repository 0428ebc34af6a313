package people

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// TokenPrefix marks tokens, as Heroku's do, so that secret scanners know them.
const TokenPrefix = "HRKU-"

// TokenDigest is what is kept of a token.
func TokenDigest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// CreateToken gives an account a token to act with.
type CreateToken struct {
	Account     string // id; "" = the actor's own
	Description string
	Scope       []string
	ExpiresIn   time.Duration // 0 = does not expire
	Token       *document.Token
	Secret      secret.Value // shown once, to the caller

	id string
}

// Action is token.create.
func (*CreateToken) Action() string { return "token.create" }

// Prepare draws the token.
func (c *CreateToken) Prepare(context.Context, control.Tools) error {
	if len(c.Description) > 200 {
		return fault.New(fault.Invalid, "A description has at most 200 characters.")
	}
	if c.ExpiresIn < 0 {
		return fault.New(fault.Invalid, "expires_in must not be negative.")
	}
	raw := make([]byte, 32)
	rand.Read(raw)
	c.id = document.NewID()
	c.Secret = secret.NewValue([]byte(TokenPrefix + hex.EncodeToString(raw)))
	return nil
}

// Aim is the account. The platform makes tokens for anyone only when it is set
// up; people make them for themselves.
func (c *CreateToken) Aim(v store.View) (control.Aim, error) {
	aim := control.Aim{Target: ledger.Target{Kind: "token", ID: c.id, Name: c.Description}, Need: authz.Anyone}
	if c.Account != "" {
		aim.Need = authz.System
	}
	return aim, nil
}

// Decide keeps the token's digest.
func (c *CreateToken) Decide(_ store.View, by control.By, now time.Time, d *control.Decision) error {
	account := c.Account
	if account == "" {
		account = by.Actor.ID
	}
	scope := c.Scope
	if len(scope) == 0 {
		scope = []string{"global"}
	}
	c.Token = &document.Token{
		Base: document.Base{ID: c.id}, Account: account, Digest: TokenDigest(string(c.Secret.Reveal())),
		Description: c.Description, Scope: scope,
	}
	if c.ExpiresIn > 0 {
		at := now.Add(c.ExpiresIn)
		c.Token.ExpiresAt = &at
	}
	d.Put(c.Token)
	return nil
}

// RevokeToken ends a token.
type RevokeToken struct {
	ID    string
	Token *document.Token // the result
}

// Action is token.revoke.
func (*RevokeToken) Action() string { return "token.revoke" }

// Aim is the token.
func (c *RevokeToken) Aim(v store.View) (control.Aim, error) {
	t, err := store.Get[*document.Token](v, c.ID)
	if err != nil {
		return control.Aim{}, err
	}
	c.Token = t
	return control.Aim{Target: ledger.Target{Kind: "token", ID: t.ID, Name: t.Description}, Need: authz.Anyone}, nil
}

// Decide lets people revoke their own tokens and operators any.
func (c *RevokeToken) Decide(v store.View, by control.By, _ time.Time, d *control.Decision) error {
	if c.Token.Account != by.Actor.ID {
		ok, err := authz.Allowed(v, by.Subject(), by.Actor.Roles, authz.Operate, authz.Resource{})
		if err != nil {
			return err
		}
		if !ok {
			return fault.New(fault.Forbidden, "That authorization is not yours.")
		}
	}
	d.Delete(document.KindToken, c.Token.ID)
	return nil
}
