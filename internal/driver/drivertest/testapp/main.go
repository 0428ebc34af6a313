//go:build linux

// Command testapp is a script (drivertest/script) as a real process: the only
// program in the images that driver tests run. It also answers, from inside a
// container, whether what an engine must deny is denied.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/strongroom/strongroom/internal/driver/drivertest/script"
	"golang.org/x/sys/unix"
)

func main() {
	p := &process{resized: make(chan struct{}, 1), terminated: make(chan struct{})}
	winch, term := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(winch, unix.SIGWINCH)
	signal.Notify(term, unix.SIGTERM)
	go func() {
		for range winch {
			select {
			case p.resized <- struct{}{}:
			default:
			}
		}
	}()
	go func() {
		<-term
		close(p.terminated)
	}()
	args := os.Args[1:]
	for len(args) > 0 && attack(args[0]) {
		args = args[1:]
	}
	os.Exit(script.Run(context.Background(), p, args))
}

// process is the script.System of this process.
type process struct{ resized, terminated chan struct{} }

func (p *process) Env(name string) string      { return os.Getenv(name) }
func (p *process) Stdin() io.Reader            { return os.Stdin }
func (p *process) Stdout() io.Writer           { return os.Stdout }
func (p *process) Resized() <-chan struct{}    { return p.resized }
func (p *process) Terminated() <-chan struct{} { return p.terminated }

// Address is that of the one interface besides loopback.
func (p *process) Address() (string, error) {
	list, err := net.InterfaceAddrs()
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String(), nil
		}
	}
	return "", errors.Join(err, errors.New("no address"))
}

func (p *process) Listen(port int) (net.Listener, error) {
	return net.Listen("tcp", ":"+strconv.Itoa(port))
}

func (p *process) Dial(ctx context.Context, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

func (p *process) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

func (p *process) WriteFile(path string, content []byte) error {
	return os.WriteFile(path, content, 0o644)
}

func (p *process) Open(path string) (io.Closer, error) { return os.Open(path) }

func (p *process) Size() (rows, cols int) {
	w, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	return int(w.Row), int(w.Col)
}

// attack carries out the statements that only a real engine's tests use. It
// reports whether it knew the statement.
func attack(statement string) bool {
	word, rest, _ := strings.Cut(statement, " ")
	switch word {
	case "alloc": // MEBIBYTES, touched page by page
		n, _ := strconv.Atoi(rest)
		b := make([]byte, n<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		fmt.Printf("alloc %s ok\n", rest)
	case "fork": // N sleeping children, until it is refused
		n, _ := strconv.Atoi(rest)
		fmt.Printf("fork %s of %s\n", strconv.Itoa(spawn(n)), rest)
	case "spin": // DURATION of one core, says the CPU time it got in ms
		fmt.Println("spin", spin(rest))
	case "naked": // DURATION without any handler for SIGTERM
		d, _ := time.ParseDuration(rest)
		naked()
		time.Sleep(d)
	case "http": // answers requests on $PORT with $GREETING
		go serveHTTP()
	case "try":
		fmt.Println(statement, verdict(try(rest)))
	default:
		return false
	}
	return true
}

// naked gives SIGTERM back to the kernel, from which Go took it.
func naked() {
	var action [4]uint64 // struct sigaction: SIG_DFL, no flags, no mask
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGTERM), uintptr(unsafe.Pointer(&action[0])), 0, 8, 0, 0)
}

func serveHTTP() {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s for %s\n", os.Getenv("GREETING"), r.Host)
	})
	err := http.ListenAndServe(":"+os.Getenv("PORT"), h)
	fmt.Println("http", err)
	os.Exit(1)
}

func verdict(err error) string {
	var no syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &no):
		return unix.ErrnoName(no)
	}
	return err.Error()
}

func spawn(n int) int {
	for i := range n {
		if _, err := os.StartProcess("/proc/self/exe", []string{"sleeper", "sleep 1h"}, &os.ProcAttr{}); err != nil {
			return i
		}
	}
	return n
}

func spin(duration string) int64 {
	d, _ := time.ParseDuration(duration)
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
	var use unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &use)
	return (use.Utime.Nano() + use.Stime.Nano()) / 1e6
}

// try does what must not work.
func try(what string) error {
	word, rest, _ := strings.Cut(what, " ")
	switch word {
	case "mount":
		return unix.Mount("none", "/tmp", "tmpfs", 0, "")
	case "mknod":
		return unix.Mknod("/tmp/device", unix.S_IFBLK|0o600, int(unix.Mkdev(8, 0)))
	case "unshare":
		return unix.Unshare(unix.CLONE_NEWUSER)
	case "chown":
		if err := os.WriteFile("/tmp/file", nil, 0o600); err != nil {
			return err
		}
		return os.Chown("/tmp/file", 1, 1)
	case "setuid":
		return unix.Setuid(0)
	case "keyctl":
		_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, true)
		return err
	case "bpf":
		_, _, no := unix.Syscall(unix.SYS_BPF, 0, 0, 0)
		if no != 0 {
			return no
		}
		return nil
	case "rawsocket":
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
		return err
	case "write":
		return os.WriteFile(rest, []byte("1"), 0o600)
	case "stat":
		_, err := os.Stat(rest)
		return err
	}
	return errors.New("unknown")
}
