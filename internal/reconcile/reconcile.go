// Package reconcile brings the engine to what the ledger says: observe, plan,
// act, and record what became of it through control.
//
// Invariants: it only carries out what is on record; what it observes becomes
// state by its own entries, as the actor "reconciler"; an action that fails is
// tried again with growing pauses and holds up no other. internal/server runs it.
package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/plan"
	"github.com/strongroom/strongroom/internal/postgres"
)

// Config of a Loop.
type Config struct {
	Processes
	Kernel *control.Kernel
	Driver driver.Driver
	Log    *slog.Logger
	Now    func() time.Time
	// Every is how often the engine is looked at when nothing changes
	// (default 1 s).
	Every time.Duration
}

// Loop reconciles. Create it with New, run it with Run.
type Loop struct {
	cfg      Config
	built    map[string]built // formations by id
	issued   map[string]issued
	backoff  map[attempt]pause
	lastErr  string
	observed driver.Observation
	// strangers is when the refused connections of a space were last written down.
	strangers map[string]time.Time
	// refused is when attempts to leave a space were last looked at.
	refused map[string]time.Time
}

// attempt is an action with what it is to bring about: something else is
// another attempt, and is not held up by what failed.
type attempt struct {
	plan.Action
	digest string
}

type pause struct {
	tries int
	until time.Time
}

// New returns a loop.
func New(cfg Config) *Loop {
	if cfg.Every == 0 {
		cfg.Every = time.Second
	}
	return &Loop{
		cfg: cfg, built: map[string]built{}, issued: map[string]issued{}, backoff: map[attempt]pause{},
		strangers: map[string]time.Time{}, refused: map[string]time.Time{},
	}
}

// by is the reconciler as an actor.
func by() control.By { return control.System("reconciler", ledger.ViaReconciler) }

// Run reconciles at each change and every so often, until ctx ends.
func (l *Loop) Run(ctx context.Context) error {
	tick := time.NewTicker(l.cfg.Every)
	defer tick.Stop()
	for {
		changed := l.cfg.Kernel.Changed()
		err := l.Once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		l.report(err)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-tick.C:
		}
	}
}

// report logs an error once, not at every turn.
func (l *Loop) report(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != l.lastErr && text != "" {
		l.cfg.Log.Warn("reconcile", "error", err)
	}
	l.lastErr = text
}

// Once observes, plans and acts one time. It observes first: what internal/operation
// makes for a new document meanwhile would else look like what nobody wants.
func (l *Loop) Once(ctx context.Context) error {
	var err error
	if l.observed, err = l.cfg.Driver.Observe(ctx); err != nil {
		return err
	}
	w, err := readWorld(ctx, l.cfg.Store)
	if err != nil {
		return err
	}
	d, err := l.desire(ctx, w)
	wanted := d.plan(w)
	tried := map[attempt]pause{}
	for _, a := range plan.Actions(wanted, l.observed) {
		l.try(ctx, attempt{a, digestOf(wanted, a)}, w, d, tried)
	}
	l.backoff = tried // what is not needed any more is forgotten
	return errors.Join(err, l.recordDynos(ctx, w), l.recordStrangers(ctx, w), l.recordRefused(ctx))
}

func digestOf(d plan.Desired, a plan.Action) string {
	switch a.Do {
	case plan.EnsureSpace:
		return d.Spaces[a.ID].Digest
	case plan.ApplyFormation:
		return d.Formations[a.ID].Digest
	case plan.ApplyRoutes:
		return d.Spaces[a.ID].Routes
	}
	return ""
}

// maxPause is the longest that a failing action waits.
const maxPause = time.Minute

// try carries an action out unless it failed a moment ago.
func (l *Loop) try(ctx context.Context, a attempt, w *world, d *desired, tried map[attempt]pause) {
	now := l.cfg.Now()
	p := l.backoff[a]
	if now.Before(p.until) {
		tried[a] = p
		return
	}
	err := l.act(ctx, a.Action, w, d)
	if err == nil || ctx.Err() != nil {
		return
	}
	p.tries++
	p.until = now.Add(min(maxPause, time.Second<<min(p.tries, 6)))
	tried[a] = p
	l.cfg.Log.Warn("action failed", "do", a.Do, "id", a.ID, "tries", p.tries, "error", err)
}

func (l *Loop) act(ctx context.Context, a plan.Action, w *world, d *desired) error {
	switch a.Do {
	case plan.EnsureSpace:
		return l.cfg.Driver.EnsureSpace(ctx, d.spaces[a.ID])
	case plan.UnlockVolume:
		return l.unlock(ctx, w, a.ID)
	case plan.ApplyFormation:
		return l.cfg.Driver.ApplyFormation(ctx, d.formations[a.ID])
	case plan.ApplyRoutes:
		return l.cfg.Driver.ApplyRoutes(ctx, d.routes[a.ID])
	case plan.RemoveFormation:
		return l.cfg.Driver.RemoveFormation(ctx, a.ID)
	case plan.RemoveSpace:
		return l.cfg.Driver.RemoveSpace(ctx, a.ID)
	case plan.SpaceAllocated:
		_, err := l.cfg.Kernel.Execute(ctx, &spaces.Allocated{ID: a.ID}, by())
		return err
	case plan.SpaceGone:
		_, err := l.cfg.Kernel.Execute(ctx, &spaces.Gone{ID: a.ID}, by())
		return err
	}
	return fault.New(fault.Invalid, "unknown action %q", a.Do)
}

// recordDynos writes down what runs for each app where that changed.
func (l *Loop) recordDynos(ctx context.Context, w *world) error {
	formations := map[string]*document.Formation{}
	for _, f := range w.formations {
		formations[f.ID] = f
	}
	seen := map[string][]*document.Dyno{}
	for _, i := range l.observed.Instances {
		if f, ok := formations[i.Formation]; ok {
			seen[f.App] = append(seen[f.App], dynoOf(i, f))
		}
	}
	var errs []error
	for id := range w.apps {
		if unchanged(w.dynos[id], seen[id]) {
			continue
		}
		if _, err := l.cfg.Kernel.Execute(ctx, &apps.ObserveDynos{App: id, Dynos: seen[id]}, by()); err != nil && fault.Of(err) != fault.NotFound {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func dynoOf(i driver.Instance, f *document.Formation) *document.Dyno {
	d := &document.Dyno{
		Base: document.Base{ID: i.ID}, App: f.App, Space: f.Space, Name: instanceName(f.Type, i.Ordinal), Type: f.Type,
		Command: f.Command, Size: f.Size, State: i.State, Release: releaseOf(i.Revision), Formation: f.ID,
	}
	if i.State == driver.Draining {
		d.State = apps.Stopping
	}
	if i.State == driver.Crashed && i.LastExit != nil {
		d.ExitCode = &i.LastExit.Code
	}
	return d
}

func unchanged(have, seen []*document.Dyno) bool {
	have = slices.DeleteFunc(slices.Clone(have), func(d *document.Dyno) bool { return d.Formation == "" })
	if len(have) != len(seen) {
		return false
	}
	byID := map[string]*document.Dyno{}
	for _, d := range have {
		byID[d.ID] = d
	}
	for _, d := range seen {
		if o, ok := byID[d.ID]; !ok || !apps.SameDyno(o, d) {
			return false
		}
	}
	return true
}

// unlock opens a volume with its key, which is unsealed for this moment. One
// that a database does not have yet is made.
func (l *Loop) unlock(ctx context.Context, w *world, volume string) error {
	for _, a := range w.addons {
		if data, server := postgres.VolumeIDs(a); volume != data && volume != server {
			continue
		}
		key, err := l.cfg.Keyring.Open(ctx, a.VolumeKey.ID, a.VolumeKey.SHA256)
		if err != nil {
			return err
		}
		volumes, err := postgres.Volumes(a, key)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(volumes, func(v driver.Volume) bool { return v.ID == volume })
		return l.cfg.Driver.EnsureVolume(ctx, volumes[i])
	}
	return fault.New(fault.NotFound, "no add-on has the volume %s", volume)
}

// revision is what the engine sees of a release: its version and a digest of
// what else must restart the dynos.
func revision(version, digest string) string { return "v" + version + "." + digest }

func releaseOf(revision string) int {
	v, _, _ := strings.Cut(strings.TrimPrefix(revision, "v"), ".")
	n := 0
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}
