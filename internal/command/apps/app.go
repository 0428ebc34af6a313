// Package apps has the commands about apps and what they are made of besides
// releases: formations, dynos, domains, certificates, collaborators, features.
//
// internal/api calls it for people, internal/reconcile for the platform.
package apps

import (
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Stack is the base image that apps are built on.
const Stack = "debian-13"

// Create makes an app in a space.
type Create struct {
	Name  string // "" = one is made up
	Space string // name or id
	Team  string // name or id; "" = the space's
	EPHI  string
	// Domain is the platform's: the app is reached at <name>.<Domain>.
	Domain string
	App    *document.App // the result

	space *document.Space
	id    string
}

// Action is app.create.
func (*Create) Action() string { return "app.create" }

// Aim is the new app, with a permission on the space's team.
func (c *Create) Aim(v store.View) (control.Aim, error) {
	c.id = document.NewID()
	if c.Name == "" {
		c.Name = "app-" + c.id[len(c.id)-8:]
	}
	if err := document.CheckName("app", c.Name); err != nil {
		return control.Aim{}, err
	}
	if c.EPHI == "" {
		c.EPHI = document.EPHIUnknown
	}
	if err := document.CheckEPHI(c.EPHI); err != nil {
		return control.Aim{}, err
	}
	if c.Space == "" {
		return control.Aim{}, fault.New(fault.Invalid, "Every app lives in a space: name one with --space.")
	}
	var err error
	if c.space, err = spaces.Find(v, c.Space); err != nil {
		return control.Aim{}, err
	}
	return control.Aim{
		Scope: c.space.ID, App: c.id, Target: ledger.Target{Kind: "app", ID: c.id, Name: c.Name},
		Need: authz.AppCreate, See: authz.SpaceView, On: authz.Resource{Team: c.space.Team},
	}, nil
}

// Decide refuses a name that is taken. An unmarked app's ePHI is unknown.
func (c *Create) Decide(v store.View, by control.By, _ time.Time, d *control.Decision) error {
	if err := free(v, c.Name, ""); err != nil {
		return err
	}
	if c.space.State == document.SpaceDeleting {
		return fault.New(fault.Conflict, "The space %s is being destroyed.", c.space.Name)
	}
	c.App = &document.App{
		Base: document.Base{ID: c.id}, Name: c.Name, Team: c.space.Team, Space: c.space.ID, Owner: by.Actor.ID,
		Stack: Stack, EPHI: c.EPHI, Features: []string{},
	}
	d.Put(c.App)
	d.Put(&document.Config{Base: document.Base{ID: c.id}, App: c.id, Space: c.space.ID, Vars: []document.ConfigVar{}})
	if c.Domain == "" {
		return nil
	}
	host := c.Name + "." + c.Domain
	d.Put(&document.Domain{Base: document.Base{ID: document.NewID()}, App: c.id, Space: c.space.ID, Hostname: host, Default: true})
	return unused(v, host)
}

func free(v store.View, name, but string) error {
	have, err := store.Find[*document.App](v, "name", name)
	if err != nil {
		return err
	}
	if len(have) > 0 && have[0].ID != but {
		return fault.New(fault.Invalid, "Name %s is already taken.", name)
	}
	return nil
}

// Find looks an app up by name or id.
func Find(v store.View, identity string) (*document.App, error) {
	if a, err := store.Get[*document.App](v, identity); err == nil {
		return a, nil
	}
	return store.One[*document.App](v, "name", identity)
}

// BuildCache is the id of the volume that an app's builds keep things in.
func BuildCache(app string) string {
	return uuid.NewSHA1(uuid.MustParse(app), []byte("build-cache")).String()
}

// Target names an app in an entry.
func Target(a *document.App) ledger.Target {
	return ledger.Target{Kind: "app", ID: a.ID, Name: a.Name}
}

// Aim at an app, needing a permission on it. Whoever cannot see the app is told
// that there is none.
func Aim(a *document.App, need authz.Permission) control.Aim {
	return control.Aim{
		Scope: a.Space, App: a.ID, Target: Target(a), Need: need, See: authz.AppView,
		On: authz.Resource{Team: a.Team, App: a.ID},
	}
}

// Update renames an app, turns maintenance on or off, or marks its ePHI.
type Update struct {
	Identity    string
	Name        *string
	Maintenance *bool
	EPHI        *string
	App         *document.App // the result
}

// Action is app.update.
func (*Update) Action() string { return "app.update" }

// Aim is the app: renaming and marking are for those who manage it.
func (c *Update) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.App, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	if c.Name != nil || c.EPHI != nil {
		return Aim(c.App, authz.AppManage), nil
	}
	return Aim(c.App, authz.AppOperate), nil
}

// Decide moves the default domain along with the name.
func (c *Update) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	if c.EPHI != nil {
		if err := document.CheckEPHI(*c.EPHI); err != nil {
			return err
		}
		c.App.EPHI = *c.EPHI
	}
	if c.Maintenance != nil {
		c.App.Maintenance = *c.Maintenance
	}
	if c.Name != nil && *c.Name != c.App.Name {
		if err := c.rename(v, d); err != nil {
			return err
		}
	}
	d.Put(c.App)
	return nil
}

func (c *Update) rename(v store.View, d *control.Decision) error {
	if err := document.CheckName("app", *c.Name); err != nil {
		return err
	}
	if err := free(v, *c.Name, c.App.ID); err != nil {
		return err
	}
	domains, err := store.Find[*document.Domain](v, "app", c.App.ID)
	if err != nil {
		return err
	}
	for _, dom := range domains {
		if rest, ok := strings.CutPrefix(dom.Hostname, c.App.Name+"."); ok && dom.Default {
			dom.Hostname = *c.Name + "." + rest
			if err := unused(v, dom.Hostname); err != nil {
				return err
			}
			d.Put(dom)
		}
	}
	c.App.Name = *c.Name
	return nil
}

// Destroy ends an app with all that hangs on it. Its releases, builds and
// sessions stay in the ledger.
type Destroy struct {
	Identity string
	App      *document.App // the result: as it was
}

// Action is app.destroy.
func (*Destroy) Action() string { return "app.destroy" }

// Aim is the app.
func (c *Destroy) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.App, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Aim(c.App, authz.AppManage), nil
}

// owned are the kinds that end with their app.
var owned = []document.Kind{
	document.KindFormation, document.KindDyno, document.KindDomain, document.KindEndpoint,
	document.KindCollaborator, document.KindAttachment,
}

// Decide refuses while the app has add-ons: they hold data, and are destroyed
// one by one.
func (c *Destroy) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	addons, err := store.Find[*document.Addon](v, "app", c.App.ID)
	if err != nil {
		return err
	}
	for _, a := range addons {
		if a.State != document.AddonDeprovisioning {
			return fault.New(fault.Conflict, "The app has the add-on %s, which holds data. Destroy that first: heroku addons:destroy %s -a %s", a.Name, a.Name, c.App.Name)
		}
	}
	d.Job(JobDispose, c.App.ID)
	d.Delete(document.KindApp, c.App.ID)
	d.Delete(document.KindConfig, c.App.ID)
	list, err := v.Get(document.KindBuildpackList, c.App.ID)
	if err != nil {
		return err
	}
	if list != nil {
		d.Delete(document.KindBuildpackList, c.App.ID)
	}
	for _, kind := range owned {
		docs, err := v.Find(kind, "app", c.App.ID)
		if err != nil {
			return err
		}
		for _, x := range docs {
			d.Delete(kind, x.Ident())
		}
	}
	return nil
}
