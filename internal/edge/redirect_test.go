package edge

import (
	"bufio"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestRedirect(t *testing.T) {
	r := newRig(t, nil)
	r.push(r.table("127.0.0.0/8"))
	tests := []struct {
		name     string
		request  string
		location string
	}{
		{"path and query", "GET /a/b?c=d%20e HTTP/1.1\r\nHost: app.example.org\r\n\r\n", "https://app.example.org/a/b?c=d%20e"},
		{"port", "GET / HTTP/1.1\r\nHost: app.example.org:80\r\n\r\n", "https://app.example.org/"},
		{"upper case", "GET / HTTP/1.1\r\nHost: APP.example.org\r\n\r\n", "https://app.example.org/"},
		{"absolute form", "GET http://app.example.org/x HTTP/1.1\r\nHost: other\r\n\r\n", "https://app.example.org/x"},
		{"post with a body", "POST /x HTTP/1.1\r\nHost: x.wild.example.org\r\nContent-Length: 5\r\n\r\nhello", "https://x.wild.example.org/x"},
		{"two slashes", "GET //evil.example.com/ HTTP/1.1\r\nHost: app.example.org\r\n\r\n", "https://app.example.org//evil.example.com/"},
		{"http/1.0", "GET / HTTP/1.0\r\nHost: app.example.org\r\n\r\n", "https://app.example.org/"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn := r.dial(r.http)
			if _, err := io.WriteString(conn, test.request); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if got := response.Header.Get("Location"); response.StatusCode != http.StatusPermanentRedirect || got != test.location {
				t.Errorf("got %d to %q, want 308 to %q", response.StatusCode, got, test.location)
			}
		})
	}
	r.eventually(func() bool { return r.status().Redirected == uint64(len(tests)) }, "counted %d, want %d", r.status().Redirected, len(tests))
}

func TestRedirectToAnotherPort(t *testing.T) {
	r := newRig(t, func(c *Config) { c.PublicPort = 8443 })
	r.push(r.table("127.0.0.0/8"))
	conn := r.dial(r.http)
	if _, err := io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: app.example.org:8080\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := response.Header.Get("Location"); got != "https://app.example.org:8443/x" {
		t.Errorf("redirected to %q", got)
	}
}

func TestRedirectRefuses(t *testing.T) {
	tests := []struct {
		name    string
		trusted string
		request string
		reason  string
	}{
		{"unknown host", "127.0.0.0/8", "GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n", ReasonUnknownName},
		{"no host", "127.0.0.0/8", "GET / HTTP/1.0\r\n\r\n", ReasonUnknownName},
		{"untrusted", "10.0.0.0/8", "GET / HTTP/1.1\r\nHost: app.example.org\r\n\r\n", ReasonUntrusted},
		{"opaque target", "127.0.0.0/8", "GET http:@evil.example.com/ HTTP/1.1\r\nHost: app.example.org\r\n\r\n", ReasonMalformed},
		{"star", "127.0.0.0/8", "OPTIONS * HTTP/1.1\r\nHost: app.example.org\r\n\r\n", ReasonMalformed},
		{"not HTTP", "127.0.0.0/8", "\x16\x03\x01\x00\x10 hello\r\n\r\n", ReasonMalformed},
		{"two hosts", "127.0.0.0/8", "GET / HTTP/1.1\r\nHost: app.example.org\r\nHost: b\r\n\r\n", ReasonMalformed},
		{"too long", "127.0.0.0/8", "GET /" + strings.Repeat("a", 20000) + " HTTP/1.1\r\n", ReasonTooLarge},
		{"too slow", "127.0.0.0/8", "GET / HTTP/1.1\r\nHost: app.exa", ReasonTimeout},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.HelloTimeout = 200 * time.Millisecond })
			r.push(r.table(test.trusted))
			r.wantRefusal("127.0.0.1", r.http, []byte(test.request))
			r.refusals(test.reason, 1)
		})
	}
}

// Whatever is asked, a redirect goes to a name of the table.
func FuzzRedirect(f *testing.F) {
	for _, seed := range []string{
		"GET /a?b=c HTTP/1.1\r\nHost: app.example.org\r\n\r\n",
		"GET http://app.example.org/x HTTP/1.1\r\nHost: other\r\n\r\n",
		"GET http:@evil/ HTTP/1.1\r\nHost: app.example.org\r\n\r\n",
		"GET //evil HTTP/1.1\r\nHost: app.example.org:80\r\n\r\n",
		"CONNECT app.example.org:443 HTTP/1.1\r\nHost: app.example.org\r\n\r\n",
		"GET /\\evil HTTP/1.1\r\nHost: a.wild.example.org\r\n\r\n",
	} {
		f.Add(seed)
	}
	e := newEdge(Config{MaxHandshakes: 1, MaxPerSource: 1, PublicPort: 443}, nil)
	routes, err := compile(Table{Spaces: []Space{{
		ID: "s", Socket: "/s", Trusted: []string{"0.0.0.0/0"}, Hostnames: []string{host, "*.wild.example.org"},
	}}}, nil)
	if err != nil {
		f.Fatal(err)
	}
	e.routes.Store(routes)
	f.Fuzz(func(t *testing.T, text string) {
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			return
		}
		answer, reason := e.answer(request, netip.MustParseAddr("192.0.2.1"))
		if reason != "" {
			return
		}
		response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
		if err != nil {
			t.Fatalf("answer %q: %v", answer, err)
		}
		response.Body.Close()
		location, err := url.Parse(response.Header.Get("Location"))
		if err != nil || location.Scheme != "https" || location.User != nil || routes.find(location.Host) == nil {
			t.Fatalf("%q redirects to %q (%v)", text, response.Header.Get("Location"), err)
		}
		if strings.Count(answer, "\r\n") != 5 {
			t.Fatalf("answer %q has more lines than ours", answer)
		}
	})
}
