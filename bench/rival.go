package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// rival is a ledger in PostgreSQL as a good writer of it would be: one
// connection, each batch one pipelined round trip with one transaction, rows
// sent as arrays, hashes in tiles, words as small integers.
type rival struct {
	conn  *pgx.Conn
	tree  tree
	terms map[string]int32
}

const rivalSchema = `
DROP TABLE IF EXISTS entries, terms, hashes, documents, changes, keys;
CREATE TABLE entries (
	seq bigint PRIMARY KEY, time text NOT NULL, scope int NOT NULL, hash bytea NOT NULL, salt bytea, body bytea,
	action int NOT NULL, outcome text NOT NULL, actor int NOT NULL, app int NOT NULL, target int NOT NULL);
CREATE INDEX ON entries (scope, seq);
CREATE INDEX ON entries (action, seq);
CREATE INDEX ON entries (actor, seq);
CREATE INDEX ON entries (app, seq) WHERE app <> 0;
CREATE INDEX ON entries (target, seq) WHERE target <> 0;
CREATE TABLE terms (id int PRIMARY KEY, term text NOT NULL UNIQUE);
CREATE TABLE hashes (tile bigint PRIMARY KEY, data bytea NOT NULL);
ALTER TABLE hashes ALTER data SET STORAGE PLAIN;
CREATE TABLE documents (kind text, id text, rev bigint NOT NULL, seq bigint NOT NULL, doc bytea, PRIMARY KEY (kind, id));
CREATE TABLE changes (kind text, id text, seq bigint, rev bigint NOT NULL, PRIMARY KEY (kind, id, seq));
CREATE TABLE keys (kind text, name text, value text, id text, PRIMARY KEY (kind, name, value, id));
`

func newRival(ctx context.Context, p *postgres) (*rival, error) {
	c, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := c.Exec(ctx, rivalSchema); err != nil {
		c.Close(ctx)
		return nil, err
	}
	return &rival{conn: c, terms: map[string]int32{"": 0}}, nil
}

func (r *rival) close() error { return r.conn.Close(context.Background()) }

// term gives a word's number and has it stored if it is new.
func (r *rival) term(b *pgx.Batch, word string) int32 {
	n, ok := r.terms[word]
	if !ok {
		n = int32(len(r.terms))
		r.terms[word] = n
		b.Queue(`INSERT INTO terms VALUES ($1, $2)`, n, word)
	}
	return n
}

func (r *rival) commit(list []*leaf) error {
	ctx := context.Background()
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	if err := r.entries(b, list); err != nil {
		return err
	}
	r.documents(b, list)
	b.Queue("COMMIT")
	return r.conn.SendBatch(ctx, b).Close()
}

func (r *rival) entries(b *pgx.Batch, list []*leaf) error {
	n := len(list)
	seq, times, outcome := make([]int64, n), make([]string, n), make([]string, n)
	hash, salt, body := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	var ids [5][]int32
	dirty := map[int64]bool{}
	for i, l := range list {
		header := l.header(r.tree.size)
		seq[i], times[i], outcome[i] = r.tree.size, l.time.Format(time.RFC3339Nano), string(l.sample.body.Outcome)
		hash[i], salt[i], body[i] = l.hash[:], l.salt[:], l.body
		for j, word := range []string{l.scope, l.sample.body.Action, l.sample.body.Actor.ID, l.sample.body.App, l.sample.body.Target.ID} {
			ids[j] = append(ids[j], r.term(b, word))
		}
		at := int64(len(r.tree.hashes))
		if _, err := r.tree.add(leafHash(header)); err != nil {
			return err
		}
		for ; at < int64(len(r.tree.hashes)); at++ {
			dirty[at/tileHashes] = true
		}
	}
	b.Queue(`INSERT INTO entries SELECT * FROM unnest($1::bigint[], $2::text[], $3::int[], $4::bytea[], $5::bytea[], $6::bytea[],
		$7::int[], $8::text[], $9::int[], $10::int[], $11::int[])`,
		seq, times, ids[0], hash, salt, body, ids[1], outcome, ids[2], ids[3], ids[4])
	for t := range dirty {
		b.Queue(`INSERT INTO hashes VALUES ($1, $2) ON CONFLICT (tile) DO UPDATE SET data = excluded.data`, t, r.tree.tile(t))
	}
	return nil
}

func (r *rival) documents(b *pgx.Batch, list []*leaf) {
	var kinds, idents, newKinds, newIdents []string
	var revs, seqs, newRevs, newSeqs []int64
	var docs [][]byte
	var keys [4][]string
	seen := map[string]bool{}
	first := r.tree.size - int64(len(list))
	for i := len(list) - 1; i >= 0; i-- {
		c := list[i].sample.body.Changes[0]
		kinds, idents, seqs, revs = append(kinds, c.Kind), append(idents, c.ID), append(seqs, first+int64(i)), append(revs, c.Rev)
		if seen[c.ID] {
			continue
		}
		seen[c.ID] = true
		newKinds, newIdents, newSeqs, newRevs = append(newKinds, c.Kind), append(newIdents, c.ID), append(newSeqs, first+int64(i)), append(newRevs, c.Rev)
		docs = append(docs, c.Doc)
		if c.Rev == 1 {
			for _, k := range list[i].doc.Keys() {
				for j, s := range []string{c.Kind, k.Name, k.Value, c.ID} {
					keys[j] = append(keys[j], s)
				}
			}
		}
	}
	b.Queue(`INSERT INTO documents SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bytea[])
		ON CONFLICT (kind, id) DO UPDATE SET rev = excluded.rev, seq = excluded.seq, doc = excluded.doc`, newKinds, newIdents, newRevs, newSeqs, docs)
	b.Queue(`INSERT INTO changes SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])`, kinds, idents, seqs, revs)
	if len(keys[0]) > 0 {
		b.Queue(`INSERT INTO keys SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING`, keys[0], keys[1], keys[2], keys[3])
	}
}
