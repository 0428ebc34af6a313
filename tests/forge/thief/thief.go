// Package thief does to a ledger what somebody would who has its server's disk,
// and so the key that signs the log: copies it, edits it, and makes it anew. It is
// what the ledger is defended against, so that tests and the demo can show that
// it is.
//
// Invariants: the original is only read; what is made anew holds together and is
// signed, so that nothing on its host shows what was done. The tests of
// internal/cli use it, and the command tests/forge; no program that is installed
// does (deps_test.go).
package thief

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/store/sqlite"
)

// Paths below an installation's data directory.
func ledgerOf(data string) string { return filepath.Join(data, "server", "ledger.db") }
func anchorOf(data string) string { return filepath.Join(data, "anchor", "checkpoint") }
func logKeyOf(data string) string { return filepath.Join(data, "secrets", "log.key") }

// Copy takes from a data directory what a server needs to serve it elsewhere: the
// ledger as it is at one moment, also while it is written, its anchor, keys and
// blobs. There must be nothing at to.
func Copy(ctx context.Context, from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	// The anchor before the database: a checkpoint over entries that came after the
	// copy would tell of a loss.
	for _, part := range []string{"secrets", "server/tls", "server/blobs", "anchor/checkpoint"} {
		if err := copyTree(filepath.Join(from, part), filepath.Join(to, part)); err != nil {
			return fmt.Errorf("copy %s: %w", part, err)
		}
	}
	return vacuum(ctx, ledgerOf(from), ledgerOf(to))
}

// copyTree copies a file, or a directory and all below it, for nobody else to read.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(path, from)
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return errors.Join(os.MkdirAll(filepath.Dir(target), 0o700), os.WriteFile(target, b, 0o600))
	})
}

// vacuum copies a database as one transaction sees it. The copy is told to keep a
// write-ahead log as the original does: who only reads it could not.
func vacuum(ctx context.Context, from, to string) error {
	u := url.URL{Scheme: "file", Opaque: url.PathEscape(from), RawQuery: "mode=ro&_pragma=busy_timeout(5000)"}
	return errors.Join(execute(ctx, u.String(), "VACUUM INTO ?", to), execute(ctx, to, "PRAGMA journal_mode(WAL)"))
}

// execute runs one statement on a database.
func execute(ctx context.Context, dsn, statement string, args ...any) error {
	db, err := open(dsn)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement, args...)
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("copy the ledger: %w", err)
	}
	return nil
}

// Rows reads all entries of a copy, by their seq, and leaves no side files of the
// database.
func Rows(ctx context.Context, data string) (rows []store.Record, err error) {
	st, err := sqlite.Open(ctx, ledgerOf(data), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	const page = 1000
	for {
		more, err := st.Entries(ctx, store.Query{FromSeq: int64(len(rows)), Limit: page})
		if err != nil {
			return nil, err
		}
		if rows = append(rows, more...); len(more) < page {
			return rows, nil
		}
	}
}

// Edit changes a copy's database and nothing else. Each statement must change
// something.
func Edit(ctx context.Context, data string, statements ...string) (err error) {
	db, err := open(ledgerOf(data))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, s := range statements {
		r, err := db.ExecContext(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 && !strings.HasPrefix(s, "CREATE") {
			return errors.Join(err, fmt.Errorf("%s: it changes %d rows", s, n))
		}
	}
	return nil
}

// Delete is the statement that takes one entry away.
func Delete(seq int64) string { return fmt.Sprintf(`DELETE FROM entries WHERE seq = %d`, seq) }

// open opens a database with one connection, whose statements follow each other.
func open(dsn string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}
