// Package remote carries the engine's contract over a unix socket: Serve gives
// a driver to other processes, Dial is that driver on their side.
//
// Values travel as JSON over HTTP/1.1; archives and logs as bodies, so that
// they need no memory; sessions and connections over the upgraded connection.
// Faults keep their kind. Only processes of the given user ids are answered;
// the kernel says who they are.
//
// internal/engine serves, internal/server dials.
package remote

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/strongroom/strongroom/internal/fault"
)

// maxBody bounds a request's JSON. Routes with certificates are the largest.
const maxBody = 16 << 20

// upgrade is the protocol that sessions and connections switch to.
const upgrade = "strongroom-stream"

// faultTrailer carries an error that came after a body had begun.
const faultTrailer = "Strongroom-Fault"

// wireError is an error on its way. Cause is for the log of the other side.
type wireError struct {
	Kind    fault.Kind `json:"kind,omitempty"`
	Message string     `json:"message"`
	Cause   string     `json:"cause,omitempty"`
}

func toWire(err error) *wireError {
	if err == nil {
		return nil
	}
	var f *fault.Error
	if !errors.As(err, &f) {
		return &wireError{Message: err.Error()}
	}
	w := &wireError{Kind: f.Kind, Message: f.Message}
	if f.Err != nil {
		w.Cause = f.Err.Error()
	}
	return w
}

func (w *wireError) err() error {
	switch {
	case w == nil:
		return nil
	case w.Kind == "":
		return errors.New("engine: " + w.Message)
	case w.Cause == "":
		return fault.New(w.Kind, "%s", w.Message)
	}
	return fault.Wrap(w.Kind, errors.New(w.Cause), "%s", w.Message)
}

// status is the HTTP status that goes with an error; it only helps whoever
// looks at the socket, the body is what counts.
func status(err error) int {
	switch fault.Of(err) {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// none is an empty request or answer.
type none struct{}

// The bodies of calls that take more than one value of package driver.
type (
	byID struct {
		ID string `json:"id"`
	}
	surveyCall struct {
		Area string `json:"area"`
	}
	dialCall struct {
		Formation string `json:"formation"`
		Port      int    `json:"port"`
	}
	imported struct {
		Digest string `json:"digest"`
	}
	outcome struct {
		Code      int        `json:"code"`
		OOMKilled bool       `json:"oom_killed"`
		Err       *wireError `json:"err,omitempty"`
	}
)

func trailer(err error) string {
	b, _ := json.Marshal(toWire(err)) // strings marshal
	return string(b)
}

// ctxErr prefers the caller's own end over what it caused.
func ctxErr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
