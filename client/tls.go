package client

import (
	"context"
	"net/http"
	"time"
)

// SpaceTLS is what connections to a space's apps have at least.
type SpaceTLS struct {
	MinVersion string `json:"min_version"`
	HSTS       bool   `json:"hsts"`
}

// SpaceTLSChange is what is to change; nil leaves it.
type SpaceTLSChange struct {
	MinVersion *string `json:"min_version,omitempty"`
	HSTS       *bool   `json:"hsts,omitempty"`
}

// SpaceTLS reads it.
func (c *Client) SpaceTLS(ctx context.Context, space string) (SpaceTLS, error) {
	var out SpaceTLS
	return out, c.Do(ctx, http.MethodGet, Path("spaces", space, "tls"), nil, &out)
}

// UpdateSpaceTLS changes it.
func (c *Client) UpdateSpaceTLS(ctx context.Context, space string, in SpaceTLSChange) (SpaceTLS, error) {
	var out SpaceTLS
	return out, c.Do(ctx, http.MethodPatch, Path("spaces", space, "tls"), in, &out)
}

// DomainTLS is what connections to a domain have at least.
type DomainTLS struct {
	Domain            string             `json:"domain"`
	MinVersion        string             `json:"min_version"`
	ClientAuthorities *ClientAuthorities `json:"client_authorities"` // nil: clients need no certificate
}

// ClientAuthorities are those of whom one must vouch for a client.
type ClientAuthorities struct {
	Subjects     []string  `json:"subjects"`
	EndsAt       time.Time `json:"ends_at"` // of the first that ends
	Certificates string    `json:"certificates"`
}

// DomainTLSChange is what is to change.
type DomainTLSChange struct {
	MinVersion *string
	Bundle     *string // PEM of the authorities that vouch for clients
	Everybody  bool    // asks clients for no certificate
}

// DomainTLS reads it.
func (c *Client) DomainTLS(ctx context.Context, app, domain string) (DomainTLS, error) {
	var out DomainTLS
	return out, c.Do(ctx, http.MethodGet, Path("apps", app, "domains", domain, "tls"), nil, &out)
}

// UpdateDomainTLS changes it.
func (c *Client) UpdateDomainTLS(ctx context.Context, app, domain string, in DomainTLSChange) (DomainTLS, error) {
	body := map[string]any{}
	if in.MinVersion != nil {
		body["min_version"] = *in.MinVersion
	}
	if in.Bundle != nil {
		body["client_authorities"] = *in.Bundle
	}
	if in.Everybody {
		body["client_authorities"] = nil
	}
	var out DomainTLS
	return out, c.Do(ctx, http.MethodPatch, Path("apps", app, "domains", domain, "tls"), body, &out)
}
