package reconciletest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/internal/driver"
)

// Engine is a driver that fails where it is told to and keeps what it was asked.
type Engine struct {
	driver.Driver
	mu     sync.Mutex
	fail   map[string]error // by call, or call and id
	calls  []string
	hook   func(call string) error
	Routes map[string]driver.Routes // as applied
	// Strangers are observed at each space, by id.
	Strangers map[string][]driver.Stranger

	formations map[string]driver.Formation // as applied
}

// Fail makes a call fail, "ApplyFormation", or one on an id, "ApplyFormation
// <id>"; nil ends that.
func (e *Engine) Fail(call string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fail[call] = err
}

// Hook is called before each call; its error takes the call's place.
func (e *Engine) Hook(fn func(call string) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hook = fn
}

// Calls lists what was asked, but for observations.
func (e *Engine) Calls() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.calls)
}

// Forget empties the list of calls.
func (e *Engine) Forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = nil
}

// Count of calls that begin so.
func (e *Engine) Count(prefix string) (n int) {
	for _, c := range e.Calls() {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

func (e *Engine) count() int { return len(e.Calls()) }

// Seen is what the engine holds.
func (e *Engine) Seen(t testing.TB) driver.Observation {
	t.Helper()
	o, err := e.Driver.Observe(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (e *Engine) call(name, id string) error {
	e.mu.Lock()
	hook := e.hook
	e.mu.Unlock()
	if hook != nil {
		if err := hook(name); err != nil {
			return err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if name != "Observe" {
		e.calls = append(e.calls, name+" "+id)
	}
	for _, key := range []string{name, name + " " + id, "*"} {
		if err := e.fail[key]; err != nil {
			return fmt.Errorf("%s %s: %w", name, id, err)
		}
	}
	return nil
}

// Observe implements driver.Driver.
func (e *Engine) Observe(ctx context.Context) (driver.Observation, error) {
	if err := e.call("Observe", ""); err != nil {
		return driver.Observation{}, err
	}
	o, err := e.Driver.Observe(ctx)
	for i := range o.Spaces {
		o.Spaces[i].Strangers = e.Strangers[o.Spaces[i].ID]
	}
	return o, err
}

// EnsureSpace implements driver.Driver.
func (e *Engine) EnsureSpace(ctx context.Context, s driver.Space) error {
	if err := e.call("EnsureSpace", s.ID); err != nil {
		return err
	}
	return e.Driver.EnsureSpace(ctx, s)
}

// RemoveSpace implements driver.Driver.
func (e *Engine) RemoveSpace(ctx context.Context, id string) error {
	if err := e.call("RemoveSpace", id); err != nil {
		return err
	}
	return e.Driver.RemoveSpace(ctx, id)
}

// EnsureVolume implements driver.Driver.
func (e *Engine) EnsureVolume(ctx context.Context, v driver.Volume) error {
	if err := e.call("EnsureVolume", v.ID); err != nil {
		return err
	}
	return e.Driver.EnsureVolume(ctx, v)
}

// DestroyVolume implements driver.Driver.
func (e *Engine) DestroyVolume(ctx context.Context, id string) (driver.Disposal, error) {
	if err := e.call("DestroyVolume", id); err != nil {
		return driver.Disposal{}, err
	}
	return e.Driver.DestroyVolume(ctx, id)
}

// ApplyFormation implements driver.Driver.
func (e *Engine) ApplyFormation(ctx context.Context, f driver.Formation) error {
	if err := e.call("ApplyFormation", f.ID); err != nil {
		return err
	}
	e.mu.Lock()
	if e.formations == nil {
		e.formations = map[string]driver.Formation{}
	}
	e.formations[f.ID] = f
	e.mu.Unlock()
	return e.Driver.ApplyFormation(ctx, f)
}

// Formation is what was applied last under an id.
func (e *Engine) Formation(id string) driver.Formation {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.formations[id]
}

// RemoveFormation implements driver.Driver.
func (e *Engine) RemoveFormation(ctx context.Context, id string) error {
	if err := e.call("RemoveFormation", id); err != nil {
		return err
	}
	return e.Driver.RemoveFormation(ctx, id)
}

// StopInstance implements driver.Driver.
func (e *Engine) StopInstance(ctx context.Context, id string) error {
	if err := e.call("StopInstance", id); err != nil {
		return err
	}
	return e.Driver.StopInstance(ctx, id)
}

// StartTask implements driver.Driver.
func (e *Engine) StartTask(ctx context.Context, t driver.Task) (driver.Session, error) {
	if err := e.call("StartTask", t.ID); err != nil {
		return nil, err
	}
	return e.Driver.StartTask(ctx, t)
}

// StopTask implements driver.Driver.
func (e *Engine) StopTask(ctx context.Context, id string) error {
	if err := e.call("StopTask", id); err != nil {
		return err
	}
	return e.Driver.StopTask(ctx, id)
}

// ApplyRoutes implements driver.Driver.
func (e *Engine) ApplyRoutes(ctx context.Context, r driver.Routes) error {
	if err := e.call("ApplyRoutes", r.Space); err != nil {
		return err
	}
	e.mu.Lock()
	e.Routes[r.Space] = r
	e.mu.Unlock()
	return e.Driver.ApplyRoutes(ctx, r)
}
