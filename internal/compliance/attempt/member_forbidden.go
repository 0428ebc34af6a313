package attempt

import (
	"context"
	"net/http"

	"github.com/strongroom/strongroom/internal/compliance"
)

// memberForbidden: a member does what members may, and nothing that needs an
// owner, an auditor or an operator.
func memberForbidden(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "attempt.member-forbidden", Title: "A member of a team may do what members may, and no more", Version: 1, Every: seldom,
		Shares: onStage, Try: calling(c, "attempt.member-forbidden", (*caller).memberForbidden),
	}
}

func (c *caller) memberForbidden(ctx context.Context) ([]compliance.Result, error) {
	_, token, err := c.token(ctx, c.Member, tokenLife)
	if err != nil {
		return nil, err
	}
	team := "/teams/" + c.Team.ID
	if err := c.works(ctx, token, http.MethodGet, team, ""); err != nil {
		return nil, err
	}
	t := &trial{}
	t.note("%s is a member of %s and may look at it.", c.Member.Email, c.Team.Name)
	// Each of these would change nothing, or only the platform's own team, which
	// is set right again.
	for _, act := range []struct{ method, path, body string }{
		{http.MethodPut, team + "/members/" + c.Member.ID + "/roles/admin", `{}`},
		{http.MethodPatch, team + "/policy", `{"approvals":1}`},
		{http.MethodGet, "/strongroom/ledger/entries?scope=" + c.Team.ID, ""},
		{http.MethodGet, "/strongroom/accounts", ""},
		{http.MethodPost, "/strongroom/accounts/" + c.Suspended.Email + "/actions/suspend", `{}`},
	} {
		if err := c.try(ctx, t, c.Member.Email, token, act.method, act.path, act.body, http.StatusForbidden); err != nil {
			return nil, err
		}
	}
	return t.one(nil)
}
