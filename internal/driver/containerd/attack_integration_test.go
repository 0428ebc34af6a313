//go:build integration

package containerd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/strongroom/strongroom/internal/driver"
)

func TestMemoryLimit(t *testing.T) {
	a := newApp(t)
	out, exit := a.output(a.process("alloc 512"))
	if exit.Code != 137 || !exit.OOMKilled {
		t.Errorf("exit %+v, output %q", exit, out)
	}
	if out, exit := a.output(a.process("alloc 32")); exit.Code != 0 || exit.OOMKilled {
		t.Errorf("exit %+v, output %q", exit, out)
	}
	task := a.task(a.process("sleep 1h"))
	task.Attach = false
	s, err := a.driver.StartTask(t.Context(), task)
	a.must(err)
	a.kill(task.ID)
	if exit, err := s.Wait(t.Context()); err != nil || exit.Code != 137 || exit.OOMKilled {
		t.Errorf("a killed process: exit %+v, %v", exit, err)
	}
}

func TestOtherLimits(t *testing.T) {
	a := newApp(t)
	p := a.process("fork 1000")
	out, _ := a.output(p)
	var n int
	if _, err := fmt.Sscanf(out, "fork %d of 1000", &n); err != nil || n < 1 || n > int(p.Limits.PIDs) {
		t.Errorf("output %q with a limit of %d processes", out, p.Limits.PIDs)
	}
	p = a.process("spin 2s")
	p.Limits.CPUMillis = 250
	out, _ = a.output(p)
	if _, err := fmt.Sscanf(out, "spin %d", &n); err != nil || n < 200 || n > 900 {
		t.Errorf("%q of CPU in 2 s with a limit of a quarter of a core", out)
	}
}

// Root in a container is nobody on the host, and can do nothing that only root
// can.
func TestRootInAContainer(t *testing.T) {
	a := newApp(t)
	p := a.process(
		"try mount", "try mknod", "try unshare", "try chown", "try keyctl", "try bpf", "try rawsocket",
		"try write /proc/sys/kernel/core_pattern", "try write /proc/sysrq-trigger", "try stat /sys/kernel",
		"try write /sys/fs/cgroup/x", "try write /etc/hosts", "try stat "+a.dir,
		"read /proc/self/uid_map", "read /proc/self/status", "read /proc/self/mountinfo",
	)
	p.UID = 0
	out, exit := a.output(p)
	for _, want := range []string{
		"try mount EPERM", "try mknod EPERM", "try unshare EPERM", "try chown EPERM", "try keyctl EPERM", "try bpf EPERM",
		"try rawsocket EPERM", "try write /etc/hosts EROFS", "try stat /sys/kernel ENOENT", "try write /sys/fs/cgroup/x ENOENT",
		"try stat " + a.dir + " ENOENT", "NoNewPrivs:\t1", "Seccomp:\t2",
		"CapBnd:\t0000000000000000", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000",
	} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("output lacks %q", want)
		}
	}
	for _, never := range []string{"core_pattern ok", "sysrq-trigger ok"} {
		if strings.Contains(out, never) {
			t.Errorf("output has %q", never)
		}
	}
	var inside, outside, size int
	_, ids, _ := strings.Cut(out, "try stat "+a.dir+" ENOENT\n")
	if _, err := fmt.Sscan(ids, &inside, &outside, &size); err != nil || inside != 0 || outside < firstUID || size != rangeSize {
		t.Errorf("ids %d are %d on the host, %d of them, %v", inside, outside, size, err)
	}
	if t.Failed() {
		t.Logf("exit %+v\n%s", exit, out)
	}
}

func TestUserInAContainer(t *testing.T) {
	a := newApp(t)
	p := a.process("try setuid", "try write /tmp/x", "try write /x", "try write /home/x")
	out, _ := a.output(p)
	want := "try setuid EPERM\ntry write /tmp/x ok\ntry write /x EACCES\ntry write /home/x EACCES"
	if out != want {
		t.Errorf("output %q, want %q", out, want)
	}
	p = a.process("try stat /etc/passwd", "try stat /etc/removed", "try write /bin/x", "try write /etc/passwd")
	p.UID = 0
	out, _ = a.output(p)
	if want := "try stat /etc/passwd ok\ntry stat /etc/removed ENOENT\ntry write /bin/x ok\ntry write /etc/passwd ok"; out != want {
		t.Errorf("over two layers: output %q, want %q", out, want)
	}
	p = a.process("try write /x", "try write /tmp/x", "try write /bin/x")
	p.UID, p.ReadOnly = 0, true
	out, _ = a.output(p)
	if want := "try write /x EROFS\ntry write /tmp/x ok\ntry write /bin/x EROFS"; out != want {
		t.Errorf("with a read-only root: output %q, want %q", out, want)
	}
}

// The value of an environment variable is in the process and on the tmpfs, and
// in no file on disk.
func TestEnvironmentIsNotOnDisk(t *testing.T) {
	a := newApp(t)
	secret := "secret-" + uuid.NewString()
	p := a.process("env SECRET", "write /tmp/plain "+"scratch-"+secret[7:], "sleep 1h")
	p.Env = []driver.EnvVar{{Name: "SECRET", Value: secret}}
	task := a.task(p)
	s, err := a.driver.StartTask(t.Context(), task)
	a.must(err)
	got := make([]byte, len("SECRET=")+len(secret))
	if _, err := s.Read(got); err != nil || string(got) != "SECRET="+secret {
		t.Fatalf("output %q, %v", got, err)
	}
	time.Sleep(100 * time.Millisecond)
	for _, dir := range []string{"data", "containerd", "volumes"} {
		a.check(filepath.WalkDir(filepath.Join(a.dir, dir), func(path string, e os.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || strings.HasPrefix(path, filepath.Join(a.dir, "volumes", "mnt")) {
				return nil
			}
			b, err := os.ReadFile(path)
			if err == nil && strings.Contains(string(b), secret) {
				t.Errorf("the value is in %s", path)
			}
			if err == nil && strings.Contains(string(b), "scratch-"+secret[7:]) {
				t.Errorf("what the process wrote is readable in %s", path)
			}
			return nil
		}))
	}
	s.Close()
}

// A symbolic link in a volume leads nowhere but into the volume.
func TestLinkOutOfAVolume(t *testing.T) {
	a := newApp(t)
	volume := driver.Volume{ID: uuid.NewString(), Space: a.space.ID, Bytes: 1 << 20, Key: make([]byte, 64)}
	a.must(a.driver.EnsureVolume(t.Context(), volume))
	path, err := a.volumes.Path(volume.ID)
	a.must(err)
	a.must(os.Symlink("/etc", filepath.Join(path, "evil")))
	a.must(os.Symlink("../../../../../../etc", filepath.Join(path, "climb")))
	for _, dir := range []string{"evil", "climb"} {
		p := a.process("read /data/hostname")
		p.Mounts = []driver.Mount{{Volume: volume.ID, Dir: dir, Path: "/data"}}
		if s, err := a.driver.StartTask(t.Context(), a.task(p)); err == nil {
			s.Close()
			t.Errorf("a link to the host's /etc was mounted (%s)", dir)
		}
		if r, err := a.driver.GetFiles(t.Context(), volume.ID, dir); err == nil {
			r.Close()
			t.Errorf("a link to the host's /etc was read (%s)", dir)
		}
	}
	o := a.observe()
	if len(o.Tasks) != 0 {
		t.Errorf("tasks %+v", o.Tasks)
	}
	_, err = a.driver.DestroyVolume(t.Context(), volume.ID)
	a.must(err)
}

// A process that does nothing about SIGTERM ends at once, as anywhere else but
// at the head of a container.
func TestSignalWithoutHandler(t *testing.T) {
	a := newApp(t)
	task := a.task(a.process("naked 1h"))
	task.Attach = false
	s, err := a.driver.StartTask(t.Context(), task)
	a.must(err)
	time.Sleep(300 * time.Millisecond)
	begun := time.Now()
	a.must(a.driver.StopTask(t.Context(), task.ID))
	exit, err := s.Wait(t.Context())
	a.must(err)
	if took := time.Since(begun); exit.Code != 143 || took > taskGrace/2 {
		t.Errorf("exit %+v after %v", exit, took)
	}
}
