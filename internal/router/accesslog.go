package router

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLine is PIPE_BUF: a write of at most that much to a FIFO is done whole or
// not at all.
const maxLine = 4096

// accessLog writes access lines to a FIFO and drops what does not fit: a reader
// that is slow or gone must not hold requests up. A nil accessLog writes nothing.
type accessLog struct {
	file    *os.File
	raw     syscall.RawConn // of file
	dropped atomic.Uint64
}

// logLine is what the FIFO's reader gets.
type logLine struct {
	App    string `json:"app"`
	Text   string `json:"text"`
	Source string `json:"source"`
	Dyno   string `json:"dyno"`
}

// newAccessLog duplicates the file, which the caller may close.
func newAccessLog(file *os.File) (*accessLog, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("open the access log: %w", err)
	}
	fd := -1
	var got error
	err = raw.Control(func(original uintptr) {
		fd, got = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 3)
	})
	if err := errors.Join(err, got); err != nil {
		return nil, fmt.Errorf("open the access log: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open the access log: %w", err)
	}
	l := &accessLog{file: os.NewFile(uintptr(fd), file.Name())}
	if l.raw, err = l.file.SyscallConn(); err != nil {
		l.file.Close()
		return nil, fmt.Errorf("open the access log: %w", err)
	}
	return l, nil
}

// write logs one line of an app. A line of no app has no reader and is left out.
func (l *accessLog) write(app, text string) {
	if l == nil || app == "" {
		return
	}
	line := encode(logLine{App: app, Text: text, Source: "heroku", Dyno: "router"})
	if len(line) > maxLine {
		l.dropped.Add(1)
		return
	}
	if err := l.try(line); err != nil { // full, or nobody reads at the moment
		l.dropped.Add(1)
	}
}

// try writes once and never waits.
func (l *accessLog) try(line []byte) error {
	var wrote error
	err := l.raw.Write(func(fd uintptr) bool {
		for {
			_, wrote = unix.Write(int(fd), line)
			if !errors.Is(wrote, unix.EINTR) {
				return true // even if it would have to wait
			}
		}
	})
	return errors.Join(err, wrote)
}

// encode returns the line with its newline. '&' stays one byte.
func encode(entry logLine) []byte {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(entry); err != nil { // strings always encode
		panic(err)
	}
	return line.Bytes()
}

func (l *accessLog) lost() uint64 {
	if l == nil {
		return 0
	}
	return l.dropped.Load()
}

func (l *accessLog) close() {
	if l != nil {
		l.file.Close()
	}
}
