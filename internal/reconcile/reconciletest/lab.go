// Package reconciletest is an installation whose engine is driver/memory, for
// the tests of what goes from the ledger to the engine: reconcile, operation.
//
// Commands of processes are statements of drivertest/script, separated by "; ".
package reconciletest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/drivertest"
	"github.com/strongroom/strongroom/internal/driver/drivertest/script"
	"github.com/strongroom/strongroom/internal/driver/formation"
	"github.com/strongroom/strongroom/internal/driver/memory"
	"github.com/strongroom/strongroom/internal/reconcile"
	"github.com/strongroom/strongroom/internal/secret"
)

// Lab is the installation: root owns the team care, which needs no approvals,
// and its space ward.
type Lab struct {
	*commandtest.World
	Engine *Engine
	Image  string // that all processes run
	Log    *Log
	Shelf  *Shelf
	Loop   *reconcile.Loop

	mu   sync.Mutex
	skip time.Duration
}

// New makes one. Nothing has been reconciled yet.
func New(t *testing.T) *Lab {
	t.Helper()
	l := &Lab{World: commandtest.Bare(t, time.Time{}), Log: &Log{}}
	mem := memory.New(memory.Config{Program: program, Policy: formation.Policy{Base: 50 * time.Millisecond, Max: time.Second}})
	t.Cleanup(func() {
		if err := mem.Close(); err != nil {
			t.Error(err)
		}
	})
	l.Engine = &Engine{Driver: mem, fail: map[string]error{}, Routes: map[string]driver.Routes{}}
	var err error
	if l.Image, err = mem.ImportImage(t.Context(), bytes.NewReader(drivertest.Layout(t, []byte("a goroutine needs no program")))); err != nil {
		t.Fatal(err)
	}
	wrapper, err := secret.OpenMasterFile(filepath.Join(l.Dir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	l.Shelf = &Shelf{Shelf: l.Store, lost: map[string]bool{}}
	l.Keyring = secret.NewKeyring(wrapper, l.Shelf)
	none := 0
	l.Do(&teams.Create{Name: "care"}, l.As("root"))
	l.Do(&teams.UpdatePolicy{Team: "care", Approvals: &none, Exception: true}, l.As("root"))
	l.Space("ward")
	l.Restart()
	return l
}

// program runs what build.Launch starts, which is one script; or else, for a
// database's container with its settings, something that listens on its port.
func program(ctx context.Context, sys script.System, args []string) int {
	statements := []string{"serve", "wait"}
	if len(args) == 1 {
		statements = strings.Split(args[0], "; ")
	}
	return script.Run(ctx, sys, statements)
}

// Now is the wall clock, moved by Skip.
func (l *Lab) Now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Add(l.skip)
}

// Skip lets pauses end.
func (l *Lab) Skip(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.skip += d
}

// Processes are what makes containers.
func (l *Lab) Processes() reconcile.Processes {
	return reconcile.Processes{Store: l.Store, Keyring: l.Keyring}
}

// Restart makes the loop anew, as a start of the server does.
func (l *Lab) Restart() {
	l.Loop = reconcile.New(reconcile.Config{
		Processes: l.Processes(), Kernel: l.Kernel, Driver: l.Engine, Log: slog.New(slog.NewTextHandler(l.Log, nil)), Now: l.Now,
	})
}

// Space makes a space of the team.
func (l *Lab) Space(name string) *document.Space {
	l.T.Helper()
	cmd := &spaces.Create{Name: name, Team: "care"}
	l.Do(cmd, l.As("root"))
	l.IDs["space:"+name] = cmd.Space.ID
	return cmd.Space
}

// App makes an app in a space.
func (l *Lab) App(name, space string) *document.App {
	l.T.Helper()
	cmd := &apps.Create{Name: name, Space: space, Domain: "apps.localhost"}
	l.Do(cmd, l.As("root"))
	l.IDs["app:"+name] = cmd.App.ID
	return cmd.App
}

// Deploy releases process types: "web: serve; wait".
func (l *Lab) Deploy(app string, procfile ...string) *document.Release {
	l.T.Helper()
	start := &releases.StartBuild{App: app, Commit: strings.Repeat("a", 40)}
	l.Do(start, l.As("root"))
	slug := document.Slug{Image: l.Image}
	for _, line := range procfile {
		name, command, _ := strings.Cut(line, ": ")
		slug.Processes = append(slug.Processes, document.Process{Type: name, Command: command})
	}
	finish := &releases.FinishBuild{ID: start.Build.ID, Slug: slug}
	l.Do(finish, commandtest.Platform)
	return finish.Release
}

// Set sets a config var.
func (l *Lab) Set(app, name, value string) *document.Release {
	l.T.Helper()
	cmd := &config.Set{App: app, Values: map[string]*secret.Value{name: commandtest.Value(value)}}
	l.Do(cmd, l.As("root"))
	return cmd.Release
}

// Formation of an app, nil if there is none.
func (l *Lab) Formation(app, processType string) *document.Formation {
	l.T.Helper()
	for _, f := range commandtest.Find[*document.Formation](l.World, "app+type", l.IDs["app:"+app]+"+"+processType) {
		return f
	}
	return nil
}

// Dynos of an app as they are on record: "web.1 up v3".
func (l *Lab) Dynos(app string) (out []string) {
	l.T.Helper()
	for _, d := range commandtest.Find[*document.Dyno](l.World, "app", l.IDs["app:"+app]) {
		out = append(out, fmt.Sprintf("%s %s v%d", d.Name, d.State, d.Release))
	}
	slices.Sort(out)
	return out
}

// Until reconciles until something is so, or ends the test.
func (l *Lab) Until(what string, ok func() bool) {
	l.T.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		err = l.Loop.Once(l.T.Context())
		if ok() {
			return
		}
	}
	l.T.Fatalf("in vain until %s: %v\nengine: %+v\nlog: %s", what, err, l.Engine.Seen(l.T), l.Log)
}

// UntilDynos reconciles until the dynos on record are these.
func (l *Lab) UntilDynos(app string, want ...string) {
	l.T.Helper()
	l.Until(fmt.Sprintf("%s has the dynos %v", app, want), func() bool { return slices.Equal(l.Dynos(app), want) })
}

// Settle reconciles until there is nothing left to do: three turns without a
// call and without an entry.
func (l *Lab) Settle() {
	l.T.Helper()
	quiet := 0
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		before, calls := l.Size(), l.Engine.count()
		if err := l.Loop.Once(l.T.Context()); err != nil {
			l.T.Fatal(err)
		}
		if quiet++; l.Size() != before || l.Engine.count() != calls {
			quiet = 0
		}
		if quiet == 3 {
			return
		}
	}
	l.T.Fatalf("it does not come to rest: %v", l.Engine.Calls())
}

// Ask sends a line to a formation's instance that serves.
func (l *Lab) Ask(f *document.Formation, text string) string {
	l.T.Helper()
	ctx, cancel := context.WithTimeout(l.T.Context(), 10*time.Second)
	defer cancel()
	c, err := l.Engine.Dial(ctx, f.ID, reconcile.WebPort)
	if err != nil {
		l.T.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text+"\n"); err != nil {
		l.T.Fatal(err)
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		l.T.Fatal(err)
	}
	return strings.TrimSpace(answer)
}

// Log keeps what was logged.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Shelf is where secrets lie; it loses those that it is told to.
type Shelf struct {
	secret.Shelf
	mu   sync.Mutex
	lost map[string]bool
}

// Lose makes a sealed value one that cannot be read, or finds it again.
func (s *Shelf) Lose(id string, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost[id] = lost
}

// Sealed implements secret.Shelf.
func (s *Shelf) Sealed(ctx context.Context, id string) (secret.Sealed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost[id] {
		return secret.Sealed{}, fmt.Errorf("the disk has a bad block at %s", id)
	}
	return s.Shelf.Sealed(ctx, id)
}

// Run starts the loop and gives its end.
func (l *Lab) Run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Loop.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			l.T.Error(err)
		}
	})
	l.T.Cleanup(stop)
	return stop
}
