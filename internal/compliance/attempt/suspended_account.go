package attempt

import (
	"context"
	"net/http"

	"github.com/strongroom/strongroom/internal/compliance"
)

// suspendedAccount: who is suspended gets nowhere, also with a token that is good
// and as the owner of a team.
func suspendedAccount(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "attempt.suspended-account", Title: "A suspended account gets nowhere", Version: 1, Every: seldom,
		Shares: onStage, Try: calling(c, "attempt.suspended-account", (*caller).suspendedAccount),
	}
}

func (c *caller) suspendedAccount(ctx context.Context) ([]compliance.Result, error) {
	_, good, err := c.token(ctx, c.Member, tokenLife)
	if err != nil {
		return nil, err
	}
	_, token, err := c.token(ctx, c.Suspended, tokenLife)
	if err != nil {
		return nil, err
	}
	t := &trial{}
	t.note("%s is suspended, owns the team %s, and was given a token.", c.Suspended.Email, c.Team.Name)
	for _, path := range []string{"/account", "/teams/" + c.Team.ID} {
		if err := c.works(ctx, good, http.MethodGet, path, ""); err != nil {
			return nil, err
		}
		if err := c.try(ctx, t, c.Suspended.Email, token, http.MethodGet, path, "", http.StatusUnauthorized); err != nil {
			return nil, err
		}
	}
	// To the policy that there is: granted, it would change nothing.
	return t.one(c.try(ctx, t, c.Suspended.Email, token, http.MethodPatch, "/teams/"+c.Team.ID+"/policy", `{"approvals":1}`, http.StatusUnauthorized))
}
