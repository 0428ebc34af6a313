// Package past answers what was: the state at a moment, what changed between
// two, and who could do what, all from the ledger.
//
// Invariants: the past does not change, so a question has the same answer for
// ever, but for what is erased of it: then the answer says of exactly that that it
// is not known, since when and why, and gives the rest; an answer is made of what
// the caller's Sight names and of nothing else; a
// page of documents looks at a bounded number of them, however many there are, and
// only who could do what reads all accounts; what was allowed is what
// internal/authz says of the state of that moment. Sealed values are in no
// document, only their names.
//
// internal/api calls it.
package past

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Reader answers one caller's questions.
type Reader struct {
	Store store.Store
	Sight Sight
}

// Moment is a time and how many entries there were before it.
type Moment struct {
	At   time.Time
	Size int64
}

// At finds a moment that the ledger can tell of. An entry of that very time comes
// after it, as it does at the end of a pack's period.
func At(ctx context.Context, st store.Store, t, now time.Time) (Moment, error) {
	if t.After(now) {
		return Moment{}, fault.New(fault.Invalid, "%s lies in the future.", t.Format(time.RFC3339))
	}
	size, err := st.SizeAt(ctx, t)
	if err != nil || size > 0 {
		return Moment{t, size}, err
	}
	first, err := st.Entry(ctx, 0)
	if err != nil {
		return Moment{}, err
	}
	return Moment{}, fault.New(fault.Invalid, "Before %s the ledger was empty: its first entry is of %s.",
		t.Format(time.RFC3339), first.Header.Time.Format(time.RFC3339Nano))
}

// Page is the part of a list that is asked for, by key.
type Page struct {
	From, To string // "" = open
	After    bool   // From itself is left out
	Max      int
}

// before and beyond tell on which side of the page a key lies.
func (p Page) before(key string) bool { return key < p.From || p.After && key == p.From }
func (p Page) beyond(key string) bool { return p.To != "" && key > p.To }

// Part is a page's answer. Next is the last key that was looked at, "" at the
// end of the list. There may be more after a part without any items.
type Part[T any] struct {
	Items []T
	Next  string
}

// maxLooked bounds how many documents are looked at for a part.
const maxLooked = 5000

// Kind finds a kind of document by its name.
func Kind(name string) (document.Kind, error) {
	list := kinds()
	if slices.Contains(list, document.Kind(name)) {
		return document.Kind(name), nil
	}
	return "", fault.New(fault.NotFound, "There is no such kind as %.32q. Kinds are %v.", name, list)
}

func kinds() []document.Kind { return slices.Sorted(slices.Values(document.Kinds())) }

// Origin is an entry that made something what it is.
type Origin struct {
	Seq    int64
	Time   time.Time
	Action string
	By     string // address, or what kind of actor it was
	Reason string
	// Erased is set where it may have been an earlier entry, whose body was erased;
	// or this one, if it is the same.
	Erased *Erasure
}

func originOf(rec store.Record, body *ledger.Body) Origin {
	return Origin{
		Seq: rec.Header.Seq, Time: rec.Header.Time, Action: body.Action,
		By: cmp.Or(body.Actor.Email, string(body.Actor.Kind)), Reason: body.Reason,
	}
}

// erasedOrigin is what is left of an entry.
func erasedOrigin(e *Erasure) Origin {
	return Origin{Seq: e.Seq, Time: e.Since, Action: e.Action, By: e.Actor, Erased: e}
}

// origin is the entry since which a document was as holds wants it, among the
// first size entries.
func (r *Reader) origin(ctx context.Context, kind document.Kind, id string, size int64, holds func(document.Doc) bool) (Origin, error) {
	var found Origin
	list, err := r.Store.History(ctx, kind, id)
	if err != nil {
		return found, err
	}
	for _, seq := range slices.Backward(list) {
		if seq >= size {
			continue
		}
		rec, err := r.Store.Entry(ctx, seq)
		if err != nil {
			return found, err
		}
		if rec.Body == nil {
			erased, err := r.erasures(ctx, map[int64]bool{seq: true})
			found.Erased = erased[seq]
			return found, err
		}
		doc, body, err := docIn(rec, kind, id)
		if err != nil || doc == nil || !holds(doc) {
			return found, err
		}
		found = originOf(rec, body)
	}
	return found, nil
}

// docIn takes a document out of the entry that changed it: nil if it was deleted
// there, or if the body was erased when its retention ended.
func docIn(rec store.Record, kind document.Kind, id string) (document.Doc, *ledger.Body, error) {
	if rec.Body == nil {
		return nil, nil, nil
	}
	body, err := ledger.ParseBody(rec.Body)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range body.Changes {
		if c.Kind == string(kind) && c.ID == id && !c.Deleted() {
			doc, err := document.Decode(kind, c.Doc)
			return doc, body, err
		}
	}
	return nil, body, nil
}
