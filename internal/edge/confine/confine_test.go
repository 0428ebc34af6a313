package confine

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// childVariable makes the test binary confine itself and try things.
const childVariable = "STRONGROOM_TEST_CONFINED"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := child(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestEnter runs a copy of this program that confines itself; a test process
// could not be used afterwards.
func TestEnter(t *testing.T) {
	dir, err := os.MkdirTemp("", "confine")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "child")
	copyProgram(t, program)
	command := exec.Command(program)
	command.Env = []string{childVariable + "=1"}
	if os.Getuid() == 0 {
		// As the data plane runs, but not as its users: a rule of an installation
		// on this machine may keep those from connecting. (A program linked with cgo cannot drop
		// capabilities in all its threads.)
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("the confined process: %v\n%s", err, output)
	}
}

// nobody is the uid that the confined process runs as.
const nobody = 65534

func copyProgram(t *testing.T, to string) {
	t.Helper()
	if err := os.Chmod(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	file, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(file, self); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Chmod(0o755), file.Close()); err != nil {
		t.Fatal(err)
	}
}

// child returns what went wrong.
func child() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	unbound, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	// Threads that exist before the filter have to be under it as well.
	tasks := make(chan func())
	var threads sync.WaitGroup
	for range 4 {
		threads.Go(func() {
			runtime.LockOSThread()
			for task := range tasks {
				task()
			}
		})
	}
	if err := Enter(unix.AF_INET); err != nil {
		return err
	}
	var mu sync.Mutex
	var failures []error
	for range 4 {
		tasks <- func() {
			err := attempts(unbound)
			mu.Lock()
			failures = append(failures, err)
			mu.Unlock()
		}
	}
	close(tasks)
	threads.Wait()
	return errors.Join(append(failures, attempts(unbound), stillWorks(listener))...)
}

// attempts tries what must fail, and says what did not.
func attempts(unbound int) error {
	address := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	call := func(number uintptr, args ...uintptr) func() error {
		return func() error {
			var a [6]uintptr
			copy(a[:], args)
			if _, _, errno := unix.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
				return errno
			}
			return nil
		}
	}
	socket := func(family int) func() error {
		return func() error {
			_, err := unix.Socket(family, unix.SOCK_DGRAM, 0)
			return err
		}
	}
	path, _ := unix.BytePtrFromString("/bin/true")
	argv := []*byte{path, nil}
	tries := map[string]func() error{
		"bind":              func() error { return unix.Bind(unbound, address) },
		"listen":            func() error { return unix.Listen(unbound, 1) },
		"io_uring_setup":    call(unix.SYS_IO_URING_SETUP, 1, 0),
		"execve":            call(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&argv[0])), 0),
		"execveat":          call(unix.SYS_EXECVEAT, ^uintptr(99), uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&argv[0])), 0, 0),
		"unshare":           call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER),
		"clone, namespace":  call(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD), 0, 0, 0, 0),
		"setns":             call(unix.SYS_SETNS, 0, 0),
		"ptrace":            call(unix.SYS_PTRACE, unix.PTRACE_TRACEME),
		"process_vm_readv":  call(unix.SYS_PROCESS_VM_READV, 1, 0, 0, 0, 0, 0),
		"bpf":               call(unix.SYS_BPF, 0, 0, 0),
		"userfaultfd":       call(unix.SYS_USERFAULTFD, 1),
		"a unix socket":     socket(unix.AF_UNIX),
		"a netlink socket":  socket(unix.AF_NETLINK),
		"a packet socket":   socket(unix.AF_PACKET),
		"an IPv6 socket":    socket(unix.AF_INET6),
		"a unix socketpair": func() error { _, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0); return err },
	}
	for name, try := range foreignTries(unbound) {
		tries[name] = try
	}
	var failures []error
	for name, try := range tries {
		if err := try(); !errors.Is(err, unix.EPERM) {
			failures = append(failures, fmt.Errorf("%s: %v, want EPERM", name, err))
		}
	}
	if err := call(unix.SYS_CLONE3, 0, 0)(); !errors.Is(err, unix.ENOSYS) {
		failures = append(failures, fmt.Errorf("clone3: %v, want ENOSYS", err))
	}
	runtime.KeepAlive(argv)
	return errors.Join(failures...)
}

// stillWorks does what a data plane process goes on doing.
func stillWorks(listener net.Listener) error {
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = io.WriteString(conn, "hello")
			conn.Close()
		}
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return fmt.Errorf("connect and accept: %w", err)
	}
	defer conn.Close()
	if got, err := io.ReadAll(conn); err != nil || string(got) != "hello" {
		return fmt.Errorf("read %q, %v", got, err)
	}
	for range 20 { // new threads are made, and are confined
		done := make(chan struct{})
		go func() { runtime.LockOSThread(); close(done) }()
		<-done
	}
	if err := verify("/proc/self/task"); err != nil {
		return err
	}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable != 0 {
		return fmt.Errorf("dumpable is %d, %v", dumpable, err)
	}
	return nil
}

func TestVerifyThread(t *testing.T) {
	good := "Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
	if err := verifyThread(good); err != nil {
		t.Errorf("a confined thread: %v", err)
	}
	for name, bad := range map[string]string{
		"capability":  strings.Replace(good, "CapEff:\t0000", "CapEff:\t0001", 1),
		"privileges":  strings.Replace(good, "NoNewPrivs:\t1", "NoNewPrivs:\t0", 1),
		"no filter":   strings.Replace(good, "Seccomp:\t2", "Seccomp:\t0", 1),
		"a line less": strings.Replace(good, "Seccomp:\t2\n", "", 1),
	} {
		if err := verifyThread(bad); err == nil {
			t.Errorf("%s: passes", name)
		}
	}
}

// This process is not confined, so verify has to say so.
func TestVerifyFails(t *testing.T) {
	if err := verify("/proc/self/task"); err == nil {
		t.Error("an unconfined process passes")
	}
}
