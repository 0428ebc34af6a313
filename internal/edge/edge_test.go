package edge

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/edge/handover"
)

// rig is an edge on loopback, and the router of one space behind it.
type rig struct {
	t      *testing.T
	https  string
	http   string
	client *Client
	socket string // of the router
	dir    string
}

// host is the name that the rig's table serves.
const host = "app.example.org"

func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	dir := t.TempDir()
	cfg := Config{
		HTTPS: Endpoint{Address: "127.0.0.1:0"}, HTTP: Endpoint{Address: "127.0.0.1:0"},
		Control:    Endpoint{Address: filepath.Join(dir, "edge.sock")},
		Controller: os.Getuid(), TableFile: filepath.Join(dir, "table.json"), HelloTimeout: 2 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	listeners, err := open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, cfg, listeners, slog.New(slog.DiscardHandler)) }()
	r := &rig{
		t: t, dir: dir, https: listeners.https.Addr().String(), http: listeners.http.Addr().String(),
		client: NewClient(cfg.Control.Address), socket: filepath.Join(dir, "router.sock"),
	}
	t.Cleanup(func() {
		r.client.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the edge ended with %v", err)
		}
	})
	return r
}

// table serves host and a wildcard to trusted sources.
func (r *rig) table(trusted ...string) Table {
	return Table{Spaces: []Space{{ID: "s1", Socket: r.socket, Trusted: trusted, Hostnames: []string{host, "*.wild.example.org"}}}}
}

func (r *rig) push(table Table) {
	r.t.Helper()
	if err := r.client.Push(r.t.Context(), table); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) status() Status {
	r.t.Helper()
	status, err := r.client.Status(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return status
}

// refusals waits until the reason was counted want times.
func (r *rig) refusals(reason string, want uint64) {
	r.t.Helper()
	r.eventually(func() bool { return r.status().Refused[reason] == want }, "refused for %q: %v, want %d", reason, r.status().Refused, want)
}

func (r *rig) eventually(ok func() bool, format string, args ...any) {
	r.t.Helper()
	for range 200 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatalf(format, args...)
}

// seqpacket listens like a router, and returns the socket as a file.
func (r *rig) seqpacket() *os.File {
	r.t.Helper()
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: r.socket, Net: "unixpacket"})
	if err != nil {
		r.t.Fatal(err)
	}
	defer listener.Close()
	listener.SetUnlinkOnClose(false)
	file, err := listener.File()
	if err != nil {
		r.t.Fatal(err)
	}
	return file
}

// echoRouter takes connections as a router does, ends TLS, and sends the
// client's address followed by all that the client sends.
func (r *rig) echoRouter() {
	r.t.Helper()
	file := r.seqpacket()
	defer file.Close()
	listener, err := handover.Listen(file, []int{os.Getuid()}, slog.New(slog.DiscardHandler))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { listener.Close() })
	config := &tls.Config{Certificates: []tls.Certificate{selfSigned(r.t)}}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				secure := tls.Server(conn, config)
				if _, err := io.WriteString(secure, conn.RemoteAddr().String()+"\n"); err == nil {
					_, _ = io.Copy(secure, secure)
				}
			}()
		}
	}()
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{host},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (r *rig) dial(address string) net.Conn {
	r.t.Helper()
	return r.dialFrom("127.0.0.1", address)
}

func (r *rig) dialFrom(source, address string) net.Conn {
	r.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

// talk does a handshake over conn and checks that the router at the other end
// sees the client's own address and passes bytes both ways.
func (r *rig) talk(conn net.Conn, name string) {
	r.t.Helper()
	secure := tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true}) // self-signed; the bytes matter here
	if _, err := io.WriteString(secure, "ping\n"); err != nil {
		r.t.Fatalf("handshake through the edge: %v", err)
	}
	want := conn.LocalAddr().String() + "\nping\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(secure, got); err != nil || string(got) != want {
		r.t.Fatalf("the router sent %q, %v; want %q", got, err, want)
	}
}

// wantReset checks that the connection is reset without a byte.
func (r *rig) wantReset(conn net.Conn) {
	r.t.Helper()
	answer, err := io.ReadAll(conn)
	if len(answer) > 0 {
		r.t.Errorf("the edge answered %q, want nothing", answer)
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		r.t.Errorf("the connection ended with %v, want a reset", err)
	}
}

// wantRefusal connects, sends, and checks that the connection is reset without
// a byte, be it before or after what was sent.
func (r *rig) wantRefusal(source, address string, send []byte) {
	r.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	conn, err := dialer.Dial("tcp", address)
	if errors.Is(err, syscall.ECONNRESET) {
		return
	}
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	_, err = conn.Write(send)
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return // the write was told, so a read will not be
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.wantReset(conn)
}

// hello returns a ClientHello as crypto/tls writes it.
func hello(t testing.TB, name string) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		defer client.Close()
		_ = tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake() // ends when the pipe does
	}()
	header := make([]byte, 5)
	if _, err := io.ReadFull(server, header); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(header[3:]))
	if _, err := io.ReadFull(server, body); err != nil {
		t.Fatal(err)
	}
	return append(header, body...)
}

// records splits a TLS record into records of at most size bytes each.
func records(record []byte, size int) []byte {
	var split []byte
	for body := record[5:]; len(body) > 0; {
		n := min(size, len(body))
		split = append(split, record[:3]...)
		split = binary.BigEndian.AppendUint16(split, uint16(n))
		split = append(split, body[:n]...)
		body = body[n:]
	}
	return split
}

// padded returns a hello whose record has total bytes, by a padding extension.
func padded(t testing.TB, name string, total int) []byte {
	t.Helper()
	plain := hello(t, name)
	const overhead = 4 // type and length of the extension
	extra := total - len(plain)
	if extra < overhead {
		t.Fatalf("a hello of %d bytes is shorter than the plain one", total)
	}
	extension := binary.BigEndian.AppendUint16([]byte{0, 21}, uint16(extra-overhead))
	extension = append(extension, make([]byte, extra-overhead)...)
	// Extensions end the message. Their length stands before them; find it from
	// the front: version, random, session, ciphers, compression.
	at := 5 + 4 + 2 + 32
	at += 1 + int(plain[at])
	at += 2 + int(binary.BigEndian.Uint16(plain[at:]))
	at += 1 + int(plain[at])
	long := append(bytes.Clone(plain), extension...)
	binary.BigEndian.PutUint16(long[at:], binary.BigEndian.Uint16(plain[at:])+uint16(extra))
	binary.BigEndian.PutUint16(long[7:], uint16(len(long)-9)) // message length, its low 16 bits
	binary.BigEndian.PutUint16(long[3:], uint16(len(long)-5)) // record length
	return long
}

// pieces sends the first write through a function, byte for byte or otherwise
// changed.
type pieces struct {
	net.Conn
	send func(net.Conn, []byte) error
	once bool
}

func (p *pieces) Write(b []byte) (int, error) {
	if p.once {
		return p.Conn.Write(b)
	}
	p.once = true
	return len(b), p.send(p.Conn, b)
}

func byByte(conn net.Conn, b []byte) error {
	for i := range b {
		if _, err := conn.Write(b[i : i+1]); err != nil {
			return err
		}
		if i%64 == 0 {
			time.Sleep(time.Millisecond) // so that they arrive apart
		}
	}
	return nil
}

func TestPass(t *testing.T) {
	r := newRig(t, nil)
	r.echoRouter()
	r.push(r.table("127.0.0.0/8"))
	tests := []struct {
		name string
		sni  string
		send func(net.Conn, []byte) error
	}{
		{"whole", host, nil},
		{"upper case", "APP.Example.ORG", nil},
		{"wildcard", "x.wild.example.org", nil},
		{"byte by byte", host, byByte},
		{"records of 7 bytes", host, func(c net.Conn, b []byte) error { _, err := c.Write(records(b, 7)); return err }},
		{"records of 1 byte, byte by byte", host, func(c net.Conn, b []byte) error { return byByte(c, records(b, 1)) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn := r.dial(r.https)
			if test.send != nil {
				conn = &pieces{Conn: conn, send: test.send}
			}
			r.talk(conn, test.sni)
		})
	}
	r.eventually(func() bool { return r.status().Handed == uint64(len(tests)) }, "not all are counted")
	if status := r.status(); status.Handed != uint64(len(tests)) || status.Spaces["s1"].Handed != status.Handed || len(status.Refused) > 0 {
		t.Errorf("status %+v, want %d handed and none refused", status, len(tests))
	}
}

func TestRefuse(t *testing.T) {
	short := hello(t, host)[:200]
	tests := []struct {
		name    string
		trusted string
		send    []byte
		reason  string
		space   bool // counted for the space too
	}{
		{"unknown name", "127.0.0.0/8", hello(t, "other.example.org"), ReasonUnknownName, false},
		{"two labels under a wildcard", "127.0.0.0/8", hello(t, "a.b.wild.example.org"), ReasonUnknownName, false},
		{"the wildcard's parent", "127.0.0.0/8", hello(t, "wild.example.org"), ReasonUnknownName, false},
		{"no name", "127.0.0.0/8", hello(t, ""), ReasonNoName, false},
		{"untrusted by all", "10.0.0.0/8", hello(t, host), ReasonUntrusted, false},
		{"not TLS", "127.0.0.0/8", []byte("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"), ReasonMalformed, false},
		{"too long", "127.0.0.0/8", padded(t, host, handover.MaxBytes+1), ReasonTooLarge, false},
		{"too long for records", "127.0.0.0/8", records(padded(t, host, 14000), 2), ReasonTooLarge, false},
		{"half a hello", "127.0.0.0/8", short, ReasonTimeout, false},
		{"nothing", "127.0.0.0/8", nil, ReasonTimeout, false},
		{"no router", "127.0.0.0/8", hello(t, host), ReasonRouterDown, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.HelloTimeout = 200 * time.Millisecond })
			r.push(r.table(test.trusted))
			r.wantRefusal("127.0.0.1", r.https, test.send)
			r.refusals(test.reason, 1)
			if got := r.status().Spaces["s1"].Refused[test.reason] == 1; got != test.space {
				t.Errorf("counted for the space: %v, want %v", got, test.space)
			}
		})
	}
}

// A client that keeps sending gets no more time than one that does not, and does
// not hold up others.
func TestDrippingHello(t *testing.T) {
	r := newRig(t, func(c *Config) { c.HelloTimeout = 250 * time.Millisecond })
	r.echoRouter()
	r.push(r.table("127.0.0.0/8"))
	conn := r.dial(r.https)
	began := time.Now()
	for _, b := range hello(t, host) {
		if _, err := conn.Write([]byte{b}); err != nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.refusals(ReasonTimeout, 1)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("a dripping client was kept for %v", took)
	}
	r.talk(r.dial(r.https), host)
}

func TestLongestHello(t *testing.T) {
	r := newRig(t, nil)
	file := r.seqpacket()
	defer file.Close()
	r.push(r.table("127.0.0.0/8"))
	conn := r.dial(r.https)
	if _, err := conn.Write(padded(t, host, handover.MaxBytes)); err != nil {
		t.Fatal(err)
	}
	r.eventually(func() bool { return r.status().Handed == 1 }, "a hello of the longest length was not handed over: %+v", r.status())
}

func TestUntrustedForThisSpaceOnly(t *testing.T) {
	r := newRig(t, nil)
	r.echoRouter()
	table := r.table("127.0.0.0/8")
	table.Spaces = append(table.Spaces, Space{ID: "s2", Socket: r.socket, Trusted: []string{"10.0.0.0/8"}, Hostnames: []string{"two.example.org"}})
	r.push(table)
	r.wantRefusal("127.0.0.1", r.https, hello(t, "two.example.org"))
	r.refusals(ReasonUntrusted, 1)
	if got := r.status().Spaces["s2"].Refused[ReasonUntrusted]; got != 1 {
		t.Errorf("s2 counted %d, want 1", got)
	}
}

func TestClientLeaves(t *testing.T) {
	r := newRig(t, nil)
	r.push(r.table("127.0.0.0/8"))
	conn := r.dial(r.https)
	if _, err := conn.Write(hello(t, host)[:100]); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	r.refusals(ReasonClosed, 1)
	r.eventually(func() bool { return r.status().Handshaking == 0 }, "still handshaking")
}

func TestNobodyIsTrustedBeforeTheFirstTable(t *testing.T) {
	r := newRig(t, nil)
	r.wantRefusal("127.0.0.1", r.https, hello(t, host))
	r.wantRefusal("127.0.0.1", r.http, []byte("GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n"))
	r.refusals(ReasonUntrusted, 2)
}

func TestUnfinishedConnectionsAreBounded(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxHandshakes, c.MaxPerSource = 3, 2 })
	r.echoRouter()
	r.push(r.table("127.0.0.0/8"))
	from := func(source string) net.Conn { return r.dialFrom(source, r.https) }
	slow := from("127.1.0.1")
	from("127.1.0.2")
	r.eventually(func() bool { return r.status().Handshaking == 2 }, "not two handshakes")
	r.wantRefusal("127.1.0.3", r.https, nil)
	r.refusals(ReasonSourceBusy, 1)
	from("127.2.0.1")
	r.eventually(func() bool { return r.status().Handshaking == 3 }, "not three handshakes")
	r.wantRefusal("127.3.0.1", r.https, nil)
	r.refusals(ReasonTooMany, 1)
	// One that leaves makes room.
	slow.Close()
	r.eventually(func() bool { return r.status().Handshaking == 2 }, "the one that left is still counted")
	r.talk(from("127.1.0.4"), host)
}

func TestFullQueueResets(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxPerSource = 4096 })
	file := r.seqpacket() // listens, and takes nothing
	defer file.Close()
	r.push(r.table("127.0.0.0/8"))
	greeting := hello(t, host)
	for range 1000 {
		if _, err := r.dial(r.https).Write(greeting); err != nil {
			t.Fatal(err)
		}
		if r.status().Refused[ReasonQueueFull] > 0 {
			break
		}
	}
	status := r.status()
	if status.Refused[ReasonQueueFull] == 0 {
		t.Fatalf("a router that takes nothing was sent %d connections", status.Handed)
	}
	if status.Handed < 20 {
		t.Errorf("only %d connections fit into the queue", status.Handed)
	}
	r.wantRefusal("127.0.0.1", r.https, greeting)
}

func TestRouterRestarts(t *testing.T) {
	r := newRig(t, nil)
	file := r.seqpacket()
	defer file.Close()
	r.push(r.table("127.0.0.0/8"))
	for range 3 {
		listener, err := handover.Listen(file, []int{os.Getuid()}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		conn := r.dial(r.https)
		if _, err := conn.Write(hello(t, host)); err != nil {
			t.Fatal(err)
		}
		passed, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		passed.Close()
		listener.Close()
	}
	r.eventually(func() bool { return r.status().Handed == 3 }, "status %+v, want 3 handed", r.status())
}
