package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// batch is the writer's transaction. The first error sticks: whatever the
// caller does with it, the batch cannot commit.
type batch struct {
	view
	s    *Store
	tx   *sql.Tx
	head *head
	err  error

	shreds bool // a key is destroyed
}

// Write runs fn in one transaction. See store.Store.
func (s *Store) Write(fn func(store.Batch) error) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if err := s.write(fn); err != nil {
		// Nothing that memory holds of a failed batch may be used again.
		s.head, s.terms = nil, newTerms()
		return err
	}
	return nil
}

func (s *Store) write(fn func(store.Batch) error) (err error) {
	if err := s.trip("begin"); err != nil {
		return err
	}
	tx, err := s.writer.Begin()
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			// SQLite may have rolled back already (disk full); that is the aim.
			if rerr := tx.Rollback(); rerr != nil && !errors.Is(rerr, sql.ErrTxDone) {
				s.log.Warn("ledger: rollback", "error", rerr)
			}
		}
	}()
	h, err := s.loadHead(tx)
	if err != nil {
		return err
	}
	b := &batch{s: s, tx: tx, head: h}
	b.view = view{ctx: context.Background(), q: tx, size: func() int64 { return h.size }}
	if err := fn(b); err != nil {
		return err
	}
	if b.err != nil {
		return b.err
	}
	if err := b.flush(); err != nil {
		return err
	}
	if err := s.trip("commit"); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	h.trim()
	s.head = h
	if b.shreds {
		s.shred.Store(true)
	}
	return nil
}

func (s *Store) trip(statement string) error {
	if s.fail == nil {
		return nil
	}
	return s.fail(statement)
}

func (s *Store) loadHead(tx *sql.Tx) (*head, error) {
	if s.head != nil {
		s.head.base = newHashes(context.Background(), tx)
		return s.head, nil
	}
	h := &head{tiles: map[int64][]byte{}, dirty: map[int64]bool{}, base: newHashes(context.Background(), tx)}
	err := tx.QueryRow(`SELECT seq + 1, time FROM entries ORDER BY seq DESC LIMIT 1`).Scan(&h.size, &h.time)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read the head: %w", err)
	}
	return h, nil
}

// LastTime implements store.Batch.
func (b *batch) LastTime() time.Time {
	if b.head.time == "" {
		return time.Time{}
	}
	t, err := ledger.ParseTime(b.head.time)
	if err != nil {
		b.err = errors.Join(b.err, &store.Damage{Seq: b.head.size - 1, What: "its time cannot be read"})
	}
	return t
}

// Append implements store.Batch.
func (b *batch) Append(now time.Time, d store.Draft) (int64, error) {
	if b.err != nil {
		return 0, b.err
	}
	seq, err := b.append(now, d)
	if err != nil {
		b.err = err
	}
	return seq, err
}

func (b *batch) append(now time.Time, d store.Draft) (int64, error) {
	body, err := d.Body.Canonical()
	if err != nil {
		return 0, fmt.Errorf("entry: %w", err)
	}
	e := ledger.Entry{Seq: b.head.size, Time: now, Body: body}
	if d.Scope != "" {
		e.Scope = &d.Scope
	}
	rand.Read(e.Salt[:])
	if err := b.insertEntry(e, &d.Body); err != nil {
		return 0, err
	}
	if err := b.applyChanges(e.Seq, d); err != nil {
		return 0, err
	}
	if err := b.putBeside(e.Seq, d); err != nil {
		return 0, err
	}
	if err := b.head.add(ledger.LeafHash(e.Header())); err != nil {
		return 0, err
	}
	b.head.time = ledger.FormatTime(e.Time)
	return e.Seq, nil
}

func (b *batch) exec(name, query string, args ...any) error {
	if err := b.s.trip(name); err != nil {
		return err
	}
	if _, err := b.tx.Exec(query, args...); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (b *batch) insertEntry(e ledger.Entry, body *ledger.Body) error {
	scope := ""
	if e.Scope != nil {
		scope = *e.Scope
	}
	var ids [5]int64
	for i, word := range []string{scope, body.Action, body.Actor.ID, body.App, body.Target.ID} {
		id, err := b.s.terms.of(b.tx, word)
		if err != nil {
			return err
		}
		ids[i] = id
	}
	hash := ledger.BodyHash(e.Salt, e.Body)
	return b.exec("insert entry",
		`INSERT INTO entries (seq, time, scope, hash, salt, body, action, outcome, actor, app, target) VALUES (?,?,?,?,?,?,?,?,?,?,?)`,
		e.Seq, ledger.FormatTime(e.Time), ids[0], hash[:], e.Salt[:], e.Body, ids[1], string(body.Outcome), ids[2], ids[3], ids[4])
}

func (b *batch) applyChanges(seq int64, d store.Draft) error {
	if len(d.Docs) != len(d.Body.Changes) {
		return fmt.Errorf("entry has %d changes and %d documents", len(d.Body.Changes), len(d.Docs))
	}
	for i, c := range d.Body.Changes {
		if err := b.applyChange(seq, c, d.Docs[i]); err != nil {
			return err
		}
	}
	return b.erase(d.Body.Erased)
}

func (b *batch) applyChange(seq int64, c ledger.Change, doc document.Doc) error {
	kind := document.Kind(c.Kind)
	rev, _, err := b.Rev(kind, c.ID)
	if err != nil {
		return err
	}
	if c.Rev != rev+1 && rev != 0 || rev == 0 && c.Rev < 1 {
		return fmt.Errorf("%s %s: revision %d does not follow %d", c.Kind, c.ID, c.Rev, rev)
	}
	old, err := b.Get(kind, c.ID)
	if err != nil {
		return err
	}
	if err := b.moveKeys(old, doc); err != nil {
		return err
	}
	var raw []byte
	if doc != nil {
		raw = c.Doc
	}
	if err := b.exec("put document",
		`INSERT INTO documents (kind, id, rev, seq, doc) VALUES (?,?,?,?,?)
		 ON CONFLICT (kind, id) DO UPDATE SET rev = excluded.rev, seq = excluded.seq, doc = excluded.doc`,
		c.Kind, c.ID, c.Rev, seq, raw); err != nil {
		return err
	}
	return b.exec("put change", `INSERT INTO changes (kind, id, seq, rev) VALUES (?,?,?,?)`, c.Kind, c.ID, seq, c.Rev)
}

func (b *batch) moveKeys(old, doc document.Doc) error {
	keep := map[document.Key]bool{}
	if doc != nil {
		for _, k := range doc.Keys() {
			keep[k] = true
		}
	}
	if old != nil {
		for _, k := range old.Keys() {
			if keep[k] {
				delete(keep, k)
				continue
			}
			if err := b.exec("drop key", `DELETE FROM keys WHERE kind = ? AND name = ? AND value = ? AND id = ?`,
				string(old.Kind()), k.Name, k.Value, old.Ident()); err != nil {
				return err
			}
		}
	}
	for k := range keep {
		if err := b.exec("put key", `INSERT INTO keys (kind, name, value, id) VALUES (?,?,?,?)`,
			string(doc.Kind()), k.Name, k.Value, doc.Ident()); err != nil {
			return err
		}
	}
	return nil
}

// erase deletes bodies whose retention ended; spec: never one that holds the
// newest document of anything.
func (b *batch) erase(list []ledger.Erased) error {
	for _, e := range list {
		var holds bool
		if err := b.tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM documents WHERE seq = ?)`, e.Seq).Scan(&holds); err != nil {
			return fmt.Errorf("erase: %w", err)
		}
		if holds {
			return fmt.Errorf("erase: entry %d holds the newest version of a document", e.Seq)
		}
		if err := b.exec("erase body", `UPDATE entries SET salt = NULL, body = NULL WHERE seq = ?`, e.Seq); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) putBeside(seq int64, d store.Draft) error {
	for _, v := range d.Sealed {
		if err := b.exec("put sealed", `INSERT INTO sealed (id, scope, key, ciphertext) VALUES (?,?,?,?)`, v.ID, v.Scope, v.Key, v.Ciphertext); err != nil {
			return err
		}
	}
	for _, k := range d.Keys {
		if err := b.putKey(k); err != nil {
			return err
		}
	}
	for _, scope := range d.DestroyKeys {
		b.shreds = true
		if err := b.exec("destroy key", `UPDATE wrapped SET wrapped = NULL WHERE scope = ?`, scope); err != nil {
			return err
		}
	}
	for _, j := range d.Jobs {
		if err := b.exec("put job", `INSERT INTO jobs (seq, kind, ref) VALUES (?,?,?)`, seq, j.Kind, j.Ref); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) putKey(k secret.WrappedKey) error {
	return b.exec("put wrapped key", `INSERT INTO wrapped (scope, id, wrapped) VALUES (?,?,?)`, k.Scope, k.ID, k.Wrapped)
}

// flush writes the tiles that the batch touched.
func (b *batch) flush() error {
	for n := range b.head.dirty {
		if err := b.exec("put tree hashes",
			`INSERT INTO hashes (tile, data) VALUES (?,?) ON CONFLICT (tile) DO UPDATE SET data = excluded.data`,
			n, b.head.tiles[n]); err != nil {
			return err
		}
	}
	return nil
}

// JobDone implements store.Store. Jobs are a to-do list, not state.
func (s *Store) JobDone(id int64) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if _, err := s.writer.Exec(`DELETE FROM jobs WHERE id = ?`, id); err != nil {
		return fmt.Errorf("job done: %w", err)
	}
	return nil
}

// decode is the document of a stored row.
func decode(kind document.Kind, raw []byte) (document.Doc, error) {
	if raw == nil {
		return nil, nil
	}
	return document.Decode(kind, json.RawMessage(raw))
}
