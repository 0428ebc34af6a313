package premises

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd/procfs"
)

// shells finds root's terminals: in each session with one, the first process
// that runs as root. Those in containers have no root of the host.
func (p *Premises) shells(_ context.Context, s *driver.Survey) error {
	pids, err := procfs.Processes()
	if err != nil {
		return err
	}
	s.Look("", "processes", len(pids))
	first := map[int]int{} // by session
	for _, pid := range pids {
		if procfs.Terminal(pid) == "" || !isRoot(pid) || waits(pid) {
			continue
		}
		session := procfs.Session(pid)
		if was, ok := first[session]; !ok || procfs.Ticks(pid) < procfs.Ticks(was) {
			first[session] = pid
		}
	}
	var sorted []int
	for _, pid := range first {
		sorted = append(sorted, pid)
	}
	slices.Sort(sorted)
	for _, pid := range sorted {
		if on := procfs.Terminal(pid); on != "" {
			s.Found("", "shell", "Root has a terminal: the process %s on %s. %s", procfs.Describe(pid), on, whose(pid))
		}
	}
	return nil
}

// isRoot tells whether a process of the host has root's rights.
func isRoot(pid int) bool {
	uid := procfs.Status(pid, "Uid") // real, effective, …
	return len(uid) > 1 && uid[1] == "0" && len(procfs.Status(pid, "NSpid")) == 1
}

// waits tells whether a process is one that asks on a console who wants to log in.
func waits(pid int) bool {
	exe, _ := os.Readlink(exeOf(pid))
	return slices.Contains([]string{"agetty", "getty", "mingetty", "login"}, filepath.Base(exe))
}

// whose says who had logged in, which stays with a process whatever it becomes.
func whose(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/loginuid", pid))
	id, perr := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	if err != nil || perr != nil || id == 1<<32-1 {
		return "The host does not know who logged in there."
	}
	if u, err := user.LookupId(strconv.FormatUint(id, 10)); err == nil {
		return fmt.Sprintf("The user %s logged in there.", u.Username)
	}
	return fmt.Sprintf("The user %d logged in there.", id)
}
