//go:build integration

package containerd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/drivertest"
)

// begin starts a program by hand and returns what ends it.
func (h *host) begin(name string, args ...string) (pid int, end func()) {
	h.Helper()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	h.must(cmd.Start())
	ended := false
	end = func() {
		if !ended {
			ended = true
			unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
			cmd.Wait()
		}
	}
	h.Cleanup(end)
	return cmd.Process.Pid, end
}

// ctr is containerd's own command line.
func (h *host) ctr(namespace string, args ...string) {
	h.Helper()
	args = append([]string{"--address", h.daemon.Socket, "--namespace", namespace}, args...)
	if out, err := exec.Command("ctr", args...).CombinedOutput(); err != nil {
		h.Fatalf("ctr %v: %v: %s", args, err, out)
	}
}

// rootfs is a directory with one program that waits.
func (h *host) rootfs() string {
	h.Helper()
	dir := filepath.Join(h.dir, "byhand")
	h.must(os.Mkdir(dir, 0o755))
	h.must(os.WriteFile(filepath.Join(dir, "wait"), drivertest.Build(h.T), 0o755))
	for _, sub := range []string{"proc", "sys", "dev", "run", "tmp"} {
		h.must(os.Mkdir(filepath.Join(dir, sub), 0o755))
	}
	return dir
}

// groups are the directories of a cgroup below the containers' own, in all
// hierarchies.
func (h *host) groups(name string) []string {
	h.Helper()
	if unified() {
		return []string{filepath.Join(cgroupRoot, h.cgroup(), name)}
	}
	return []string{filepath.Join(cgroupRoot, "memory", h.cgroup(), name), filepath.Join(cgroupRoot, "pids", h.cgroup(), name)}
}

// enter puts a process into a cgroup.
func (h *host) enter(pid int, name string) {
	h.Helper()
	for _, g := range h.groups(name) {
		h.must(os.WriteFile(filepath.Join(g, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0))
	}
}

func (h *host) survey(area string) *driver.Survey {
	h.Helper()
	s, err := h.driver.Survey(h.Context(), area)
	h.must(err)
	return s
}

// awaits waits until something is so.
func (h *host) awaits(what string, ok func() bool) {
	h.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.Fatalf("not in time: %s", what)
		}
	}
}

// strays of a survey, each with the space that it was found in.
func strays(s *driver.Survey) (out []string) {
	for _, p := range s.Parts {
		for _, x := range p.Strays {
			out = append(out, p.Name+": "+x.Text)
		}
	}
	return out
}

// TestSurveyContainers makes by hand what root can, sees it found, undoes it and
// sees that nothing is found.
func TestSurveyContainers(t *testing.T) {
	a := newApp(t)
	f := a.web()
	a.must(a.driver.ApplyFormation(t.Context(), f))
	web := a.up(f)
	session, err := a.driver.Exec(t.Context(), driver.Exec{ID: "0d2f1ac4-6a10-4d68-a4a5-0a3c1f1f9b01", Container: web.ID, Args: []string{a.process().Args[0], "sleep 1h"}})
	a.must(err)
	defer session.Close()
	a.driver.mu.Lock()
	first := int(a.driver.containers[web.ID].task.Pid())
	a.driver.mu.Unlock()
	rootfs := a.rootfs()
	other := fmt.Sprintf("other%d", os.Getpid()) // runc keeps it where other runs of this test do

	for _, tt := range []struct {
		name string
		make func() (undo func())
		want []string // all in one stray
	}{
		{
			name: "a container in another namespace of containerd",
			make: func() func() {
				a.ctr(other, "run", "--detach", "--rootfs", rootfs, "byhand", "/wait", "sleep 1h")
				return func() {
					a.ctr(other, "tasks", "kill", "--signal", "SIGKILL", "byhand")
					a.awaits("the task has ended", func() bool {
						return exec.Command("ctr", "--address", a.daemon.Socket, "--namespace", other, "tasks", "rm", "byhand").Run() == nil
					})
					a.ctr(other, "containers", "rm", "byhand")
					a.ctr(other, "namespaces", "rm", other)
				}
			},
			want: []string{`: The container "byhand" in containerd's namespace "` + other, "/wait"},
		},
		{
			name: "a container in the engine's namespace that does not run",
			make: func() func() {
				a.ctr(Namespace, "containers", "create", "--rootfs", rootfs, "byhand", "/wait")
				return func() { a.ctr(Namespace, "containers", "rm", "byhand") }
			},
			want: []string{`: The container "byhand"`, "It does not run."},
		},
		{
			name: "a process in a cgroup of its own",
			make: func() func() {
				pid, end := a.begin("sleep", "600")
				for _, g := range a.groups("byhand") {
					a.must(os.Mkdir(g, 0o755))
				}
				a.enter(pid, "byhand")
				return func() {
					end()
					for _, g := range a.groups("byhand") {
						a.must(os.Remove(g))
					}
				}
			},
			want: []string{`: The process `, "sleep", `in the cgroup "byhand"`},
		},
		{
			name: "a process in the cgroup of a dyno",
			make: func() func() {
				pid, end := a.begin("sleep", "600")
				a.enter(pid, web.ID)
				return end
			},
			want: []string{"test: The process ", "sleep", "was put into the cgroup of web.1"},
		},
		{
			name: "a shell in a dyno by ctr",
			make: func() func() {
				_, end := a.begin("ctr", "--address", a.daemon.Socket, "--namespace", Namespace, "tasks", "exec", "--exec-id", "byhand", web.ID,
					a.process().Args[0], "sleep 1h")
				return func() {
					a.ctr(Namespace, "tasks", "kill", "--signal", "SIGKILL", "--exec-id", "byhand", web.ID)
					end()
				}
			},
			want: []string{"test: The process ", "came into web.1 from outside"},
		},
		{
			name: "a process that entered a dyno's network",
			make: func() func() {
				_, end := a.begin("nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", first), "sleep", "600")
				return end
			},
			want: []string{"test: The process ", "sleep", "entered the network of web.1"},
		},
		{
			name: "a process that entered all of a dyno",
			make: func() func() {
				_, end := a.begin("nsenter", "--target", strconv.Itoa(first), "--pid", "--net", "sleep", "600")
				return end
			},
			want: []string{"test: The process ", "came into web.1 from outside"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := strays(a.survey(driver.AreaContainers)); len(got) > 0 {
				t.Fatalf("before: %q", got)
			}
			undo := tt.make()
			a.finds(driver.AreaContainers, tt.want)
			undo()
			if got := strays(a.survey(driver.AreaContainers)); len(got) > 0 {
				t.Errorf("afterwards: %q", got)
			}
		})
	}
}

// finds waits until a survey tells of a stray with all of the words.
func (h *host) finds(area string, words []string) {
	h.Helper()
	var last []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		last = strays(h.survey(area))
		if slices.ContainsFunc(last, func(text string) bool { return containsAll(text, words) }) {
			return
		}
	}
	h.Errorf("found %q, want one that says %q", last, words)
}

func containsAll(text string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}

// TestSurveyAmidStarts: containers that start and end, and sessions in them, are
// no strays at any moment.
func TestSurveyAmidStarts(t *testing.T) {
	a := newApp(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 10 {
			if out, exit := a.output(a.process("sleep 100ms")); exit.Code != 0 {
				t.Errorf("exit %+v, output %q", exit, out)
			}
		}
	}()
	a.cleanUntil(done, driver.AreaContainers)
}

// TestSurveyAmidVolumes: volumes that are made, locked, and destroyed, as the
// platform does each day to try one without its key, are no strays at any moment.
func TestSurveyAmidVolumes(t *testing.T) {
	a := newApp(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 5 {
			v := driver.Volume{ID: uuid.NewString(), Space: a.space.ID, Bytes: 16 << 20, Key: make([]byte, 64)}
			err := a.driver.EnsureVolume(t.Context(), v)
			if err == nil {
				err = a.driver.LockVolume(t.Context(), v.ID)
			}
			if err == nil {
				_, err = a.driver.DestroyVolume(t.Context(), v.ID)
			}
			if err != nil {
				t.Error(err)
			}
		}
	}()
	a.cleanUntil(done, driver.AreaMounts)
}

// cleanUntil looks again and again until done, and finds nothing.
func (h *host) cleanUntil(done <-chan struct{}, area string) {
	h.Helper()
	for {
		if got := strays(h.survey(area)); len(got) > 0 {
			h.Errorf("found %q", got)
		}
		select {
		case <-done:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// TestSurveyMounts: a volume that somebody mounts once more, or gives a second
// device, is found; the mounts of its containers are not.
func TestSurveyMounts(t *testing.T) {
	a := newApp(t)
	v := driver.Volume{ID: uuid.NewString(), Space: a.space.ID, Bytes: 1 << 20, Key: make([]byte, 64)}
	a.must(a.driver.EnsureVolume(t.Context(), v))
	f := a.web()
	f.Process.Mounts = []driver.Mount{{Volume: v.ID, Dir: "files", Path: "/data"}}
	f.Rolling = false
	a.must(a.driver.ApplyFormation(t.Context(), f))
	a.up(f)
	defer func() {
		a.must(a.driver.RemoveFormation(context.Background(), f.ID))
		a.awaits("the volume is destroyed", func() bool {
			_, err := a.driver.DestroyVolume(context.Background(), v.ID)
			return err == nil
		})
	}()
	path, err := a.volumes.Path(v.ID)
	a.must(err)
	image := filepath.Join(a.dir, "volumes", "volumes", v.ID+".img")
	for _, tt := range []struct {
		name string
		make func() (undo func())
		want []string
	}{
		{
			name: "a bind mount",
			make: func() func() {
				at := t.TempDir()
				a.must(unix.Mount(path, at, "", unix.MS_BIND, ""))
				return func() { a.must(unmount(at)) }
			},
			want: []string{"test: The part ", v.ID, "is mounted on"},
		},
		{
			name: "a bind mount in a namespace of its own",
			make: func() func() {
				_, end := a.begin("unshare", "--mount", "--propagation", "private", "sh", "-c", `mount --bind "$1" /mnt && exec sleep 600`, "sh", path)
				return end
			},
			want: []string{"test: The part ", v.ID, `is mounted on "/mnt"`, "sleep"},
		},
		{
			name: "a second device",
			make: func() func() {
				out, err := exec.Command("losetup", "--find", "--show", "--read-only", image).Output()
				a.must(err)
				device := strings.TrimSpace(string(out))
				return func() { a.must(exec.Command("losetup", "--detach", device).Run()) }
			},
			want: []string{"test: The image of the volume ", v.ID, "more than one device"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := strays(a.survey(driver.AreaMounts)); len(got) > 0 {
				t.Fatalf("before: %q", got)
			}
			undo := tt.make()
			a.finds(driver.AreaMounts, tt.want)
			undo()
			a.awaits("it is no longer found", func() bool { return len(strays(a.survey(driver.AreaMounts))) == 0 })
		})
	}
}
