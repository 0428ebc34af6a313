package attempt

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/command/attempts"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// stranger: who has no role in a team is told of what it has that there is no
// such thing, in the words for what there never was.
func stranger(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "attempt.stranger", Title: "Who has no role in a team cannot even find what it has", Version: 1, Every: seldom,
		Shares: onStage, Try: calling(c, "attempt.stranger", (*caller).stranger),
	}
}

// foreign is a team with one of its spaces and apps, "" where it has none.
type foreign struct {
	*document.Team
	approvals  int
	space, app string
}

func (c *caller) stranger(ctx context.Context) (out []compliance.Result, err error) {
	teams, err := c.foreign(ctx)
	if err != nil || len(teams) == 0 {
		return nil, err
	}
	_, token, err := c.token(ctx, c.Member, tokenLife)
	if err != nil {
		return nil, err
	}
	if err := c.works(ctx, token, http.MethodGet, "/teams/"+c.Team.ID, ""); err != nil {
		return nil, err
	}
	nowhere := map[string]string{} // what is said of things that there never were
	for _, kind := range []string{"teams", "spaces", "apps"} {
		a, err := c.ask(ctx, token, http.MethodGet, "/"+kind+"/"+uuid.NewString(), "")
		if err != nil {
			return nil, err
		}
		nowhere[kind] = a.Message
	}
	for _, f := range teams {
		t := &trial{}
		if err := c.lookFor(ctx, t, token, f, nowhere); err != nil {
			return nil, err
		}
		out = append(out, t.result().Of(f.ID, f.ID, f.Name))
	}
	return out, nil
}

func (c *caller) foreign(ctx context.Context) (out []foreign, err error) {
	err = c.Store.Read(ctx, func(v store.View) error {
		list, err := store.Find[*document.Team](v, "all", "")
		if err != nil {
			return err
		}
		for _, team := range list {
			if team.Name == attempts.TeamName {
				continue
			}
			f := foreign{Team: team}
			policy, err := store.Get[*document.Policy](v, team.ID)
			if err != nil {
				return err
			}
			f.approvals = policy.Approvals
			spaces, err := store.Find[*document.Space](v, "team", team.ID)
			if err != nil {
				return err
			}
			if len(spaces) > 0 {
				f.space = spaces[0].ID
			}
			apps, err := store.Find[*document.App](v, "team", team.ID)
			if err != nil {
				return err
			}
			if len(apps) > 0 {
				f.app = apps[0].ID
			}
			out = append(out, f)
		}
		return nil
	})
	return out, err
}

// lookFor asks for a team, one of its spaces and apps, and tries an act: to set
// the policy that it has, which would change nothing.
func (c *caller) lookFor(ctx context.Context, t *trial, token secret.Value, f foreign, nowhere map[string]string) error {
	who := c.Member.Email + ", who has no role in " + f.Name + ","
	for _, x := range []struct{ kind, id string }{{"teams", f.ID}, {"spaces", f.space}, {"apps", f.app}} {
		if x.id == "" {
			continue
		}
		path := "/" + x.kind + "/" + x.id
		a, err := c.ask(ctx, token, http.MethodGet, path, "")
		if err != nil {
			return err
		}
		alike := "in the words for what there never was"
		if a.Message != nowhere[x.kind] {
			alike = "in other words than for what there never was"
		}
		t.tried(a.Status == http.StatusNotFound && a.Message == nowhere[x.kind], "%s asked the API for GET %s: %d, %s.", who, path, a.Status, alike)
	}
	body := fmt.Sprintf(`{"approvals":%d}`, f.approvals)
	return c.try(ctx, t, who, token, http.MethodPatch, "/teams/"+f.ID+"/policy", body, http.StatusNotFound)
}
