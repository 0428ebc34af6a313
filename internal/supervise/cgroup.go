package supervise

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sweepGrace is how long leftovers of a child get between SIGTERM and SIGKILL.
const sweepGrace = 2 * time.Second

// cgroups makes one cgroup a child: in the unified hierarchy (v2), or in each of
// the controllers' own (v1).
type cgroups struct {
	root    string // where cgroup file systems are mounted
	parent  string // relative to each hierarchy
	unified bool
	log     *slog.Logger
}

// controllers are those that children are accounted to and limited by.
var controllers = []string{"memory", "pids", "cpu"}

func newCgroups(root, parent string, log *slog.Logger) *cgroups {
	var st unix.Statfs_t
	err := unix.Statfs(root, &st)
	return &cgroups{
		root: root, parent: parent, log: log,
		unified: err == nil && st.Type == unix.CGROUP2_SUPER_MAGIC,
	}
}

// cgroup of one child. A nil cgroup has no members and does nothing.
type cgroup struct {
	name    string
	dirs    []string // one with v2, one a controller with v1
	unified bool
	log     *slog.Logger
}

// open returns the child's cgroup, which may not exist yet.
func (c *cgroups) open(name string) *cgroup {
	if c == nil {
		return nil
	}
	g := &cgroup{name: name, unified: c.unified, log: c.log}
	if c.unified {
		g.dirs = []string{filepath.Join(c.root, c.parent, name)}
		return g
	}
	for _, controller := range controllers {
		if _, err := os.Stat(filepath.Join(c.root, controller, "cgroup.procs")); err == nil {
			g.dirs = append(g.dirs, filepath.Join(c.root, controller, c.parent, name))
		}
	}
	return g
}

// create makes the cgroup and sets its limits. A controller that is missing or
// refuses is logged: a child without a limit is better than none.
func (c *cgroups) create(spec Spec) *cgroup {
	if c == nil {
		return nil
	}
	if c.unified {
		c.delegate()
	}
	g := c.open(spec.Name)
	g.dirs = slices.DeleteFunc(g.dirs, func(dir string) bool {
		err := os.MkdirAll(dir, 0o755)
		if err != nil {
			c.log.Warn("child has no cgroup here", "child", spec.Name, "cgroup", dir, "error", err)
		}
		return err != nil
	})
	if len(g.dirs) == 0 {
		c.log.Warn("child has no cgroup", "child", spec.Name)
	}
	g.limit("memory", "memory.limit_in_bytes", "memory.max", spec.MemoryBytes)
	g.limit("pids", "pids.max", "pids.max", spec.PIDs)
	return g
}

// delegate lets the children's cgroups have controllers (v2).
func (c *cgroups) delegate() {
	dir := c.root
	for _, part := range append([]string{"."}, strings.Split(filepath.Clean(c.parent), "/")...) {
		dir = filepath.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			c.log.Warn("no cgroup", "cgroup", dir, "error", err)
			return
		}
		for _, controller := range controllers {
			err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0)
			if err != nil {
				c.log.Debug("controller is not available to children", "controller", controller, "cgroup", dir, "error", err)
			}
		}
	}
}

func (g *cgroup) limit(controller, v1, v2 string, value int64) {
	if value == 0 {
		return
	}
	for _, dir := range g.dirs {
		file := filepath.Join(dir, v2)
		if !g.unified {
			if !strings.Contains(dir, "/"+controller+"/") {
				continue
			}
			file = filepath.Join(dir, v1)
		}
		err := os.WriteFile(file, []byte(strconv.FormatInt(value, 10)), 0)
		if err == nil {
			return
		}
		g.log.Warn("limit not set", "child", g.name, "limit", file, "error", err)
		return
	}
	g.log.Warn("limit not set: no such controller", "child", g.name, "controller", controller)
}

// enter arranges that what the calling thread forks is born in the cgroup.
// The function returned is to be called after the fork.
func (g *cgroup) enter(sys *syscall.SysProcAttr) (func(), error) {
	if g == nil || len(g.dirs) == 0 {
		return func() {}, nil
	}
	if g.unified {
		dir, err := os.Open(g.dirs[0])
		if err != nil {
			return nil, err
		}
		sys.UseCgroupFD, sys.CgroupFD = true, int(dir.Fd())
		return func() { dir.Close() }, nil
	}
	for _, dir := range g.dirs {
		tid := strconv.Itoa(unix.Gettid())
		if err := os.WriteFile(filepath.Join(dir, "tasks"), []byte(tid), 0); err != nil {
			g.log.Warn("child does not enter a cgroup", "child", g.name, "cgroup", dir, "error", err)
		}
	}
	return func() {}, nil
}

// members returns the processes in the cgroup, without this one: with v1 it is
// listed for as long as the thread that forked lives.
func (g *cgroup) members() []int {
	if g == nil {
		return nil
	}
	var pids []int
	for _, dir := range g.dirs {
		b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			continue // no such cgroup (any more): no members
		}
		for _, field := range strings.Fields(string(b)) {
			pid, err := strconv.Atoi(field)
			if err == nil && pid != os.Getpid() && !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// sweep ends every process in the cgroup: SIGTERM, grace, SIGKILL.
func (g *cgroup) sweep(ctx context.Context, grace time.Duration) error {
	if len(g.members()) == 0 {
		return nil
	}
	g.log.Warn("ending what a child left behind", "child", g.name, "pids", g.members())
	g.signal(unix.SIGTERM)
	kill := time.Now().Add(grace)
	giveUp := kill.Add(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(g.members()) > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if time.Now().After(giveUp) {
			return fmt.Errorf("processes %v in the cgroup of %s do not end", g.members(), g.name)
		}
		if time.Now().After(kill) {
			// Again and again: a member may fork between reading and killing.
			g.signal(unix.SIGKILL)
		}
	}
	return nil
}

// signal sends sig to every member. The pidfd is opened before the second look
// at the members, so the process signalled is one that was a member.
func (g *cgroup) signal(sig unix.Signal) {
	for _, pid := range g.members() {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // it has ended
		}
		if slices.Contains(g.members(), pid) {
			if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
				g.log.Warn("a process in the cgroup cannot be signalled", "child", g.name, "pid", pid, "error", err)
			}
		}
		unix.Close(fd)
	}
}

// remove deletes the empty cgroup. The thread that forked into it (v1) may take
// a moment to be gone.
func (g *cgroup) remove() error {
	if g == nil {
		return nil
	}
	var failed error
	for _, dir := range g.dirs {
		for range 50 {
			failed = os.Remove(dir)
			if failed == nil || errors.Is(failed, fs.ErrNotExist) {
				failed = nil
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	if failed != nil {
		return fmt.Errorf("cgroup of %s: %w", g.name, failed)
	}
	return nil
}
