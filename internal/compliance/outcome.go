package compliance

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// outcome is what came of one run of a check.
type outcome struct {
	*running
	began   time.Time
	results []Result
	err     error
}

// atOnce is how many checks run beside the engine at most. They wait for others
// most of the time; as many may hang until their time is over before any check
// has to wait for them.
const atOnce = 8

// begin runs what is due: checks of the state at once, those that reach outside
// of it beside the engine, those first that wait longest.
func (e *Engine) begin(ctx context.Context) (failed error) {
	for _, r := range slices.SortedStableFunc(slices.Values(e.checks), func(a, b *running) int { return a.next.Compare(b.next) }) {
		switch {
		case !e.due(r) || !e.free(r) || ctx.Err() != nil:
		case r.State != nil:
			failed = errors.Join(failed, e.record(ctx, e.look(ctx, e.claim(r))))
		default:
			e.claim(r).beside = true
			go func() { e.ended <- e.look(ctx, r) }()
		}
	}
	return failed
}

// free tells whether a check can begin: no check runs twice at once, nor beside
// one with which it shares what it acts on.
func (e *Engine) free(r *running) bool {
	beside := 0
	for _, x := range e.checks {
		if !x.beside {
			continue
		}
		if beside++; x == r || r.Shares != "" && x.Shares == r.Shares {
			return false
		}
	}
	return r.State != nil || beside < atOnce
}

// collect records what ran beside and has ended: all of it, since what is recorded
// is a change, after which Run waits.
func (e *Engine) collect(ctx context.Context) (failed error) {
	for {
		select {
		case o := <-e.ended:
			failed = errors.Join(failed, e.end(ctx, o))
		default:
			return failed
		}
	}
}

// end records one run beside.
func (e *Engine) end(ctx context.Context, o outcome) error {
	o.beside = false
	err := e.record(ctx, o)
	if err == nil && o.fresh {
		e.beat = earlier(e.beat, e.cfg.Now().Add(soon))
	}
	return err
}

// drain waits for what runs beside. What it would say is lost: nobody knows
// whether it was cut short.
func (e *Engine) drain() {
	for slices.ContainsFunc(e.checks, func(r *running) bool { return r.beside }) {
		(<-e.ended).beside = false
	}
}

// maxResults bounds what one run can say: each result may become an entry.
const maxResults = 100_000

// look runs a check. It changes nothing, and so may run beside others.
func (e *Engine) look(ctx context.Context, r *running) outcome {
	o := outcome{running: r, began: e.cfg.Now()}
	if r.Try != nil {
		o.results, o.err = r.try(ctx)
	} else {
		o.err = e.cfg.Store.Read(ctx, func(v store.View) (err error) {
			o.results, err = r.State(v, o.began)
			return err
		})
	}
	if o.err == nil && len(o.results) > maxResults {
		o.err = fault.New(fault.TooLarge, "The check found %d subjects, more than it may.", len(o.results))
	}
	// Whoever reads the ledger finds them by name.
	slices.SortFunc(o.results, func(a, b Result) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Subject, b.Subject)) })
	return o
}

// try ends a run that takes too long.
func (r *running) try(ctx context.Context) ([]Result, error) {
	ctx, cancel := context.WithTimeout(ctx, r.within())
	defer cancel()
	out, err := r.Try(ctx)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fault.Wrap(fault.Unavailable, err, "It did not end within %s.", r.within())
	}
	return out, err
}
