package spaces

import (
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// MaxLinks is how many links between its apps a space may have.
const MaxLinks = 500

// Modes of the apps of a space towards each other.
const (
	LinksAny    = "any"    // every app reaches every other
	LinksListed = "listed" // only where a link says so
)

// AppPair names two apps of a space, by name or id.
type AppPair struct{ From, To string }

// SetLinks changes which apps of a space reach each other.
type SetLinks struct {
	Identity    string
	Mode        string // any or listed; empty: as it is
	Add, Remove []AppPair
	Space       *document.Space // the result

	add, remove []document.AppLink
}

// Action is space.links.
func (*SetLinks) Action() string { return "space.links" }

// Aim finds the apps.
func (c *SetLinks) Aim(v store.View) (_ control.Aim, err error) {
	if len(c.Add) > MaxLinks || len(c.Remove) > MaxLinks {
		return control.Aim{}, tooManyLinks()
	}
	if c.Mode != "" && c.Mode != LinksAny && c.Mode != LinksListed {
		return control.Aim{}, fault.New(fault.Invalid, "Apps of a space reach any other, or those that are listed, not %.32q.", c.Mode)
	}
	if c.Space, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	if c.add, err = c.links(v, c.Add); err != nil {
		return control.Aim{}, err
	}
	if c.remove, err = c.links(v, c.Remove); err != nil {
		return control.Aim{}, err
	}
	return Manage(c.Space), nil
}

func tooManyLinks() error {
	return fault.New(fault.Invalid, "A space has at most %d links between its apps.", MaxLinks)
}

// links are those of apps of the space: what lies elsewhere is not found.
func (c *SetLinks) links(v store.View, in []AppPair) ([]document.AppLink, error) {
	out := make([]document.AppLink, 0, len(in))
	for _, p := range in {
		from, err := c.app(v, p.From)
		if err != nil {
			return nil, err
		}
		to, err := c.app(v, p.To)
		if err != nil {
			return nil, err
		}
		if from == to {
			return nil, fault.New(fault.Invalid, "The app %s reaches itself without a link.", p.From)
		}
		out = append(out, document.AppLink{From: from, To: to})
	}
	return out, nil
}

func (c *SetLinks) app(v store.View, identity string) (string, error) {
	list, err := store.Find[*document.App](v, "space", c.Space.ID)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(list, func(a *document.App) bool { return a.ID == identity || a.Name == identity })
	if i < 0 {
		return "", fault.New(fault.Invalid, "The space %s has no app %.64q.", c.Space.Name, identity)
	}
	return list[i].ID, nil
}

// Decide refuses what is there already or is not there, and forgets links of
// apps that are gone.
func (c *SetLinks) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	links, err := c.present(v)
	if err != nil {
		return err
	}
	for _, l := range c.remove {
		at := slices.IndexFunc(links, l.Same)
		if at < 0 {
			return fault.New(fault.NotFound, "There is no such link between these apps.")
		}
		links = slices.Delete(links, at, at+1)
	}
	for _, l := range c.add {
		if slices.ContainsFunc(links, l.Same) {
			return fault.New(fault.Conflict, "There is such a link between these apps already.")
		}
		l.Reason, l.By, l.At = by.Reason, by.Actor.Email, now
		links = append(links, l)
	}
	if len(links) > MaxLinks {
		return tooManyLinks()
	}
	c.Space.Links = links
	if c.Mode != "" {
		c.Space.Linked = c.Mode == LinksListed
	}
	d.Put(c.Space)
	return nil
}

func (c *SetLinks) present(v store.View) ([]document.AppLink, error) {
	list, err := store.Find[*document.App](v, "space", c.Space.ID)
	there := map[string]bool{}
	for _, a := range list {
		there[a.ID] = true
	}
	return slices.DeleteFunc(slices.Clone(c.Space.Links), func(l document.AppLink) bool { return !there[l.From] || !there[l.To] }), err
}
