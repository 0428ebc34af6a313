//go:build integration

package spool

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/supervise"
)

const spoolUID = 64003

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test needs root")
	}
}

// A real full file system: dynos go on, lines are counted, and what follows
// when there is room again is kept.
func TestFullFileSystem(t *testing.T) {
	needRoot(t)
	cfg := testConfig(t)
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", cfg.Dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(cfg.Dir, 0); err != nil {
			t.Error(err)
		}
	})
	client, _ := running(t, cfg)
	pipe := fifo(t, "pipe")
	open(t, client, testStream(pipe))
	const lines = 60_000
	var b bytes.Buffer
	begin := time.Now()
	for i := range lines {
		fmt.Fprintf(&b, "seq %08d %s\n", i, strings.Repeat("x", 86))
		if b.Len() > 50_000 {
			write(t, pipe, b.String())
			b.Reset()
		}
	}
	write(t, pipe, b.String())
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the writer was held up for %v", took)
	}
	time.Sleep(2 * flushAfter)
	if err := unix.Mount("tmpfs", cfg.Dir, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	var kept, dropped int
	eventually(t, "every line is kept or counted", func() bool {
		kept, dropped = 0, 0
		for _, line := range queried(t, client, all()) {
			var n int
			if strings.HasPrefix(line.Text, "seq ") {
				kept++
			} else if _, err := fmt.Sscanf(line.Text, "spool: %d lines dropped: no space", &n); err == nil {
				dropped += n
			}
		}
		return kept+dropped == lines
	})
	write(t, pipe, "there is room again\n")
	eventually(t, "lines are kept again", func() bool {
		lines := queried(t, client, all())
		return lines[len(lines)-1].Text == "there is room again"
	})
	if dropped == 0 || kept == 0 {
		t.Errorf("%d kept, %d dropped", kept, dropped)
	}
	t.Logf("%d lines kept, %d dropped and counted", kept, dropped)
}

// asUser is a directory that the spool's user can work in and a copy of this program.
func asUser(t *testing.T) (dir, program string) {
	t.Helper()
	needRoot(t)
	dir, err := os.MkdirTemp("/tmp", "spool")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "program")
	if err := os.WriteFile(program, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir, program
}

// ownedFIFO is a FIFO as the engine makes it for a container: the spool's user
// may open it.
func ownedFIFO(t *testing.T, dir string) *os.File {
	t.Helper()
	path := filepath.Join(dir, "stdout")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, spoolUID, spoolUID); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pipe.Close() })
	return pipe
}

// As in production: under its own user, kept up by a supervisor that holds its
// socket, killed, and hardly missed.
func TestSupervisedSpoolOfItsOwnUser(t *testing.T) {
	dir, program := asUser(t)
	socket := filepath.Join(dir, "spool.sock")
	for _, d := range []string{"logs", "run"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(dir, d), spoolUID, spoolUID); err != nil {
			t.Fatal(err)
		}
	}
	control := filepath.Join(dir, "control", "spool", "sock")
	cfg, err := json.Marshal(map[string]any{
		"Dir": filepath.Join(dir, "logs"), "Run": filepath.Join(dir, "run"), "Control": control, "Build": "one",
	})
	if err != nil {
		t.Fatal(err)
	}
	s := supervise.New(supervise.Config{}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	err = s.Ensure(supervise.Spec{
		Name: "spool", Args: []string{program}, Env: []string{spoolConfig + "=" + string(cfg), spoolListener + "=3"},
		UID: spoolUID, GID: spoolUID, Control: control, Build: "one", KeepOld: true, NoNewPrivs: true,
		Output: filepath.Join(dir, "output"),
		Listen: []supervise.Listen{{Network: "unix", Address: socket, Mode: 0o666, UID: spoolUID, GID: spoolUID}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		if err := s.Stop(context.Background(), "spool"); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if err := s.Ready(ctx, "spool"); err != nil {
		t.Fatal(err)
	}
	client := Dial(socket)
	defer client.CloseIdle()
	pipe := ownedFIFO(t, dir)
	open(t, client, Stream{ID: "x", Space: "s1", App: "a1", Source: "app", Dyno: "web.1", Path: pipe.Name()})
	write(t, pipe, "one\n")
	waitFor(t, client, 1)
	if err := unix.Kill(s.Status()[0].PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	write(t, pipe, "two\n")
	// No retry: the call waits in the socket until the next spool takes it.
	client.CloseIdle()
	if _, err := client.Streams(ctx); err != nil {
		t.Errorf("a call while spool was restarted: %v", err)
	}
	got := waitFor(t, client, 2)
	if got[0].Text != "one" || got[1].Text != "two" {
		t.Errorf("lines %q", texts(got))
	}
	refusesOthers(t, socket)
}

// refusesOthers connects as a user that spool was not told of, though the
// socket's mode lets everyone in.
func refusesOthers(t *testing.T, socket string) {
	t.Helper()
	stranger := exec.Command(filepath.Join(filepath.Dir(socket), "program"))
	stranger.Env = []string{spoolCall + "=" + socket}
	stranger.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 64001, Gid: 64001}}
	out, err := stranger.CombinedOutput()
	if err == nil || !strings.Contains(string(out), string(fault.Unavailable)) {
		t.Errorf("a call as another user: %v, %s", err, out)
	}
}
