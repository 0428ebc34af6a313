package attempt

import (
	"context"
	"net/http"

	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// selfApproval: nobody is the second person for what they asked for or pushed
// themselves.
//
// The request is real: the platform's own account asks for a role in its own
// team and then tries to grant it. Releases are their authors': an attempt in
// their name would accuse them of it, so the kernel is asked what it would
// answer, by the same decision on the same state, and writes nothing.
func selfApproval(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "attempt.self-approval", Title: "Nobody approves what they asked for or pushed themselves", Version: 1, Every: seldom,
		Try: calling(c, "attempt.self-approval", (*caller).selfApproval),
	}
}

func (c *caller) selfApproval(ctx context.Context) ([]compliance.Result, error) {
	t := &trial{}
	if err := c.ownRequest(ctx, t); err != nil {
		return nil, err
	}
	out, err := c.ownReleases(ctx)
	if err != nil {
		return nil, err
	}
	return append(out, t.result().Of("", "", "")), nil
}

// ownRequest asks for a role and tries to grant it.
func (c *caller) ownRequest(ctx context.Context, t *trial) error {
	_, token, err := c.token(ctx, c.Admin, tokenLife)
	if err != nil {
		return err
	}
	team := "/teams/" + c.Team.ID
	if err := c.works(ctx, token, http.MethodPut, team+"/members/"+c.Member.ID+"/roles/approver", `{}`); err != nil {
		return err
	}
	var waiting []*document.Request
	if err := c.Store.Read(ctx, func(v store.View) (err error) {
		waiting, err = store.Find[*document.Request](v, "team+state", c.Team.ID+"+"+document.RequestWaiting)
		return err
	}); err != nil {
		return err
	}
	if len(waiting) == 0 {
		t.tried(false, "%s gave %s the role approver, and nobody else was asked.", c.Admin.Email, c.Member.Email)
		return nil
	}
	t.note("%s asked for the role approver for %s.", c.Admin.Email, c.Member.Email)
	return c.try(ctx, t, c.Admin.Email, token, http.MethodPost, team+"/requests/"+waiting[0].ID+"/actions/grant", `{}`, http.StatusForbidden)
}

// ownReleases rehearses, for each app, that who pushed its newest code approves it.
func (c *caller) ownReleases(ctx context.Context) (out []compliance.Result, err error) {
	var apps []*document.App
	newest := map[string]*document.Release{}
	if err := c.Store.Read(ctx, func(v store.View) (err error) {
		if apps, err = store.Find[*document.App](v, "all", ""); err != nil {
			return err
		}
		for _, a := range apps {
			list, err := store.Find[*document.Release](v, "app", a.ID)
			if err != nil {
				return err
			}
			for _, r := range list {
				if r.Code && r.Required > 0 && (newest[a.ID] == nil || r.Version > newest[a.ID].Version) {
					newest[a.ID] = r
				}
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for _, a := range apps {
		r := newest[a.ID]
		if r == nil {
			continue
		}
		author := control.By{Actor: ledger.Actor{Kind: ledger.AccountActor, ID: r.By, Email: r.ByEmail}, Via: ledger.ViaProbe}
		err := c.Rehearse(ctx, &releases.Approve{App: a.ID, Identity: r.ID}, author)
		t := &trial{}
		switch kind := fault.Of(err); kind {
		case fault.Forbidden, fault.NotFound, fault.Unauthenticated: // who left the team finds no such app
			t.tried(true, "%s pushed v%d of %s and, asked without writing, approves it: %s", r.ByEmail, r.Version, a.Name, fault.Message(err))
		case fault.Conflict: // it does not wait any more, which is said after all that forbids it
			t.tried(false, "%s pushed v%d of %s and, asked without writing, could approve it if it waited.", r.ByEmail, r.Version, a.Name)
		default:
			if err != nil {
				return nil, err
			}
			t.tried(false, "%s pushed v%d of %s and, asked without writing, approves it: it would go through.", r.ByEmail, r.Version, a.Name)
		}
		out = append(out, t.result().Of(a.Space, a.ID, a.Name))
	}
	return out, nil
}
