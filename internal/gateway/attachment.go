package gateway

import (
	"context"
	"io"
	"net/netip"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/recording"
)

// Sessions gives out the sessions that the API promised to somebody.
type Sessions interface {
	// Redeem uses up a secret, which works once. When it returns an Attachment,
	// the session.open entry is durable, the recording has begun and the process
	// runs. An error means that there is nothing to close; the client is told
	// nothing of it. remote is where the client connects from. The rendezvous
	// server limits the rate of failures by source; recording them is Redeem's.
	Redeem(ctx context.Context, secret string, remote netip.Addr) (Attachment, error)
}

// Session is a running process, as driver.Session gives it.
type Session interface {
	io.ReadWriteCloser
	CloseWrite() error
	Wait(ctx context.Context) (driver.Exit, error)
}

// Attachment is a session that was opened for one client.
type Attachment struct {
	ID        string // of the session
	Session   Session
	Recording *recording.Recording // never nil: what cannot be recorded is refused
	// TTY says that the process has a terminal. Without one, 0x04 at the end of
	// the client's input closes the process's.
	TTY bool
	// Done, if not nil, is closed when access is withdrawn; the session then ends.
	Done <-chan struct{}
	// Close appends the session.close entry. It is called exactly once, with a
	// context that outlives the client and the server's shutdown for a while.
	Close func(ctx context.Context, end Ending) error
}

// Reasons why a session ended.
const (
	EndedExit       = "exit"       // the process ended
	EndedDisconnect = "disconnect" // the client went away
	EndedIdle       = "idle"       // nothing passed for too long
	EndedRecording  = "recording"  // it could not be recorded any more
	EndedWithdrawn  = "withdrawn"  // Done was closed
	EndedExpired    = "expired"    // it reached its greatest age
	EndedShutdown   = "shutdown"   // the server stops
)

// Ending says how an attached session ended.
type Ending struct {
	Reason string
	Exit   *driver.Exit // nil if the process's end was not seen
	// In and Out count the bytes that passed to and from the process.
	In, Out int64
	// Recording is the sealed recording; nil if it could not be sealed. Then
	// recording.Recorder.Recover will give it later.
	Recording *recording.Sealed
}
