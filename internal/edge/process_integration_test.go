//go:build integration

package edge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/edge"
	"github.com/strongroom/strongroom/internal/edge/handover"
	"github.com/strongroom/strongroom/internal/router"
)

// roleVariable makes a copy of the test binary one of the processes.
const roleVariable = "STRONGROOM_TEST_ROLE"

// The processes' users, as on a host.
const (
	edgeUID   = 64002
	routerUID = 65100
)

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := play(ctx, role); err != nil {
		fmt.Fprintln(os.Stderr, role+":", err)
		os.Exit(1)
	}
}

func play(ctx context.Context, role string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	file := func(n int) *os.File { return os.NewFile(uintptr(2+n), "inherited") }
	switch role {
	case "edge":
		return edge.Run(ctx, edge.Config{
			HTTPS: edge.Endpoint{File: file(1)}, HTTP: edge.Endpoint{File: file(2)}, Control: edge.Endpoint{File: file(3)},
			TableFile: os.Getenv("TABLE"),
		}, log)
	case "router":
		return router.Run(ctx, router.Config{
			Space: "s1", Edge: edgeUID, Handover: file(1), Control: file(2), DNSPacket: file(3), DNSStream: file(4), AccessLog: file(5),
		}, log)
	case "thief":
		return steal(file(1), os.Getenv("TARGET"))
	default:
		return errors.New("no such role")
	}
}

// steal takes one passed connection, disconnects it, and connects it to target:
// what a router that was taken over could try. It fails if it got there.
func steal(file *os.File, target string) error {
	listener, err := handover.Listen(file, []int{edgeUID}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	address, err := net.ResolveTCPAddr("tcp", target)
	if err != nil {
		return err
	}
	raw, err := conn.(*handover.Conn).Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	var tried error
	err = raw.Control(func(fd uintptr) { tried = reconnect(int(fd), address) })
	if err := errors.Join(err, tried); err != nil {
		fmt.Println("stopped:", err)
		return nil
	}
	return errors.New("reached " + target)
}

func reconnect(fd int, target *net.TCPAddr) error {
	// AF_UNSPEC disconnects.
	var unspecified [16]byte
	if _, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptrOf(&unspecified), 16); errno != 0 {
		return fmt.Errorf("disconnect: %w", errno)
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		return err
	}
	wait := unix.Timeval{Sec: 2}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait); err != nil {
		return err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte(target.IP.To4()), Port: target.Port}); err != nil {
		return fmt.Errorf("connect anew: %w", err)
	}
	return nil
}

// process is one that the test started.
type process struct {
	t       *testing.T
	command *exec.Cmd
	output  strings.Builder
	done    chan error
}

// start runs a role in a network namespace under a uid.
func (h *host) start(role string, space netns.NsHandle, uid uint32, environment []string, files ...*os.File) *process {
	h.t.Helper()
	p := &process{t: h.t, command: exec.Command(h.program), done: make(chan error, 1)}
	p.command.Env = append(environment, roleVariable+"="+role)
	p.command.ExtraFiles = files
	p.command.Stdout, p.command.Stderr = &p.output, &p.output
	p.command.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uid, Gid: uid}, Pdeathsig: syscall.SIGKILL,
	}
	started := make(chan error, 1)
	go func() {
		// The thread stays as long as the process, which would else get Pdeathsig.
		within(space, func() error {
			err := p.command.Start()
			started <- err
			if err == nil {
				p.done <- p.command.Wait()
			}
			return err
		})
	}()
	if err := <-started; err != nil {
		h.t.Fatalf("start %s: %v", role, err)
	}
	h.t.Cleanup(func() { p.kill() })
	return p
}

// kill ends the process as kill -9 does, and waits.
func (p *process) kill() {
	if p.command.ProcessState == nil {
		_ = p.command.Process.Signal(syscall.SIGKILL) // may have ended by itself
		<-p.done
	}
	if p.t.Failed() {
		p.t.Logf("%s: %s", p.command.Env, p.output.String())
	}
}

// within runs a function on a thread in a network namespace. The thread is not
// used again.
func within(space netns.NsHandle, do func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := netns.Set(space); err != nil {
			result <- fmt.Errorf("enter a network namespace: %w", err)
			return
		}
		result <- do()
	}()
	return <-result
}

// program copies the test binary to where every uid can run it.
func program(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	path := filepath.Join(dir, "program")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(file, self); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Chmod(0o755), file.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// property reads a line of a process's status.
func (p *process) property(name string) string {
	p.t.Helper()
	content, err := os.ReadFile("/proc/" + strconv.Itoa(p.command.Process.Pid) + "/status")
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return ""
}

// namespace identifies a process's network.
func (p *process) namespace() string {
	p.t.Helper()
	link, err := os.Readlink("/proc/" + strconv.Itoa(p.command.Process.Pid) + "/ns/net")
	if err != nil {
		p.t.Fatal(err)
	}
	return link
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}
