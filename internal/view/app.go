package view

import (
	"net"
	"strconv"

	"github.com/strongroom/strongroom/internal/document"
)

// AppContext is what an app refers to. Hostname is the app's own name under the
// platform's domain, "" where there is none.
type AppContext struct {
	Team     *document.Team
	Space    *document.Space
	Owner    *document.Account
	Hostname string
	ACM      bool // certificates are made by the platform
}

// App is an application (Heroku: app).
type App struct {
	ACM             bool      `json:"acm"`
	ArchivedAt      *Time     `json:"archived_at"`
	Buildpack       *string   `json:"buildpack_provided_description"`
	BuildStack      Ref       `json:"build_stack"`
	CreatedAt       Time      `json:"created_at"`
	Generation      Ref       `json:"generation"`
	GitURL          string    `json:"git_url"`
	ID              string    `json:"id"`
	InternalRouting *bool     `json:"internal_routing"`
	Maintenance     bool      `json:"maintenance"`
	Name            string    `json:"name"`
	Owner           User      `json:"owner"`
	Organization    *Ref      `json:"organization"`
	Team            *Ref      `json:"team"`
	Region          Ref       `json:"region"`
	ReleasedAt      *Time     `json:"released_at"`
	RepoSize        *int64    `json:"repo_size"`
	SlugSize        *int64    `json:"slug_size"`
	Space           *SpaceRef `json:"space"`
	Stack           Ref       `json:"stack"`
	UpdatedAt       Time      `json:"updated_at"`
	WebURL          *string   `json:"web_url"`
	Strongroom      Marks     `json:"strongroom"`
}

// Marks are what Heroku does not know of an app or an add-on.
type Marks struct {
	EPHI string `json:"ephi"` // yes, no or unknown
}

// SpaceRef names a space and tells whether it is shielded.
type SpaceRef struct {
	Ref
	Shield bool `json:"shield"`
}

// OfApp shows an app.
func (s Site) OfApp(a *document.App, c AppContext) App {
	stack := builtIn("stack", a.Stack)
	out := App{
		ACM: c.ACM, BuildStack: stack, CreatedAt: Time(a.CreatedAt), Generation: generation(),
		GitURL: s.GitURL(a), ID: a.ID, Maintenance: a.Maintenance, Name: a.Name, Owner: User{ID: a.Owner},
		Region: builtIn("region", s.Region), ReleasedAt: maybe(a.ReleasedAt), Stack: stack, UpdatedAt: Time(a.UpdatedAt),
		Strongroom: Marks{a.EPHI},
	}
	if a.SlugSize > 0 {
		out.SlugSize = &a.SlugSize
	}
	if c.Owner != nil {
		out.Owner.Email = c.Owner.Email
	}
	if c.Team != nil {
		out.Team = &Ref{c.Team.ID, c.Team.Name}
		out.Organization = out.Team
		// Heroku shows the team as the owner of a team's app, and the CLI
		// groups apps by it.
		out.Owner.Email = c.Team.Name + "@" + teamDomain
	}
	if c.Space != nil {
		out.Space = &SpaceRef{Ref{c.Space.ID, c.Space.Name}, c.Space.Shield}
		out.Region = builtIn("region", c.Space.Region)
	}
	if c.Hostname != "" {
		out.WebURL = text(s.webURL(c.Hostname))
	}
	return out
}

func (s Site) webURL(host string) string {
	if s.AppPort != 0 && s.AppPort != 443 {
		host = net.JoinHostPort(host, strconv.Itoa(s.AppPort))
	}
	return "https://" + host + "/"
}

// teamDomain makes a team's name look like an address. The CLI takes an owner
// whose address ends so for a team.
const teamDomain = "herokumanager.com"

// GitURL is where the app's code is pushed to.
func (s Site) GitURL(a *document.App) string { return s.Git + "/" + a.Name + ".git" }

// TeamApp is an app as its team sees it (Heroku: team-app).
type TeamApp struct {
	App
	Joined bool `json:"joined"`
	Locked bool `json:"locked"`
}

// OfTeamApp shows a team's app.
func (s Site) OfTeamApp(a *document.App, c AppContext, joined bool) TeamApp {
	return TeamApp{App: s.OfApp(a, c), Joined: joined}
}

// Collaborator has access to one app (Heroku: collaborator).
type Collaborator struct {
	App         Ref             `json:"app"`
	CreatedAt   Time            `json:"created_at"`
	ID          string          `json:"id"`
	Permissions []AppPermission `json:"permissions"`
	Role        *string         `json:"role"`
	UpdatedAt   Time            `json:"updated_at"`
	User        struct {
		Email     string `json:"email"`
		Federated bool   `json:"federated"`
		ID        string `json:"id"`
	} `json:"user"`
}

// AppPermission is what a collaborator may do (Heroku: team-app-permission).
type AppPermission struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// appPermissions are Heroku's, in its order.
var appPermissions = []AppPermission{
	{"view", "See the app, its releases and its processes"},
	{"deploy", "Deploy code, roll back, read config vars"},
	{"operate", "Scale, restart, change config vars, run one-off dynos, read logs"},
	{"manage", "Manage add-ons and collaborators, delete the app"},
}

// AppPermissions lists the permissions that a collaborator can have.
func AppPermissions() []AppPermission { return append([]AppPermission(nil), appPermissions...) }

// OfCollaborator shows a collaborator; role is their role in the app's team.
func OfCollaborator(c *document.Collaborator, a *document.App, role string) Collaborator {
	out := Collaborator{
		App: Ref{a.ID, a.Name}, CreatedAt: Time(c.CreatedAt), ID: c.ID, Permissions: []AppPermission{},
		Role: text(role), UpdatedAt: Time(c.UpdatedAt),
	}
	for _, p := range appPermissions {
		for _, name := range c.Permissions {
			if name == p.Name {
				out.Permissions = append(out.Permissions, p)
			}
		}
	}
	out.User.Email, out.User.ID = c.Email, c.Account
	return out
}

// OfTeamMember shows a team's member as one who has access to its app: what
// `heroku access` lists for team apps.
func OfTeamMember(m *document.Member, a *document.App) Collaborator {
	out := Collaborator{
		App: Ref{a.ID, a.Name}, CreatedAt: Time(m.CreatedAt), ID: m.ID, Permissions: memberPermissions(m.Roles),
		Role: text(HerokuRole(m.Roles)), UpdatedAt: Time(m.UpdatedAt),
	}
	out.User.Email, out.User.ID = m.Email, m.Account
	return out
}

// memberPermissions puts what a role may do into Heroku's four words.
func memberPermissions(roles []string) []AppPermission {
	switch HerokuRole(roles) {
	case "owner", "admin":
		return AppPermissions()
	case "member":
		return AppPermissions()[:3]
	}
	for _, r := range roles {
		if r == "viewer" || r == "approver" || r == "auditor" {
			return AppPermissions()[:1]
		}
	}
	return []AppPermission{}
}

// ConfigVars are names and values (Heroku: config-var).
type ConfigVars map[string]string
