package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
)

// connection is one connection with its statements, each prepared once: parsing
// them again each time costs an append a third more. Not for concurrent use.
type connection struct {
	db     *sql.DB
	conn   *sql.Conn
	stmts  map[string]*sql.Stmt
	broken bool // a reader's: not to be used again
}

func connect(ctx context.Context, db *sql.DB) (*connection, error) {
	c := &connection{db: db}
	return c, c.open(ctx)
}

func (c *connection) open(ctx context.Context) (err error) {
	c.stmts = map[string]*sql.Stmt{}
	c.conn, err = c.db.Conn(ctx)
	return err
}

// discard closes the connection for good, and its statements first: SQLite
// keeps one that has statements left, its locks too.
func (c *connection) discard() {
	for _, st := range c.stmts {
		st.Close() //nolint:errcheck // what went wrong with it has been said
	}
	c.conn.Raw(func(any) error { return driver.ErrBadConn }) //nolint:errcheck // that is how it is said
}

func (c *connection) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := c.stmts[query]; ok {
		return st, nil
	}
	st, err := c.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = st
	return st, nil
}

// Exec runs a statement that is not worth being kept.
func (c *connection) Exec(query string, args ...any) (sql.Result, error) {
	return c.conn.ExecContext(context.Background(), query, args...)
}

// QueryRow runs a query that is not worth being kept.
func (c *connection) QueryRow(query string, args ...any) *sql.Row {
	return c.conn.QueryRowContext(context.Background(), query, args...)
}

// transaction runs a connection's statements in a transaction, with one context.
type transaction struct {
	*connection
	ctx context.Context
}

// beginWrite begins a transaction that holds the write lock. A connection that
// cannot begin one is replaced: it may still be inside another.
func (c *connection) beginWrite() (*transaction, error) {
	t := &transaction{c, context.Background()}
	if err := t.exec("BEGIN IMMEDIATE"); err == nil {
		return t, nil
	}
	c.discard()
	if err := c.open(t.ctx); err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	if err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	return t, nil
}

func (t *transaction) commit() error {
	if err := t.exec("COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// rollback ends the transaction. It fails where SQLite has ended it already, as
// it does when the disk is full; that is the aim.
func (t *transaction) rollback() error {
	t.ctx = context.WithoutCancel(t.ctx)
	return t.exec("ROLLBACK")
}

// one scans the one row of a query; sql.ErrNoRows if there is none.
func (t *transaction) one(query string, args []any, dest ...any) error {
	st, err := t.stmt(t.ctx, query)
	if err != nil {
		return err
	}
	return st.QueryRowContext(t.ctx, args...).Scan(dest...)
}

// each calls fn for every row.
func (t *transaction) each(query string, args []any, fn func(*sql.Rows) error) error {
	st, err := t.stmt(t.ctx, query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(t.ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (t *transaction) exec(query string, args ...any) error {
	st, err := t.stmt(t.ctx, query)
	if err != nil {
		return err
	}
	_, err = st.ExecContext(t.ctx, args...)
	return err
}

// readers are the connections that read. The one used last is used next, for
// its cache is the warmest.
type readers struct {
	db     *sql.DB
	places chan struct{} // one for each read that goes on
	closed chan struct{}

	mu   sync.Mutex
	idle []*connection
}

// maxReaders is how many reads run at the same time; others wait.
const maxReaders = 8

var errClosed = errors.New("the ledger is closed")

func newReaders(db *sql.DB) *readers {
	return &readers{db: db, places: make(chan struct{}, maxReaders), closed: make(chan struct{})}
}

// do runs fn on a connection of its own.
func (r *readers) do(ctx context.Context, fn func(*connection) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case r.places <- struct{}{}:
	case <-r.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.places }()
	c, err := r.take(ctx)
	if err != nil {
		return err
	}
	defer r.put(c)
	return fn(c)
}

func (r *readers) take(ctx context.Context) (*connection, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.idle); n > 0 {
		c := r.idle[n-1]
		r.idle = r.idle[:n-1]
		return c, nil
	}
	return connect(context.WithoutCancel(ctx), r.db)
}

// put keeps a connection for the next read, unless it failed: it may be inside a
// transaction still, or gone.
func (r *readers) put(c *connection) {
	if c.broken {
		c.discard()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle = append(r.idle, c)
}

// close waits for the reads that go on and refuses others. It is called once.
func (r *readers) close() error {
	close(r.closed)
	for range maxReaders {
		r.places <- struct{}{}
	}
	for _, c := range r.idle {
		c.discard()
	}
	return r.db.Close()
}

// point scans the one row of a query outside of a transaction. It is over
// before a context could interrupt it, and watching one costs as much as the
// query does.
func (r *readers) point(ctx context.Context, query string, args []any, dest ...any) error {
	return r.do(ctx, func(c *connection) error {
		err := (&transaction{c, context.WithoutCancel(ctx)}).one(query, args, dest...)
		c.broken = err != nil && !errors.Is(err, sql.ErrNoRows)
		return err
	})
}

// transaction runs fn in a read transaction.
func (r *readers) transaction(ctx context.Context, fn func(*transaction) error) error {
	return r.do(ctx, func(c *connection) (err error) {
		t := &transaction{c, context.WithoutCancel(ctx)}
		if err := t.exec("BEGIN"); err != nil {
			c.broken = true
			return err
		}
		defer func() {
			if failed := t.rollback(); failed != nil {
				c.broken = true
				err = errors.Join(err, failed)
			}
		}()
		t.ctx = ctx
		return fn(t)
	})
}
