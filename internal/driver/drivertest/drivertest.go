// Package drivertest is the suite that every engine passes: the contract of
// package driver, tried out from the outside.
//
// The apps it deploys are lists of statements (drivertest/script); a real
// engine runs them by the program of drivertest/testapp in an image that Layout
// packs. Tests of drivers call Run.
package drivertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// Options of a run.
type Options struct {
	// Image is an OCI layout as a tar stream; Program is the path of the test
	// app in it.
	Image   []byte
	Program string
	// UID that processes run as.
	UID int
	// Patience is how long the suite waits for what must come, Settle for what
	// must not come.
	Patience time.Duration
	Settle   time.Duration
	// Names is true where <formation>.localspace resolves inside a space.
	Names bool
	// Intrude makes, in an area and beside the engine, what a survey should find
	// in the space, and returns what undoes it; nil where it cannot.
	Intrude func(t *testing.T, area, space string) (mend func())
}

// Run runs the suite on one engine that open returns.
func Run(t *testing.T, open func(t *testing.T) driver.Driver, opts Options) {
	if opts.Patience == 0 {
		opts.Patience = 5 * time.Second
	}
	if opts.Settle == 0 {
		opts.Settle = 100 * time.Millisecond
	}
	s := &suite{Options: opts, driver: open(t)}
	digest, err := s.driver.ImportImage(t.Context(), bytes.NewReader(opts.Image))
	if err != nil {
		t.Fatalf("import image: %v", err)
	}
	s.digest = digest
	for _, tt := range []struct {
		name string
		run  func(*bench)
	}{
		{"capabilities", capabilities},
		{"images", images},
		{"faults", faults},
		{"spaces", spaces},
		{"formation", keepsFormation},
		{"rolling", rolls},
		{"replacing", replaces},
		{"draining", drains},
		{"crashing", crashes},
		{"failing boot", failsBoot},
		{"failing boot of a new revision", keepsOldOverFailingBoot},
		{"stopping an instance", stopsInstance},
		{"tasks", tasks},
		{"attached task", attachedTask},
		{"terminal", terminal},
		{"task timeout", taskTimeout},
		{"stopping a task", stopsTask},
		{"closing a session", closesSession},
		{"exec", execs},
		{"files", files},
		{"volume in a container", volumeInContainer},
		{"busy volume", busyVolume},
		{"private formation", privateFormation},
		{"private task", privateTask},
		{"isolation", isolation},
		{"logs", logs},
		{"following logs", followsLogs},
		{"survey", surveys},
		{"refused attempts to leave", refusals},
		{"removing a space", removesSpace},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(s.bench(t)) })
	}
	t.Run("nothing is left", s.nothingLeft)
}

// suite is one run on one engine.
type suite struct {
	Options
	driver driver.Driver
	digest string
}

// bench is a space of its own for one test.
type bench struct {
	*suite
	*testing.T
	space driver.Space
}

func (s *suite) bench(t *testing.T) *bench {
	b := &bench{suite: s, T: t}
	b.space = b.newSpace()
	return b
}

func (b *bench) newSpace() driver.Space {
	b.Helper()
	s := driver.Space{ID: uuid.NewString(), Name: "bench"}
	b.must("ensure space", b.driver.EnsureSpace(b.Context(), s))
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), b.Patience)
		defer cancel()
		if err := b.driver.RemoveSpace(ctx, s.ID); err != nil {
			b.Errorf("remove space: %v", err)
		}
	})
	return s
}

func (b *bench) must(what string, err error) {
	b.Helper()
	if err != nil {
		b.Fatalf("%s: %v", what, err)
	}
}

func (b *bench) wantFault(what string, err error, kind fault.Kind) {
	b.Helper()
	if fault.Of(err) != kind || err == nil {
		b.Errorf("%s: got %v, want a fault of kind %q", what, err, kind)
	}
}

// process runs statements.
func (b *bench) process(statements ...string) driver.Process {
	return driver.Process{
		Image: b.digest, Args: append([]string{b.Program}, statements...), UID: b.UID, Dir: "/",
		Limits: driver.Limits{MemoryBytes: 256 << 20, PIDs: 64},
	}
}

func (b *bench) labels(kind string) driver.Labels {
	return driver.Labels{App: uuid.NewString(), Source: "app", Type: kind}
}

// web is a formation that answers on a port.
func (b *bench) web(quantity int) driver.Formation {
	f := driver.Formation{
		ID: uuid.NewString(), Space: b.space.ID, Labels: b.labels("web"), Name: "web-" + uuid.NewString()[:8],
		Revision: "1", Quantity: quantity, Process: b.process("serve", "wait"), Rolling: true,
		Grace: 2 * time.Second, Boot: b.Patience,
	}
	f.Process.Port = 5000
	f.Process.Env = []driver.EnvVar{{Name: "PORT", Value: "5000"}, {Name: "GREETING", Value: "one"}}
	return f
}

// worker is a formation without a port.
func (b *bench) worker(statements ...string) driver.Formation {
	f := b.web(1)
	f.Labels.Type = "worker"
	f.Process = b.process(statements...)
	return f
}

func (b *bench) apply(f driver.Formation) {
	b.Helper()
	b.must("apply formation", b.driver.ApplyFormation(b.Context(), f))
}

func (b *bench) task(statements ...string) driver.Task {
	return driver.Task{
		ID: uuid.NewString(), Space: b.space.ID, Labels: b.labels("run"), Name: "run.1",
		Process: b.process(statements...), Attach: true,
	}
}

// run runs an attached task to its end.
func (b *bench) run(t driver.Task) (output string, exit driver.Exit) {
	b.Helper()
	s, err := b.driver.StartTask(b.Context(), t)
	b.must("start task", err)
	return b.finish(s)
}

func (b *bench) finish(s driver.Session) (string, driver.Exit) {
	b.Helper()
	defer s.Close()
	ctx, cancel := context.WithTimeout(b.Context(), 2*b.Patience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	out, err := io.ReadAll(s)
	b.must("read session", err)
	exit, err := s.Wait(ctx)
	b.must("wait for session", err)
	return string(out), exit
}

// eventually waits until what it observes is as wanted.
func (b *bench) eventually(what string, ok func(driver.Observation) bool) driver.Observation {
	b.Helper()
	var o driver.Observation
	for deadline := time.Now().Add(b.Patience); ; time.Sleep(b.Patience / 250) {
		var err error
		o, err = b.driver.Observe(b.Context())
		b.must("observe", err)
		if ok(o) {
			return o
		}
		if time.Now().After(deadline) {
			b.Fatalf("not in time: %s\n%s", what, b.describe(o))
		}
	}
}

func (b *bench) describe(o driver.Observation) string {
	var s strings.Builder
	for _, i := range o.Instances {
		fmt.Fprintf(&s, "instance %+v exit %+v\n", i, i.LastExit)
	}
	for _, t := range o.Tasks {
		if t.Space == b.space.ID {
			fmt.Fprintf(&s, "task %+v exit %+v\n", t, t.Exit)
		}
	}
	return s.String()
}

func instances(o driver.Observation, formation string) []driver.Instance {
	var list []driver.Instance
	for _, i := range o.Instances {
		if i.Formation == formation {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(a, b driver.Instance) int { return a.Ordinal - b.Ordinal })
	return list
}

// states is a short picture of a formation: "1:up 2:starting".
func states(o driver.Observation, f driver.Formation) string {
	var list []string
	for _, i := range instances(o, f.ID) {
		list = append(list, strconv.Itoa(i.Ordinal)+":"+i.State+"@"+i.Revision)
	}
	return strings.Join(list, " ")
}

// settled waits until exactly the wanted instances run, and returns them.
func (b *bench) settled(f driver.Formation) []driver.Instance {
	b.Helper()
	var want []string
	for i := range f.Quantity {
		want = append(want, fmt.Sprintf("%d:up@%s", i+1, f.Revision))
	}
	o := b.eventually(fmt.Sprintf("instances %v", want), func(o driver.Observation) bool {
		return states(o, f) == strings.Join(want, " ")
	})
	for _, seen := range o.Formations {
		if seen.ID == f.ID && (seen.Ready != f.Quantity || seen.Digest != driver.Digest(f) || seen.Revision != f.Revision) {
			b.Errorf("formation is observed as %+v, want %d ready with digest %s", seen, f.Quantity, driver.Digest(f))
		}
	}
	return instances(o, f.ID)
}

// ask sends a line to a formation by Dial and returns the answer.
func (b *bench) ask(f driver.Formation, text string) (string, error) {
	c, err := b.driver.Dial(b.Context(), f.ID, f.Process.Port)
	if err != nil {
		return "", err
	}
	defer c.Close()
	timer := time.AfterFunc(b.Patience, func() { c.Close() })
	defer timer.Stop()
	if _, err := io.WriteString(c, text+"\n"); err != nil {
		return "", err
	}
	answer := make([]byte, 0, 100)
	for one := make([]byte, 1); ; {
		if _, err := c.Read(one); err != nil {
			return "", err
		}
		if one[0] == '\n' {
			return string(answer), nil
		}
		answer = append(answer, one[0])
	}
}

// newVolume makes a volume and disposes of it in the end.
func (b *bench) newVolume() driver.Volume {
	b.Helper()
	v := driver.Volume{ID: uuid.NewString(), Space: b.space.ID, Bytes: 1 << 20, Key: make([]byte, 64)}
	rand.Read(v.Key)
	b.must("ensure volume", b.driver.EnsureVolume(b.Context(), v))
	b.Cleanup(func() { b.dispose(v) })
	return v
}

func (b *bench) dispose(v driver.Volume) {
	ctx, cancel := context.WithTimeout(context.Background(), b.Patience)
	defer cancel()
	for {
		_, err := b.driver.DestroyVolume(ctx, v.ID)
		if err == nil || fault.Of(err) == fault.NotFound {
			return
		}
		if fault.Of(err) != fault.Conflict || ctx.Err() != nil {
			b.Errorf("destroy volume: %v", err)
			return
		}
		// What held its files is still on its way out.
		o, _ := b.driver.Observe(ctx)
		for _, i := range o.Instances {
			b.driver.RemoveFormation(ctx, i.Formation)
		}
		for _, t := range o.Tasks {
			if t.Space == v.Space {
				b.driver.StopTask(ctx, t.ID)
			}
		}
		time.Sleep(b.Patience / 100)
	}
}

// nothingLeft checks that the tests' own removals emptied the engine.
func (s *suite) nothingLeft(t *testing.T) {
	b := &bench{suite: s, T: t}
	b.eventually("an empty engine", func(o driver.Observation) bool {
		return len(o.Spaces)+len(o.Formations)+len(o.Instances)+len(o.Tasks)+len(o.Volumes) == 0
	})
}
