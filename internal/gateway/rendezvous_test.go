package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/blob"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/recording"
)

func TestTerminalSession(t *testing.T) {
	l := newLab(t, nil)
	p := l.promise(t, startProcess(t, true, "bash", "--norc", "--noprofile", "-i"), true)
	c := l.join(t, p)
	readUntil(t, c, "$ ")
	send(t, c, "echo $((6*7))\r")
	readUntil(t, c, "42\r\n")
	send(t, c, "sleep 60\r")
	readUntil(t, c, "sleep 60\r\n")
	time.Sleep(100 * time.Millisecond) // until bash has started it
	send(t, c, "\x03echo after-$?\r")
	readUntil(t, c, "after-130\r\n")
	send(t, c, "exit 7\r")
	shown, err := io.ReadAll(c)
	must(t, err) // an orderly end, not a reset
	if !strings.Contains(string(shown), "exit 7") {
		t.Errorf("shown %q", shown)
	}
	end := p.end(t)
	if end.Reason != EndedExit || end.Exit == nil || end.Exit.Code != 7 {
		t.Errorf("%+v", end)
	}
	typed, recorded := l.cast(t, end)
	if want := "echo $((6*7))\rsleep 60\r\x03echo after-$?\rexit 7\r"; typed != want {
		t.Errorf("typed %q, want %q", typed, want)
	}
	if !strings.Contains(recorded, "42\r\n") || !strings.Contains(recorded, "after-130\r\n") {
		t.Errorf("shown %q", recorded)
	}
	if end.In != int64(len(typed)) || end.Out != int64(len(recorded)) || end.Recording.In != end.In || end.Recording.Out != end.Out {
		t.Errorf("counted %d in, %d out; recorded %+v", end.In, end.Out, end.Recording)
	}
	if *end.Recording.End.Exit != 7 || end.Recording.Damaged {
		t.Errorf("%+v", end.Recording)
	}
	wantNoWorkingFile(t, l)
}

func wantNoWorkingFile(t *testing.T, l *lab) {
	t.Helper()
	for range 100 { // it goes after Close has returned
		entries, err := os.ReadDir(filepath.Join(l.dir, "running"))
		must(t, err)
		if len(entries) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the working file was left")
}

// Without a terminal 0x04 at the end of what the client sends is the end of input.
func TestPipedInput(t *testing.T) {
	tests := []struct {
		name  string
		sends []string
		pause time.Duration
		want  string // what the process read
	}{
		{"alone", []string{"two\nlines\n", "\x04"}, 20 * time.Millisecond, "two\nlines\n"},
		{"in the same record", []string{"text\x04"}, 0, "text"},
		{"nothing before it", []string{"\x04"}, 0, ""},
		{"inside the input", []string{"a\x04b", "\x04"}, 0, "a\x04b"},
		{"at the end of a piece", []string{"a\x04", "b", "\x04"}, 0, "a\x04b"},
		{"twice", []string{"a\x04\x04"}, 0, "a\x04"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, nil)
			p := l.promise(t, startProcess(t, false, "od", "-An", "-v", "-tx1", "-w1"), false)
			c := l.join(t, p)
			for _, s := range tt.sends {
				send(t, c, s)
				time.Sleep(tt.pause)
			}
			shown, err := io.ReadAll(c)
			must(t, err)
			got, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "").Replace(string(shown)))
			if err != nil || string(got) != tt.want {
				t.Errorf("the process read %q, %v", got, err)
			}
			end := p.end(t)
			if end.Reason != EndedExit || end.Exit.Code != 0 {
				t.Errorf("%+v", end)
			}
			if typed, _ := l.cast(t, end); typed != strings.Join(tt.sends, "") {
				t.Errorf("recorded %q", typed)
			}
		})
	}
}

// A terminal gets 0x04 as it is.
func TestTerminalGetsEOT(t *testing.T) {
	l := newLab(t, nil)
	p := l.promise(t, startProcess(t, true, "cat"), true)
	c := l.join(t, p)
	send(t, c, "\x04")
	if _, err := io.ReadAll(c); err != nil {
		t.Fatal(err)
	}
	if end := p.end(t); end.Reason != EndedExit || end.In != 1 {
		t.Errorf("%+v", end)
	}
}

func TestBigOutput(t *testing.T) {
	l := newLab(t, nil)
	data := make([]byte, 5<<20)
	rand.Read(data)
	file := filepath.Join(l.dir, "data")
	must(t, os.WriteFile(file, []byte(hex.EncodeToString(data)), 0o600))
	p := l.promise(t, startProcess(t, false, "cat", file), false)
	c := l.join(t, p)
	got, err := io.ReadAll(c)
	must(t, err)
	if string(got) != hex.EncodeToString(data) {
		t.Fatalf("%d bytes arrived, not those that were sent", len(got))
	}
	if _, shown := l.cast(t, p.end(t)); shown != string(got) {
		t.Error("the recording has something else")
	}
}

// What a process says before the client can hear it is not lost: it comes in a
// record after the greeting's.
func TestFirstOutput(t *testing.T) {
	l := newLab(t, nil)
	p := l.promise(t, startProcess(t, false, "echo", "first words"), false)
	c := l.join(t, p)
	if got, err := io.ReadAll(c); string(got) != "first words\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// spySession looks at the recording at the moment at which a process gets input.
type spySession struct {
	Session
	write func([]byte)
}

func (s spySession) Write(p []byte) (int, error) {
	s.write(p)
	return s.Session.Write(p)
}

// Every key is in a copy of the working file that was made before the process
// got it; all output is in a copy made when the client has it.
func TestRecordedBefore(t *testing.T) {
	l := newLab(t, func(_ *RendezvousConfig, r *recording.Config) { r.Max = 128 << 10 })
	var (
		id     string
		copies int
		sofar  string
	)
	spy := spySession{startProcess(t, true, "cat"), func(b []byte) {
		sofar += string(b)
		typed, _ := l.recordedNow(t, id)
		if typed != sofar {
			t.Errorf("the process gets %q while %q is recorded", sofar, typed)
		}
		copies++
	}}
	p := l.promise(t, spy, true)
	id = p.id
	c := l.join(t, p)
	for _, key := range []string{"w", "h", "o", "a", "m", "i", "\r"} {
		send(t, c, key)
		echo := readUntil(t, c, strings.TrimSuffix(key, "\r"))
		if _, shown := l.recordedNow(t, id); !strings.Contains(shown, echo) {
			t.Errorf("the client has %q while %q is recorded", echo, shown)
		}
	}
	send(t, c, "\x04")
	if end := p.end(t); end.Reason != EndedExit || copies < 8 {
		t.Errorf("%+v, %d writes", end, copies)
	}
}

// recordedNow recovers a copy of a session's working file, as after a crash now.
func (l *lab) recordedNow(t *testing.T, id string) (typed, shown string) {
	t.Helper()
	dir := t.TempDir()
	name := id + ".recording"
	b, err := os.ReadFile(filepath.Join(l.dir, "running", name))
	must(t, err, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	store, err := blob.Open(filepath.Join(dir, "blobs"), labKeys{})
	must(t, err)
	r, err := recording.New(recording.Config{Dir: dir, Keys: labKeys{}, Blobs: store})
	must(t, err)
	got, err := r.Recover(t.Context())
	must(t, err)
	cast, err := store.Get(t.Context(), nil, got[0].Ref.SHA256)
	must(t, err)
	defer cast.Close()
	return readCast(t, cast)
}

// When the recording fails, the session ends, the client is told why, and the
// process gets nothing more.
func TestFullRecordingEndsTheSession(t *testing.T) {
	l := newLab(t, func(_ *RendezvousConfig, r *recording.Config) { r.Max = 64 << 10 })
	var mu sync.Mutex
	var got []byte
	spy := spySession{startProcess(t, false, "sleep", "60"), func(b []byte) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, b...)
	}}
	p := l.promise(t, spy, false)
	c := l.join(t, p)
	go io.Copy(c, io.LimitReader(neverEnds{}, 1<<20))
	told := readUntil(t, c, "limit")
	if !strings.Contains(told, "!    The session was ended: its recording reached the limit") {
		t.Errorf("told %q", told)
	}
	end := p.end(t)
	if end.Reason != EndedRecording {
		t.Errorf("%+v", end)
	}
	typed, _ := l.cast(t, end)
	mu.Lock()
	defer mu.Unlock()
	if typed != string(got) {
		t.Errorf("the process got %d bytes, %d are recorded", len(got), len(typed))
	}
}

type neverEnds struct{}

func (neverEnds) Read(p []byte) (int, error) {
	return copy(p, bytes.Repeat([]byte("x"), len(p))), nil
}

func TestUnrecordedSessionIsRefused(t *testing.T) {
	l := newLab(t, nil)
	proc := startProcess(t, true, "cat")
	p := l.promise(t, proc, true, func(a *Attachment) { a.Recording = nil })
	c := l.dial(t, p.secret+"\r\n")
	if got, _ := io.ReadAll(c); len(got) > 0 {
		t.Errorf("got %q", got)
	}
	if end := p.end(t); end.Reason != EndedRecording {
		t.Errorf("%+v", end)
	}
	<-proc.done
}

// Nobody learns from the server what was wrong with a first line.
func TestWrongSecrets(t *testing.T) {
	l := newLab(t, func(c *RendezvousConfig, _ *recording.Config) { c.Limits.Failures = 100 })
	used := l.promise(t, startProcess(t, false, "true"), false)
	io.ReadAll(l.join(t, used))
	used.end(t)
	for name, line := range map[string]string{
		"used":          used.secret + "\r\n",
		"unknown":       strings.Repeat("A", 43) + "\r\n",
		"empty":         "\r\n",
		"query only":    "?x=1\r\n",
		"no carriage":   "secret\n",
		"HTTP":          "GET / HTTP/1.1\r\n\r\n",
		"too long":      strings.Repeat("A", 600),
		"binary":        "\x00\xff\r\n",
		"long but ends": strings.Repeat("A", 300) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			got, _ := io.ReadAll(l.dial(t, line))
			took := time.Since(begin)
			if len(got) > 0 || took < 200*time.Millisecond || took > 10*time.Second {
				t.Errorf("%q after %v", got, took)
			}
		})
	}
	t.Cleanup(func() {
		if s := l.Stats(); s.Refused != 9 || s.Opened != 1 || s.Limited != 0 {
			t.Errorf("%+v", s)
		}
		if strings.Contains(l.log.String(), used.secret) {
			t.Error("the log holds a secret")
		}
	})
}

func TestGreetingDeadline(t *testing.T) {
	l := newLab(t, func(c *RendezvousConfig, _ *recording.Config) { c.Greeting = 300 * time.Millisecond })
	begin := time.Now()
	got, _ := io.ReadAll(l.dial(t, "half a li"))
	if took := time.Since(begin); len(got) > 0 || took > 5*time.Second {
		t.Errorf("%q after %v", got, took)
	}
	c, err := net.Dial("tcp", l.addr) // says nothing at all
	must(t, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a silent client was not closed")
	}
}

func TestGuessingIsLimited(t *testing.T) {
	l := newLab(t, func(c *RendezvousConfig, _ *recording.Config) {
		c.Refusal = time.Millisecond
		c.Limits = Limits{Failures: 3, Recovery: time.Hour}
	})
	for range 3 {
		io.ReadAll(l.dial(t, "wrong\r\n"))
	}
	for range 100 { // the third may not have been counted yet
		if l.Stats().Refused == 3 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	c, err := net.Dial("tcp", l.addr)
	must(t, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if got, _ := io.ReadAll(c); len(got) > 0 {
		t.Errorf("heard %q", got)
	}
	if s := l.Stats(); s.Refused != 3 || s.Limited != 1 {
		t.Errorf("%+v", s)
	}
}

// A client with a good secret is told when its process could not start.
func TestStartFailureIsTold(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fault.New(fault.Unavailable, "The engine is not there."), "The engine is not there."},
		{errors.New("disk /dev/secret broke"), "The process could not be started."},
	} {
		l := newLab(t, nil)
		l.redeemer = func() error { return tt.err }
		p := l.promise(t, startProcess(t, false, "true"), false)
		got, err := io.ReadAll(l.join(t, p))
		must(t, err)
		if string(got) != "\r\n !    "+tt.want+"\r\n" {
			t.Errorf("told %q", got)
		}
	}
}

func TestClientGone(t *testing.T) {
	l := newLab(t, nil)
	proc := startProcess(t, true, "sleep", "60")
	p := l.promise(t, proc, true)
	l.join(t, p).Close()
	if end := p.end(t); end.Reason != EndedDisconnect {
		t.Errorf("%+v", end)
	}
	<-proc.done
}

// A client that stops reading holds its process back, and nobody else.
func TestClientThatDoesNotRead(t *testing.T) {
	l := newLab(t, func(c *RendezvousConfig, _ *recording.Config) { c.Idle = time.Second })
	p := l.promise(t, startProcess(t, false, "cat", "/dev/zero"), false)
	l.join(t, p)
	if end := p.end(t); end.Reason != EndedIdle && end.Reason != EndedDisconnect {
		t.Errorf("%+v", end)
	}
}

func TestIdle(t *testing.T) {
	l := newLab(t, func(c *RendezvousConfig, _ *recording.Config) { c.Idle = time.Second })
	p := l.promise(t, startProcess(t, true, "cat"), true)
	c := l.join(t, p)
	for range 5 { // activity keeps it open
		time.Sleep(300 * time.Millisecond)
		send(t, c, "x")
		readUntil(t, c, "x")
	}
	readUntil(t, c, "nothing was typed or shown")
	if end := p.end(t); end.Reason != EndedIdle {
		t.Errorf("%+v", end)
	}
}

func TestWithdrawn(t *testing.T) {
	l := newLab(t, nil)
	done := make(chan struct{})
	p := l.promise(t, startProcess(t, true, "cat"), true, func(a *Attachment) { a.Done = done })
	c := l.join(t, p)
	send(t, c, "a")
	readUntil(t, c, "a")
	close(done)
	readUntil(t, c, "your access was withdrawn")
	if end := p.end(t); end.Reason != EndedWithdrawn || end.Exit == nil {
		t.Errorf("%+v", end)
	}
}

func TestShutdownClosesSessions(t *testing.T) {
	l := newLab(t, nil)
	p := l.promise(t, startProcess(t, true, "cat"), true)
	c := l.join(t, p)
	send(t, c, "a")
	readUntil(t, c, "a")
	l.dial(t, "still waiting for the rest of the")
	l.shutdown()
	select {
	case end := <-p.ended: // Serve returned only after this
		if end.Reason != EndedShutdown || end.Recording == nil {
			t.Errorf("%+v", end)
		}
	default:
		t.Fatal("the session was not closed when Serve returned")
	}
	readUntil(t, c, "the server is being stopped")
}

// If the closing entry cannot be written, the working file stays for Recover.
func TestCloseFailureKeepsTheRecording(t *testing.T) {
	l := newLab(t, nil)
	failed := make(chan struct{})
	p := l.promise(t, startProcess(t, false, "echo", "kept"), false, func(a *Attachment) {
		a.Close = func(_ context.Context, _ Ending) error {
			close(failed)
			return fault.New(fault.Unavailable, "ledger full")
		}
	})
	io.ReadAll(l.join(t, p))
	<-failed
	l.shutdown()
	got, err := l.recorder.Recover(t.Context())
	must(t, err)
	if len(got) != 1 || got[0].ID != p.id || got[0].Out != 5 || got[0].End.Reason != EndedExit {
		t.Errorf("%+v", got)
	}
}

// A process that closes its output and then takes its time still says how it
// ended; one that does not end is ended.
func TestOutputClosedEarly(t *testing.T) {
	for _, tt := range []struct {
		command string
		code    int
	}{{"exec >&- 2>&-; sleep 0.5; exit 5", 5}, {"exec >&- 2>&-; exec sleep 600", -1}} {
		l := newLab(t, func(c *RendezvousConfig, _ *recording.Config) { c.Finish = 6 * time.Second })
		p := l.promise(t, startProcess(t, false, "bash", "-c", tt.command), false)
		_, err := io.ReadAll(l.join(t, p))
		must(t, err)
		if end := p.end(t); end.Reason != EndedExit || end.Exit == nil || end.Exit.Code != tt.code {
			t.Errorf("%s: %+v", tt.command, end)
		}
	}
}
