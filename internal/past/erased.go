package past

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Erasure is why something is not known: the body of the entry that made it so
// was erased. Action, actor and outcome of that entry are what remains of it.
type Erasure struct {
	ledger.Erased
	Since  time.Time // of the entry whose body it was: since when nothing is known
	By     int64     // the entry that erased it
	At     time.Time
	Reason string
}

// eraseAction is the ledger's name for it.
const eraseAction = "body.erase"

// erasures finds the entries that erased some bodies. A body that is missing
// without one was taken away behind the platform's back.
func (r *Reader) erasures(ctx context.Context, seqs map[int64]bool) (map[int64]*Erasure, error) {
	out := map[int64]*Erasure{}
	if len(seqs) == 0 {
		return out, nil
	}
	first := slices.Min(slices.Collect(maps.Keys(seqs)))
	for q := (store.Query{Actions: []string{eraseAction}, Outcome: ledger.OK, FromSeq: first, Limit: 100}); ; {
		page, err := r.Store.Entries(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, rec := range page {
			if err := erasedBy(rec, seqs, out); err != nil {
				return nil, err
			}
		}
		if len(page) < q.Limit || len(out) == len(seqs) {
			break
		}
		q.FromSeq = page[len(page)-1].Header.Seq + 1
	}
	for seq := range seqs {
		rec, err := r.Store.Entry(ctx, seq)
		if err != nil {
			return nil, err
		}
		if out[seq] == nil {
			return nil, &store.Damage{Seq: seq, What: "its body is missing and no body.erase names it"}
		}
		out[seq].Since = rec.Header.Time
	}
	return out, nil
}

// erasedBy notes which of some bodies an entry erased.
func erasedBy(rec store.Record, seqs map[int64]bool, out map[int64]*Erasure) error {
	body, err := ledger.ParseBody(rec.Body)
	if err != nil {
		return &store.Damage{Seq: rec.Header.Seq, What: "its body cannot be read"}
	}
	for _, e := range body.Erased {
		if seqs[e.Seq] && out[e.Seq] == nil {
			out[e.Seq] = &Erasure{Erased: e, By: rec.Header.Seq, At: rec.Header.Time, Reason: body.Reason}
		}
	}
	return nil
}

// tell says of documents that are lost why they are.
func (r *Reader) tell(ctx context.Context, list []Document) error {
	seqs := map[int64]bool{}
	for _, d := range list {
		if d.Doc == nil {
			seqs[d.Seq] = true
		}
	}
	found, err := r.erasures(ctx, seqs)
	if err != nil {
		return err
	}
	for i := range list {
		if d := &list[i]; d.Doc == nil {
			d.Erased = found[d.Seq]
		}
	}
	return nil
}

// documentAt gives one of the documents that there were, or what is left of it;
// false if it had been deleted. Why it is lost is told later, by tell.
func documentAt(v store.View, kind document.Kind, c store.Change) (Document, bool, error) {
	d, err := v.Get(kind, c.ID)
	if gone := (*store.Erased)(nil); errors.As(err, &gone) {
		return lostDocument(gone.Lost[0]), true, nil
	}
	if d == nil || err != nil {
		return Document{}, false, err
	}
	return documentOf(c, d), true, nil
}

func lostDocument(l store.Lost) Document {
	return Document{Kind: l.Kind, ID: l.ID, Scope: l.Scope, Rev: l.Rev, Seq: l.Seq}
}

// unnamed is what is told of a name that nothing is known to have had, while
// things are not known that may have had it.
func unnamed(none error, list []Document) error {
	if len(list) == 0 {
		return none
	}
	return fault.New(fault.NotFound, "%s But how %d of that time were called is not known, for the bodies that said so were erased: %s. Ask by id.",
		fault.Message(none), len(list), names(list))
}

// maxNamed bounds how many ids a refusal names.
const maxNamed = 5

func names(list []Document) string {
	var text []string
	for _, d := range list[:min(len(list), maxNamed)] {
		text = append(text, fmt.Sprintf("%s %s, since entry %d", d.Kind, d.ID, d.Seq))
	}
	if n := len(list) - maxNamed; n > 0 {
		text = append(text, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(text, "; ")
}
