package edge

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// script is a connection that gives bytes and then ends.
type script struct {
	io.Reader
	net.Conn
}

func (s *script) Read(p []byte) (int, error)       { return s.Reader.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return len(p), nil }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) RemoteAddr() net.Addr             { return nil }
func (s *script) LocalAddr() net.Addr              { return nil }

func readScript(content []byte) (name, reason string, input *bounded) {
	input = &bounded{Conn: &script{Reader: bytes.NewReader(content)}}
	name, reason = readHello(input)
	return name, reason, input
}

func TestReadHello(t *testing.T) {
	whole := hello(t, host)
	followed := append(bytes.Clone(whole), "early data"...)
	tests := []struct {
		name    string
		content []byte
		sni     string
		reason  string
	}{
		{"whole", whole, host, ""},
		{"followed by more", followed, host, ""},
		{"records", records(whole, 3), host, ""},
		{"empty", nil, "", ReasonClosed},
		{"cut", whole[:len(whole)-1], "", ReasonClosed},
		{"another handshake message", []byte{22, 3, 1, 0, 4, 2, 0, 0, 0}, "", ReasonMalformed},
		{"an alert", []byte{21, 3, 1, 0, 2, 2, 40}, "", ReasonMalformed},
		{"SSLv2", []byte{0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10}, "", ReasonMalformed},
		{"a record too long", []byte{22, 3, 1, 0xff, 0xff, 1, 0, 0, 0}, "", ReasonMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			name, reason, input := readScript(test.content)
			if name != test.sni || reason != test.reason {
				t.Errorf("got %q, reason %q; want %q, %q", name, reason, test.sni, test.reason)
			}
			if !bytes.HasPrefix(test.content, input.read) {
				t.Error("the bytes kept are not those read")
			}
		})
	}
}

// What the edge takes for the name, and the bytes it passes on, must mean the
// same to the TLS server behind it.
func FuzzHello(f *testing.F) {
	whole := hello(f, host)
	f.Add(whole)
	f.Add(records(whole, 5))
	f.Add(padded(f, host, 4000))
	f.Add(hello(f, ""))
	f.Add([]byte{22, 3, 1, 0, 0})
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		name, reason, input := readScript(content)
		if (name == "") == (reason == "") {
			t.Fatalf("name %q with reason %q", name, reason)
		}
		if !bytes.HasPrefix(content, input.read) {
			t.Fatal("the bytes kept are not those read")
		}
		if reason != "" {
			return
		}
		stop := errors.New("stop")
		var again string
		server := tls.Server(&script{Reader: bytes.NewReader(input.read)}, &tls.Config{
			GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
				again = info.ServerName
				return nil, stop
			},
		})
		if err := server.Handshake(); !errors.Is(err, stop) {
			t.Fatalf("the router cannot read the hello: %v", err)
		}
		if again != name {
			t.Fatalf("the edge reads %q, the router %q", name, again)
		}
	})
}

func BenchmarkHello(b *testing.B) {
	content := hello(b, host)
	b.ReportAllocs()
	for b.Loop() {
		if name, _, _ := readScript(content); name != host {
			b.Fatal(name)
		}
	}
}
