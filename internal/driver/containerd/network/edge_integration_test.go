//go:build integration

package network

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

const testEdgeUID = 64777

func TestEdgeCannotConnectOut(t *testing.T) {
	r := newRig(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(c, c) }()
		}
	}()
	target := l.Addr().String()
	l6, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l6.Close()
	targets := map[string]string{"tcp4": target, "udp4": target, "tcp6": l6.Addr().String(), "udp6": l6.Addr().String()}
	for network, target := range targets {
		if out, err := runAs(t, testEdgeUID+1, "dial", network, target); err != nil {
			t.Errorf("%s under another uid should work: %v: %s", network, err, out)
		}
		if out, err := runAs(t, testEdgeUID, "dial", network, target); err == nil {
			t.Errorf("%s under the edge's uid works: %s", network, out)
		}
	}
	if host := r.hostState(); host.EdgeDenied == 0 || !host.InForce {
		t.Errorf("host state %+v", host)
	}

	// It accepts, and what it accepted works in both directions. Then it takes
	// the accepted socket apart and connects it anew, as a holder could.
	cmd := helper(testEdgeUID, "accept", target)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	line := make([]byte, 128)
	n, err := stdout.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp4", strings.TrimSpace(string(line[:n])), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := ping(conn); err != nil {
		t.Fatalf("the edge can't serve: %v", err)
	}
	rest, err := io.ReadAll(stdout)
	if err != nil {
		t.Fatal(err)
	}
	if string(rest) != "reconnect refused\n" {
		t.Errorf("edge helper says %q", rest)
	}
}

func helper(uid int, args ...string) *exec.Cmd {
	// The test's directory may be closed to other users: run a copy by fd.
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	cmd := exec.Command("/proc/self/fd/3", args...)
	cmd.ExtraFiles = []*os.File{self}
	cmd.Env = []string{"NETWORK_TEST_EDGE=1"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	return cmd
}

func runAs(t *testing.T, uid int, args ...string) (string, error) {
	t.Helper()
	out, err := helper(uid, args...).CombinedOutput()
	return string(out), err
}

func edgeHelper(args []string) int {
	switch args[0] {
	case "dial":
		c, err := net.DialTimeout(args[1], args[2], 700*time.Millisecond)
		if err == nil {
			_, err = c.Write([]byte("ping")) // a dropped datagram is EPERM here
		}
		if err != nil {
			fmt.Println(err)
			return 1
		}
		return 0
	case "accept":
		if err := edgeAccept(args[1]); err != nil {
			fmt.Println(err)
			return 1
		}
		return 0
	}
	return 2
}

// edgeAccept serves one echo, then disconnects the accepted socket and
// connects it to target.
func edgeAccept(target string) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	c, err := l.Accept()
	if err != nil {
		return err
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	if _, err := c.Write(b); err != nil {
		return err
	}
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		return err
	}
	return reconnect(int(f.Fd()), netip.MustParseAddrPort(target))
}

func reconnect(fd int, target netip.AddrPort) error {
	unspecified := [16]byte{} // AF_UNSPEC
	if _, _, errno := syscall.Syscall(syscall.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&unspecified)), 16); errno != 0 {
		return fmt.Errorf("disconnect: %w", errno)
	}
	timeout := syscall.Timeval{Usec: 700_000}
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &timeout); err != nil {
		return err
	}
	if err := syscall.SetNonblock(fd, false); err != nil {
		return err
	}
	err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(target.Port()), Addr: target.Addr().As4()})
	if err == nil {
		fmt.Println("reconnected to " + target.String())
		return nil
	}
	fmt.Println("reconnect refused")
	return nil
}
