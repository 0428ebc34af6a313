package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/driver"
)

// disk is a segment file whose writes fail or hang as long as it is told to.
type disk struct {
	segmentFile
	state *diskState
}

type diskState struct {
	full atomic.Bool
	hang chan struct{} // writes wait until it is closed; nil = they do not
}

func (d *disk) WriteAt(b []byte, off int64) (int, error) {
	if d.state.hang != nil {
		<-d.state.hang
	}
	if d.state.full.Load() {
		// As ext4 does: what fits is written.
		n, err := d.segmentFile.WriteAt(b[:len(b)/2], off)
		if err != nil {
			return n, err
		}
		return n, unix.ENOSPC
	}
	return d.segmentFile.WriteAt(b, off)
}

func testJournal(t *testing.T, dir string, change func(*Config)) *journal {
	t.Helper()
	cfg, err := testConfig(t).normal()
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&cfg)
	}
	j, err := openJournal(dir, cfg, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		j.flushed(t)
		j.rest(time.Now().Add(time.Hour))
	})
	return j
}

func onDisk(j *journal, state *diskState) {
	j.out.open = func(path string, flag int) (segmentFile, error) {
		file, err := openSegment(path, flag)
		return &disk{file, state}, err
	}
}

func (j *journal) print(lines ...string) {
	b := j.begin()
	for _, line := range lines {
		b.add(time.Time{}, "app", "web.1", []byte(line))
	}
	b.end()
}

// flushed waits until everything was written or dropped.
func (j *journal) flushed(t *testing.T) {
	t.Helper()
	j.mu.Lock()
	last := j.last
	j.tried = min(j.tried, last-1) // even if it was tried before
	j.mu.Unlock()
	if err := j.sync(t.Context(), last); err != nil && t.Context().Err() == nil {
		t.Fatal(err)
	}
}

func (j *journal) texts(t *testing.T) []string {
	t.Helper()
	return texts(j.read(t, driver.LogQuery{Lines: maxLines}))
}

func (j *journal) read(t *testing.T, q driver.LogQuery) []driver.LogLine {
	t.Helper()
	r, err := newQuery(j, j.out.dir, q, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	var lines []driver.LogLine
	err = r.run(t.Context(), false,
		func(line driver.LogLine) error { lines = append(lines, line); return nil },
		func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	ascending(t, lines)
	return lines
}

func TestSegmentsAreRotatedAndBounded(t *testing.T) {
	dir := t.TempDir()
	j := testJournal(t, dir, func(c *Config) { c.SegmentBytes, c.AppBytes = 1000, 5000 })
	for i := range 200 {
		j.print(fmt.Sprintf("line %d %s", i, strings.Repeat("x", 60)))
		j.flushed(t)
	}
	segments, err := listSegments(dir)
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, seg := range segments {
		total += seg.size
		if seg.size > 1000 {
			t.Errorf("segment of %d bytes", seg.size)
		}
	}
	if total > 5000 || total < 3000 {
		t.Errorf("%d bytes are kept", total)
	}
	lines := j.texts(t)
	last := lines[len(lines)-1]
	if !strings.HasPrefix(last, "line 199 ") {
		t.Errorf("the newest line is %q", last)
	}
	if !strings.Contains(strings.Join(lines, "\n"), "bounded to 5000 bytes") {
		t.Error("the log does not say that lines were deleted")
	}
}

func TestSegmentsEndWithAge(t *testing.T) {
	dir := t.TempDir()
	j := testJournal(t, dir, func(c *Config) { c.SegmentAge = time.Nanosecond })
	for range 3 {
		j.print("x")
		j.flushed(t)
	}
	segments, err := listSegments(dir)
	if err != nil || len(segments) != 3 {
		t.Errorf("segments = %v, %v; want 3", segments, err)
	}
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	j := testJournal(t, dir, nil)
	// The clock stood far in the future when this was written.
	j.last = uint64(time.Now().Add(1000 * time.Hour).UnixNano())
	j.print("one", "two")
	j.flushed(t)
	j.rest(time.Now().Add(time.Hour))

	again := testJournal(t, dir, nil)
	again.print("three")
	again.flushed(t)
	lines := again.read(t, driver.LogQuery{Lines: 10}) // checks that ids grow
	if diff := cmp.Diff([]string{"one", "two", "three"}, texts(lines)); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	again.rest(time.Now().Add(time.Hour))

	segments, err := listSegments(dir)
	if err != nil || len(segments) != 1 {
		t.Fatalf("segments = %v, %v", segments, err)
	}
	if err := os.Truncate(segments[0].path(dir), segments[0].size-1); err != nil {
		t.Fatal(err)
	}
	torn := testJournal(t, dir, nil)
	torn.print("four")
	torn.flushed(t)
	got := torn.texts(t)
	if len(got) != 4 || got[3] != "four" || !strings.Contains(got[2], "bytes removed") {
		t.Errorf("lines after a torn end = %q", got)
	}
}

// fill prints until lines have to be dropped, and returns what was printed.
func (j *journal) fill(t *testing.T) (printed []string) {
	t.Helper()
	for i := 0; j.dropped < 3; i++ {
		text := fmt.Sprintf("%d %s", i, strings.Repeat("x", 9000))
		j.print(text)
		printed = append(printed, text)
		j.flushed(t)
	}
	return printed
}

// While the disk is full, memory takes what it may; what follows is dropped.
func TestFullDisk(t *testing.T) {
	j := testJournal(t, t.TempDir(), nil)
	state := &diskState{}
	onDisk(j, state)
	j.print("before")
	j.flushed(t)
	state.full.Store(true)
	printed := j.fill(t)
	if diff := cmp.Diff([]string{"before"}, j.texts(t)); diff != "" {
		t.Errorf("lines on a full disk (-want +got):\n%s", diff)
	}
	state.full.Store(false)
	j.flushed(t)
	j.print("after")
	j.flushed(t)
	want := append([]string{"before"}, printed[:len(printed)-3]...)
	want = append(want, "spool: 3 lines dropped: no space", "after")
	if diff := cmp.Diff(want, j.texts(t)); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// The account of dropped lines comes even if no further line does.
func TestDroppedLinesAreToldWithoutFurtherLines(t *testing.T) {
	j := testJournal(t, t.TempDir(), nil)
	state := &diskState{}
	onDisk(j, state)
	state.full.Store(true)
	j.fill(t)
	state.full.Store(false)
	eventually(t, "the marker is written", func() bool {
		lines := j.texts(t)
		return len(lines) > 0 && lines[len(lines)-1] == "spool: 3 lines dropped: no space"
	})
}

func TestHangingDisk(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j := testJournal(t, dir, nil)
		state := &diskState{hang: make(chan struct{})}
		onDisk(j, state)
		line := strings.Repeat("x", 10_000)
		begin := time.Now()
		printed := 0
		for time.Since(begin) < stallTime {
			j.print(line)
			printed++
			time.Sleep(time.Millisecond)
		}
		waited := time.Since(begin)
		if waited > stallTime+100*time.Millisecond {
			t.Errorf("the writer was held up for %v", waited)
		}
		// From then on nothing waits.
		begin = time.Now()
		for range 1000 {
			j.print(line)
			printed++
		}
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("the writer was held up again for %v", waited)
		}
		if len(j.pending) > pendingMax+20_000 {
			t.Errorf("%d bytes wait in memory", len(j.pending))
		}
		close(state.hang)
		j.flushed(t)
		j.print("after")
		j.flushed(t)
		lines := j.texts(t)
		kept, dropped := 0, 0
		for _, text := range lines {
			if text == line {
				kept++
			}
			var n int
			if _, err := fmt.Sscanf(text, "spool: %d lines dropped: writing takes too long", &n); err == nil {
				dropped += n
			}
		}
		if kept+dropped != printed || dropped == 0 || lines[len(lines)-1] != "after" {
			t.Errorf("%d lines printed, %d kept, %d said to be dropped", printed, kept, dropped)
		}
	})
}

func TestLongAndForeignText(t *testing.T) {
	j := testJournal(t, t.TempDir(), nil)
	// Every byte becomes three: the line is over the limit only when cleaned.
	j.print(strings.Repeat("\xff", maxText), "a\x00b")
	b := j.begin()
	b.addText(time.Time{}, "heroku", "api", "one\nforged app[web.1]: two")
	b.end()
	j.flushed(t)
	lines := j.texts(t)
	if len(lines) != 7 || lines[4] != "ab" || lines[5] != "one" {
		t.Fatalf("%d lines: %.60q", len(lines), lines)
	}
	if joined := strings.Join(lines[:4], ""); joined != strings.Repeat("\ufffd", maxText) {
		t.Errorf("%d bytes of replaced text", len(joined))
	}
	for _, line := range lines {
		if len(line) > maxText {
			t.Errorf("line of %d bytes", len(line))
		}
	}
}

func TestIdleAppHoldsNoMemory(t *testing.T) {
	j := testJournal(t, t.TempDir(), nil)
	for range 100 {
		j.print(strings.Repeat("x", 10_000))
	}
	j.flushed(t)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.pending != nil || j.spare != nil || j.writing {
		t.Errorf("pending %d, spare %d, writing %v", cap(j.pending), cap(j.spare), j.writing)
	}
}

func TestAppsOfASpaceAreBounded(t *testing.T) {
	cfg, err := testConfig(t).normal()
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxApps = 2
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "s1", "old"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := newStore(cfg, testLog(t))
	for _, test := range []struct {
		space, app string
		ok         bool
	}{
		{"s1", "a1", true},
		{"s1", "a2", false},
		{"s1", "old", true},
		{"s1", "a1", true},
		{"s2", "a2", true},
		{"s1", "../../etc", false},
		{"s1", "..", false},
		{"..", "a1", false},
		{"s1", "", false}, // a third
		{"", "", true},
	} {
		if _, err := s.journal(test.space, test.app); (err == nil) != test.ok {
			t.Errorf("journal(%q, %q) = %v", test.space, test.app, err)
		}
	}
}
