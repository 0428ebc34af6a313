package query

import (
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// App is an app and what it refers to; what is gone is nil. Hostname is its own
// name under the platform's domain.
type App struct {
	*document.App
	Team     *document.Team
	Space    *document.Space
	Owner    *document.Account
	Hostname string
}

// App finds an app by name or id.
func (r *Reader) App(identity string, need authz.Permission) (App, error) {
	a, err := named[*document.App](r.v, identity)
	if err != nil {
		return App{}, err
	}
	if err := r.check(appAim(a, need)); err != nil {
		return App{}, err
	}
	return r.app(a)
}

func appAim(a *document.App, need authz.Permission) control.Aim {
	return control.Aim{
		Scope: a.Space, App: a.ID, Target: ledger.Target{Kind: "app", ID: a.ID, Name: a.Name},
		Need: need, See: authz.AppView, On: authz.Resource{Team: a.Team, App: a.ID},
	}
}

func (r *Reader) app(a *document.App) (App, error) {
	out := App{App: a}
	var err error
	if out.Team, err = known[*document.Team](r, a.Team); err != nil {
		return out, err
	}
	if out.Space, err = known[*document.Space](r, a.Space); err != nil {
		return out, err
	}
	if out.Owner, err = known[*document.Account](r, a.Owner); err != nil {
		return out, err
	}
	out.Hostname, err = r.hostname(a)
	return out, err
}

func (r *Reader) hostname(a *document.App) (string, error) {
	list, err := store.Find[*document.Domain](r.v, "app", a.ID)
	if err != nil {
		return "", err
	}
	for _, d := range list {
		if d.Default {
			return d.Hostname, nil
		}
	}
	return "", nil
}

// May tells whether the caller has a permission on the app.
func (r *Reader) May(a App, need authz.Permission) (bool, error) {
	return r.may(need, authz.Resource{Team: a.App.Team, App: a.ID})
}

// Apps lists every app that the caller sees, by name: those of their teams and
// those that they collaborate on.
func (r *Reader) Apps() ([]App, error) {
	seen := map[string]*document.App{}
	members, err := store.Find[*document.Member](r.v, "account", r.who.Account)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		list, err := store.Find[*document.App](r.v, "team", m.Team)
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			seen[a.ID] = a
		}
	}
	collaborations, err := store.Find[*document.Collaborator](r.v, "account", r.who.Account)
	if err != nil {
		return nil, err
	}
	for _, c := range collaborations {
		a, err := known[*document.App](r, c.App)
		if err != nil {
			return nil, err
		}
		if a != nil {
			seen[a.ID] = a
		}
	}
	list := make([]*document.App, 0, len(seen))
	for _, a := range seen {
		list = append(list, a)
	}
	return r.visible(list)
}

// AppsOf lists a team's apps that the caller sees.
func (r *Reader) AppsOf(t Team) ([]App, error) {
	list, err := store.Find[*document.App](r.v, "team", t.ID)
	if err != nil {
		return nil, err
	}
	return r.visible(list)
}

// AppsOfSpace lists a space's apps that the caller sees.
func (r *Reader) AppsOfSpace(s Space) ([]App, error) {
	list, err := store.Find[*document.App](r.v, "space", s.ID)
	if err != nil {
		return nil, err
	}
	return r.visible(list)
}

// visible keeps what the caller sees, sorted by name.
func (r *Reader) visible(list []*document.App) ([]App, error) {
	out := make([]App, 0, len(list))
	for _, a := range list {
		ok, err := r.may(authz.AppView, authz.Resource{Team: a.Team, App: a.ID})
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		full, err := r.app(a)
		if err != nil {
			return nil, err
		}
		out = append(out, full)
	}
	slices.SortFunc(out, func(a, b App) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Collaborator is somebody with access to an app: by a document of their own or
// as a member of the app's team.
type Collaborator struct {
	Own    *document.Collaborator // nil: by the team only
	Member *document.Member       // nil: not in the team
}

// Email is the person's address.
func (c Collaborator) Email() string {
	if c.Own != nil {
		return c.Own.Email
	}
	return c.Member.Email
}

// Account is the person's account id.
func (c Collaborator) Account() string {
	if c.Own != nil {
		return c.Own.Account
	}
	return c.Member.Account
}

// ID is the id of what gives access.
func (c Collaborator) ID() string {
	if c.Own != nil {
		return c.Own.ID
	}
	return c.Member.ID
}

// Collaborators lists everybody who has access to an app, by address.
func (r *Reader) Collaborators(a App) ([]Collaborator, error) {
	byAccount := map[string]Collaborator{}
	members, err := store.Find[*document.Member](r.v, "team", a.App.Team)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		byAccount[m.Account] = Collaborator{Member: m}
	}
	own, err := store.Find[*document.Collaborator](r.v, "app", a.ID)
	if err != nil {
		return nil, err
	}
	for _, c := range own {
		byAccount[c.Account] = Collaborator{Own: c, Member: byAccount[c.Account].Member}
	}
	out := make([]Collaborator, 0, len(byAccount))
	for _, c := range byAccount {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Collaborator) int { return strings.Compare(a.Email(), b.Email()) })
	return out, nil
}

// Collaborator finds one by address, account id or id.
func (r *Reader) Collaborator(a App, identity string) (Collaborator, error) {
	list, err := r.Collaborators(a)
	if err != nil {
		return Collaborator{}, err
	}
	for _, c := range list {
		if c.ID() == identity || c.Account() == identity || strings.EqualFold(c.Email(), identity) {
			return c, nil
		}
	}
	return Collaborator{}, notHere[*document.Collaborator](r, identity, "collaborator")
}

// Formations lists an app's process types.
func (r *Reader) Formations(a App) ([]*document.Formation, error) {
	list, err := store.Find[*document.Formation](r.v, "app", a.ID)
	slices.SortFunc(list, func(a, b *document.Formation) int { return strings.Compare(a.Type, b.Type) })
	return list, err
}

// Formation finds a process type by name or id.
func (r *Reader) Formation(a App, identity string) (*document.Formation, error) {
	list, err := r.Formations(a)
	if err != nil {
		return nil, err
	}
	for _, f := range list {
		if f.ID == identity || f.Type == identity {
			return f, nil
		}
	}
	return nil, notHere[*document.Formation](r, identity, "process type")
}

// Dyno is a dyno and the release it runs, nil if that is not known.
type Dyno struct {
	*document.Dyno
	Release *document.Release
}

// Dynos lists an app's dynos by name.
func (r *Reader) Dynos(a App) ([]Dyno, error) {
	list, err := store.Find[*document.Dyno](r.v, "app", a.ID)
	if err != nil {
		return nil, err
	}
	releases, err := r.releasesOf(a.ID)
	if err != nil {
		return nil, err
	}
	byVersion := map[int]*document.Release{}
	for _, x := range releases {
		byVersion[x.Version] = x
	}
	out := make([]Dyno, 0, len(list))
	for _, d := range list {
		out = append(out, Dyno{d, byVersion[d.Release]})
	}
	slices.SortFunc(out, func(a, b Dyno) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Dyno finds a dyno by name or id.
func (r *Reader) Dyno(a App, identity string) (Dyno, error) {
	list, err := r.Dynos(a)
	if err != nil {
		return Dyno{}, err
	}
	for _, d := range list {
		if d.ID == identity || d.Name == identity {
			return d, nil
		}
	}
	return Dyno{}, notHere[*document.Dyno](r, identity, "dyno")
}

// Domain is a domain and its certificate, nil if it has none of its own.
type Domain struct {
	*document.Domain
	Endpoint *document.Endpoint
}

// Domains lists an app's domains by hostname.
func (r *Reader) Domains(a App) ([]Domain, error) {
	list, err := store.Find[*document.Domain](r.v, "app", a.ID)
	if err != nil {
		return nil, err
	}
	out := make([]Domain, 0, len(list))
	for _, d := range list {
		full := Domain{Domain: d}
		if d.Endpoint != "" {
			if full.Endpoint, err = known[*document.Endpoint](r, d.Endpoint); err != nil {
				return nil, err
			}
		}
		out = append(out, full)
	}
	slices.SortFunc(out, func(a, b Domain) int { return strings.Compare(a.Hostname, b.Hostname) })
	return out, nil
}

// Domain finds a domain by hostname or id.
func (r *Reader) Domain(a App, identity string) (Domain, error) {
	list, err := r.Domains(a)
	if err != nil {
		return Domain{}, err
	}
	for _, d := range list {
		if d.ID == identity || strings.EqualFold(d.Hostname, identity) {
			return d, nil
		}
	}
	return Domain{}, notHere[*document.Domain](r, identity, "domain name")
}

// Endpoint is a certificate and the ids of the domains it serves.
type Endpoint struct {
	*document.Endpoint
	Domains []string
}

// Endpoints lists an app's certificates by name.
func (r *Reader) Endpoints(a App) ([]Endpoint, error) {
	list, err := store.Find[*document.Endpoint](r.v, "app", a.ID)
	if err != nil {
		return nil, err
	}
	domains, err := store.Find[*document.Domain](r.v, "app", a.ID)
	if err != nil {
		return nil, err
	}
	out := make([]Endpoint, 0, len(list))
	for _, e := range list {
		full := Endpoint{Endpoint: e}
		for _, d := range domains {
			if d.Endpoint == e.ID {
				full.Domains = append(full.Domains, d.ID)
			}
		}
		out = append(out, full)
	}
	slices.SortFunc(out, func(a, b Endpoint) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Endpoint finds a certificate by name or id.
func (r *Reader) Endpoint(a App, identity string) (Endpoint, error) {
	list, err := r.Endpoints(a)
	if err != nil {
		return Endpoint{}, err
	}
	for _, e := range list {
		if e.ID == identity || e.Name == identity {
			return e, nil
		}
	}
	return Endpoint{}, notHere[*document.Endpoint](r, identity, "SNI endpoint")
}

// Documents are the dynos alone.
func Documents(list []Dyno) []*document.Dyno {
	out := make([]*document.Dyno, 0, len(list))
	for _, d := range list {
		out = append(out, d.Dyno)
	}
	return out
}

// Hostnames are those of the domains.
func Hostnames(list []Domain) []string {
	out := make([]string, 0, len(list))
	for _, d := range list {
		out = append(out, d.Hostname)
	}
	return out
}

// AppDetails adds what it refers to to an app that a command gave.
func (r *Reader) AppDetails(a *document.App) (App, error) { return r.app(a) }

// Buildpacks are those set on an app; none is no list yet, or an empty one.
func (r *Reader) Buildpacks(a App) ([]string, error) {
	list, err := known[*document.BuildpackList](r, a.ID)
	if err != nil || list == nil {
		return nil, err
	}
	return list.URLs, nil
}
