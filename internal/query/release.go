package query

import (
	"slices"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// Releases lists an app's releases by version.
func (r *Reader) Releases(a App) ([]*document.Release, error) {
	list, err := store.Find[*document.Release](r.v, "app", a.ID)
	slices.SortFunc(list, func(a, b *document.Release) int { return a.Version - b.Version })
	return list, err
}

// Release finds a release by id or version ("3" or "v3").
func (r *Reader) Release(a App, identity string) (*document.Release, error) {
	if n, err := strconv.Atoi(strings.TrimPrefix(identity, "v")); err == nil {
		return store.One[*document.Release](r.v, "app+version", a.ID+"+"+strconv.Itoa(n))
	}
	return within[*document.Release](r, a, identity)
}

// within gets a document by id if it belongs to the app.
func within[T document.Doc](r *Reader, a App, id string) (T, error) {
	d, err := store.Get[T](r.v, id)
	if err == nil && appOf(d) != a.ID {
		var zero T
		return zero, fault.New(fault.NotFound, "Couldn't find that %s.", zero.Kind())
	}
	return d, err
}

func appOf(d document.Doc) string {
	switch d := d.(type) {
	case *document.Release:
		return d.App
	case *document.Build:
		return d.App
	case *document.Slug:
		return d.App
	}
	return ""
}

// Builds lists an app's builds, oldest first.
func (r *Reader) Builds(a App) ([]*document.Build, error) {
	return store.Find[*document.Build](r.v, "app", a.ID)
}

// Build finds a build by id.
func (r *Reader) Build(a App, id string) (*document.Build, error) {
	return within[*document.Build](r, a, id)
}

// Released is the id of the release that a build became, or "".
func (r *Reader) Released(b *document.Build) (string, error) {
	if b.Slug == "" {
		return "", nil
	}
	list, err := store.Find[*document.Release](r.v, "app", b.App)
	if err != nil {
		return "", err
	}
	for _, x := range list {
		if x.Slug == b.Slug {
			return x.ID, nil
		}
	}
	return "", nil
}

// Slug finds a slug by id.
func (r *Reader) Slug(a App, id string) (*document.Slug, error) {
	return within[*document.Slug](r, a, id)
}

// Plans lists the plans of the add-ons attached to an app, by name.
func (r *Reader) Plans(a App) ([]string, error) {
	list, err := store.Find[*document.Attachment](r.v, "app", a.ID)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, at := range list {
		x, err := known[*document.Addon](r, at.Addon)
		if err != nil {
			return nil, err
		}
		if x != nil {
			out = append(out, x.Plan)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
