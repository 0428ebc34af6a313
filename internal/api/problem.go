package api

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/strongroom/strongroom/internal/fault"
)

// problem is an error as a client sees it.
type problem struct {
	Status   int    `json:"-"`
	ID       string `json:"id"`
	Message  string `json:"message"`
	URL      string `json:"url,omitempty"`
	Resource string `json:"resource,omitempty"` // the CLI's log-out reads it
}

func (p *problem) Error() string { return p.ID + ": " + p.Message }

func problemf(status int, id, format string, args ...any) *problem {
	return &problem{Status: status, ID: id, Message: fmt.Sprintf(format, args...)}
}

// badRequest is for what cannot be read at all; what can be read and makes no
// sense is fault.Invalid.
func badRequest(format string, args ...any) *problem {
	return problemf(http.StatusBadRequest, "bad_request", format, args...)
}

// statuses of the kinds of faults, with Heroku's ids.
var statuses = map[fault.Kind]struct {
	status int
	id     string
}{
	fault.Invalid:         {http.StatusUnprocessableEntity, "invalid_params"},
	fault.Unauthenticated: {http.StatusUnauthorized, "unauthorized"},
	fault.Forbidden:       {http.StatusForbidden, "forbidden"},
	fault.NotFound:        {http.StatusNotFound, "not_found"},
	fault.Conflict:        {http.StatusConflict, "conflict"},
	fault.TooLarge:        {http.StatusRequestEntityTooLarge, "too_large"},
	fault.TooMany:         {http.StatusTooManyRequests, "rate_limit"},
	fault.Unavailable:     {http.StatusServiceUnavailable, "unavailable"},
}

// explain turns any error into a problem. What has no kind is internal: the
// client is told the request id, under which the log has the rest.
func explain(err error, requestID string) (p *problem, internal bool) {
	if errors.As(err, &p) {
		return p, false
	}
	if s, ok := statuses[fault.Of(err)]; ok {
		return &problem{Status: s.status, ID: s.id, Message: fault.Message(err)}, false
	}
	return problemf(http.StatusInternalServerError, "internal_server_error",
		"Internal server error. The operator finds it in the server's log under request %s.", requestID), true
}

// missing says that a part of the program is not there.
func missing(what string) error {
	return fault.New(fault.Unavailable, "%s is not available on this server.", what)
}
