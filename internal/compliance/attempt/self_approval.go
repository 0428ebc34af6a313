package attempt

import (
	"context"
	"fmt"
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
		ID: "attempt.self-approval", Title: "Nobody approves what they asked for or pushed themselves", Version: 2, Every: seldom,
		Shares: onStage, Try: calling(c, "attempt.self-approval", (*caller).selfApproval),
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

// ownReleases rehearses, for each app, that who pushed its newest code approves
// it, also as an emergency where the team's policy allows no emergencies.
func (c *caller) ownReleases(ctx context.Context) (out []compliance.Result, err error) {
	var apps []*document.App
	newest := map[string]*document.Release{}
	alone := map[string]bool{}
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
			policy, err := v.Get(document.KindPolicy, a.Team)
			if err != nil {
				return err
			}
			p, ok := policy.(*document.Policy)
			alone[a.ID] = ok && p.Emergency
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
		t := &trial{}
		if err := c.ownRelease(ctx, t, a, r, "", &releases.Approve{App: a.ID, Identity: r.ID}); err != nil {
			return nil, err
		}
		if !alone[a.ID] {
			if err := c.ownRelease(ctx, t, a, r, " in an emergency", &releases.Emergency{App: a.ID, Identity: r.ID}); err != nil {
				return nil, err
			}
		}
		out = append(out, t.result().Of(a.Space, a.ID, a.Name))
	}
	return out, nil
}

// ownRelease rehearses a command by which whoever pushed the release approves it.
func (c *caller) ownRelease(ctx context.Context, t *trial, a *document.App, r *document.Release, how string, cmd control.Command) error {
	author := control.By{
		Actor: ledger.Actor{Kind: ledger.AccountActor, ID: r.By, Email: r.ByEmail}, Via: ledger.ViaProbe, Reason: "attempt.self-approval",
	}
	err := c.Rehearse(ctx, cmd, author)
	who := fmt.Sprintf("%s pushed v%d of %s and, asked without writing,", r.ByEmail, r.Version, a.Name)
	switch fault.Of(err) {
	case fault.Forbidden, fault.NotFound, fault.Unauthenticated: // who left the team finds no such app
		t.tried(true, "%s approves it%s: %s", who, how, fault.Message(err))
	case fault.Conflict: // it does not wait any more, which is said after all that forbids it
		t.tried(false, "%s could approve it%s if it waited.", who, how)
	default:
		if err != nil {
			return err
		}
		t.tried(false, "%s approves it%s: it would go through.", who, how)
	}
	return nil
}
