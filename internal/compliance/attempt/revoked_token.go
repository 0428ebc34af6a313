package attempt

import (
	"context"
	"net/http"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
)

// revokedToken: a token is good for nothing once it is revoked, or over.
func revokedToken(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "attempt.revoked-token", Title: "A revoked token lets nobody in, nor does one whose time is over", Version: 1, Every: seldom,
		Shares: onStage, Try: calling(c, "attempt.revoked-token", (*caller).revokedToken),
	}
}

func (c *caller) revokedToken(ctx context.Context) ([]compliance.Result, error) {
	id, token, err := c.token(ctx, c.Member, tokenLife)
	if err != nil {
		return nil, err
	}
	if err := c.works(ctx, token, http.MethodGet, "/account", ""); err != nil {
		return nil, err
	}
	if err := c.works(ctx, token, http.MethodDelete, "/oauth/authorizations/"+id, ""); err != nil {
		return nil, err
	}
	t := &trial{}
	t.note("A token of %s was used for GET /account, and then revoked by it.", c.Member.Email)
	if err := c.try(ctx, t, "Whoever shows the revoked token", token, http.MethodGet, "/account", "", http.StatusUnauthorized); err != nil {
		return nil, err
	}
	if _, token, err = c.token(ctx, c.Member, time.Nanosecond); err != nil {
		return nil, err
	}
	return t.one(c.try(ctx, t, "Whoever shows a token that ended", token, http.MethodGet, "/account", "", http.StatusUnauthorized))
}
