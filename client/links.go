package client

import (
	"context"
	"net/http"
	"time"
)

// AppLinks says which apps of a space reach each other.
type AppLinks struct {
	Mode  string    `json:"mode"` // any or listed
	Links []AppLink `json:"links"`
}

// AppLink lets the processes of one app connect to those of another.
type AppLink struct {
	From      LinkedApp `json:"from"`
	To        LinkedApp `json:"to"`
	Reason    string    `json:"reason"`
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
}

// LinkedApp is one end of a link.
type LinkedApp struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// AppPair names two apps.
type AppPair struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// LinksChange is what is to become of a space's links.
type LinksChange struct {
	Mode   string    `json:"mode,omitempty"`
	Add    []AppPair `json:"add,omitempty"`
	Remove []AppPair `json:"remove,omitempty"`
}

// AppLinks tells which apps of a space reach each other.
func (c *Client) AppLinks(ctx context.Context, space string) (AppLinks, error) {
	var out AppLinks
	return out, c.Do(ctx, http.MethodGet, Path("spaces", space, "links"), nil, &out)
}

// ChangeLinks changes it, and tells what it is then.
func (c *Client) ChangeLinks(ctx context.Context, space string, change LinksChange) (AppLinks, error) {
	var out AppLinks
	return out, c.Do(ctx, http.MethodPatch, Path("spaces", space, "links"), change, &out)
}
