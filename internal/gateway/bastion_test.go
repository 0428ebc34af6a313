package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/internal/fault"
)

// sshLab is a bastion with one database, whose tunnels work once.
type sshLab struct {
	*Bastion
	addr     string
	dbAddr   string
	hostKey  ssh.PublicKey
	tickets  *Tickets[Tunnel]
	shutdown func()

	mu     sync.Mutex
	events []string // "open", "dial", "close", in order
}

func newSSHLab(t testing.TB, change func(*BastionConfig)) *sshLab {
	t.Helper()
	pem, public, err := NewKey("host")
	must(t, err)
	signer, err := ssh.ParsePrivateKey(pem)
	must(t, err)
	l := &sshLab{hostKey: public, tickets: NewTickets[Tunnel](0, nil), dbAddr: echoServer(t)}
	cfg := BastionConfig{Tunnels: l, HostKey: signer, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	l.Bastion, err = NewBastion(cfg)
	must(t, err)
	l.addr, l.shutdown = serveForTest(t, l.Serve)
	return l
}

// echoServer answers with what it gets, until it gets an end of stream.
func echoServer(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().String()
}

// Authorize implements Tunnels.
func (l *sshLab) Authorize(_ context.Context, _ string, key ssh.PublicKey, _ netip.Addr) (Tunnel, error) {
	t, ok := l.tickets.Peek(ssh.FingerprintSHA256(key))
	if !ok {
		return Tunnel{}, fault.New(fault.Unauthenticated, "unknown key")
	}
	return t, nil
}

func (l *sshLab) happened(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, what)
}

func (l *sshLab) order() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.events, " ")
}

// access is one person's key to the database, known as db.example.com:5432.
type access struct {
	key    []byte
	signer ssh.Signer
	ended  chan TunnelEnding
}

func (l *sshLab) grant(t testing.TB, change ...func(*Tunnel)) access {
	t.Helper()
	pem, public, err := NewKey("person")
	must(t, err)
	signer, err := ssh.ParsePrivateKey(pem)
	must(t, err)
	a := access{key: pem, signer: signer, ended: make(chan TunnelEnding, 2)}
	name := ssh.FingerprintSHA256(public)
	tunnel := Tunnel{
		ID: "0198f2a1-0000-7000-8000-000000000009", Host: "db.example.com", Port: 5432,
		Open: func(context.Context) error {
			if _, ok := l.tickets.Take(name); !ok {
				return fault.New(fault.Unauthenticated, "the key was used")
			}
			l.happened("open")
			return nil
		},
		Dial: func(ctx context.Context) (io.ReadWriteCloser, error) {
			l.happened("dial")
			var d net.Dialer
			return d.DialContext(ctx, "tcp", l.dbAddr)
		},
		Close: func(_ context.Context, e TunnelEnding) error { l.happened("close"); a.ended <- e; return nil },
	}
	for _, c := range change {
		c(&tunnel)
	}
	l.tickets.Add(name, tunnel)
	return a
}

func (a access) end(t testing.TB) TunnelEnding {
	t.Helper()
	select {
	case e := <-a.ended:
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("the tunnel was not closed")
		return TunnelEnding{}
	}
}

func (l *sshLab) connect(t testing.TB, user string, signer ssh.Signer) (*ssh.Client, error) {
	t.Helper()
	c, err := ssh.Dial("tcp", l.addr, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.FixedHostKey(l.hostKey), Timeout: 10 * time.Second,
	})
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

const database = "db.example.com:5432"

func TestTunnel(t *testing.T) {
	l := newSSHLab(t, nil)
	a := l.grant(t)
	client, err := l.connect(t, BastionUser, a.signer)
	must(t, err)
	for _, name := range []string{database, "DB.Example.com.:5432"} {
		c, err := client.Dial("tcp", name)
		must(t, err)
		send(t, c, "hello")
		readUntil(t, c, "hello")
		must(t, c.Close())
	}
	client.Close()
	end := a.end(t)
	if end != (TunnelEnding{Reason: EndedDisconnect, Channels: 2, In: 10, Out: 10}) {
		t.Errorf("%+v", end)
	}
	if l.order() != "open dial dial close" {
		t.Errorf("order: %s", l.order())
	}
	if s := l.Stats(); s.Opened != 1 || s.Refused != 0 {
		t.Errorf("%+v", s)
	}
}

// An end of stream goes through while the answer is still on its way.
func TestTunnelHalfClose(t *testing.T) {
	l := newSSHLab(t, nil)
	a := l.grant(t)
	client, err := l.connect(t, BastionUser, a.signer)
	must(t, err)
	c, err := client.Dial("tcp", database)
	must(t, err)
	data := strings.Repeat("0123456789", 200_000)
	go func() {
		io.WriteString(c, data)
		c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != data {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TLS's last words are not passed on; everything else is, as it comes.
func TestGoodbye(t *testing.T) {
	record := func(kind byte, length int) string {
		return string([]byte{kind, 3, 3, byte(length >> 8), byte(length)}) + strings.Repeat("x", length)
	}
	for _, test := range []struct {
		name  string
		parts []string
		want  int // parts that arrive
	}{
		{"TLS 1.3", []string{record(23, 300), record(23, 19)}, 1},
		{"TLS 1.2", []string{record(23, 300), record(21, 26)}, 1},
		{"a refused handshake", []string{record(21, 2)}, 1},
		{"the shortest message", []string{record(23, 22)}, 1},
		{"not the last words", []string{record(23, 19), record(23, 300)}, 2},
		{"twice", []string{record(23, 19), record(23, 19)}, 1},
		{"with an answer", []string{record(23, 300) + record(23, 19)}, 1},
		{"not TLS", []string{"N", "", strings.Repeat("x", 24)}, 3},
	} {
		var got strings.Builder
		w := &parting{Writer: &got}
		for _, p := range test.parts {
			if n, err := io.WriteString(w, p); n != len(p) || err != nil {
				t.Fatalf("%s: %d of %d, %v", test.name, n, len(p), err)
			}
		}
		if want := strings.Join(test.parts[:test.want], ""); got.String() != want {
			t.Errorf("%s: %d bytes arrived, want %d", test.name, got.Len(), len(want))
		}
	}
}

func TestBastionRefuses(t *testing.T) {
	l := newSSHLab(t, func(c *BastionConfig) { c.Channels = 2 })
	a := l.grant(t)
	client, err := l.connect(t, BastionUser, a.signer)
	must(t, err)
	for _, name := range []string{"db.example.com:22", "other.example.com:5432", "127.0.0.1:5432", l.dbAddr, "db.example.com.evil:5432"} {
		if c, err := client.Dial("tcp", name); err == nil {
			c.Close()
			t.Errorf("%s was reached", name)
		}
	}
	for _, kind := range []string{"session", "x11", "auth-agent@openssh.com", "direct-streamlocal@openssh.com", "forwarded-tcpip", "tun@openssh.com"} {
		_, _, err := client.OpenChannel(kind, nil)
		var open *ssh.OpenChannelError
		if !errors.As(err, &open) || open.Reason != ssh.UnknownChannelType {
			t.Errorf("channel %s: %v", kind, err)
		}
	}
	if _, _, err := client.OpenChannel("direct-tcpip", []byte("garbage")); err == nil {
		t.Error("garbage was taken for a destination")
	}
	if _, err := client.Listen("tcp", "127.0.0.1:0"); err == nil {
		t.Error("forwarding back was granted")
	}
	if ok, _, err := client.SendRequest("streamlocal-forward@openssh.com", true, nil); ok || err != nil {
		t.Errorf("forwarding of a socket: %v, %v", ok, err)
	}
	var open []net.Conn
	for range 2 {
		c, err := client.Dial("tcp", database)
		must(t, err)
		open = append(open, c)
	}
	if _, err := client.Dial("tcp", database); err == nil {
		t.Error("a third channel was opened")
	}
	open[0].Close()
	for range 100 { // a closed channel makes room
		c, err := client.Dial("tcp", database)
		if err == nil {
			c.Close()
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	client.Close()
	if end := a.end(t); end.Channels != 3 {
		t.Errorf("%+v", end)
	}
}

func TestBastionKeys(t *testing.T) {
	l := newSSHLab(t, func(c *BastionConfig) { c.Limits.Failures = 100 })
	a, b := l.grant(t), l.grant(t)
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	ed, err := ssh.NewSignerFromKey(stranger)
	must(t, err)
	pem, _, err := NewKey("")
	must(t, err)
	unknown, err := ssh.ParsePrivateKey(pem)
	must(t, err)
	for name, try := range map[string]struct {
		user   string
		signer ssh.Signer
	}{
		"unknown key":   {BastionUser, unknown},
		"Ed25519":       {BastionUser, ed},
		"another user":  {"root", a.signer},
		"no proof of b": {BastionUser, liar{a.signer, b.signer.PublicKey()}},
	} {
		if _, err := l.connect(t, try.user, try.signer); err == nil {
			t.Errorf("%s: connected", name)
		}
	}
	if l.order() != "" {
		t.Errorf("happened: %s", l.order())
	}
	first, err := l.connect(t, BastionUser, a.signer)
	must(t, err)
	c, err := first.Dial("tcp", database)
	must(t, err)
	if second, err := l.connect(t, BastionUser, a.signer); err == nil {
		if _, err := second.Dial("tcp", database); err == nil {
			t.Error("the key worked twice")
		}
	}
	send(t, c, "the first still works")
	readUntil(t, c, "still works")
	if _, err := l.connect(t, BastionUser, b.signer); err != nil {
		t.Errorf("b's own key: %v", err)
	}
}

// liar offers a key that it does not hold.
type liar struct {
	ssh.Signer
	offered ssh.PublicKey
}

func (l liar) PublicKey() ssh.PublicKey { return l.offered }

// Two connections with one key race until both are authenticated: one opens.
func TestKeyRace(t *testing.T) {
	l := newSSHLab(t, nil)
	a := l.grant(t)
	var wg sync.WaitGroup
	reached := make(chan struct{}, 8)
	for range 8 {
		wg.Go(func() {
			client, err := l.connect(t, BastionUser, a.signer)
			if err != nil {
				return
			}
			if _, err := client.Dial("tcp", database); err == nil {
				reached <- struct{}{}
			}
		})
	}
	wg.Wait()
	if len(reached) != 1 {
		t.Errorf("%d connections reached the database", len(reached))
	}
}

func TestTunnelIsNotOpenedUnrecorded(t *testing.T) {
	l := newSSHLab(t, nil)
	a := l.grant(t, func(t *Tunnel) {
		t.Open = func(context.Context) error { return fault.New(fault.Unavailable, "ledger full") }
	})
	client, err := l.connect(t, BastionUser, a.signer)
	if err == nil {
		if _, err := client.Dial("tcp", database); err == nil {
			t.Error("the database was reached")
		}
	}
	if l.order() != "" {
		t.Errorf("happened: %s", l.order())
	}
}

func TestTunnelEnds(t *testing.T) {
	done := make(chan struct{})
	tests := []struct {
		name   string
		reason string
		change func(*BastionConfig)
		cause  func(*sshLab)
	}{
		{"idle", EndedIdle, func(c *BastionConfig) { c.Idle = time.Second }, func(*sshLab) {}},
		{"too old", EndedExpired, func(c *BastionConfig) { c.MaxAge = time.Second }, func(*sshLab) {}},
		{"withdrawn", EndedWithdrawn, nil, func(*sshLab) { close(done) }},
		{"shutdown", EndedShutdown, nil, func(l *sshLab) { l.shutdown() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newSSHLab(t, tt.change)
			a := l.grant(t, func(tu *Tunnel) {
				if tt.reason == EndedWithdrawn {
					tu.Done = done
				}
			})
			client, err := l.connect(t, BastionUser, a.signer)
			must(t, err)
			c, err := client.Dial("tcp", database)
			must(t, err)
			send(t, c, "hello")
			readUntil(t, c, "hello")
			tt.cause(l)
			if end := a.end(t); end.Reason != tt.reason || end.In != 5 {
				t.Errorf("%+v", end)
			}
			if _, err := io.ReadAll(c); err != nil {
				t.Errorf("the channel: %v", err)
			}
		})
	}
}

func TestUnreachableDatabase(t *testing.T) {
	l := newSSHLab(t, nil)
	a := l.grant(t, func(t *Tunnel) {
		t.Dial = func(context.Context) (io.ReadWriteCloser, error) { return nil, errors.New("10.0.0.7: no route") }
	})
	client, err := l.connect(t, BastionUser, a.signer)
	must(t, err)
	c, err := client.Dial("tcp", database)
	must(t, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
		t.Errorf("%q, %v: want an end at once", b, err)
	}
	must(t, client.Close())
	if end := a.end(t); end.Channels != 0 {
		t.Errorf("%+v: nothing was connected", end)
	}
}

func TestHandshakeDeadline(t *testing.T) {
	l := newSSHLab(t, func(c *BastionConfig) { c.Handshake = 300 * time.Millisecond })
	c, err := net.Dial("tcp", l.addr)
	must(t, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a silent client was not closed")
	}
}

// Only approved algorithms are negotiated, and they are enough where nothing
// else may run.
func TestAlgorithms(t *testing.T) {
	l := newSSHLab(t, func(c *BastionConfig) { c.Limits.Failures = 100 })
	base := func() *ssh.ClientConfig {
		return &ssh.ClientConfig{User: BastionUser, HostKeyCallback: ssh.FixedHostKey(l.hostKey)}
	}
	for name, change := range map[string]func(*ssh.ClientConfig){
		"curve25519": func(c *ssh.ClientConfig) { c.KeyExchanges = []string{ssh.KeyExchangeCurve25519} },
		"group 14":   func(c *ssh.ClientConfig) { c.KeyExchanges = []string{ssh.KeyExchangeDH14SHA256} },
		"chacha20":   func(c *ssh.ClientConfig) { c.Ciphers = []string{ssh.CipherChaCha20Poly1305} },
		"sha1": func(c *ssh.ClientConfig) {
			c.Ciphers, c.MACs = []string{ssh.CipherAES256CTR}, []string{ssh.HMACSHA1}
		},
		"rsa host key": func(c *ssh.ClientConfig) { c.HostKeyAlgorithms = []string{ssh.KeyAlgoRSASHA256} },
	} {
		cfg := base()
		change(cfg)
		_, err := ssh.Dial("tcp", l.addr, cfg)
		var missing *ssh.AlgorithmNegotiationError
		if !errors.As(err, &missing) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBastionFIPSEnforced(t *testing.T) {
	if strings.Contains(os.Getenv("GODEBUG"), "fips140=only") {
		t.Skip("this is the enforcing process")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^(TestTunnel|TestTerminalSession|TestTickets)$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestTunnel ") || !strings.Contains(string(out), "--- PASS: TestTerminalSession ") {
		t.Fatalf("%v\n%s", err, out)
	}
}
