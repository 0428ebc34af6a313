package edge

import (
	"errors"
	"net"
	"os"

	"github.com/strongroom/strongroom/internal/edge/handover"
)

// errTooLarge is what a bounded connection returns when a client has sent the
// most that is read of it.
var errTooLarge = errors.New("too much before a whole hello")

// bounded is a connection that reads at most handover.MaxBytes, keeps what it
// read, and never writes: what a TLS library would answer to a malformed hello
// must not reach a client that nobody has decided to talk to.
type bounded struct {
	net.Conn        // for the methods that crypto/tls may call besides these
	read     []byte // all that was read
	err      error  // why reading ended
}

func (b *bounded) Read(p []byte) (int, error) {
	room := handover.MaxBytes - len(b.read)
	if room == 0 {
		b.err = errTooLarge
		return 0, b.err
	}
	n, err := b.Conn.Read(p[:min(len(p), room)])
	b.read = append(b.read, p[:n]...)
	if err != nil {
		b.err = err
	}
	return n, err
}

func (b *bounded) Write(p []byte) (int, error) { return len(p), nil }

func (b *bounded) Close() error { return nil }

// reason says why nothing could be made of what was read.
func (b *bounded) reason() string {
	switch {
	case b.err == nil:
		return ReasonMalformed
	case errors.Is(b.err, errTooLarge):
		return ReasonTooLarge
	case errors.Is(b.err, os.ErrDeadlineExceeded):
		return ReasonTimeout
	default:
		return ReasonClosed
	}
}
