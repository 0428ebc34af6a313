package spool

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/supervise"
)

func TestOutputOfADyno(t *testing.T) {
	client, _ := running(t, testConfig(t))
	stdout, stderr := fifo(t, "stdout"), fifo(t, "stderr")
	open(t, client, testStream(stdout), testStream(stderr))
	begin := time.Now().Add(-time.Second)
	write(t, stdout, "hello\nwor")
	waitFor(t, client, 1)
	write(t, stderr, "error\n")
	waitFor(t, client, 2)
	write(t, stdout, "ld\nlast")
	if err := client.Write(t.Context(), Line{Space: "s1", App: "a1", Dyno: "web.1", Text: "State changed from starting to up"}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, client, 4)
	// What has begun is a line when the stream ends.
	if err := client.Close(t.Context(), "stdout"); err != nil {
		t.Fatal(err)
	}
	got := queried(t, client, all())
	want := []driver.LogLine{
		{Source: "app", Dyno: "web.1", Text: "hello"},
		{Source: "app", Dyno: "web.1", Text: "error"},
		{Source: "app", Dyno: "web.1", Text: "world"},
		{Source: "heroku", Dyno: "web.1", Text: "State changed from starting to up"},
		{Source: "app", Dyno: "web.1", Text: "last"},
	}
	// The third and fourth come over different ways.
	sorted := cmpopts.SortSlices(func(a, b driver.LogLine) bool { return a.Text < b.Text })
	if diff := cmp.Diff(want, got, sorted, cmpopts.IgnoreFields(driver.LogLine{}, "ID", "Time")); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	for _, line := range got {
		if line.Time.Before(begin) || line.Time.After(time.Now()) {
			t.Errorf("line at %v", line.Time)
		}
	}
	ascending(t, got)
	streams, err := client.Streams(t.Context())
	if err != nil || len(streams) != 1 || streams[0].ID != "stderr" {
		t.Errorf("streams = %v, %v", streams, err)
	}
	if err := client.Close(t.Context(), "stdout"); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestFollow(t *testing.T) {
	client, _ := running(t, testConfig(t))
	pipe := fifo(t, "pipe")
	open(t, client, testStream(pipe))
	// An app may be followed before it has written anything.
	early := follow(t, client, all())
	write(t, pipe, "one\ntwo\n")
	first := next(t, early)
	if second := next(t, early); first.Text != "one" || second.Text != "two" {
		t.Fatalf("lines %q, %q", first.Text, second.Text)
	}
	tail := follow(t, client, driver.LogQuery{Space: "s1", App: "a1"})
	again := follow(t, client, driver.LogQuery{Space: "s1", App: "a1", After: first.ID})
	if line := next(t, again); line.Text != "two" {
		t.Errorf("continued with %q", line.Text)
	}
	filtered := follow(t, client, driver.LogQuery{Space: "s1", App: "a1", Source: "heroku"})
	write(t, pipe, "three\n")
	for _, lines := range []<-chan driver.LogLine{early, tail, again} {
		if line := next(t, lines); line.Text != "three" {
			t.Errorf("next line %q", line.Text)
		}
	}
	if err := client.Write(t.Context(), Line{Space: "s1", App: "a1", Text: "said"}); err != nil {
		t.Fatal(err)
	}
	if line := next(t, filtered); line.Text != "said" || line.Source != "heroku" {
		t.Errorf("filtered line %+v", line)
	}
}

// A follower sees every line once, over the ends of segments.
func TestFollowOverSegments(t *testing.T) {
	cfg := testConfig(t)
	cfg.SegmentBytes = 2000
	client, _ := running(t, cfg)
	pipe := fifo(t, "pipe")
	open(t, client, testStream(pipe))
	lines := follow(t, client, driver.LogQuery{Space: "s1", App: "a1"})
	for i := range 50 {
		write(t, pipe, repeat(10, fmt.Sprintf("%d-%%d\n", i)))
		if i%10 == 0 {
			time.Sleep(flushAfter)
		}
	}
	for i := range 500 {
		want := fmt.Sprintf("%d-%d", i/10, i%10)
		if line := next(t, lines); line.Text != want {
			t.Fatalf("line %d is %q, want %q", i, line.Text, want)
		}
	}
}

func TestRouterStream(t *testing.T) {
	client, _ := running(t, testConfig(t))
	pipe := fifo(t, "router")
	open(t, client, Stream{ID: "r", Space: "s1", Source: "heroku", Dyno: "router", Kind: KindRouter, Path: pipe.Name()})
	write(t, pipe, `{"app":"a1","text":"at=info \"GET /\"","source":"app","dyno":"web.1"}
not json
{"app":"../s2/a1","text":"climbs"}
{"app":"a2","text":"for another"}
{"app":"a1","text":"two\nlines"}
{"app":"a1","text":"`+strings.Repeat(`\u0041`, 9000)+`"}
`)
	got := waitFor(t, client, 4)
	want := []driver.LogLine{
		{Source: "heroku", Dyno: "router", Text: `at=info "GET /"`},
		{Source: "heroku", Dyno: "router", Text: "two"},
		{Source: "heroku", Dyno: "router", Text: "lines"},
		{Source: "heroku", Dyno: "router", Text: strings.Repeat("A", 9000)},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(driver.LogLine{}, "ID", "Time")); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	eventually(t, "the other app's line is in its own log", func() bool {
		other := queried(t, client, driver.LogQuery{Space: "s1", App: "a2", Lines: 9})
		return cmp.Equal([]string{"for another"}, texts(other))
	})
}

// A spool that is stopped in order loses nothing: not the line that has begun,
// not what is written while there is no spool.
func TestOrderlyRestart(t *testing.T) {
	cfg := testConfig(t)
	client, stop := running(t, cfg)
	pipe := fifo(t, "pipe")
	open(t, client, testStream(pipe))
	write(t, pipe, "one\ntw")
	waitFor(t, client, 1)
	stop()
	write(t, pipe, "o\nthree\n")
	client, stop = running(t, cfg)
	waitFor(t, client, 3)
	stop()
	client, _ = running(t, cfg)
	write(t, pipe, "four\n")
	got := waitFor(t, client, 4)
	if diff := cmp.Diff([]string{"one", "two", "three", "four"}, texts(got)); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	ascending(t, got)
}

// A stream whose container went away while there was no spool is forgotten;
// one whose FIFO was made anew is opened anew.
func TestFIFOsThatChange(t *testing.T) {
	cfg := testConfig(t)
	client, stop := running(t, cfg)
	gone, renewed := fifo(t, "gone"), fifo(t, "renewed")
	open(t, client, testStream(gone), testStream(renewed))
	stop()
	if err := os.Remove(gone.Name()); err != nil {
		t.Fatal(err)
	}
	client, _ = running(t, cfg)
	streams, err := client.Streams(t.Context())
	if err != nil || len(streams) != 1 {
		t.Errorf("streams = %v, %v", streams, err)
	}
	write(t, renewed, "old\n")
	if err := os.Rename(fifo(t, "another").Name(), renewed.Name()); err != nil {
		t.Fatal(err)
	}
	open(t, client, testStream(renewed))
	fresh, err := os.OpenFile(renewed.Name(), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	write(t, fresh, "new\n")
	got := waitFor(t, client, 2)
	if diff := cmp.Diff([]string{"old", "new"}, texts(got)); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	client, _ := running(t, testConfig(t))
	pipe := fifo(t, "pipe")
	good := testStream(pipe)
	open(t, client, good, good)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(pipe.Name(), link); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*Stream)
		kind   fault.Kind
	}{
		"other values":     {func(s *Stream) { s.Dyno = "web.2" }, fault.Conflict},
		"no FIFO":          {func(s *Stream) { s.ID, s.Path = "x", file }, fault.Invalid},
		"link":             {func(s *Stream) { s.ID, s.Path = "x", link }, fault.Invalid},
		"missing":          {func(s *Stream) { s.ID, s.Path = "x", file+"x" }, fault.Invalid},
		"climbing id":      {func(s *Stream) { s.ID = "..%2fx" }, fault.Invalid},
		"climbing app":     {func(s *Stream) { s.ID, s.App = "x", "../x" }, fault.Invalid},
		"long dyno":        {func(s *Stream) { s.ID, s.Dyno = "x", strings.Repeat("x", 101) }, fault.Invalid},
		"unknown kind":     {func(s *Stream) { s.ID, s.Kind = "x", "x" }, fault.Invalid},
		"router of an app": {func(s *Stream) { s.ID, s.Kind = "x", KindRouter }, fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			st := good
			test.change(&st)
			if err := client.Open(t.Context(), st); fault.Of(err) != test.kind {
				t.Errorf("Open = %v, want kind %q", err, test.kind)
			}
		})
	}
	if err := client.Write(t.Context(), Line{Space: "s1", App: "a1", Text: strings.Repeat("x", maxBody)}); fault.Of(err) != fault.TooLarge {
		t.Errorf("a huge line: %v", err)
	}
	if _, err := client.Logs(t.Context(), driver.LogQuery{Space: "s1", App: "a1", After: "x"}); fault.Of(err) != fault.Invalid {
		t.Errorf("an unknown id: %v", err)
	}
	if got := queried(t, client, driver.LogQuery{Space: "s1", App: "never", Lines: 5}); len(got) != 0 {
		t.Errorf("an app without a log has %v", got)
	}
}

func TestOneSpoolOnADirectory(t *testing.T) {
	cfg := testConfig(t)
	running(t, cfg)
	second := cfg
	second.Socket += "2"
	if err := Run(t.Context(), second, testLog(t)); fault.Of(err) != fault.Unavailable {
		t.Errorf("a second spool: %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := testConfig(t)
	for name, change := range map[string]func(*Config){
		"relative directory": func(c *Config) { c.Dir = "logs" },
		"no run directory":   func(c *Config) { c.Run = "" },
		"no socket":          func(c *Config) { c.Socket = "" },
		"no room":            func(c *Config) { c.AppBytes = 1 << 20 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			change(&cfg)
			if err := Run(t.Context(), cfg, testLog(t)); fault.Of(err) != fault.Invalid {
				t.Errorf("Run = %v", err)
			}
		})
	}
}

// spool under a supervisor: the socket stays while the process is replaced, so
// callers wait and are not refused.
func TestSupervised(t *testing.T) {
	cfg := testConfig(t)
	cfg.Control, cfg.Build = cfg.Socket+".control", "one"
	running(t, cfg)
	probe := supervise.ProbeSocket(cfg.Control)
	eventually(t, "the control socket answers", func() bool {
		pid, err := probe(t.Context())
		return err == nil && pid == os.Getpid()
	})
}

func TestInheritedListener(t *testing.T) {
	cfg := testConfig(t)
	listener, err := supervise.ListenUnix(cfg.Socket, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Listener = listener
	client, _ := running(t, cfg)
	if _, err := client.Streams(t.Context()); err != nil {
		t.Error(err)
	}
}

// What is not a request of ours ends with an answer, not with spool's end.
func TestNoise(t *testing.T) {
	cfg := testConfig(t)
	client, _ := running(t, cfg)
	for _, text := range []string{
		"\x00\x01\x02\r\n\r\n", "GET /logs?query=%7B HTTP/1.1\r\nHost: x\r\n\r\n", "PUT /streams/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n[",
	} {
		conn, err := net.Dial("unix", cfg.Socket)
		if err != nil {
			t.Fatal(err)
		}
		write(t, conn, text)
		answer, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil && err != io.EOF || !strings.Contains(answer, " 400 ") {
			t.Errorf("answer to %q: %q, %v", text, answer, err)
		}
		conn.Close()
	}
	if _, err := client.Streams(t.Context()); err != nil {
		t.Error(err)
	}
}
