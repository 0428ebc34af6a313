package edge

import (
	"context"
	"net/http"

	"github.com/strongroom/strongroom/internal/edge/control"
)

// Client drives a running edge through its control socket. The engine uses it.
type Client struct {
	control *control.Client
}

// NewClient returns a client of the edge whose control socket is at path.
// Nothing is connected until the first call.
func NewClient(path string) *Client {
	return &Client{control: control.NewClient(path)}
}

// Push replaces the edge's table. A table with a fault in it is refused as a
// whole (fault.Invalid) and the one before stays in force.
func (c *Client) Push(ctx context.Context, table Table) error {
	return c.control.Do(ctx, http.MethodPut, "/table", table, nil)
}

// Status returns the digest of the table in force and the counters.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var status Status
	err := c.control.Do(ctx, http.MethodGet, "/status", nil, &status)
	return status, err
}

// Close drops idle connections to the control socket.
func (c *Client) Close() { c.control.Close() }
