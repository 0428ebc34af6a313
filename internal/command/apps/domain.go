package apps

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
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
	if c.Endpoint != "" {
		e, err := FindEndpoint(v, c.app, c.Endpoint)
		if err != nil {
			return err
		}
		c.Domain.Endpoint = e.ID
	}
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
	dom.Endpoint = ""
	if c.Endpoint != "" {
		e, err := FindEndpoint(v, c.app, c.Endpoint)
		if err != nil {
			return err
		}
		dom.Endpoint = e.ID
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
	Identity  string
	Replace   string // name or id of the endpoint to replace, "" = a new one
	Chain     string // PEM, leaf first
	Key       secret.Value
	Endpoint  *document.Endpoint // the result
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

// Prepare checks that key and certificate belong together, and seals the key.
func (c *PutEndpoint) Prepare(ctx context.Context, t control.Tools) error {
	if len(c.Chain) > 128<<10 || len(c.Key.Reveal()) > 32<<10 {
		return fault.New(fault.TooLarge, "A certificate chain has at most 128 KB and a key at most 32 KB.")
	}
	pair, err := tls.X509KeyPair([]byte(c.Chain), c.Key.Reveal())
	if err != nil {
		return fault.New(fault.Invalid, "The certificate and the key do not belong together or cannot be read.")
	}
	c.described = describe(pair.Leaf, c.Chain)
	if t.Now().After(pair.Leaf.NotAfter) {
		return fault.New(fault.Invalid, "The certificate expired on %s.", pair.Leaf.NotAfter.Format(time.DateOnly))
	}
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

func describe(leaf *x509.Certificate, chain string) document.Endpoint {
	sum := sha256.Sum256(leaf.Raw)
	names := leaf.DNSNames
	if len(names) == 0 && leaf.Subject.CommonName != "" {
		names = []string{leaf.Subject.CommonName}
	}
	return document.Endpoint{
		Certificate: certificatesOnly(chain), Names: names,
		Issuer: leaf.Issuer.String(), Subject: leaf.Subject.String(),
		StartsAt: leaf.NotBefore.UTC(), ExpiresAt: leaf.NotAfter.UTC(),
		SelfSigned: leaf.Issuer.String() == leaf.Subject.String(), Fingerprint: "sha256:" + hex.EncodeToString(sum[:]),
	}
}

// certificatesOnly drops everything but certificates: people paste keys into
// the wrong field, and the chain is written to the ledger.
func certificatesOnly(chain string) string {
	var out []byte
	for rest := []byte(chain); ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return string(out)
		}
		if b.Type == "CERTIFICATE" {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: b.Type, Bytes: b.Bytes})...)
		}
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
// that have none.
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
		if dom.Endpoint == "" && !dom.Default && covers(e.Names, dom.Hostname) {
			dom.Endpoint = e.ID
			d.Put(dom)
		}
	}
	return nil
}

func covers(names []string, host string) bool {
	cert := x509.Certificate{DNSNames: names}
	return cert.VerifyHostname(host) == nil
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
