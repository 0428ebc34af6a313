package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// walInterval is how often the background loop does its work. A checkpoint costs
// the appends beside it some of the disk; pages that change all the time are
// written once in each.
const walInterval = 250 * time.Millisecond

// maintain does what appends must not wait for: it moves committed pages from
// the WAL into the database file, and writes postings.
func (s *Store) maintain(ctx context.Context) {
	defer close(s.done)
	tick := time.NewTicker(walInterval)
	defer tick.Stop()
	db, err := sql.Open("sqlite", dsn(s.path, false))
	if err != nil {
		s.log.Error("ledger: no background checkpoints", "error", err)
		return
	}
	db.SetMaxOpenConns(1)
	defer db.Close()
	warn := s.warner(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		warn("background checkpoint failed", s.moveWAL(ctx, db))
		warn("postings not written", s.catchUp(ctx))
	}
}

// warner logs what fails, once as long as it goes on.
func (s *Store) warner(ctx context.Context) func(what string, err error) {
	failing := map[string]bool{}
	return func(what string, err error) {
		if err != nil && !failing[what] && ctx.Err() == nil {
			s.log.Warn("ledger: "+what, "error", err)
		}
		failing[what] = err != nil
	}
}

// Settle does the background loop's work at once: for programs that build a
// ledger and want to use it in the state that it soon has by itself.
func (s *Store) Settle(ctx context.Context) error { return s.catchUp(ctx) }

// catchUp writes the postings of all full segments.
func (s *Store) catchUp(ctx context.Context) error {
	for ctx.Err() == nil {
		if more, err := s.index(ctx); !more || err != nil {
			return err
		}
	}
	return nil
}

// walReset is how many pages the WAL may have before it begins again from its
// start (32 MB). Only then are its blocks used again: a WAL that only grows
// makes every sync slower, for the file grows with it.
const walReset = 8_000

// moveWAL copies committed pages to the database file. It stops neither readers
// nor the writer, but for two cases: the WAL has become long, or it must be
// emptied.
func (s *Store) moveWAL(ctx context.Context, db *sql.DB) error {
	if s.shred.Load() {
		return s.emptyWAL(ctx, db)
	}
	pages, _, err := checkpoint(ctx, db, "PASSIVE")
	if err != nil || pages < walReset {
		return err
	}
	// Appends wait while the little is copied that they added meanwhile. The
	// next one finds everything copied and begins the WAL anew. A checkpoint of
	// all of it in here would be their p99.
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	_, _, err = checkpoint(ctx, db, "PASSIVE")
	return err
}

// emptyWAL empties the log where nobody reads from it, and tries again at the
// next turn otherwise.
func (s *Store) emptyWAL(ctx context.Context, db *sql.DB) error {
	// The writer waits meanwhile, so this does not wait long for readers.
	if _, err := db.ExecContext(ctx, `PRAGMA busy_timeout(100)`); err != nil {
		return err
	}
	s.shred.Store(false)
	_, done, err := checkpoint(ctx, db, "TRUNCATE")
	if err != nil || !done {
		s.shred.Store(true)
	}
	return err
}

// checkpoint tells how many pages the WAL had, and whether it is all copied.
func checkpoint(ctx context.Context, db *sql.DB, mode string) (pages int, done bool, err error) {
	var busy, copied int
	if err := db.QueryRowContext(ctx, `PRAGMA wal_checkpoint(`+mode+`)`).Scan(&busy, &pages, &copied); err != nil {
		return 0, false, fmt.Errorf("checkpoint: %w", err)
	}
	return pages, busy == 0, nil
}
