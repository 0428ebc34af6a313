package past

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// Document is a document as it was, and the entry that made it so. Where the body
// of that entry was erased, Doc is nil: what it was, and whether it still was, is
// not known.
type Document struct {
	Kind   document.Kind
	ID     string
	Name   string // for people; "" = it has none
	Scope  string
	Rev    int64
	Seq    int64
	Doc    document.Doc
	Erased *Erasure
}

func documentOf(c store.Change, d document.Doc) Document {
	return Document{Kind: d.Kind(), ID: c.ID, Name: nameOf(d), Scope: d.Within(), Rev: c.Rev, Seq: c.Seq, Doc: d}
}

// naming are the members by which people know a document, the first that it has.
var naming = []string{"name", "hostname", "email", "version", "check", "service", "type", "what"}

func nameOf(d document.Doc) string {
	members, err := membersOf(d)
	if err != nil {
		return ""
	}
	for _, n := range naming {
		var text string
		switch raw := members[n]; {
		case json.Unmarshal(raw, &text) == nil && text != "":
			return text
		case n == "version" && len(raw) > 0 && raw[0] != '"':
			return "v" + string(raw)
		}
	}
	return ""
}

// membersOf is a document's JSON, member by member.
func membersOf(d document.Doc) (out map[string]json.RawMessage, err error) {
	if d == nil {
		return nil, nil
	}
	raw, err := document.Encode(d)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("members of %s %s: %w", d.Kind(), d.Ident(), err)
	}
	return out, nil
}

// each runs fn on the documents of a kind that there were at a moment, those that
// are lost too, by id, from the page's begin on, until fn says stop. next is the last id that was looked at,
// "" at the end.
func (r *Reader) each(ctx context.Context, m Moment, kind document.Kind, p Page, fn func(Document) (stop bool)) (next string, err error) {
	skeleton, err := r.Store.Changed(ctx, kind, m.Size)
	if err != nil {
		return "", err
	}
	skeleton = slices.DeleteFunc(skeleton, func(c store.Change) bool { return p.before(c.ID) || p.beyond(c.ID) })
	err = r.Store.At(ctx, m.Size, func(v store.View) error {
		for i, c := range skeleton {
			d, was, err := documentAt(v, kind, c)
			if err != nil {
				return err
			}
			stop := was && fn(d) || i+1 == maxLooked
			if stop && i+1 < len(skeleton) {
				next = c.ID
			}
			if stop {
				return nil
			}
		}
		return nil
	})
	return next, err
}

// Documents lists the documents of a kind that there were, by id.
func (r *Reader) Documents(ctx context.Context, m Moment, kind document.Kind, p Page) (out Part[Document], err error) {
	out.Next, err = r.each(ctx, m, kind, p, func(d Document) bool {
		if r.Sight.sees(d) {
			out.Items = append(out.Items, d)
		}
		return len(out.Items) == p.Max
	})
	if err != nil {
		return out, err
	}
	return out, r.tell(ctx, out.Items)
}

// Count is how many documents of a kind there were. Lost are those of which it is
// not known whether they still were.
type Count struct {
	Kind  document.Kind
	Count int
	More  bool // at least so many: counting stopped
	Lost  int
}

// maxCounted bounds how many documents of a kind are looked at to count them.
const maxCounted = 1000

// Counts tells what there was, by kind.
func (r *Reader) Counts(ctx context.Context, m Moment) (out []Count, err error) {
	for _, kind := range kinds() {
		c, looked := Count{Kind: kind}, 0
		next, err := r.each(ctx, m, kind, Page{}, func(d Document) bool {
			looked++
			switch {
			case !r.Sight.sees(d):
			case d.Doc == nil:
				c.Lost++
			default:
				c.Count++
			}
			return looked == maxCounted
		})
		if err != nil {
			return nil, err
		}
		if c.More = next != ""; c.Count > 0 || c.Lost > 0 || c.More {
			out = append(out, c)
		}
	}
	return out, nil
}

// Document finds one document by its id or its name. What there is one of for
// each app or team (config, buildpacks, policy) is found by that one's name.
func (r *Reader) Document(ctx context.Context, m Moment, kind document.Kind, identity string) (Document, error) {
	id := identity
	if _, err := uuid.Parse(identity); err != nil {
		if id, err = r.idOf(ctx, m, kind, identity); err != nil {
			return Document{}, err
		}
	}
	found := make([]Document, 1)
	err := r.Store.At(ctx, m.Size, func(v store.View) error {
		rev, seq, err := v.Rev(kind, id)
		if err != nil {
			return err
		}
		d, was, err := documentAt(v, kind, store.Change{ID: id, Rev: rev, Seq: seq})
		switch found[0] = d; {
		case err != nil:
			return err
		case !was:
			return nothing(kind)
		case !r.Sight.sees(d):
			return r.Sight.hidden(d)
		}
		return nil
	})
	if err != nil {
		return Document{}, err
	}
	return found[0], r.tell(ctx, found)
}

// idOf finds the id of what had a name. If nothing is known that had, what is lost
// may have had it.
func (r *Reader) idOf(ctx context.Context, m Moment, kind document.Kind, name string) (string, error) {
	named := kind
	switch kind {
	case document.KindConfig, document.KindBuildpackList:
		named = document.KindApp
	case document.KindPolicy:
		named = document.KindTeam
	}
	var lost []Document
	for p := (Page{After: true}); ; {
		id, nameless := "", false
		next, err := r.each(ctx, m, named, p, func(d Document) bool {
			if d.Doc == nil {
				if r.Sight.sees(d) {
					lost = append(lost, d)
				}
				return false
			}
			key, has := nameKey(d.Doc)
			if key == name {
				id = d.ID
			}
			nameless = !has
			return id != "" || nameless
		})
		switch {
		case err != nil || id != "":
			return id, err
		case nameless:
			return "", nothing(kind)
		case next == "":
			return "", unnamed(nothing(kind), lost)
		}
		p.From = next
	}
}

// nameKey is the key under which a name finds a document; false if documents of
// its kind have none.
func nameKey(d document.Doc) (string, bool) {
	for _, k := range d.Keys() {
		if k.Name == "name" || k.Name == "hostname" || k.Name == "email" {
			return k.Value, true
		}
	}
	return "", false
}
