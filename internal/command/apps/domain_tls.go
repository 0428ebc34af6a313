package apps

import (
	"context"
	"crypto/x509"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/certificate"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// SetDomainTLS says what a connection to a domain has at least: a version of TLS,
// and a client's certificate by one of some authorities.
type SetDomainTLS struct {
	Identity, Hostname string
	MinTLS             *string // document.TLS12 or TLS13; nil leaves it
	// Authorities is a PEM bundle of those who vouch for clients; nil leaves them.
	Authorities *string
	Everybody   bool             // asks clients for no certificate
	Domain      *document.Domain // the result
	Space       *document.Space  // the domain's

	app     *document.App
	clients *document.Authorities
}

// Action is domain.tls.
func (*SetDomainTLS) Action() string { return "domain.tls" }

// Prepare reads the authorities.
func (c *SetDomainTLS) Prepare(_ context.Context, t control.Tools) error {
	if c.Authorities == nil {
		return nil
	}
	list, err := certificate.ParseAuthorities(*c.Authorities, t.Now())
	if err != nil {
		return err
	}
	c.clients = describeAuthorities(list)
	return nil
}

func describeAuthorities(list []*x509.Certificate) *document.Authorities {
	out := &document.Authorities{Certificates: certificate.Encode(list), EndsAt: list[0].NotAfter.UTC()}
	for _, c := range list {
		out.Subjects = append(out.Subjects, c.Subject.String())
		if c.NotAfter.Before(out.EndsAt) {
			out.EndsAt = c.NotAfter.UTC()
		}
	}
	return out
}

// Aim is the app. Who may enter is for those who manage it.
func (c *SetDomainTLS) Aim(v store.View) (control.Aim, error) {
	if c.MinTLS == nil && c.Authorities == nil && !c.Everybody {
		return control.Aim{}, fault.New(fault.Invalid, "Say what is to change: min_version or client_authorities.")
	}
	var err error
	if c.MinTLS, err = document.CleanTLS(c.MinTLS); err != nil {
		return control.Aim{}, err
	}
	if c.app, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Aim(c.app, authz.AppManage), nil
}

// Decide wants a reason for letting clients in without a certificate.
func (c *SetDomainTLS) Decide(v store.View, by control.By, _ time.Time, d *control.Decision) error {
	dom, err := FindDomain(v, c.app, c.Hostname)
	if err != nil {
		return err
	}
	if c.Space, err = store.Get[*document.Space](v, c.app.Space); err != nil {
		return err
	}
	if c.MinTLS != nil {
		dom.MinTLS = *c.MinTLS
		d.Note("min_version", dom.LeastTLS(c.Space))
	}
	if c.Authorities != nil || c.Everybody {
		if dom.Clients != nil && c.Everybody && by.Reason == "" {
			return fault.New(fault.Invalid, "%s would let everybody in without a certificate: give a reason (header Strongroom-Reason), which is recorded.", dom.Hostname)
		}
		dom.Clients = c.clients
		d.Note("client_authorities", authoritiesNote(c.clients))
	}
	c.Domain = dom
	d.Put(dom)
	return nil
}

func authoritiesNote(a *document.Authorities) string {
	if a == nil {
		return "none"
	}
	return strings.Join(a.Subjects, "; ")
}
