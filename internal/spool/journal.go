package spool

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	// flushAfter is how long a line waits for others before it is written.
	flushAfter = 20 * time.Millisecond
	// flushAt is how much is written without waiting.
	flushAt = 64 << 10
	// pendingMax is how much may wait; past that readers stop reading.
	pendingMax = 256 << 10
	// stallTime is how long a reader waits for a write that does not end before
	// lines are dropped: a dyno must not freeze for a disk.
	stallTime = 2 * time.Second
	// retryAfter is when a failed write is tried again without many new lines.
	retryAfter = time.Second
)

// journal is the log of one app. Readers of streams add lines; one writer
// goroutine, which exists while there is something to write, puts them into
// segments; queries read the segments.
type journal struct {
	log *slog.Logger

	mu      sync.Mutex
	pending []byte    // encoded records to be written
	spare   []byte    // the former pending, while there is a writer
	first   uint64    // id of the first record in pending
	last    uint64    // newest id given
	tried   uint64    // newest id that was written, or could not be
	trouble string    // why writing fails: drop what there is no room for; "" = it does not
	dropped int       // lines that were dropped since the last marker
	reason  string    // why
	writing bool      // there is a writer goroutine
	told    time.Time // when trouble was last logged

	segments []segment     // oldest first; replaced, never changed in place
	changed  chan struct{} // closed and replaced after every write and attempt
	nudge    chan struct{} // capacity 1: the writer is not to wait for more

	out *segmentWriter // the writer goroutine's
}

// openJournal opens the log in dir, repairing its newest segment.
func openJournal(dir string, cfg Config, log *slog.Logger) (*journal, error) {
	j := &journal{
		log: log, changed: make(chan struct{}), nudge: make(chan struct{}, 1),
		out: newSegmentWriter(dir, cfg),
	}
	var err error
	if j.segments, err = listSegments(dir); err != nil || len(j.segments) == 0 {
		return j, err
	}
	newest := &j.segments[len(j.segments)-1]
	fixed, last, cut, err := repair(dir, *newest)
	if err != nil {
		return nil, err
	}
	*newest = fixed
	if fixed.size == 0 {
		j.segments = j.segments[:len(j.segments)-1]
	}
	j.last = max(last, fixed.first)
	if cut > 0 {
		log.Warn("torn end of a log segment cut off", "dir", dir, "bytes", cut)
		j.say(fmt.Sprintf("spool: %d bytes removed: they were not completely written before a crash", cut))
	}
	return j, nil
}

// batch is exclusive access to the journal for adding lines.
type batch struct {
	j    *journal
	now  time.Time
	drop bool
}

// begin waits until there is room, or until it is clear that there will be
// none soon: lines are dropped and counted then.
func (j *journal) begin() batch {
	j.mu.Lock()
	if len(j.pending) >= pendingMax && j.trouble == "" {
		j.waitForRoom()
	}
	b := batch{j: j, now: time.Now(), drop: len(j.pending) >= pendingMax}
	if !b.drop {
		j.mark(b.now)
	}
	return b
}

// waitForRoom is called with j.mu held and returns with it.
func (j *journal) waitForRoom() {
	timeout := time.NewTimer(stallTime)
	defer timeout.Stop()
	for len(j.pending) >= pendingMax && j.trouble == "" {
		changed := j.changed
		j.mu.Unlock()
		var late bool
		select {
		case <-changed:
		case <-timeout.C:
			late = true
		}
		j.mu.Lock()
		if late && len(j.pending) >= pendingMax {
			j.fail("writing takes too long", nil)
		}
	}
}

// add appends a line of the given time, zero = now. Text over the limit
// becomes several lines.
func (b batch) add(at time.Time, source, dyno string, line []byte) {
	if b.drop {
		b.j.dropped++
		b.j.reason = b.j.trouble
		return
	}
	if at.IsZero() {
		at = b.now
	}
	text := clean(line)
	for len(text) > maxText {
		n := boundary(text, maxText)
		b.j.put(b.now, at, source, dyno, text[:n])
		text = text[n:]
	}
	b.j.put(b.now, at, source, dyno, text)
}

// addText adds text that may hold newlines, which would pass for the end of a line
// wherever lines are shown.
func (b batch) addText(at time.Time, source, dyno, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		b.add(at, source, dyno, []byte(line))
	}
}

// end gives up the access and returns the newest id, for sync.
func (b batch) end() uint64 {
	defer b.j.mu.Unlock()
	b.j.wake()
	return b.j.last
}

// put encodes a record; j.mu is held. Its id is the time, so that ids grow even
// when all that the journal held was deleted, and more than the last, so that
// they grow when the clock is set back.
func (j *journal) put(now, at time.Time, source, dyno string, text []byte) {
	j.last = max(uint64(now.UnixNano()), j.last+1)
	if len(j.pending) == 0 {
		j.first = j.last
	}
	j.pending = appendRecord(j.pending, j.last, at, source, dyno, text)
}

// say adds a line of spool's own.
func (j *journal) say(text string) {
	b := j.begin()
	b.add(time.Time{}, "heroku", "spool", []byte(text))
	b.end()
}

// wake has the writer look after what is pending; j.mu is held.
func (j *journal) wake() {
	if len(j.pending) == 0 && j.dropped == 0 {
		return
	}
	if !j.writing {
		j.writing = true
		go j.write()
	}
	if len(j.pending) >= flushAt && j.trouble == "" {
		j.hurry()
	}
}

func (j *journal) hurry() {
	select {
	case j.nudge <- struct{}{}:
	default: // it is hurrying
	}
}

// fail has what there is no room for be dropped from now on; j.mu is held.
func (j *journal) fail(reason string, err error) {
	j.trouble = reason
	if now := time.Now(); now.Sub(j.told) > time.Minute {
		j.told = now
		j.log.Error("log lines cannot be written; what does not fit into memory is dropped", "reason", reason, "error", err)
	}
}

// mark adds the line that accounts for dropped ones; j.mu is held.
func (j *journal) mark(now time.Time) {
	if j.dropped == 0 {
		return
	}
	text := fmt.Sprintf("spool: %d lines dropped: %s", j.dropped, j.reason)
	j.put(now, now, "heroku", "spool", []byte(text))
	j.dropped = 0
}

// write is the writer goroutine. It ends when nothing is pending.
func (j *journal) write() {
	timer := time.NewTimer(flushAfter)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-j.nudge:
		}
		more, err := j.flush()
		if !more {
			return
		}
		if timer.Reset(flushAfter); err != nil {
			timer.Reset(retryAfter)
		}
	}
}

// flush writes what is pending, or keeps it for another time. It says whether
// there is more by then; if there is not, it has noted that the writer ends.
func (j *journal) flush() (more bool, err error) {
	j.mu.Lock()
	if len(j.pending) < pendingMax {
		j.mark(time.Now())
	}
	records, first, last := j.pending, j.first, j.last
	j.pending = j.spare
	segments := j.segments
	j.mu.Unlock()

	var pruned string
	if len(records) > 0 {
		segments, pruned, err = j.out.append(segments, first, records)
	}

	j.mu.Lock()
	defer j.mu.Unlock()
	j.segments, j.tried = segments, last
	if err != nil {
		later := j.pending
		j.pending, j.first = append(records, later...), first
		j.spare = later[:0]
		j.fail(reasonOf(err), err)
	} else {
		j.spare, j.trouble = records[:0], ""
	}
	if pruned != "" {
		now := time.Now()
		j.put(now, now, "heroku", "spool", []byte(pruned))
	}
	close(j.changed)
	j.changed = make(chan struct{})
	more = len(j.pending) > 0 || j.dropped > 0
	if !more {
		// An idle app holds no memory.
		j.writing, j.pending, j.spare = false, nil, nil
	}
	return more, err
}

// sync waits until the line of that id was written, or writing it was tried.
func (j *journal) sync(ctx context.Context, id uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.tried < id && j.writing {
		j.hurry()
		changed := j.changed
		j.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		j.mu.Lock()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// view returns the segments as they are and a channel that is closed when they
// may have changed. They are not to be modified.
func (j *journal) view() ([]segment, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.segments, j.changed
}

// rest closes the file of an app that has been silent since the time given.
func (j *journal) rest(since time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.writing && j.out.used.Before(since) {
		j.out.close()
	}
}
