package operation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/blob"
	"github.com/strongroom/strongroom/internal/build/git"
	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/installation"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/operation"
	"github.com/strongroom/strongroom/internal/reconcile/reconciletest"
	"github.com/strongroom/strongroom/internal/store"
)

// lab is an installation whose space is allocated, with an app, and a runner.
type lab struct {
	*reconciletest.Lab
	blobs    *blob.Store
	git      *git.Handler
	code     string // where repositories lie
	jobs     *jobs
	runner   *operation.Runner
	parallel int
	stop     func()
}

// jobs is a store that forgets to forget jobs where it is told to.
type jobs struct {
	store.Store
	mu   sync.Mutex
	fail int
}

func (s *jobs) JobDone(ids ...int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail > 0 {
		s.fail--
		return errors.New("the disk is full")
	}
	return s.Store.JobDone(ids...)
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{Lab: reconciletest.New(t)}
	l.jobs = &jobs{Store: l.Store}
	var err error
	if l.blobs, err = blob.Open(filepath.Join(l.Dir, "blobs"), l.Keyring); err != nil {
		t.Fatal(err)
	}
	l.code = filepath.Join(l.Dir, "git")
	if l.git, err = git.New(git.Config{Root: l.code}, nil, nil); err != nil {
		t.Fatal(err)
	}
	l.App("clinic", "ward")
	l.Settle()
	t.Cleanup(func() {
		l.halt()
		if err := l.git.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// start runs a new runner, as a start of the server does.
func (l *lab) start() {
	l.T.Helper()
	p := l.Processes()
	p.Store = l.jobs
	l.runner = operation.New(operation.Config{
		Processes: p, Kernel: l.Kernel, Driver: l.Engine, Blobs: l.blobs, Repositories: l.git, Log: slog.New(slog.NewTextHandler(l.Log, nil)), Now: l.Now, Parallel: l.parallel,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	r := l.runner
	go func() { done <- r.Run(ctx) }()
	l.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			l.T.Error(err)
		}
	})
}

func (l *lab) halt() {
	if l.stop != nil {
		l.stop()
	}
}

func (l *lab) until(what string, ok func() bool) {
	l.T.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			l.T.Fatalf("in vain until %s\nengine: %+v\nlog: %s", what, l.Engine.Seen(l.T), l.Log)
		}
	}
}

// done waits until no job is left.
func (l *lab) done() {
	l.T.Helper()
	l.until("no job is left", func() bool { return len(l.left()) == 0 })
}

func (l *lab) left() []store.Job {
	l.T.Helper()
	list, err := l.Store.Jobs(l.T.Context(), 1000)
	if err != nil {
		l.T.Fatal(err)
	}
	return list
}

func (l *lab) release(id string) *document.Release {
	return commandtest.Get[*document.Release](l.World, id)
}

// read gives a blob of the space.
func (l *lab) read(digest string) string {
	l.T.Helper()
	ward := l.IDs["space:ward"]
	r, err := l.blobs.Get(l.T.Context(), &ward, digest)
	if err != nil {
		l.T.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		l.T.Fatal(err)
	}
	return string(b)
}

// run asks for a detached one-off dyno.
func (l *lab) run(command string) *document.Dyno {
	l.T.Helper()
	ward := l.IDs["space:ward"]
	ref, err := l.blobs.Put(l.T.Context(), &ward, strings.NewReader(command), 1<<16)
	if err != nil {
		l.T.Fatal(err)
	}
	cmd := &sessions.Run{App: "clinic", Command: ledger.Blob{SHA256: ref.SHA256, Size: ref.Size, MediaType: "text/plain", Role: "command"}}
	l.Do(cmd, l.As("root"))
	return cmd.Dyno
}

// ends gives the exit codes that are on record for one-off dynos, by id.
func (l *lab) ends() map[string]string {
	l.T.Helper()
	out := map[string]string{}
	for _, e := range l.Since(0) {
		if e.Action == "dyno.end" {
			out[e.Target.ID] += e.Detail("exit_code")
		}
	}
	return out
}

func TestPhase(t *testing.T) {
	l := newLab(t)
	l.start()
	l.Set("clinic", "FLAVOUR", "vanilla")
	r := l.Deploy("clinic", "web: wait", "release: say migrating; env FLAVOUR; env DYNO")
	if r.Status != document.ReleasePending {
		t.Fatalf("%+v", r)
	}
	l.done()
	got := l.release(r.ID)
	if got.Status != document.ReleaseSucceeded || !got.Current {
		t.Fatalf("%+v\n%s", got, l.Log)
	}
	if out := l.read(got.Output); out != "migrating\nFLAVOUR=vanilla\nDYNO=release.1\n" {
		t.Errorf("output %q", out)
	}
	live := l.Since(l.Size() - 1)[0]
	phase := l.Since(*live.Cause)[0]
	if live.Action != "release.live" || phase.Action != "release.phase" || phase.Actor.Email != "operation" || phase.Cause == nil || phase.Blobs[0].Role != "release-output" {
		t.Errorf("recorded as %v, %v", phase, live)
	}
	if l.runner.Live(r.ID) != nil {
		t.Error("its output is still said to come")
	}
}

func TestPhaseFails(t *testing.T) {
	l := newLab(t)
	l.start()
	good := l.Deploy("clinic", "web: wait")
	r := l.Deploy("clinic", "web: wait", "release: say no such table; exit 3")
	l.done()
	got := l.release(r.ID)
	if got.Status != document.ReleaseFailed || got.LiveAt != nil || l.read(got.Output) != "no such table\n" || !l.release(good.ID).Current {
		t.Errorf("%+v", got)
	}
	last := l.Since(l.Size() - 1)[0]
	if last.Outcome != ledger.Failed || last.Error != "The release command exited with status 3." {
		t.Errorf("recorded as %v: %s", last, last.Error)
	}
}

// TestLiveOutput reads a phase's output while it runs.
func TestLiveOutput(t *testing.T) {
	l := newLab(t)
	l.start()
	r := l.Deploy("clinic", "web: wait", "release: say first; sleep 300ms; say last")
	l.until("its output comes", func() bool { return l.runner.Live(r.ID) != nil })
	var buf bytes.Buffer
	if err := l.runner.Live(r.ID).CopyTo(t.Context(), &buf); err != nil || buf.String() != "first\nlast\n" {
		t.Errorf("%q, %v", buf.String(), err)
	}
	l.done()
}

// TestTooMuchOutput keeps the beginning.
func TestTooMuchOutput(t *testing.T) {
	l := newLab(t)
	l.start()
	r := l.Deploy("clinic", "web: wait", "release: lines 300000")
	l.done()
	out := l.read(l.release(r.ID).Output)
	if !strings.HasPrefix(out, "line 1 of 300000\n") || !strings.HasSuffix(out, "(the rest of the output was left out)\n") || len(out) > 4<<20+100 {
		t.Errorf("%d bytes", len(out))
	}
	if !l.release(r.ID).Current {
		t.Error("a phase that prints too much did not go live")
	}
}

// TestCannotRun is a phase and a one-off dyno whose command the engine refuses:
// they end, instead of being tried for ever.
func TestCannotRun(t *testing.T) {
	l := newLab(t)
	l.start()
	l.Deploy("clinic", "web: wait")
	l.Engine.Fail("StartTask", fault.New(fault.Invalid, "The command cannot be run in this image."))
	r := l.Deploy("clinic", "web: wait", "release: x")
	d := l.run("nonsense")
	l.done()
	if got := l.release(r.ID); got.Status != document.ReleaseFailed {
		t.Errorf("%+v", got)
	}
	if l.ends()[d.ID] != "126" || !l.Gone(document.KindDyno, d.ID) {
		t.Errorf("ends %v", l.ends())
	}
	for _, e := range l.Since(0) {
		if e.Action == "release.phase" && e.Error != "The command cannot be run in this image." {
			t.Errorf("told %q", e.Error)
		}
	}
}

// TestEngineAway waits for an engine that is not there, for an hour.
func TestEngineAway(t *testing.T) {
	l := newLab(t)
	l.start()
	l.Engine.Fail("StartTask", fault.New(fault.Unavailable, "The engine is not there."))
	r := l.Deploy("clinic", "web: wait", "release: say ok")
	l.until("it was tried", func() bool { return l.Engine.Count("StartTask") > 0 })
	if got := l.release(r.ID); got.Status != document.ReleasePending {
		t.Fatalf("%+v", got)
	}
	l.Engine.Fail("StartTask", nil)
	l.Skip(time.Minute)
	l.done()
	if !l.release(r.ID).Current {
		t.Errorf("%+v", l.release(r.ID))
	}
	l.Engine.Fail("StartTask", fault.New(fault.NotFound, "The image is not on this engine."))
	r = l.Deploy("clinic", "web: wait", "release: say ok")
	n := l.Engine.Count("StartTask")
	l.until("it was tried", func() bool { return l.Engine.Count("StartTask") > n })
	l.Skip(2 * time.Hour)
	l.done()
	if got := l.release(r.ID); got.Status != document.ReleaseFailed {
		t.Errorf("%+v", got)
	}
}

// TestPhasesInTurn runs two phases of an app one after the other, and those of
// two apps side by side.
func TestPhasesInTurn(t *testing.T) {
	l := newLab(t)
	l.App("intake", "ward")
	l.start()
	first := l.Deploy("clinic", "web: wait", "release: sleep 700ms")
	second := l.Deploy("clinic", "web: wait", "release: say 2")
	other := l.Deploy("intake", "web: wait", "release: say other")
	l.until("the other app's is live", func() bool { return l.release(other.ID).Current })
	if l.release(first.ID).Status != document.ReleasePending || l.release(second.ID).Status != document.ReleasePending {
		t.Errorf("%s, %s", l.release(first.ID).Status, l.release(second.ID).Status)
	}
	l.Skip(2 * time.Second)
	l.until("both are through", func() bool { l.Skip(time.Second); return len(l.left()) == 0 })
	var order []int
	for _, e := range l.Since(0) {
		if e.Action == "release.live" && e.App == l.IDs["app:clinic"] {
			d, err := document.Decode(document.KindRelease, e.Changes[0].Doc)
			if err != nil {
				t.Fatal(err)
			}
			order = append(order, d.(*document.Release).Version)
		}
	}
	if !slices.Equal(order, []int{1, 2}) || !l.release(second.ID).Current {
		t.Errorf("live in the order %v", order)
	}
}

func TestTask(t *testing.T) {
	l := newLab(t)
	l.start()
	l.Deploy("clinic", "web: wait")
	d := l.run("say hello; exit 7")
	l.done()
	if l.ends()[d.ID] != "7" || !l.Gone(document.KindDyno, d.ID) {
		t.Errorf("ends %v", l.ends())
	}
}

func TestStopTask(t *testing.T) {
	l := newLab(t)
	l.start()
	l.Deploy("clinic", "web: wait")
	d := l.run("wait")
	l.until("it runs", func() bool { return len(l.Engine.Seen(t).Tasks) == 1 })
	l.Do(&apps.Restart{Identity: "clinic", Dyno: d.Name, Stop: true}, l.As("root"))
	l.done()
	if l.ends()[d.ID] != "143" {
		t.Errorf("ends %v", l.ends())
	}
}

// TestStopBeforeStart stops a one-off dyno that waits for the engine: it is
// never started.
func TestStopBeforeStart(t *testing.T) {
	l := newLab(t)
	l.start()
	l.Deploy("clinic", "web: wait")
	l.Engine.Fail("StartTask", errors.New("the engine restarts"))
	d := l.run("say too late")
	l.until("it was tried", func() bool { return l.Engine.Count("StartTask") > 0 })
	l.Do(&apps.Restart{Identity: "clinic", Dyno: d.Name, Stop: true}, l.As("root"))
	l.until("the stop is through", func() bool { return len(l.left()) == 1 })
	l.Engine.Fail("StartTask", nil)
	l.Skip(time.Minute)
	l.done()
	if n := len(l.Engine.Seen(t).Tasks); n != 0 || l.ends()[d.ID] != "143" {
		t.Errorf("%d tasks, ends %v", n, l.ends())
	}
}

// TestLongTasksHoldUpNothing runs more one-off dynos than jobs may run at once.
func TestLongTasksHoldUpNothing(t *testing.T) {
	l := newLab(t)
	l.parallel = 2
	l.start()
	l.Deploy("clinic", "web: wait")
	var dynos []*document.Dyno
	for range 5 {
		dynos = append(dynos, l.run("wait"))
	}
	l.until("all run", func() bool { return len(l.Engine.Seen(t).Tasks) == 5 })
	r := l.Deploy("clinic", "web: wait", "release: say ok")
	l.until("a release gets through", func() bool { return l.release(r.ID).Current })
	for _, d := range dynos {
		l.Do(&apps.Restart{Identity: "clinic", Dyno: d.Name, Stop: true}, l.As("root"))
	}
	l.done()
	if n := len(l.ends()); n != 5 {
		t.Errorf("ends %v", l.ends())
	}
}

func TestStopInstance(t *testing.T) {
	l := newLab(t)
	l.start()
	l.Deploy("clinic", "web: serve; wait")
	l.UntilDynos("clinic", "web.1 up v1")
	before := l.Engine.Seen(t).Instances[0].ID
	l.Do(&apps.Restart{Identity: "clinic", Dyno: "web.1"}, l.As("root"))
	l.done()
	l.Until("another one runs", func() bool {
		seen := l.Engine.Seen(t).Instances
		return len(seen) == 1 && seen[0].ID != before && seen[0].State == driver.Up
	})
	// One that is gone by the time is no job for ever.
	l.UntilDynos("clinic", "web.1 up v1")
	l.halt()
	l.Do(&apps.Restart{Identity: "clinic", Dyno: "web.1"}, l.As("root"))
	if err := l.Engine.RemoveFormation(t.Context(), l.Formation("clinic", "web").ID); err != nil {
		t.Fatal(err)
	}
	l.until("the instance is gone", func() bool { return len(l.Engine.Seen(t).Instances) == 0 })
	l.start()
	l.done()
}

// TestMoot drops jobs whose subject is gone or past them.
func TestMoot(t *testing.T) {
	l := newLab(t)
	l.Deploy("clinic", "web: wait")
	l.Deploy("clinic", "web: wait", "release: say too late")
	l.run("say too late")
	l.Do(&apps.Destroy{Identity: "clinic"}, l.As("root"))
	l.App("clinic", "ward")
	finished := l.Deploy("clinic", "web: wait", "release: say ok")
	l.Do(&releases.FinishPhase{ID: finished.ID}, commandtest.Platform)
	l.App("intake", "ward")
	create := &addons.Create{App: "intake", Plan: "heroku-postgresql"}
	l.Do(create, l.As("root"))
	l.Do(&addons.Provisioned{ID: create.Addon.ID, Image: l.Image}, commandtest.Platform)
	if n := len(l.left()); n != 5 { // the fifth disposes of what the first clinic left
		t.Fatalf("%d jobs", n)
	}
	before := l.Size()
	l.start()
	l.done()
	if n := l.Engine.Count("StartTask"); n != 0 || !slices.Equal(commandtest.Actions(l.Since(before)), []string{"app.dispose"}) {
		t.Errorf("%d tasks were started, %v", n, l.Since(before))
	}
}

var errCrash = errors.New("the server crashed here")

// TestCrash stops the runner at each of its calls to the engine in turn and
// starts another: the release goes live once all the same, its command having
// run, and a one-off dyno ends once.
func TestCrash(t *testing.T) {
	for n := 1; ; n++ {
		crashed := false
		t.Run(fmt.Sprintf("at call %d", n), func(t *testing.T) {
			l := newLab(t)
			l.Deploy("clinic", "web: wait")
			r := l.Deploy("clinic", "web: wait", "release: say migrated")
			d := l.run("say done; exit 5")
			var mu sync.Mutex
			calls := 0
			l.Engine.Hook(func(string) error {
				mu.Lock()
				defer mu.Unlock()
				if calls++; calls == n {
					crashed = true
				}
				if crashed {
					return errCrash // and nothing comes through any more
				}
				return nil
			})
			l.start()
			l.until("the crash, or the end", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return crashed || len(l.left()) == 0
			})
			l.halt()
			l.Engine.Hook(nil)
			l.start()
			l.done()
			check(t, l, r, d)
		})
		if !crashed {
			if n < 5 {
				t.Errorf("only %d calls were crashed at", n-1)
			}
			return
		}
	}
}

func check(t *testing.T, l *lab, r *document.Release, d *document.Dyno) {
	t.Helper()
	got := l.release(r.ID)
	if !got.Current || l.read(got.Output) != "migrated\n" {
		t.Errorf("%+v", got)
	}
	live := 0
	for _, e := range l.Since(0) {
		if e.Action == "release.live" && e.Target.ID == r.ID {
			live++
		}
	}
	if live != 1 {
		t.Errorf("it went live %d times", live)
	}
	if l.ends()[d.ID] != "5" {
		t.Errorf("ends %v", l.ends())
	}
	for _, task := range l.Engine.Seen(t).Tasks {
		if task.Running {
			t.Errorf("left behind: %+v", task)
		}
	}
}

// TestCrashInThePhase stops the runner while the release's command runs.
func TestCrashInThePhase(t *testing.T) {
	l := newLab(t)
	l.Deploy("clinic", "web: wait")
	r := l.Deploy("clinic", "web: wait", "release: sleep 200ms; say migrated")
	d := l.run("sleep 200ms; exit 5")
	l.start()
	l.until("both run", func() bool { return len(l.Engine.Seen(t).Tasks) == 2 })
	l.halt()
	if got := l.release(r.ID); got.Status != document.ReleasePending {
		t.Fatalf("%+v", got)
	}
	l.start()
	l.done()
	check(t, l, r, d)
}

// TestCrashBeforeTheJobIsForgotten does jobs twice.
func TestCrashBeforeTheJobIsForgotten(t *testing.T) {
	l := newLab(t)
	l.Deploy("clinic", "web: wait")
	r := l.Deploy("clinic", "web: wait", "release: say migrated")
	d := l.run("exit 5")
	l.jobs.fail = 2
	l.start()
	l.until("both are done and not forgotten", func() bool { l.jobs.mu.Lock(); defer l.jobs.mu.Unlock(); return l.jobs.fail == 0 })
	l.Skip(time.Minute)
	l.done()
	check(t, l, r, d)
}

// TestUnknownJob leaves one alone that a later version asked for.
func TestUnknownJob(t *testing.T) {
	l := newLab(t)
	l.start()
	odd := &oddJob{}
	l.Do(odd, commandtest.Platform)
	r := l.Deploy("clinic", "web: wait", "release: say ok")
	l.until("what is known is done", func() bool { return l.release(r.ID).Current && len(l.left()) == 1 })
	if !strings.Contains(l.Log.String(), "unknown kind") {
		t.Errorf("log: %s", l.Log)
	}
}

type oddJob struct{}

func (*oddJob) Action() string { return "test.job" }
func (*oddJob) Aim(store.View) (control.Aim, error) {
	return control.Aim{Target: ledger.Target{Kind: "test"}, Need: "system"}, nil
}

func (*oddJob) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	d.Job("balloon.launch", "x")
	return nil
}

// TestProvisioning tells once why a database is not there, and takes down what
// there is of it.
func TestProvisioning(t *testing.T) {
	l := newLab(t)
	l.start()
	create := &addons.Create{App: "clinic", Plan: "heroku-postgresql", Name: "records"}
	l.Do(create, l.As("root"))
	addon := func() *document.Addon { return commandtest.Get[*document.Addon](l.World, create.Addon.ID) }
	l.until("it waits for the image", func() bool { return strings.Contains(l.Log.String(), "image is not built yet") })
	l.Do(&installation.RecordImage{Image: document.Image{Name: "postgres", Digest: l.Image}}, commandtest.Platform)
	l.Engine.Fail("EnsureVolume", fault.New(fault.Conflict, "The host has no room for 2 GB."))
	for range 3 {
		tries := l.Engine.Count("EnsureVolume")
		l.Skip(2 * time.Minute)
		l.until("it is tried again", func() bool { return l.Engine.Count("EnsureVolume") > tries })
	}
	l.until("the reason is on record", func() bool { return addon().Message != "" })
	failed := 0
	for _, e := range l.Since(0) {
		if e.Action == "addon.provision" {
			failed++
		}
	}
	if a := addon(); failed != 1 || a.Message != "The host has no room for 2 GB." || a.State != document.AddonProvisioning {
		t.Errorf("%d entries, %+v", failed, a)
	}
	// There is room now: volume and container come, and the wait for the server
	// behind them begins.
	l.Engine.Fail("EnsureVolume", nil)
	l.Skip(2 * time.Minute)
	l.until("the container runs", func() bool {
		o := l.Engine.Seen(t)
		return len(o.Volumes) == 2 && len(o.Formations) == 1 && o.Formations[0].Ready == 1
	})
	l.Do(&addons.Destroy{Identity: "records"}, l.As("root"))
	l.until("nothing is left of it", func() bool {
		l.Skip(time.Minute)
		o := l.Engine.Seen(t)
		return len(o.Volumes) == 0 && len(o.Formations) == 0 && l.Gone(document.KindAddon, create.Addon.ID)
	})
	l.done()
	last := l.Since(l.Size() - 1)[0]
	for _, of := range []string{"", "server_"} {
		if last.Action != "addon.dispose" || last.Detail(of+"volume") == "" || last.Detail(of+"key_removed") != "true" || last.Detail(of+"read_tried") == "" {
			t.Errorf("recorded as %v %v", last, last.Details)
		}
	}
	l.Settle()
	if o := l.Engine.Seen(t); len(o.Volumes) != 0 || len(o.Formations) != 0 {
		t.Errorf("it came back: %+v", o)
	}
}

// TestDisposalRefused tells once that something holds the volume of a database
// that is to go, and goes on when it is let go.
func TestDisposalRefused(t *testing.T) {
	l := newLab(t)
	l.start()
	create := &addons.Create{App: "clinic", Plan: "heroku-postgresql", Name: "records"}
	l.Do(create, l.As("root"))
	busy := "The volume is in use: stop what uses it first."
	l.Engine.Fail("DestroyVolume", fault.New(fault.Conflict, "%s", busy))
	l.Do(&addons.Destroy{Identity: "records"}, l.As("root"))
	l.until("it is tried again", func() bool { return l.Engine.Count("DestroyVolume") > 2 })
	var refused []commandtest.Line
	for _, e := range l.Since(0) {
		if e.Action == "addon.dispose" {
			refused = append(refused, e)
		}
	}
	if len(refused) != 1 || refused[0].Outcome != ledger.Failed || refused[0].Error != busy {
		t.Errorf("recorded as %v", refused)
	}
	if a := commandtest.Get[*document.Addon](l.World, create.Addon.ID); a.Message != busy || a.State != document.AddonDeprovisioning {
		t.Errorf("%+v", a)
	}
	l.Engine.Fail("DestroyVolume", nil)
	l.until("it is gone", func() bool { return l.Gone(document.KindAddon, create.Addon.ID) })
	if last := l.Since(l.Size() - 1)[0]; last.Action != "addon.dispose" || last.Outcome != ledger.OK {
		t.Errorf("recorded as %v", last)
	}
}

// TestUnknownVolume claims no destruction that nobody saw.
func TestUnknownVolume(t *testing.T) {
	l := newLab(t)
	l.start()
	create := &addons.Create{App: "clinic", Plan: "heroku-postgresql", Name: "records"}
	l.Do(create, l.As("root"))
	l.Engine.Fail("DestroyVolume", fault.New(fault.NotFound, "There is no such volume."))
	l.Do(&addons.Destroy{Identity: "records"}, l.As("root"))
	l.until("the disposal is on record", func() bool {
		l.Skip(time.Minute)
		return l.Gone(document.KindAddon, create.Addon.ID)
	})
	l.done()
	last := l.Since(l.Size() - 1)[0]
	if last.Action != "addon.dispose" || last.Detail("key_removed") != "false" || !strings.Contains(last.Detail("read_tried"), "nothing was destroyed now") {
		t.Errorf("recorded as %v %v", last, last.Details)
	}
}
