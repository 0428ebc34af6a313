package past

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// What became of a document between two moments.
const (
	Appeared = "new"
	Changed  = "changed"
	Restored = "changed and changed back"
	Removed  = "gone"
	Passing  = "new and gone again"
	Unknown  = "not known" // what it was at one of the moments, for it was erased
)

// Difference is what became of one document between two moments.
type Difference struct {
	Document // as it was in the end, or at last
	Change   string
	Times    int64 // how often it was written
	Members  []Member
	Last     Origin // the entry that wrote it last
	// Before and After say why it is not known what it was at the first and at the
	// second moment.
	Before, After *Erasure
}

// Member is what became of a document's member.
type Member struct {
	Name     string
	From, To json.RawMessage
}

// Key orders differences.
func (d Difference) Key() string { return keyOf(d.Kind, d.ID) }

func keyOf(kind document.Kind, id string) string { return string(kind) + "/" + id }

// pair is a document at both moments.
type pair struct {
	store.Change
	kind          document.Kind
	times         int64
	before, after side
}

// side is a document at one of the moments: there, not there, or lost.
type side struct {
	Document
	was bool
}

func (s side) lost() bool { return s.was && s.Doc == nil }

// Differences lists what became between two moments of the documents of some
// kinds (nil: of all), by kind and id.
func (r *Reader) Differences(ctx context.Context, from, to Moment, only []document.Kind, p Page) (out Part[Difference], err error) {
	pairs, more, err := r.touched(ctx, from, to, only, p)
	if err != nil {
		return out, err
	}
	if err := r.fill(ctx, from, to, pairs); err != nil {
		return out, err
	}
	erased, err := r.erasures(ctx, lostOf(pairs))
	if err != nil {
		return out, err
	}
	for i, x := range pairs {
		d, seen, err := r.difference(ctx, x, erased)
		if err != nil {
			return out, err
		}
		if seen {
			out.Items = append(out.Items, d)
		}
		if full := len(out.Items) == p.Max; full || i+1 == len(pairs) {
			if more || i+1 < len(pairs) {
				out.Next = keyOf(x.kind, x.ID)
			}
			break
		}
	}
	return out, nil
}

// touched lists what was written between the moments, at most as much as is
// looked at for a page.
func (r *Reader) touched(ctx context.Context, from, to Moment, only []document.Kind, p Page) (out []*pair, more bool, err error) {
	if only == nil {
		only = kinds()
	}
	for _, kind := range only {
		list, err := r.Store.Changed(ctx, kind, to.Size)
		if err != nil {
			return nil, false, err
		}
		for _, c := range list {
			if key := keyOf(kind, c.ID); c.Seq < from.Size || p.before(key) || p.beyond(key) {
				continue
			}
			if len(out) == maxLooked {
				return out, true, nil
			}
			out = append(out, &pair{Change: c, kind: kind})
		}
	}
	return out, false, nil
}

// fill reads the documents at both moments.
func (r *Reader) fill(ctx context.Context, from, to Moment, pairs []*pair) error {
	if err := r.Store.At(ctx, to.Size, func(v store.View) (err error) {
		for _, x := range pairs {
			if x.after, err = sideAt(v, x.kind, x.Change); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return r.Store.At(ctx, from.Size, func(v store.View) error {
		for _, x := range pairs {
			rev, seq, err := v.Rev(x.kind, x.ID)
			if err != nil {
				return err
			}
			x.times = x.Rev - rev
			if x.before, err = sideAt(v, x.kind, store.Change{ID: x.ID, Rev: rev, Seq: seq}); err != nil {
				return err
			}
		}
		return nil
	})
}

func sideAt(v store.View, kind document.Kind, c store.Change) (s side, err error) {
	s.Document, s.was, err = documentAt(v, kind, c)
	return s, err
}

// difference says what became of a document, if the caller is told of it.
func (r *Reader) difference(ctx context.Context, x *pair, erased map[int64]*Erasure) (Difference, bool, error) {
	last, err := r.last(ctx, x)
	if err != nil || !r.Sight.sees(last) {
		return Difference{}, false, err
	}
	last.Rev, last.Seq = x.Rev, x.Seq
	d := Difference{Document: last, Change: becameOf(x), Times: x.times}
	if d.Change == Changed {
		if d.Members, err = membersBetween(x.before.Doc, x.after.Doc); err != nil {
			return d, false, err
		}
		if len(d.Members) == 0 {
			d.Change = Restored
		}
	}
	if x.before.lost() {
		d.Before = erased[x.before.Seq]
	}
	if x.after.lost() {
		d.After = erased[x.after.Seq]
		d.Last = erasedOrigin(d.After)
		return d, true, nil
	}
	rec, err := r.Store.Entry(ctx, x.Seq)
	if err != nil {
		return d, false, err
	}
	_, body, err := docIn(rec, x.kind, x.ID)
	if body != nil {
		d.Last = originOf(rec, body)
	}
	return d, err == nil, err
}

// lostOf are the entries whose bodies would tell what is lost.
func lostOf(pairs []*pair) map[int64]bool {
	out := map[int64]bool{}
	for _, x := range pairs {
		for _, s := range []side{x.before, x.after} {
			if s.lost() {
				out[s.Seq] = true
			}
		}
	}
	return out
}

func becameOf(x *pair) string {
	switch {
	case x.before.lost() || x.after.lost():
		return Unknown
	case !x.before.was && !x.after.was:
		return Passing
	case !x.before.was:
		return Appeared
	case !x.after.was:
		return Removed
	}
	return Changed
}

// last is the document as it was in the end, or before it went: the newest that is
// known of the two moments, and otherwise of between them.
func (r *Reader) last(ctx context.Context, x *pair) (last Document, err error) {
	switch {
	case x.after.was && !x.after.lost():
		return x.after.Document, nil
	case x.before.was && (x.times == 1 || x.after.lost()):
		return x.before.Document, nil
	case x.after.lost():
		return x.after.Document, nil
	}
	err = r.Store.At(ctx, x.Seq, func(v store.View) error {
		rev, seq, err := v.Rev(x.kind, x.ID)
		if err != nil {
			return err
		}
		last, _, err = documentAt(v, x.kind, store.Change{ID: x.ID, Rev: rev, Seq: seq})
		return err
	})
	return last, err
}

// heads are the members that every change writes.
var heads = []string{"schema", "updated_at"}

// membersBetween lists the members that differ, by name.
func membersBetween(before, after document.Doc) (out []Member, err error) {
	was, err := membersOf(before)
	if err != nil {
		return nil, err
	}
	is, err := membersOf(after)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if !slices.Contains(heads, name) && !bytes.Equal(was[name], is[name]) {
			out = append(out, Member{name, was[name], is[name]})
		}
	}
	return out, nil
}
