// Package client is the Go client of a Strongroom server's API: Heroku's
// Platform API v3 and Strongroom's own resources beside it. The command line
// uses it; others may. It imports nothing of the program.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// Config of a Client.
type Config struct {
	URL    string // of the server, without a path
	Token  string
	CAFile string // PEM; "" = the system's authorities
	// Reason goes on record with every change that this client makes.
	Reason string
}

// Client talks to one server as one account. Safe for concurrent use.
type Client struct {
	base   string
	token  string
	reason string
	http   *http.Client
}

// Error is an answer that refuses: Heroku's error body with its HTTP status.
type Error struct {
	Status  int    `json:"-"`
	ID      string `json:"id"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

// New returns a client. It connects with the first call.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is not the https URL of a server", c.URL)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("the server's CA: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the server's CA: %s holds no certificate", c.CAFile)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &Client{base: "https://" + u.Host, token: c.Token, reason: c.Reason, http: &http.Client{Transport: t}}, nil
}

// Do sends in as JSON (nil: no body) and decodes the answer into out (nil: it
// is dropped). Refusals are *Error.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	_, err := c.do(ctx, method, path, "", in, out)
	return err
}

// do is Do for a part of a list; next is the Range header of the part after it.
func (c *Client) do(ctx context.Context, method, path, part string, in, out any) (next string, err error) {
	resp, err := c.send(ctx, method, path, part, in)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err := io.Copy(io.Discard, resp.Body)
		return "", err
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return "", fmt.Errorf("the server's answer: %w", err)
	}
	return resp.Header.Get("Next-Range"), nil
}

// maxParts bounds what List reads, should a server never come to an end.
const maxParts = 10_000

// List gets a whole list, however many parts the server gives it in.
func List[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	var all []T
	part := ""
	for range maxParts {
		var list []T
		next, err := c.do(ctx, http.MethodGet, path, part, nil, &list)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
		if next == "" {
			return all, nil
		}
		part = next
	}
	return nil, fmt.Errorf("the server's list has no end")
}

// Stream is Do for an answer that is not JSON. The caller closes the reader;
// it fails if the server broke off.
func (c *Client) Stream(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	resp, err := c.send(ctx, method, path, "", in)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func (c *Client) send(ctx context.Context, method, path, part string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Accept", "application/vnd.heroku+json; version=3")
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("User-Agent", "strongroom")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if part != "" {
		req.Header.Set("Range", part)
	}
	if c.reason != "" {
		req.Header.Set("Strongroom-Reason", c.reason)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(c.base, err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refusal(resp)
}

// unreachable drops the request from the error: its path may hold names.
func unreachable(base string, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("the server at %s does not answer: %w", base, err)
}

func refusal(resp *http.Response) error {
	e := &Error{Status: resp.StatusCode}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || json.Unmarshal(b, e) != nil || e.Message == "" {
		e.Message = "the server answered " + resp.Status
	}
	return e
}

// Path joins parts of a path, escaping what comes from users.
func Path(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(p))
	}
	return b.String()
}
