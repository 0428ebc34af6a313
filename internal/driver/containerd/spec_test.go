package containerd

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/strongroom/strongroom/internal/driver"
)

func testBundle() bundle {
	return bundle{
		base: 265536, netns: "/run/net/x", cgroup: "/dynos/x", files: "/nonexistent/files", tmp: "/nonexistent/tmp",
		imageEnv: []string{"PATH=/image", "LANG=C"}, imageDir: "/app", defaults: driver.Limits{MemoryBytes: 512 << 20, PIDs: 256},
		record: record{ID: "x", Dyno: "web.1", Process: driver.Process{
			Args: []string{"run"}, UID: 1000, Env: []driver.EnvVar{{Name: "A", Value: "b=c"}}, ReadOnly: true,
			Limits: driver.Limits{MemoryBytes: 64 << 20, CPUMillis: 1500},
		}},
	}
}

// What keeps a container apart is in every specification.
func TestSpecConfines(t *testing.T) {
	s := testBundle().spec()
	c := s.Process.Capabilities
	for _, set := range [][]string{c.Ambient, c.Bounding, c.Effective, c.Inheritable, c.Permitted} {
		if len(set) > 0 {
			t.Errorf("capabilities %v", set)
		}
	}
	if !s.Process.NoNewPrivileges || s.Linux.Seccomp == nil || s.Linux.Seccomp.DefaultAction != specs.ActErrno {
		t.Error("no_new_privs or seccomp is missing")
	}
	want := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 265536, Size: 65536}}
	if diff := cmp.Diff(want, s.Linux.UIDMappings); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, s.Linux.GIDMappings); diff != "" {
		t.Error(diff)
	}
	for _, kind := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.MountNamespace, specs.UserNamespace, specs.CgroupNamespace} {
		if !slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind && n.Path == "" }) {
			t.Errorf("no %s namespace of its own", kind)
		}
	}
	for _, m := range s.Mounts {
		if m.Destination == "/sys" || strings.HasPrefix(m.Destination, "/sys/") || m.Type == "cgroup" {
			t.Errorf("%s is mounted", m.Destination)
		}
		if m.Type == "bind" && !(slices.Contains(m.Options, "nosuid") && slices.Contains(m.Options, "nodev")) {
			t.Errorf("%s is mounted with %v", m.Destination, m.Options)
		}
	}
	if !slices.Contains(s.Process.Env, "DYNO=web.1") {
		t.Errorf("the process does not know its name: %v", s.Process.Env)
	}
	if !s.Root.Readonly || s.Process.User.UID != 1000 || s.Process.User.GID != 1000 || s.Process.Cwd != "/app" {
		t.Errorf("root %+v, user %+v, dir %s", s.Root, s.Process.User, s.Process.Cwd)
	}
}

func TestSpecLimits(t *testing.T) {
	r := testBundle().spec().Linux.Resources
	if *r.Memory.Limit != 64<<20 || *r.Pids.Limit != 256 || *r.CPU.Quota != 150_000 || *r.CPU.Period != 100_000 {
		t.Errorf("memory %d, processes %d, CPU %d of %d", *r.Memory.Limit, *r.Pids.Limit, *r.CPU.Quota, *r.CPU.Period)
	}
	if d := r.Devices; len(d) != 1 || d[0].Allow || d[0].Access != "rwm" || d[0].Type != "" {
		t.Errorf("devices %+v", d)
	}
	b := testBundle()
	b.record.Process.Limits = driver.Limits{}
	r = b.spec().Linux.Resources
	if *r.Memory.Limit != 512<<20 || r.CPU != nil {
		t.Errorf("defaults: memory %d, CPU %+v", *r.Memory.Limit, r.CPU)
	}
}

func TestSpecInit(t *testing.T) {
	b := testBundle()
	b.init = "/usr/bin/tini-static"
	s := b.spec()
	if diff := cmp.Diff([]string{"/dev/init", "-g", "--", "run"}, s.Process.Args); diff != "" {
		t.Error(diff)
	}
	if m := s.Mounts[len(s.Mounts)-1]; m.Destination != "/dev/init" || m.Source != b.init || !slices.Contains(m.Options, "ro") {
		t.Errorf("mount %+v", m)
	}
}

func TestEnvironment(t *testing.T) {
	for _, tt := range []struct {
		name    string
		image   []string
		process []driver.EnvVar
		want    []string
	}{
		{"nothing", nil, nil, []string{"PATH=" + defaultPath}},
		{"of the image", []string{"PATH=/x", "A=1", "odd"}, nil, []string{"PATH=/x", "A=1"}},
		{"the process wins", []string{"A=1", "B=2"}, []driver.EnvVar{{Name: "B", Value: "3"}, {Name: "PATH", Value: "/y"}}, []string{"PATH=/y", "A=1", "B=3"}},
		{"the last wins", nil, []driver.EnvVar{{Name: "A", Value: "1"}, {Name: "A", Value: "2"}}, []string{"PATH=" + defaultPath, "A=2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, environment(tt.image, tt.process)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
