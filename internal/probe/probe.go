// Package probe tries what must not work and puts on record that it did not:
// so far, reaching the dynos and databases of one space from every other.
//
// Invariants: an attempt is made by a real process in a real container of the
// other space; it counts only if the same process shows in the same run that it
// can reach what it may (its own resolver), else it is left out: an attempt that
// could not have succeeded proves nothing. internal/server runs it on a schedule
// and when somebody asks.
package probe

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
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
	// Every is how often each space is attacked (default 1 h).
	Every time.Duration
}

// Prober makes attempts. Safe for concurrent use; one run at a time.
type Prober struct {
	cfg Config
	mu  sync.Mutex
}

// New returns a prober.
func New(cfg Config) *Prober {
	if cfg.Every == 0 {
		cfg.Every = time.Hour
	}
	return &Prober{cfg: cfg}
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
	for _, s := range list {
		if err := p.Attack(ctx, s.ID); err != nil {
			return err
		}
	}
	return nil
}

func (p *Prober) spaces(ctx context.Context) (list []*document.Space, err error) {
	err = p.cfg.Store.Read(ctx, func(v store.View) error {
		all, err := store.Find[*document.Space](v, "all", "")
		list = slices.DeleteFunc(all, func(s *document.Space) bool { return s.State != document.SpaceAllocated })
		return err
	})
	return list, err
}

// target is something in the attacked space that listens.
type target struct {
	name    string // of the formation
	address string
	port    int
}

// Attack tries to reach everything that listens in a space from every other
// space, and records each result.
func (p *Prober) Attack(ctx context.Context, space string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	targets, image, err := p.targets(ctx, space)
	if err != nil || len(targets) == 0 {
		return err
	}
	others, err := p.spaces(ctx)
	if err != nil {
		return err
	}
	for _, from := range others {
		if from.ID == space {
			continue
		}
		results, err := p.try(ctx, from.ID, image, targets)
		if err != nil {
			return fmt.Errorf("attempts from space %s: %w", from.Name, err)
		}
		if err := p.record(ctx, space, from.Name, targets, results); err != nil {
			return err
		}
	}
	return nil
}

// probePorts are tried at every address besides the one that it listens on.
var probePorts = []int{22}

func (p *Prober) targets(ctx context.Context, space string) (list []target, image string, err error) {
	o, err := p.cfg.Driver.Observe(ctx)
	if err != nil {
		return nil, "", err
	}
	listens := map[string]target{}
	if err := p.cfg.Store.Read(ctx, func(v store.View) error {
		images, err := store.Find[*document.Image](v, "name", "base")
		if err != nil {
			return err
		}
		if len(images) == 0 {
			return fault.New(fault.Unavailable, "The base image is not there yet.")
		}
		image = images[0].Digest
		return p.listening(v, space, listens)
	}); err != nil {
		return nil, "", err
	}
	for _, i := range o.Instances {
		t, ok := listens[i.Formation]
		if !ok || i.State != driver.Up || i.Address == "" {
			continue
		}
		t.address = i.Address
		list = append(list, t)
		for _, port := range probePorts {
			list = append(list, target{t.name, i.Address, port})
		}
	}
	return list, image, nil
}

// listening names what listens in a space, by formation.
func (p *Prober) listening(v store.View, space string, into map[string]target) error {
	apps, err := store.Find[*document.App](v, "space", space)
	if err != nil {
		return err
	}
	for _, a := range apps {
		formations, err := store.Find[*document.Formation](v, "app", a.ID)
		if err != nil {
			return err
		}
		for _, f := range formations {
			if f.Type == "web" {
				into[f.ID] = target{name: a.Name + " web dyno", port: 5000}
			}
		}
	}
	addons, err := store.Find[*document.Addon](v, "space", space)
	for _, a := range addons {
		into[a.ID] = target{name: "database " + a.Name, port: 5432}
	}
	return err
}

// reachable is what a process in any space may reach: its own resolver.
var reachable = target{"resolver", "169.254.1.1", 53}

// script tries each "address port" on its input and says open or closed.
const script = `while read -r address port; do
  if timeout 2 bash -c "exec 3<>/dev/tcp/$address/$port" 2>/dev/null; then echo open; else echo closed; fi
done`

// try runs the attempts as one process in a space.
func (p *Prober) try(ctx context.Context, from, image string, targets []target) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute+2*time.Second*time.Duration(len(targets)))
	defer cancel()
	session, err := p.cfg.Driver.StartTask(ctx, driver.Task{
		ID: document.NewID(), Space: from, Name: "probe.1", Attach: true, Timeout: 5 * time.Minute,
		Labels: driver.Labels{Source: "heroku", Type: "probe"},
		Process: driver.Process{
			Image: image, Args: []string{"/bin/bash", "-c", script}, UID: 1000, Dir: "/tmp", ReadOnly: true,
			Env:    []driver.EnvVar{{Name: "PATH", Value: "/usr/local/bin:/usr/bin:/bin"}},
			Limits: driver.Limits{MemoryBytes: 64 << 20, CPUMillis: 200, PIDs: 32},
		},
	})
	if err != nil {
		return nil, err
	}
	defer session.Close()
	var in bytes.Buffer
	for _, t := range append([]target{reachable}, targets...) {
		fmt.Fprintf(&in, "%s %d\n", t.address, t.port)
	}
	if _, err := io.Copy(session, &in); err != nil {
		return nil, err
	}
	if err := session.CloseWrite(); err != nil {
		return nil, err
	}
	results, err := readResults(session)
	if err != nil {
		return nil, err
	}
	if len(results) != len(targets)+1 || results[0] != "open" {
		return nil, fault.New(fault.Unavailable, "the attempts proved nothing: the process could not even reach its own resolver (%v)", results)
	}
	return results[1:], nil
}

func readResults(r io.Reader) ([]string, error) {
	var out []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		out = append(out, strings.TrimSpace(lines.Text()))
	}
	return out, lines.Err()
}

func (p *Prober) record(ctx context.Context, space, from string, targets []target, results []string) error {
	by := control.System("probe", ledger.ViaProbe)
	for i, t := range targets {
		cmd := &spaces.RecordAttempt{
			Scope: space, Name: "reach another space's " + kind(t), From: "a dyno in space " + from,
			Target: fmt.Sprintf("%s, TCP port %d", t.name, t.port), Refused: results[i] != "open", Count: 1,
			Result: "no connection within 2 s",
		}
		if !cmd.Refused {
			cmd.Result = "the connection was made"
			p.cfg.Log.Error("ISOLATION FAILED: a space was reached from another", "from", from, "target", t.name, "port", t.port)
		}
		if _, err := p.cfg.Kernel.Execute(ctx, cmd, by); err != nil {
			return err
		}
	}
	return nil
}

func kind(t target) string {
	if strings.HasPrefix(t.name, "database") {
		return "database"
	}
	return "dyno"
}
