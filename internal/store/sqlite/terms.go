package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// terms maps words to small integers. 0 stands for the empty word.
type terms struct{ ids map[string]int64 }

// maxTerms bounds the cache; past it the cache starts again.
const maxTerms = 20_000

func newTerms() *terms { return &terms{ids: map[string]int64{}} }

// of gives the id of a word inside the writer's transaction, adding it if new.
func (t *terms) of(tx *sql.Tx, word string) (int64, error) {
	if word == "" {
		return 0, nil
	}
	if id, ok := t.ids[word]; ok {
		return id, nil
	}
	var id int64
	err := tx.QueryRow(`SELECT id FROM terms WHERE term = ?`, word).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = tx.QueryRow(`INSERT INTO terms (term) VALUES (?) RETURNING id`, word).Scan(&id)
	}
	if err != nil {
		return 0, fmt.Errorf("term: %w", err)
	}
	if len(t.ids) >= maxTerms {
		clear(t.ids)
	}
	t.ids[word] = id
	return id, nil
}

// lookup gives the id of a word for reading; false if no entry has it.
func lookup(ctx context.Context, q querier, word string) (int64, bool, error) {
	if word == "" {
		return 0, true, nil
	}
	var id int64
	err := q.QueryRowContext(ctx, `SELECT id FROM terms WHERE term = ?`, word).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return id, err == nil, err
}

// querier is what a database, a connection and a transaction have in common.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}
