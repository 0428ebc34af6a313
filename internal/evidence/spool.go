package evidence

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/strongroom/strongroom/internal/fault"
)

// spool holds a report, or the headers, on disk until the pack has room for it:
// the files of a pack follow each other, and these come about all at once. It has
// no name in the file system, so whatever ends the process leaves nothing behind.
type spool struct {
	file *os.File
	out  *bufio.Writer
}

// newSpool makes one in a directory.
func newSpool(dir string) (*spool, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, spoolError(err)
		}
	}
	f, err := os.CreateTemp(dir, "report-*") // mode 0600
	if err != nil {
		return nil, spoolError(err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &spool{f, bufio.NewWriterSize(f, 64<<10)}, nil
}

// Write adds to the end.
func (s *spool) Write(p []byte) (int, error) {
	n, err := s.out.Write(p)
	return n, spoolError(err)
}

// reader reads all that was written, from the beginning.
func (s *spool) reader() (io.Reader, error) {
	if err := s.out.Flush(); err != nil {
		return nil, spoolError(err)
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read a report again: %w", err)
	}
	return bufio.NewReaderSize(s.file, 64<<10), nil
}

// copyTo writes all that was written to out too.
func (s *spool) copyTo(out io.Writer) error {
	in, err := s.reader()
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return err
}

func (s *spool) close() error { return s.file.Close() }

// spoolError says what to do about a disk that is full.
func spoolError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return fault.New(fault.Unavailable, "The server's disk is full: a pack's reports need room there while it is made. Free some, or ask for a shorter period. Nothing was issued.")
	default:
		return fmt.Errorf("keep a report on disk: %w", err)
	}
}
