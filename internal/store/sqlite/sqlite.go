// Package sqlite is the store on one host: modernc.org/sqlite in WAL mode with
// synchronous=FULL, one writer, many readers.
//
// Invariants: only Write changes entries, documents and what lies beside them;
// nothing that memory holds of a batch outlives the batch's failure; the WAL is
// checkpointed by a background loop, never inside a commit. internal/server
// opens it, internal/control writes to it.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// Store is an open database. It implements store.Store.
type Store struct {
	path string
	log  *slog.Logger

	writeMu sync.Mutex
	writer  *sql.DB // one connection
	head    *head   // what memory holds of the log's end; nil after a failed batch
	terms   *terms

	reader *sql.DB

	stop context.CancelFunc
	done chan struct{}
	// shred asks the background loop to empty the write-ahead log: it still
	// holds pages from before a key was destroyed.
	shred atomic.Bool

	// fail is the tests' hook: called before each statement of a batch and
	// before its commit, with a word for it; an error takes the statement's place.
	fail func(statement string) error
}

var _ store.Store = (*Store)(nil)

// walPages is how many pages the WAL may hold before the background loop
// checkpoints it: 4,000 pages are 16 MB.
const walInterval = 200 * time.Millisecond

// Create makes a new, empty database at path. It refuses an existing one.
func Create(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	if _, err := os.Stat(path); err == nil {
		return nil, fault.New(fault.Conflict, "a ledger exists already at %s", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("create ledger: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(path, false))
	if err != nil {
		return nil, fmt.Errorf("create ledger: %w", err)
	}
	if _, err := db.ExecContext(ctx, schema+fmt.Sprintf(`INSERT INTO meta VALUES ('schema', '%d')`, schemaVersion)); err != nil {
		return nil, errors.Join(fmt.Errorf("create ledger: %w", err), db.Close())
	}
	if err := db.Close(); err != nil {
		return nil, fmt.Errorf("create ledger: %w", err)
	}
	return Open(ctx, path, log)
}

// Open opens an existing database and checks its form. It does not verify the
// entries: Verify does.
func Open(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	s := &Store{path: path, log: log, terms: newTerms(), done: make(chan struct{})}
	var err error
	if s.writer, err = sql.Open("sqlite", dsn(path, false)); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	s.writer.SetMaxOpenConns(1)
	if s.reader, err = sql.Open("sqlite", dsn(path, true)); err != nil {
		return nil, errors.Join(fmt.Errorf("open ledger: %w", err), s.writer.Close())
	}
	s.reader.SetMaxOpenConns(8)
	s.reader.SetMaxIdleConns(2)
	if err := s.check(ctx); err != nil {
		return nil, errors.Join(err, s.writer.Close(), s.reader.Close())
	}
	loop, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.shred.Store(true) // the last run may have ended before it got there
	go s.checkpointWAL(loop)
	return s, nil
}

func dsn(path string, readOnly bool) string {
	u := url.URL{Scheme: "file", Opaque: url.PathEscape(path)}
	q := pragmas + "&_txlock=immediate"
	if readOnly {
		q = pragmas + "&_pragma=query_only(1)"
	}
	u.RawQuery = q
	return u.String()
}

func (s *Store) check(ctx context.Context) error {
	var version string
	if err := s.reader.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'schema'`).Scan(&version); err != nil {
		return &store.Damage{Seq: -1, What: fmt.Sprintf("the database %s cannot be read: %v", s.path, err)}
	}
	if n, err := strconv.Atoi(version); err != nil || n > schemaVersion {
		return fmt.Errorf("open ledger: %s has schema %s, this version of strongroom knows up to %d: start the version that wrote it or a later one", s.path, version, schemaVersion)
	}
	return nil
}

// checkpointWAL moves committed pages into the database file without stopping
// readers or the writer. An inline checkpoint would be the writer's p99.
func (s *Store) checkpointWAL(ctx context.Context) {
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
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.moveWAL(ctx, db); err != nil && ctx.Err() == nil {
				s.log.Warn("ledger: background checkpoint failed", "error", err)
			}
		}
	}
}

// moveWAL moves what it can; it empties the log where that was asked for and
// nobody reads from it, and tries again at the next turn otherwise.
func (s *Store) moveWAL(ctx context.Context, db *sql.DB) error {
	if !s.shred.Load() {
		_, err := db.ExecContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`)
		return err
	}
	// The writer waits meanwhile, so this does not wait long for readers.
	if _, err := db.ExecContext(ctx, `PRAGMA busy_timeout(100)`); err != nil {
		return err
	}
	s.shred.Store(false)
	var busy, pages, moved int
	err := db.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &moved)
	if err != nil || busy != 0 {
		s.shred.Store(true)
	}
	return err
}

// Close waits for the batch that is being written and closes the database.
func (s *Store) Close() error {
	s.stop()
	<-s.done
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	return errors.Join(s.reader.Close(), s.writer.Close())
}
