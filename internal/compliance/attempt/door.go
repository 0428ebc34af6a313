package attempt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
)

// Door is something that can be connected to and has to speak TLS.
type Door struct {
	Scope, Subject, Name string // as of a result
	Host                 string // that is asked for
	Dial                 func(ctx context.Context) (net.Conn, error)
	// Redirects says that it speaks HTTP instead, and only to send clients to
	// HTTPS.
	Redirects bool
	// Database says that it speaks PostgreSQL's protocol first.
	Database bool
	// Hint is what to do if it does not open to us.
	Hint string
}

// patience is how long one connection may take, and visit all that are made to
// one door. No door makes a client wait as long, and the doors of a check are tried
// one after the other.
const (
	patience = 3 * time.Second
	visit    = 4 * patience
)

func (d Door) dial(ctx context.Context) (net.Conn, error) {
	conn, err := d.Dial(ctx)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "%s cannot be connected to. %s", d.Name, d.Hint)
	}
	return conn, conn.SetDeadline(time.Now().Add(patience))
}

// handshake offers TLS of these versions only, and says nothing after it. Whose
// certificate is shown does not matter: the question is which versions are spoken.
func (d Door) handshake(ctx context.Context, lowest, highest uint16) (refused, err error) {
	conn, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if d.Database {
		if err := startTLS(conn); err != nil {
			return nil, provesNothing("%s does not begin TLS at all.", d.Name)
		}
	}
	refused = tls.Client(conn, &tls.Config{
		ServerName: d.Host, MinVersion: lowest, MaxVersion: highest, InsecureSkipVerify: true,
	}).HandshakeContext(ctx)
	if timedOut(refused) {
		return nil, provesNothing("%s does not answer in time. %s", d.Name, d.Hint)
	}
	return refused, nil
}

// opens makes sure that the door opens to what it has to open to.
func (d Door) opens(ctx context.Context, t *trial) error {
	refused, err := d.handshake(ctx, tls.VersionTLS12, tls.VersionTLS13)
	if err != nil {
		return err
	}
	if refused != nil {
		return provesNothing("%s does not let this host in with TLS 1.2 or 1.3 either. %s", d.Name, d.Hint)
	}
	t.note("%s lets this host in with TLS 1.2 or 1.3.", d.Name)
	return nil
}

func timedOut(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// ending says how a connection ended, without addresses and ports, which differ
// each time.
func ending(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return op.Err.Error()
	}
	return "the connection was ended"
}

// atDoors is a Try that does something at doors, and knows nothing of those that
// do not open to this host at all.
func atDoors(c Config, which func(Door) bool, try func(ctx context.Context, d Door, t *trial) error) func(context.Context) ([]compliance.Result, error) {
	return func(ctx context.Context) (out []compliance.Result, err error) {
		doors, err := c.Doors(ctx)
		if err != nil {
			return nil, err
		}
		for _, d := range doors {
			if !which(d) {
				continue
			}
			r := d.visit(ctx, try)
			if ctx.Err() != nil {
				return nil, fmt.Errorf("attempts at doors: %w", ctx.Err())
			}
			out = append(out, r.Of(d.Scope, d.Subject, d.Name))
		}
		return out, nil
	}
}

// visit does something at one door. What went through counts even if the rest
// could not be tried.
func (d Door) visit(ctx context.Context, try func(ctx context.Context, d Door, t *trial) error) compliance.Result {
	ctx, cancel := context.WithTimeout(ctx, visit)
	defer cancel()
	t := &trial{}
	err := try(ctx, d, t)
	if r := t.result(); err == nil || r.Status == document.StatusFail {
		return r
	}
	return unknown(told(err))
}

// told is what the ledger may have of an error; the rest is the log's.
func told(err error) string {
	if m := fault.Message(err); m != "" {
		return m
	}
	return "The attempt could not be made."
}
