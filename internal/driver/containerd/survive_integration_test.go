//go:build integration

package containerd

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/drivertest"
	"golang.org/x/sys/unix"
)

// app is a space with the test image, for tests of this driver alone.
type app struct {
	*host
	space driver.Space
	image string
}

func newApp(t *testing.T) *app {
	t.Helper()
	a := &app{host: newHost(t)}
	var err error
	a.image, err = a.driver.ImportImage(t.Context(), bytes.NewReader(buildImage(t)))
	a.must(err)
	a.space = a.newSpace()
	return a
}

func (a *app) newSpace() driver.Space {
	s := driver.Space{ID: uuid.NewString(), Name: "test"}
	a.must(a.driver.EnsureSpace(a.Context(), s))
	a.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		a.check(a.driver.RemoveSpace(ctx, s.ID))
	})
	return s
}

func (a *app) process(statements ...string) driver.Process {
	return driver.Process{
		Image: a.image, Args: append([]string{drivertest.Program}, statements...), UID: 1007,
		Limits: driver.Limits{MemoryBytes: 128 << 20, PIDs: 32},
	}
}

func (a *app) labels(kind string) driver.Labels {
	return driver.Labels{App: uuid.NewString(), Source: "app", Type: kind}
}

func (a *app) web() driver.Formation {
	f := driver.Formation{
		ID: uuid.NewString(), Space: a.space.ID, Labels: a.labels("web"), Name: "web", Revision: "1", Quantity: 1,
		Process: a.process("serve", "wait"), Rolling: true, Grace: 2 * time.Second, Boot: 20 * time.Second,
	}
	f.Process.Port = 5000
	f.Process.Env = []driver.EnvVar{{Name: "PORT", Value: "5000"}, {Name: "GREETING", Value: "hush-hush"}}
	return f
}

func (a *app) task(p driver.Process) driver.Task {
	return driver.Task{ID: uuid.NewString(), Space: a.space.ID, Labels: a.labels("run"), Name: "run.1", Process: p, Attach: true}
}

// output runs a process attached and returns its output without the last
// newline.
func (a *app) output(p driver.Process) (string, driver.Exit) {
	a.Helper()
	s, err := a.driver.StartTask(a.Context(), a.task(p))
	a.must(err)
	defer s.Close()
	out, err := io.ReadAll(s)
	a.must(err)
	exit, err := s.Wait(a.Context())
	a.must(err)
	return strings.TrimSuffix(string(out), "\n"), exit
}

func (a *app) observe() driver.Observation {
	a.Helper()
	o, err := a.driver.Observe(a.Context())
	a.must(err)
	return o
}

func (a *app) eventually(what string, ok func(driver.Observation) bool) driver.Observation {
	a.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		o, err := a.driver.Observe(a.Context())
		if err == nil && ok(o) {
			return o
		}
		if time.Now().After(deadline) {
			a.Fatalf("not in time: %s\n%+v, %v", what, o, err)
		}
	}
}

// up waits until the formation has exactly one instance, which is up.
func (a *app) up(f driver.Formation) driver.Instance {
	a.Helper()
	o := a.eventually("one instance up", func(o driver.Observation) bool {
		return len(o.Instances) == 1 && o.Instances[0].State == driver.Up && o.Instances[0].Formation == f.ID
	})
	return o.Instances[0]
}

func (a *app) answers(f driver.Formation) {
	a.Helper()
	c, err := a.driver.Dial(a.Context(), f.ID, 5000)
	a.must(err)
	defer c.Close()
	_, err = io.WriteString(c, "hello\n")
	a.must(err)
	got := make([]byte, len("hush-hush hello\n"))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "hush-hush hello\n" {
		a.Errorf("answer %q, %v", got, err)
	}
}

func (a *app) reopen() {
	a.Helper()
	a.must(a.driver.Close())
	a.open()
}

func TestContainerdIsKilled(t *testing.T) {
	a := newApp(t)
	f := a.web()
	a.must(a.driver.ApplyFormation(t.Context(), f))
	before := a.up(f)

	a.must(a.process1().Signal(unix.SIGKILL))
	a.host.process.Wait()
	a.answers(f)
	if _, err := a.driver.Observe(t.Context()); err == nil {
		t.Error("observed something without containerd")
	}
	a.startContainerd()
	if after := a.up(f); after.ID != before.ID {
		t.Errorf("instance %s became %s", before.ID, after.ID)
	}
	a.answers(f)

	// Its end is noticed, and another takes its place.
	a.must(a.driver.StopInstance(t.Context(), before.ID))
	a.eventually("another instance", func(o driver.Observation) bool {
		return len(o.Instances) == 1 && o.Instances[0].ID != before.ID && o.Instances[0].State == driver.Up
	})
}

func (a *app) process1() *os.Process { return a.host.process.Process }

func TestEngineIsRestarted(t *testing.T) {
	a := newApp(t)
	f := a.web()
	a.must(a.driver.ApplyFormation(t.Context(), f))
	before := a.up(f)
	volume := driver.Volume{ID: uuid.NewString(), Space: a.space.ID, Bytes: 1 << 20, Key: make([]byte, 64)}
	rand.Read(volume.Key)
	a.must(a.driver.EnsureVolume(t.Context(), volume))
	routes := driver.Routes{Space: a.space.ID, Domains: []driver.Route{{Hostname: "x.example.org", Formation: f.ID}}}
	a.must(a.driver.ApplyRoutes(t.Context(), routes))
	was := a.observe()

	a.reopen()
	now := a.observe()
	ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Time" }, cmp.Ignore())
	if diff := cmp.Diff(was, now, ignore); diff != "" {
		t.Errorf("observed before and after (-before +after):\n%s", diff)
	}
	a.answers(f)
	if _, exit := a.output(a.process("exit 5")); exit.Code != 5 {
		t.Errorf("a task after the restart ended with %+v", exit)
	}

	// An instance that ends while no engine is there is replaced by the next.
	a.must(a.driver.Close())
	a.kill(before.ID)
	a.open()
	o := a.eventually("another instance", func(o driver.Observation) bool {
		return len(o.Instances) == 1 && o.Instances[0].ID != before.ID && o.Instances[0].State == driver.Up
	})
	if i := o.Instances[0]; i.Restarts != 1 || i.LastExit == nil || i.LastExit.Code != 137 {
		t.Errorf("instance %+v, exit %+v", i, i.LastExit)
	}

	// A formation that was removed goes away although the engine ends meanwhile.
	slow := a.web()
	slow.Process.Args = append(slow.Process.Args[:1:1], "serve", "linger 3s", "wait")
	slow.Grace, slow.Revision = 5*time.Second, "2"
	slow.ID = f.ID
	a.must(a.driver.ApplyFormation(t.Context(), slow))
	a.eventually("revision 2", func(o driver.Observation) bool {
		return len(o.Instances) == 1 && o.Instances[0].Revision == "2" && o.Instances[0].State == driver.Up
	})
	a.must(a.driver.RemoveFormation(t.Context(), f.ID))
	a.reopen()
	a.eventually("no instance", func(o driver.Observation) bool { return len(o.Instances) == 0 })
	_, err := a.driver.DestroyVolume(t.Context(), volume.ID)
	a.must(err)
	a.must(a.driver.RemoveSpace(t.Context(), a.space.ID))
	a.wantNothingLeft()
}

// kill ends a container's first process from outside.
func (a *app) kill(id string) {
	a.Helper()
	ctx := inNamespace(a.Context())
	con, err := a.client.LoadContainer(ctx, id)
	a.must(err)
	task, err := con.Task(ctx, nil)
	a.must(err)
	a.must(task.Kill(ctx, unix.SIGKILL))
	exited, err := task.Wait(ctx)
	a.must(err)
	<-exited
}

// A session ends with its engine; what ran in it goes on to its end, even if it
// writes more than a pipe holds, and that end is observed.
func TestSessionOfAnEngineThatIsGone(t *testing.T) {
	a := newApp(t)
	task := a.task(a.process("say begin", "sleep 1s", "lines 100000", "exit 9"))
	terminal := a.task(a.process("size"))
	terminal.TTY, terminal.Rows, terminal.Cols = true, 24, 80
	for _, x := range []driver.Task{task, terminal} {
		s, err := a.driver.StartTask(t.Context(), x)
		a.must(err)
		// The end of an engine would close its FIFOs; this process lives on.
		t.Cleanup(func() { s.(*attached).line.Close() })
		_, err = s.Read(make([]byte, 1)) // from here on it takes signals
		a.must(err)
	}
	a.reopen()
	o := a.eventually("the end of both", func(o driver.Observation) bool {
		return len(o.Tasks) == 2 && !o.Tasks[0].Running && !o.Tasks[1].Running
	})
	for _, seen := range o.Tasks {
		if seen.ID == task.ID && seen.Exit.Code != 9 {
			t.Errorf("the task ended with %+v", seen.Exit)
		}
	}
	if _, err := a.driver.StartTask(t.Context(), task); err == nil {
		t.Error("the task was started again")
	}
}

// What an earlier life of the host left in containerd is removed.
func TestHostIsRestarted(t *testing.T) {
	a := newApp(t)
	f := a.web()
	a.must(a.driver.ApplyFormation(t.Context(), f))
	i := a.up(f)
	a.must(a.driver.Close())
	a.kill(i.ID)
	// The tmpfs is empty after a restart; namespaces and mounts would be gone too.
	for _, dir := range []string{"spaces", "formations", "containers"} {
		a.must(os.RemoveAll(filepath.Join(a.run(), "secret", dir)))
	}
	a.open()
	o := a.observe()
	if len(o.Instances)+len(o.Formations)+len(o.Spaces) != 0 {
		t.Errorf("observed %+v", o)
	}
	if list, err := a.client.Containers(inNamespace(t.Context())); err != nil || len(list) != 0 {
		t.Errorf("%d containers are left, %v", len(list), err)
	}
	if len(o.Images) != 1 || o.Images[0] != a.image {
		t.Errorf("images %v", o.Images)
	}
	a.must(a.driver.EnsureSpace(t.Context(), a.space))
	a.must(a.driver.ApplyFormation(t.Context(), f))
	a.up(f)
	a.answers(f)
}
