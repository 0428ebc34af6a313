package containerd

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd/procfs"
)

// resident is a container of the engine, for a survey.
type resident struct {
	space string
	name  string // for people
	pid   int    // of its first process; 0 = it is starting or ending
	base  int    // the first id of its space
}

// surveyContainers compares what containerd has, and what the kernel says of
// processes and cgroups, with the containers and processes that the engine
// started.
func (d *Driver) surveyContainers(ctx context.Context) (*driver.Survey, error) {
	s := d.newSurvey(driver.AreaContainers)
	own, execs := d.residents()
	if err := d.surveyContainerd(ctx, s, own); err != nil {
		return nil, err
	}
	groups, err := members(d.cfg.Cgroup)
	if err != nil {
		return nil, err
	}
	all, err := processes()
	if err != nil {
		return nil, err
	}
	for _, p := range s.Parts[1:] {
		s.Look(p.Space, "containers", 0)
		s.Look(p.Space, "processes in them", 0)
	}
	for _, r := range own {
		s.Look(r.space, "containers", 1)
	}
	scene{own: own, execs: execs, groups: groups, processes: all, parent: procfs.Parent, wider: wider, describe: procfs.Describe}.survey(s)
	return s, nil
}

// residents are the containers that are there or about to be, and the processes
// that the engine started inside of them besides.
func (d *Driver) residents() (own map[string]resident, execs map[int]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	own = map[string]resident{}
	for _, c := range d.containers {
		if c.Done {
			continue
		}
		r := resident{space: c.Space, name: c.Dyno}
		if s := d.spaces[c.Space]; s != nil {
			r.base = s.base()
		}
		if c.task != nil && !c.Started.IsZero() && c.Exit == nil {
			r.pid = int(c.task.Pid())
		}
		own[c.ID] = r
	}
	return own, maps.Clone(d.execs)
}

// surveyContainerd looks at what containerd has, in each of its namespaces.
func (d *Driver) surveyContainerd(ctx context.Context, s *driver.Survey, own map[string]resident) error {
	all, err := d.cfg.Client.NamespaceService().List(ctx)
	if err != nil {
		return d.unavailable(err)
	}
	slices.Sort(all)
	s.Look("", "namespaces of containerd", len(all))
	for _, name := range all {
		ctx := namespaces.WithNamespace(ctx, name)
		list, err := d.cfg.Client.ContainerService().List(ctx)
		if err != nil {
			return d.unavailable(err)
		}
		running, err := d.cfg.Client.TaskService().List(ctx, &tasks.ListTasksRequest{})
		if err != nil {
			return d.unavailable(err)
		}
		s.Look("", "containers that containerd has", len(list))
		pids := map[string]int{}
		for _, t := range running.Tasks {
			pids[t.ID] = int(t.Pid)
		}
		for _, c := range list {
			if _, ours := own[c.ID]; !ours || name != Namespace {
				s.Found("", "container", "%s", stranger(name, c, pids[c.ID]))
			}
		}
	}
	return nil
}

// stranger describes a container that the engine did not start.
func stranger(namespace string, c containers.Container, pid int) string {
	text := fmt.Sprintf("The container %q in containerd's namespace %q, made %s, ", c.ID, namespace, c.CreatedAt.UTC().Format(time.DateTime+" UTC"))
	if c.Image != "" {
		text += fmt.Sprintf("of the image %q, ", c.Image)
	}
	text += "was not started by the engine. "
	if pid == 0 {
		return text + "It does not run."
	}
	return text + "It runs process " + procfs.Describe(pid) + "."
}

// scene is what the kernel says of processes, beside what the engine knows.
type scene struct {
	own       map[string]resident
	execs     map[int]bool
	groups    membership
	processes []process
	parent    func(pid int) int
	wider     func(pid, base int) string
	describe  func(pid int) string
}

// survey finds the cgroups of no container, the processes in a container's
// cgroup that do not belong to it, those that came into a container by another
// way than the engine's, and those in it that may do more than it may.
func (x scene) survey(s *driver.Survey) {
	for _, name := range slices.Sorted(maps.Keys(x.groups.groups)) {
		if _, known := x.own[name]; !known {
			s.Found("", "cgroup", "The cgroup %q beside those of containers is of no container that the engine started.", name)
		}
	}
	homes := x.homes()
	s.Look("", "processes of the host", len(x.processes))
	for _, p := range x.processes {
		if p.pid != os.Getpid() { // its threads go in and out
			x.judge(s, p, homes)
		}
	}
}

// homes gives the containers that run by each of their namespaces.
func (x scene) homes() map[string]resident {
	byPID := map[int]resident{}
	for _, r := range x.own {
		byPID[r.pid] = r
	}
	out := map[string]resident{}
	for _, p := range x.processes {
		if r, first := byPID[p.pid]; first {
			out[p.pidNS], out[p.mountNS], out[p.netNS] = r, r, r
		}
	}
	delete(out, "") // one that is just ending
	return out
}

func (x scene) judge(s *driver.Survey, p process, homes map[string]resident) {
	home, inside := homes[p.pidNS]
	if inside {
		s.Look(home.space, "processes in them", 1)
	}
	groups := x.groups.of[p.pid]
	for _, name := range groups {
		r, known := x.own[name]
		switch {
		case !known: // of the upper cgroup, or one that is a stray itself
			s.Found("", "process", "The process %s is in the cgroup %q of the engine's containers and in none of them.", x.describe(p.pid), name)
		case r.pid != 0 && (!inside || home != r):
			s.Found(r.space, "process", "The process %s was put into the cgroup of %s from outside.", x.describe(p.pid), r.name)
		}
	}
	if inside {
		x.judgeInside(s, p, home, homes, len(groups) > 0)
		return
	}
	if len(groups) > 0 {
		return // said, or it is about to go where it belongs
	}
	if p.closed {
		judgeClosed(s, p, x.describe)
		return
	}
	if r, shares := homes[p.mountNS]; shares {
		s.Found(r.space, "process", "The process %s entered the files of %s from outside.", x.describe(p.pid), r.name)
	} else if r, shares := homes[p.netNS]; shares {
		s.Found(r.space, "process", "The process %s entered the network of %s from outside.", x.describe(p.pid), r.name)
	}
}

// judgeClosed tells of a process that may do more than the engine, so that the
// kernel does not show where it is. The host's first process may be one, where a
// machine's owner keeps some power from all that it starts: it is where
// everything else comes from, and could hide whatever it likes.
func judgeClosed(s *driver.Survey, p process, describe func(int) string) {
	if p.pid == 1 {
		s.Look("", "first processes that the engine may not look into", 1)
		return
	}
	s.Found("", "process", "The engine may not look into the process %s, which may do more than the engine itself.", describe(p.pid))
}

// judgeInside looks at a process in a container. Each but the first and those
// that the engine started has its parent there too.
func (x scene) judgeInside(s *driver.Survey, p process, home resident, homes map[string]resident, grouped bool) {
	if why := x.wider(p.pid, home.base); why != "" {
		s.Found(home.space, "process", "The process %s in %s %s.", x.describe(p.pid), home.name, why)
	}
	if p.pid == home.pid || x.execs[p.pid] {
		return
	}
	up := x.parent(p.pid)
	i := slices.IndexFunc(x.processes, func(o process) bool { return o.pid == up })
	switch {
	case i < 0 || homes[x.processes[i].pidNS] != home:
		s.Found(home.space, "process", "The process %s came into %s from outside, and the engine did not start it.", x.describe(p.pid), home.name)
	case !grouped:
		s.Found(home.space, "process", "The process %s of %s was taken out of its cgroup.", x.describe(p.pid), home.name)
	}
}
