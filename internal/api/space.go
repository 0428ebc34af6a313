package api

import (
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/view"
)

func (c *call) presentSpace(_ *query.Reader, s query.Space) (view.Space, error) {
	t := s.Team
	if t == nil {
		t = &document.Team{Base: document.Base{ID: s.Space.Team}}
	}
	return c.cfg.Site.OfSpace(s.Space, t, c.expand()), nil
}

var spaceProperties = []property[view.Space]{
	{name: "name", text: func(s view.Space) string { return s.Name }},
	{name: "id", text: func(s view.Space) string { return s.ID }},
}

func listSpaces(c *call) (Answer, error) {
	return listed(c, (*query.Reader).Spaces, c.presentSpace, spaceProperties...)
}

func listTeamSpaces(c *call) (Answer, error) {
	return listed(c, func(q *query.Reader) ([]query.Space, error) {
		t, err := c.team(q)
		if err != nil {
			return nil, err
		}
		return q.SpacesOf(t)
	}, c.presentSpace, spaceProperties...)
}

func getSpace(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Space, error) {
		s, err := c.space(q)
		if err != nil {
			return view.Space{}, err
		}
		return c.presentSpace(q, s)
	}))
}

// afterwards shows the space that a command changed.
func (c *call) afterwards(s *document.Space) (view.Space, error) {
	return show(c, func(q *query.Reader) (view.Space, error) {
		full, err := q.SpaceTeam(s)
		if err != nil {
			return view.Space{}, err
		}
		return c.presentSpace(q, full)
	})
}

func createSpace(c *call) (Answer, error) {
	var in struct {
		Name   string `json:"name"`
		Team   ref    `json:"team"`
		Region ref    `json:"region"`
		Shield bool   `json:"shield"`
		Org    ref    `json:"organization"` // what the team was called once
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if in.Team == "" {
		in.Team = in.Org
	}
	here := c.cfg.Site.Region
	if r := string(in.Region); r != "" && r != here && r != view.BuiltIn("region", here) {
		return Answer{}, fault.New(fault.Invalid, "There is one region here: %s.", here)
	}
	if err := c.seesTeam(string(in.Team)); err != nil {
		return Answer{}, err
	}
	cmd := &spaces.Create{Name: in.Name, Team: string(in.Team), Region: here, Shield: in.Shield}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return created(c.afterwards(cmd.Space))
}

func updateSpace(c *call) (Answer, error) {
	var in struct {
		Name *string `json:"name"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if in.Name == nil {
		return Answer{}, fault.New(fault.Invalid, "name is missing.")
	}
	cmd := &spaces.Rename{Identity: c.path("space"), Name: *in.Name}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(c.afterwards(cmd.Space))
}

func destroySpace(c *call) (Answer, error) {
	cmd := &spaces.Destroy{Identity: c.path("space")}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(c.afterwards(cmd.Space))
}

func getNAT(c *call) (Answer, error) {
	s, err := show(c, c.space)
	if err != nil {
		return Answer{}, err
	}
	var sources []string
	if c.cfg.Network != nil {
		if sources, err = c.cfg.Network.Egress(c.ctx, s.ID); err != nil {
			return Answer{}, err
		}
	}
	return ok(view.OfNAT(s.Space, sources), nil)
}

func getInbound(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.InboundRuleset, error) {
		s, err := c.space(q)
		if err != nil {
			return view.InboundRuleset{}, err
		}
		return view.OfInboundRuleset(s.Space), nil
	}))
}

// putInbound replaces the ruleset. Clients read it, change it and send it back:
// where they say which one they read, it must still be the one in force.
func putInbound(c *call) (Answer, error) {
	var in struct {
		ID    string `json:"id"`
		Rules []struct {
			Action string `json:"action"`
			Source string `json:"source"`
		} `json:"rules"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if in.Rules == nil {
		return Answer{}, fault.New(fault.Invalid, "rules is missing.")
	}
	if in.ID != "" {
		if err := c.expectRuleset(in.ID, func(s *document.Space) string { return s.Ruleset }); err != nil {
			return Answer{}, err
		}
	}
	cmd := &spaces.SetTrusted{Identity: c.path("space"), Confirm: c.confirmed()}
	for _, r := range in.Rules {
		cmd.Rules = append(cmd.Rules, document.TrustedIP{Source: r.Source, Action: r.Action})
	}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return created(view.OfInboundRuleset(cmd.Space), nil)
}

// expectRuleset makes a change depend on the ruleset that its client has read.
func (c *call) expectRuleset(id string, of func(*document.Space) string) error {
	return c.read(func(q *query.Reader) error {
		s, err := c.space(q)
		if err != nil {
			return err
		}
		if of(s.Space) != id {
			return fault.New(fault.Conflict, "The ruleset was changed in the meantime. Read it again and repeat.")
		}
		rev, _, err := q.View().Rev(document.KindSpace, s.ID)
		c.by.Expect = append(c.by.Expect, control.Expect{Kind: document.KindSpace, ID: s.ID, Rev: rev})
		return err
	})
}

func listSpaceDynos(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) ([]view.SpaceDynos, error) {
		s, err := c.space(q)
		if err != nil {
			return nil, err
		}
		list, err := q.SpaceDynos(s)
		out := make([]view.SpaceDynos, 0, len(list))
		for _, x := range list {
			shown := view.SpaceDynos{AppID: x.App.ID, AppName: x.App.Name, Dynos: []view.Dyno{}}
			for _, d := range x.Dynos {
				shown.Dynos = append(shown.Dynos, view.OfDyno(d.Dyno, x.App.App, d.Release, ""))
			}
			out = append(out, shown)
		}
		return out, err
	}))
}

func getTopology(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Topology, error) {
		out := view.Topology{Version: 1, Apps: []view.TopologyApp{}}
		s, err := c.space(q)
		if err != nil {
			return out, err
		}
		apps, err := q.AppsOfSpace(s)
		if err != nil {
			return out, err
		}
		for _, a := range apps {
			x, err := topologyOf(q, a)
			if err != nil {
				return out, err
			}
			out.Apps = append(out.Apps, x)
		}
		return out, nil
	}))
}

func topologyOf(q *query.Reader, a query.App) (view.TopologyApp, error) {
	formations, err := q.Formations(a)
	if err != nil {
		return view.TopologyApp{}, err
	}
	dynos, err := q.Dynos(a)
	if err != nil {
		return view.TopologyApp{}, err
	}
	domains, err := q.Domains(a)
	if err != nil {
		return view.TopologyApp{}, err
	}
	return view.OfTopologyApp(a.App, formations, query.Documents(dynos), query.Hostnames(domains)), nil
}

func listSpaceSessions(c *call) (Answer, error) {
	return listed(c, func(q *query.Reader) ([]query.Session, error) {
		s, err := c.space(q)
		if err != nil {
			return nil, err
		}
		return q.Sessions(s)
	}, presentSession, property[view.Session]{name: "id", text: func(s view.Session) string { return s.ID }})
}

func presentSession(_ *query.Reader, s query.Session) (view.Session, error) {
	return view.OfSession(s.Session, s.App), nil
}

func getSpaceSession(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Session, error) {
		s, err := c.pathSession(q)
		if err != nil {
			return view.Session{}, err
		}
		return presentSession(q, s)
	}))
}

func (c *call) pathSession(q *query.Reader) (query.Session, error) {
	s, err := c.space(q)
	if err != nil {
		return query.Session{}, err
	}
	return q.Session(s, c.path("session"))
}

func listAttempts(c *call) (Answer, error) {
	return listed(c, func(q *query.Reader) ([]*document.Attempt, error) {
		s, err := c.space(q)
		if err != nil {
			return nil, err
		}
		return q.Attempts(s)
	}, func(_ *query.Reader, a *document.Attempt) (view.Attempt, error) { return view.OfAttempt(a), nil },
		property[view.Attempt]{name: "id", text: func(a view.Attempt) string { return a.ID }})
}

// makeAttempts attacks the space now, from every other, and lists the results.
func makeAttempts(c *call) (Answer, error) {
	space, err := show(c, c.space)
	if err != nil {
		return Answer{}, err
	}
	if c.cfg.Probes == nil {
		return Answer{}, missing("Probing")
	}
	if err := c.cfg.Probes.Attack(c.ctx, space.ID); err != nil {
		return Answer{}, err
	}
	return listAttempts(c)
}

// nothing is the answer to what leaves nothing to show.
func nothing(status int) Answer { return Answer{Status: status, Body: struct{}{}} }
