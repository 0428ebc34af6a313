package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// past is the state after the first n entries, read from their bodies.
type past struct {
	*reading
	n int64
}

// Size implements store.View.
func (p past) Size() int64 { return p.n }

// Rev implements store.View.
func (p past) Rev(kind document.Kind, id string) (rev, seq int64, err error) {
	c, err := p.changeBefore(kind, id, p.n)
	return c.Rev, c.Seq, err
}

// Get implements store.View.
func (p past) Get(kind document.Kind, id string) (document.Doc, error) {
	rev, seq, err := p.Rev(kind, id)
	if err != nil || rev == 0 {
		return nil, err
	}
	return p.read(kind, store.Change{ID: id, Rev: rev, Seq: seq})
}

// Find implements store.View by reading every document of the kind: secondary
// keys are kept for now only. Any that was erased may have had the key.
func (p past) Find(kind document.Kind, key, value string) ([]document.Doc, error) {
	list, err := p.changed(kind, p.n)
	if err != nil {
		return nil, err
	}
	var out []document.Doc
	var lost []store.Lost
	for _, c := range list {
		d, err := p.read(kind, c)
		if gone := (*store.Erased)(nil); errors.As(err, &gone) {
			lost = append(lost, gone.Lost...)
			continue
		}
		if err != nil {
			return nil, err
		}
		if d != nil && slices.Contains(d.Keys(), document.Key{Name: key, Value: value}) {
			out = append(out, d)
		}
	}
	if lost != nil {
		return out, &store.Erased{Lost: lost}
	}
	return out, nil
}

// read takes a document out of the entry that changed it.
func (r *reading) read(kind document.Kind, at store.Change) (document.Doc, error) {
	var raw []byte
	var term int64
	if err := r.one(`SELECT body, scope FROM entries WHERE seq = ?`, []any{at.Seq}, &raw, &term); err != nil {
		return nil, fmt.Errorf("read entry %d: %w", at.Seq, err)
	}
	if raw == nil {
		scope, err := r.s.words.word(r.transaction, term)
		if err != nil {
			return nil, err
		}
		return nil, &store.Erased{Lost: []store.Lost{{Kind: kind, ID: at.ID, Scope: scope, Rev: at.Rev, Seq: at.Seq}}}
	}
	changes, err := changesIn(raw)
	if err != nil {
		return nil, &store.Damage{Seq: at.Seq, What: "its body cannot be read"}
	}
	for _, c := range changes {
		if string(c.kind) == string(kind) && string(c.id) == at.ID {
			return decode(kind, c.doc)
		}
	}
	return nil, &store.Damage{Seq: at.Seq, What: fmt.Sprintf("its body does not hold %s %s", kind, at.ID)}
}

// newest is the row of a current document.
type newest struct {
	store.Change
	born  int64
	rungs []byte
}

// newest gives the newest change of a document, zero if there never was one.
func (r *reading) newest(kind document.Kind, id string) (newest, error) {
	d := newest{Change: store.Change{ID: id}}
	err := r.one(`SELECT rev, seq, born, ladder FROM documents WHERE kind = ? AND id = ?`, []any{string(kind), id},
		&d.Rev, &d.Seq, &d.born, &d.rungs)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return d, fmt.Errorf("newest %s: %w", kind, err)
	}
	return d, nil
}

// changeBefore gives the newest change of a document among the first n entries.
func (r *reading) changeBefore(kind document.Kind, id string, n int64) (store.Change, error) {
	d, err := r.newest(kind, id)
	if err != nil {
		return store.Change{}, err
	}
	return r.before(d, n)
}

// before goes down the ladder, from each rung as far as n allows.
func (r *reading) before(d newest, n int64) (store.Change, error) {
	if d.Rev == 0 || d.Seq < n {
		return d.Change, nil
	}
	back, err := readLadder(d.rungs, d.Seq)
	if err != nil {
		return store.Change{}, err
	}
	at := revision{born: d.born, rev: d.Rev + 1, back: back}
	for k := len(back) - 1; k >= 0; {
		if k >= len(at.back) || at.back[k] < n {
			k--
			continue
		}
		if at, err = r.revision(at.back[k], d.born); err != nil {
			return store.Change{}, err
		}
	}
	if len(at.back) == 0 {
		return store.Change{}, nil
	}
	return store.Change{ID: d.ID, Rev: at.rev - 1, Seq: at.back[0]}, nil
}

// revision reads what an entry says about a change of a document.
func (r *reading) revision(seq, born int64) (revision, error) {
	var docs []byte
	if err := r.one(`SELECT docs FROM entries WHERE seq = ?`, []any{seq}, &docs); err != nil {
		return revision{}, fmt.Errorf("read entry %d: %w", seq, err)
	}
	return findRevision(docs, seq, born)
}

// history lists all changes of a document, oldest first.
func (r *reading) history(kind document.Kind, id string) (out []int64, err error) {
	d, err := r.newest(kind, id)
	if err != nil || d.Rev == 0 {
		return nil, err
	}
	for at := d.Seq; ; {
		out = append(out, at)
		x, err := r.revision(at, d.born)
		if err != nil {
			return nil, err
		}
		if len(x.back) == 0 {
			break
		}
		at = x.back[0]
	}
	slices.Reverse(out)
	return out, nil
}

// changed lists the newest change of each id of a kind among the first n
// entries, by id.
func (r *reading) changed(kind document.Kind, n int64) ([]store.Change, error) {
	var out []store.Change
	err := r.each(`SELECT id, rev, seq, born, ladder FROM documents WHERE kind = ? ORDER BY id`, []any{string(kind)},
		func(rows *sql.Rows) error {
			var d newest
			if err := rows.Scan(&d.ID, &d.Rev, &d.Seq, &d.born, &d.rungs); err != nil {
				return err
			}
			if d.born>>20 >= n {
				return nil
			}
			c, err := r.before(d, n)
			out = append(out, c)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kind, err)
	}
	return out, nil
}
