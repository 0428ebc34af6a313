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

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// Store is an open database. It implements store.Store.
type Store struct {
	path string
	log  *slog.Logger

	writeMu sync.Mutex
	db      *sql.DB
	writer  *connection
	closed  bool
	head    *head    // what memory holds of the log's end; nil after a failed batch
	current *current // what memory holds of the documents

	indexMu sync.Mutex // one segment's postings at a time

	readers *readers
	words   *words
	proofs  *proofHashes

	stop context.CancelFunc
	done chan struct{}
	// shred asks the background loop to empty the write-ahead log: it still
	// holds pages from before a key was destroyed or a body erased.
	shred atomic.Bool

	// fail is the tests' hook: called before each statement of a batch and
	// before its commit, with a word for it; an error takes the statement's place.
	fail func(statement string) error
}

var _ store.Store = (*Store)(nil)

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
	s := &Store{path: path, log: log, current: newCurrent(), words: newWords(), done: make(chan struct{})}
	var err error
	if s.db, err = sql.Open("sqlite", dsn(path, false)); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	if s.writer, err = connect(ctx, s.db); err != nil {
		return nil, errors.Join(fmt.Errorf("open ledger: %w", err), s.db.Close())
	}
	db, err := sql.Open("sqlite", dsn(path, true))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open ledger: %w", err), s.db.Close())
	}
	s.readers = newReaders(db)
	s.proofs = newProofHashes(s.readers)
	if err := s.check(ctx); err != nil {
		return nil, errors.Join(err, s.closeAll())
	}
	loop, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.shred.Store(true) // the last run may have ended before it got there
	go s.maintain(loop)
	return s, nil
}

// OpenReadOnly opens an existing database beside whoever writes it: it cannot
// be written through this Store, and nothing is tidied up. For ledger:verify.
func OpenReadOnly(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(path, true)+"&mode=ro")
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	s := &Store{
		path: path, log: log, current: newCurrent(), words: newWords(), done: make(chan struct{}), stop: func() {}, readers: newReaders(db),
	}
	close(s.done) // there is no background loop
	s.proofs = newProofHashes(s.readers)
	if err := s.check(ctx); err != nil {
		return nil, errors.Join(err, s.closeAll())
	}
	return s, nil
}

// errReadOnly answers whoever writes to what was opened to be read.
var errReadOnly = errors.New("the ledger was opened to be read")

func dsn(path string, readOnly bool) string {
	u := url.URL{Scheme: "file", Opaque: url.PathEscape(path)}
	q := pragmas + writerCache
	if readOnly {
		q = pragmas + readerCache + "&_pragma=query_only(1)"
	}
	u.RawQuery = q
	return u.String()
}

func (s *Store) check(ctx context.Context) error {
	var version string
	if err := s.readers.point(ctx, `SELECT value FROM meta WHERE name = 'schema'`, nil, &version); err != nil {
		return &store.Damage{Seq: -1, What: fmt.Sprintf("the database %s cannot be read: %v", s.path, err)}
	}
	if n, err := strconv.Atoi(version); err != nil || n > schemaVersion {
		return fmt.Errorf("open ledger: %s has schema %s, this version of strongroom knows up to %d: start the version that wrote it or a later one", s.path, version, schemaVersion)
	}
	return nil
}

// Close waits for what is being written and read and closes the database. A
// second call does nothing.
func (s *Store) Close() error {
	s.stop()
	<-s.done
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.closed {
		return nil
	}
	return s.closeAll()
}

func (s *Store) closeAll() error {
	s.closed = true
	err := s.readers.close()
	if s.writer == nil {
		return err
	}
	s.writer.discard()
	return errors.Join(err, s.db.Close())
}
