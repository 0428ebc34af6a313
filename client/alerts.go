package client

import (
	"context"
	"net/http"
	"time"
)

// Alert is where findings are sent to as they change.
type Alert struct {
	ID          string     `json:"id"`
	Channel     string     `json:"channel"`     // webhook or email
	To          string     `json:"to"`          // of a webhook the host alone
	Fingerprint string     `json:"fingerprint"` // first digits of the SHA-256 of a webhook's whole address
	Severity    string     `json:"severity"`    // the least
	Scope       string     `json:"scope"`       // a space or a team; "" = the installation's and all
	AddedBy     string     `json:"added_by"`
	CreatedAt   time.Time  `json:"created_at"`
	State       string     `json:"state"` // untried, delivered or failing
	Since       time.Time  `json:"since"`
	Error       *string    `json:"error"`
	TestedAt    *time.Time `json:"tested_at"`
}

// NewAlert is a channel to be added.
type NewAlert struct {
	Channel  string `json:"channel"`
	To       string `json:"to"`
	Severity string `json:"severity,omitempty"`
	Team     string `json:"team,omitempty"`
	Space    string `json:"space,omitempty"`
	Secret   string `json:"secret,omitempty"` // of a webhook
}

// Alerts lists where findings are sent to.
func (c *Client) Alerts(ctx context.Context) ([]Alert, error) {
	return List[Alert](ctx, c, "/strongroom/alerts")
}

// AddAlert adds a channel.
func (c *Client) AddAlert(ctx context.Context, in NewAlert) (Alert, error) {
	var a Alert
	return a, c.Do(ctx, http.MethodPost, "/strongroom/alerts", in, &a)
}

// RemoveAlert ends a channel and gives it as it was.
func (c *Client) RemoveAlert(ctx context.Context, id string) (Alert, error) {
	var a Alert
	return a, c.Do(ctx, http.MethodDelete, Path("strongroom", "alerts", id), nil, &a)
}

// TestAlert asks for a message that says that it is a test.
func (c *Client) TestAlert(ctx context.Context, id string) (Alert, error) {
	var a Alert
	return a, c.Do(ctx, http.MethodPost, Path("strongroom", "alerts", id, "actions", "test"), nil, &a)
}
