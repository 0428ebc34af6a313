package spool

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// segmentFile is the part of *os.File that writing needs; tests put failing
// disks behind it.
type segmentFile interface {
	WriteAt(b []byte, off int64) (int, error)
	Truncate(size int64) error
	Close() error
}

func openSegment(path string, flag int) (segmentFile, error) {
	return os.OpenFile(path, flag, 0o640)
}

// segmentWriter appends to an app's newest segment, ends it and deletes the
// oldest ones. One goroutine at a time uses it.
type segmentWriter struct {
	dir  string
	cfg  Config
	open func(path string, flag int) (segmentFile, error)
	file segmentFile // the newest segment's; nil = not open
	used time.Time   // when it was last written to
}

func newSegmentWriter(dir string, cfg Config) *segmentWriter {
	return &segmentWriter{dir: dir, cfg: cfg, open: openSegment}
}

// append writes whole records, the first with the given id, and returns the segments as they
// are then. It writes all or, with an error, nothing. pruned says what was deleted to
// make room, "" for nothing.
func (w *segmentWriter) append(segments []segment, first uint64, records []byte) (_ []segment, pruned string, err error) {
	w.used = time.Now()
	segments = slices.Clone(segments)
	if n := len(segments); n > 0 && !w.full(segments[n-1], int64(len(records))) {
		return segments, "", w.extend(&segments[n-1], records)
	}
	w.close()
	segments, pruned, err = w.prune(segments)
	if err != nil {
		return segments, pruned, err
	}
	seg := segment{first: first}
	if err := w.create(&seg, records); err != nil {
		return segments, pruned, err
	}
	return append(segments, seg), pruned, nil
}

func (w *segmentWriter) full(newest segment, more int64) bool {
	began := time.Unix(0, int64(newest.first))
	return newest.size+more > w.cfg.SegmentBytes || w.used.Sub(began) > w.cfg.SegmentAge
}

func (w *segmentWriter) create(seg *segment, records []byte) error {
	if err := os.MkdirAll(w.dir, 0o750); err != nil {
		return err
	}
	path := seg.path(w.dir)
	file, err := w.open(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	w.file = file
	if err := w.extend(seg, append([]byte(magic), records...)); err != nil {
		w.close()
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// extend appends to a segment. What a failed write left is cut off; should that
// fail too, it lies behind the size that readers go by, and is written over.
func (w *segmentWriter) extend(seg *segment, b []byte) error {
	if w.file == nil {
		file, err := w.open(seg.path(w.dir), os.O_RDWR)
		if err != nil {
			return err
		}
		w.file = file
	}
	if _, err := w.file.WriteAt(b, seg.size); err != nil {
		return errors.Join(err, w.file.Truncate(seg.size))
	}
	seg.size += int64(len(b))
	return nil
}

// prune deletes the oldest segments until there is room for another.
func (w *segmentWriter) prune(segments []segment) (kept []segment, pruned string, err error) {
	total := w.cfg.SegmentBytes
	for _, seg := range segments {
		total += seg.size
	}
	gone := 0
	for gone < len(segments) && total > w.cfg.AppBytes {
		if err := os.Remove(segments[gone].path(w.dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return segments[gone:], "", err
		}
		total -= segments[gone].size
		gone++
	}
	if gone == 0 {
		return segments, "", nil
	}
	before := "now"
	if gone < len(segments) {
		before = time.Unix(0, int64(segments[gone].first)).UTC().Format(time.RFC3339)
	}
	pruned = fmt.Sprintf("spool: lines before %s deleted: the log of this app is bounded to %d bytes", before, w.cfg.AppBytes)
	return segments[gone:], pruned, nil
}

func (w *segmentWriter) close() {
	if w.file != nil {
		// Nothing is buffered here that closing could lose.
		_ = w.file.Close()
		w.file = nil
	}
}

// reasonOf says in a word or two why a write failed.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return "no space"
	case errors.Is(err, unix.EDQUOT):
		return "over quota"
	case errors.Is(err, unix.EROFS):
		return "read-only file system"
	default:
		return "write error"
	}
}
