package apps

import (
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// permissions that a collaborator can have on an app.
var permissions = []string{"view", "deploy", "operate", "manage"}

// AddCollaborator gives an account access to one app.
type AddCollaborator struct {
	Identity, Email string
	Permissions     []string               // empty: view, deploy and operate
	Collaborator    *document.Collaborator // the result

	app *document.App
}

// Action is collaborator.add.
func (*AddCollaborator) Action() string { return "collaborator.add" }

// Aim is the app.
func (c *AddCollaborator) Aim(v store.View) (control.Aim, error) {
	if len(c.Permissions) == 0 {
		c.Permissions = []string{"view", "deploy", "operate"}
	}
	for _, p := range c.Permissions {
		if !slices.Contains(permissions, p) {
			return control.Aim{}, fault.New(fault.Invalid, "No such permission as %.32q. Permissions are %v.", p, permissions)
		}
	}
	var err error
	if c.app, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Aim(c.app, authz.AppManage), nil
}

// Decide replaces what the account had on the app.
func (c *AddCollaborator) Decide(v store.View, by control.By, _ time.Time, d *control.Decision) error {
	email, err := document.CleanEmail(c.Email)
	if err != nil {
		return err
	}
	acct, err := store.One[*document.Account](v, "email", email)
	if fault.Of(err) == fault.NotFound {
		return fault.New(fault.NotFound, "There is no account for %s. An operator makes one with: strongroom accounts:create %s", email, email)
	}
	if err != nil {
		return err
	}
	have, err := store.Find[*document.Collaborator](v, "app+account", c.app.ID+"+"+acct.ID)
	if err != nil {
		return err
	}
	c.Collaborator = &document.Collaborator{Base: document.Base{ID: document.NewID()}}
	if len(have) > 0 {
		c.Collaborator = have[0]
	}
	x := c.Collaborator
	x.App, x.Space, x.Account, x.Email = c.app.ID, c.app.Space, acct.ID, acct.Email
	x.Permissions, x.GrantedBy = slices.Compact(slices.Sorted(slices.Values(c.Permissions))), by.Actor.ID
	d.Put(x)
	return nil
}

// RemoveCollaborator takes an account's access to one app away.
type RemoveCollaborator struct {
	Identity, Email string
	Collaborator    *document.Collaborator // the result: as it was

	app *document.App
}

// Action is collaborator.remove.
func (*RemoveCollaborator) Action() string { return "collaborator.remove" }

// Aim is the app.
func (c *RemoveCollaborator) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.app, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Aim(c.app, authz.AppManage), nil
}

// Decide finds the collaborator by address or id.
func (c *RemoveCollaborator) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	list, err := store.Find[*document.Collaborator](v, "app", c.app.ID)
	if err != nil {
		return err
	}
	for _, x := range list {
		if x.Email == c.Email || x.ID == c.Email || x.Account == c.Email {
			c.Collaborator = x
			d.Delete(document.KindCollaborator, x.ID)
			return nil
		}
	}
	return fault.New(fault.NotFound, "Couldn't find that collaborator.")
}
