package spool

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// Client talks to a spool process. It is safe for concurrent use, and connects
// anew by itself when spool was restarted.
type Client struct {
	http *http.Client
}

// Dial returns a client of the spool at the unix socket. It does not connect yet.
func Dial(socket string) *Client {
	dialer := &net.Dialer{}
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
		MaxIdleConns:    8,
		IdleConnTimeout: 10 * time.Second,
	}}}
}

// Open registers the stream: spool reads its FIFO from now on, also after its
// own restart, until Close. Opening an id again with the same values is
// harmless; with others it is a Conflict.
func (c *Client) Open(ctx context.Context, stream Stream) error {
	return c.send(ctx, http.MethodPut, "/streams/"+url.PathEscape(stream.ID), stream)
}

// Close reads what is in the FIFO, then forgets the stream. An unknown id is
// not an error. When Close has returned, a query finds all lines of the stream.
func (c *Client) Close(ctx context.Context, id string) error {
	return c.send(ctx, http.MethodDelete, "/streams/"+url.PathEscape(id), nil)
}

// Write adds a line of the platform's own.
func (c *Client) Write(ctx context.Context, line Line) error {
	return c.send(ctx, http.MethodPost, "/lines", line)
}

// Logs streams lines as newline-delimited JSON driver.LogLine values, oldest
// first; with Follow until ctx ends or the reader is closed.
func (c *Client) Logs(ctx context.Context, query driver.LogQuery) (io.ReadCloser, error) {
	q, err := json.Marshal(query)
	if err != nil {
		return nil, err
	}
	resp, err := c.do(ctx, http.MethodGet, "/logs?query="+url.QueryEscape(string(q)), nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Streams returns the registered streams, for the engine to compare with what it runs.
func (c *Client) Streams(ctx context.Context) ([]Stream, error) {
	resp, err := c.do(ctx, http.MethodGet, "/streams", nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var streams []Stream
	if err := json.NewDecoder(resp.Body).Decode(&streams); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the log spool's answer is malformed")
	}
	return streams, nil
}

// RemoveSpace deletes the logs of a space, whose streams are to be closed
// before. A space without logs is not an error.
func (c *Client) RemoveSpace(ctx context.Context, space string) error {
	return c.send(ctx, http.MethodDelete, "/logs?space="+url.QueryEscape(space), nil)
}

// CloseIdle closes connections that are not in use.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

func (c *Client) send(ctx context.Context, method, path string, body any) error {
	resp, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// do sends a request and turns anything but success into a fault.
func (c *Client) do(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://spool"+path, r)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the request to the log spool is malformed")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the log spool cannot be reached")
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, decodeFault(resp)
}

// problem is the body of an answer that is an error.
type problem struct {
	Kind    fault.Kind `json:"kind"`
	Message string     `json:"message"`
}

func decodeFault(resp *http.Response) error {
	var p problem
	err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&p)
	if err != nil || p.Kind == "" {
		return fault.New(fault.Unavailable, "the log spool answered %s", resp.Status)
	}
	return fault.New(p.Kind, "%s", p.Message)
}
