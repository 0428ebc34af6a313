package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
)

// Lost is a document of the past that nobody knows any more: the body that held
// it, or its end, was erased when its retention ended.
type Lost struct {
	Kind  document.Kind
	ID    string
	Scope string // of the entry that held it, and so its own
	Rev   int64
	Seq   int64 // of that entry
}

// Erased says which documents an answer about the past lacks. It unwraps to what
// somebody is told who cannot do without them.
type Erased struct{ Lost []Lost }

func (e *Erased) Error() string { return e.Unwrap().Error() }

// Unwrap gives a conflict that names the first.
func (e *Erased) Unwrap() error {
	l := e.Lost[0]
	more := ""
	if n := len(e.Lost) - 1; n > 0 {
		more = fmt.Sprintf(" So were %d others that this needs.", n)
	}
	return fault.New(fault.Conflict, "The body of entry %d, which held %s %s, was erased when its retention ended.%s", l.Seq, l.Kind, l.ID, more)
}

// Surviving is a view of the past for those who can do without what was erased:
// they are told of each document that they would have been given.
func Surviving(v View, lost func(Lost)) View { return surviving{v, lost} }

type surviving struct {
	View
	lost func(Lost)
}

// Get implements View.
func (s surviving) Get(kind document.Kind, id string) (document.Doc, error) {
	d, err := s.View.Get(kind, id)
	return d, s.tell(err)
}

// Find implements View.
func (s surviving) Find(kind document.Kind, key, value string) ([]document.Doc, error) {
	list, err := s.View.Find(kind, key, value)
	return list, s.tell(err)
}

func (s surviving) tell(err error) error {
	var gone *Erased
	if !errors.As(err, &gone) {
		return err
	}
	for _, l := range gone.Lost {
		s.lost(l)
	}
	return nil
}

// LastKnown gives the newest version of a document that is neither its end nor
// erased; nil if there is none.
func LastKnown[T document.Doc](ctx context.Context, st Store, id string) (doc T, err error) {
	list, err := st.History(ctx, doc.Kind(), id)
	if err != nil {
		return doc, err
	}
	for _, seq := range slices.Backward(list) {
		err := st.At(ctx, seq+1, func(v View) (err error) {
			doc, err = Get[T](v, id)
			return err
		})
		if gone := (*Erased)(nil); errors.As(err, &gone) || fault.Of(err) == fault.NotFound {
			continue
		}
		return doc, err
	}
	return doc, nil
}
