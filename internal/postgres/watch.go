package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/strongroom/strongroom/internal/document"
)

// Session is somebody's connection to a server.
type Session struct {
	PID         int
	Role        string
	Application string // what it calls itself
	Address     string // "" = over the server's own socket
	Ours        bool   // it came by the way that the one who asks came
	Since       time.Time
}

// ReadSessions lists all connections but this one. Only a superuser sees whose
// they are.
func ReadSessions(ctx context.Context, c *pgx.Conn) ([]Session, error) {
	rows, err := c.Query(ctx, `SELECT pid, coalesce(usename::text, ''), application_name, coalesce(host(client_addr), ''),
		coalesce(client_addr = inet_client_addr(), false), backend_start
		FROM pg_stat_activity WHERE backend_type IN ('client backend', 'walsender') AND pid <> pg_backend_pid() ORDER BY backend_start, pid`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Session])
}

// Watch keeps a connection to each database that it was asked about: one for
// each question would be lines in the database's log each time, which the app's
// people read.
type Watch struct {
	connect func(context.Context, *document.Addon) (*pgx.Conn, error)
	mu      sync.Mutex // held while a question is asked
	conns   map[string]*pgx.Conn
}

// NewWatch returns one that connects, as the superuser, with connect.
func NewWatch(connect func(context.Context, *document.Addon) (*pgx.Conn, error)) *Watch {
	return &Watch{connect: connect, conns: map[string]*pgx.Conn{}}
}

// Sessions lists who else is connected.
func (w *Watch) Sessions(ctx context.Context, a *document.Addon) ([]Session, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, kept := w.conns[a.ID]
	if kept {
		if list, err := ReadSessions(ctx, c); err == nil {
			return list, nil
		}
		w.drop(a.ID) // the database was started anew, perhaps
	}
	c, err := w.connect(ctx, a)
	if err != nil {
		return nil, err
	}
	w.conns[a.ID] = c
	list, err := ReadSessions(ctx, c)
	if err != nil {
		w.drop(a.ID)
		return nil, fmt.Errorf("ask %s who is connected: %w", a.Name, err)
	}
	return list, nil
}

// Only closes the connections to all databases but these.
func (w *Watch) Only(ids map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.conns {
		if !ids[id] {
			w.drop(id)
		}
	}
}

// drop closes a connection; w.mu is held.
func (w *Watch) drop(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	w.conns[id].Close(ctx)
	delete(w.conns, id)
}
