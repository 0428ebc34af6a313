package query

import (
	"slices"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Releases lists an app's releases by version.
func (r *Reader) Releases(a App) ([]*document.Release, error) { return r.releasesOf(a.ID) }

// releasesOf reads an app's releases once: a list of builds or dynos asks for
// them again with each row.
func (r *Reader) releasesOf(app string) ([]*document.Release, error) {
	if list, ok := r.releases[app]; ok {
		return list, nil
	}
	list, err := store.Find[*document.Release](r.v, "app", app)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b *document.Release) int { return a.Version - b.Version })
	r.releases[app] = list
	return list, nil
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
		return zero, r.foreign(d)
	}
	return d, err
}

// notHere is the answer to a name or id that an app's list does not have. An id
// that exists elsewhere is a probe, if the caller may not see where.
func notHere[T document.Doc](r *Reader, identity, what string) error {
	d, err := store.Get[T](r.v, identity)
	if err == nil {
		return told(r.foreign(d), "Couldn't find that %s.", what)
	}
	if fault.Of(err) != fault.NotFound {
		return err
	}
	return fault.New(fault.NotFound, "Couldn't find that %s.", what)
}

// foreign is for what belongs to another app than the path says.
func (r *Reader) foreign(d document.Doc) error {
	there, err := known[*document.App](r, appOf(d))
	if err != nil {
		return err
	}
	if there == nil {
		return fault.New(fault.NotFound, "Couldn't find that %s.", d.Kind())
	}
	aim := appAim(there, authz.AppView)
	aim.Target = ledger.Target{Kind: string(d.Kind()), ID: d.Ident(), Name: there.Name}
	return r.elsewhere(aim)
}

func appOf(d document.Doc) string {
	switch d := d.(type) {
	case *document.Release:
		return d.App
	case *document.Build:
		return d.App
	case *document.Slug:
		return d.App
	case *document.Formation:
		return d.App
	case *document.Dyno:
		return d.App
	case *document.Domain:
		return d.App
	case *document.Endpoint:
		return d.App
	case *document.Collaborator:
		return d.App
	case *document.Attachment:
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
	list, err := r.releasesOf(b.App)
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
			out = append(out, x.Service+":"+x.Plan)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
