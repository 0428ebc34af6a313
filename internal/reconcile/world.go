package reconcile

import (
	"context"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// world is the part of the state that the engine shall reflect, as of one seq.
type world struct {
	spaces      []*document.Space
	apps        map[string]*document.App
	formations  []*document.Formation
	current     map[string]*document.Release // by app
	addons      []*document.Addon
	attachments map[string][]*document.Attachment // by app
	domains     map[string][]*document.Domain     // by space
	endpoints   map[string]*document.Endpoint
	dynos       map[string][]*document.Dyno
	strangers   map[string][]*document.Stranger // by space
}

func readWorld(ctx context.Context, s store.Store) (*world, error) {
	w := &world{
		apps: map[string]*document.App{}, current: map[string]*document.Release{},
		attachments: map[string][]*document.Attachment{}, domains: map[string][]*document.Domain{},
		endpoints: map[string]*document.Endpoint{}, dynos: map[string][]*document.Dyno{},
		strangers: map[string][]*document.Stranger{},
	}
	return w, s.Read(ctx, w.read)
}

func (w *world) read(v store.View) (err error) {
	if w.spaces, err = store.Find[*document.Space](v, "all", ""); err != nil {
		return err
	}
	for _, s := range w.spaces {
		if w.strangers[s.ID], err = store.Find[*document.Stranger](v, "space", s.ID); err != nil {
			return err
		}
	}
	if w.formations, err = store.Find[*document.Formation](v, "all", ""); err != nil {
		return err
	}
	if w.addons, err = store.Find[*document.Addon](v, "all", ""); err != nil {
		return err
	}
	apps, err := store.Find[*document.App](v, "all", "")
	if err != nil {
		return err
	}
	for _, a := range apps {
		w.apps[a.ID] = a
		if err := w.readApp(v, a); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) readApp(v store.View, a *document.App) error {
	list, err := store.Find[*document.Release](v, "current", a.ID)
	if err != nil {
		return err
	}
	if len(list) > 0 {
		w.current[a.ID] = list[0]
	}
	if w.attachments[a.ID], err = store.Find[*document.Attachment](v, "app", a.ID); err != nil {
		return err
	}
	domains, err := store.Find[*document.Domain](v, "app", a.ID)
	if err != nil {
		return err
	}
	w.domains[a.Space] = append(w.domains[a.Space], domains...)
	endpoints, err := store.Find[*document.Endpoint](v, "app", a.ID)
	if err != nil {
		return err
	}
	for _, e := range endpoints {
		w.endpoints[e.ID] = e
	}
	w.dynos[a.ID], err = store.Find[*document.Dyno](v, "app", a.ID)
	return err
}
