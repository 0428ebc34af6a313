// Package operation does the long work that a recorded decision asked for: the
// release phase, setting up and disposing of databases, one-off dynos, removing
// what destroyed apps and spaces leave.
//
// Invariants: a job is in the database from the entry that asked for it until
// it is done, so it goes on after a crash; it is done at least once, so every
// step is idempotent and looks at the subject's state first; how it ended is an
// entry of its own. internal/server runs it.
package operation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/blob"
	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/alerts"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/reconcile"
	"github.com/strongroom/strongroom/internal/store"
)

// Config of a Runner.
type Config struct {
	reconcile.Processes
	Kernel *control.Kernel
	Driver driver.Driver
	Blobs  *blob.Store
	// Repositories are removed with their apps.
	Repositories Repositories
	Log          *slog.Logger
	Now          func() time.Time
	// Parallel bounds the jobs that run at once (default 8). One-off dynos and
	// stops are not counted: the first may run for a day, the second must not
	// wait for them.
	Parallel int
}

// Runner carries jobs out. Create it with New, run it with Run.
type Runner struct {
	cfg     Config
	outputs outputs

	mu      sync.Mutex
	running map[int64]claim
	tries   map[int64]int
	later   map[int64]time.Time
}

// claim is a job that runs.
type claim struct {
	store.Job
	cancel context.CancelFunc
}

// New returns a runner.
func New(cfg Config) *Runner {
	if cfg.Parallel == 0 {
		cfg.Parallel = 8
	}
	return &Runner{cfg: cfg, running: map[int64]claim{}, tries: map[int64]int{}, later: map[int64]time.Time{}}
}

// by is the runner as an actor; cause is the seq that asked for the job.
func by(j store.Job) control.By {
	b := control.System("operation", ledger.ViaReconciler)
	b.Cause = &j.Seq
	return b
}

// maxJobs are looked at in a turn; those of one-off dynos stay for as long as
// these run.
const maxJobs = 10_000

// Run looks for jobs at each change until ctx ends, and waits for those that
// run; they notice ctx too and are done again after the next start.
func (r *Runner) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		changed := r.cfg.Kernel.Changed()
		jobs, err := r.cfg.Store.Jobs(ctx, maxJobs, alerts.JobSend, alerts.JobTest)
		if err != nil && ctx.Err() == nil {
			r.cfg.Log.Warn("jobs cannot be read", "error", err)
		}
		ends := ending(jobs)
		for _, j := range jobs {
			if j.Kind == addons.JobProvision && ends[j.Ref] {
				continue // it is moot once that is done
			}
			if jobCtx, ok := r.take(ctx, j); ok {
				wg.Go(func() { r.run(jobCtx, j) })
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-tick.C:
		}
	}
}

// take claims a job that does not run and is due.
func (r *Runner) take(ctx context.Context, j store.Job) (context.Context, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.running[j.ID]; ok || r.cfg.Now().Before(r.later[j.ID]) {
		return nil, false
	}
	counted := 0
	for _, x := range r.running {
		if counts(x.Job) {
			counted++
		}
		if service(j) && service(x.Job) && x.Ref == j.Ref {
			// A database is not taken down while it is being set up: what was
			// taken down would be set up again. The setting up is broken off.
			if j.Kind == addons.JobDeprovision {
				x.cancel()
			}
			return nil, false
		}
	}
	if counts(j) && counted >= r.cfg.Parallel {
		return nil, false
	}
	ctx, cancel := context.WithCancel(ctx)
	r.running[j.ID] = claim{j, cancel}
	return ctx, true
}

// ending are the add-ons that are to be disposed of.
func ending(jobs []store.Job) map[string]bool {
	out := map[string]bool{}
	for _, j := range jobs {
		if j.Kind == addons.JobDeprovision {
			out[j.Ref] = true
		}
	}
	return out
}

func counts(j store.Job) bool {
	return j.Kind != sessions.JobTask && j.Kind != apps.JobStopInstance && j.Kind != apps.JobStopTask
}

func service(j store.Job) bool {
	return j.Kind == addons.JobProvision || j.Kind == addons.JobDeprovision
}

func (r *Runner) run(ctx context.Context, j store.Job) {
	log := r.cfg.Log.With("job", j.ID, "kind", j.Kind, "ref", j.Ref)
	err := r.do(ctx, j)
	if errors.Is(err, errMoot) {
		log.Info("job is moot", "why", err)
		err = nil
	}
	if err == nil {
		err = r.cfg.Store.JobDone(j.ID)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	brokenOff := ctx.Err() != nil
	r.running[j.ID].cancel()
	delete(r.running, j.ID)
	if err == nil {
		delete(r.tries, j.ID)
		delete(r.later, j.ID)
		return
	}
	if brokenOff || errors.Is(err, errBusy) {
		r.later[j.ID] = r.cfg.Now().Add(time.Second)
		return
	}
	r.tries[j.ID]++
	r.later[j.ID] = r.cfg.Now().Add(min(time.Minute, time.Second<<min(r.tries[j.ID], 6)))
	log.Warn("job failed and will be tried again", "tries", r.tries[j.ID], "error", err)
}

// errMoot says that a job's subject is gone or past it: nothing is left to do.
var errMoot = errors.New("nothing is left to do")

// errBusy says that a job has to wait for another.
var errBusy = errors.New("another job comes first")

// moot marks what the ledger says of a job's subject. What the engine does not
// find is another matter: it may be there at the next try.
func moot(err error) error {
	if kind := fault.Of(err); kind == fault.NotFound || kind == fault.Conflict {
		return fmt.Errorf("%w: %w", errMoot, err)
	}
	return err
}

// record executes a command that ends a job.
func (r *Runner) record(ctx context.Context, cmd control.Command, j store.Job) error {
	_, err := r.cfg.Kernel.Execute(ctx, cmd, by(j))
	return moot(err)
}

func (r *Runner) do(ctx context.Context, j store.Job) error {
	switch j.Kind {
	case releases.JobPhase:
		return r.releasePhase(ctx, j)
	case addons.JobProvision:
		return r.provision(ctx, j)
	case addons.JobDeprovision:
		return r.deprovision(ctx, j)
	case apps.JobStopInstance:
		// An instance that is not there does not come back under its id.
		return moot(r.cfg.Driver.StopInstance(ctx, j.Ref))
	case apps.JobStopTask:
		return r.cfg.Driver.StopTask(ctx, j.Ref)
	case sessions.JobTask:
		return r.task(ctx, j)
	case apps.JobDispose:
		return r.disposeApp(ctx, j)
	case spaces.JobDispose:
		return r.disposeSpace(ctx, j)
	}
	return fmt.Errorf("a job of an unknown kind: %q", j.Kind)
}
