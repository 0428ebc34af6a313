package simulation

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
)

const domain = "simulated.example"

var quiet = slog.New(slog.DiscardHandler)

// person is somebody with an account.
type person struct {
	name, id, email string
}

// as is what a person does directly.
func (p *person) as(why string) control.By {
	return control.By{
		Actor: ledger.Actor{Kind: ledger.AccountActor, ID: p.id, Email: p.email, IP: "192.0.2.10"}, Via: ledger.ViaCLI, Reason: why,
	}
}

// team is one with its people by what they do, and its spaces.
type team struct {
	name, id string
	spaces   []*space
}

type space struct {
	name, id string
	shield   bool
	ephi     string
	team     *team
	apps     []*app
}

type app struct {
	name, id string
	space    *space
	addon    string
	commits  int
	up       bool
}

// organisation is who and what there is, by plan.
func organisation() []*team {
	of := func(name string, list ...*space) *team {
		t := &team{name: name, spaces: list}
		for _, s := range list {
			s.team = t
			for _, a := range s.apps {
				a.space = s
			}
		}
		return t
	}
	in := func(name string, shield bool, ephi string, names ...string) *space {
		s := &space{name: name, shield: shield, ephi: ephi}
		for _, n := range names {
			s.apps = append(s.apps, &app{name: n})
		}
		return s
	}
	return []*team{
		of("care", in("ward", true, document.EPHIYes, "clinic", "intake", "portal")),
		of("research", in("lab", true, document.EPHIYes, "trials", "samples"), in("attic", false, document.EPHINo, "archive")),
		of("solo", in("annex", false, document.EPHINo, "website")),
	}
}

// roles of a team's people. Approvers come later: they need a second person.
var roles = []authz.Role{authz.Owner, authz.Admin, authz.Member, authz.Viewer, authz.Auditor}

// who gives a team's person of a role.
func (l *life) who(t *team, role authz.Role) *person { return l.people[t.name+"-"+string(role)] }

// found makes the organisation, within the first day.
func (l *life) found() error {
	l.people["root"] = l.root
	l.teams = organisation()
	for _, t := range l.teams {
		if err := l.foundTeam(t); err != nil {
			return err
		}
		for _, s := range t.spaces {
			if err := l.foundSpace(s); err != nil {
				return err
			}
			l.truth.Spaces = append(l.truth.Spaces, Space{s.id, s.name, t.id, t.name, l.who(t, authz.Auditor).as("the yearly audit")})
		}
		yes := true
		if err := l.does(&teams.UpdatePolicy{Team: t.name, ApproveConfig: &yes}, l.who(t, authz.Owner).as("")); err != nil {
			return err
		}
	}
	return nil
}

// does executes one of several commands that follow each other, a second apart.
func (l *life) does(cmd control.Command, by control.By) error {
	l.set(l.Now().Add(time.Second))
	return l.do(cmd, by)
}

func (l *life) account(name string) (*person, error) {
	cmd := &people.CreateAccount{Email: name + "@" + domain, Name: name}
	err := l.does(cmd, l.root.as(""))
	if err != nil {
		return nil, err
	}
	p := &person{name: name, id: cmd.Account.ID, email: cmd.Account.Email}
	l.people[name] = p
	return p, nil
}

func (l *life) foundTeam(t *team) error {
	cmd := &teams.Create{Name: t.name}
	if err := l.does(cmd, l.root.as("")); err != nil {
		return err
	}
	t.id = cmd.Team.ID
	for _, role := range roles {
		p, err := l.account(t.name + "-" + string(role))
		if err != nil {
			return err
		}
		if err := l.does(&teams.GrantRole{Team: t.name, Email: p.email, Role: role}, l.root.as("")); err != nil {
			return err
		}
	}
	if err := l.does(&teams.RevokeRole{Team: t.name, Email: l.root.email}, l.root.as("")); err != nil {
		return err
	}
	return l.approver(t)
}

// approver gives a team somebody who approves. The team with one owner loses its
// admin afterwards: nobody there can be a second person any more.
func (l *life) approver(t *team) error {
	p, err := l.account(t.name + "-" + string(authz.Approver))
	if err != nil {
		return err
	}
	owner, admin := l.who(t, authz.Owner), l.who(t, authz.Admin)
	ask := &teams.GrantRole{Team: t.name, Email: p.email, Role: authz.Approver}
	if err := l.does(ask, owner.as("releases need a second person")); err != nil {
		return err
	}
	if err := l.does(&teams.DecideRequest{ID: ask.Request.ID, Grant: true}, admin.as("")); err != nil || t.name != "solo" {
		return err
	}
	return l.does(&teams.RevokeRole{Team: t.name, Email: admin.email}, owner.as(""))
}

func (l *life) foundSpace(s *space) error {
	owner := l.who(s.team, authz.Owner)
	cmd := &spaces.Create{Name: s.name, Team: s.team.name, Shield: s.shield}
	if err := l.does(cmd, owner.as("")); err != nil {
		return err
	}
	s.id = cmd.Space.ID
	if err := l.does(&spaces.Allocated{ID: s.id}, platform); err != nil {
		return err
	}
	if err := l.does(&spaces.SetTrusted{Identity: s.name, Rules: ownNetwork}, owner.as("")); err != nil {
		return err
	}
	for _, a := range s.apps {
		if err := l.foundApp(a); err != nil {
			return err
		}
	}
	return nil
}

var (
	ownNetwork = []document.TrustedIP{{Source: "192.0.2.0/24", Action: "allow"}}
	everybody  = []document.TrustedIP{{Source: "0.0.0.0/0", Action: "allow"}}
)

func (l *life) foundApp(a *app) error {
	t := a.space.team
	member := l.who(t, authz.Member)
	cmd := &apps.Create{Name: a.name, Space: a.space.name, Domain: "apps.invalid", EPHI: a.space.ephi}
	if err := l.does(cmd, member.as("")); err != nil {
		return err
	}
	a.id = cmd.App.ID
	if err := l.does(&config.Set{App: a.name, Values: setting("begin")}, member.as("")); err != nil {
		return err
	}
	if err := l.deploy(a, whole); err != nil {
		return err
	}
	if a.space.ephi != document.EPHIYes {
		return nil
	}
	db := &addons.Create{App: a.name, Plan: "heroku-postgresql:private-0", Name: a.name + "-records"}
	if err := l.does(db, l.who(t, authz.Owner).as("")); err != nil {
		return err
	}
	a.addon = db.Addon.Name
	return l.does(&addons.Provisioned{ID: db.Addon.ID, Image: digest(a.name)}, platform)
}

func setting(value string) map[string]*secret.Value {
	v := secretly(value)
	return map[string]*secret.Value{"GREETING": &v}
}

func secretly(value string) secret.Value { return secret.NewValue([]byte(value)) }

// digest is an image's, which there is not.
func digest(name string) string {
	return "sha256:" + strings.Repeat(fmt.Sprintf("%08x", len(name)), 8)
}
