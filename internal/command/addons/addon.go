// Package addons has the commands about managed services: creating them,
// attaching them to apps, handing out credentials, disposing of them.
//
// internal/api calls it for people, internal/operation as a service is
// provisioned and destroyed.
package addons

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pattern"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// Jobs that internal/operation carries out; ref is the add-on's id.
const (
	JobProvision   = "addon.provision"
	JobDeprovision = "addon.deprovision"
)

// DefaultCredential is the role that owns an app's database.
const DefaultCredential = "default"

// Create makes an add-on for an app. Its config var is set when it is there.
type Create struct {
	App    string
	Plan   string // "heroku-postgresql" or "heroku-postgresql:private-0"
	Name   string // "" = one is made up
	As     string // attachment name, "" = the service's
	EPHI   string // "" = the app's
	Addon  *document.Addon
	Attach *document.Attachment

	app     *document.App
	service Service
	plan    Plan
	volume  secret.Sealed
	admin   secret.Sealed
	role    secret.Sealed
}

// Action is addon.create.
func (*Create) Action() string { return "addon.create" }

// Prepare draws the volume's key and the passwords and seals them.
func (c *Create) Prepare(ctx context.Context, t control.Tools) error {
	var err error
	if c.service, c.plan, err = FindPlan(c.Plan); err != nil {
		return err
	}
	var app *document.App
	if err := t.Store.Read(ctx, func(v store.View) (err error) {
		app, err = apps.Find(v, c.App)
		return err
	}); err != nil {
		return err
	}
	key := make([]byte, 64)
	rand.Read(key)
	for _, x := range []struct {
		to    *secret.Sealed
		value []byte
	}{{&c.volume, key}, {&c.admin, password()}, {&c.role, password()}} {
		if *x.to, err = t.Keyring.Seal(ctx, app.Space, secret.NewValue(x.value)); err != nil {
			return err
		}
	}
	return nil
}

func password() []byte {
	raw := make([]byte, 24)
	rand.Read(raw)
	return []byte(hex.EncodeToString(raw))
}

// Aim is the app.
func (c *Create) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.app, err = apps.Find(v, c.App); err != nil {
		return control.Aim{}, err
	}
	return apps.Aim(c.app, authz.AppManage), nil
}

// Decide makes the add-on and its first attachment.
func (c *Create) Decide(v store.View, by control.By, _ time.Time, d *control.Decision) error {
	if c.EPHI == "" {
		c.EPHI = c.app.EPHI
	}
	if err := document.CheckEPHI(c.EPHI); err != nil {
		return err
	}
	id := document.NewID()
	if c.Name == "" {
		c.Name = strings.TrimPrefix(c.service.Name, "heroku-") + "-" + id[len(id)-6:]
	}
	if err := document.CheckName("add-on", c.Name); err != nil {
		return err
	}
	have, err := store.Find[*document.Addon](v, "name", c.Name)
	if err != nil {
		return err
	}
	if len(have) > 0 {
		return fault.New(fault.Invalid, "Name %s is already taken.", c.Name)
	}
	sealed := func(s secret.Sealed) document.Sealed { return document.Sealed{ID: s.ID, SHA256: s.Digest()} }
	volume, admin := sealed(c.volume), sealed(c.admin)
	user := "u" + strings.ReplaceAll(id, "-", "")[18:]
	c.Addon = &document.Addon{
		Base: document.Base{ID: id}, App: c.app.ID, Space: c.app.Space, Team: c.app.Team, Name: c.Name,
		Service: c.service.Name, Plan: c.plan.Name, State: document.AddonProvisioning, EPHI: c.EPHI, Version: c.plan.Version,
		Volume: document.NewID(), VolumeKey: &volume, Bytes: c.plan.Bytes, Admin: &admin,
		Roles:     []document.Credential{{Name: DefaultCredential, User: user, Database: "d" + user[1:], Password: sealed(c.role)}},
		Config:    []document.NameValue{},
		CreatedBy: by.Actor.ID,
	}
	d.Sealed = append(d.Sealed, c.volume, c.admin, c.role)
	d.Put(c.Addon)
	if c.Attach, err = attachment(v, c.app, c.Addon, c.service, c.As); err != nil {
		return err
	}
	d.Put(c.Attach)
	d.Job(JobProvision, id)
	return nil
}

var attachmentRule = pattern.New(`^[A-Z][A-Z0-9_]{0,59}$`)

func attachment(v store.View, app *document.App, a *document.Addon, s Service, as string) (*document.Attachment, error) {
	used, err := store.Find[*document.Attachment](v, "app", app.ID)
	if err != nil {
		return nil, err
	}
	name := strings.ToUpper(as)
	if name == "" {
		name = freeName(s, used)
	}
	if !attachmentRule.MatchString(name) {
		return nil, fault.New(fault.Invalid, "%.60q is no attachment name: use capital letters, digits and underscores.", as)
	}
	for _, u := range used {
		if u.Name == name {
			return nil, fault.New(fault.Invalid, "The app has an attachment %s already.", name)
		}
	}
	return &document.Attachment{
		Base: document.Base{ID: document.NewID()}, App: app.ID, Space: app.Space, Addon: a.ID, Name: name, Credential: DefaultCredential,
	}, nil
}

// Find looks an add-on up by name, id, or attachment name on an app.
func Find(v store.View, identity, app string) (*document.Addon, error) {
	if a, err := store.Get[*document.Addon](v, identity); err == nil {
		return a, nil
	}
	list, err := store.Find[*document.Addon](v, "name", identity)
	if err != nil {
		return nil, err
	}
	if len(list) > 0 {
		return list[0], nil
	}
	if app == "" {
		return nil, fault.New(fault.NotFound, "Couldn't find that add-on.")
	}
	x, err := FindAttachment(v, identity, app)
	if err != nil {
		return nil, fault.New(fault.NotFound, "Couldn't find that add-on.")
	}
	return store.Get[*document.Addon](v, x.Addon)
}

// FindAttachment looks an attachment up by id, name, or name with _URL on an
// app (name or id).
func FindAttachment(v store.View, identity, app string) (*document.Attachment, error) {
	if x, err := store.Get[*document.Attachment](v, identity); err == nil {
		return x, nil
	}
	a, err := apps.Find(v, app)
	if err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(strings.ToUpper(identity), "_URL")
	list, err := store.Find[*document.Attachment](v, "app+name", a.ID+"+"+name)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fault.New(fault.NotFound, "Couldn't find that add-on attachment.")
	}
	return list[0], nil
}

// aim at an add-on through the app that it was created for.
func aim(v store.View, a *document.Addon, need authz.Permission) (*document.App, control.Aim, error) {
	app, err := store.Get[*document.App](v, a.App)
	if err != nil {
		return nil, control.Aim{}, err
	}
	out := apps.Aim(app, need)
	out.Target, out.Hidden = ledger.Target{Kind: "addon", ID: a.ID, Name: a.Name}, "add-on"
	return app, out, nil
}

// Destroy ends an add-on and its data.
type Destroy struct {
	Identity, App string
	Addon         *document.Addon // the result

	app *document.App
}

// Action is addon.destroy.
func (*Destroy) Action() string { return "addon.destroy" }

// Aim is the add-on.
func (c *Destroy) Aim(v store.View) (a control.Aim, err error) {
	if c.Addon, err = Find(v, c.Identity, c.App); err != nil {
		return a, err
	}
	c.app, a, err = aim(v, c.Addon, authz.AppManage)
	return a, err
}

// Decide detaches it everywhere in its space and asks for its disposal.
func (c *Destroy) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	if c.Addon.State == document.AddonDeprovisioning {
		return fault.New(fault.Conflict, "%s is being destroyed already.", c.Addon.Name)
	}
	list, err := store.Find[*document.Attachment](v, "addon", c.Addon.ID)
	if err != nil {
		return err
	}
	c.Addon.State = document.AddonDeprovisioning
	d.Put(c.Addon)
	byApp := map[string][]*document.Attachment{}
	for _, x := range list {
		byApp[x.App] = append(byApp[x.App], x)
	}
	for _, id := range slices.Sorted(maps.Keys(byApp)) {
		app, err := store.Get[*document.App](v, id)
		if err != nil {
			return err
		}
		if err := detach(v, app, byApp[id], by, now, d); err != nil {
			return err
		}
	}
	d.Job(JobDeprovision, c.Addon.ID)
	return nil
}

// detach removes an app's attachments and the config vars that they set, in
// one release.
func detach(v store.View, app *document.App, list []*document.Attachment, by control.By, now time.Time, d *control.Decision) error {
	cfg, err := store.Get[*document.Config](v, app.ID)
	if err != nil {
		return err
	}
	var dropped []string
	for _, x := range list {
		d.Delete(document.KindAttachment, x.ID)
		if config.Drop(cfg, x.Name+"_URL") {
			dropped = append(dropped, x.Name)
		}
	}
	if len(dropped) == 0 {
		return nil
	}
	_, err = config.Cut(v, app, cfg, "Detach "+strings.Join(dropped, ", "), by.Actor.ID, by.Actor.Email, now, d)
	return err
}
