package past

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// Sight are the scopes whose past somebody is told.
type Sight struct {
	open map[string]bool
	gone map[string]ended // that there are no more
}

// ended is a space as it last was.
type ended struct {
	*document.Space
	seq int64 // of the entry that took it away
}

// NewSight adds to the scopes whose evidence the caller reads now the spaces that
// their teams once had: who answers for a team's evidence answers for what the
// team has destroyed.
func NewSight(ctx context.Context, st store.Store, reads map[string]bool) (Sight, error) {
	s := Sight{open: maps.Clone(reads), gone: map[string]ended{}}
	gone, err := destroyed(ctx, st)
	if err != nil {
		return s, err
	}
	for _, c := range gone {
		space, err := store.LastKnown[*document.Space](ctx, st, c.ID)
		if err != nil {
			return s, err
		}
		if space != nil { // otherwise nobody knows any more whose it was
			s.gone[c.ID], s.open[c.ID] = ended{Space: space, seq: c.Seq}, s.open[space.Team]
		}
	}
	return s, nil
}

// destroyed lists the spaces that there are no more, by the change that took each
// away.
func destroyed(ctx context.Context, st store.Store) ([]store.Change, error) {
	head, err := st.Head(ctx)
	if err != nil {
		return nil, err
	}
	list, err := st.Changed(ctx, document.KindSpace, head.Size)
	if err != nil {
		return nil, err
	}
	err = st.At(ctx, head.Size, func(v store.View) (err error) {
		list = slices.DeleteFunc(list, func(c store.Change) bool {
			d, failed := v.Get(document.KindSpace, c.ID)
			err = errors.Join(err, failed)
			return d != nil
		})
		return err
	})
	return list, err
}

// Only narrows the sight to a space that there is no more, by name or id; false
// if there was none that it includes.
func (s Sight) Only(identity string) (Sight, bool) {
	one := Sight{open: map[string]bool{}, gone: s.gone}
	for id, space := range s.gone {
		if s.open[id] && (id == identity || space.Name == identity) {
			one.open[id] = true
		}
	}
	return one, len(one.open) > 0
}

// Last is the id of the space that there is no more and that had this name or id,
// "" if the sight includes none; of several of a name, the one that ended last.
func (s Sight) Last(identity string) (id string) {
	one, _ := s.Only(identity)
	for x := range one.open {
		if id == "" || s.gone[x].seq > s.gone[id].seq {
			id = x
		}
	}
	return id
}

// sees tells whether the caller is told of a document.
func (s Sight) sees(d Document) bool { return s.open[d.Scope] }

// Hidden is a document that there was and that the caller is not told of. It
// unwraps to what they are told: that there was none.
type Hidden struct {
	Kind  document.Kind
	ID    string
	Scope string
	Team  string // of the scope, if that is a space that there is no more
	fault *fault.Error
}

func (h *Hidden) Error() string { return h.fault.Error() }

func (h *Hidden) Unwrap() error { return h.fault }

func (s Sight) hidden(d Document) error {
	h := &Hidden{Kind: d.Kind, ID: d.ID, Scope: d.Scope, fault: nothing(d.Kind)}
	if space, gone := s.gone[h.Scope]; gone {
		h.Team = space.Team
	}
	return h
}

func nothing(kind document.Kind) *fault.Error {
	return fault.New(fault.NotFound, "Couldn't find that %s.", kind)
}
