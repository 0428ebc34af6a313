package apps

import (
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// AddDomain sends a hostname to an app.
type AddDomain struct {
	Identity, Hostname string
	Endpoint           string           // name or id of a certificate, or ""
	Domain             *document.Domain // the result

	app *document.App
}

// Action is domain.add.
func (*AddDomain) Action() string { return "domain.add" }

// Aim is the app.
func (c *AddDomain) Aim(v store.View) (control.Aim, error) {
	host, err := document.CleanHostname(c.Hostname)
	if err != nil {
		return control.Aim{}, err
	}
	c.Hostname = host
	if c.app, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Aim(c.app, authz.AppOperate), nil
}

// Decide refuses a hostname that is in use anywhere.
func (c *AddDomain) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	if err := unused(v, c.Hostname); err != nil {
		return err
	}
	if err := c.foreign(v); err != nil {
		return err
	}
	c.Domain = &document.Domain{Base: document.Base{ID: document.NewID()}, App: c.app.ID, Space: c.app.Space, Hostname: c.Hostname}
	id, err := fitting(v, c.app, c.Endpoint, c.Hostname)
	if err != nil {
		return err
	}
	c.Domain.Endpoint = id
	d.Put(c.Domain)
	return nil
}

// unused refuses a hostname that is in use anywhere.
func unused(v store.View, hostname string) error {
	have, err := store.Find[*document.Domain](v, "hostname", hostname)
	if err == nil && len(have) > 0 {
		return fault.New(fault.Invalid, "%s is currently in use by another app.", hostname)
	}
	return err
}

// foreign refuses a hostname that is somebody else's although it is free: one
// of the platform's own domain, where apps to come have theirs, one that another
// team's wildcard covers, whose visitors it would take away, or a wildcard over
// another team's name, whose neighbours it would be.
func (c *AddDomain) foreign(v store.View) error {
	own, err := store.Find[*document.Domain](v, "app", c.app.ID)
	if err != nil {
		return err
	}
	for _, d := range own {
		platform, ok := strings.CutPrefix(d.Hostname, c.app.Name+".")
		if ok && d.Default && (c.Hostname == platform || strings.HasSuffix(c.Hostname, "."+platform)) {
			return fault.New(fault.Invalid, "%s belongs to the platform: names below %s are those of apps.", c.Hostname, platform)
		}
	}
	first, parent, _ := strings.Cut(c.Hostname, ".")
	if first == "*" {
		return c.over(v, parent)
	}
	wide, err := store.Find[*document.Domain](v, "hostname", "*."+parent)
	if err != nil || len(wide) == 0 {
		return err
	}
	other, err := store.Get[*document.App](v, wide[0].App)
	if err == nil && other.Team != c.app.Team {
		return fault.New(fault.Invalid, "%s is currently in use by another app.", c.Hostname)
	}
	return err
}

// over refuses a wildcard over a name of another team. Wildcards are rare, so
// all names are looked through: a key for this alone is not worth its rows.
func (c *AddDomain) over(v store.View, parent string) error {
	spaces, err := store.Find[*document.Space](v, "all", "")
	if err != nil {
		return err
	}
	for _, s := range spaces {
		if s.Team == c.app.Team {
			continue
		}
		list, err := store.Find[*document.Domain](v, "space", s.ID)
		if err != nil {
			return err
		}
		for _, d := range list {
			if _, under, _ := strings.Cut(d.Hostname, "."); under == parent {
				return fault.New(fault.Invalid, "%s covers a name that is currently in use by another app.", c.Hostname)
			}
		}
	}
	return nil
}

// UpdateDomain gives a domain another certificate.
type UpdateDomain struct {
	Identity, Hostname, Endpoint string
	Domain                       *document.Domain

	app *document.App
}

// Action is domain.update.
func (*UpdateDomain) Action() string { return "domain.update" }

// Aim is the app.
func (c *UpdateDomain) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.app, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Aim(c.app, authz.AppOperate), nil
}

// Decide finds the domain by hostname or id.
func (c *UpdateDomain) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	dom, err := FindDomain(v, c.app, c.Hostname)
	if err != nil {
		return err
	}
	if dom.Endpoint, err = fitting(v, c.app, c.Endpoint, dom.Hostname); err != nil {
		return err
	}
	c.Domain = dom
	d.Put(dom)
	return nil
}

// RemoveDomain stops sending a hostname to an app.
type RemoveDomain struct {
	Identity, Hostname string
	Domain             *document.Domain // the result: as it was

	app *document.App
}

// Action is domain.remove.
func (*RemoveDomain) Action() string { return "domain.remove" }

// Aim is the app.
func (c *RemoveDomain) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.app, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Aim(c.app, authz.AppOperate), nil
}

// Decide keeps the default domain.
func (c *RemoveDomain) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	dom, err := FindDomain(v, c.app, c.Hostname)
	if err != nil {
		return err
	}
	if dom.Default {
		return fault.New(fault.Invalid, "%s is the app's own name and cannot be removed.", dom.Hostname)
	}
	c.Domain = dom
	d.Delete(document.KindDomain, dom.ID)
	return nil
}

// FindDomain looks an app's domain up by hostname or id.
func FindDomain(v store.View, app *document.App, identity string) (*document.Domain, error) {
	list, err := store.Find[*document.Domain](v, "app", app.ID)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		if d.ID == identity || d.Hostname == identity {
			return d, nil
		}
	}
	return nil, fault.New(fault.NotFound, "Couldn't find that domain name.")
}
