// Package fault gives errors a kind and a message that is safe to show.
//
// The core returns faults; the edges map them: api to a Heroku error id and an
// HTTP status, cli to an exit code, console to a page. An error without a kind
// is internal: it is logged whole and the caller is shown a request id only.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what went wrong in terms that every edge can map.
type Kind string

// The kinds. The empty kind is an internal error.
const (
	Invalid         Kind = "invalid"         // the request is malformed or breaks a rule of form
	Unauthenticated Kind = "unauthenticated" // who is calling is not known
	Forbidden       Kind = "forbidden"       // the caller is known and may not
	NotFound        Kind = "not_found"       // it does not exist, or not for this caller
	Conflict        Kind = "conflict"        // it does not fit the current state
	TooLarge        Kind = "too_large"       // over a stated bound
	TooMany         Kind = "too_many"        // over a rate
	Unavailable     Kind = "unavailable"     // cannot be done now: the ledger or the engine is not there
)

// Error is a fault: Kind and Message go to the caller, Err to the log.
type Error struct {
	Kind    Kind
	Message string // a sentence that says what to do, without secrets
	Err     error  // the cause; never shown
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// New returns a fault of the kind with a formatted message. A trailing error
// in args is not special: use Wrap to keep a cause.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns a fault that keeps err as its cause.
func Wrap(kind Kind, err error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Err: err}
}

// Of returns the kind of err, or "" if it is an internal error.
func Of(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// Message returns what may be shown of err, or "" if it is an internal error.
func Message(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Message
	}
	return ""
}
