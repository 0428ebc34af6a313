package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/document"
)

// view is the state of now.
type view struct{ *reading }

// Size implements store.View.
func (v view) Size() int64 { return v.size }

// Get implements store.View.
func (v view) Get(kind document.Kind, id string) (document.Doc, error) {
	var raw []byte
	err := v.one(`SELECT `+selectDocument+` FROM documents d WHERE d.kind = ? AND d.id = ?`, []any{string(kind), id}, &raw)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", kind, err)
	}
	return decode(kind, raw)
}

// Find implements store.View. The query has neither join nor order: SQLite plans
// such ones anew for the values that are bound, which takes several times as
// long as this whole reading.
func (v view) Find(kind document.Kind, key, value string) ([]document.Doc, error) {
	var out []document.Doc
	err := v.each(
		`SELECT (SELECT `+selectDocument+` FROM documents d WHERE d.kind = k.kind AND d.id = k.id) FROM keys k
		 WHERE k.kind = ? AND k.name = ? AND k.value = ?`, []any{string(kind), key, value},
		func(rows *sql.Rows) error {
			var raw []byte
			if err := rows.Scan(&raw); err != nil {
				return err
			}
			d, err := decode(kind, raw)
			if d != nil {
				out = append(out, d)
			}
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", kind, err)
	}
	slices.SortFunc(out, func(a, b document.Doc) int { return strings.Compare(a.Ident(), b.Ident()) })
	return out, nil
}

// Rev implements store.View.
func (v view) Rev(kind document.Kind, id string) (rev, seq int64, err error) {
	d, err := v.newest(kind, id)
	return d.Rev, d.Seq, err
}

// decode is the document of a stored row.
func decode(kind document.Kind, raw []byte) (document.Doc, error) {
	if raw == nil {
		return nil, nil
	}
	return document.Decode(kind, raw)
}
