package apps

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/certificate"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// FindEndpoint looks an app's certificate up by name or id.
func FindEndpoint(v store.View, app *document.App, identity string) (*document.Endpoint, error) {
	list, err := store.Find[*document.Endpoint](v, "app", app.ID)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if e.ID == identity || e.Name == identity {
			return e, nil
		}
	}
	return nil, fault.New(fault.NotFound, "Couldn't find that SNI endpoint.")
}

// PutEndpoint uploads a certificate, or replaces one.
type PutEndpoint struct {
	Identity string
	Replace  string // name or id of the endpoint to replace, "" = a new one
	Chain    string // PEM, leaf first
	Key      secret.Value
	Endpoint *document.Endpoint // the result

	app       *document.App
	sealed    secret.Sealed
	described document.Endpoint
}

// Action is certificate.add or certificate.update.
func (c *PutEndpoint) Action() string {
	if c.Replace != "" {
		return "certificate.update"
	}
	return "certificate.add"
}

// Prepare checks the certificate and its key, and seals the key.
func (c *PutEndpoint) Prepare(ctx context.Context, t control.Tools) error {
	pair, err := certificate.ParsePair(c.Chain, c.Key, t.Now())
	if err != nil {
		return err
	}
	// Without a list of public authorities nobody vouches for anything.
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	c.described = describe(pair)
	c.described.Vouched = pair.Vouched(roots, t.Now())
	var app *document.App
	if err := t.Store.Read(ctx, func(v store.View) error {
		app, err = Find(v, c.Identity)
		return err
	}); err != nil {
		return err
	}
	c.sealed, err = t.Keyring.Seal(ctx, app.Space, c.Key)
	return err
}

func describe(p *certificate.Pair) document.Endpoint {
	sum := sha256.Sum256(p.Leaf.Raw)
	return document.Endpoint{
		Certificate: certificate.Encode(p.Chain), Names: p.Names,
		Issuer: p.Leaf.Issuer.String(), Subject: p.Leaf.Subject.String(),
		StartsAt: p.Leaf.NotBefore.UTC(), ExpiresAt: p.Leaf.NotAfter.UTC(),
		SelfSigned: p.Leaf.Issuer.String() == p.Leaf.Subject.String(), Fingerprint: "sha256:" + hex.EncodeToString(sum[:]),
	}
}

// Aim is the app.
func (c *PutEndpoint) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.app, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Aim(c.app, authz.AppOperate), nil
}

// Decide attaches a new certificate to the app's domains that it names and
// that have none. One that replaces another must be good for all of its domains.
func (c *PutEndpoint) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	e := c.described
	e.Base = document.Base{ID: document.NewID()}
	e.Name = "cert-" + e.ID[len(e.ID)-8:]
	if c.Replace != "" {
		old, err := FindEndpoint(v, c.app, c.Replace)
		if err != nil {
			return err
		}
		e.Base, e.Name = old.Base, old.Name
	}
	e.App, e.Space = c.app.ID, c.app.Space
	e.Key = document.Sealed{ID: c.sealed.ID, SHA256: c.sealed.Digest()}
	d.Sealed = append(d.Sealed, c.sealed)
	d.Put(&e)
	c.Endpoint = &e
	list, err := store.Find[*document.Domain](v, "app", c.app.ID)
	if err != nil {
		return err
	}
	for _, dom := range list {
		fits := certificate.Covers(e.Names, dom.Hostname)
		switch {
		case dom.Endpoint == e.ID && !fits:
			return mismatch(&e, dom.Hostname)
		case dom.Endpoint == "" && !dom.Default && fits:
			dom.Endpoint = e.ID
			d.Put(dom)
		}
	}
	return nil
}

// mismatch is the refusal of a certificate that clients of a host would refuse.
func mismatch(e *document.Endpoint, host string) error {
	return fault.New(fault.Invalid, "The certificate %s is for %s and not for %s.", e.Name, few(e.Names), host)
}

// few joins names, not all of many.
func few(names []string) string {
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// fitting looks up the certificate that a domain is to have.
func fitting(v store.View, app *document.App, identity, host string) (string, error) {
	if identity == "" {
		return "", nil
	}
	e, err := FindEndpoint(v, app, identity)
	if err != nil {
		return "", err
	}
	if !certificate.Covers(e.Names, host) {
		return "", mismatch(e, host)
	}
	return e.ID, nil
}

// RemoveEndpoint takes a certificate away.
type RemoveEndpoint struct {
	Identity, Name string
	Endpoint       *document.Endpoint // the result: as it was

	app *document.App
}

// Action is certificate.remove.
func (*RemoveEndpoint) Action() string { return "certificate.remove" }

// Aim is the app.
func (c *RemoveEndpoint) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.app, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Aim(c.app, authz.AppOperate), nil
}

// Decide leaves the domains that had it with the space's own certificate.
func (c *RemoveEndpoint) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	e, err := FindEndpoint(v, c.app, c.Name)
	if err != nil {
		return err
	}
	c.Endpoint = e
	d.Delete(document.KindEndpoint, e.ID)
	list, err := store.Find[*document.Domain](v, "app", c.app.ID)
	if err != nil {
		return err
	}
	for _, dom := range list {
		if dom.Endpoint == e.ID {
			dom.Endpoint = ""
			d.Put(dom)
		}
	}
	return nil
}
