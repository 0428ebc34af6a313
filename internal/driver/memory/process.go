package memory

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/pipe"
	"github.com/strongroom/strongroom/internal/fault"
)

// pipeSize is what a session holds unread, as a pipe of the kernel does.
const pipeSize = 64 << 10

// process is a running instance, task or exec, or what is left of one.
type process struct {
	driver  *Driver
	id      string
	space   string
	labels  driver.Labels
	dyno    string
	spec    driver.Process
	peers   []string
	private bool // of a task
	address string

	// Of an instance.
	formation string
	revision  string
	ordinal   int
	restarts  int
	state     string
	since     time.Time
	started   time.Time
	ran       time.Duration
	last      *driver.Exit
	listens   map[int]*listener

	attached bool
	in, out  *pipe.Pipe // of an attached one
	rows     int
	cols     int
	resized  chan struct{}
	term     chan struct{}
	ctx      context.Context
	kill     context.CancelFunc
	done     chan struct{}
	exit     driver.Exit
}

// start runs p in a goroutine. Its space must exist; d.mu is held.
func (d *Driver) start(p *process) error {
	s, err := d.space(p.space)
	if err != nil {
		return err
	}
	if !d.images[p.spec.Image] {
		return fault.New(fault.NotFound, "The image %s is not on this engine.", p.spec.Image)
	}
	if d.closed {
		return fault.New(fault.Unavailable, "The engine is closed.")
	}
	for _, m := range p.spec.Mounts {
		if _, err := d.unlocked(m.Volume); err != nil {
			return err
		}
	}
	if p.address == "" {
		s.hosts++
		p.address = fmt.Sprintf("10.%d.%d.%d", s.index, s.hosts/256, s.hosts%256)
	}
	p.launch(d)
	return nil
}

func (p *process) launch(d *Driver) {
	p.driver = d
	p.started = time.Now()
	p.since = p.started.UTC()
	p.resized = make(chan struct{}, 1)
	p.term = make(chan struct{})
	p.done = make(chan struct{})
	p.ctx, p.kill = context.WithCancel(context.Background())
	if p.listens == nil {
		p.listens = map[int]*listener{}
	}
	if p.attached {
		p.in, p.out = pipe.New(pipeSize), pipe.New(pipeSize)
	}
	d.running.Add(1)
	go p.run()
}

func (p *process) run() {
	defer p.driver.running.Done()
	m := &machine{process: p}
	code := p.driver.program(p.ctx, m, p.spec.Args[1:])
	if p.ctx.Err() != nil {
		code = 137
	}
	m.flush()
	p.driver.mu.Lock()
	defer p.driver.mu.Unlock()
	m.release()
	p.exit.Code = code
	p.ran = time.Since(p.started)
	p.since = time.Now().UTC()
	p.kill()
	if p.attached {
		p.in.Close()
		p.out.End(nil)
	}
	close(p.done)
	p.driver.processEnded(p)
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// terminate sends SIGTERM, and SIGKILL after grace.
func (p *process) terminate(grace time.Duration) {
	select {
	case <-p.term:
		return
	default:
		close(p.term)
	}
	go func() {
		select {
		case <-p.done:
		case <-time.After(grace):
			p.kill()
		}
	}()
}

// machine is the script.System of a process.
type machine struct {
	*process
	partial bytes.Buffer // a line of output that has no end yet
	held    []*volume
}

func (m *machine) Env(name string) string {
	if name == "PORT" && m.spec.Port != 0 {
		return strconv.Itoa(m.spec.Port)
	}
	value := ""
	if name == "DYNO" {
		value = m.dyno
	}
	for _, e := range m.spec.Env {
		if e.Name == name {
			value = e.Value
		}
	}
	return value
}

func (m *machine) Stdin() io.Reader {
	if m.attached {
		return m.in
	}
	return bytes.NewReader(nil)
}

func (m *machine) Stdout() io.Writer {
	if m.attached {
		return m.out
	}
	return m
}

// Write cuts output into log lines.
func (m *machine) Write(b []byte) (int, error) {
	m.driver.mu.Lock()
	defer m.driver.mu.Unlock()
	m.partial.Write(b)
	for {
		line, err := m.partial.ReadString('\n')
		if err != nil {
			m.partial.WriteString(line)
			return len(b), nil
		}
		m.driver.log(m.process, line[:len(line)-1])
	}
}

func (m *machine) flush() {
	if m.partial.Len() > 0 {
		m.Write([]byte("\n"))
	}
}

// release closes what the process left open; the driver's mu is held.
func (m *machine) release() {
	for _, v := range m.held {
		v.open--
	}
	for _, l := range m.listens {
		l.shut()
	}
	clear(m.listens)
}

func (m *machine) Size() (rows, cols int) {
	m.driver.mu.Lock()
	defer m.driver.mu.Unlock()
	return m.rows, m.cols
}

func (m *machine) Resized() <-chan struct{}    { return m.resized }
func (m *machine) Terminated() <-chan struct{} { return m.term }
