package router

import (
	"context"
	"net/http"

	"github.com/strongroom/strongroom/internal/edge/control"
)

// Client drives a running router through its control socket. The engine uses
// it.
type Client struct {
	control *control.Client
}

// NewClient returns a client of the router whose control socket is at path.
// Nothing is connected until the first call.
func NewClient(path string) *Client {
	return &Client{control: control.NewClient(path)}
}

// Push replaces the router's snapshot. A snapshot with a fault in it is refused
// as a whole (fault.Invalid) and the one before stays in force.
func (c *Client) Push(ctx context.Context, snapshot Snapshot) error {
	return c.control.Do(ctx, http.MethodPut, "/snapshot", snapshot, nil)
}

// Status returns the digest of the snapshot in force, the counters and what
// each backend is doing.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var status Status
	err := c.control.Do(ctx, http.MethodGet, "/status", nil, &status)
	return status, err
}

// Close drops idle connections to the control socket.
func (c *Client) Close() { c.control.Close() }
