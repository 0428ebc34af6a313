package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/secret"
)

// Dialer connects to a port of a formation, as driver.Driver does.
type Dialer interface {
	Dial(ctx context.Context, formation string, port int) (io.ReadWriteCloser, error)
}

// Connect logs in to a database over TLS, checking the server's certificate
// against the space's CA. The statements that follow name no passwords in the
// clear: they are sent as parameters of the protocol where that is possible.
func Connect(ctx context.Context, d Dialer, a *document.Addon, caPEM, user, database string, password secret.Value) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig("sslmode=disable")
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", a.Name, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(caPEM)) {
		return nil, fmt.Errorf("connect to %s: the space's CA cannot be read", a.Name)
	}
	cfg.Host, cfg.Port, cfg.User, cfg.Database, cfg.Password = addons.Host(a), Port, user, database, string(password.Reveal())
	cfg.TLSConfig = &tls.Config{RootCAs: roots, ServerName: addons.Host(a), MinVersion: tls.VersionTLS12}
	cfg.Fallbacks = nil
	cfg.RuntimeParams["application_name"] = "strongroom" // the database's log tells us from the app
	cfg.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := d.Dial(ctx, a.ID, Port)
		if err != nil {
			return nil, err
		}
		return AsConn(c), nil
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", a.Name, err)
	}
	return conn, nil
}

// Setup makes an app's role and database. Doing it again changes nothing but
// sets the password once more.
func Setup(ctx context.Context, d Dialer, a *document.Addon, caPEM string, admin, password secret.Value) error {
	conn, err := Connect(ctx, d, a, caPEM, "postgres", "postgres", admin)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	role := a.Roles[0]
	var have bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)`, role.User).Scan(&have); err != nil {
		return fmt.Errorf("set up %s: %w", a.Name, err)
	}
	user := pgx.Identifier{role.User}.Sanitize()
	if !have {
		if _, err := conn.Exec(ctx, `CREATE ROLE `+user+` LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT 90`); err != nil {
			return fmt.Errorf("set up %s: %w", a.Name, err)
		}
	}
	if err := setPassword(ctx, conn, role.User, password); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)`, role.Database).Scan(&have); err != nil {
		return fmt.Errorf("set up %s: %w", a.Name, err)
	}
	if have {
		return nil
	}
	database := pgx.Identifier{role.Database}.Sanitize()
	for _, statement := range []string{
		`CREATE DATABASE ` + database + ` OWNER ` + user,
		`REVOKE ALL ON DATABASE ` + database + ` FROM PUBLIC`,
		`REVOKE CONNECT ON DATABASE postgres FROM PUBLIC`,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("set up %s: %w", a.Name, err)
		}
	}
	return nil
}

// setPassword sends the SCRAM verifier, as psql's \password does, so that the
// password is in no statement that a server might log.
func setPassword(ctx context.Context, conn *pgx.Conn, user string, password secret.Value) error {
	verifier, err := scramVerifier(password)
	if err != nil {
		return err
	}
	// A verifier is base64 and punctuation without quotes.
	if _, err := conn.Exec(ctx, `ALTER ROLE `+pgx.Identifier{user}.Sanitize()+` PASSWORD '`+verifier+`'`); err != nil {
		return fmt.Errorf("set the password of a database role: %w", err)
	}
	return nil
}

// Stats are a database's size in bytes, and how many tables and connections it has.
type Stats struct {
	Bytes       int64
	Tables      int
	Connections int
}

// ReadStats asks an app's database about itself, as the app's own role: there
// is no need for more.
func ReadStats(ctx context.Context, d Dialer, a *document.Addon, caPEM string, password secret.Value) (Stats, error) {
	var s Stats
	role := a.Roles[0]
	conn, err := Connect(ctx, d, a, caPEM, role.User, role.Database, password)
	if err != nil {
		return s, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `SELECT pg_database_size(current_database()),
		(SELECT count(*) FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema')),
		(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid())`).
		Scan(&s.Bytes, &s.Tables, &s.Connections)
	if err != nil {
		return s, fmt.Errorf("ask %s about itself: %w", a.Name, err)
	}
	return s, nil
}

// AsConn gives a stream the methods of a net.Conn.
func AsConn(c io.ReadWriteCloser) net.Conn {
	if conn, ok := c.(net.Conn); ok {
		return conn
	}
	return &streamConn{ReadWriteCloser: c}
}

// streamConn ends with its deadline: pgx sets one when the caller's context
// ends, and does not use the connection after it.
type streamConn struct {
	io.ReadWriteCloser

	mu    sync.Mutex
	timer *time.Timer
}

func (*streamConn) LocalAddr() net.Addr  { return &net.UnixAddr{Name: "engine"} }
func (*streamConn) RemoteAddr() net.Addr { return &net.UnixAddr{Name: "engine"} }

func (c *streamConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	if !t.IsZero() {
		c.timer = time.AfterFunc(time.Until(t), func() { c.Close() })
	}
	return nil
}

func (c *streamConn) SetReadDeadline(t time.Time) error  { return c.SetDeadline(t) }
func (c *streamConn) SetWriteDeadline(t time.Time) error { return c.SetDeadline(t) }
