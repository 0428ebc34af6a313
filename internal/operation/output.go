package operation

import (
	"context"
	"io"
	"sync"
)

// Output of a release phase or a build as it comes: one writer, any readers.
type Output struct {
	mu    sync.Mutex
	data  []byte
	max   int
	done  bool
	grown chan struct{}
}

func newOutput(limit int) *Output { return &Output{max: limit, grown: make(chan struct{})} }

// Write keeps what fits and drops the rest: a command that prints too much is
// not stopped by it.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if room := o.max - len(o.data); room > 0 {
		o.data = append(o.data, p[:min(room, len(p))]...)
		if len(o.data) == o.max {
			o.data = append(o.data, "\n(the rest of the output was left out)\n"...)
		}
	}
	o.wake()
	return len(p), nil
}

func (o *Output) wake() {
	close(o.grown)
	o.grown = make(chan struct{})
}

func (o *Output) bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data
}

func (o *Output) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done = true
	o.wake()
}

// CopyTo writes what there is and what comes, until the output ends.
func (o *Output) CopyTo(ctx context.Context, w io.Writer) error {
	at := 0
	for {
		o.mu.Lock()
		chunk, done, grown := o.data[at:], o.done, o.grown
		o.mu.Unlock()
		if len(chunk) > 0 {
			if _, err := w.Write(chunk); err != nil {
				return err
			}
			at += len(chunk)
			continue
		}
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-grown:
		}
	}
}

// outputs are those of what runs now, by id.
type outputs struct {
	mu   sync.Mutex
	byID map[string]*Output
}

func (s *outputs) open(id string) *Output {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID = map[string]*Output{}
	}
	o := newOutput(phaseOutput)
	s.byID[id] = o
	return o
}

func (s *outputs) close(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.byID[id]; o != nil {
		o.finish()
		delete(s.byID, id)
	}
}

// Live gives the output of a release phase that runs now, nil if it does not.
func (r *Runner) Live(release string) *Output {
	r.outputs.mu.Lock()
	defer r.outputs.mu.Unlock()
	return r.outputs.byID[release]
}
