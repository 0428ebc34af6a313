package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// Read implements store.Store.
func (s *Store) Read(ctx context.Context, fn func(store.View) error) error {
	return s.snapshot(ctx, func(tx *sql.Tx, size int64) error {
		return fn(view{ctx: ctx, q: tx, size: func() int64 { return size }})
	})
}

// At implements store.Store.
func (s *Store) At(ctx context.Context, size int64, fn func(store.View) error) error {
	return s.snapshot(ctx, func(tx *sql.Tx, head int64) error {
		if size < 0 || size > head {
			return fault.New(fault.Invalid, "the ledger has %d entries: there is no state after %d", head, size)
		}
		return fn(past{ctx: ctx, q: tx, n: size})
	})
}

// snapshot runs fn in one read transaction with the log's size in it.
func (s *Store) snapshot(ctx context.Context, fn func(tx *sql.Tx, size int64) error) error {
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // a read has nothing to lose
	var size int64
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(seq) + 1, 0) FROM entries`).Scan(&size); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return fn(tx, size)
}

// Head implements store.Store.
func (s *Store) Head(ctx context.Context) (store.Head, error) {
	var h store.Head
	var t string
	err := s.reader.QueryRowContext(ctx, `SELECT seq + 1, time FROM entries ORDER BY seq DESC LIMIT 1`).Scan(&h.Size, &t)
	if errors.Is(err, sql.ErrNoRows) {
		return h, nil
	}
	if err != nil {
		return h, fmt.Errorf("read the head: %w", err)
	}
	h.Time, err = ledger.ParseTime(t)
	return h, err
}

// SizeAt implements store.Store by bisection: times never fall.
func (s *Store) SizeAt(ctx context.Context, t time.Time) (int64, error) {
	var n int64
	err := s.snapshot(ctx, func(tx *sql.Tx, size int64) error {
		want := ledger.FormatTime(t)
		lo, hi := int64(0), size
		for lo < hi {
			mid := lo + (hi-lo)/2
			var at string
			if err := tx.QueryRowContext(ctx, `SELECT time FROM entries WHERE seq = ?`, mid).Scan(&at); err != nil {
				return fmt.Errorf("time of entry %d: %w", mid, err)
			}
			if at < want {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		n = lo
		return nil
	})
	return n, err
}

const entryColumns = `e.seq, e.time, coalesce(t.term, ''), e.salt, e.body, e.hash`

// Entry implements store.Store.
func (s *Store) Entry(ctx context.Context, seq int64) (store.Record, error) {
	list, err := s.Entries(ctx, store.Query{FromSeq: seq, ToSeq: seq + 1})
	if err != nil {
		return store.Record{}, err
	}
	if len(list) == 0 {
		return store.Record{}, fault.New(fault.NotFound, "there is no entry %d", seq)
	}
	return list[0], nil
}

// maxPage bounds a page of entries.
const maxPage = 10_000

// Entries implements store.Store.
func (s *Store) Entries(ctx context.Context, q store.Query) ([]store.Record, error) {
	where, args, none, err := s.where(ctx, q)
	if err != nil || none {
		return nil, err
	}
	if q.Limit <= 0 || q.Limit > maxPage {
		q.Limit = maxPage
	}
	order := "ASC"
	if q.Newest {
		order = "DESC"
	}
	rows, err := s.reader.QueryContext(ctx,
		`SELECT `+entryColumns+` FROM entries e LEFT JOIN terms t ON t.id = e.scope WHERE `+where+
			` ORDER BY e.seq `+order+` LIMIT ?`, append(args, q.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("read entries: %w", err)
	}
	defer rows.Close()
	var out []store.Record
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

func scanEntry(rows *sql.Rows) (store.Record, error) {
	var r store.Record
	var t, scope string
	var salt, hash []byte
	if err := rows.Scan(&r.Header.Seq, &t, &scope, &salt, &r.Body, &hash); err != nil {
		return r, fmt.Errorf("read entry: %w", err)
	}
	at, err := ledger.ParseTime(t)
	if err != nil {
		return r, &store.Damage{Seq: r.Header.Seq, What: "its time cannot be read"}
	}
	r.Header.Time = at
	if scope != "" {
		r.Header.Scope = &scope
	}
	copy(r.Salt[:], salt)
	if len(hash) != len(r.Header.Body) {
		return r, &store.Damage{Seq: r.Header.Seq, What: "its body hash cannot be read"}
	}
	copy(r.Header.Body[:], hash)
	return r, nil
}

// where builds the condition. none: a word that no entry has was asked for.
func (s *Store) where(ctx context.Context, q store.Query) (cond string, args []any, none bool, err error) {
	c := []string{"e.seq >= ?"}
	args = append(args, q.FromSeq)
	add := func(sql string, a ...any) { c, args = append(c, sql), append(args, a...) }
	if q.ToSeq > 0 {
		add("e.seq < ?", q.ToSeq)
	}
	for _, f := range []struct{ column, word string }{{"actor", q.Actor}, {"app", q.App}, {"target", q.Target}} {
		if f.word == "" {
			continue
		}
		id, ok, err := lookup(ctx, s.reader, f.word)
		if err != nil || !ok {
			return "", nil, !ok, err
		}
		add("e."+f.column+" = ?", id)
	}
	for _, f := range []struct {
		column string
		words  []string
	}{{"scope", q.Scopes}, {"action", q.Actions}} {
		if len(f.words) == 0 {
			continue
		}
		var ids []any
		for _, w := range f.words {
			id, ok, err := lookup(ctx, s.reader, w)
			if err != nil {
				return "", nil, false, err
			}
			if ok {
				ids = append(ids, id)
			}
		}
		if len(ids) == 0 {
			return "", nil, true, nil
		}
		add("e."+f.column+" IN (?"+strings.Repeat(",?", len(ids)-1)+")", ids...)
	}
	if q.Outcome != "" {
		add("e.outcome = ?", string(q.Outcome))
	}
	// Times never fall, so bounds of time are bounds of seq: no index on time.
	if !q.From.IsZero() {
		n, err := s.SizeAt(ctx, q.From)
		if err != nil {
			return "", nil, false, err
		}
		add("e.seq >= ?", n)
	}
	if !q.To.IsZero() {
		n, err := s.SizeAt(ctx, q.To)
		if err != nil {
			return "", nil, false, err
		}
		add("e.seq < ?", n)
	}
	return strings.Join(c, " AND "), args, false, nil
}

// History implements store.Store.
func (s *Store) History(ctx context.Context, kind document.Kind, id string) ([]int64, error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT seq FROM changes WHERE kind = ? AND id = ? ORDER BY seq`, string(kind), id)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		out = append(out, seq)
	}
	return out, rows.Err()
}

// Changed implements store.Store.
func (s *Store) Changed(ctx context.Context, kind document.Kind, size int64) ([]store.Change, error) {
	return changed(ctx, s.reader, kind, size)
}

// Hashes implements store.Store.
func (s *Store) Hashes(ctx context.Context) tlog.HashReader { return newHashes(ctx, s.reader) }

// Jobs implements store.Store.
func (s *Store) Jobs(ctx context.Context, limit int) ([]store.Job, error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT id, seq, kind, ref FROM jobs ORDER BY id LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	defer rows.Close()
	var out []store.Job
	for rows.Next() {
		var j store.Job
		if err := rows.Scan(&j.ID, &j.Seq, &j.Kind, &j.Ref); err != nil {
			return nil, fmt.Errorf("jobs: %w", err)
		}
		out = append(out, j)
	}
	return out, rows.Err()
}

// WrappedKey implements secret.Shelf.
func (s *Store) WrappedKey(ctx context.Context, scope string) (secret.WrappedKey, error) {
	k := secret.WrappedKey{Scope: scope}
	err := s.reader.QueryRowContext(ctx, `SELECT id, wrapped FROM wrapped WHERE scope = ?`, scope).Scan(&k.ID, &k.Wrapped)
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
	err := s.reader.QueryRowContext(ctx, `SELECT scope, key, ciphertext FROM sealed WHERE id = ?`, id).Scan(&v.Scope, &v.Key, &v.Ciphertext)
	if errors.Is(err, sql.ErrNoRows) {
		return v, fault.New(fault.NotFound, "there is no such sealed value")
	}
	if err != nil {
		return v, fmt.Errorf("sealed value: %w", err)
	}
	return v, nil
}
