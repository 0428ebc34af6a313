package gateway

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/blob"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/recording"
)

// process is a command on this machine as a Session: with a terminal or pipes.
type process struct {
	cmd  *exec.Cmd
	out  *os.File // where its output is read
	in   *os.File // where its input is written; the same with a terminal
	tty  bool
	done chan struct{}
	exit driver.Exit
}

func startProcess(t testing.TB, tty bool, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(args[0], args[1:]...), tty: tty, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "TERM=dumb", "PS1=$ ", "HISTFILE=", "BASH_SILENCE_DEPRECATION_WARNING=1")
	var err error
	if tty {
		p.out, err = pty.StartWithSize(p.cmd, &pty.Winsize{Rows: 24, Cols: 80})
		p.in = p.out
	} else {
		err = p.startWithPipes()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		p.cmd.Wait()
		p.exit.Code = p.cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() { p.Close(); <-p.done })
	return p
}

func (p *process) startWithPipes() error {
	inR, inW, err := os.Pipe()
	if err != nil {
		return err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer inR.Close()
	defer outW.Close()
	p.in, p.out = inW, outR
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = inR, outW, outW
	return p.cmd.Start()
}

func (p *process) Read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	if err != nil { // a terminal's other end gives EIO when its process has ended
		err = io.EOF
	}
	return n, err
}

func (p *process) Write(b []byte) (int, error) { return p.in.Write(b) }

func (p *process) CloseWrite() error { return p.in.Close() }

func (p *process) Close() error {
	p.cmd.Process.Kill()
	p.in.Close()
	return p.out.Close()
}

func (p *process) Wait(ctx context.Context) (driver.Exit, error) {
	select {
	case <-p.done:
		return p.exit, nil
	case <-ctx.Done():
		return driver.Exit{}, ctx.Err()
	}
}

// lab is a rendezvous server with real recordings, whose sessions a test starts.
type lab struct {
	*Rendezvous
	addr     string
	roots    *x509.CertPool
	caFile   string
	tickets  *Tickets[Attachment]
	recorder *recording.Recorder
	store    *blob.Store
	dir      string
	shutdown func()       // stops the server and waits for it
	log      *safeBuffer  // what the server logged
	redeemer func() error // called by Redeem, if not nil
}

type labKeys struct{}

func (labKeys) DataKey(context.Context, *string) ([]byte, error) {
	return bytes.Repeat([]byte{9}, 32), nil
}

func newLab(t testing.TB, change func(*RendezvousConfig, *recording.Config)) *lab {
	t.Helper()
	l := &lab{tickets: NewTickets[Attachment](0, nil), dir: t.TempDir(), log: &safeBuffer{}}
	store, err := blob.Open(filepath.Join(l.dir, "blobs"), labKeys{})
	must(t, err)
	l.store = store
	rcfg := recording.Config{Dir: filepath.Join(l.dir, "running"), Keys: labKeys{}, Blobs: store}
	cert, ca := testCert(t)
	l.roots = x509.NewCertPool()
	l.roots.AppendCertsFromPEM(ca)
	l.caFile = filepath.Join(l.dir, "ca.pem")
	must(t, os.WriteFile(l.caFile, ca, 0o600))
	cfg := RendezvousConfig{
		Sessions: l, TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
		Log: slog.New(slog.NewTextHandler(l.log, nil)), Refusal: 200 * time.Millisecond,
	}
	if change != nil {
		change(&cfg, &rcfg)
	}
	l.recorder, err = recording.New(rcfg)
	must(t, err)
	l.Rendezvous, err = NewRendezvous(cfg)
	must(t, err)
	l.addr, l.shutdown = serveForTest(t, l.Serve)
	return l
}

// serveForTest runs a server on a port of its own until the test ends.
func serveForTest(t testing.TB, run func(context.Context, net.Listener) error) (addr string, stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	return serveListener(t, ln, run)
}

func serveListener(t testing.TB, ln net.Listener, run func(context.Context, net.Listener) error) (addr string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx, ln) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return ln.Addr().String(), stop
}

// Redeem implements Sessions.
func (l *lab) Redeem(_ context.Context, secret string, _ netip.Addr) (Attachment, error) {
	a, ok := l.tickets.Take(secret)
	if !ok {
		return Attachment{}, fault.New(fault.Unauthenticated, "no such secret")
	}
	if l.redeemer != nil {
		if err := l.redeemer(); err != nil {
			return Attachment{}, err
		}
	}
	return a, nil
}

// promised is a session that waits for its client, and how it ended.
type promised struct {
	secret string
	id     string
	ended  chan Ending
}

func (l *lab) promise(t testing.TB, s Session, tty bool, change ...func(*Attachment)) promised {
	t.Helper()
	p := promised{id: uuid.NewString(), ended: make(chan Ending, 2)}
	rec, err := l.recorder.Open(t.Context(), recording.Meta{ID: p.id, Term: "dumb", Started: time.Now()})
	must(t, err)
	a := Attachment{
		ID: p.id, Session: s, Recording: rec, TTY: tty,
		Close: func(_ context.Context, e Ending) error { p.ended <- e; return nil },
	}
	for _, c := range change {
		c(&a)
	}
	p.secret = l.tickets.Issue(a)
	return p
}

// end waits for the session's end.
func (p promised) end(t testing.TB) Ending {
	t.Helper()
	select {
	case e := <-p.ended:
		return e
	case <-time.After(20 * time.Second):
		t.Fatal("the session was not closed")
		return Ending{}
	}
}

// cast returns what a sealed recording holds: typed and shown.
func (l *lab) cast(t testing.TB, e Ending) (typed, shown string) {
	t.Helper()
	if e.Recording == nil {
		t.Fatal("the recording was not sealed")
	}
	r, err := l.store.Get(t.Context(), nil, e.Recording.Ref.SHA256)
	must(t, err)
	defer r.Close()
	return readCast(t, r)
}

func readCast(t testing.TB, r io.Reader) (typed, shown string) {
	t.Helper()
	rd, err := recording.NewReader(r)
	must(t, err)
	var in, out strings.Builder
	for {
		event, err := rd.Next()
		if err == io.EOF {
			return in.String(), out.String()
		}
		must(t, err)
		switch event.Code {
		case "i":
			in.Write(event.Data)
		case "o":
			out.Write(event.Data)
		}
	}
}

// dial connects and sends the first line.
func (l *lab) dial(t testing.TB, line string) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", l.addr, &tls.Config{RootCAs: l.roots, ServerName: "localhost"})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	_, err = io.WriteString(c, line)
	must(t, err)
	return c
}

// join connects to a promised session and reads the greeting, which comes alone.
func (l *lab) join(t testing.TB, p promised) *tls.Conn {
	t.Helper()
	c := l.dial(t, p.secret+"?x=1\r\n")
	buf := make([]byte, 1024)
	n, err := c.Read(buf)
	if string(buf[:n]) != greeting {
		t.Fatalf("greeting %q, %v", buf[:n], err)
	}
	return c
}

// readUntil reads until text has come.
func readUntil(t testing.TB, r io.Reader, text string) string {
	t.Helper()
	var all []byte
	buf := make([]byte, 4096)
	for !bytes.Contains(all, []byte(text)) {
		n, err := r.Read(buf)
		if all = append(all, buf[:n]...); err != nil {
			if bytes.Contains(all, []byte(text)) {
				break
			}
			t.Fatalf("%v after %q, want %q", err, all, text)
		}
	}
	return string(all)
}

func send(t testing.TB, w io.Writer, text string) {
	t.Helper()
	_, err := io.WriteString(w, text)
	must(t, err)
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// testCert returns a certificate for localhost and the authority's, in PEM.
func testCert(t testing.TB) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	must(t, err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, DNSNames: []string{"localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, leafKey.Public(), key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: leafKey},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
}

// safeBuffer is a buffer that a server writes and a test reads.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
