package supervise

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// The test binary is also the child and the supervisor that the tests start:
// mode says which.
const mode = "STRONGROOM_SUPERVISE_TEST"

func TestMain(m *testing.M) {
	switch os.Getenv(mode) {
	case "child":
		os.Exit(childMain())
	case "supervisor":
		os.Exit(supervisorMain())
	}
	goleak.VerifyTestMain(m)
}

// report is what a child tells of itself, in the file named REPORT.
type report struct {
	PID, UID, GID, Umask int
	Groups               []int
	Dir                  string
	Status               map[string]string // of /proc/self/status
	Cgroup               string            // of /proc/self/cgroup
	File                 string            // what descriptor 3 is
}

func childMain() int {
	fmt.Printf("child %d begins\n", os.Getpid())
	if path := os.Getenv("REPORT"); path != "" {
		if err := writeReport(path); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	if os.Getenv("FAIL") != "" {
		return 7
	}
	ctx := context.Background()
	if os.Getenv("DEAF") == "" {
		var stop func()
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGTERM)
		defer stop()
	} else {
		signal.Ignore(syscall.SIGTERM)
	}
	if os.Getenv("FORK") != "" {
		// A descendant that outlives us.
		nap := exec.Command("/bin/sleep", "600")
		nap.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := nap.Start(); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Printf("descendant %d\n", nap.Process.Pid)
	}
	if os.Getenv("ECHO") != "" {
		go echo()
	}
	if path := os.Getenv("PLAIN"); path != "" {
		if _, err := listenUnix("unix", path, 0o600); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	go func() {
		for range time.Tick(10 * time.Millisecond) {
			fmt.Printf("child %d lives\n", os.Getpid())
		}
	}()
	if path := os.Getenv("CONTROL"); path != "" {
		if err := Serve(ctx, path, os.Getenv("NAME"), os.Getenv("BUILD")); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	<-ctx.Done()
	return 0
}

// echo answers with the process id on the listening socket at descriptor 3.
func echo() {
	listener, err := net.FileListener(os.NewFile(3, "inherited"))
	if err != nil {
		panic(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		fmt.Fprint(conn, os.Getpid())
		conn.Close()
	}
}

func writeReport(path string) error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	cgroup, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	r := report{PID: os.Getpid(), UID: os.Getuid(), GID: os.Getgid(), Status: map[string]string{}, Cgroup: string(cgroup)}
	for line := range strings.Lines(string(status)) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			r.Status[key] = strings.TrimSpace(value)
		}
	}
	if r.Groups, err = os.Getgroups(); err != nil {
		return err
	}
	if r.Dir, err = os.Getwd(); err != nil {
		return err
	}
	r.Umask = unix.Umask(0)
	unix.Umask(r.Umask)
	r.File, _ = os.Readlink("/proc/self/fd/3") // there may be none
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", b, 0o666); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// supervisorMain keeps the Spec given in the environment up for ever.
func supervisorMain() int {
	var spec Spec
	if err := json.Unmarshal([]byte(os.Getenv("SPEC")), &spec); err != nil {
		fmt.Println(err)
		return 1
	}
	s := New(Config{Cgroup: os.Getenv("CGROUP")}, slog.New(slog.NewTextHandler(os.Stdout, nil)))
	if err := s.Ensure(spec); err != nil {
		fmt.Println(err)
		return 1
	}
	if err := s.Run(context.Background()); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// testSpec is a child of this test binary that answers on a control socket.
func testSpec(t *testing.T, env ...string) Spec {
	t.Helper()
	dir := t.TempDir()
	control := filepath.Join(dir, "control", "sock")
	return Spec{
		Name: "child",
		Args: []string{testProgram(t)},
		Env: append([]string{
			mode + "=child", "CONTROL=" + control, "NAME=child", "BUILD=one",
		}, env...),
		UID: os.Geteuid(), GID: os.Getegid(),
		Output: filepath.Join(dir, "output"), Control: control, Build: "one",
		Grace: 2 * time.Second,
	}
}

func testProgram(t *testing.T) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// started runs a supervisor for the length of the test. What is still up at the
// end is stopped, whether or not the supervisor was to do so.
func started(t *testing.T, cfg Config, specs ...Spec) *Supervisor {
	t.Helper()
	return runSupervisor(t, New(cfg, testLog(t)), specs...)
}

func runSupervisor(t *testing.T, s *Supervisor, specs ...Spec) *Supervisor {
	t.Helper()
	for _, spec := range specs {
		if err := s.Ensure(spec); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		for _, status := range s.Status() {
			if err := s.Stop(context.Background(), status.Name); err != nil {
				t.Error(err)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func ready(t *testing.T, s *Supervisor, name string) Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Ready(ctx, name); err != nil {
		t.Fatal(err)
	}
	return status(t, s, name)
}

func status(t *testing.T, s *Supervisor, name string) Status {
	t.Helper()
	all := s.Status()
	i := slices.IndexFunc(all, func(st Status) bool { return st.Name == name })
	if i < 0 {
		t.Fatalf("no child %s in %v", name, all)
	}
	return all[i]
}

// eventually waits for a condition on the real world.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatal("never came true: " + what)
}

// alive says whether the process exists and is no zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func readReport(t *testing.T, path string) report {
	t.Helper()
	var r report
	if err := json.Unmarshal([]byte(readFile(t, path)), &r); err != nil {
		t.Fatal(err)
	}
	return r
}
