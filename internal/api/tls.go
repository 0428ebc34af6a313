package api

import (
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/view"
)

func getSpaceTLS(c *call) (Answer, error) {
	s, err := show(c, c.space)
	if err != nil {
		return Answer{}, err
	}
	return ok(view.OfSpaceTLS(s.Space), nil)
}

func updateSpaceTLS(c *call) (Answer, error) {
	var in struct {
		MinVersion *string `json:"min_version"`
		HSTS       *bool   `json:"hsts"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	cmd := &spaces.SetTLS{Identity: c.path("space"), MinTLS: in.MinVersion, HSTS: in.HSTS}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(view.OfSpaceTLS(cmd.Space), nil)
}

func getDomainTLS(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.DomainTLS, error) {
		a, err := c.app(q)
		if err != nil {
			return view.DomainTLS{}, err
		}
		d, err := q.Domain(a, c.path("domain"))
		if err != nil {
			return view.DomainTLS{}, err
		}
		return view.OfDomainTLS(d.Domain, a.Space), nil
	}))
}

// updateDomainTLS takes the authorities of a domain's clients as PEM, or null for
// none.
func updateDomainTLS(c *call) (Answer, error) {
	var in struct {
		MinVersion        *string  `json:"min_version"`
		ClientAuthorities nullable `json:"client_authorities"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	cmd := &apps.SetDomainTLS{Identity: c.path("app"), Hostname: c.path("domain"), MinTLS: in.MinVersion}
	switch {
	case in.ClientAuthorities.Null:
		cmd.Everybody = true
	case in.ClientAuthorities.Set:
		cmd.Authorities = &in.ClientAuthorities.Value
	}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(view.OfDomainTLS(cmd.Domain, cmd.Space), nil)
}
