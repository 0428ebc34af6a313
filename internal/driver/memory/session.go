package memory

import (
	"context"
	"io"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// taskGrace is what a task gets between SIGTERM and SIGKILL.
const taskGrace = 30 * time.Second

// StartTask implements driver.Driver.
func (d *Driver) StartTask(_ context.Context, t driver.Task) (driver.Session, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.processes[t.ID] != nil {
		return nil, fault.New(fault.Conflict, "The task %s was already started.", t.ID)
	}
	p := &process{
		id: t.ID, space: t.Space, labels: t.Labels, dyno: t.Name, spec: t.Process, peers: t.Peers, private: t.Private,
		attached: t.Attach, rows: t.Rows, cols: t.Cols,
	}
	if err := d.start(p); err != nil {
		return nil, err
	}
	d.processes[t.ID] = p
	if t.Timeout > 0 {
		time.AfterFunc(t.Timeout, func() { d.StopTask(context.Background(), t.ID) })
	}
	return &session{process: p}, nil
}

// StopTask implements driver.Driver.
func (d *Driver) StopTask(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.processes[id]; p != nil && p.formation == "" {
		p.terminate(taskGrace)
	}
	return nil
}

// Exec implements driver.Driver.
func (d *Driver) Exec(_ context.Context, e driver.Exec) (driver.Session, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	in := d.processes[e.Container]
	if in == nil || in.ended() {
		return nil, fault.New(fault.NotFound, "Nothing runs as %s.", e.Container)
	}
	p := &process{
		id: e.ID, space: in.space, labels: in.labels, dyno: in.dyno, spec: in.spec, peers: in.peers,
		address: in.address, listens: in.listens, attached: true, rows: e.Rows, cols: e.Cols,
	}
	p.spec.Args = e.Args
	p.spec.Env = append(append([]driver.EnvVar(nil), in.spec.Env...), e.Env...)
	p.launch(d)
	go func() { // it does not outlive its container
		select {
		case <-in.done:
			p.kill()
		case <-p.done:
		}
	}()
	return &session{process: p}, nil
}

// session is the caller's end of a process.
type session struct{ process *process }

func (s *session) Read(b []byte) (int, error) {
	if !s.process.attached {
		<-s.process.done
		return 0, io.EOF
	}
	return s.process.out.Read(b)
}

func (s *session) Write(b []byte) (int, error) {
	if !s.process.attached {
		return 0, fault.New(fault.Conflict, "The task is not attached.")
	}
	return s.process.in.Write(b)
}

func (s *session) CloseWrite() error {
	if s.process.attached {
		s.process.in.End(nil)
	}
	return nil
}

func (s *session) Resize(rows, cols int) error {
	d := s.process.driver
	d.mu.Lock()
	defer d.mu.Unlock()
	s.process.rows, s.process.cols = rows, cols
	select {
	case s.process.resized <- struct{}{}:
	default:
	}
	return nil
}

func (s *session) Wait(ctx context.Context) (driver.Exit, error) {
	if err := s.process.wait(ctx); err != nil {
		return driver.Exit{}, err
	}
	return s.process.exit, nil
}

func (s *session) Close() error {
	if s.process.attached {
		s.process.kill()
		s.process.in.End(nil)
		s.process.out.Close()
	}
	return nil
}
