package view

import (
	"github.com/strongroom/strongroom/internal/document"
)

// Domain sends a hostname to an app (Heroku: domain).
type Domain struct {
	ACMStatus       *string `json:"acm_status"`
	ACMStatusReason *string `json:"acm_status_reason"`
	App             Ref     `json:"app"`
	CNAME           *string `json:"cname"`
	CreatedAt       Time    `json:"created_at"`
	Hostname        string  `json:"hostname"`
	ID              string  `json:"id"`
	Kind            string  `json:"kind"`
	UpdatedAt       Time    `json:"updated_at"`
	Status          string  `json:"status"`
	SNIEndpoint     *Ref    `json:"sni_endpoint"`
}

// OfDomain shows a domain; target is the app's own hostname, which others are
// made a CNAME of; e is its certificate, or nil.
func OfDomain(d *document.Domain, a *document.App, target string, e *document.Endpoint) Domain {
	out := Domain{
		App: Ref{a.ID, a.Name}, CreatedAt: Time(d.CreatedAt), Hostname: d.Hostname, ID: d.ID, Kind: "custom",
		UpdatedAt: Time(d.UpdatedAt), Status: "succeeded",
	}
	if d.Default {
		out.Kind = "heroku"
	} else {
		out.CNAME = text(target)
	}
	if e != nil {
		out.SNIEndpoint = &Ref{e.ID, e.Name}
	}
	return out
}

// Endpoint is an uploaded certificate (Heroku: sni-endpoint).
type Endpoint struct {
	CertificateChain string   `json:"certificate_chain"`
	CreatedAt        Time     `json:"created_at"`
	ID               string   `json:"id"`
	Name             string   `json:"name"`
	UpdatedAt        Time     `json:"updated_at"`
	DisplayName      *string  `json:"display_name"`
	Domains          []string `json:"domains"` // ids
	App              Ref      `json:"app"`
	SSLCert          SSLCert  `json:"ssl_cert"`
}

// SSLCert is what a certificate says.
type SSLCert struct {
	CASigned    bool     `json:"ca_signed?"`
	CertDomains []string `json:"cert_domains"`
	ExpiresAt   Time     `json:"expires_at"`
	Issuer      string   `json:"issuer"`
	SelfSigned  bool     `json:"self_signed?"`
	StartsAt    Time     `json:"starts_at"`
	Subject     string   `json:"subject"`
	ID          string   `json:"id"`
	ACM         bool     `json:"acm"`
	Fingerprint string   `json:"fingerprint"`
}

// OfEndpoint shows a certificate; domains are the ids of those it serves.
func OfEndpoint(e *document.Endpoint, a *document.App, domains []string) Endpoint {
	return Endpoint{
		CertificateChain: e.Certificate, CreatedAt: Time(e.CreatedAt), ID: e.ID, Name: e.Name, UpdatedAt: Time(e.UpdatedAt),
		DisplayName: text(e.Name), Domains: append([]string{}, domains...), App: Ref{a.ID, a.Name},
		SSLCert: SSLCert{
			CASigned: e.Vouched, CertDomains: append([]string{}, e.Names...), ExpiresAt: Time(e.ExpiresAt),
			Issuer: e.Issuer, SelfSigned: e.SelfSigned, StartsAt: Time(e.StartsAt), Subject: e.Subject, ID: e.ID,
			Fingerprint: e.Fingerprint,
		},
	}
}
