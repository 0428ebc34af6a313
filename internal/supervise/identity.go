package supervise

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Identity is what a child says of itself on GET /supervise.
type Identity struct {
	Name  string `json:"name"`
	Build string `json:"build"`
	PID   int    `json:"pid"` // for people; the supervisor believes the kernel
}

// Serve answers on the control socket at path until ctx ends, and returns nil
// then. A child calls it when it is ready to do its work. It takes the place of
// a socket that a former process left.
func Serve(ctx context.Context, path, name, build string) error {
	listener, err := listenUnix("unix", path, 0o600)
	if err != nil {
		return err
	}
	identity := Identity{Name: name, Build: build, PID: os.Getpid()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /supervise", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		// An error here is the caller's having gone.
		_ = json.NewEncoder(w).Encode(identity)
	})
	server := &http.Server{Handler: mux, ReadTimeout: answerTime, WriteTimeout: answerTime, MaxHeaderBytes: 8 << 10}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// answerTime is how long an answer on a control socket may take.
const answerTime = 2 * time.Second

// caller asks a child who it is.
type caller struct {
	conn *net.UnixConn
	read *bufio.Reader
	cred *unix.Ucred // of who called listen, by the kernel
	stop func() bool // ends the watch on the context
}

// call connects to a control socket; the connection ends with ctx.
func call(ctx context.Context, path string) (*caller, error) {
	conn, cred, err := dialPeer(ctx, path)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	return &caller{conn: conn, read: bufio.NewReader(conn), cred: cred, stop: stop}, nil
}

// ask sends one request. Asking twice on a connection reaches the same process.
func (c *caller) ask() (Identity, error) {
	var id Identity
	if err := c.conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return id, err
	}
	if _, err := io.WriteString(c.conn, "GET /supervise HTTP/1.1\r\nHost: child\r\n\r\n"); err != nil {
		return id, err
	}
	resp, err := http.ReadResponse(c.read, nil)
	if err != nil {
		return id, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return id, err
	}
	if resp.StatusCode != http.StatusOK {
		return id, fmt.Errorf("the control socket answered %s", resp.Status)
	}
	return id, json.Unmarshal(body, &id)
}

func (c *caller) close() {
	c.stop()
	c.conn.Close()
}

// dialPeer connects to a unix socket and returns who listens on it.
func dialPeer(ctx context.Context, path string) (*net.UnixConn, *unix.Ucred, error) {
	dialer := &net.Dialer{Timeout: answerTime}
	c, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, nil, err
	}
	conn := c.(*net.UnixConn)
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	var cred *unix.Ucred
	var got error
	err = raw.Control(func(fd uintptr) {
		cred, got = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, got); err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, cred, nil
}

// ProbeSocket returns a Spec.Probe for a program that listens on the unix
// socket at path: who answers is the process that called listen, by the
// kernel's word.
func ProbeSocket(path string) func(ctx context.Context) (pid int, err error) {
	return func(ctx context.Context) (int, error) {
		conn, cred, err := dialPeer(ctx, path)
		if err != nil {
			return 0, err
		}
		conn.Close()
		return int(cred.Pid), nil
	}
}
