package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

// Why a bridge ends, besides the errors of its pumps.
var (
	errProcessEnded = errors.New("the process ended")
	errIdle         = errors.New("nothing passed for too long")
	errWithdrawn    = errors.New("access was withdrawn")
	errExpired      = errors.New("the greatest age was reached")
)

// recorder is the part of recording.Recording that a bridge needs.
type recorder interface {
	Input(b []byte) error
	Output(b []byte) error
}

// bridge joins a client and a process until one of them ends, or something that
// must hold for the session does not hold any more.
type bridge struct {
	client  net.Conn
	in      io.Reader // reads client, and what was read of it before
	process Session
	record  recorder
	tty     bool
	idle    time.Duration
	pause   time.Duration
	done    <-chan struct{}

	first        chan struct{} // closed at the client's first byte
	sawFirst     sync.Once
	activity     *time.Timer
	bytesIn, out atomic.Int64

	writing sync.Mutex // guards the choice of the write deadline
	ending  bool       // it is no longer the output pump's choice
}

// run returns why the bridge ended: one of the errors above, errDisconnect, a
// recordingError, or the cause of ctx. The process's input and output are at rest
// then; unless it ended by itself it was ended.
func (b *bridge) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b.first = make(chan struct{})
	b.activity = time.AfterFunc(b.idle, func() { cancel(errIdle) })
	defer b.activity.Stop()

	var pumps sync.WaitGroup
	pumps.Go(func() { cancel(b.pumpInput(ctx)) })
	pumps.Go(func() { cancel(b.pumpOutput(ctx)) })
	select {
	case <-ctx.Done():
	case <-b.done:
		cancel(errWithdrawn)
	}
	cause := context.Cause(ctx)
	past := time.Unix(1, 0)
	b.client.SetReadDeadline(past)
	if cause != errProcessEnded {
		// The notice goes out before the process is ended, so that what the process
		// says of that does not hide it.
		b.notify(cause)
		b.client.SetWriteDeadline(past)
		b.process.Close()
	}
	pumps.Wait()
	b.client.SetWriteDeadline(time.Time{})
	return cause
}

func (b *bridge) pumpInput(ctx context.Context) error {
	p := inputPump{tty: b.tty, record: b.record.Input, process: countingSession{b.process, &b.bytesIn}, seen: b.seen}
	return p.run(ctx, struct {
		io.Reader
		setReadDeadline
	}{b.in, b.client})
}

type setReadDeadline interface{ SetReadDeadline(time.Time) error }

func (b *bridge) pumpOutput(ctx context.Context) error {
	pause := time.NewTimer(b.pause)
	defer pause.Stop()
	select {
	case <-b.first:
	case <-pause.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p := outputPump{record: b.record.Output, send: b.send}
	err := p.run(ctx, b.process)
	var failed *recordingError
	if err == errDisconnect || errors.As(err, &failed) || ctx.Err() != nil {
		return err
	}
	return errProcessEnded // io.EOF, or its output broke: either way there is no more
}

// seen notes that the client sent n bytes.
func (b *bridge) seen(n int) {
	if n > 0 {
		b.sawFirst.Do(func() { close(b.first) })
		b.activity.Reset(b.idle)
	}
}

// send writes to the client. A client that takes nothing for long is idle.
func (b *bridge) send(p []byte) error {
	b.writing.Lock()
	if !b.ending {
		b.client.SetWriteDeadline(time.Now().Add(b.idle))
	}
	b.writing.Unlock()
	if _, err := b.client.Write(p); err != nil {
		return err
	}
	b.activity.Reset(b.idle)
	b.out.Add(int64(len(p)))
	return nil
}

// noticeTime is how long a client may take to read why its session ended.
const noticeTime = 2 * time.Second

// notify tells the client why its session was ended.
func (b *bridge) notify(cause error) {
	b.writing.Lock()
	b.ending = true
	b.writing.Unlock()
	text := notice(cause, b.idle)
	if text == "" {
		return
	}
	b.client.SetWriteDeadline(time.Now().Add(noticeTime))
	fmt.Fprintf(b.client, "\r\n !    %s\r\n", text)
}

func notice(cause error, idle time.Duration) string {
	var failed *recordingError
	switch {
	case cause == errDisconnect:
		return ""
	case cause == errIdle:
		return fmt.Sprintf("The session was ended: nothing was typed or shown for %v.", idle)
	case cause == errWithdrawn:
		return "The session was ended: your access was withdrawn."
	case !errors.As(cause, &failed):
		return "The session was ended: the server is being stopped. Run the command again."
	}
	if text := fault.Message(failed.err); text != "" {
		return text
	}
	return "The session was ended: it could not be recorded."
}

// reason maps what run returned to an Ending's reason.
func reason(cause error) string {
	var failed *recordingError
	switch {
	case cause == errProcessEnded:
		return EndedExit
	case cause == errDisconnect:
		return EndedDisconnect
	case cause == errIdle:
		return EndedIdle
	case cause == errWithdrawn:
		return EndedWithdrawn
	case cause == errExpired:
		return EndedExpired
	case errors.As(cause, &failed):
		return EndedRecording
	}
	return EndedShutdown
}

// countingSession counts what a process was given.
type countingSession struct {
	Session
	n *atomic.Int64
}

func (c countingSession) Write(p []byte) (int, error) {
	n, err := c.Session.Write(p)
	c.n.Add(int64(n))
	return n, err
}
