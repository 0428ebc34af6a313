package past

import (
	"context"
	"slices"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// memory is a past state that remembers all documents of some kinds: of the past
// nothing is indexed, and what is asked of every account would read them all each
// time. What is lost of them is not among them, but apart.
type memory struct {
	store.View
	kinds map[document.Kind]*shelf
	lost  []Document
}

// shelf holds the documents of one kind, by id and by key.
type shelf struct {
	byID  map[string]document.Doc
	byKey map[document.Key][]document.Doc
}

// remembering runs fn on the state at a moment, with the documents of those kinds
// in memory.
func (r *Reader) remembering(ctx context.Context, m Moment, kinds []document.Kind, fn func(*memory) error) error {
	skeletons := map[document.Kind][]store.Change{}
	for _, kind := range kinds {
		list, err := r.Store.Changed(ctx, kind, m.Size)
		if err != nil {
			return err
		}
		skeletons[kind] = list
	}
	return r.Store.At(ctx, m.Size, func(v store.View) error {
		known := &memory{View: v, kinds: map[document.Kind]*shelf{}}
		for _, kind := range kinds {
			if err := known.read(kind, skeletons[kind]); err != nil {
				return err
			}
		}
		return fn(known)
	})
}

func (m *memory) read(kind document.Kind, list []store.Change) error {
	s := &shelf{map[string]document.Doc{}, map[document.Key][]document.Doc{}}
	for _, c := range list {
		d, was, err := documentAt(m.View, kind, c)
		switch {
		case err != nil:
			return err
		case !was:
			continue
		case d.Doc == nil:
			m.lost = append(m.lost, d)
			continue
		}
		s.byID[c.ID] = d.Doc
		for _, k := range d.Doc.Keys() {
			s.byKey[k] = append(s.byKey[k], d.Doc)
		}
	}
	m.kinds[kind] = s
	return nil
}

// Get implements store.View.
func (m *memory) Get(kind document.Kind, id string) (document.Doc, error) {
	if s := m.kinds[kind]; s != nil {
		return s.byID[id], nil
	}
	return m.View.Get(kind, id)
}

// Find implements store.View.
func (m *memory) Find(kind document.Kind, key, value string) ([]document.Doc, error) {
	if s := m.kinds[kind]; s != nil {
		return slices.Clone(s.byKey[document.Key{Name: key, Value: value}]), nil
	}
	return m.View.Find(kind, key, value)
}
