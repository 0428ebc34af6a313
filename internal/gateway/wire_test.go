package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseGreeting(t *testing.T) {
	long := strings.Repeat("a", maxSecret)
	tests := []struct {
		line, secret string
		ok           bool
	}{
		{"s3cr3t\r\n", "s3cr3t", true},
		{"s3cr3t?x=1\r\n", "s3cr3t", true},
		{"a-b_C9??x\xff\r\n", "a-b_C9", true},
		{long + "\r\n", long, true},
		{long + "a\r\n", "", false},
		{"s3cr3t\n", "", false},
		{"s3cr3t", "", false},
		{"?x=1\r\n", "", false},
		{"\r\n", "", false},
		{"a b\r\n", "", false},
		{"a/b\r\n", "", false},
		{"a\rb\r\n", "", false},
	}
	for _, tt := range tests {
		secret, err := parseGreeting([]byte(tt.line))
		if secret != tt.secret || (err == nil) != tt.ok {
			t.Errorf("%q: %q, %v", tt.line, secret, err)
		}
	}
}

func FuzzGreeting(f *testing.F) {
	for _, s := range []string{"s3cr3t?x=1\r\n", "\r\n", "a\r\nb\r\n", strings.Repeat("a", 600), "GET / HTTP/1.1\r\n\r\n"} {
		f.Add([]byte(s))
	}
	valid := regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newGreetingReader(bytes.NewReader(b))
		secret, err := readGreeting(r)
		if err != nil {
			return
		}
		if !valid.MatchString(secret) {
			t.Fatalf("secret %q", secret)
		}
		// What follows the line is input and must all be there.
		rest, _ := io.ReadAll(r)
		line := b[:len(b)-len(rest)]
		if len(line) > maxGreeting || !bytes.HasSuffix(line, []byte("\r\n")) || !bytes.HasSuffix(b, rest) || bytes.Count(line, []byte("\n")) != 1 {
			t.Fatalf("line %q, rest %q", line, rest)
		}
	})
}

func TestCut(t *testing.T) {
	m := marker
	tests := []struct {
		name, in string
		final    bool
		want     []string
		keep     int
	}{
		{"text", "plain text\n", false, []string{"plain text\n"}, 0},
		{"nothing", "", false, nil, 0},
		{"alone", m + "7\n", false, []string{m + "7\n"}, 0},
		{"amid text", "out\n" + m + "0\r\nmore", false, []string{"out\n", m + "0\r\n", "more"}, 0},
		{"line end still to come", "out\n" + m + "12", false, []string{"out\n"}, len(m) + 2},
		{"half a line end", m + "12\r", false, nil, len(m) + 3},
		{"digits still to come", m, false, nil, len(m)},
		{"half a marker", "out" + m[:9], false, []string{"out"}, 9},
		{"one byte of a marker", "out" + m[:1], false, []string{"out"}, 1},
		{"half, and nothing follows", "out" + m[:9], true, []string{"out" + m[:9]}, 0},
		{"whole, and nothing follows", "out" + m + "1", true, []string{"out", m + "1"}, 0},
		{"no line end", m + "1$ ", false, []string{m + "1", "$ "}, 0},
		{"no digits", m + "x", false, []string{m, "x"}, 0},
		{"too many digits", m + "12345678901", false, []string{m + "1234567890", "1"}, 0},
		{"two", m + "1\n" + m + "2\n", false, []string{m + "1\n", m + "2\n"}, 0},
		{"half a character", "caf\xc3", false, []string{"caf"}, 1},
		{"three quarters of one", "\xf0\x9f\x98", false, nil, 3},
		{"not UTF-8", "a\xff\xff", false, []string{"a\xff\xff"}, 0},
	}
	for _, tt := range tests {
		segments, keep := cut([]byte(tt.in), tt.final)
		var got []string
		for _, s := range segments {
			got = append(got, string(s))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || keep != tt.keep {
			t.Errorf("%s: keep %d, want %d\n%s", tt.name, keep, tt.keep, diff)
		}
	}
}

var wholeMarker = regexp.MustCompile(marker + `[0-9]{1,10}`)

// FuzzCut: however the output comes in pieces, all of it goes out in order, and
// every marker goes out whole, with its status, in one write.
func FuzzCut(f *testing.F) {
	f.Add([]byte("out\n"+marker+"7\n"), byte(3))
	f.Add([]byte(marker+"12\r\n"+marker+"34"), byte(1))
	f.Add([]byte(marker[:10]+marker+"1"), byte(5))
	f.Add([]byte("caf\xc3\xa9\xef\xbf"), byte(2))
	f.Fuzz(func(t *testing.T, in []byte, step byte) {
		var all, buf []byte
		writes := map[int]int{} // from where to where each write goes
		emit := func(final bool) {
			segments, keep := cut(buf, final)
			for _, s := range segments {
				if len(s) == 0 {
					t.Fatal("an empty write")
				}
				writes[len(all)] = len(all) + len(s)
				all = append(all, s...)
			}
			if final && keep > 0 || keep > len(marker)+maxStatus+1 {
				t.Fatalf("keeps %d", keep)
			}
			buf = append([]byte{}, buf[len(buf)-keep:]...)
		}
		for rest := in; len(rest) > 0; {
			n := min(int(step)+1, len(rest))
			buf = append(buf, rest[:n]...)
			rest = rest[n:]
			emit(false)
		}
		emit(true)
		if !bytes.Equal(all, in) {
			t.Fatalf("sent %q", all)
		}
		for _, at := range wholeMarker.FindAllIndex(in, -1) {
			if end, ok := writes[at[0]]; !ok || end < at[1] {
				t.Fatalf("the marker at %v is not in one write: %v", at, writes)
			}
		}
	})
}

// scripted is output that comes at certain times.
type scripted struct {
	pieces []string
	delay  time.Duration
}

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	time.Sleep(s.delay)
	n := copy(p, s.pieces[0])
	s.pieces = s.pieces[1:]
	return n, nil
}

// sink takes what a pump records and sends, and when.
type sink struct {
	begin    time.Time
	recorded []byte
	writes   []string
	at       []time.Duration
	batches  int
	fail     error
}

func (s *sink) pump(t *testing.T) *outputPump {
	s.begin = time.Now()
	return &outputPump{
		record: func(b []byte) error {
			if s.fail != nil {
				return s.fail
			}
			s.batches++
			s.recorded = append(s.recorded, b...)
			return nil
		},
		send: func(b []byte) error {
			s.writes, s.at = append(s.writes, string(b)), append(s.at, time.Since(s.begin))
			if !bytes.HasPrefix(s.recorded, []byte(strings.Join(s.writes, ""))) {
				t.Errorf("%q was sent before it was recorded", b)
			}
			return nil
		},
	}
}

func TestOutputPump(t *testing.T) {
	m := marker
	half := len(m) / 2
	tests := []struct {
		name    string
		src     scripted
		writes  []string
		batches int
		last    time.Duration
	}{
		{"an echo does not wait", scripted{[]string{"x"}, time.Second}, []string{"x"}, 1, time.Second},
		{"small pieces go together", scripted{[]string{"a", "b", "c", "d", "e"}, time.Millisecond}, []string{"a", "bcde"}, 2, 5 * time.Millisecond},
		{"slow pieces go alone", scripted{[]string{"a", "b", "c"}, 20 * time.Millisecond}, []string{"a", "b", "c"}, 3, 60 * time.Millisecond},
		{"a marker waits for its rest", scripted{[]string{"out" + m[:half], m[half:] + "7\n"}, 20 * time.Millisecond}, []string{"out", m + "7\n"}, 2, 40 * time.Millisecond},
		{"but not for ever", scripted{[]string{"out" + m[:half], "no"}, 200 * time.Millisecond}, []string{"out", m[:half], "no"}, 3, 400 * time.Millisecond},
		{"a character waits for its rest", scripted{[]string{"caf\xc3", "\xa9"}, 10 * time.Millisecond}, []string{"caf", "é"}, 2, 20 * time.Millisecond},
		{"at the end nothing waits", scripted{[]string{"a" + m[:half]}, 0}, []string{"a", m[:half]}, 2, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s sink
				if err := s.pump(t).run(t.Context(), &tt.src); err != io.EOF {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.writes, s.writes); diff != "" {
					t.Error(diff)
				}
				if s.batches != tt.batches || s.at[len(s.at)-1] != tt.last {
					t.Errorf("%d batches, the last after %v", s.batches, s.at[len(s.at)-1])
				}
			})
		})
	}
}

// Bulk output is recorded in few, full batches.
func TestOutputPumpBulk(t *testing.T) {
	var s sink
	src := io.LimitReader(neverEnds{}, 8<<20)
	if err := s.pump(t).run(t.Context(), src); err != io.EOF {
		t.Fatal(err)
	}
	if len(s.recorded) != 8<<20 || s.batches > 8<<20/readSize+1 {
		t.Errorf("%d bytes in %d batches", len(s.recorded), s.batches)
	}
}

func TestOutputPumpFailures(t *testing.T) {
	full := errors.New("full")
	s := sink{fail: full}
	err := s.pump(t).run(t.Context(), strings.NewReader("secret"))
	var failed *recordingError
	if !errors.As(err, &failed) || !errors.Is(err, full) || len(s.writes) > 0 {
		t.Errorf("%v, sent %q", err, s.writes)
	}
	p := (&sink{}).pump(t)
	p.send = func([]byte) error { return io.ErrClosedPipe }
	if err := p.run(t.Context(), strings.NewReader("x")); err != errDisconnect {
		t.Error(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errIdle)
	r, w := io.Pipe()
	defer w.Close()
	if err := (&sink{}).pump(t).run(ctx, r); err != errIdle {
		t.Error(err)
	}
}
