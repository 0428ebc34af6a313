package containerd

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
	"github.com/containerd/fifo"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"golang.org/x/sys/unix"
)

// hangUpGrace is what a process gets between SIGHUP and SIGKILL once its
// session is closed.
const hangUpGrace = 10 * time.Second

// stalled is how long output of an ended process may stay unread.
const stalled = 30 * time.Second

// line is the FIFOs between a session and its process. Output is read straight
// from the FIFO, so a caller that does not read holds up the process as a
// pipe would.
type line struct {
	dir     string
	tty     bool
	in, out io.ReadWriteCloser
	cancel  context.CancelFunc
	read    atomic.Int64

	once    sync.Once
	drained chan struct{} // closed when nobody will read any more
}

func linePaths(dir string) (in, out string) {
	return filepath.Join(dir, "in"), filepath.Join(dir, "out")
}

func openLine(root, id string, tty bool) (*line, error) {
	l := &line{dir: filepath.Join(root, id), tty: tty, drained: make(chan struct{})}
	if err := os.Mkdir(l.dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Conflict, err, "The session %s was already begun.", id)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	in, out := linePaths(l.dir)
	var err error
	if l.in, err = fifo.OpenFifo(ctx, in, unix.O_WRONLY|unix.O_CREAT|unix.O_NONBLOCK, 0o600); err == nil {
		l.out, err = fifo.OpenFifo(ctx, out, unix.O_RDONLY|unix.O_CREAT|unix.O_NONBLOCK, 0o600)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// create is the cio.Creator of the process.
func (l *line) create(string) (cio.IO, error) {
	in, out := linePaths(l.dir)
	f := fifos{Terminal: l.tty, Stdin: in, Stdout: out}
	if !l.tty {
		f.Stderr = out
	}
	return f, nil
}

func (l *line) Read(b []byte) (int, error) {
	n, err := l.out.Read(b)
	l.read.Add(int64(n))
	if err != nil {
		l.finish()
	}
	return n, err
}

func (l *line) finish() { l.once.Do(func() { close(l.drained) }) }

// await returns when the output was read to its end, or is not being read.
func (l *line) await(ctx context.Context) {
	for last := int64(-1); last != l.read.Load(); {
		last = l.read.Load()
		select {
		case <-l.drained:
			return
		case <-time.After(stalled):
		case <-ctx.Done():
			return
		}
	}
}

func (l *line) Close() error {
	l.finish()
	l.cancel()
	if l.in != nil {
		l.in.Close()
	}
	if l.out != nil {
		l.out.Close()
	}
	return os.RemoveAll(l.dir)
}

// attached is a session that carries a process's input and output.
type attached struct {
	*line
	process client.Process
	ended   <-chan struct{}
	exit    func() driver.Exit // after ended
	hangUp  func()
	closing sync.Once
}

var _ driver.Session = (*attached)(nil)

func (a *attached) Write(b []byte) (int, error) {
	n, err := a.in.Write(b)
	if err != nil {
		return n, fault.Wrap(fault.Conflict, err, "The process takes no more input.")
	}
	return n, nil
}

// endOfInput is what a terminal sends for it: control-D.
const endOfInput = 4

func (a *attached) CloseWrite() error {
	if a.tty {
		_, err := a.Write([]byte{endOfInput})
		return err
	}
	a.in.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := a.process.CloseIO(inNamespace(ctx), client.WithStdinCloser)
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

func (a *attached) Resize(rows, cols int) error {
	if !a.tty {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return a.process.Resize(inNamespace(ctx), uint32(cols), uint32(rows))
}

func (a *attached) Wait(ctx context.Context) (driver.Exit, error) {
	select {
	case <-a.ended:
		return a.exit(), nil
	case <-ctx.Done():
		return driver.Exit{}, ctx.Err()
	}
}

func (a *attached) Close() error {
	a.closing.Do(func() {
		select {
		case <-a.ended:
		default:
			a.hangUp()
		}
		a.line.Close()
	})
	return nil
}

// waiting is the session of a task that is not attached.
type waiting struct {
	ended <-chan struct{}
	exit  func() driver.Exit
}

var _ driver.Session = (*waiting)(nil)

func (w *waiting) Read([]byte) (int, error) {
	<-w.ended
	return 0, io.EOF
}

func (w *waiting) Write([]byte) (int, error) {
	return 0, fault.New(fault.Conflict, "The task is not attached.")
}

func (w *waiting) CloseWrite() error     { return nil }
func (w *waiting) Resize(int, int) error { return nil }
func (w *waiting) Close() error          { return nil }

func (w *waiting) Wait(ctx context.Context) (driver.Exit, error) {
	select {
	case <-w.ended:
		return w.exit(), nil
	case <-ctx.Done():
		return driver.Exit{}, ctx.Err()
	}
}
