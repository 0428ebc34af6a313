// Package query answers reads: what an account may see of the state, by name or
// by id, and nothing else.
//
// Invariants: what the caller may not see is reported as not found, in the same
// words as what does not exist; every such refusal is a *Refusal, which the
// edges have recorded (Refusal.Command). A read of something sensitive (config
// values, credentials, logs, recordings) is a command, not a query.
//
// internal/api and the console call it.
package query

import (
	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// Reader answers one caller's reads against one view. It remembers what it
// looked up, so it must not outlive the view. Not for concurrent use.
type Reader struct {
	v     store.View
	who   authz.Subject
	roles map[string][]string // by team
	docs  map[document.Kind]map[string]document.Doc

	releases map[string][]*document.Release // by app
}

// New returns a reader for the caller.
func New(v store.View, who authz.Subject) *Reader {
	return &Reader{v: v, who: who, roles: map[string][]string{}, docs: map[document.Kind]map[string]document.Doc{}, releases: map[string][]*document.Release{}}
}

// View is what the reader reads.
func (r *Reader) View() store.View { return r.v }

// Roles lists what the caller is in the team.
func (r *Reader) Roles(team string) ([]string, error) {
	if have, ok := r.roles[team]; ok {
		return have, nil
	}
	roles, err := authz.RolesOf(r.v, r.who.Account, team)
	if err != nil {
		return nil, err
	}
	r.roles[team] = roles
	return roles, nil
}

// may tells whether the caller has the permission.
func (r *Reader) may(need authz.Permission, on authz.Resource) (bool, error) {
	roles, err := r.Roles(on.Team)
	if err != nil {
		return false, err
	}
	return authz.Allowed(r.v, r.who, roles, need, on)
}

// known gets a document that others refer to. One that is gone is nil, not an
// error: an app's owner may have left.
func known[T document.Doc](r *Reader, id string) (T, error) {
	var zero T
	kind := zero.Kind()
	if r.docs[kind] == nil {
		r.docs[kind] = map[string]document.Doc{}
	}
	if d, ok := r.docs[kind][id]; ok {
		t, _ := d.(T)
		return t, nil
	}
	d, err := store.Get[T](r.v, id)
	if fault.Of(err) == fault.NotFound {
		r.docs[kind][id] = nil
		return zero, nil
	}
	if err != nil {
		return zero, err
	}
	r.docs[kind][id] = d
	return d, nil
}

// named finds a document by id or by its name key.
func named[T document.Doc](v store.View, identity string) (T, error) {
	d, err := store.Get[T](v, identity)
	if fault.Of(err) != fault.NotFound {
		return d, err
	}
	return store.One[T](v, "name", identity)
}
