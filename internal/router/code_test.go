package router

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// raw is a dyno that does with its connections what the function says.
func raw(t *testing.T, dyno string, serve func(net.Conn)) Backend {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return Backend{Address: listener.Addr().String(), Dyno: dyno}
}

// answering reads a request's head and then sends the text and closes.
func answering(t *testing.T, text string) Backend {
	return raw(t, "web.1", func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.WriteString(conn, text)
		}
	})
}

// nobody is an address where nothing listens.
func nobody(t *testing.T, dyno string) Backend {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	return Backend{Address: listener.Addr().String(), Dyno: dyno}
}

// silent reads and never answers.
func silent(t *testing.T) Backend {
	return raw(t, "web.1", func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
}

func TestErrorCodes(t *testing.T) {
	tests := []struct {
		name   string
		config func(*Config)
		host   func(t *testing.T, h *Host)
		code   string
		desc   string
		level  string
		status int
		dyno   string
		page   string
	}{
		{name: "crashed", host: func(_ *testing.T, h *Host) { h.Crashed = true }, code: "H10", desc: "App crashed", status: 503},
		{
			name: "timeout", config: func(c *Config) { c.FirstByte = 100 * time.Millisecond },
			host: func(t *testing.T, h *Host) { h.Backends = []Backend{silent(t)} },
			code: "H12", desc: "Request timeout", status: 503, dyno: "web.1",
		},
		{
			name: "closed without a response", host: func(t *testing.T, h *Host) { h.Backends = []Backend{answering(t, "")} },
			code: "H13", desc: "Connection closed without response", status: 503, dyno: "web.1",
		},
		{name: "no processes", host: func(*testing.T, *Host) {}, code: "H14", desc: "No web processes running", status: 503},
		{
			name: "not HTTP", host: func(t *testing.T, h *Host) { h.Backends = []Backend{answering(t, "what?\r\n\r\n")} },
			code: "H17", desc: "Poorly formed HTTP response", status: 503, dyno: "web.1",
		},
		{
			name: "bad header", host: func(t *testing.T, h *Host) {
				h.Backends = []Backend{answering(t, "HTTP/1.1 200 OK\r\nno colon\r\n\r\n")}
			},
			code: "H17", desc: "Poorly formed HTTP response", status: 503, dyno: "web.1",
		},
		{
			name: "huge header", host: func(t *testing.T, h *Host) {
				h.Backends = []Backend{answering(t, "HTTP/1.1 200 OK\r\nA: "+strings.Repeat("a", 600<<10)+"\r\n\r\n")}
			},
			code: "H17", desc: "Poorly formed HTTP response", status: 503, dyno: "web.1",
		},
		{
			name: "switches unasked", host: func(t *testing.T, h *Host) {
				h.Backends = []Backend{answering(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")}
			},
			code: "H17", desc: "Poorly formed HTTP response", status: 503, dyno: "web.1",
		},
		{
			name: "connect takes too long", config: func(c *Config) { c.Connect = 1 },
			host: func(t *testing.T, h *Host) { h.Backends = []Backend{silent(t)} },
			code: "H19", desc: "Backend connection timeout", status: 503, dyno: "web.1",
		},
		{
			name: "refused", host: func(t *testing.T, h *Host) { h.Backends = []Backend{nobody(t, "web.3")} },
			code: "H21", desc: "Backend connection refused", status: 503, dyno: "web.3",
		},
		{
			name: "maintenance", host: func(t *testing.T, h *Host) { h.Maintenance, h.Backends = true, []Backend{silent(t)} },
			code: "H80", desc: "Maintenance mode", level: "info", status: 503, page: "maintenance",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, test.config)
			host := r.host("app.example.org")
			test.host(t, &host)
			r.push(host)
			response, err := r.http(1, nil).Get("https://app.example.org/some/path?secret=1")
			if err != nil {
				t.Fatal(err)
			}
			page := body(t, response)
			if response.StatusCode != test.status || !strings.Contains(page, "<!DOCTYPE html>") || !strings.Contains(page, test.page) {
				t.Errorf("got %d, %q", response.StatusCode, page)
			}
			entry := r.nextLog()
			level := "error"
			if test.level != "" {
				level = test.level
			}
			want := fmt.Sprintf(`^at=%s code=%s desc="%s" method=GET path="/some/path" host=app\.example\.org request_id=[0-9a-f-]{36} `+
				`fwd="127\.0\.0\.1" dyno=%s connect=\d+ms service=\d+ms status=%d bytes=%d protocol=https tls_version=tls1\.3$`,
				level, test.code, regexp.QuoteMeta(test.desc), test.dyno, test.status, len(page))
			if !regexp.MustCompile(want).MatchString(entry.Text) {
				t.Errorf("access line\n%s\nwant\n%s", entry.Text, want)
			}
			if entry.App != host.App || entry.Source != "heroku" || entry.Dyno != "router" {
				t.Errorf("entry %+v", entry)
			}
		})
	}
}

// What breaks after the response has begun ends the connection, so that no
// client takes half an answer for a whole one.
func TestBrokenOff(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
	tests := []struct {
		name    string
		backend func(t *testing.T) Backend
		code    string
	}{
		{"by the dyno", func(t *testing.T) Backend { return answering(t, head+"half") }, "H18"},
		{"idle", func(t *testing.T) Backend {
			return raw(t, "web.1", func(conn net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.WriteString(conn, head+"half")
					_, _ = io.Copy(io.Discard, conn)
				}
			})
		}, "H15"},
	}
	for _, test := range tests {
		for version := 1; version <= 2; version++ {
			t.Run(fmt.Sprintf("%s, HTTP/%d", test.name, version), func(t *testing.T) {
				r := newRig(t, func(c *Config) { c.Idle = 200 * time.Millisecond })
				r.push(r.host("app.example.org", test.backend(t)))
				response, err := r.http(version, nil).Get("https://app.example.org/")
				if err == nil {
					_, err = io.ReadAll(response.Body)
					response.Body.Close()
				}
				if err == nil {
					t.Error("the client takes the answer for whole")
				}
				if text := r.nextLog().Text; !strings.Contains(text, "code="+test.code) || !strings.Contains(text, "status=200") {
					t.Errorf("access line %s", text)
				}
			})
		}
	}
}

func TestClientLeaves(t *testing.T) {
	for version := 1; version <= 2; version++ {
		r := newRig(t, nil)
		arrived := make(chan bool, 1)
		gone := make(chan bool, 1)
		r.push(r.host("app.example.org", backendOf(t, "web.1", func(_ http.ResponseWriter, req *http.Request) {
			arrived <- true
			<-req.Context().Done()
			gone <- true
		})))
		ctx, cancel := context.WithCancel(t.Context())
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://app.example.org/", nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() { <-arrived; cancel() }()
		if response, err := r.http(version, nil).Do(request); err == nil {
			t.Fatalf("an answer came: %s, %s", response.Status, r.nextLog().Text)
		}
		select {
		case <-gone: // the dyno is not left working for nobody
		case <-time.After(5 * time.Second):
			t.Error("the dyno was not told")
		}
		if text := r.nextLog().Text; !strings.Contains(text, "at=warning code=H27") || !strings.Contains(text, "status=499 bytes=0") {
			t.Errorf("HTTP/%d: access line %s", version, text)
		}
	}
}

func TestClientStopsSending(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Idle = 200 * time.Millisecond })
	r.push(r.host("app.example.org", silent(t)))
	conn := r.tls("app.example.org")
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: app.example.org\r\nContent-Length: 100\r\n\r\nhalf"); err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(conn); len(answer) > 0 {
		t.Errorf("answer %q", answer)
	}
	if text := r.nextLog().Text; !strings.Contains(text, "at=warning code=H28") {
		t.Errorf("access line %s", text)
	}
}

func TestClientBreaksOffItsBody(t *testing.T) {
	r := newRig(t, nil)
	r.push(r.host("app.example.org", silent(t)))
	conn := r.tls("app.example.org")
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: app.example.org\r\nContent-Length: 100\r\n\r\nhalf"); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(conn); len(answer) > 0 { // least of all a success
		t.Errorf("answer %q", answer)
	}
	if text := r.nextLog().Text; !strings.Contains(text, "code=H27") {
		t.Errorf("access line %s", text)
	}
}

// A client that reads nothing must not hold a dyno's answer for ever.
func TestClientStopsReading(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Idle = 300 * time.Millisecond })
	r.push(r.host("app.example.org", backendOf(t, "web.1", func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 64<<10)
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})))
	conn := r.tls("app.example.org")
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app.example.org\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if text := r.nextLog().Text; !strings.Contains(text, "code=H15") {
		t.Errorf("access line %s", text)
	}
	r.eventually("the connection is closed", func() bool { return r.status().Connections == 0 })
}

// A dyno may answer before it has read a body, and not read it at all.
func TestEarlyAnswer(t *testing.T) {
	r := newRig(t, nil)
	r.push(r.host("app.example.org", raw(t, "web.1", func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge")
			time.Sleep(200 * time.Millisecond)
		}
	})))
	// By HTTP/1 a client that goes on writing may meet a reset before it reads; one
	// that looks sees the answer.
	conn := r.tls("app.example.org")
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: app.example.org\r\nContent-Length: 67108864\r\n\r\n"+strings.Repeat("0", 100_000)); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := body(t, response); response.StatusCode != 413 || got != "large" {
		t.Errorf("HTTP/1: %d %q", response.StatusCode, got)
	}
	response, err = r.http(2, nil).Post("https://app.example.org/", "text/plain", io.LimitReader(zeros{}, 64<<20))
	if err != nil {
		t.Fatal(err)
	}
	if got := body(t, response); response.StatusCode != 413 || got != "large" {
		t.Errorf("HTTP/2: %d %q", response.StatusCode, got)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
