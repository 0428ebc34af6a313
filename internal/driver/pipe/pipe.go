// Package pipe is an in-memory pipe with a bounded buffer, as the kernel's:
// a writer waits only once that much is unread. Engines that carry a session's
// bytes between goroutines use it (driver/memory, driver/remote).
package pipe

import (
	"io"
	"sync"
)

// Pipe connects one writer to one reader.
type Pipe struct {
	mu     sync.Mutex
	cond   *sync.Cond
	limit  int
	buf    []byte
	ended  error // what the reader gets after the buffer: io.EOF or worse
	closed bool  // the reader is gone
}

// New returns a pipe that holds up to limit unread bytes.
func New(limit int) *Pipe {
	p := &Pipe{limit: limit}
	p.cond = sync.NewCond(&p.mu)
	return p
}

// Read waits for bytes or for the end.
func (p *Pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.buf) == 0 && p.ended == nil && !p.closed {
		p.cond.Wait()
	}
	switch {
	case p.closed:
		return 0, io.ErrClosedPipe
	case len(p.buf) == 0:
		return 0, p.ended
	}
	n := copy(b, p.buf)
	p.buf = p.buf[n:]
	p.cond.Broadcast()
	return n, nil
}

// Write waits for room. After the reader has closed it fails.
func (p *Pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	written := 0
	for written < len(b) {
		for len(p.buf) >= p.limit && p.ended == nil && !p.closed {
			p.cond.Wait()
		}
		if p.closed || p.ended != nil {
			return written, io.ErrClosedPipe
		}
		n := min(len(b)-written, p.limit-len(p.buf))
		p.buf = append(p.buf, b[written:written+n]...)
		written += n
		p.cond.Broadcast()
	}
	return written, nil
}

// End ends the writing side: the reader gets err (nil means io.EOF) after
// what was written. Only the first call counts.
func (p *Pipe) End(err error) {
	if err == nil {
		err = io.EOF
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended == nil {
		p.ended = err
	}
	p.cond.Broadcast()
}

// Close ends the reading side: further writes fail and unread bytes are lost.
func (p *Pipe) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.buf = nil
	p.cond.Broadcast()
	return nil
}
