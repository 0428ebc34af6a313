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
)

// Difference is what became of one document between two moments.
type Difference struct {
	Document // as it was in the end, or at last
	Change   string
	Times    int64 // how often it was written
	Members  []Member
	Last     Origin // the entry that wrote it last
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
	before, after document.Doc
}

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
	for i, x := range pairs {
		d, seen, err := r.difference(ctx, x)
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
			if x.after, err = v.Get(x.kind, x.ID); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return r.Store.At(ctx, from.Size, func(v store.View) error {
		for _, x := range pairs {
			rev, _, err := v.Rev(x.kind, x.ID)
			if err != nil {
				return err
			}
			x.times = x.Rev - rev
			if x.before, err = v.Get(x.kind, x.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// difference says what became of a document, if the caller is told of it.
func (r *Reader) difference(ctx context.Context, x *pair) (Difference, bool, error) {
	last, err := r.last(ctx, x)
	if err != nil || !r.Sight.sees(last) {
		return Difference{}, false, err
	}
	d := Difference{Document: documentOf(x.Change, last), Change: becameOf(x), Times: x.times}
	if x.before != nil && x.after != nil {
		if d.Members, err = membersBetween(x.before, x.after); err != nil {
			return d, false, err
		}
		if len(d.Members) == 0 {
			d.Change = Restored
		}
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

func becameOf(x *pair) string {
	switch {
	case x.before == nil && x.after == nil:
		return Passing
	case x.before == nil:
		return Appeared
	case x.after == nil:
		return Removed
	}
	return Changed
}

// last is the document as it was in the end, or before it went.
func (r *Reader) last(ctx context.Context, x *pair) (last document.Doc, err error) {
	switch {
	case x.after != nil:
		return x.after, nil
	case x.before != nil && x.times == 1:
		return x.before, nil
	}
	err = r.Store.At(ctx, x.Seq, func(v store.View) error {
		last, err = v.Get(x.kind, x.ID)
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
