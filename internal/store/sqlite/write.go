package sqlite

import (
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// batch is the writer's transaction. The first error sticks: whatever the
// caller does with it, the batch cannot commit.
//
// What Append is given is kept in memory and written when the function of the
// batch has returned: entries one after the other, each changed document once.
// Until then the batch answers Get, Find and Rev from memory.
type batch struct {
	s       *Store
	tx      *transaction
	head    *head
	entries *entries
	time    string // of the newest entry, as written
	err     error

	changed map[docKey]*version
	order   []docKey // of changed, as it came
	terms   map[string]int64
	shreds  bool // a key is destroyed or a body erased
}

// Write runs fn in one transaction. See store.Store.
func (s *Store) Write(fn func(store.Batch) error) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	durable := false
	defer func() {
		if !durable { // nothing that memory holds of a failed batch may be used again
			s.head, s.current = nil, newCurrent()
		}
	}()
	err := s.write(fn)
	durable = err == nil
	return err
}

func (s *Store) write(fn func(store.Batch) error) error {
	if s.writer == nil {
		return errReadOnly
	}
	if err := s.trip("begin"); err != nil {
		return err
	}
	tx, err := s.writer.beginWrite()
	if err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			s.rollback(tx)
		}
	}()
	b, err := s.newBatch(tx)
	if err != nil {
		return err
	}
	defer b.entries.stop()
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
	if err := tx.commit(); err != nil {
		return err
	}
	committed = true
	b.keep()
	return nil
}

func (s *Store) rollback(t *transaction) {
	if err := t.rollback(); err != nil {
		s.log.Debug("ledger: rollback", "error", err)
	}
}

func (s *Store) trip(statement string) error {
	if s.fail == nil {
		return nil
	}
	return s.fail(statement)
}

func (s *Store) newBatch(tx *transaction) (*batch, error) {
	h, err := s.loadHead(tx)
	if err != nil {
		return nil, err
	}
	return &batch{
		s: s, tx: tx, head: h, time: h.time, entries: newEntries(),
		changed: map[docKey]*version{}, terms: map[string]int64{},
	}, nil
}

func (s *Store) loadHead(tx *transaction) (*head, error) {
	if s.head != nil {
		s.head.base = newHashes(tx)
		return s.head, nil
	}
	h := newHead(newHashes(tx))
	err := tx.one(`SELECT seq + 1, time FROM entries ORDER BY seq DESC LIMIT 1`, nil, &h.size, &h.time)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read the head: %w", err)
	}
	return h, nil
}

// keep makes what the committed batch did the state that memory holds.
func (b *batch) keep() {
	for word, id := range b.terms {
		b.s.words.keep(word, id)
	}
	for k, v := range b.changed {
		b.s.current.docs.put(k, v)
	}
	b.head.time = b.time
	b.head.trim()
	b.s.head = b.head
	if b.shreds {
		b.s.shred.Store(true)
	}
}

// Size implements store.View.
func (b *batch) Size() int64 { return b.head.size + int64(len(b.entries.list)) }

// LastTime implements store.Batch.
func (b *batch) LastTime() time.Time {
	if b.time == "" {
		return time.Time{}
	}
	t, err := ledger.ParseTime(b.time)
	if err != nil {
		b.err = errors.Join(b.err, &store.Damage{Seq: b.Size() - 1, What: "its time cannot be read"})
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
	if len(d.Docs) != len(d.Body.Changes) {
		return 0, fmt.Errorf("entry has %d changes and %d documents", len(d.Body.Changes), len(d.Docs))
	}
	seq := b.Size()
	e := &entry{Header: ledger.Header{Seq: seq, Time: now}, time: ledger.FormatTime(now), body: d.Body}
	if d.Scope != "" {
		e.Scope = &d.Scope
	}
	rand.Read(e.salt[:])
	if err := b.index(e, d.Scope); err != nil {
		return 0, err
	}
	for i, doc := range d.Docs {
		if err := b.applyChange(e, i, doc); err != nil {
			return 0, err
		}
	}
	if err := b.erase(d.Body.Erased); err != nil {
		return 0, err
	}
	if err := b.putBeside(seq, d); err != nil {
		return 0, err
	}
	b.entries.add(e)
	b.time = e.time
	return seq, nil
}

func (b *batch) exec(name, query string, args ...any) error {
	if err := b.s.trip(name); err != nil {
		return err
	}
	if err := b.tx.exec(query, args...); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// index finds the numbers of the words that the entry is found by.
func (b *batch) index(e *entry, scope string) error {
	for i, word := range []string{
		scope, e.body.Action, string(e.body.Outcome), e.body.Actor.ID, e.body.App, e.body.Target.ID,
	} {
		id, err := b.term(word)
		if err != nil {
			return err
		}
		e.words[i] = id
	}
	return nil
}

// erase deletes bodies whose retention ended; spec: never one that holds the
// newest document of anything. One that is gone already stays so.
func (b *batch) erase(list []ledger.Erased) error {
	for _, e := range list {
		if e.Seq >= b.head.size {
			return fmt.Errorf("erase: entry %d is not older than its erasure", e.Seq)
		}
		if err := b.erasable(e.Seq); err != nil {
			return err
		}
		b.shreds = true
		if err := b.exec("erase body", `UPDATE entries SET salt = NULL, body = NULL WHERE seq = ?`, e.Seq); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) erasable(seq int64) error {
	var raw []byte
	if err := b.tx.one(`SELECT body FROM entries WHERE seq = ?`, []any{seq}, &raw); err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	if raw == nil {
		return nil
	}
	changes, err := changesIn(raw)
	if err != nil {
		return &store.Damage{Seq: seq, What: "its body cannot be read"}
	}
	for _, c := range changes {
		v, err := b.version(docKey{string(c.kind), string(c.id)})
		if err != nil {
			return err
		}
		if v.seq == seq {
			return fmt.Errorf("erase: entry %d holds the newest version of a document", seq)
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

// flush writes what the batch kept in memory.
func (b *batch) flush() error {
	if err := b.putEntries(); err != nil {
		return err
	}
	if err := b.putDocuments(); err != nil {
		return err
	}
	return b.putHashes()
}

// JobDone implements store.Store. Jobs are a to-do list, not state.
func (s *Store) JobDone(ids ...int64) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.writer == nil {
		return errReadOnly
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	if _, err := s.writer.Exec(`DELETE FROM jobs WHERE id IN (SELECT value FROM json_each(?))`, string(list)); err != nil {
		return fmt.Errorf("job done: %w", err)
	}
	return nil
}
