// Package probe tries what must not work and puts on record that it did not:
// so far, reaching the dynos and databases of one space from every other and from
// where the platform builds.
//
// Invariants: an attempt is made by a real process in a real container of the
// other space; it counts only if the same process shows in the same run that it
// can reach what it may (its own resolver), else it is left out: an attempt that
// could not have succeeded proves nothing, nor does one at a port where nothing
// listens. A team's ledger names that team's own spaces only. internal/server
// runs it on a schedule and when somebody asks.
package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Config of a Prober.
type Config struct {
	Store  store.Store
	Kernel *control.Kernel
	Driver driver.Driver
	Log    *slog.Logger
	// Builds is the id of the space in which the platform builds: what nobody
	// has approved yet runs there. "" = there is none.
	Builds string
	// Every is how often each space is attacked (default Every).
	Every time.Duration
	// Pause is how long somebody who had a space attacked must wait until it is
	// attacked again because somebody asks (default 1 min).
	Pause time.Duration
	Now   func() time.Time
}

// Every is how often each space is attacked unless it is told otherwise.
const Every = time.Hour

// Prober makes attempts. Safe for concurrent use; one run at a time.
type Prober struct {
	cfg Config
	mu  sync.Mutex // held by the run

	askedMu sync.Mutex
	asked   map[string]time.Time // when somebody last had a space attacked
}

// New returns a prober.
func New(cfg Config) *Prober {
	if cfg.Every == 0 {
		cfg.Every = Every
	}
	if cfg.Pause == 0 {
		cfg.Pause = time.Minute
	}
	return &Prober{cfg: cfg, asked: map[string]time.Time{}}
}

// Run attacks every space on schedule until ctx ends.
func (p *Prober) Run(ctx context.Context) error {
	tick := time.NewTicker(p.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := p.all(ctx); err != nil && ctx.Err() == nil {
				p.cfg.Log.Warn("attempts were not made", "error", err)
			}
		}
	}
}

func (p *Prober) all(ctx context.Context) error {
	list, err := p.spaces(ctx)
	if err != nil {
		return err
	}
	return p.attack(ctx, list...)
}

func (p *Prober) spaces(ctx context.Context) (list []*document.Space, err error) {
	err = p.cfg.Store.Read(ctx, func(v store.View) error {
		all, err := store.Find[*document.Space](v, "all", "")
		list = slices.DeleteFunc(all, func(s *document.Space) bool { return s.State != document.SpaceAllocated })
		return err
	})
	return list, err
}

// Target is something in a space that others must not reach.
type Target struct {
	Formation string
	Kind      string // Dyno or Database
	Name      string
	Port      int
	Since     time.Time // when it was last told to be there
}

// Kinds of targets.
const (
	Dyno     = "dyno"
	Database = "database"
)

// Attempt is what attempts at it are recorded as.
func (t Target) Attempt() string { return "reach another space's " + t.Kind }

// At is where they are aimed, for people.
func (t Target) At() string { return fmt.Sprintf("%s, TCP port %d", t.Name, t.Port) }

// target is one that is up.
type target struct {
	Target
	space   *document.Space
	address netip.AddrPort
}

// Attack tries to reach everything that listens in a space from every other
// space, and records each result. It starts processes in other teams' spaces,
// so it does not do so as often as somebody likes.
func (p *Prober) Attack(ctx context.Context, space string) error {
	var s *document.Space
	if err := p.cfg.Store.Read(ctx, func(v store.View) (err error) {
		s, err = store.Get[*document.Space](v, space)
		return err
	}); err != nil {
		return err
	}
	if err := p.ask(space); err != nil {
		return err
	}
	return p.attack(ctx, s)
}

// ask counts a request against the pause, whatever comes of it.
func (p *Prober) ask(space string) error {
	p.askedMu.Lock()
	defer p.askedMu.Unlock()
	now := p.cfg.Now()
	for id, at := range p.asked {
		if now.Sub(at) >= p.cfg.Pause {
			delete(p.asked, id)
		}
	}
	if at, ok := p.asked[space]; ok {
		return fault.New(fault.TooMany, "This space was attacked a moment ago; its attempts hold the results. Ask again in %s.",
			(p.cfg.Pause - now.Sub(at)).Round(time.Second))
	}
	p.asked[space] = now
	return nil
}

// attack tries the spaces from every other one, with one container in each for all
// of them. Where it cannot try from one, the others still do.
func (p *Prober) attack(ctx context.Context, attacked ...*document.Space) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	targets, image, err := p.targets(ctx, attacked)
	if err != nil || len(targets) == 0 {
		return err
	}
	from, err := p.origins(ctx)
	if err != nil {
		return err
	}
	var failed []error
	found := map[attempt]result{}
	for _, o := range from {
		others := slices.DeleteFunc(slices.Clone(targets), func(t target) bool { return t.space.ID == o.id })
		if len(others) == 0 || ctx.Err() != nil {
			continue
		}
		open, err := Try(ctx, p.cfg.Driver, o.id, image, addresses(others))
		if err != nil {
			failed = append(failed, fmt.Errorf("attempts from %s: %w", o.name, err))
			continue
		}
		add(found, o, others, open)
		p.alarm(o, others, open)
	}
	return errors.Join(append(failed, p.record(ctx, found))...)
}

// origin is a space that attempts come from.
type origin struct{ id, name, team string }

// told is what those who may read the attacked space's ledger are told of it: what
// other teams call their spaces is not for them.
func (o origin) told(attacked *document.Space) string {
	switch o.team {
	case "":
		return "a container of the platform's builds"
	case attacked.Team:
		return "a dyno in space " + o.name
	default:
		return "a dyno in another team's space"
	}
}

// origins are all spaces, and that of builds, which is no team's.
func (p *Prober) origins(ctx context.Context) (out []origin, err error) {
	all, err := p.spaces(ctx)
	for _, s := range all {
		out = append(out, origin{s.ID, s.Name, s.Team})
	}
	if p.cfg.Builds != "" {
		out = append(out, origin{id: p.cfg.Builds, name: "builds"})
	}
	return out, err
}

// attempt is what has a result of its own on record.
type attempt struct{ space, from, name, target string }

type result struct {
	open  bool // at least once
	count int64
}

// add counts one space's answers. Several dynos of a kind, and several spaces
// of others, are one attempt: it is refused if each of them was.
func add(found map[attempt]result, from origin, targets []target, open []bool) {
	for i, t := range targets {
		a := attempt{t.space.ID, from.told(t.space), t.Attempt(), t.At()}
		r := found[a]
		found[a] = result{r.open || open[i], r.count + 1}
	}
}

func addresses(targets []target) (out []netip.AddrPort) {
	for _, t := range targets {
		out = append(out, t.address)
	}
	return out
}

// alarm tells the operator what the record does not: which space it was.
func (p *Prober) alarm(from origin, targets []target, open []bool) {
	for i, t := range targets {
		if open[i] {
			p.cfg.Log.Error("ISOLATION FAILED: a space was reached from another", "from", from.name, "target", t.Name, "port", t.Port)
		}
	}
}

// targets are what is up of what has to listen in the spaces.
func (p *Prober) targets(ctx context.Context, attacked []*document.Space) (list []target, image string, err error) {
	o, err := p.cfg.Driver.Observe(ctx)
	if err != nil {
		return nil, "", err
	}
	listens := map[string]target{} // by the formation
	if err := p.cfg.Store.Read(ctx, func(v store.View) error {
		images, err := store.Find[*document.Image](v, "name", "base")
		if err != nil {
			return err
		}
		if len(images) == 0 {
			return fault.New(fault.Unavailable, "The base image is not there yet.")
		}
		image = images[0].Digest
		for _, s := range attacked {
			here, err := Listening(v, s.ID)
			if err != nil {
				return err
			}
			for _, t := range here {
				listens[t.Formation] = target{Target: t, space: s}
			}
		}
		return nil
	}); err != nil {
		return nil, "", err
	}
	for _, i := range o.Instances {
		t, ok := listens[i.Formation]
		if !ok || i.State != driver.Up || i.Address == "" {
			continue
		}
		a, err := netip.ParseAddr(i.Address)
		if err != nil {
			return nil, "", fmt.Errorf("instance %s: %w", i.ID, err)
		}
		t.address = netip.AddrPortFrom(a, uint16(t.Port))
		list = append(list, t)
	}
	return list, image, nil
}

// Listening lists what has to listen in a space, by the state.
func Listening(v store.View, space string) (out []Target, err error) {
	apps, err := store.Find[*document.App](v, "space", space)
	if err != nil {
		return nil, err
	}
	for _, a := range apps {
		formations, err := store.Find[*document.Formation](v, "app", a.ID)
		if err != nil {
			return nil, err
		}
		for _, f := range formations {
			if f.Type == "web" && f.Quantity > 0 {
				out = append(out, Target{f.ID, Dyno, a.Name + " web dyno", 5000, f.UpdatedAt})
			}
		}
	}
	addons, err := store.Find[*document.Addon](v, "space", space)
	for _, a := range addons {
		if a.State == document.AddonProvisioned {
			out = append(out, Target{a.ID, Database, "database " + a.Name, 5432, a.UpdatedAt})
		}
	}
	return out, err
}

func (p *Prober) record(ctx context.Context, found map[attempt]result) error {
	by := control.System("probe", ledger.ViaProbe)
	for _, a := range slices.SortedFunc(maps.Keys(found), func(a, b attempt) int {
		return cmp.Or(strings.Compare(a.space, b.space), strings.Compare(a.from, b.from), strings.Compare(a.target, b.target))
	}) {
		r := found[a]
		cmd := &spaces.RecordAttempt{
			Scope: a.space, Name: a.name, From: a.from, Target: a.target, Refused: !r.open, Count: r.count, Result: "no connection within 2 s",
		}
		if r.open {
			cmd.Result = "the connection was made"
		}
		if _, err := p.cfg.Kernel.Execute(ctx, cmd, by); err != nil {
			return err
		}
	}
	return nil
}
