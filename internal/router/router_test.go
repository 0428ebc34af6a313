package router

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/edge/handover"
)

// rig is a router on loopback, and what stands in for the edge: a listener that
// reads a few bytes of each connection and hands it over.
type rig struct {
	t       *testing.T
	router  *router
	client  *Client
	address string
	roots   *x509.CertPool
	logs    *bufio.Reader
	stop    func() error // ends the router as SIGTERM does
}

const space = "s1"

func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	dir := t.TempDir()
	cfg := Config{
		Space: space, Edge: os.Getuid(), Controller: os.Getuid(), Drain: 2 * time.Second,
		Handover: listenUnix(t, "unixpacket", filepath.Join(dir, "r.sock")),
		Control:  listenUnix(t, "unix", filepath.Join(dir, "c.sock")),
	}
	r := &rig{t: t, roots: x509.NewCertPool(), client: NewClient(filepath.Join(dir, "c.sock"))}
	cfg.AccessLog, r.logs = fifo(t, filepath.Join(dir, "log"))
	if change != nil {
		change(&cfg)
	}
	var err error
	if r.router, err = open(cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.router.serve(ctx) }()
	r.stop = func() error {
		cancel()
		err := <-done
		done <- err
		return err
	}
	r.address = r.edge(filepath.Join(dir, "r.sock"))
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("the router ended with %v", err)
		}
		r.router.close()
		r.client.Close()
	})
	return r
}

func listenUnix(t testing.TB, network, path string) *os.File {
	t.Helper()
	listener, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	listener.SetUnlinkOnClose(false)
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// fifo makes a FIFO and returns its writing end, and a reader of its lines.
func fifo(t *testing.T, path string) (*os.File, *bufio.Reader) {
	t.Helper()
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := os.OpenFile(path, os.O_RDWR, 0) // so that opening does not wait
	if err != nil {
		t.Fatal(err)
	}
	write, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close() })
	return write, bufio.NewReader(read)
}

// edge hands connections over and returns the address to connect to.
func (r *rig) edge(socket string) string {
	r.t.Helper()
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	listener, err := config.Listen(r.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	link := handover.NewLink(socket)
	r.t.Cleanup(func() { listener.Close(); link.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				start := make([]byte, 100)
				if n, err := conn.Read(start); err == nil {
					_ = link.Send(conn.(*net.TCPConn), start[:n]) // a refused one is closed, which the client notices
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// host returns a served host with a certificate of its own that http clients of
// the rig trust.
func (r *rig) host(name string, backends ...Backend) Host {
	r.t.Helper()
	certificate, key := pair(r.t, name)
	r.roots.AppendCertsFromPEM([]byte(certificate))
	return Host{Name: name, App: "app-of-" + name, Backends: backends, Certificate: certificate, Key: key}
}

func pair(t testing.TB, name string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

// backend serves a handler as a dyno.
func backendOf(t *testing.T, dyno string, handler http.HandlerFunc) Backend {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return Backend{Address: server.Listener.Addr().String(), Dyno: dyno}
}

func (r *rig) push(hosts ...Host) {
	r.t.Helper()
	r.pushSnapshot(Snapshot{Space: space, Hosts: hosts})
}

func (r *rig) pushSnapshot(snapshot Snapshot) {
	r.t.Helper()
	if err := r.client.Push(r.t.Context(), snapshot); err != nil {
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

// http returns a client that connects to the router whatever the URL's host is.
func (r *rig) http(version int, change func(*tls.Config)) *http.Client {
	r.t.Helper()
	config := &tls.Config{RootCAs: r.roots}
	if change != nil {
		change(config)
	}
	transport := &http.Transport{
		TLSClientConfig: config, ForceAttemptHTTP2: version == 2, MaxIdleConnsPerHost: 100,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "tcp", r.address)
		},
	}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// get returns the answer's status and body.
func get(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body(t, response)
}

func body(t *testing.T, response *http.Response) string {
	t.Helper()
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// tls connects by hand.
func (r *rig) tls(name string, protocols ...string) *tls.Conn {
	r.t.Helper()
	conn, err := tls.Dial("tcp", r.address, &tls.Config{ServerName: name, RootCAs: r.roots, NextProtos: protocols})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

// nextLog returns the next access line.
func (r *rig) nextLog() logLine {
	r.t.Helper()
	type result struct {
		text []byte
		err  error
	}
	read := make(chan result, 1)
	go func() {
		text, err := r.logs.ReadBytes('\n')
		read <- result{text, err}
	}()
	select {
	case got := <-read:
		var entry logLine
		if got.err != nil {
			r.t.Fatal(got.err)
		}
		if err := json.Unmarshal(got.text, &entry); err != nil {
			r.t.Fatalf("log line %q: %v", got.text, err)
		}
		return entry
	case <-time.After(10 * time.Second):
		r.t.Fatal("no access line")
		return logLine{}
	}
}

func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatalf("never: %s", what)
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

func TestServesBothProtocols(t *testing.T) {
	r := newRig(t, nil)
	seen := make(chan *http.Request, 1)
	r.push(r.host("app.example.org", backendOf(t, "web.1", func(w http.ResponseWriter, req *http.Request) {
		seen <- req
		hello(w, req)
	})))
	for version := 1; version <= 2; version++ {
		response, err := r.http(version, nil).Get("https://app.example.org/path?query=1;2")
		if err != nil {
			t.Fatal(err)
		}
		if got := body(t, response); got != "hello" || response.ProtoMajor != version || response.TLS.Version != tls.VersionTLS13 {
			t.Errorf("got %q by %s, TLS %x", got, response.Proto, response.TLS.Version)
		}
		if got := response.Header.Get("Via"); got != "1.1 strongroom" {
			t.Errorf("the response is via %q", got)
		}
		request := <-seen
		if request.Host != "app.example.org" || request.RequestURI != "/path?query=1;2" {
			t.Errorf("the app sees %s%s", request.Host, request.RequestURI)
		}
	}
}

func TestHeaders(t *testing.T) {
	r := newRig(t, nil)
	seen := make(chan http.Header, 1)
	r.push(r.host("app.example.org", backendOf(t, "web.1", func(w http.ResponseWriter, req *http.Request) {
		seen <- req.Header
		w.Header().Set("Connection", "X-Private")
		w.Header().Set("X-Private", "hop")
		w.Header().Set("X-Public", "end")
	})))
	request, err := http.NewRequest(http.MethodGet, "https://app.example.org/", nil)
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now().UnixMilli()
	for name, value := range map[string]string{
		"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "80", "X-Forwarded-Host": "evil",
		"X_Forwarded_For": "10.0.0.1", "Forwarded": "for=evil", "X-Request-Id": "client-chosen-id-0123456789",
		"X-Request-Start": "1", "Proxy": "evil", "Te": "gzip", "Proxy-Authorization": "x", "X_Custom": "kept", "Cookie": "a=b",
		"Via": "1.1 other",
	} {
		request.Header[name] = []string{value}
	}
	request.Header.Set("Connection", "X-Hop, X-Request-Id, X-Forwarded-For")
	request.Header.Set("X-Hop", "1")
	client := r.http(1, nil)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body(t, response)
	if response.Header.Get("X-Private") != "" || response.Header.Get("X-Public") != "end" {
		t.Errorf("response headers %v", response.Header)
	}
	got := <-seen
	want := map[string]string{
		"X-Forwarded-For": "203.0.113.9, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443",
		"X-Forwarded-Host": "", "X_forwarded_for": "", "X_Forwarded_For": "", "Forwarded": "", "X-Request-Id": "client-chosen-id-0123456789",
		"Proxy": "", "Te": "", "Proxy-Authorization": "", "X-Hop": "", "X_custom": "kept", "Cookie": "a=b",
	}
	for name, value := range want {
		if joined := strings.Join(got[name], "|"); joined != value {
			t.Errorf("%s is %q, want %q", name, joined, value)
		}
	}
	if via := strings.Join(got["Via"], "|"); via != "1.1 other|1.1 strongroom" {
		t.Errorf("Via is %q", via)
	}
	var start int64
	if err := json.Unmarshal([]byte(got.Get("X-Request-Start")), &start); err != nil || start < before || start > time.Now().UnixMilli() {
		t.Errorf("X-Request-Start is %q", got.Get("X-Request-Start"))
	}
	request.Header.Set("X-Request-Id", "short")
	if response, err = client.Do(request); err != nil {
		t.Fatal(err)
	}
	body(t, response)
	if id := (<-seen).Get("X-Request-Id"); len(id) != 36 {
		t.Errorf("a short id was replaced by %q", id)
	}
}

func TestWebSocket(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Idle = 300 * time.Millisecond })
	r.push(r.host("app.example.org", backendOf(t, "web.1", func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Upgrade") != "websocket" || req.Header.Get("Connection") != "Upgrade" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		conn, buffer, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(buffer, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		buffer.Flush()
		_, _ = io.Copy(conn, buffer)
	})))
	conn := r.tls("app.example.org")
	if _, err := io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: app.example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", response, err)
	}
	for range 5 { // longer in all than the idle limit, never as long without a byte
		time.Sleep(100 * time.Millisecond)
		if _, err := io.WriteString(conn, "frame"); err != nil {
			t.Fatal(err)
		}
		echo := make([]byte, 5)
		if _, err := io.ReadFull(reader, echo); err != nil || string(echo) != "frame" {
			t.Fatalf("echo %q, %v", echo, err)
		}
	}
	if _, err := reader.ReadByte(); err == nil {
		t.Fatal("the idle connection still gives bytes")
	}
	if text := r.nextLog().Text; !strings.Contains(text, "code=H15") || !strings.Contains(text, "status=101 bytes=25 ") {
		t.Errorf("access line %s", text)
	}
}

func TestStreams(t *testing.T) {
	r := newRig(t, nil)
	next := make(chan bool)
	r.push(r.host("app.example.org", backendOf(t, "web.1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, event := range []string{"first.", "second"} {
			_, _ = io.WriteString(w, event)
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	})))
	for version := 1; version <= 2; version++ {
		response, err := r.http(version, nil).Get("https://app.example.org/")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"first.", "second"} { // each before the next is written
			got := make([]byte, len(want))
			if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != want {
				t.Fatalf("read %q, %v", got, err)
			}
			next <- true
		}
		if rest := body(t, response); rest != "" {
			t.Errorf("then came %q", rest)
		}
	}
}

func TestUpload(t *testing.T) {
	r := newRig(t, nil)
	r.push(r.host("app.example.org", backendOf(t, "web.1", func(w http.ResponseWriter, req *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // answers while it still reads
		_, _ = io.Copy(w, req.Body)
	})))
	content := strings.Repeat("0123456789", 100_000)
	for version := 1; version <= 2; version++ {
		for name, reader := range map[string]io.Reader{"length": strings.NewReader(content), "chunked": io.MultiReader(strings.NewReader(content))} {
			response, err := r.http(version, nil).Post("https://app.example.org/", "text/plain", reader)
			if err != nil {
				t.Fatal(err)
			}
			if got := body(t, response); got != content {
				t.Errorf("HTTP/%d, %s: %d bytes came back", version, name, len(got))
			}
		}
	}
}

func TestMisdirected(t *testing.T) {
	r := newRig(t, nil)
	backend := backendOf(t, "web.1", hello)
	certificate := r.host("*.wild.example.org", backend)
	exact := r.host("exact.wild.example.org", backend)
	r.push(r.host("one.example.org", backend), r.host("two.example.org", backend), certificate, exact)
	tests := []struct {
		sni, host string
		want      int
	}{
		{"one.example.org", "one.example.org", 200},
		{"one.example.org", "ONE.example.org:443", 200},
		{"one.example.org", "two.example.org", 421},
		{"one.example.org", "unknown.example.org", 421},
		{"one.example.org", "one.example.org.evil.org", 421},
		{"a.wild.example.org", "b.wild.example.org", 200},
		{"a.wild.example.org", "exact.wild.example.org", 421},
		{"exact.wild.example.org", "a.wild.example.org", 421},
	}
	for _, test := range tests {
		for version := 1; version <= 2; version++ {
			request, err := http.NewRequest(http.MethodGet, "https://"+test.sni+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = test.host
			response, err := r.http(version, nil).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body(t, response)
			if response.StatusCode != test.want || response.ProtoMajor != version {
				t.Errorf("SNI %s, host %s, HTTP/%d: %d, want %d", test.sni, test.host, version, response.StatusCode, test.want)
			}
			if text := r.nextLog().Text; strings.Contains(text, "code=H31") != (test.want == 421) {
				t.Errorf("access line %s", text)
			}
		}
	}
}

func TestCertificates(t *testing.T) {
	r := newRig(t, nil)
	r.push(r.host("one.example.org"), r.host("*.example.org"))
	for name, want := range map[string]string{"one.example.org": "one.example.org", "two.example.org": "*.example.org"} {
		conn := r.tls(name)
		if got := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("%s gets the certificate of %s", name, got)
		}
	}
	for _, name := range []string{"a.b.example.org", "example.org", "other.org"} {
		conn, err := tls.Dial("tcp", r.address, &tls.Config{ServerName: name, InsecureSkipVerify: true}) // nothing must come at all
		if err == nil {
			conn.Close()
			t.Errorf("%s gets a certificate", name)
		}
	}
}

func TestMinimumTLS(t *testing.T) {
	r := newRig(t, nil)
	loose, strict := r.host("loose.example.org"), r.host("strict.example.org")
	strict.MinTLS = "1.3"
	r.push(loose, strict)
	handshake := func(name string, version uint16) error {
		conn, err := tls.Dial("tcp", r.address, &tls.Config{ServerName: name, RootCAs: r.roots, MinVersion: version, MaxVersion: version})
		if err == nil {
			conn.Close()
		}
		return err
	}
	for _, test := range []struct {
		name    string
		version uint16
		ok      bool
	}{
		{"loose.example.org", tls.VersionTLS10, false},
		{"loose.example.org", tls.VersionTLS11, false},
		{"loose.example.org", tls.VersionTLS12, true},
		{"loose.example.org", tls.VersionTLS13, true},
		{"strict.example.org", tls.VersionTLS12, false},
		{"strict.example.org", tls.VersionTLS13, true},
	} {
		if err := handshake(test.name, test.version); (err == nil) != test.ok {
			t.Errorf("%s with %s: %v", test.name, tls.VersionName(test.version), err)
		}
	}
	weak := &tls.Config{
		ServerName: "loose.example.org", RootCAs: r.roots, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA},
	}
	if conn, err := tls.Dial("tcp", r.address, weak); err == nil {
		conn.Close()
		t.Error("a CBC suite is accepted")
	}
}

// A connection made before a host asked for more is not good enough after.
func TestMinimumTLSOfOpenConnections(t *testing.T) {
	r := newRig(t, nil)
	host := r.host("app.example.org", backendOf(t, "web.1", hello))
	r.push(host)
	client := r.http(1, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	if status, _ := get(t, client, "https://app.example.org/"); status != 200 {
		t.Fatal(status)
	}
	host.MinTLS = "1.3"
	r.push(host)
	response, err := client.Get("https://app.example.org/")
	if err != nil {
		t.Fatal(err)
	}
	body(t, response)
	if response.StatusCode != 421 || !response.Close {
		t.Errorf("got %d, close %v", response.StatusCode, response.Close)
	}
}

func TestStrictTransportSecurity(t *testing.T) {
	r := newRig(t, nil)
	backend := backendOf(t, "web.1", func(w http.ResponseWriter, req *http.Request) {
		if value := req.URL.Query().Get("hsts"); value != "" {
			w.Header().Set("Strict-Transport-Security", value)
		}
	})
	hosts := []Host{r.host("app.example.org", backend), r.host("empty.example.org")}
	tests := []struct {
		url  string
		hsts bool
		want string
	}{
		{"https://app.example.org/", false, ""},
		{"https://app.example.org/?hsts=max-age%3D5", false, "max-age=5"},
		{"https://app.example.org/", true, "max-age=31536000"},
		{"https://app.example.org/?hsts=max-age%3D0", true, "max-age=31536000"},
		{"https://app.example.org/?hsts=nonsense", true, "max-age=31536000"},
		{"https://app.example.org/?hsts=Max-Age%3D63072000%3B+preload", true, "Max-Age=63072000; preload"},
		{"https://empty.example.org/", true, "max-age=31536000"},
	}
	for _, test := range tests {
		r.pushSnapshot(Snapshot{Space: space, HSTS: test.hsts, Hosts: hosts})
		response, err := r.http(1, nil).Get(test.url)
		if err != nil {
			t.Fatal(err)
		}
		body(t, response)
		if got := strings.Join(response.Header["Strict-Transport-Security"], "|"); got != test.want {
			t.Errorf("%s, HSTS %v: %q, want %q", test.url, test.hsts, got, test.want)
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxConnections = 2 })
	r.push(r.host("app.example.org", backendOf(t, "web.1", hello)))
	first := r.tls("app.example.org")
	r.tls("app.example.org")
	if conn, err := tls.Dial("tcp", r.address, &tls.Config{ServerName: "app.example.org", RootCAs: r.roots}); err == nil {
		conn.Close()
		t.Fatal("a third connection is accepted")
	}
	if status := r.status(); status.Connections != 2 || status.Rejected != 1 || status.Handed != 2 {
		t.Errorf("status %+v", status)
	}
	first.Close()
	r.eventually("the closed connection makes room", func() bool { return r.status().Connections == 1 })
	r.tls("app.example.org")
}

func TestEndsWhenRequestsHaveEnded(t *testing.T) {
	r := newRig(t, nil)
	arrived, finish := make(chan bool), make(chan bool)
	r.push(r.host("app.example.org", backendOf(t, "web.1", func(w http.ResponseWriter, req *http.Request) {
		arrived <- true
		<-finish
		hello(w, req)
	})))
	answer := make(chan string, 1)
	go func() {
		response, err := r.http(1, nil).Get("https://app.example.org/")
		if err != nil {
			answer <- err.Error()
			return
		}
		content, _ := io.ReadAll(response.Body)
		response.Body.Close()
		answer <- string(content)
	}()
	<-arrived
	ended := make(chan error, 1)
	go func() { ended <- r.stop() }()
	time.Sleep(100 * time.Millisecond)
	select {
	case <-ended:
		t.Fatal("the router ended with a request open")
	default:
	}
	if _, err := r.client.Status(t.Context()); err != nil {
		t.Errorf("the control socket ended first: %v", err)
	}
	close(finish)
	if got := <-answer; got != "hello" {
		t.Errorf("the open request got %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
