package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Verify implements store.Store. It reads every entry in pages, so that it
// never pins the WAL for long, up to the size at which it started.
func (s *Store) Verify(ctx context.Context, progress func(done, total int64)) error {
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	v := &verifier{s: s, state: map[docKey]store.Change{}, erased: map[int64]bool{}}
	for v.next < head.Size {
		if err := v.page(ctx, head.Size); err != nil {
			return err
		}
		if progress != nil {
			progress(v.next, head.Size)
		}
	}
	for seq := range v.blank {
		if !v.erased[seq] {
			return &store.Damage{Seq: seq, What: "its body is missing and no body.erase names it"}
		}
	}
	if err := v.documents(ctx, head.Size); err != nil {
		return err
	}
	return s.integrity(ctx)
}

type docKey struct{ kind, id string }

// verifier folds the entries again: tree hashes, revisions, newest changes.
type verifier struct {
	s      *Store
	next   int64
	time   string
	hashes head
	state  map[docKey]store.Change
	blank  map[int64]bool // entries without a body
	erased map[int64]bool // entries that a body.erase names
}

const verifyPage = 5_000

func (v *verifier) page(ctx context.Context, size int64) error {
	if v.hashes.tiles == nil {
		v.hashes = head{tiles: map[int64][]byte{}, dirty: map[int64]bool{}}
		v.blank = map[int64]bool{}
	}
	list, err := v.s.Entries(ctx, store.Query{FromSeq: v.next, ToSeq: size, Limit: verifyPage})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return &store.Damage{Seq: v.next, What: "it is missing"}
	}
	// Recomputed tiles must read nothing from the database but older tiles
	// that this verifier compared already.
	v.hashes.base = newHashes(ctx, v.s.reader)
	for i := range list {
		if err := v.entry(&list[i]); err != nil {
			return err
		}
	}
	return v.compareTiles(ctx)
}

func (v *verifier) entry(r *store.Record) error {
	damage := func(what string) error { return &store.Damage{Seq: v.next, What: what} }
	if r.Header.Seq != v.next {
		return damage("it is missing")
	}
	if t := ledger.FormatTime(r.Header.Time); t < v.time {
		return damage("its time is before that of the entry before it")
	} else {
		v.time = t
	}
	if r.Body == nil {
		v.blank[v.next] = true
	} else {
		if ledger.BodyHash(r.Salt, r.Body) != r.Header.Body {
			return damage("its body or salt was altered")
		}
		if err := v.fold(r); err != nil {
			return err
		}
	}
	if err := v.hashes.add(ledger.LeafHash(r.Header.Append(nil))); err != nil {
		return err
	}
	v.next++
	return nil
}

func (v *verifier) fold(r *store.Record) error {
	if !bytes.Contains(r.Body, []byte(`"changes":`)) && !bytes.Contains(r.Body, []byte(`"erased":`)) {
		return nil
	}
	var body ledger.Body
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return &store.Damage{Seq: v.next, What: "its body cannot be read"}
	}
	for _, e := range body.Erased {
		v.erased[e.Seq] = true
	}
	for _, c := range body.Changes {
		k := docKey{c.Kind, c.ID}
		old, ok := v.state[k]
		// An erased body may have held revisions in between.
		if ok && c.Rev != old.Rev+1 && len(v.blank) == 0 {
			return &store.Damage{Seq: v.next, What: fmt.Sprintf("%s %s has revision %d after %d", c.Kind, c.ID, c.Rev, old.Rev)}
		}
		v.state[k] = store.Change{ID: c.ID, Rev: c.Rev, Seq: v.next}
	}
	return nil
}

// compareTiles compares the recomputed tree hashes with the stored ones.
func (v *verifier) compareTiles(ctx context.Context) error {
	stored := newHashes(ctx, v.s.reader)
	for n := range v.hashes.dirty {
		have, err := stored.tile(n)
		if err != nil {
			return err
		}
		want := v.hashes.tiles[n]
		if len(have) < len(want) || !bytes.Equal(have[:len(want)], want) {
			return &store.Damage{Seq: v.blame(n, have, want), What: "a tree hash is not the one that its header gives: the header or the hash was altered"}
		}
	}
	v.hashes.trim()
	return nil
}

// blame names the entry whose stored hash is the first that differs.
func (v *verifier) blame(tile int64, have, want []byte) int64 {
	at := 0
	for at+hashSize <= len(have) && at+hashSize <= len(want) && bytes.Equal(have[at:at+hashSize], want[at:at+hashSize]) {
		at += hashSize
	}
	level, n := tlog.SplitStoredHashIndex(tile*tileHashes + int64(at/hashSize))
	return (n+1)<<level - 1
}

// documents compares the folded state with the tables that commands read.
func (v *verifier) documents(ctx context.Context, size int64) error {
	rows, err := v.s.reader.QueryContext(ctx, `SELECT kind, id, rev, seq, doc FROM documents WHERE seq < ?`, size)
	if err != nil {
		return fmt.Errorf("verify documents: %w", err)
	}
	defer rows.Close()
	seen := 0
	for rows.Next() {
		var k docKey
		var c store.Change
		var doc []byte
		if err := rows.Scan(&k.kind, &k.id, &c.Rev, &c.Seq, &doc); err != nil {
			return fmt.Errorf("verify documents: %w", err)
		}
		want, ok := v.state[k]
		if !ok {
			return &store.Damage{Seq: c.Seq, What: fmt.Sprintf("the current %s %s is in no entry", k.kind, k.id)}
		}
		if want.Seq != c.Seq || want.Rev != c.Rev {
			return &store.Damage{Seq: want.Seq, What: fmt.Sprintf("the current %s %s is not its newest version", k.kind, k.id)}
		}
		if err := v.sameDocument(ctx, k, c.Seq, doc); err != nil {
			return err
		}
		seen++
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("verify documents: %w", err)
	}
	return v.newer(ctx, size, seen)
}

func (v *verifier) sameDocument(ctx context.Context, k docKey, seq int64, doc []byte) error {
	var raw []byte
	if err := v.s.reader.QueryRowContext(ctx, `SELECT body FROM entries WHERE seq = ?`, seq).Scan(&raw); err != nil {
		return fmt.Errorf("verify documents: %w", err)
	}
	var body ledger.Body
	if err := json.Unmarshal(raw, &body); err != nil {
		return &store.Damage{Seq: seq, What: "its body cannot be read"}
	}
	for _, c := range body.Changes {
		if c.Kind != k.kind || c.ID != k.id {
			continue
		}
		if c.Deleted() && doc == nil {
			return nil
		}
		if canonical, err := ledger.Canonicalize(json.RawMessage(doc)); err == nil && bytes.Equal(canonical, c.Doc) {
			return v.usable(ctx, k, seq, doc)
		}
	}
	return &store.Damage{Seq: seq, What: fmt.Sprintf("the current %s %s is not what the entry holds", k.kind, k.id)}
}

// usable makes sure that this version can serve a document and finds it by
// each of its keys.
func (v *verifier) usable(ctx context.Context, k docKey, seq int64, raw []byte) error {
	if raw == nil {
		return nil
	}
	doc, err := document.Decode(document.Kind(k.kind), raw)
	if err != nil {
		return fmt.Errorf("entry %d: %w", seq, err)
	}
	for _, key := range doc.Keys() {
		var ok bool
		if err := v.s.reader.QueryRowContext(ctx,
			`SELECT EXISTS (SELECT 1 FROM keys WHERE kind = ? AND name = ? AND value = ? AND id = ?)`,
			k.kind, key.Name, key.Value, k.id).Scan(&ok); err != nil {
			return fmt.Errorf("verify keys: %w", err)
		}
		if !ok {
			return &store.Damage{Seq: seq, What: fmt.Sprintf("the current %s %s is not found by its %s", k.kind, k.id, key.Name)}
		}
	}
	return nil
}

// newer accounts for documents whose newest change came after the size that is
// verified: everything else that was folded must have been seen.
func (v *verifier) newer(ctx context.Context, size int64, seen int) error {
	if seen == len(v.state) {
		return nil
	}
	for k, c := range v.state {
		var seq int64
		err := v.s.reader.QueryRowContext(ctx, `SELECT seq FROM documents WHERE kind = ? AND id = ?`, k.kind, k.id).Scan(&seq)
		if err == sql.ErrNoRows || err == nil && seq < c.Seq {
			return &store.Damage{Seq: c.Seq, What: fmt.Sprintf("the current %s %s is missing", k.kind, k.id)}
		}
		if err != nil {
			return fmt.Errorf("verify documents: %w", err)
		}
	}
	return nil
}

// integrity asks SQLite for torn pages and broken indexes.
func (s *Store) integrity(ctx context.Context) error {
	var result string
	if err := s.reader.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&result); err != nil {
		return &store.Damage{Seq: -1, What: fmt.Sprintf("the database cannot be read: %v", err)}
	}
	if result != "ok" {
		return &store.Damage{Seq: -1, What: "the database file is torn: " + result}
	}
	return nil
}
