package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// view is the state of now, as q sees it.
type view struct {
	ctx  context.Context
	q    querier
	size func() int64
}

// Size implements store.View.
func (v view) Size() int64 { return v.size() }

// Get implements store.View.
func (v view) Get(kind document.Kind, id string) (document.Doc, error) {
	var raw []byte
	err := v.q.QueryRowContext(v.ctx, `SELECT doc FROM documents WHERE kind = ? AND id = ?`, string(kind), id).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", kind, err)
	}
	return decode(kind, raw)
}

// Find implements store.View.
func (v view) Find(kind document.Kind, key, value string) ([]document.Doc, error) {
	rows, err := v.q.QueryContext(v.ctx,
		`SELECT d.doc FROM keys k JOIN documents d ON d.kind = k.kind AND d.id = k.id
		 WHERE k.kind = ? AND k.name = ? AND k.value = ? ORDER BY k.id`, string(kind), key, value)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", kind, err)
	}
	defer rows.Close()
	var out []document.Doc
	for rows.Next() {
		var raw []byte
		if err := rows.Scan(&raw); err != nil {
			return nil, fmt.Errorf("find %s: %w", kind, err)
		}
		d, err := decode(kind, raw)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// Rev implements store.View.
func (v view) Rev(kind document.Kind, id string) (rev, seq int64, err error) {
	err = v.q.QueryRowContext(v.ctx, `SELECT rev, seq FROM documents WHERE kind = ? AND id = ?`, string(kind), id).Scan(&rev, &seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, 0, nil
	}
	return rev, seq, err
}

// past is the state after the first n entries, read from their bodies.
type past struct {
	ctx context.Context
	q   querier
	n   int64
}

// Size implements store.View.
func (p past) Size() int64 { return p.n }

// Rev implements store.View.
func (p past) Rev(kind document.Kind, id string) (rev, seq int64, err error) {
	err = p.q.QueryRowContext(p.ctx,
		`SELECT rev, seq FROM changes WHERE kind = ? AND id = ? AND seq < ? ORDER BY seq DESC LIMIT 1`, string(kind), id, p.n).Scan(&rev, &seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, 0, nil
	}
	return rev, seq, err
}

// Get implements store.View.
func (p past) Get(kind document.Kind, id string) (document.Doc, error) {
	rev, seq, err := p.Rev(kind, id)
	if err != nil || rev == 0 {
		return nil, err
	}
	return p.read(kind, id, seq)
}

func (p past) read(kind document.Kind, id string, seq int64) (document.Doc, error) {
	var raw []byte
	if err := p.q.QueryRowContext(p.ctx, `SELECT body FROM entries WHERE seq = ?`, seq).Scan(&raw); err != nil {
		return nil, fmt.Errorf("read entry %d: %w", seq, err)
	}
	if raw == nil {
		return nil, fmt.Errorf("the body of entry %d, which held %s %s, was erased when its retention ended", seq, kind, id)
	}
	var body struct {
		Changes []ledger.Change `json:"changes"`
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, &store.Damage{Seq: seq, What: "its body is not JSON"}
	}
	for _, c := range body.Changes {
		if c.Kind == string(kind) && c.ID == id {
			if len(c.Doc) == 0 || string(c.Doc) == "null" {
				return nil, nil
			}
			return document.Decode(kind, c.Doc)
		}
	}
	return nil, &store.Damage{Seq: seq, What: fmt.Sprintf("its body does not hold %s %s", kind, id)}
}

// Find implements store.View by reading every document of the kind: secondary
// keys are kept for now only.
func (p past) Find(kind document.Kind, key, value string) ([]document.Doc, error) {
	list, err := changed(p.ctx, p.q, kind, p.n)
	if err != nil {
		return nil, err
	}
	var out []document.Doc
	for _, c := range list {
		d, err := p.read(kind, c.ID, c.Seq)
		if err != nil {
			return nil, err
		}
		if d != nil && has(d, document.Key{Name: key, Value: value}) {
			out = append(out, d)
		}
	}
	return out, nil
}

func has(d document.Doc, key document.Key) bool {
	for _, k := range d.Keys() {
		if k == key {
			return true
		}
	}
	return false
}

// changed lists the newest change of each id of a kind among the first n entries.
func changed(ctx context.Context, q querier, kind document.Kind, n int64) ([]store.Change, error) {
	rows, err := q.QueryContext(ctx,
		`SELECT id, rev, max(seq) FROM changes WHERE kind = ? AND seq < ? GROUP BY id ORDER BY id`, string(kind), n)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kind, err)
	}
	defer rows.Close()
	var out []store.Change
	for rows.Next() {
		var c store.Change
		if err := rows.Scan(&c.ID, &c.Rev, &c.Seq); err != nil {
			return nil, fmt.Errorf("list %s: %w", kind, err)
		}
		out = append(out, c)
	}
	return out, rows.Err()
}
