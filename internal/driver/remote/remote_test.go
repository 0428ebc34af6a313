package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/drivertest"
	"github.com/strongroom/strongroom/internal/driver/formation"
	"github.com/strongroom/strongroom/internal/driver/memory"
	"github.com/strongroom/strongroom/internal/fault"
	"go.uber.org/goleak"
)

// serve gives d to a client until the test ends.
func serve(t *testing.T, d driver.Driver, uids ...int) *Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "remote") // t.TempDir is too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, d, uids, slog.New(slog.DiscardHandler)) }()
	c := Dial(socket)
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		os.RemoveAll(dir)
	})
	return c
}

// endsAll wants every goroutine to end: sessions do when the server has noticed
// that their caller is gone, which on a busy machine takes longer than goleak's
// own patience.
func endsAll(t *testing.T) {
	t.Helper()
	var err error
	for limit := time.Now().Add(10 * time.Second); time.Now().Before(limit); {
		if err = goleak.Find(); err == nil {
			return
		}
	}
	t.Error(err)
}

func TestDriver(t *testing.T) {
	defer endsAll(t)
	d := memory.New(memory.Config{Policy: formation.Policy{Base: time.Hour, Max: time.Hour}})
	defer d.Close()
	t.Run("suite", func(t *testing.T) {
		c := serve(t, d, os.Getuid())
		drivertest.Run(t, func(*testing.T) driver.Driver { return c }, drivertest.Options{
			Image: drivertest.Layout(t, []byte("no program")), Program: drivertest.Program,
			UID: 7, Patience: 5 * time.Second, Settle: 50 * time.Millisecond, Names: true,
			Intrude: func(_ *testing.T, area, space string) func() { return d.Intrude(area, space, "test", "made by hand") },
		})
	})
}

func TestOtherUsersAreTurnedAway(t *testing.T) {
	c := serve(t, &stub{}, os.Getuid()+1)
	if _, err := c.Capabilities(t.Context()); fault.Of(err) != fault.Unavailable {
		t.Errorf("got %v, want no answer", err)
	}
	if _, err := c.Exec(t.Context(), driver.Exec{}); fault.Of(err) != fault.Unavailable {
		t.Errorf("got %v, want no answer", err)
	}
}

func TestEngineNotThere(t *testing.T) {
	c := Dial(filepath.Join(t.TempDir(), "none"))
	if _, err := c.Observe(t.Context()); fault.Of(err) != fault.Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Observe(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the caller's own end", err)
	}
}

// stub is a driver of which a test sets what it needs.
type stub struct {
	driver.Driver
	remove  func(id string) error
	files   func() (io.ReadCloser, error)
	session driver.Session
	got     driver.Routes
}

func (s *stub) RemoveSpace(_ context.Context, id string) error { return s.remove(id) }

func (s *stub) GetFiles(context.Context, string, string) (io.ReadCloser, error) { return s.files() }

func (s *stub) PutFiles(context.Context, string, string, io.Reader) error {
	return fault.New(fault.Invalid, "Not these.")
}

func (s *stub) Exec(context.Context, driver.Exec) (driver.Session, error) { return s.session, nil }

func (s *stub) ApplyRoutes(_ context.Context, r driver.Routes) error {
	s.got = r
	return nil
}

func TestErrorsKeepTheirKind(t *testing.T) {
	for _, want := range []error{
		fault.New(fault.Invalid, "Say it %s.", "better"),
		fault.New(fault.NotFound, "Not here, 100%%."),
		fault.Wrap(fault.Conflict, errors.New("the cause"), "It is in use."),
		fault.New(fault.Unavailable, "Not now."),
		fault.New(fault.TooLarge, "Too large."),
		errors.New("something internal"),
	} {
		c := serve(t, &stub{remove: func(string) error { return want }}, os.Getuid())
		got := c.RemoveSpace(t.Context(), "x")
		if got == nil || fault.Of(got) != fault.Of(want) || fault.Message(got) != fault.Message(want) || !strings.Contains(got.Error(), want.Error()) {
			t.Errorf("got %q (%s), want %q (%s)", got, fault.Of(got), want, fault.Of(want))
		}
	}
}

// An early refusal arrives although the caller is still sending.
func TestRefusedArchive(t *testing.T) {
	c := serve(t, &stub{}, os.Getuid())
	for range 20 {
		err := c.PutFiles(t.Context(), "v", "", bytes.NewReader(make([]byte, 8<<20)))
		if fault.Of(err) != fault.Invalid {
			t.Fatalf("got %v, want the refusal", err)
		}
	}
}

type broken struct {
	io.Reader
	err error
}

func (b *broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

func TestErrorInTheMidstOfABody(t *testing.T) {
	content := strings.Repeat("x", 300_000)
	c := serve(t, &stub{files: func() (io.ReadCloser, error) {
		return io.NopCloser(&broken{strings.NewReader(content), fault.New(fault.Conflict, "Locked meanwhile.")}), nil
	}}, os.Getuid())
	r, err := c.GetFiles(t.Context(), "v", "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if string(got) != content || fault.Of(err) != fault.Conflict {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	s := &stub{}
	c := serve(t, s, os.Getuid())
	big := driver.Routes{Space: "s", Domains: []driver.Route{{Key: strings.Repeat("k", maxBody)}}}
	if err := c.ApplyRoutes(t.Context(), big); fault.Of(err) != fault.TooLarge && fault.Of(err) != fault.Unavailable {
		t.Errorf("got %v, want too large", err)
	}
	if s.got.Space != "" {
		t.Error("the driver was called")
	}
	if err := c.ApplyRoutes(t.Context(), driver.Routes{Space: "t"}); err != nil || s.got.Space != "t" {
		t.Errorf("the next request: %v", err)
	}
}

// endless is a session that ends only when it is closed.
type endless struct {
	driver.Session
	closed chan struct{}
}

func (e *endless) Read([]byte) (int, error) { <-e.closed; return 0, io.EOF }

func (e *endless) Write([]byte) (int, error) { <-e.closed; return 0, io.ErrClosedPipe }

func (e *endless) CloseWrite() error { return nil }

func (e *endless) Wait(ctx context.Context) (driver.Exit, error) {
	select {
	case <-e.closed:
		return driver.Exit{Code: 137}, nil
	case <-ctx.Done():
		return driver.Exit{}, ctx.Err()
	}
}

func (e *endless) Close() error {
	select {
	case <-e.closed:
	default:
		close(e.closed)
	}
	return nil
}

// A caller that vanishes, even with input the process never took, closes its
// session.
func TestLostCallerClosesTheSession(t *testing.T) {
	e := &endless{closed: make(chan struct{})}
	c := serve(t, &stub{session: e}, os.Getuid())
	s, err := c.Exec(t.Context(), driver.Exec{ID: uuid.NewString()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(make([]byte, 200_000)); err != nil {
		t.Fatal(err)
	}
	s.(*session).conn.Close()
	select {
	case <-e.closed:
	case <-time.After(5 * time.Second):
		t.Fatal("the session was not closed")
	}
	if _, err := s.Wait(t.Context()); fault.Of(err) != fault.Unavailable {
		t.Errorf("wait: %v", err)
	}
	if _, err := s.Read(make([]byte, 1)); fault.Of(err) != fault.Unavailable {
		t.Errorf("read: %v", err)
	}
}

func FuzzFrames(f *testing.F) {
	var b bytes.Buffer
	w := &frameWriter{w: &b}
	w.write(frameData, []byte("hello"))
	w.writeJSON(frameResize, size{1, 2})
	w.write(frameEnd, nil)
	f.Add(b.Bytes())
	f.Add([]byte{'d', 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		r, buf := bytes.NewReader(in), make([]byte, maxFrame)
		for {
			kind, payload, err := readFrame(r, buf)
			if err != nil {
				return
			}
			var again bytes.Buffer
			if err := (&frameWriter{w: &again}).write(kind, payload); err != nil {
				t.Fatal(err)
			}
			k, p, err := readFrame(&again, make([]byte, maxFrame))
			if err != nil || k != kind || !bytes.Equal(p, payload) {
				t.Fatalf("frame %c %q came back as %c %q, %v", kind, payload, k, p, err)
			}
		}
	})
}

// FuzzRequest sends any bytes as the JSON of calls: no answer but a fault.
func FuzzRequest(f *testing.F) {
	d := memory.New(memory.Config{})
	f.Add("ensure-space", []byte(`{"id":"x"}`))
	f.Add("start-task", []byte(`{"id":"`+uuid.NewString()+`","timeout":-1}`))
	f.Add("apply-formation", []byte(`{"quantity":1e9}`))
	f.Add("exec", []byte(`[]`))
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		fuzzCall(t, Handler(d, slog.New(slog.DiscardHandler)), name, body)
	})
}
