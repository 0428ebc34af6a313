package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"
)

const (
	batchSize  = 64 << 10             // bytes recorded and sent together at most
	batchDelay = 5 * time.Millisecond // between two batches at least, unless full
	holdDelay  = 50 * time.Millisecond
	readSize   = 32 << 10
)

// outputPump carries a process's output to the client in batches. Each batch is
// recorded, and durable, before any of it is sent.
type outputPump struct {
	record func([]byte) error // durable when it returns
	send   func([]byte) error // one write

	buf  []byte
	last time.Time // of the last batch
	held bool      // buf holds only what waits for its rest
}

// run returns io.EOF when src ended and all was sent, or the first error: a
// recordingError, errDisconnect, or the cause of ctx.
func (o *outputPump) run(ctx context.Context, src io.Reader) error {
	chunks, stop := readChunks(src)
	defer stop()
	o.buf = make([]byte, 0, batchSize)
	timer := time.NewTimer(0)
	<-timer.C
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case c := <-chunks:
			o.buf = append(o.buf, c.data...)
			if c.err != nil {
				if err := o.flush(true); err != nil {
					return err
				}
				return c.err
			}
			if err := o.flushIfDue(timer); err != nil {
				return err
			}
		case <-timer.C:
			// What was held for the rest of a marker or character has waited enough.
			if err := o.flush(o.held); err != nil {
				return err
			}
			o.wait(timer)
		}
	}
}

// flushIfDue sends now what may go now, and sets the timer for the rest. A first
// piece of output after a silence, such as the echo of a key, never waits.
func (o *outputPump) flushIfDue(timer *time.Timer) error {
	wait := batchDelay - time.Since(o.last)
	if wait > 0 && len(o.buf)+readSize <= batchSize {
		o.held = false
		timer.Reset(wait)
		return nil
	}
	err := o.flush(false)
	o.wait(timer)
	return err
}

// wait sets the timer for what flush left.
func (o *outputPump) wait(timer *time.Timer) {
	o.held = len(o.buf) > 0
	if o.held {
		timer.Reset(holdDelay)
	} else {
		timer.Stop()
	}
}

func (o *outputPump) flush(final bool) error {
	segments, keep := cut(o.buf, final)
	if len(segments) == 0 {
		return nil
	}
	o.last = time.Now()
	if err := o.record(o.buf[:len(o.buf)-keep]); err != nil {
		return &recordingError{err}
	}
	for _, s := range segments {
		if err := o.send(s); err != nil {
			return errDisconnect
		}
	}
	o.buf = append(o.buf[:0], o.buf[len(o.buf)-keep:]...)
	return nil
}

// chunk is what one Read gave.
type chunk struct {
	data []byte
	err  error
}

// readChunks reads src in a goroutine of its own until it fails; after stop, it
// ends when its Read does.
func readChunks(src io.Reader) (chunks <-chan chunk, stop func()) {
	ch, done := make(chan chunk), make(chan struct{})
	go func() {
		buf := make([]byte, readSize)
		for {
			n, err := src.Read(buf)
			select {
			case ch <- chunk{bytes.Clone(buf[:n]), err}:
			case <-done:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return ch, func() { close(done) }
}

// errDisconnect means that the client went away.
var errDisconnect = errors.New("the client went away")

// recordingError is a failure of the recording, which ends a session.
type recordingError struct{ err error }

func (e *recordingError) Error() string { return "record session: " + e.err.Error() }
func (e *recordingError) Unwrap() error { return e.err }
