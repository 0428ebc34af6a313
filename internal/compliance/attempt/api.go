package attempt

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/strongroom/strongroom/internal/secret"
)

// API answers requests, as the platform's own does.
type API interface {
	Do(ctx context.Context, r Request) (Answer, error)
}

// Request to the API.
type Request struct {
	Token        secret.Value
	Method, Path string
	Body         string // JSON, or ""
	Reason       string // for the ledger
}

// Answer of the API.
type Answer struct {
	Status  int
	Message string // of an error
}

// Client asks the API over HTTP.
type Client struct {
	URL  string
	HTTP *http.Client
}

// agent is what the ledger has of the client of attempts.
const agent = "strongroom-attempts"

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 10

// Do implements API.
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, r.Method, c.URL+r.Path, bytes.NewReader([]byte(r.Body)))
	if err != nil {
		return Answer{}, fmt.Errorf("ask the API: %w", err)
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + string(r.Token.Reveal()), "Accept": "application/vnd.heroku+json; version=3",
		"Content-Type": "application/json", "User-Agent": agent, "Strongroom-Reason": r.Reason,
	} {
		request.Header.Set(name, value)
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return Answer{}, fmt.Errorf("ask the API: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return Answer{}, fmt.Errorf("ask the API: %w", err)
	}
	var problem struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(body, &problem) // only errors have a message
	return Answer{response.StatusCode, problem.Message}, nil
}
