package api

import (
	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/view"
)

func presentTeam(_ *query.Reader, t query.Team) (view.Team, error) {
	return view.OfTeam(t.Team, t.Roles), nil
}

func listTeams(c *call) (Answer, error) {
	return listed(c, (*query.Reader).Teams, presentTeam,
		property[view.Team]{name: "name", text: func(t view.Team) string { return t.Name }},
		property[view.Team]{name: "id", text: func(t view.Team) string { return t.ID }})
}

func getTeam(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Team, error) {
		t, err := c.team(q)
		if err != nil {
			return view.Team{}, err
		}
		return presentTeam(q, t)
	}))
}

func createTeam(c *call) (Answer, error) {
	var in struct {
		Name string `json:"name"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	cmd := &teams.Create{Name: in.Name}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return created(view.OfTeam(cmd.Team, []string{string(authz.Owner)}), nil)
}

// accessControls makes the CLI ask for permissions when it adds a collaborator
// to a team's app, and send them.
var accessControls = view.FeatureInfo{
	Name: "org-access-controls", Human: "Access controls", Description: "Give collaborators permissions app by app.",
}

func listTeamFeatures(c *call) (Answer, error) {
	return ok([]view.Feature{c.cfg.Site.OfFeature("team", accessControls, true)}, nil)
}

func listAppPermissions(*call) (Answer, error) { return ok(view.AppPermissions(), nil) }

func presentMember(_ *query.Reader, m query.Member) (view.Member, error) {
	return view.OfMember(m.Member, m.Account), nil
}

func listMembers(c *call) (Answer, error) {
	return listed(c, func(q *query.Reader) ([]query.Member, error) {
		t, err := c.team(q)
		if err != nil {
			return nil, err
		}
		return q.Members(t)
	}, presentMember, property[view.Member]{name: "id", text: func(m view.Member) string { return m.ID }})
}

// putMember gives a person one of Heroku's roles in place of the one they had.
func putMember(c *call) (Answer, error) {
	var in struct {
		Email string `json:"email"`
		Role  string `json:"role"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if view.HerokuRole([]string{in.Role}) != in.Role && in.Role != string(authz.Viewer) {
		return Answer{}, fault.New(fault.Invalid, "A member's role is owner, admin, member, collaborator or viewer. Others are given beside it: strongroom roles:grant")
	}
	return c.grant(&teams.GrantRole{Team: c.path("team"), Email: in.Email, Role: authz.Role(in.Role), Replace: true})
}

func (c *call) grant(cmd *teams.GrantRole) (Answer, error) {
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	if cmd.Request != nil {
		return accepted(view.Pending{Request: view.OfRequest(cmd.Request)}, nil)
	}
	return ok(show(c, func(q *query.Reader) (view.Member, error) {
		t, err := q.Team(cmd.Team, authz.TeamView)
		if err != nil {
			return view.Member{}, err
		}
		m, err := q.Member(t, cmd.Member.Account)
		if err != nil {
			return view.Member{}, err
		}
		return presentMember(q, m)
	}))
}

// member is the path's member, as somebody who sees the team finds them.
func (c *call) member() (query.Member, error) {
	return show(c, func(q *query.Reader) (query.Member, error) {
		t, err := q.Team(c.path("team"), authz.TeamView)
		if err != nil {
			return query.Member{}, err
		}
		return q.Member(t, c.path("member"))
	})
}

func removeMember(c *call) (Answer, error) {
	m, err := c.member()
	if err != nil {
		return Answer{}, err
	}
	if err := c.execute(&teams.RevokeRole{Team: c.path("team"), Email: m.Email}); err != nil {
		return Answer{}, err
	}
	return ok(presentMember(nil, m))
}

func getRoles(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.MemberRoles, error) {
		t, err := c.team(q)
		if err != nil {
			return view.MemberRoles{}, err
		}
		m, err := q.Member(t, c.path("member"))
		if err != nil {
			return view.MemberRoles{}, err
		}
		return view.OfMemberRoles(m.Member), nil
	}))
}

// putRole gives a person a role beside those they have. What weighs waits for a
// second person: 202.
func putRole(c *call) (Answer, error) {
	var in struct {
		Exception bool `json:"exception"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	cmd := &teams.GrantRole{
		Team: c.path("team"), Email: c.path("member"), Role: authz.Role(c.path("role")), Exception: in.Exception,
	}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	if cmd.Request != nil {
		return accepted(view.Pending{Request: view.OfRequest(cmd.Request)}, nil)
	}
	return ok(view.OfMemberRoles(cmd.Member), nil)
}

func deleteRole(c *call) (Answer, error) {
	m, err := c.member()
	if err != nil {
		return Answer{}, err
	}
	cmd := &teams.RevokeRole{Team: c.path("team"), Email: m.Email, Role: authz.Role(c.path("role"))}
	if cmd.Role == "" {
		return Answer{}, fault.New(fault.Invalid, "Name a role.")
	}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	left, err := c.member()
	if fault.Of(err) == fault.NotFound {
		left.Member = &document.Member{Account: m.Member.Account, Email: m.Email} // that was the last role
	} else if err != nil {
		return Answer{}, err
	}
	return ok(view.OfMemberRoles(left.Member), nil)
}

func getPolicy(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Policy, error) {
		t, err := c.team(q)
		if err != nil {
			return view.Policy{}, err
		}
		p, err := q.Policy(t)
		if err != nil {
			return view.Policy{}, err
		}
		return view.OfPolicy(p), nil
	}))
}

func updatePolicy(c *call) (Answer, error) {
	var in struct {
		Approvals     *int  `json:"approvals"`
		ApproveConfig *bool `json:"approve_config"`
		Emergency     *bool `json:"emergency"`
		Exception     bool  `json:"exception"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	cmd := &teams.UpdatePolicy{
		Team: c.path("team"), Approvals: in.Approvals, ApproveConfig: in.ApproveConfig, Emergency: in.Emergency, Exception: in.Exception,
	}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	if cmd.Request != nil {
		return accepted(view.Pending{Request: view.OfRequest(cmd.Request)}, nil)
	}
	return ok(view.OfPolicy(cmd.Policy), nil)
}

func presentRequest(_ *query.Reader, r *document.Request) (view.Request, error) {
	return view.OfRequest(r), nil
}

func listRequests(c *call) (Answer, error) {
	return listed(c, func(q *query.Reader) ([]*document.Request, error) {
		t, err := c.team(q)
		if err != nil {
			return nil, err
		}
		return q.Requests(t)
	}, presentRequest, property[view.Request]{name: "id", text: func(r view.Request) string { return r.ID }})
}

func getRequest(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Request, error) {
		t, err := c.team(q)
		if err != nil {
			return view.Request{}, err
		}
		r, err := q.Request(t, c.path("request"))
		if err != nil {
			return view.Request{}, err
		}
		return view.OfRequest(r), nil
	}))
}

func grantRequest(c *call) (Answer, error)  { return c.decideRequest(true) }
func refuseRequest(c *call) (Answer, error) { return c.decideRequest(false) }

func (c *call) decideRequest(grant bool) (Answer, error) {
	// The request must be the path's team's; the command looks at its id only.
	if _, err := show(c, func(q *query.Reader) (*document.Request, error) {
		t, err := q.Team(c.path("team"), authz.TeamView)
		if err != nil {
			return nil, err
		}
		return q.Request(t, c.path("request"))
	}); err != nil {
		return Answer{}, err
	}
	cmd := &teams.DecideRequest{ID: c.path("request"), Grant: grant}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(view.OfRequest(cmd.Request), nil)
}

func listExceptions(c *call) (Answer, error) {
	return listed(c, func(q *query.Reader) ([]*document.Exception, error) {
		t, err := c.team(q)
		if err != nil {
			return nil, err
		}
		return q.Exceptions(t)
	}, func(_ *query.Reader, e *document.Exception) (view.Exception, error) { return view.OfException(e), nil },
		property[view.Exception]{name: "id", text: func(e view.Exception) string { return e.ID }})
}
