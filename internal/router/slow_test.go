package router

import (
	"crypto/tls"
	"net"
	"testing"
	"time"
)

// drip is a connection that sends one byte at a time, each in a packet of its own.
type drip struct {
	net.Conn
	pause time.Duration
}

func (d *drip) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := d.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
		time.Sleep(d.pause)
	}
	return len(b), nil
}

func (r *rig) drip(name string, pause time.Duration) (*tls.Conn, error) {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	if err := conn.(*net.TCPConn).SetNoDelay(true); err != nil {
		r.t.Fatal(err)
	}
	client := tls.Client(&drip{Conn: conn, pause: pause}, &tls.Config{ServerName: name, RootCAs: r.roots})
	return client, client.Handshake()
}

// TestHandshakeByteByByte: pieces are no fault as long as they come in time.
func TestHandshakeByteByByte(t *testing.T) {
	r := newRig(t, nil)
	r.push(r.host("app.example.org"))
	if _, err := r.drip("app.example.org", 0); err != nil {
		t.Error(err)
	}
}

// TestSlowClients: whoever drips a handshake or a request's head has no more time
// for it than whoever is silent.
func TestSlowClients(t *testing.T) {
	const limit = 300 * time.Millisecond
	r := newRig(t, func(c *Config) { c.Head = limit })
	r.push(r.host("app.example.org"))
	if _, err := r.drip("app.example.org", 5*time.Millisecond); err == nil {
		t.Error("a handshake that drips is completed")
	}
	conn := r.tls("app.example.org")
	began := time.Now()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: app.example.org\r\n")); err != nil {
		t.Fatal(err)
	}
	for time.Since(began) < 20*limit {
		if _, err := conn.Write([]byte("X: y\r\n")); err != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if took := time.Since(began); took > 10*limit {
		t.Errorf("a request's head that drips was read for %v", took)
	}
	r.eventually("nobody is connected", func() bool { return r.status().Connections == 0 })
}
