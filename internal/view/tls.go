package view

import "github.com/strongroom/strongroom/internal/document"

// SpaceTLS is what connections to a space's apps have at least.
type SpaceTLS struct {
	Space      Ref    `json:"space"`
	MinVersion string `json:"min_version"`
	HSTS       bool   `json:"hsts"`
}

// OfSpaceTLS shows it.
func OfSpaceTLS(s *document.Space) SpaceTLS {
	return SpaceTLS{Space: Ref{s.ID, s.Name}, MinVersion: s.LeastTLS(), HSTS: !s.NoHSTS}
}

// DomainTLS is what connections to a domain have at least.
type DomainTLS struct {
	Domain     string `json:"domain"`
	MinVersion string `json:"min_version"` // in force: the domain's or its space's, whichever is more
	// ClientAuthorities are null where clients need no certificate.
	ClientAuthorities *ClientAuthorities `json:"client_authorities"`
}

// ClientAuthorities are those of whom one must vouch for a client.
type ClientAuthorities struct {
	Subjects     []string `json:"subjects"`
	EndsAt       Time     `json:"ends_at"` // of the first that ends
	Certificates string   `json:"certificates"`
}

// OfDomainTLS shows it.
func OfDomainTLS(d *document.Domain, s *document.Space) DomainTLS {
	out := DomainTLS{Domain: d.Hostname, MinVersion: d.LeastTLS(s)}
	if a := d.Clients; a != nil {
		out.ClientAuthorities = &ClientAuthorities{a.Subjects, Time(a.EndsAt), a.Certificates}
	}
	return out
}
