package api

import (
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/view"
)

func presentDomain(a query.App, d query.Domain) view.Domain {
	return view.OfDomain(d.Domain, a.App, a.Hostname, d.Endpoint)
}

func listDomains(c *call) (Answer, error) {
	a, err := show(c, c.app)
	if err != nil {
		return Answer{}, err
	}
	return listed(c, func(q *query.Reader) ([]query.Domain, error) { return q.Domains(a) },
		func(_ *query.Reader, d query.Domain) (view.Domain, error) { return presentDomain(a, d), nil },
		property[view.Domain]{name: "hostname", text: func(d view.Domain) string { return d.Hostname }},
		property[view.Domain]{name: "id", text: func(d view.Domain) string { return d.ID }})
}

func getDomain(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Domain, error) {
		a, err := c.app(q)
		if err != nil {
			return view.Domain{}, err
		}
		d, err := q.Domain(a, c.path("domain"))
		return presentDomainOr(a, d, err)
	}))
}

func presentDomainOr(a query.App, d query.Domain, err error) (view.Domain, error) {
	if err != nil {
		return view.Domain{}, err
	}
	return presentDomain(a, d), nil
}

// domainNow shows a domain as a command left it.
func (c *call) domainNow(d *document.Domain) (view.Domain, error) {
	return show(c, func(q *query.Reader) (view.Domain, error) {
		a, err := c.visibleApp(q)
		if err != nil {
			return view.Domain{}, err
		}
		full, err := q.Domain(a, d.ID)
		return presentDomainOr(a, full, err)
	})
}

func addDomain(c *call) (Answer, error) {
	var in struct {
		Hostname    string `json:"hostname"`
		SNIEndpoint ref    `json:"sni_endpoint"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	cmd := &apps.AddDomain{Identity: c.path("app"), Hostname: in.Hostname, Endpoint: string(in.SNIEndpoint)}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return accepted(c.domainNow(cmd.Domain))
}

// updateDomain gives a domain another certificate, or with null none.
func updateDomain(c *call) (Answer, error) {
	var in struct {
		SNIEndpoint nullable `json:"sni_endpoint"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if !in.SNIEndpoint.Set {
		return Answer{}, fault.New(fault.Invalid, "sni_endpoint is missing.")
	}
	cmd := &apps.UpdateDomain{Identity: c.path("app"), Hostname: c.path("domain"), Endpoint: in.SNIEndpoint.Value}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(c.domainNow(cmd.Domain))
}

func removeDomain(c *call) (Answer, error) {
	a, err := show(c, c.visibleApp)
	if err != nil {
		return Answer{}, err
	}
	cmd := &apps.RemoveDomain{Identity: c.path("app"), Hostname: c.path("domain")}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(presentDomain(a, query.Domain{Domain: cmd.Domain}), nil)
}

func presentEndpoint(a query.App, e query.Endpoint) view.Endpoint {
	return view.OfEndpoint(e.Endpoint, a.App, e.Domains)
}

func listEndpoints(c *call) (Answer, error) {
	a, err := show(c, c.app)
	if err != nil {
		return Answer{}, err
	}
	return listed(c, func(q *query.Reader) ([]query.Endpoint, error) { return q.Endpoints(a) },
		func(_ *query.Reader, e query.Endpoint) (view.Endpoint, error) { return presentEndpoint(a, e), nil },
		property[view.Endpoint]{name: "name", text: func(e view.Endpoint) string { return e.Name }},
		property[view.Endpoint]{name: "id", text: func(e view.Endpoint) string { return e.ID }})
}

func (c *call) endpointNow(identity string) (view.Endpoint, error) {
	return show(c, func(q *query.Reader) (view.Endpoint, error) {
		a, err := c.app(q)
		if err != nil {
			return view.Endpoint{}, err
		}
		e, err := q.Endpoint(a, identity)
		if err != nil {
			return view.Endpoint{}, err
		}
		return presentEndpoint(a, e), nil
	})
}

func getEndpoint(c *call) (Answer, error) { return ok(c.endpointNow(c.path("endpoint"))) }

func addEndpoint(c *call) (Answer, error) {
	e, err := c.putEndpoint("")
	if err != nil {
		return Answer{}, err
	}
	return created(c.endpointNow(e.ID))
}

func updateEndpoint(c *call) (Answer, error) {
	e, err := c.putEndpoint(c.path("endpoint"))
	if err != nil {
		return Answer{}, err
	}
	return ok(c.endpointNow(e.ID))
}

func (c *call) putEndpoint(replace string) (*document.Endpoint, error) {
	var in struct {
		CertificateChain string `json:"certificate_chain"`
		PrivateKey       string `json:"private_key"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	cmd := &apps.PutEndpoint{
		Identity: c.path("app"), Replace: replace, Chain: in.CertificateChain, Key: secret.NewValue([]byte(in.PrivateKey)),
	}
	err := c.execute(cmd)
	return cmd.Endpoint, err
}

func removeEndpoint(c *call) (Answer, error) {
	a, err := show(c, c.visibleApp)
	if err != nil {
		return Answer{}, err
	}
	cmd := &apps.RemoveEndpoint{Identity: c.path("app"), Name: c.path("endpoint")}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(view.OfEndpoint(cmd.Endpoint, a.App, nil), nil)
}
