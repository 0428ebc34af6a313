package past

import (
	"context"
	"slices"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// memory is a past state that remembers all documents of some kinds: of the past
// nothing is indexed, and what is asked of every account would read them all each
// time.
type memory struct {
	store.View
	kinds map[document.Kind]*shelf
}

// shelf holds the documents of one kind, by id and by key.
type shelf struct {
	byID  map[string]document.Doc
	byKey map[document.Key][]document.Doc
}

// remembering runs fn on the state at a moment, with the documents of those kinds
// in memory.
func (r *Reader) remembering(ctx context.Context, m Moment, kinds []document.Kind, fn func(store.View) error) error {
	skeletons := map[document.Kind][]store.Change{}
	for _, kind := range kinds {
		list, err := r.Store.Changed(ctx, kind, m.Size)
		if err != nil {
			return err
		}
		skeletons[kind] = list
	}
	return r.Store.At(ctx, m.Size, func(v store.View) error {
		known := memory{v, map[document.Kind]*shelf{}}
		for kind, list := range skeletons {
			s, err := read(v, kind, list)
			if err != nil {
				return err
			}
			known.kinds[kind] = s
		}
		return fn(known)
	})
}

func read(v store.View, kind document.Kind, list []store.Change) (*shelf, error) {
	s := &shelf{map[string]document.Doc{}, map[document.Key][]document.Doc{}}
	for _, c := range list {
		d, err := v.Get(kind, c.ID)
		if err != nil {
			return nil, err
		}
		if d == nil {
			continue
		}
		s.byID[c.ID] = d
		for _, k := range d.Keys() {
			s.byKey[k] = append(s.byKey[k], d)
		}
	}
	return s, nil
}

// Get implements store.View.
func (m memory) Get(kind document.Kind, id string) (document.Doc, error) {
	if s := m.kinds[kind]; s != nil {
		return s.byID[id], nil
	}
	return m.View.Get(kind, id)
}

// Find implements store.View.
func (m memory) Find(kind document.Kind, key, value string) ([]document.Doc, error) {
	if s := m.kinds[kind]; s != nil {
		return slices.Clone(s.byKey[document.Key{Name: key, Value: value}]), nil
	}
	return m.View.Find(kind, key, value)
}
