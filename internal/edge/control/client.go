package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

// maxAnswer bounds what a client reads of an answer.
const maxAnswer = 16 << 20

// Client calls a control interface over its unix socket.
type Client struct {
	http *http.Client
}

// NewClient returns a client of the control socket at path. Nothing is
// connected until the first call.
func NewClient(path string) *Client {
	var dialer net.Dialer
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		},
		MaxIdleConns:    2,
		IdleConnTimeout: 30 * time.Second,
	}}}
}

// Do sends body as JSON, unless it is nil, and decodes the answer into answer,
// unless that is nil. A refusal comes back as the fault that the other side
// returned; a process that cannot be reached is fault.Unavailable.
func (c *Client) Do(ctx context.Context, method, path string, body, answer any) error {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode control request: %w", err)
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://control"+path, content)
	if err != nil {
		return fmt.Errorf("make control request: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "the process cannot be reached on its control socket")
	}
	defer response.Body.Close()
	return decode(response, answer)
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// refusal is the body of every answer that is not a success.
type refusal struct {
	Kind    fault.Kind `json:"kind"`
	Message string     `json:"message"`
}

func decode(response *http.Response, answer any) error {
	content := io.LimitReader(response.Body, maxAnswer)
	if response.StatusCode >= 300 {
		var refused refusal
		if err := json.NewDecoder(content).Decode(&refused); err != nil || refused.Kind == "" {
			return fmt.Errorf("control socket answered %s", response.Status)
		}
		return fault.New(refused.Kind, "%s", refused.Message)
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(content).Decode(answer); err != nil {
		return fmt.Errorf("decode control answer: %w", err)
	}
	return nil
}
