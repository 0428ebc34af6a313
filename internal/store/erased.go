package store

import (
	"errors"
	"fmt"

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
