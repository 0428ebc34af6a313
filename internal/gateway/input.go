package gateway

import (
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// eot is what the client sends, without a terminal, when its input has ended.
const eot = 0x04

// eotQuiet is how long nothing may follow an eot for it to be the end of input
// and not a byte of it.
const eotQuiet = 100 * time.Millisecond

// deadlineReader is what the client's bytes come from.
type deadlineReader interface {
	io.Reader
	SetReadDeadline(t time.Time) error
}

// inputPump carries the client's input to a process. Everything is recorded, and
// durable, before the process gets it.
type inputPump struct {
	tty     bool
	record  func([]byte) error // durable when it returns
	process Session
	seen    func(n int) // called with each piece before anything else

	closed bool // the process takes no more input
}

// run returns errDisconnect when the client went away, a recordingError, or
// the cause of ctx. Whoever ends ctx also sets a read deadline in the past.
func (i *inputPump) run(ctx context.Context, src deadlineReader) error {
	buf := make([]byte, readSize)
	held := 0 // bytes at the start of buf that were read but not passed on: 0, or an eot
	for {
		if err := i.setDeadline(ctx, src, held > 0); err != nil {
			return err
		}
		n, err := src.Read(buf[held:])
		i.seen(n)
		if held > 0 && n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
			if err := i.end(buf[:held]); err != nil {
				return err
			}
			held = 0
			continue
		}
		b := buf[:held+n]
		if held = 0; !i.tty && n > 0 && b[len(b)-1] == eot {
			held = 1
		}
		if err := i.pass(b[:len(b)-held]); err != nil {
			return err
		}
		if held > 0 {
			buf[0] = eot
		}
		if err != nil {
			return i.readError(ctx)
		}
	}
}

func (i *inputPump) setDeadline(ctx context.Context, src deadlineReader, held bool) error {
	var t time.Time
	if held {
		t = time.Now().Add(eotQuiet)
	}
	if err := src.SetReadDeadline(t); err != nil {
		return errDisconnect
	}
	// Only now: a deadline that the end of ctx set before was just undone.
	return context.Cause(ctx)
}

func (i *inputPump) readError(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return errDisconnect
}

// pass records b and gives it to the process. A process that does not read its
// input is no reason to end the session: what else is typed is recorded only.
func (i *inputPump) pass(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := i.record(b); err != nil {
		return &recordingError{err}
	}
	if i.closed {
		return nil
	}
	if _, err := i.process.Write(b); err != nil {
		i.closed = true
	}
	return nil
}

// end records the client's end of input and passes it on as such.
func (i *inputPump) end(b []byte) error {
	if err := i.record(b); err != nil {
		return &recordingError{err}
	}
	if !i.closed {
		i.closed = true
		i.process.CloseWrite() // the process may have ended
	}
	return nil
}
