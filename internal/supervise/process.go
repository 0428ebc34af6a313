package supervise

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// process is a running child, started or taken over. It is held by a pidfd, so
// a signal reaches this very process or nobody.
type process struct {
	pid     int
	adopted bool
	build   string // what it says of itself, if it does
	since   time.Time
	order   int // generation of the wish that it fulfils

	pidfd *os.File
	done  chan struct{} // closed when it has ended
	exit  string        // how it ended; set before done is closed
}

// watch follows the process behind the pidfd, which it takes over. reap is
// called once when it has ended and says how; nil for processes that are not
// our children.
func watch(pid, pidfd int, reap func() string) (*process, error) {
	// Non-blocking, so that the runtime's poller waits and no thread does.
	if err := unix.SetNonblock(pidfd, true); err != nil {
		unix.Close(pidfd)
		return nil, fmt.Errorf("pidfd of %d: %w", pid, err)
	}
	p := &process{
		pid: pid, since: time.Now(),
		pidfd: os.NewFile(uintptr(pidfd), "pidfd"), done: make(chan struct{}),
	}
	conn, err := p.pidfd.SyscallConn()
	if err != nil {
		p.pidfd.Close()
		return nil, fmt.Errorf("pidfd of %d: %w", pid, err)
	}
	go func() {
		if err := conn.Read(exited); err != nil {
			return // released: nobody waits for done any more
		}
		p.exit = "ended (how is not known: it was taken over)"
		if reap != nil {
			p.exit = reap()
		}
		close(p.done)
	}()
	return p, nil
}

// exited says whether the process behind the pidfd has ended.
func exited(pidfd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 1
}

// signal sends sig; a process that has ended is not an error.
func (p *process) signal(sig unix.Signal) error {
	conn, err := p.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = conn.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
	if err = errors.Join(err, sent); errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// duplicate returns a copy of the process's descriptor n.
func (p *process) duplicate(n int) (int, error) {
	conn, err := p.pidfd.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var got error
	err = conn.Control(func(pidfd uintptr) { fd, got = unix.PidfdGetfd(int(pidfd), n, 0) })
	return fd, errors.Join(err, got)
}

// release lets go of the process; it lives on.
func (p *process) release() { p.pidfd.Close() }
