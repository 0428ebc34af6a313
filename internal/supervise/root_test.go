//go:build integration

package supervise

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// rootSpec is a child that runs as another user, with the files it needs where
// that user can reach them.
func rootSpec(t *testing.T, env ...string) (Spec, string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test needs root")
	}
	dir, err := os.MkdirTemp("/tmp", "supervise")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	reports := filepath.Join(dir, "reports")
	if err := os.Mkdir(reports, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(reports, 64003, 64003); err != nil {
		t.Fatal(err)
	}
	// The test binary lies where only root can go.
	program := filepath.Join(dir, "program")
	b, err := os.ReadFile(testProgram(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, b, 0o755); err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(reports, "report")
	spec := testSpec(t, append(env, "REPORT="+report)...)
	spec.Args = []string{program}
	spec.UID, spec.GID = 64003, 64003
	spec.Control = filepath.Join(dir, "run", "child", "sock")
	spec.Env[1] = "CONTROL=" + spec.Control
	return spec, report
}

func TestChildOfAnotherUser(t *testing.T) {
	spec, path := rootSpec(t)
	spec.Groups = []int{64100}
	spec.NoNewPrivs = true
	spec.AmbientCaps = []uintptr{unix.CAP_NET_BIND_SERVICE}
	spec.OOMScoreAdj = 500
	s := started(t, Config{}, spec)
	st := ready(t, s, "child")
	got := readReport(t, path)
	if got.UID != 64003 || got.GID != 64003 || !cmp.Equal(got.Groups, []int{64100}) || got.Umask != 0o027 {
		t.Errorf("child reports %+v", got)
	}
	want := fmt.Sprintf("%016x", 1<<unix.CAP_NET_BIND_SERVICE)
	for _, set := range []string{"CapPrm", "CapEff", "CapAmb"} {
		if got.Status[set] != want {
			t.Errorf("%s = %s, want %s", set, got.Status[set], want)
		}
	}
	if adj := readFile(t, fmt.Sprintf("/proc/%d/oom_score_adj", st.PID)); adj != "500\n" {
		t.Errorf("OOM score = %q", adj)
	}
}

// The control socket's word counts only from the user that the Spec names.
func TestOtherUsersProcessIsNotTakenOver(t *testing.T) {
	spec, _ := rootSpec(t)
	s := started(t, Config{}, spec)
	ready(t, s, "child")
	spec.UID = 64002
	if p, err := running(t.Context(), spec); err == nil {
		p.release()
		t.Error("a process of uid 64003 was taken for one of 64002")
	}
}

// netNS makes a named network namespace, without ip(8).
func netNS(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "netns")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	onSpoiledThread(func() {
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			err = unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), path, "", unix.MS_BIND, "")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(path, 0); err != nil {
			t.Error(err)
		}
	})
	return path
}

func TestNetworkNamespace(t *testing.T) {
	spec, _ := rootSpec(t)
	spec.NetNS = netNS(t)
	s := started(t, Config{}, spec)
	st := ready(t, s, "child")
	if !sameFile(t, spec.NetNS, fmt.Sprintf("/proc/%d/ns/net", st.PID)) {
		t.Error("the child is not in its namespace")
	}
	tasks, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil || len(tasks) == 0 {
		t.Fatal(tasks, err)
	}
	for _, task := range tasks {
		if sameFile(t, spec.NetNS, task) {
			t.Errorf("thread %s of the supervisor stayed in the child's namespace", task)
		}
	}

	// A namespace of the same name that was made anew is another one.
	spec.NetNS = netNS(t)
	p, err := running(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer p.release()
	if why := unfit(p, spec); why != "another network namespace" {
		t.Errorf("unfit = %q", why)
	}
}

// The main thread is not spoiled, even if it is the one that was to fork.
func TestMainThreadIsSpared(t *testing.T) {
	for range 200 {
		onSpoiledThread(func() {
			if unix.Gettid() == unix.Getpid() {
				t.Error("the main thread was used")
			}
		})
		runtime.Gosched()
	}
}

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.Stat(b)
	if os.IsNotExist(err) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(x, y)
}

// hierarchy returns a supervisor's cgroups below root and removes them at the end.
func hierarchy(t *testing.T, root string) *cgroups {
	t.Helper()
	parent := fmt.Sprintf("strongroom-test-%d-%s", os.Getpid(), strings.ToLower(t.Name()[:6]))
	c := newCgroups(root, parent, testLog(t))
	t.Cleanup(func() {
		dirs, _ := filepath.Glob(filepath.Join(root, "*", parent))
		for _, dir := range append(dirs, filepath.Join(root, parent)) {
			if err := os.Remove(dir); err != nil && !os.IsNotExist(err) {
				t.Error(err)
			}
		}
	})
	return c
}

// Both versions are tried where the kernel offers both: a hybrid host has the unified
// hierarchy in a directory of its own.
func TestCgroup(t *testing.T) {
	roots := map[string]string{}
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if newCgroups(root, "x", testLog(t)).unified {
			roots["v2"] = root
		}
	}
	if _, err := os.Stat("/sys/fs/cgroup/memory/cgroup.procs"); err == nil {
		roots["v1"] = "/sys/fs/cgroup"
	}
	if len(roots) == 0 {
		t.Fatal("no cgroup hierarchy is mounted")
	}
	for name, root := range roots {
		t.Run(name, func(t *testing.T) { testCgroup(t, hierarchy(t, root)) })
	}
}

func testCgroup(t *testing.T, groups *cgroups) {
	spec, path := rootSpec(t, "FORK=1")
	spec.MemoryBytes, spec.PIDs = 256<<20, 200
	s := New(Config{}, testLog(t))
	s.groups = groups
	s = runSupervisor(t, s, spec)
	first := ready(t, s, "child")
	if got := readReport(t, path).Cgroup; !strings.Contains(got, groups.parent+"/child\n") {
		t.Errorf("the child was born in %q", got)
	}
	group := groups.open("child")
	descendant := descendantOf(t, spec.Output)
	if !alive(descendant) || len(group.members()) != 2 {
		t.Errorf("members = %v; want the child %d and its descendant %d", group.members(), first.PID, descendant)
	}
	if !groups.unified {
		if limit := readFile(t, filepath.Join(group.dirs[0], "memory.limit_in_bytes")); limit != "268435456\n" {
			t.Errorf("memory limit = %q", limit)
		}
		if limit := readFile(t, filepath.Join(group.dirs[1], "pids.max")); limit != "200\n" {
			t.Errorf("pids limit = %q", limit)
		}
	}

	// What a killed child leaves behind does not run beside its successor.
	kill(t, first.PID)
	eventually(t, "another is up", func() bool {
		st := status(t, s, "child")
		return st.State == Up && st.PID != first.PID
	})
	if alive(descendant) {
		t.Error("a dead child's descendant runs beside the new child")
	}
	if err := s.Stop(t.Context(), "child"); err != nil {
		t.Fatal(err)
	}
	if members := group.members(); len(members) != 0 {
		t.Errorf("left after Stop: %v", members)
	}
	for _, dir := range group.dirs {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is left", dir)
		}
	}
}

// A hung predecessor that answers nobody is ended before a new child starts;
// so is that of a name that is stopped without ever having been wanted.
func TestLeftoversAreEnded(t *testing.T) {
	groups := hierarchy(t, "/sys/fs/cgroup")
	spec, _ := rootSpec(t)
	mute := spec
	mute.Env = append([]string{}, spec.Env...)
	mute.Env[1] = "CONTROL="
	old, err := launch(mute, groups.create(mute), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{}, testLog(t))
	s.groups = groups
	s = runSupervisor(t, s, spec)
	ready(t, s, "child")
	<-old.done

	unknown := mute
	unknown.Name = "unknown"
	left, err := launch(unknown, groups.create(unknown), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context(), "unknown"); err != nil {
		t.Fatal(err)
	}
	<-left.done
}

func TestDescendantsAreKept(t *testing.T) {
	groups := hierarchy(t, "/sys/fs/cgroup")
	spec, _ := rootSpec(t, "FORK=1")
	spec.KeepDescendants = true
	s := New(Config{}, testLog(t))
	s.groups = groups
	s = runSupervisor(t, s, spec)
	first := ready(t, s, "child")
	descendant := descendantOf(t, spec.Output)
	t.Cleanup(func() { s.sweepUnknown(t.Context(), "child") })
	kill(t, first.PID)
	eventually(t, "another is up", func() bool {
		st := status(t, s, "child")
		return st.State == Up && st.PID != first.PID
	})
	if err := s.Stop(t.Context(), "child"); err != nil {
		t.Fatal(err)
	}
	if !alive(descendant) {
		t.Error("the descendant was ended")
	}
	if err := s.sweepUnknown(t.Context(), "child"); err != nil {
		t.Fatal(err)
	}
	if alive(descendant) {
		t.Error("the descendant is left")
	}
}

func descendantOf(t *testing.T, output string) int {
	t.Helper()
	pid := 0
	eventually(t, "the child tells its descendant", func() bool {
		m := regexp.MustCompile(`descendant (\d+)`).FindStringSubmatch(readFile(t, output))
		if m != nil {
			pid, _ = strconv.Atoi(m[1])
		}
		return m != nil
	})
	return pid
}
