package handover

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// socket listens on a seqpacket path and returns both.
func socket(t *testing.T) (path string, file *os.File) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "r.sock")
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	listener.SetUnlinkOnClose(false)
	file, err = listener.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return path, file
}

func listen(t *testing.T, file *os.File, uids ...int) *Listener {
	t.Helper()
	listener, err := Listen(file, uids, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// pair returns the two ends of a TCP connection.
func pair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near.(*net.TCPConn), far.(*net.TCPConn)
}

func TestConnectionMoves(t *testing.T) {
	path, file := socket(t)
	listener := listen(t, file, os.Getuid())
	link := NewLink(path)
	defer link.Close()
	client, server := pair(t)
	if err := link.Send(server, []byte("read ")); err != nil {
		t.Fatal(err)
	}
	server.Close() // as the edge does; the connection stays
	passed, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if passed.RemoteAddr().String() != client.LocalAddr().String() {
		t.Errorf("the client is %s, want %s", passed.RemoteAddr(), client.LocalAddr())
	}
	if _, err := io.WriteString(client, "later"); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(passed); err != nil || string(got) != "read later" {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := io.WriteString(passed, "answer"); err != nil {
		t.Fatal(err)
	}
	passed.Close()
	if got, err := io.ReadAll(client); err != nil || string(got) != "answer" {
		t.Errorf("the client read %q, %v", got, err)
	}
}

// A read with a deadline must return: a passed socket that was left blocking
// would hold its thread.
func TestPassedSocketHasDeadlines(t *testing.T) {
	path, file := socket(t)
	listener := listen(t, file, os.Getuid())
	link := NewLink(path)
	defer link.Close()
	_, server := pair(t)
	if err := link.Send(server, nil); err != nil {
		t.Fatal(err)
	}
	passed, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer passed.Close()
	if err := passed.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := passed.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read ended with %v, want the deadline", err)
	}
}

func TestMalformedMessages(t *testing.T) {
	path, file := socket(t)
	listener := listen(t, file, os.Getuid())
	raw, err := dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(raw)
	_, server := pair(t)
	tcp := descriptor(t, server)
	plain, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	null := int(plain.Fd())
	open, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(open)

	good := append([]byte{version}, "hello"...)
	tests := []struct {
		name    string
		message []byte
		fds     []int
		counted bool
	}{
		{"no descriptor", good, nil, true},
		{"two descriptors", good, []int{tcp, tcp}, true},
		{"many descriptors", good, []int{tcp, tcp, tcp, tcp, tcp, tcp, tcp, tcp, tcp, tcp, tcp, tcp}, true},
		{"a file", good, []int{null}, true},
		{"a unix socket", good, []int{raw}, true},
		{"not connected", good, []int{open}, false},
		{"another version", []byte{version + 1, 1}, []int{tcp}, true},
		{"too long", append(good, make([]byte, MaxBytes)...), []int{tcp}, true},
	}
	before := copies(t, tcp, null, raw, open)
	var want uint64
	for _, test := range tests {
		if test.counted {
			want++
		}
		var rights []byte
		if test.fds != nil {
			rights = unix.UnixRights(test.fds...)
		}
		if err := unix.Sendmsg(raw, test.message, rights, nil, 0); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
	}
	// The next good one shows that all before were looked at.
	if err := unix.Sendmsg(raw, good, unix.UnixRights(tcp), nil, 0); err != nil {
		t.Fatal(err)
	}
	passed, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	passed.Close()
	if got := listener.Rejected(); got != want {
		t.Errorf("rejected %d, want %d", got, want)
	}
	if after := copies(t, tcp, null, raw, open); after != before {
		t.Errorf("%d descriptors are open, %d were before: some leak", after, before)
	}
}

func descriptor(t *testing.T, conn *net.TCPConn) int {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	if err := raw.Control(func(n uintptr) { fd = int(n) }); err != nil {
		t.Fatal(err)
	}
	return fd
}

// copies counts this process's descriptors of the same sockets and files. What
// other tests leave to be closed in a moment does not count.
func copies(t *testing.T, fds ...int) int {
	t.Helper()
	same := map[string]bool{}
	for _, fd := range fds {
		target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		if err != nil {
			t.Fatal(err)
		}
		same[target] = true
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, entry := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && same[target] {
			n++
		}
	}
	return n
}

func TestStrangersMayNotSend(t *testing.T) {
	path, file := socket(t)
	listener := listen(t, file, os.Getuid()+1)
	link := NewLink(path)
	defer link.Close()
	client, server := pair(t)
	_ = link.Send(server, nil) // may be in the kernel before the refusal
	server.Close()
	if err := client.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is still open: %v", err)
	}
	if listener.Rejected() == 0 {
		t.Error("the sender was not counted")
	}
}

func TestSendWithoutRouter(t *testing.T) {
	_, server := pair(t)
	link := NewLink(filepath.Join(t.TempDir(), "none.sock"))
	if err := link.Send(server, nil); !errors.Is(err, ErrDown) {
		t.Errorf("no socket: %v, want ErrDown", err)
	}
	path, file := socket(t)
	link = NewLink(path)
	if err := link.Send(server, nil); err != nil {
		t.Errorf("a router that is restarting: %v, want it queued", err)
	}
	file.Close()
	if err := link.Send(server, nil); !errors.Is(err, ErrDown) {
		t.Errorf("a router that ended: %v, want ErrDown", err)
	}
	link.Close()
	if err := link.Send(server, nil); !errors.Is(err, ErrDown) {
		t.Errorf("a closed link: %v, want ErrDown", err)
	}
}

func TestListenWantsSeqpacket(t *testing.T) {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := Listen(file, nil, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a stream socket was taken")
	}
}

func TestCloseEndsAccept(t *testing.T) {
	path, file := socket(t)
	listener := listen(t, file, os.Getuid())
	link := NewLink(path)
	defer link.Close()
	_, server := pair(t)
	if err := link.Send(server, nil); err != nil { // received, and never accepted
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		listener.Close()
		for {
			if _, err := listener.Accept(); err != nil {
				done <- err
				return
			}
		}
	}()
	select {
	case err := <-done:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept ended with %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("close hangs")
	}
}

func BenchmarkHandover(b *testing.B) {
	t := &testing.T{}
	path, file := socket(t)
	listener := listen(t, file, os.Getuid())
	link := NewLink(path)
	_, server := pair(t)
	hello := make([]byte, 600)
	b.ReportAllocs()
	for b.Loop() {
		if err := link.Send(server, hello); err != nil {
			b.Fatal(err)
		}
		passed, err := listener.Accept()
		if err != nil {
			b.Fatal(err)
		}
		passed.Close()
	}
}
