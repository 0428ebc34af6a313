package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/store/sqlite"
)

const month = 30 * 24 * time.Hour

// queryFigure asks for one app's month in the middle of the ledger: as lines of
// a listing, and as whole entries.
func queryFigure(ctx context.Context, b *bench) error {
	dir, remove, err := b.dir()
	if err != nil {
		return err
	}
	defer remove()
	p, err := startPostgres(ctx, dir)
	if err != nil && !errors.Is(err, errNoPostgres) {
		return err
	}
	if p != nil {
		defer p.close()
	}
	n := b.entries
	s, _, err := b.built(ctx, wide, n)
	if err != nil {
		return err
	}
	defer s.Close()
	from := epoch.Add(time.Duration(n)*worldStep/2 - month/2)
	q := func(i int) store.Query {
		return store.Query{App: id('p', i%worldApps), From: from, To: from.Add(month)}
	}
	lines, err := s.List(ctx, q(0))
	if err != nil {
		return err
	}
	list := typical(200, func(i int) error { _, err := s.List(ctx, q(i)); return err })
	entries := typical(60, func(i int) error { _, err := s.Entries(ctx, q(i)); return err })
	var peerList, peerEntries func() (time.Duration, error)
	name := ""
	if p != nil {
		c, err := loadEntries(ctx, p, s, n)
		if err != nil {
			return err
		}
		defer c.Close(ctx)
		name = p.name()
		lo, hi, err := bounds(ctx, s, q(0))
		if err != nil {
			return err
		}
		peerList = typical(200, func(i int) error { return askPostgres(ctx, c, "seq, time, action, outcome, actor, target", i, lo, hi) })
		peerEntries = typical(60, func(i int) error { return askPostgres(ctx, c, "seq, time, scope, salt, body, hash", i, lo, hi) })
	}
	label := fmt.Sprintf("%d lines of %s", len(lines), thousands(n))
	ours, theirs, err := b.contest(ctx, time.Millisecond, list, peerList)
	if err != nil {
		return err
	}
	b.add(Result{Figure: "query", Case: label, Unit: "ms", Peer: name}, ours, theirs, atMost(1, "≤ 1 ms"))
	if ours, theirs, err = b.contest(ctx, time.Millisecond, entries, peerEntries); err != nil {
		return err
	}
	b.add(Result{Figure: "query", Case: label + ", with bodies", Unit: "ms", Peer: name}, ours, theirs, aim{})
	return nil
}

func bounds(ctx context.Context, s *sqlite.Store, q store.Query) (lo, hi int64, err error) {
	if lo, err = s.SizeAt(ctx, q.From); err != nil {
		return 0, 0, err
	}
	hi, err = s.SizeAt(ctx, q.To)
	return lo, hi, err
}

// loadEntries copies the ledger into a table of the peer's, with an index that
// covers the listing.
func loadEntries(ctx context.Context, p *postgres, s *sqlite.Store, n int64) (*pgx.Conn, error) {
	c, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := c.Exec(ctx, `DROP TABLE IF EXISTS listed; CREATE TABLE listed (
		seq bigint PRIMARY KEY, time timestamptz NOT NULL, scope text, salt bytea, body bytea, hash bytea,
		action text NOT NULL, outcome text NOT NULL, actor text NOT NULL, app text NOT NULL, target text NOT NULL)`); err != nil {
		return nil, err
	}
	const page = 5000
	for at := int64(0); at < n; at += page {
		q := store.Query{FromSeq: at, ToSeq: at + page}
		lines, err := s.List(ctx, q)
		if err != nil {
			return nil, err
		}
		records, err := s.Entries(ctx, q)
		if err != nil {
			return nil, err
		}
		rows := make([][]any, len(lines))
		for i, l := range lines {
			r := records[i]
			rows[i] = []any{l.Seq, l.Time, l.Scope, r.Salt[:], r.Body, r.Header.Body[:], l.Action, string(l.Outcome), l.Actor, l.App, l.Target}
		}
		columns := []string{"seq", "time", "scope", "salt", "body", "hash", "action", "outcome", "actor", "app", "target"}
		if _, err := c.CopyFrom(ctx, pgx.Identifier{"listed"}, columns, pgx.CopyFromRows(rows)); err != nil {
			return nil, err
		}
	}
	_, err = c.Exec(ctx, `CREATE INDEX ON listed (app, seq) INCLUDE (time, action, outcome, actor, target)`)
	if err == nil {
		_, err = c.Exec(ctx, `VACUUM ANALYZE listed`)
	}
	return c, err
}

func askPostgres(ctx context.Context, c *pgx.Conn, columns string, i int, lo, hi int64) error {
	rows, err := c.Query(ctx, `SELECT `+columns+` FROM listed WHERE app = $1 AND seq >= $2 AND seq < $3 ORDER BY seq`, id('p', i%worldApps), lo, hi)
	if err != nil {
		return err
	}
	for rows.Next() {
		if _, err := rows.Values(); err != nil {
			return err
		}
	}
	return rows.Err()
}
