package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// documents compares the folded state with the tables that commands read.
func (v *verifier) documents(ctx context.Context, size int64) error {
	return v.s.snapshot(ctx, func(r *reading) error {
		var want keySum
		seen := 0
		err := r.each(`SELECT d.kind, d.id, d.rev, d.seq, d.born, d.at, d.size, d.ladder, `+selectDocument+` FROM documents d`, nil, func(rows *sql.Rows) error {
			var k docKey
			var row folded
			var rungs, raw sql.RawBytes
			if err := rows.Scan(&k.kind, &k.id, &row.rev, &row.seq, &row.born, &row.at, &row.size, &rungs, &raw); err != nil {
				return err
			}
			if row.seq < size {
				seen++
				if err := v.document(k, &row, rungs); err != nil {
					return err
				}
			}
			return v.usable(&want, k, row.seq, raw)
		})
		if err != nil {
			return fmt.Errorf("verify documents: %w", err)
		}
		if err := v.newer(r, seen); err != nil {
			return err
		}
		return v.keys(r, want)
	})
}

// document compares one row with the fold.
func (v *verifier) document(k docKey, row *folded, rungs []byte) error {
	want, ok := v.state[k]
	switch {
	case !ok:
		return &store.Damage{Seq: row.seq, What: fmt.Sprintf("the current %s %s is in no entry", k.kind, k.id)}
	case want.seq != row.seq || want.rev != row.rev:
		return &store.Damage{Seq: want.seq, What: fmt.Sprintf("the current %s %s is not its newest version", k.kind, k.id)}
	case v.whole() && (want.born != row.born || !bytes.Equal(rungs, appendLadder(nil, row.seq, want.ladder))):
		return &store.Damage{Seq: row.seq, What: fmt.Sprintf("where the versions of the current %s %s are was altered", k.kind, k.id)}
	case want.at != row.at || want.size != row.size:
		return &store.Damage{Seq: row.seq, What: fmt.Sprintf("the current %s %s is not what the entry holds", k.kind, k.id)}
	}
	return nil
}

// usable makes sure that this version of the program can serve a document, and
// counts its keys.
func (v *verifier) usable(want *keySum, k docKey, seq int64, raw []byte) error {
	doc, err := decode(document.Kind(k.kind), raw)
	if err != nil {
		return fmt.Errorf("entry %d: %w", seq, err)
	}
	if doc == nil {
		return nil
	}
	for _, key := range doc.Keys() {
		want.add(v.seed, k.kind, key.Name, key.Value, k.id)
	}
	return nil
}

// newer accounts for documents whose newest change came after the size that is
// verified: everything else that was folded must have been seen.
func (v *verifier) newer(r *reading, seen int) error {
	if seen == len(v.state) {
		return nil
	}
	for k, c := range v.state {
		now, err := r.newest(document.Kind(k.kind), k.id)
		if err != nil {
			return err
		}
		if now.Rev == 0 || now.Seq < c.seq {
			return &store.Damage{Seq: c.seq, What: fmt.Sprintf("the current %s %s is missing", k.kind, k.id)}
		}
	}
	return nil
}

// keySum stands for a set of keys: their number and the sum of their digests.
type keySum struct {
	n, sum uint64
}

func (s *keySum) add(seed maphash.Seed, parts ...string) {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, p := range parts {
		h.WriteString(p)
		h.WriteByte(0xff) // in no UTF-8
	}
	s.n++
	s.sum += h.Sum64()
}

// keys compares the keys that the documents have with those by which they are
// found.
func (v *verifier) keys(r *reading, want keySum) error {
	var have keySum
	err := r.each(`SELECT kind, name, value, id FROM keys`, nil, func(rows *sql.Rows) error {
		var kind, name, value, id string
		if err := rows.Scan(&kind, &name, &value, &id); err != nil {
			return err
		}
		have.add(v.seed, kind, name, value, id)
		return nil
	})
	if err != nil {
		return fmt.Errorf("verify keys: %w", err)
	}
	if have == want {
		return nil
	}
	return v.wrongKey(r)
}

// wrongKey finds which key is missing or is too many.
func (v *verifier) wrongKey(r *reading) error {
	want := map[[4]string]int64{}
	err := r.each(`SELECT d.kind, d.id, d.seq, `+selectDocument+` FROM documents d`, nil, func(rows *sql.Rows) error {
		var kind, id string
		var seq int64
		var raw []byte
		if err := rows.Scan(&kind, &id, &seq, &raw); err != nil {
			return err
		}
		doc, err := decode(document.Kind(kind), raw)
		if err != nil || doc == nil {
			return err
		}
		for _, key := range doc.Keys() {
			want[[4]string{kind, key.Name, key.Value, id}] = seq
		}
		return nil
	})
	if err == nil {
		err = r.each(`SELECT kind, name, value, id FROM keys`, nil, func(rows *sql.Rows) error {
			var k [4]string
			if err := rows.Scan(&k[0], &k[1], &k[2], &k[3]); err != nil {
				return err
			}
			if _, ok := want[k]; !ok {
				return &store.Damage{Seq: -1, What: fmt.Sprintf("the %s %s is found by a %s that it does not have", k[0], k[3], k[1])}
			}
			delete(want, k)
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("verify keys: %w", err)
	}
	for k, seq := range want {
		return &store.Damage{Seq: seq, What: fmt.Sprintf("the current %s %s is not found by its %s", k[0], k[3], k[1])}
	}
	return errors.New("verify keys: the keys were changed meanwhile")
}

// integrity asks SQLite for torn pages and broken indexes.
func (s *Store) integrity(ctx context.Context) error {
	var result string
	if err := s.readers.point(ctx, `PRAGMA quick_check(1)`, nil, &result); err != nil {
		return &store.Damage{Seq: -1, What: fmt.Sprintf("the database cannot be read: %v", err)}
	}
	if result != "ok" {
		return &store.Damage{Seq: -1, What: "the database file is torn: " + result}
	}
	return nil
}
