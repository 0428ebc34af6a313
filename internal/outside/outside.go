// Package outside shows the log's checkpoints to people outside of this host and
// keeps what they answer: witnesses cosign them, a time-stamp authority says
// when they were there.
//
// Invariants: nobody waits for anybody outside but an export, and that for
// seconds; what does not verify by the key or certificate in the settings is
// not kept; a refusal is remembered until the same witness cosigns again.
// internal/server runs it, internal/evidence asks it for its checkpoint, and
// internal/compliance/record reads how things stand.
package outside

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/strongroom/strongroom/internal/command/installation"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Config of Observers.
type Config struct {
	Store       store.Store
	Checkpoints *control.Checkpoints
	Kernel      *control.Kernel // records that checkpoints were cosigned
	Witnesses   []Witness
	Timestamps  Timestamps
	// Dir is where answers are kept; it is made when there is something to keep.
	Dir string
	// Every is the least time between two questions to a witness; default 30 s.
	Every time.Duration
	// Patience is how long an export waits; default 5 s.
	Patience time.Duration
	Log      *slog.Logger
	Now      func() time.Time
}

// Observers are those outside who see the log. Safe for concurrent use.
type Observers struct {
	cfg       Config
	witnesses []*reporter
	stamper   *stamper // nil: there is no time-stamp authority
}

// New reads what was answered before, and asks nobody yet.
func New(cfg Config) (*Observers, error) {
	if cfg.Every == 0 {
		cfg.Every = 30 * time.Second
	}
	if cfg.Patience == 0 {
		cfg.Patience = 5 * time.Second
	}
	o := &Observers{cfg: cfg}
	names := map[string]bool{}
	for _, w := range cfg.Witnesses {
		r, err := newReporter(&o.cfg, w)
		if err != nil {
			return nil, err
		}
		if names[r.name] {
			return nil, fault.New(fault.Invalid, "witnesses: two are named %s", r.name)
		}
		names[r.name] = true
		o.witnesses = append(o.witnesses, r)
	}
	var err error
	o.stamper, err = newStamper(&o.cfg)
	return o, err
}

// Run asks until ctx ends.
func (o *Observers) Run(ctx context.Context) error {
	var g errgroup.Group
	for _, r := range o.witnesses {
		g.Go(func() error { r.run(ctx); return nil })
	}
	if len(o.witnesses) > 0 {
		g.Go(func() error { o.record(ctx); return nil })
	}
	if o.stamper != nil {
		g.Go(func() error { o.stamper.run(ctx); return nil })
	}
	return g.Wait()
}

// recordEvery is how often an entry says which checkpoint was cosigned last: it
// ties the ledger's times to the witnesses' clocks.
const recordEvery = time.Hour

// record looks often and records once an hour: the first time as soon as
// somebody cosigned.
func (o *Observers) record(ctx context.Context) {
	tick := time.NewTicker(o.cfg.Every)
	defer tick.Stop()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		signed := o.newest()
		if signed == nil || o.cfg.Now().Sub(last) < recordEvery {
			continue
		}
		cmd := &installation.RecordWitnessed{Checkpoint: string(signed)}
		if _, err := o.cfg.Kernel.Execute(ctx, cmd, control.System("witnesses", ledger.ViaScheduler)); err != nil {
			if ctx.Err() == nil {
				o.cfg.Log.Warn("it could not be recorded what was cosigned", "error", err)
			}
			continue
		}
		last = o.cfg.Now()
	}
}

// newest is the checkpoint over the most entries that a witness cosigned, with
// the cosignatures of all who cosigned that one. Nil: none yet.
func (o *Observers) newest() []byte {
	var out []byte
	var of ledger.Checkpoint
	for _, r := range o.witnesses {
		switch c, signed, line := r.kept(); {
		case signed == nil:
		case out == nil || c.Size > of.Size:
			of, out = c, append(append([]byte(nil), signed...), line...)
		case c == of:
			out = append(out, line...)
		}
	}
	return out
}

// Cosign asks all witnesses to cosign a checkpoint and gives it with the
// cosignatures that came in time, if it can be of after a moment. Who does not
// answer is missing from it; that is seen where it is verified, and by the check.
func (o *Observers) Cosign(ctx context.Context, c ledger.Checkpoint, signed []byte, after time.Time) []byte {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Patience)
	defer cancel()
	lines := make([][]byte, len(o.witnesses))
	var g errgroup.Group
	for i, r := range o.witnesses {
		g.Go(func() error { lines[i] = r.cosignAfter(ctx, c, signed, after); return nil })
	}
	_ = g.Wait() // no error comes of it
	out := append([]byte(nil), signed...)
	for _, line := range lines {
		out = append(out, line...)
	}
	return out
}

// cosignAfter asks again if the witness's clock, which counts in seconds, is not
// past a moment yet.
func (r *reporter) cosignAfter(ctx context.Context, c ledger.Checkpoint, signed []byte, after time.Time) (line []byte) {
	for {
		got, at, err := r.ask(ctx, c, signed)
		if err != nil {
			return line
		}
		if line = got; !at.Before(after) {
			return line
		}
		select {
		case <-ctx.Done():
			return line
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// Seen is how things stand with a witness.
type Seen struct {
	Witness string
	Size    int64     // entries under the newest checkpoint that it cosigned
	At      time.Time // when its newest answer came, by this host's clock; zero: never
	Refusal string    // what it said since, if it refused: words that stay the same
}

// Witnessed tells of each witness, by the order of the settings. Whoever asks
// before the first round waits for it.
func (o *Observers) Witnessed(ctx context.Context) ([]Seen, error) {
	var out []Seen
	for _, r := range o.witnesses {
		if !r.asked() {
			if err := r.report(ctx); errors.Is(err, context.Canceled) {
				return nil, fmt.Errorf("ask witness %s: %w", r.name, err)
			}
		}
		out = append(out, r.standing())
	}
	return out, nil
}
