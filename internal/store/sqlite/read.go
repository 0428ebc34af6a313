package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// reading is a consistent view of what is committed.
type reading struct {
	*transaction
	s    *Store
	size int64 // of the log
}

// snapshot runs fn in one read transaction.
func (s *Store) snapshot(ctx context.Context, fn func(*reading) error) error {
	return s.readers.transaction(ctx, func(t *transaction) error {
		r := &reading{transaction: t, s: s}
		if err := r.one(`SELECT coalesce(max(seq) + 1, 0) FROM entries`, nil, &r.size); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		return fn(r)
	})
}

// Read implements store.Store.
func (s *Store) Read(ctx context.Context, fn func(store.View) error) error {
	return s.snapshot(ctx, func(r *reading) error { return fn(view{r}) })
}

// At implements store.Store.
func (s *Store) At(ctx context.Context, size int64, fn func(store.View) error) error {
	return s.snapshot(ctx, func(r *reading) error {
		if size < 0 || size > r.size {
			return fault.New(fault.Invalid, "the ledger has %d entries: there is no state after %d", r.size, size)
		}
		return fn(past{r, size})
	})
}

// Head implements store.Store.
func (s *Store) Head(ctx context.Context) (store.Head, error) {
	var h store.Head
	var t string
	err := s.readers.point(ctx, `SELECT seq + 1, time FROM entries ORDER BY seq DESC LIMIT 1`, nil, &h.Size, &t)
	if errors.Is(err, sql.ErrNoRows) {
		return h, nil
	}
	if err != nil {
		return h, fmt.Errorf("read the head: %w", err)
	}
	h.Time, err = ledger.ParseTime(t)
	return h, err
}

// History implements store.Store.
func (s *Store) History(ctx context.Context, kind document.Kind, id string) (out []int64, err error) {
	err = s.snapshot(ctx, func(r *reading) error {
		out, err = r.history(kind, id)
		return err
	})
	return out, err
}

// Changed implements store.Store.
func (s *Store) Changed(ctx context.Context, kind document.Kind, size int64) (out []store.Change, err error) {
	err = s.snapshot(ctx, func(r *reading) error {
		out, err = r.changed(kind, size)
		return err
	})
	return out, err
}

// Jobs implements store.Store.
func (s *Store) Jobs(ctx context.Context, limit int, but ...string) ([]store.Job, error) {
	others, err := json.Marshal(append([]string{}, but...)) // nil would be null, which is nobody's kind
	if err != nil {
		return nil, err
	}
	return s.jobs(ctx, `kind NOT IN (SELECT value FROM json_each(?))`, string(others), limit)
}

// JobsOf lists the jobs of a kind.
func (s *Store) JobsOf(ctx context.Context, kind, ref string, limit int) ([]store.Job, error) {
	return s.jobs(ctx, `kind = ? AND (ref = ? OR ? = '')`, kind, ref, ref, limit)
}

func (s *Store) jobs(ctx context.Context, where string, args ...any) ([]store.Job, error) {
	var out []store.Job
	err := s.readers.transaction(ctx, func(t *transaction) error {
		return t.each(`SELECT id, seq, kind, ref FROM jobs WHERE `+where+` ORDER BY id LIMIT ?`, args, func(rows *sql.Rows) error {
			var j store.Job
			err := rows.Scan(&j.ID, &j.Seq, &j.Kind, &j.Ref)
			out = append(out, j)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return out, nil
}

// WrappedKey implements secret.Shelf.
func (s *Store) WrappedKey(ctx context.Context, scope string) (secret.WrappedKey, error) {
	k := secret.WrappedKey{Scope: scope}
	err := s.readers.point(ctx, `SELECT id, wrapped FROM wrapped WHERE scope = ?`, []any{scope}, &k.ID, &k.Wrapped)
	if errors.Is(err, sql.ErrNoRows) {
		return k, fault.New(fault.NotFound, "there is no key for this scope")
	}
	if err != nil {
		return k, fmt.Errorf("wrapped key: %w", err)
	}
	return k, nil
}

// Sealed implements secret.Shelf.
func (s *Store) Sealed(ctx context.Context, id string) (secret.Sealed, error) {
	v := secret.Sealed{ID: id}
	err := s.readers.point(ctx, `SELECT scope, key, ciphertext FROM sealed WHERE id = ?`, []any{id}, &v.Scope, &v.Key, &v.Ciphertext)
	if errors.Is(err, sql.ErrNoRows) {
		return v, fault.New(fault.NotFound, "there is no such sealed value")
	}
	if err != nil {
		return v, fmt.Errorf("sealed value: %w", err)
	}
	return v, nil
}
