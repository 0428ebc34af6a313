package api

import (
	"net/http"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/view"
)

func appContext(a query.App) view.AppContext {
	return view.AppContext{Team: a.Team, Space: a.Space, Owner: a.Owner, Hostname: a.Hostname}
}

func (c *call) presentApp(_ *query.Reader, a query.App) (view.App, error) {
	return c.cfg.Site.OfApp(a.App, appContext(a)), nil
}

func (c *call) presentTeamApp(_ *query.Reader, a query.App) (view.TeamApp, error) {
	return c.cfg.Site.OfTeamApp(a.App, appContext(a), true), nil
}

var appProperties = []property[view.App]{
	{name: "name", text: func(a view.App) string { return a.Name }},
	{name: "id", text: func(a view.App) string { return a.ID }},
}

func listApps(c *call) (Answer, error) {
	return listed(c, (*query.Reader).Apps, c.presentApp, appProperties...)
}

func listUserApps(c *call) (Answer, error) {
	if err := c.self(); err != nil {
		return Answer{}, err
	}
	return listApps(c)
}

func listTeamApps(c *call) (Answer, error) {
	return listed(c, func(q *query.Reader) ([]query.App, error) {
		t, err := c.team(q)
		if err != nil {
			return nil, err
		}
		return q.AppsOf(t)
	}, c.presentTeamApp,
		property[view.TeamApp]{name: "name", text: func(a view.TeamApp) string { return a.Name }},
		property[view.TeamApp]{name: "id", text: func(a view.TeamApp) string { return a.ID }})
}

func getApp(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.App, error) {
		a, err := c.app(q)
		if err != nil {
			return view.App{}, err
		}
		return c.presentApp(q, a)
	}))
}

func getTeamApp(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.TeamApp, error) {
		a, err := c.app(q)
		if err != nil {
			return view.TeamApp{}, err
		}
		return c.presentTeamApp(q, a)
	}))
}

// changedApp shows the app that a command left.
func (c *call) changedApp(a *document.App) (view.App, error) {
	return show(c, func(q *query.Reader) (view.App, error) {
		full, err := q.AppDetails(a)
		if err != nil {
			return view.App{}, err
		}
		return c.presentApp(q, full)
	})
}

func createApp(c *call) (Answer, error) {
	a, err := c.newApp()
	if err != nil {
		return Answer{}, err
	}
	return created(c.changedApp(a))
}

func createTeamApp(c *call) (Answer, error) {
	a, err := c.newApp()
	if err != nil {
		return Answer{}, err
	}
	return created(show(c, func(q *query.Reader) (view.TeamApp, error) {
		full, err := q.AppDetails(a)
		if err != nil {
			return view.TeamApp{}, err
		}
		return c.presentTeamApp(q, full)
	}))
}

func (c *call) newApp() (*document.App, error) {
	var in struct {
		Name  string `json:"name"`
		Space ref    `json:"space"`
		Team  ref    `json:"team"`
		Stack ref    `json:"stack"`
		EPHI  string `json:"ephi"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if err := checkStack(string(in.Stack)); err != nil {
		return nil, err
	}
	space := string(in.Space)
	if space == "" {
		var err error
		if space, err = c.onlySpace(string(in.Team)); err != nil {
			return nil, err
		}
	} else if err := c.inTeam(space, string(in.Team)); err != nil {
		return nil, err
	}
	cmd := &apps.Create{Name: in.Name, Space: space, Team: string(in.Team), EPHI: in.EPHI, Domain: c.cfg.Domain}
	err := c.execute(cmd)
	return cmd.App, err
}

// onlySpace is where an app goes whose maker names no space: where there is
// just one to choose from.
func (c *call) onlySpace(team string) (string, error) {
	list, err := show(c, func(q *query.Reader) ([]query.Space, error) {
		if team == "" {
			return q.Spaces()
		}
		t, err := q.Team(team, authz.TeamView)
		if err != nil {
			return nil, err
		}
		return q.SpacesOf(t)
	})
	if err != nil {
		return "", err
	}
	if len(list) != 1 {
		return "", fault.New(fault.Invalid, "Every app lives in a space, and you see %d: name one with --space.", len(list))
	}
	return list[0].ID, nil
}

// inTeam refuses a space that the caller does not see, or that is not the named
// team's.
func (c *call) inTeam(space, team string) error {
	return c.read(func(q *query.Reader) error {
		s, err := q.Space(space, authz.SpaceView)
		if err != nil || team == "" {
			return err
		}
		t, err := q.Team(team, authz.TeamView)
		if err != nil {
			return err
		}
		if s.Space.Team != t.ID {
			return fault.New(fault.Invalid, "The space %s does not belong to the team %s.", s.Name, t.Name)
		}
		return nil
	})
}

func checkStack(name string) error {
	if name != "" && name != apps.Stack && name != view.BuiltIn("stack", apps.Stack) {
		return fault.New(fault.Invalid, "There is one stack: %s.", apps.Stack)
	}
	return nil
}

func updateApp(c *call) (Answer, error) {
	var in struct {
		Name        *string `json:"name"`
		Maintenance *bool   `json:"maintenance"`
		BuildStack  ref     `json:"build_stack"`
		EPHI        *string `json:"ephi"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if err := checkStack(string(in.BuildStack)); err != nil {
		return Answer{}, err
	}
	cmd := &apps.Update{Identity: c.path("app"), Name: in.Name, Maintenance: in.Maintenance, EPHI: in.EPHI}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(c.changedApp(cmd.App))
}

func destroyApp(c *call) (Answer, error) {
	// Shown as it was: afterwards there is nothing to look up.
	was, err := show(c, func(q *query.Reader) (view.App, error) {
		a, err := c.visibleApp(q)
		if err != nil {
			return view.App{}, err
		}
		return c.presentApp(q, a)
	})
	if err != nil {
		return Answer{}, err
	}
	return ok(was, c.execute(&apps.Destroy{Identity: c.path("app")}))
}

// noPipeline: pipelines are not there yet, so no app is in one.
func noPipeline(*call) (Answer, error) {
	return Answer{}, fault.New(fault.NotFound, "Couldn't find that pipeline coupling.")
}

// feature is the app feature of the path. There is one, which every app has:
// reconcile makes all formations rolling.
func (c *call) feature() (view.Feature, error) {
	switch name := c.path("feature"); name {
	case preboot, view.BuiltIn("app-feature", preboot):
		return c.preboot(), nil
	case "http-session-affinity":
		return view.Feature{}, fault.New(fault.NotFound, "%s is not served: each request may go to any of an app's dynos. Keep sessions where all of them reach them, such as a database.", name)
	}
	return view.Feature{}, fault.New(fault.NotFound, "Couldn't find that app feature.")
}

const preboot = "preboot"

func (c *call) preboot() view.Feature {
	return c.cfg.Site.OfFeature("app", view.FeatureInfo{
		Name: preboot, Human: preboot, Description: "New web dynos accept connections before old ones stop. Always on.",
	}, true)
}

func listAppFeatures(c *call) (Answer, error) {
	_, err := show(c, c.app)
	return ok([]view.Feature{c.preboot()}, err)
}

func getAppFeature(c *call) (Answer, error) {
	if _, err := show(c, c.app); err != nil {
		return Answer{}, err
	}
	return ok(c.feature())
}

// updateAppFeature changes nothing: what is on stays on.
func updateAppFeature(c *call) (Answer, error) {
	var in struct {
		Enabled *bool `json:"enabled"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if in.Enabled == nil {
		return Answer{}, fault.New(fault.Invalid, "enabled is missing.")
	}
	a, err := getAppFeature(c)
	if err == nil && !*in.Enabled {
		err = fault.New(fault.Invalid, "preboot cannot be turned off: every release starts new web dynos before it stops the old ones.")
	}
	return a, err
}

func presentCollaborator(a query.App) func(*query.Reader, query.Collaborator) (view.Collaborator, error) {
	return func(_ *query.Reader, x query.Collaborator) (view.Collaborator, error) {
		if x.Own == nil {
			return view.OfTeamMember(x.Member, a.App), nil
		}
		role := ""
		if x.Member != nil {
			role = view.HerokuRole(x.Member.Roles)
		}
		return view.OfCollaborator(x.Own, a.App, role), nil
	}
}

func listCollaborators(c *call) (Answer, error) {
	a, err := show(c, c.app)
	if err != nil {
		return Answer{}, err
	}
	return listed(c, func(q *query.Reader) ([]query.Collaborator, error) { return q.Collaborators(a) }, presentCollaborator(a),
		property[view.Collaborator]{name: "id", text: func(x view.Collaborator) string { return x.ID }})
}

func getCollaborator(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Collaborator, error) {
		a, err := c.app(q)
		if err != nil {
			return view.Collaborator{}, err
		}
		x, err := q.Collaborator(a, c.path("collaborator"))
		if err != nil {
			return view.Collaborator{}, err
		}
		return presentCollaborator(a)(q, x)
	}))
}

func addCollaborator(c *call) (Answer, error) {
	var in struct {
		User        ref      `json:"user"`
		Permissions []string `json:"permissions"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	return c.collaborate(&apps.AddCollaborator{Identity: c.path("app"), Email: string(in.User), Permissions: in.Permissions}, http.StatusCreated)
}

// updateCollaborator changes what somebody may do who has access already.
func updateCollaborator(c *call) (Answer, error) {
	var in struct {
		Permissions []string `json:"permissions"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if len(in.Permissions) == 0 {
		return Answer{}, fault.New(fault.Invalid, "permissions is missing.")
	}
	x, err := c.pathCollaborator()
	if err != nil {
		return Answer{}, err
	}
	return c.collaborate(&apps.AddCollaborator{Identity: c.path("app"), Email: x.Email(), Permissions: in.Permissions}, http.StatusOK)
}

func (c *call) pathCollaborator() (query.Collaborator, error) {
	return show(c, func(q *query.Reader) (query.Collaborator, error) {
		a, err := c.visibleApp(q)
		if err != nil {
			return query.Collaborator{}, err
		}
		return q.Collaborator(a, c.path("collaborator"))
	})
}

func (c *call) collaborate(cmd *apps.AddCollaborator, status int) (Answer, error) {
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	shown, err := show(c, func(q *query.Reader) (view.Collaborator, error) {
		a, err := c.visibleApp(q)
		if err != nil {
			return view.Collaborator{}, err
		}
		return view.OfCollaborator(cmd.Collaborator, a.App, ""), nil
	})
	return Answer{Status: status, Body: shown}, err
}

func removeCollaborator(c *call) (Answer, error) {
	x, err := c.pathCollaborator()
	if err != nil {
		return Answer{}, err
	}
	a, err := show(c, c.visibleApp)
	if err != nil {
		return Answer{}, err
	}
	if x.Own == nil {
		return Answer{}, fault.New(fault.Conflict, "%s has access as a member of the team. Remove them there: heroku members:remove", x.Email())
	}
	if err := c.execute(&apps.RemoveCollaborator{Identity: c.path("app"), Email: x.Own.ID}); err != nil {
		return Answer{}, err
	}
	return ok(presentCollaborator(a)(nil, x))
}
