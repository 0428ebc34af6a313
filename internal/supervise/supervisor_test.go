package supervise

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/tests/port"
)

func TestRestartAfterKill(t *testing.T) {
	spec := testSpec(t)
	s := started(t, Config{}, spec)
	first := ready(t, s, "child")
	if sid, err := unix.Getsid(first.PID); err != nil || sid != first.PID {
		t.Errorf("session of the child = %d, %v; want its own, %d", sid, err, first.PID)
	}
	if first.Adopted || first.Restarts != 0 || first.Build != "one" {
		t.Errorf("status of a new child = %+v", first)
	}

	kill(t, first.PID)
	eventually(t, "another process is up", func() bool {
		st := status(t, s, "child")
		return st.State == Up && st.PID != first.PID
	})
	second := status(t, s, "child")
	if second.Restarts != 1 || second.LastExit != "signal: killed" {
		t.Errorf("status after a kill = %+v", second)
	}
	output := readFile(t, spec.Output)
	for _, pid := range []int{first.PID, second.PID} {
		if !strings.Contains(output, fmt.Sprintf("child %d begins\n", pid)) {
			t.Errorf("output of process %d is missing in %q", pid, output)
		}
	}
}

// supervisorProcess runs a supervisor of the Spec in a process of its own.
func supervisorProcess(t *testing.T, spec Spec, env ...string) *exec.Cmd {
	t.Helper()
	b, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testProgram(t))
	cmd.Env = append(env, mode+"=supervisor", "SPEC="+string(b))
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have been killed by the test
		_ = cmd.Wait()
		if p, err := running(context.Background(), spec); err == nil {
			t.Errorf("child %d is left", p.pid)
			_ = p.signal(unix.SIGKILL)
			p.release()
		}
	})
	return cmd
}

// runningPID waits until the child answers and returns its process id.
func runningPID(t *testing.T, spec Spec) int {
	t.Helper()
	pid := 0
	eventually(t, "the child answers", func() bool {
		p, err := running(t.Context(), spec)
		if err != nil {
			return false
		}
		p.release()
		pid = p.pid
		return true
	})
	return pid
}

func TestTakeoverAfterTheSupervisorWasKilled(t *testing.T) {
	spec := testSpec(t)
	old := supervisorProcess(t, spec)
	pid := runningPID(t, spec)
	kill(t, old.Process.Pid)
	if err := old.Wait(); err == nil {
		t.Fatal("the killed supervisor ended well")
	}
	before := len(readFile(t, spec.Output))
	eventually(t, "output goes on without a supervisor", func() bool {
		return len(readFile(t, spec.Output)) > before
	})

	s := started(t, Config{}, spec)
	st := ready(t, s, "child")
	if st.PID != pid || !st.Adopted || st.Build != "one" {
		t.Fatalf("status after takeover = %+v; want process %d, adopted", st, pid)
	}
	kill(t, pid)
	eventually(t, "an adopted child is restarted", func() bool {
		st := status(t, s, "child")
		return st.State == Up && st.PID != pid && !st.Adopted && st.Restarts == 1
	})
	if strings.Count(readFile(t, spec.Output), "begins") != 2 {
		t.Error("more than two processes were started")
	}
}

func TestUnfitChildIsReplaced(t *testing.T) {
	type change func(*Spec)
	for name, test := range map[string]struct {
		change change
		kept   bool
	}{
		"same":           {func(*Spec) {}, true},
		"build":          {func(s *Spec) { s.Build = "two"; s.Env[3] = "BUILD=two" }, false},
		"arguments":      {func(s *Spec) { s.Args = append(s.Args, "-x") }, false},
		"build, kept":    {func(s *Spec) { s.Build = "two"; s.KeepOld = true }, true},
		"any build goes": {func(s *Spec) { s.Build = "" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			spec := testSpec(t)
			old := supervisorProcess(t, spec)
			pid := runningPID(t, spec)
			kill(t, old.Process.Pid)
			test.change(&spec)
			s := started(t, Config{}, spec)
			st := ready(t, s, "child")
			if kept := st.PID == pid; kept != test.kept || st.Adopted != test.kept {
				t.Errorf("kept = %v, adopted = %v; want %v", kept, st.Adopted, test.kept)
			}
			if !test.kept && alive(pid) {
				t.Error("the old process is still there")
			}
		})
	}
}

func TestImpostorIsNotTakenOver(t *testing.T) {
	spec := testSpec(t)
	if err := os.Mkdir(filepath.Dir(spec.Control), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, spec.Control, "somebody", "one") }()
	eventually(t, "the impostor answers", func() bool {
		who, err := call(ctx, spec.Control)
		if err != nil {
			return false
		}
		who.close()
		return true
	})
	s := started(t, Config{}, spec)
	if st := ready(t, s, "child"); st.Adopted || st.PID == os.Getpid() {
		t.Errorf("status = %+v; want a new process", st)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestProbe(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plain.sock")
	spec := testSpec(t, "PLAIN="+path)
	spec.Env[1] = "CONTROL="
	spec.Control = ""
	forProcess := spec // a func cannot travel in JSON; nothing to ask is fine there
	old := supervisorProcess(t, forProcess)
	spec.Probe = ProbeSocket(path)
	pid := runningPID(t, spec)
	kill(t, old.Process.Pid)

	s := started(t, Config{}, spec)
	if st := ready(t, s, "child"); st.PID != pid || !st.Adopted {
		t.Errorf("status = %+v; want process %d taken over", st, pid)
	}
	kill(t, pid)
	eventually(t, "started anew and answering the probe", func() bool {
		st := status(t, s, "child")
		return st.State == Up && st.PID != pid
	})
}

func TestStop(t *testing.T) {
	for name, env := range map[string]string{"polite": "X=", "deaf": "DEAF=1"} {
		t.Run(name, func(t *testing.T) {
			spec := testSpec(t, env)
			spec.Grace = 300 * time.Millisecond
			s := started(t, Config{}, spec)
			st := ready(t, s, "child")
			if err := s.Stop(t.Context(), "child"); err != nil {
				t.Fatal(err)
			}
			if alive(st.PID) {
				t.Error("the process is still there")
			}
			if left := s.Status(); len(left) != 0 {
				t.Errorf("status after Stop = %v", left)
			}
			if _, err := os.Lstat(spec.Control); err == nil {
				t.Error("the control socket is still there")
			}
			if err := s.Stop(t.Context(), "child"); err != nil {
				t.Errorf("stopping twice: %v", err)
			}
			if err := s.Ensure(spec); err != nil {
				t.Fatal(err)
			}
			if again := ready(t, s, "child"); again.PID == st.PID {
				t.Error("wanted again, but no new process")
			}
		})
	}
}

// A child may be wanted again while it is being stopped.
func TestEnsureWhileStopping(t *testing.T) {
	spec := testSpec(t, "DEAF=1")
	spec.Grace = 300 * time.Millisecond
	s := started(t, Config{}, spec)
	first := ready(t, s, "child")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx, "child"); err == nil {
		t.Fatal("a deaf child stopped at once")
	}
	if err := s.Ensure(spec); err != nil {
		t.Fatal(err)
	}
	second := ready(t, s, "child")
	if second.PID == first.PID || alive(first.PID) {
		t.Errorf("first %d (alive: %v), then %d", first.PID, alive(first.PID), second.PID)
	}
}

func TestRestartAndEnsure(t *testing.T) {
	spec := testSpec(t)
	s := started(t, Config{}, spec)
	first := ready(t, s, "child")
	if err := s.Ensure(spec); err != nil {
		t.Fatal(err)
	}
	if again := ready(t, s, "child"); again.PID != first.PID {
		t.Error("an equal Spec replaced the process")
	}
	if err := s.Restart(t.Context(), "child"); err != nil {
		t.Fatal(err)
	}
	if alive(first.PID) {
		t.Error("Restart returned before the old process ended")
	}
	second := ready(t, s, "child")
	spec.Env = append(spec.Env, "NEW=1")
	if err := s.Ensure(spec); err != nil {
		t.Fatal(err)
	}
	third := ready(t, s, "child")
	if third.PID == second.PID || second.PID == first.PID {
		t.Errorf("processes %d, %d, %d; want three", first.PID, second.PID, third.PID)
	}
	spec.KeepOld = true
	spec.Env = append(spec.Env, "NEWER=1")
	if err := s.Ensure(spec); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	if kept := ready(t, s, "child"); kept.PID != third.PID {
		t.Error("KeepOld did not keep the process")
	}
}

func TestRunEnds(t *testing.T) {
	for _, stop := range []bool{false, true} {
		t.Run(fmt.Sprintf("StopChildren=%v", stop), func(t *testing.T) {
			spec := testSpec(t)
			s := New(Config{StopChildren: stop}, testLog(t))
			if err := s.Ensure(spec); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			st := ready(t, s, "child")
			cancel()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			if alive(st.PID) == stop {
				t.Errorf("alive = %v", alive(st.PID))
			}
			if err := s.Ensure(spec); fault.Of(err) != fault.Unavailable {
				t.Errorf("Ensure after the end: %v", err)
			}
			if !stop {
				kill(t, st.PID)
			}
		})
	}
}

func TestReadySaysWhyNot(t *testing.T) {
	spec := testSpec(t, "FAIL=1")
	s := started(t, Config{}, spec)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := s.Ready(ctx, "child")
	if fault.Of(err) != fault.Unavailable || !strings.Contains(fault.Message(err), "exit status 7") {
		t.Errorf("Ready = %v; want Unavailable that names the exit status", err)
	}
	if err := s.Ready(ctx, "nobody"); fault.Of(err) != fault.NotFound {
		t.Errorf("Ready of an unknown child = %v", err)
	}
	spec.Name, spec.Args = "missing", []string{"/nonexistent/program"}
	if err := s.Ensure(spec); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a program that is missing is reported", func() bool {
		return strings.Contains(status(t, s, "missing").LastExit, "no such file")
	})
}

func TestListeningSocketsOutliveTheChild(t *testing.T) {
	spec := testSpec(t, "ECHO=1")
	spec.Listen = []Listen{{Network: "tcp", Address: port.Address(t)}}
	old := supervisorProcess(t, spec)
	pid := runningPID(t, spec)
	if got := whoAnswers(t, spec.Listen[0]); got != pid {
		t.Fatalf("%d answers, want %d", got, pid)
	}
	kill(t, old.Process.Pid)

	s := started(t, Config{}, spec)
	ready(t, s, "child")
	// The port is in the child's hands; the new supervisor fetches it from there,
	// so connections wait while there is no child and none is refused.
	kill(t, pid)
	if got := whoAnswers(t, spec.Listen[0]); got == pid {
		t.Error("the dead answers")
	}
}

func TestUnixListen(t *testing.T) {
	spec := testSpec(t, "ECHO=1")
	l := Listen{Network: "unix", Address: filepath.Join(t.TempDir(), "api.sock"), Mode: 0o600, UID: spec.UID, GID: spec.GID}
	spec.Listen = []Listen{l}
	old := supervisorProcess(t, spec)
	first := runningPID(t, spec)
	kill(t, old.Process.Pid)
	s := started(t, Config{}, spec)
	ready(t, s, "child")
	info, err := os.Stat(l.Address)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket = %v, %v; want mode 0600", info, err)
	}
	kill(t, first)
	if got := whoAnswers(t, l); got == first {
		t.Error("the dead answers")
	}
	if after, err := os.Stat(l.Address); err != nil || !os.SameFile(info, after) {
		t.Error("the socket was made anew")
	}
}

func whoAnswers(t *testing.T, l Listen) int {
	t.Helper()
	conn, err := net.DialTimeout(l.Network, l.Address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
