//go:build integration

package premises

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestShells: a new root shell in a terminal is found until it ends.
func TestShells(t *testing.T) {
	p := newPremises(t)
	before := found(t, p.shells)
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	must(t, err)
	defer master.Close()
	must(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	must(t, err)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR, 0)
	must(t, err)
	shell := exec.Command("sh", "-i")
	shell.Stdin, shell.Stdout, shell.Stderr = slave, slave, slave
	shell.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	must(t, shell.Start())
	slave.Close()
	defer shell.Wait()
	defer shell.Process.Kill()
	want := []string{fmt.Sprintf("Root has a terminal: the process %d (", shell.Process.Pid), "user 0, since ", fmt.Sprintf(" on pts/%d.", n)}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := found(t, p.shells)
		if containsAll(got, want) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("found %q, want %q", got, want)
		}
	}
	must(t, shell.Process.Kill())
	shell.Wait()
	if got := found(t, p.shells); strings.Contains(got, want[0]) || before == "" && got != "" {
		t.Errorf("afterwards: %s", got)
	}
}

func containsAll(text string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}
