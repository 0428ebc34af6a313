//go:build integration

package git

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNoCapabilities starts git as the server does that may bind low ports: as
// a user of its own, with that capability in the ambient set.
func TestNoCapabilities(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test needs root")
	}
	programs, err := findPrograms()
	if err != nil {
		t.Fatal(err)
	}
	r := &repository{dir: filepath.Join(t.TempDir(), "app.git"), programs: programs}
	if err := r.init(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Dir(filepath.Dir(r.dir)), r.dir} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// The same without what takes it away shows that the test gives it.
	if got := capabilities(t, exec.CommandContext(t.Context(), "/bin/cat")); got["CapAmb"] != 1<<unix.CAP_NET_BIND_SERVICE {
		t.Fatalf("a child has %x, so git could not inherit anything", got)
	}
	git := r.command(t.Context(), "cat-file", "--batch-check")
	for set, got := range capabilities(t, git) {
		if got != 0 {
			t.Errorf("git has %s = %016x", set, got)
		}
	}
}

// capabilities starts a program that answers a line with a line, and reads what
// it may when it does: setpriv has given way to git then.
func capabilities(t *testing.T, cmd *exec.Cmd) map[string]uint64 {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: []uintptr{unix.CAP_NET_BIND_SERVICE},
	}
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); cmd.Wait() }()
	if _, err := io.WriteString(in, "nothing\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "nothing") {
		in.Close()
		cmd.Wait()
		t.Fatalf("it answers %q: %v: %s", line, err, said.String())
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	sets := map[string]uint64{}
	for line := range strings.Lines(string(status)) {
		var value uint64
		name, hex, _ := strings.Cut(line, ":")
		switch name {
		case "CapInh", "CapPrm", "CapEff", "CapAmb":
			if _, err := fmt.Sscanf(strings.TrimSpace(hex), "%x", &value); err != nil {
				t.Fatal(err)
			}
			sets[name] = value
		}
	}
	if len(sets) != 4 {
		t.Fatalf("status names %v", sets)
	}
	return sets
}
