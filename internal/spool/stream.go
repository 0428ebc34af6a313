package spool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/fault"
)

const (
	chunkSize = 16 << 10
	// maxRouterLine bounds a router's JSON, in which text may be escaped.
	maxRouterLine = 64 << 10
	// drainBytes bounds how much is read from a FIFO that is being closed: a
	// writer that goes on must not keep it open.
	drainBytes = 4 << 20
)

func (st Stream) check() error {
	switch {
	case !validID(st.ID):
		return fault.New(fault.Invalid, "%q cannot be a stream's id", st.ID)
	case st.Kind != KindOutput && st.Kind != KindRouter:
		return fault.New(fault.Invalid, "stream %s: there is no kind %q", st.ID, st.Kind)
	case st.Kind == KindRouter && st.App != "":
		return fault.New(fault.Invalid, "stream %s: a router names the app on every line", st.ID)
	case len(st.Source) > maxName || len(st.Dyno) > maxName:
		return fault.New(fault.Invalid, "stream %s: source or dyno is too long", st.ID)
	}
	_, err := newPlace(st.Space, st.App)
	return err
}

// errNoFIFO says that a stream's path is something else.
var errNoFIFO = errors.New("not a FIFO")

// reader reads the FIFO of one stream.
type reader struct {
	Stream
	store *store
	log   *slog.Logger
	pool  *sync.Pool // of *[chunkSize]byte: an idle stream holds no buffer
	file  *os.File
	conn  syscall.RawConn
	split splitter
	bad   int           // lines that were not what they should be
	done  chan struct{} // closed when run has returned
}

// openReader opens the FIFO for reading and writing, so that the end of one
// writer is not the end of the stream.
func openReader(st Stream, store *store, pool *sync.Pool, log *slog.Logger) (*reader, error) {
	fd, err := unix.Open(st.Path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", st.Path, err)
	}
	file := os.NewFile(uintptr(fd), st.Path)
	info, err := file.Stat()
	if err == nil && info.Mode().Type() != os.ModeNamedPipe {
		err = fmt.Errorf("%s: %w", st.Path, errNoFIFO)
	}
	conn, connErr := file.SyscallConn()
	if err = errors.Join(err, connErr); err != nil {
		file.Close()
		return nil, err
	}
	r := &reader{
		Stream: st, store: store, pool: pool, file: file, conn: conn,
		log:   log.With("stream", st.ID, "space", st.Space, "app", st.App, "dyno", st.Dyno),
		split: splitter{max: maxText}, done: make(chan struct{}),
	}
	if st.Kind == KindRouter {
		r.split.max = maxRouterLine
	}
	return r, nil
}

// run reads until stop.
func (r *reader) run() {
	defer close(r.done)
	for {
		if _, err := r.read(true); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				r.log.Error("stream cannot be read any more", "error", err)
			}
			return
		}
	}
}

// read takes one chunk out of the FIFO, waiting for one if asked to, and
// returns its size.
func (r *reader) read(wait bool) (n int, err error) {
	var chunk *[chunkSize]byte
	var readErr error
	err = r.conn.Read(func(fd uintptr) bool {
		chunk = r.pool.Get().(*[chunkSize]byte)
		n, readErr = unix.Read(int(fd), chunk[:])
		if readErr == unix.EAGAIN || readErr == unix.EINTR {
			r.pool.Put(chunk)
			n, chunk = 0, nil
			again := wait || readErr == unix.EINTR
			readErr = nil
			return !again
		}
		return true
	})
	if chunk == nil {
		return 0, err
	}
	defer r.pool.Put(chunk)
	if err = errors.Join(err, readErr); err != nil {
		return 0, err
	}
	r.take(chunk[:n])
	return n, nil
}

// take puts the lines of a chunk into the journal.
func (r *reader) take(chunk []byte) {
	if r.Kind == KindRouter {
		r.split.split(chunk, r.routerLine)
		return
	}
	j, err := r.store.journal(r.Space, r.App)
	if err != nil {
		r.complain(err)
		return
	}
	b := j.begin()
	defer b.end()
	r.split.split(chunk, func(line []byte) { b.add(time.Time{}, r.Source, r.Dyno, line) })
}

// routerLine stores a line of a router's log. What it says of itself is not
// believed, save which app of its space it means.
func (r *reader) routerLine(line []byte) {
	var said struct {
		App  string `json:"app"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(line, &said); err != nil {
		r.complain(err)
		return
	}
	j, err := r.store.journal(r.Space, said.App)
	if err != nil {
		r.complain(err)
		return
	}
	b := j.begin()
	defer b.end()
	b.addText(time.Time{}, r.Source, r.Dyno, said.Text)
}

// complain logs lines that cannot be kept: the first and every thousandth.
func (r *reader) complain(err error) {
	if r.bad%1000 == 0 {
		r.log.Warn("output cannot be kept", "times", r.bad+1, "error", err)
	}
	r.bad++
}

// stop ends run, reads what is in the FIFO and closes it. It returns the line
// that has begun.
func (r *reader) stop() (rest []byte, err error) {
	if err := r.file.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return nil, err
	}
	<-r.done
	if err := r.file.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	for taken := 0; taken < drainBytes; {
		n, err := r.read(false)
		if err != nil || n == 0 {
			break
		}
		taken += n
	}
	return r.split.rest, r.file.Close()
}

// finish stops the stream for good: what has begun is a line, and all its lines
// can be queried when it returns.
func (r *reader) finish(ctx context.Context) error {
	rest, err := r.stop()
	if len(rest) > 0 {
		r.take([]byte("\n"))
	}
	if r.Kind == KindRouter {
		return err
	}
	j, journalErr := r.store.journal(r.Space, r.App)
	if journalErr != nil {
		return errors.Join(err, journalErr)
	}
	ctx, cancel := context.WithTimeout(ctx, stallTime)
	defer cancel()
	return errors.Join(err, j.sync(ctx, j.begin().end()))
}

// current says whether the FIFO at the stream's path is being read.
func (r *reader) current() bool {
	select {
	case <-r.done:
		return false
	default:
	}
	have, err := r.file.Stat()
	if err != nil {
		return false
	}
	at, err := os.Lstat(r.Path)
	return err == nil && os.SameFile(have, at)
}
