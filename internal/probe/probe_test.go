package probe_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/installation"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/drivertest"
	"github.com/strongroom/strongroom/internal/driver/drivertest/script"
	"github.com/strongroom/strongroom/internal/driver/memory"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/probe"
)

// engine is the memory engine, with programs that know which space they are
// in, and a hole that lets connections out of one.
type engine struct {
	*memory.Driver
	mu      sync.Mutex
	started []string // spaces of the tasks
	hole    string   // a space whose attempts succeed
	mute    bool     // tasks cannot even reach their resolver
	broken  string   // a space in which none can be started
}

func (e *engine) StartTask(ctx context.Context, t driver.Task) (driver.Session, error) {
	e.mu.Lock()
	e.started = append(e.started, t.Space)
	broken := e.broken == t.Space
	e.mu.Unlock()
	if broken {
		return nil, fault.New(fault.Unavailable, "no container can be started")
	}
	t.Process.Env = append(t.Process.Env, driver.EnvVar{Name: "SPACE", Value: t.Space})
	return e.Driver.StartTask(ctx, t)
}

// program is a web dyno, or what the prober starts: a reader of addresses.
func (e *engine) program(ctx context.Context, sys script.System, args []string) int {
	if len(args) == 1 && args[0] == "web" {
		if _, err := sys.Listen(5000); err != nil {
			return 1
		}
		<-ctx.Done()
		return 0
	}
	lines := bufio.NewScanner(sys.Stdin())
	for lines.Scan() {
		number, address, _ := strings.Cut(lines.Text(), " ")
		open := address == "169.254.1.1 53"
		e.mu.Lock()
		open = !e.mute && (open || e.hole == sys.Env("SPACE"))
		e.mu.Unlock()
		// The real thing, besides: the memory engine keeps spaces apart too.
		if c, err := sys.Dial(ctx, strings.ReplaceAll(address, " ", ":")); err == nil {
			c.Close()
			open = true
		}
		fmt.Fprintln(sys.Stdout(), number, map[bool]string{true: "open", false: "closed"}[open])
	}
	return 0
}

// lab has the dynos of clinic in the space ward up; annex is another space of
// its team, attic one of another team.
func lab(t *testing.T) (*commandtest.World, *engine, *probe.Prober) {
	t.Helper()
	w := commandtest.New(t, commandtest.Noon)
	annex := &spaces.Create{Name: "annex", Team: "care"}
	w.Do(annex, w.As("owner"))
	w.Do(&spaces.Allocated{ID: annex.Space.ID}, commandtest.Platform)
	w.IDs["space:annex"] = annex.Space.ID
	e := &engine{}
	e.Driver = memory.New(memory.Config{Program: e.program})
	t.Cleanup(func() { e.Close() })
	ctx := t.Context()
	digest, err := e.ImportImage(ctx, bytes.NewReader(drivertest.Layout(t, []byte("no program"))))
	if err != nil {
		t.Fatal(err)
	}
	w.Do(&installation.RecordImage{Image: document.Image{Name: "base", Digest: digest}}, commandtest.Platform)
	w.IDs["space:builds"] = document.NewScope()
	for _, name := range []string{"ward", "attic", "annex", "builds"} {
		if err := e.EnsureSpace(ctx, driver.Space{ID: w.IDs["space:"+name], Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range commandtest.Find[*document.Formation](w, "app", w.IDs["app:clinic"]) {
		if x.Type == "web" {
			e.up(t, driver.Formation{ID: x.ID, Space: w.IDs["space:ward"], Name: "web.clinic.app", Quantity: 2}, digest)
		}
	}
	p := probe.New(probe.Config{Store: w.Store, Kernel: w.Kernel, Driver: e, Builds: w.IDs["space:builds"], Log: slog.New(slog.DiscardHandler), Now: w.Now})
	return w, e, p
}

// up runs a formation and waits for its instances.
func (e *engine) up(t *testing.T, f driver.Formation, image string) {
	t.Helper()
	f.Revision, f.Labels = "1", driver.Labels{Source: "app", Type: "web"}
	f.Process = driver.Process{Image: image, Args: []string{"/app", "web"}, Port: 5000, UID: 1000}
	if err := e.ApplyFormation(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	for up := 0; up < f.Quantity; time.Sleep(time.Millisecond) {
		o, err := e.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		up = 0
		for _, i := range o.Instances {
			if i.Formation == f.ID && i.State == driver.Up {
				up++
			}
		}
	}
}

// recorded are the attempts on record at a space, each as a sentence.
func recorded(w *commandtest.World, space string) (out []string) {
	for _, a := range commandtest.Find[*document.Attempt](w, "scope", w.IDs["space:"+space]) {
		out = append(out, fmt.Sprintf("%s, from %s, at %s: refused %v, %d times", a.Name, a.From, a.Target, a.Refused, a.Count))
	}
	return out
}

func TestAttack(t *testing.T) {
	w, e, p := lab(t)
	if err := p.Attack(t.Context(), w.IDs["space:ward"]); err != nil {
		t.Fatal(err)
	}
	// A port at which nothing listens would be closed to everybody: it is not
	// tried. What other teams call their spaces is not told.
	want := []string{
		"reach another space's dyno, from a container of the platform's builds, at clinic web dyno, TCP port 5000: refused true, 2 times",
		"reach another space's dyno, from a dyno in another team's space, at clinic web dyno, TCP port 5000: refused true, 2 times",
		"reach another space's dyno, from a dyno in space annex, at clinic web dyno, TCP port 5000: refused true, 2 times",
	}
	if diff := cmp.Diff(want, recorded(w, "ward")); diff != "" {
		t.Errorf("on record (-want +got):\n%s", diff)
	}

	// One that gets through is not made good by the next that does not.
	e.mu.Lock()
	e.hole = w.IDs["space:annex"]
	e.mu.Unlock()
	w.Pass(time.Hour)
	if err := p.Attack(t.Context(), w.IDs["space:ward"]); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		want[i] = strings.Replace(want[i], "2 times", "4 times", 1)
	}
	want[2] = strings.Replace(want[2], "refused true", "refused false", 1)
	if diff := cmp.Diff(want, recorded(w, "ward")); diff != "" {
		t.Errorf("with a hole (-want +got):\n%s", diff)
	}
}

// TestRound: on schedule each space is tried from every other, with one container
// in each; where none can be started, the others still try.
func TestRound(t *testing.T) {
	w, e, _ := lab(t)
	w.Do(&apps.Create{Name: "desk", Space: "annex"}, w.As("owner"))
	database := &addons.Create{App: "desk", Plan: "heroku-postgresql:private-0", Name: "ledgers"}
	w.Do(database, w.As("owner"))
	w.Do(&addons.Provisioned{ID: database.Addon.ID, Image: "sha256:" + strings.Repeat("0", 64)}, commandtest.Platform)
	e.up(t, driver.Formation{ID: database.Addon.ID, Space: w.IDs["space:annex"], Name: "ledgers", Quantity: 1}, commandtest.Find[*document.Image](w, "name", "base")[0].Digest)
	e.broken = w.IDs["space:builds"]

	ctx, stop := context.WithCancel(t.Context())
	p := probe.New(probe.Config{Store: w.Store, Kernel: w.Kernel, Driver: e, Builds: w.IDs["space:builds"], Log: slog.New(slog.DiscardHandler), Now: w.Now, Every: time.Second})
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	for end := time.Now().Add(time.Minute); len(recorded(w, "ward"))+len(recorded(w, "annex")) < 4 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for space, want := range map[string][]string{
		"ward": {
			"reach another space's dyno, from a dyno in another team's space, at clinic web dyno, TCP port 5000: refused true, 2 times",
			"reach another space's dyno, from a dyno in space annex, at clinic web dyno, TCP port 5000: refused true, 2 times",
		},
		"annex": {
			"reach another space's database, from a dyno in another team's space, at database ledgers, TCP port 5432: refused true, 1 times",
			"reach another space's database, from a dyno in space ward, at database ledgers, TCP port 5432: refused true, 1 times",
		},
	} {
		got := recorded(w, space)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("at %s (-want +got):\n%s", space, diff)
		}
	}
	if len(e.started) != 4 {
		t.Errorf("%d containers were started, want one in each space", len(e.started))
	}
}

func TestAttemptsThatProveNothing(t *testing.T) {
	w, e, p := lab(t)
	e.mute = true
	if err := p.Attack(t.Context(), w.IDs["space:ward"]); fault.Of(err) != fault.Unavailable {
		t.Errorf("%v, want unavailable", err)
	}
	if list := recorded(w, "ward"); len(list) != 0 {
		t.Errorf("on record: %v", list)
	}
}

func TestAttackNotTooOften(t *testing.T) {
	w, e, p := lab(t)
	ward := w.IDs["space:ward"]
	for _, c := range []struct {
		wait    time.Duration
		space   string
		want    fault.Kind
		started int // tasks, in all
	}{
		{0, ward, "", 3},
		{59 * time.Second, ward, fault.TooMany, 3},
		{0, w.IDs["space:attic"], "", 3}, // another space; nothing listens in it
		{time.Second, ward, "", 6},
	} {
		w.Pass(c.wait)
		if err := p.Attack(t.Context(), c.space); fault.Of(err) != c.want {
			t.Errorf("%v, want %q", err, c.want)
		}
		if len(e.started) != c.started {
			t.Errorf("%d tasks were started, want %d", len(e.started), c.started)
		}
	}
	if err := p.Attack(t.Context(), "01934f6e-7a10-7c3e-8f21-5b6c7d8e9fa0"); fault.Of(err) != fault.NotFound {
		t.Errorf("a space that there is not: %v", err)
	}
}
