package remote

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/pipe"
	"github.com/strongroom/strongroom/internal/fault"
)

// carrySession is the server's end of a session. When the caller is gone the
// session is closed, which ends the process of an attached one.
func carrySession(conn net.Conn, in io.Reader, s driver.Session) {
	defer conn.Close()
	defer s.Close()
	out := &frameWriter{w: conn}
	ctx, cancel := context.WithCancel(context.Background())
	var sent sync.WaitGroup
	sent.Go(func() { sendOutput(ctx, out, s) })
	go func() {
		defer cancel()
		receiveInput(in, s)
		s.Close()
	}()
	sent.Wait()
	// What follows from the caller, its close at the latest, ends this.
	<-ctx.Done()
}

func sendOutput(ctx context.Context, out *frameWriter, s driver.Session) {
	buf := make([]byte, maxFrame)
	for {
		n, err := s.Read(buf)
		if n > 0 && out.write(frameData, buf[:n]) != nil {
			return
		}
		if err != nil {
			break
		}
	}
	if out.write(frameEnd, nil) != nil {
		return
	}
	exit, err := s.Wait(ctx)
	out.writeJSON(frameExit, outcome{Code: exit.Code, OOMKilled: exit.OOMKilled, Err: toWire(err)})
}

// receiveInput passes on what the caller sends until it closes or is gone.
// Input that the process does not take must not hold up a close that comes
// after it: it waits in a pipe.
func receiveInput(in io.Reader, s driver.Session) {
	input := pipe.New(16 * maxFrame)
	defer input.Close()
	go func() {
		io.Copy(s, input)
		s.CloseWrite()
	}()
	buf := make([]byte, maxFrame)
	for {
		kind, payload, err := readFrame(in, buf)
		if err != nil {
			return
		}
		switch kind {
		case frameData:
			input.Write(payload) // after the end of the process it goes nowhere
		case frameEnd:
			input.End(nil)
		case frameResize:
			var to size
			if json.Unmarshal(payload, &to) == nil {
				s.Resize(to.Rows, to.Cols)
			}
		case frameClose:
			return
		}
	}
}

// session is the caller's end.
type session struct {
	conn net.Conn
	out  *frameWriter
	pipe *pipe.Pipe // output that has arrived

	done chan struct{} // closed when exit and err are set
	exit driver.Exit
	err  error
}

var errLost = errors.New("the connection to the engine is lost")

func newSession(conn net.Conn, in io.Reader) *session {
	s := &session{conn: conn, out: &frameWriter{w: conn}, pipe: pipe.New(16 * maxFrame), done: make(chan struct{})}
	go s.receive(in)
	return s
}

func (s *session) receive(in io.Reader) {
	lost := fault.Wrap(fault.Unavailable, errLost, "The session was cut off.")
	s.err = lost
	defer close(s.done)
	defer s.pipe.End(lost)
	buf := make([]byte, maxFrame)
	for {
		kind, payload, err := readFrame(in, buf)
		if err != nil {
			return
		}
		switch kind {
		case frameData:
			s.pipe.Write(payload)
		case frameEnd:
			s.pipe.End(nil)
		case frameExit:
			s.setExit(payload)
			return
		}
	}
}

func (s *session) setExit(payload []byte) {
	var o outcome
	if err := json.Unmarshal(payload, &o); err != nil {
		return
	}
	s.exit, s.err = driver.Exit{Code: o.Code, OOMKilled: o.OOMKilled}, o.Err.err()
}

func (s *session) Read(b []byte) (int, error) { return s.pipe.Read(b) }

func (s *session) Write(b []byte) (int, error) {
	if err := s.out.write(frameData, b); err != nil {
		return 0, fault.Wrap(fault.Unavailable, err, "The session has ended.")
	}
	return len(b), nil
}

func (s *session) CloseWrite() error { return s.out.write(frameEnd, nil) }

func (s *session) Resize(rows, cols int) error {
	return s.out.writeJSON(frameResize, size{Rows: rows, Cols: cols})
}

func (s *session) Wait(ctx context.Context) (driver.Exit, error) {
	select {
	case <-s.done:
		return s.exit, s.err
	case <-ctx.Done():
		return driver.Exit{}, ctx.Err()
	}
}

func (s *session) Close() error {
	s.out.write(frameClose, nil) // if it does not arrive, the end of the connection says the same
	s.pipe.Close()
	return s.conn.Close()
}
