package addons

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// Host is the name by which dynos of the space reach an add-on.
func Host(a *document.Addon) string { return a.Name + ".localspace" }

// URL is what the config var of an attachment holds.
func URL(a *document.Addon, c document.Credential, password secret.Value) secret.Value {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(c.User, string(password.Reveal())),
		Host: Host(a) + ":5432", Path: "/" + c.Database, RawQuery: "sslmode=require",
	}
	return secret.NewValue([]byte(u.String()))
}

// Attach gives another app of the same space access to an add-on.
type Attach struct {
	Addon, App, As string
	Attachment     *document.Attachment // the result

	addon  *document.Addon
	app    *document.App
	sealed secret.Sealed
}

// Action is addon.attach.
func (*Attach) Action() string { return "addon.attach" }

// Prepare seals the config var's value.
func (c *Attach) Prepare(ctx context.Context, t control.Tools) error {
	var a *document.Addon
	if err := t.Store.Read(ctx, func(v store.View) (err error) {
		a, err = Find(v, c.Addon, c.App)
		return err
	}); err != nil {
		return err
	}
	var err error
	c.sealed, err = sealURL(ctx, t.Keyring, a)
	return err
}

func sealURL(ctx context.Context, k *secret.Keyring, a *document.Addon) (secret.Sealed, error) {
	cred := a.Roles[0]
	pw, err := k.Open(ctx, cred.Password.ID, cred.Password.SHA256)
	if err != nil {
		return secret.Sealed{}, err
	}
	return k.Seal(ctx, a.Space, URL(a, cred, pw))
}

// Aim is the app that gets access; the add-on's own app must allow it too.
func (c *Attach) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.addon, err = Find(v, c.Addon, c.App); err != nil {
		return control.Aim{}, err
	}
	if c.app, err = apps.Find(v, c.App); err != nil {
		return control.Aim{}, err
	}
	return apps.Aim(c.app, authz.AppManage), nil
}

// Decide refuses across spaces: no interface, route or process connects two.
func (c *Attach) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	if c.addon.Space != c.app.Space {
		return fault.New(fault.NotFound, "Couldn't find that add-on.")
	}
	_, owner, err := aim(v, c.addon, authz.AppManage)
	if err != nil {
		return err
	}
	ok, err := authz.Allowed(v, by.Subject(), by.Actor.Roles, owner.Need, owner.On)
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.Forbidden, "You do not manage the app that %s belongs to.", c.addon.Name)
	}
	if c.addon.State != document.AddonProvisioned {
		return fault.New(fault.Conflict, "%s is %s. Wait until it is provisioned: heroku addons:wait", c.addon.Name, c.addon.State)
	}
	s, _, err := FindPlan(c.addon.Service)
	if err != nil {
		return err
	}
	if c.Attachment, err = attachment(v, c.app, c.addon, s, c.As); err != nil {
		return err
	}
	d.Put(c.Attachment)
	return setVar(v, c.app, c.Attachment, c.sealed, by, now, d)
}

func setVar(v store.View, app *document.App, x *document.Attachment, s secret.Sealed, by control.By, now time.Time, d *control.Decision) error {
	cfg, err := store.Get[*document.Config](v, app.ID)
	if err != nil {
		return err
	}
	config.Put(cfg, x.Name+"_URL", s, x.ID)
	d.Sealed = append(d.Sealed, s)
	_, err = config.Cut(v, app, cfg, "Attach "+x.Name, by.Actor.ID, by.Actor.Email, now, d)
	return err
}

// Detach takes an app's access to an add-on away.
type Detach struct {
	ID         string               // of the attachment
	Attachment *document.Attachment // the result: as it was

	app *document.App
}

// Action is addon.detach.
func (*Detach) Action() string { return "addon.detach" }

// Aim is the app.
func (c *Detach) Aim(v store.View) (control.Aim, error) {
	x, err := store.Get[*document.Attachment](v, c.ID)
	if err != nil {
		return control.Aim{}, err
	}
	c.Attachment = x
	if c.app, err = store.Get[*document.App](v, x.App); err != nil {
		return control.Aim{}, err
	}
	a := apps.Aim(c.app, authz.AppManage)
	a.Hidden = "attachment"
	return a, nil
}

// Decide refuses the last attachment: an add-on that nothing is attached to is
// data that nobody remembers.
func (c *Detach) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	list, err := store.Find[*document.Attachment](v, "addon", c.Attachment.Addon)
	if err != nil {
		return err
	}
	if len(list) == 1 {
		return fault.New(fault.Forbidden, "Cannot detach the last attachment of an add-on. Destroy the add-on instead.")
	}
	return detach(v, c.app, []*document.Attachment{c.Attachment}, by, now, d)
}

// Provisioned records that an add-on is there, and sets its config vars.
type Provisioned struct {
	ID, Image string
	Addon     *document.Addon // the result

	app    *document.App
	sealed secret.Sealed
}

// Action is addon.provision.
func (*Provisioned) Action() string { return "addon.provision" }

// Prepare seals the config var's value.
func (c *Provisioned) Prepare(ctx context.Context, t control.Tools) error {
	var a *document.Addon
	if err := t.Store.Read(ctx, func(v store.View) (err error) {
		a, err = store.Get[*document.Addon](v, c.ID)
		return err
	}); err != nil {
		return err
	}
	var err error
	c.sealed, err = sealURL(ctx, t.Keyring, a)
	return err
}

// Aim is the add-on.
func (c *Provisioned) Aim(v store.View) (a control.Aim, err error) {
	if c.Addon, err = store.Get[*document.Addon](v, c.ID); err != nil {
		return a, err
	}
	c.app, a, err = aim(v, c.Addon, authz.System)
	return a, err
}

// Decide is for add-ons that wait for it.
func (c *Provisioned) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	if c.Addon.State != document.AddonProvisioning {
		return fault.New(fault.Conflict, "%s is %s.", c.Addon.Name, c.Addon.State)
	}
	c.Addon.State, c.Addon.Image, c.Addon.Message = document.AddonProvisioned, c.Image, ""
	d.Put(c.Addon)
	list, err := store.Find[*document.Attachment](v, "addon", c.ID)
	if err != nil || len(list) == 0 {
		return err
	}
	return setVar(v, c.app, list[0], c.sealed, by, now, d)
}

// ProvisionFailed records why an add-on is not there yet; it is tried again.
type ProvisionFailed struct {
	ID, Message string

	addon *document.Addon
}

// Action is addon.provision.
func (*ProvisionFailed) Action() string { return "addon.provision" }

// Aim is the add-on.
func (c *ProvisionFailed) Aim(v store.View) (a control.Aim, err error) {
	if c.addon, err = store.Get[*document.Addon](v, c.ID); err != nil {
		return a, err
	}
	_, a, err = aim(v, c.addon, authz.System)
	return a, err
}

// Decide keeps the reason.
func (c *ProvisionFailed) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	c.addon.Message = c.Message
	d.Outcome, d.Error = ledger.Failed, c.Message
	d.Put(c.addon)
	return nil
}

// Disposed records that an add-on's data is gone, and how that is known
// (45 CFR 164.310(d)(2)(i), disposal).
type Disposed struct {
	ID           string
	Data, Server Disposal // of its volumes
}

// Disposal of a volume: whether the kernel confirmed that its key is gone, and
// what came of a try to read it.
type Disposal struct {
	Volume     string
	KeyRemoved bool
	ReadTried  string
}

// Action is addon.dispose.
func (*Disposed) Action() string { return "addon.dispose" }

// Aim is the add-on; its app may be gone.
func (c *Disposed) Aim(v store.View) (a control.Aim, err error) {
	_, a, err = disposal(v, c.ID)
	return a, err
}

// disposal is aimed at the add-on itself, whose app may be gone.
func disposal(v store.View, id string) (*document.Addon, control.Aim, error) {
	a, err := store.Get[*document.Addon](v, id)
	if err != nil {
		return nil, control.Aim{}, err
	}
	return a, control.Aim{
		Scope: a.Space, App: a.App, Target: ledger.Target{Kind: "addon", ID: a.ID, Name: a.Name}, Need: authz.System,
	}, nil
}

// Decide ends the document.
func (c *Disposed) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	d.Delete(document.KindAddon, c.ID)
	c.Data.note(d, "")
	c.Server.note(d, "server_")
	return nil
}

func (x Disposal) note(d *control.Decision, prefix string) {
	d.Note(prefix+"volume", x.Volume)
	d.Note(prefix+"key_removed", fmt.Sprint(x.KeyRemoved))
	d.Note(prefix+"read_tried", x.ReadTried)
}

// DisposalRefused records why an add-on's data could not be destroyed yet:
// something still holds its volume. It is tried again.
type DisposalRefused struct {
	ID, Message string

	addon *document.Addon
}

// Action is addon.dispose.
func (*DisposalRefused) Action() string { return "addon.dispose" }

// Aim is the add-on; its app may be gone.
func (c *DisposalRefused) Aim(v store.View) (a control.Aim, err error) {
	c.addon, a, err = disposal(v, c.ID)
	return a, err
}

// Decide keeps the reason.
func (c *DisposalRefused) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	if c.addon.State != document.AddonDeprovisioning {
		return fault.New(fault.Conflict, "%s is %s.", c.addon.Name, c.addon.State)
	}
	c.addon.Message = c.Message
	d.Outcome, d.Error = ledger.Failed, c.Message
	d.Note("volume", c.addon.Volume)
	d.Put(c.addon)
	return nil
}

// ReadCredential hands out a database role's password, once that is recorded.
type ReadCredential struct {
	Identity, App string // add-on; app it is attached to, if known
	Name          string // of the credential
	For           string // why: "credentials", "psql"

	Addon    *document.Addon
	Role     document.Credential
	Password secret.Value // the result
}

// Action is credential.read.
func (*ReadCredential) Action() string { return "credential.read" }

// Aim is the add-on.
func (c *ReadCredential) Aim(v store.View) (a control.Aim, err error) {
	if c.Addon, err = Find(v, c.Identity, c.App); err != nil {
		return a, err
	}
	_, a, err = aim(v, c.Addon, authz.AppSecrets)
	return a, err
}

// Decide finds the credential.
func (c *ReadCredential) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	for _, r := range c.Addon.Roles {
		if r.Name == c.Name {
			c.Role = r
			d.Note("credential", r.Name)
			d.Note("for", c.For)
			return nil
		}
	}
	return fault.New(fault.NotFound, "Couldn't find that credential.")
}

// Effect opens the password.
func (c *ReadCredential) Effect(ctx context.Context, t control.Tools, _ int64) error {
	var err error
	c.Password, err = t.Keyring.Open(ctx, c.Role.Password.ID, c.Role.Password.SHA256)
	return err
}
