// Package view turns documents into the resources that people see: Heroku's,
// member for member as its published schema has them, and the few of our own.
//
// Everything here is a pure function of its arguments: no store, no HTTP, no
// clock. What a resource refers to (an app's space, a release's app) is given
// by the caller. internal/api answers with these values; the console, the CLI's
// --json and the evidence reports show the same ones.
//
// Invariant: no view holds a secret, except Authorization (once, at creation),
// ConfigVars and DatabaseCredential, whose callers recorded the read first.
package view

import (
	"time"

	"github.com/google/uuid"
)

// Site is what resources say about the installation itself.
type Site struct {
	API    string    // URL of the API without a trailing slash
	Git    string    // URL that git remotes begin with, without a trailing slash
	Region string    // name of the one region
	Since  time.Time // when the installation began: the age of what is built in
	// AppPort is the port that apps are reached on, 0 for that of https.
	AppPort int
}

// Ref names something by id and name.
type Ref struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Only names something by id alone.
type Only struct {
	ID string `json:"id"`
}

// User names an account.
type User struct {
	ID    string `json:"id"`
	Email string `json:"email"`
}

// userOf names whoever did something. The platform itself has no account: it
// gets an address that cannot exist.
func userOf(id, email string) User {
	if id == "" {
		return User{BuiltIn("account", email), email + "@strongroom.invalid"}
	}
	return User{id, email}
}

// Time is a moment as Heroku writes it: UTC, whole seconds.
type Time time.Time

// MarshalText writes RFC 3339.
func (t Time) MarshalText() ([]byte, error) {
	return []byte(t.String()), nil
}

// String writes RFC 3339.
func (t Time) String() string { return time.Time(t).UTC().Format(time.RFC3339) }

func maybe(t *time.Time) *Time {
	if t == nil {
		return nil
	}
	at := Time(*t)
	return &at
}

// text is nil for an empty string: what the schema calls null.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// namespace of the ids of what is built in and has no document.
var namespace = uuid.MustParse("6f7a1c3e-0d0b-5d2a-9b1e-73747267726d")

// BuiltIn gives the id of something that is built in (a stack, a plan): the
// same in every installation.
func BuiltIn(kind, name string) string {
	return uuid.NewSHA1(namespace, []byte(kind+"/"+name)).String()
}

func builtIn(kind, name string) Ref { return Ref{BuiltIn(kind, name), name} }

// generation is Heroku's name for the runtime whose behaviour apps get here.
func generation() Ref { return builtIn("generation", "cedar") }
