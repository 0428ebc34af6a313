package containerd

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd/procfs"
)

// calm is a host with a container web.1 of three processes, a shell in it that
// the engine started, another container that is just starting, and processes of
// others.
func calm() scene {
	return scene{
		own:   map[string]resident{"a": {"space", "web.1", 10, 200_000}, "b": {"space", "web.2", 0, 200_000}},
		execs: map[int]bool{14: true},
		groups: membership{
			groups: map[string]bool{"a": true, "b": true},
			of:     map[int][]string{10: {"a"}, 11: {"a"}, 12: {"a"}, 14: {"a"}, 20: {"b"}},
		},
		processes: []process{
			{pid: 1, pidNS: "pid:0", mountNS: "mnt:0", netNS: "net:0"},
			{pid: 5, pidNS: "pid:0", mountNS: "mnt:5", netNS: "net:0"}, // a service with mounts of its own
			{pid: 10, pidNS: "pid:1", mountNS: "mnt:1", netNS: "net:1"},
			{pid: 11, pidNS: "pid:1", mountNS: "mnt:1", netNS: "net:1"},
			{pid: 12, pidNS: "pid:1", mountNS: "", netNS: ""}, // ending
			{pid: 14, pidNS: "pid:1", mountNS: "mnt:1", netNS: "net:1"},
			{pid: 20, pidNS: "pid:0", mountNS: "mnt:0", netNS: "net:2"}, // becomes web.2
			{pid: 30, pidNS: "pid:0", mountNS: "mnt:0", netNS: "net:7"}, // a router
		},
		parent:   func(pid int) int { return map[int]int{10: 5, 11: 10, 12: 11, 14: 5, 40: 1, 41: 11}[pid] },
		wider:    func(int, int) string { return "" },
		describe: func(pid int) string { return fmt.Sprint(pid) },
	}
}

func TestScene(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*scene)
		want string // the only stray
		host bool   // it belongs to no space
	}{
		{name: "calm", edit: func(*scene) {}},
		{
			name: "a cgroup of nobody", edit: func(x *scene) { x.groups.groups["c"] = true },
			want: `The cgroup "c"`, host: true,
		},
		{
			name: "a process in the upper cgroup", edit: func(x *scene) { x.groups.of[5] = []string{""} },
			want: `The process 5 is in the cgroup ""`, host: true,
		},
		{
			name: "a process of the host in a container's cgroup", edit: func(x *scene) { x.groups.of[5] = []string{"a"} },
			want: "The process 5 was put into the cgroup of web.1",
		},
		{
			name: "a process by nsenter, with all namespaces", edit: func(x *scene) {
				x.processes = append(x.processes, process{pid: 40, pidNS: "pid:1", mountNS: "mnt:1", netNS: "net:1"})
			},
			want: "The process 40 came into web.1 from outside",
		},
		{
			name: "a process by ctr exec", edit: func(x *scene) {
				x.processes = append(x.processes, process{pid: 40, pidNS: "pid:1", mountNS: "mnt:1", netNS: "net:1"})
				x.groups.of[40] = []string{"a"}
			},
			want: "The process 40 came into web.1 from outside",
		},
		{
			name: "a process with the container's files", edit: func(x *scene) {
				x.processes = append(x.processes, process{pid: 40, pidNS: "pid:0", mountNS: "mnt:1", netNS: "net:1"})
			},
			want: "The process 40 entered the files of web.1",
		},
		{
			name: "a process with the container's network", edit: func(x *scene) {
				x.processes = append(x.processes, process{pid: 40, pidNS: "pid:0", mountNS: "mnt:0", netNS: "net:1"})
			},
			want: "The process 40 entered the network of web.1",
		},
		{
			name: "a process without the container's limits", edit: func(x *scene) {
				x.processes = append(x.processes, process{pid: 41, pidNS: "pid:1", mountNS: "mnt:1", netNS: "net:1"})
			},
			want: "The process 41 of web.1 was taken out of its cgroup",
		},
		{
			name: "a process with capabilities", edit: func(x *scene) {
				x.wider = func(pid, base int) string { return map[int]string{11: "has capabilities"}[pid*base/200_000] }
			},
			want: "The process 11 in web.1 has capabilities.",
		},
		{
			name: "the first process is closed to the engine", edit: func(x *scene) { x.processes[0] = process{pid: 1, closed: true} },
		},
		{
			name: "another is closed to the engine", edit: func(x *scene) { x.processes = append(x.processes, process{pid: 40, closed: true}) },
			want: "The engine may not look into the process 40", host: true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := calm()
			tt.edit(&x)
			s := driver.NewSurvey(driver.AreaContainers)
			s.Add("space", "ward")
			x.survey(s)
			wantOnly(t, s, tt.want, tt.host)
		})
	}
}

// TestProcesses reads the real tables.
func TestProcesses(t *testing.T) {
	cmd := exec.Command("tail", "-f", "/dev/null")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	all, err := processes()
	if err != nil {
		t.Skip("needs to see all processes, as root does:", err)
	}
	pid := cmd.Process.Pid
	if !slices.ContainsFunc(all, func(p process) bool { return p.pid == pid && p.netNS != "" && p.mountNS != "" }) {
		t.Error("a child is not among the processes")
	}
	if got := procfs.Parent(pid); got != os.Getpid() {
		t.Errorf("its parent is %d, want %d", got, os.Getpid())
	}
	text := procfs.Describe(pid)
	if !strings.Contains(text, "tail") && !strings.Contains(text, "coreutils") || strings.Contains(text, "null") {
		t.Errorf("described as %s", text)
	}
	at, err := time.Parse(time.DateTime+" MST", procfs.Started(pid))
	if err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("started %q: %v", procfs.Started(pid), err)
	}
	if text != procfs.Describe(pid) {
		t.Error("described differently a moment later")
	}
	if got := procfs.Describe(1 << 30); !strings.Contains(got, "unknown program") {
		t.Errorf("one that does not exist: %s", got)
	}
}

func TestWider(t *testing.T) {
	const base = 200_000
	for _, tt := range []struct{ line, want string }{
		{"Name: x", ""},
		{"Uid: 200000 201007 265535 200000", ""},
		{"Uid: 200000 0 200000 200000", "has an id outside of its space's range"},
		{"Gid: 265536 265536 265536 265536", "has an id outside of its space's range"},
		{"CapBnd: 0000000000000000", ""},
		{"CapBnd: 0000000000000400", "has capabilities"},
		{"NoNewPrivs: 1", ""},
		{"NoNewPrivs: 0", "may gain privileges"},
		{"Seccomp: 2", ""},
		{"Seccomp: 0", "runs without a seccomp filter"},
	} {
		name, value, _ := strings.Cut(tt.line, ":")
		if got := widerBy(name, strings.Fields(value), base); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.line, got, tt.want)
		}
	}
	if wider(os.Getpid(), base) == "" {
		t.Error("this process may do no more than one in a container")
	}
}

func TestStranger(t *testing.T) {
	c := containers.Container{ID: "x", Image: "docker.io/library/alpine:3", CreatedAt: time.Unix(0, 0)}
	want := `The container "x" in containerd's namespace "default", made 1970-01-01 00:00:00 UTC, of the image "docker.io/library/alpine:3", was not started by the engine. It does not run.`
	if got := stranger("default", c, 0); got != want {
		t.Error(got)
	}
}
