// Package simulation lives a year of an organisation that does not exist, in
// minutes: people, releases, sessions, databases and what goes wrong with them,
// by the real commands, kernel, store, checks and exporter, under a clock of its
// own. What goes wrong is planted, and Truth lists it, so that what reports say
// can be held against what happened.
//
// Invariants: the installation is marked simulated in its first entry; nothing
// is written past the kernel; the same seed tells the same story, to the second
// (ids, keys and salts are drawn anew each time). `strongroom simulate` and
// tests/year call it.
package simulation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/compliance/builtin"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/fault"
)

// Config of a year.
type Config struct {
	Dir     string // to be made or empty: ledger, blobs, keys, anchor
	Seed    uint64
	Entries int64 // how many to come to, roughly; the story itself needs MinEntries
	// Step is how often the checks run: it divides a day. A check that a real
	// installation runs every ten minutes would be most of the simulation's work.
	Step     time.Duration
	Log      *slog.Logger
	Progress func(day int, entries int64) // nil: nobody asks
}

// MinEntries is what the story itself comes to; the rest is everyday work.
const MinEntries = 10_000

// Begin is when each simulated year begins, and Days how long it lasts.
var Begin = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// Days of the year.
const Days = 365

// life is a year while it is lived.
type life struct {
	*site
	cfg   Config
	ctx   context.Context
	rand  *rand.Rand
	truth Truth

	acts    []act
	teams   []*team
	people  map[string]*person
	host    map[string]string // what is wrong with the host, by check
	hung    map[string]bool   // checks that hang
	looking *compliance.Programme
	engine  *compliance.Engine // nil while it is down
	entries int64
}

// act is something that happens at a time.
type act struct {
	at time.Time
	do func() error
}

// Live lives a year and gives the installation at its end. The caller closes it.
func Live(ctx context.Context, cfg Config) (*Year, error) {
	if cfg.Step < time.Hour || (24*time.Hour)%cfg.Step != 0 || cfg.Step > 12*time.Hour {
		return nil, fault.New(fault.Invalid, "The checks of a simulation run every 1, 2, 3, 4, 6, 8 or 12 hours, not every %s.", cfg.Step)
	}
	if cfg.Entries < MinEntries {
		return nil, fault.New(fault.Invalid, "A year comes to %d entries at least.", MinEntries)
	}
	real, err := builtin.Programme(builtin.Reach{})
	if err != nil {
		return nil, err
	}
	s, err := newSite(ctx, cfg)
	if err != nil {
		return nil, err
	}
	l := &life{
		site: s, cfg: cfg, ctx: ctx, rand: rand.New(rand.NewPCG(cfg.Seed, cfg.Seed)), people: map[string]*person{},
		host: map[string]string{}, hung: map[string]bool{},
	}
	l.looking = l.programme(real)
	if err := l.live(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &Year{site: s, Programme: l.looking, Truth: l.truth}, nil
}

func (l *life) live() error {
	if err := l.found(); err != nil {
		return err
	}
	l.truth.Step, l.truth.First = l.cfg.Step, Begin.Add(24*time.Hour)
	l.plant()
	slices.SortStableFunc(l.acts, func(a, b act) int { return a.at.Compare(b.at) })
	l.start()
	steps := int(Days * 24 * time.Hour / l.cfg.Step)
	for n := int(24 * time.Hour / l.cfg.Step); n <= steps; n++ {
		if err := l.step(n, steps); err != nil {
			return fmt.Errorf("at %s: %w", l.Now().Format(time.RFC3339), err)
		}
	}
	l.truth.Last = l.Now()
	l.set(l.Now().Add(time.Hour)) // when packs of the year can be made
	return nil
}

// step lives up to the next run of the checks, and that run.
func (l *life) step(n, steps int) error {
	end := Begin.Add(time.Duration(n) * l.cfg.Step)
	if end.After(l.truth.First) {
		l.everyday(end.Add(-l.cfg.Step), steps-n+1)
	}
	for len(l.acts) > 0 && !l.acts[0].at.After(end) {
		a := l.acts[0]
		l.acts = l.acts[1:]
		if a.at.After(l.Now()) { // what came before took seconds
			l.set(a.at)
		}
		if err := a.do(); err != nil {
			return err
		}
	}
	if l.Now().After(end) {
		return fmt.Errorf("what happens takes longer than until %s", end)
	}
	l.set(end)
	if _, _, err := l.Checkpoints.Sign(l.ctx); err != nil {
		return err
	}
	if l.engine == nil {
		return nil
	}
	if err := l.engine.Due(l.ctx); err != nil && len(l.hung) == 0 {
		return err
	}
	if l.cfg.Progress != nil && end.Sub(Begin)%(24*time.Hour) == 0 {
		l.cfg.Progress(int(end.Sub(Begin)/(24*time.Hour)), l.entries)
	}
	return nil
}

// at makes something happen at a time.
func (l *life) at(t time.Time, do func() error) {
	i, _ := slices.BinarySearchFunc(l.acts, t, func(a act, t time.Time) int {
		if a.at.After(t) {
			return 1
		}
		return -1
	})
	l.acts = slices.Insert(l.acts, i, act{t, do})
}

// do executes a command that must succeed.
func (l *life) do(cmd control.Command, by control.By) error {
	if _, err := l.Kernel.Execute(l.ctx, cmd, by); err != nil {
		return fmt.Errorf("%s: %w", cmd.Action(), err)
	}
	return nil
}

// all executes commands as so many callers would, and tells of the first that
// was refused.
func (l *life) all(list []order) error {
	var wg sync.WaitGroup
	errs := make([]error, len(list))
	for lane := range callers {
		wg.Go(func() {
			for i := lane; i < len(list); i += callers {
				errs[i] = l.do(list[i].cmd, list[i].by)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// callers are as many as fill the kernel's batches.
const callers = 64

// order is a command with who gives it.
type order struct {
	cmd control.Command
	by  control.By
}
