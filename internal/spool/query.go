package spool

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// maxLines is the most of the past that a query gives.
const maxLines = 100_000

// filter selects lines.
type filter struct {
	source, dyno string
}

func (f filter) matches(r record) bool {
	if f.source != "" && f.source != string(r.source) {
		return false
	}
	if f.dyno == "" || f.dyno == string(r.dyno) {
		return true
	}
	// A process type stands for all its dynos.
	rest, ok := strings.CutPrefix(string(r.dyno), f.dyno)
	return ok && rest[0] == '.'
}

// position is where reading goes on: a record in a segment.
type position struct {
	segment uint64 // the first id of the segment
	offset  int64  // 0 = its first record
}

// query reads an app's journal for one caller.
type query struct {
	journal *journal
	dir     string
	filter  filter
	after   uint64 // lines up to this id are left out
	at      position
	log     *slog.Logger

	file *os.File // at.segment's, if open
	last uint64   // id of the newest record read
}

// newQuery finds where the answer begins.
func newQuery(j *journal, dir string, q driver.LogQuery, log *slog.Logger) (*query, error) {
	r := &query{journal: j, dir: dir, filter: filter{q.Source, q.Dyno}, log: log}
	segments, _ := j.view()
	var err error
	switch {
	case q.After != "":
		if r.after, err = parseID(q.After); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "the log cannot be continued after %q", q.After)
		}
		r.at = r.seek(segments)
	case q.Lines > 0:
		r.at, err = r.rewind(segments, min(q.Lines, maxLines))
	case len(segments) > 0:
		newest := segments[len(segments)-1]
		r.at = position{newest.first, newest.size}
	}
	return r, err
}

// seek returns the segment in which the line after r.after may be.
func (r *query) seek(segments []segment) position {
	at := position{}
	for _, seg := range segments {
		if seg.first <= r.after {
			at.segment = seg.first
		}
	}
	return at
}

// rewind returns where the newest n lines that match begin.
func (r *query) rewind(segments []segment, n int) (position, error) {
	at := position{}
	for i := len(segments) - 1; i >= 0 && n > 0; i-- {
		offsets, err := r.offsets(segments[i], n)
		if err != nil {
			return at, err
		}
		n -= len(offsets)
		if len(offsets) > 0 {
			at = position{segments[i].first, offsets[0]}
		} else if at.segment == 0 {
			at = position{segments[i].first, segments[i].size}
		}
	}
	return at, nil
}

// offsets returns where the newest matching records of a segment begin, at most n.
func (r *query) offsets(seg segment, n int) ([]int64, error) {
	file, err := os.Open(seg.path(r.dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // deleted to make room meanwhile
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	s, err := scan(file, 0, seg.size)
	var found []int64
	for err == nil {
		var rec record
		at := s.at
		if rec, err = s.next(); err == nil && r.filter.matches(rec) {
			found = append(found, at)
		}
		// Twice as many as needed are held, so that moving them is rare.
		if len(found) >= 2*n {
			found = append(found[:0], found[len(found)-n:]...)
		}
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, errTorn) {
		return nil, err
	}
	return found[max(0, len(found)-n):], nil
}

// run passes lines to emit until it has given all there are now, and with
// follow until ctx ends. flush is called when no more are there at the moment.
func (r *query) run(ctx context.Context, follow bool, emit func(driver.LogLine) error, flush func() error) error {
	defer r.close()
	for {
		segments, changed := r.journal.view()
		if err := r.catchUp(ctx, segments, emit); err != nil {
			return err
		}
		if err := flush(); err != nil || !follow {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// catchUp emits what the segments hold beyond the position.
func (r *query) catchUp(ctx context.Context, segments []segment, emit func(driver.LogLine) error) error {
	for _, seg := range segments {
		if seg.first < r.at.segment || seg.first == r.at.segment && seg.size <= r.at.offset {
			continue
		}
		if seg.first != r.at.segment {
			r.close()
			r.at = position{segment: seg.first}
		}
		err := r.segment(ctx, seg, emit)
		if errors.Is(err, errTorn) || errors.Is(err, fs.ErrNotExist) {
			r.log.Error("part of a log segment cannot be read", "segment", seg.path(r.dir), "offset", r.at.offset, "error", err)
			err = emit(r.gap())
			r.at.offset = math.MaxInt64 // go on with the next
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// segment emits the rest of one segment.
func (r *query) segment(ctx context.Context, seg segment, emit func(driver.LogLine) error) error {
	if r.file == nil {
		file, err := os.Open(seg.path(r.dir))
		if err != nil {
			return err
		}
		r.file = file
	}
	s, err := scan(r.file, r.at.offset, seg.size)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		rec, err := s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r.at.offset, r.last = s.at, rec.id
		if rec.id > r.after && r.filter.matches(rec) {
			if err := emit(rec.line()); err != nil {
				return err
			}
		}
		if n%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// gap says in the log itself that lines are missing here.
func (r *query) gap() driver.LogLine {
	return driver.LogLine{
		ID: formatID(max(r.last, r.after) + 1), Time: time.Now().UTC(),
		Source: "heroku", Dyno: "spool", Text: "spool: lines that follow here cannot be read",
	}
}

func (r *query) close() {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}
