package shell

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/recording"
)

// owed is what has ended while the ledger or the recordings' disk took nothing:
// it goes on record as soon as they do again, without a restart.
type owed struct {
	mu      sync.Mutex
	live    map[string]bool            // sessions that are not over
	closes  map[string]*sessions.Close // by session
	runs    map[string]int             // exit codes by one-off dyno
	unsaved bool                       // a recording could not be sealed
}

func newOwed() owed {
	return owed{live: map[string]bool{}, closes: map[string]*sessions.Close{}, runs: map[string]int{}}
}

// unrecorded tells whether a command failed because it could not be recorded:
// neither the command nor its subject is to blame.
func unrecorded(err error) bool {
	return err != nil && (fault.Of(err) == fault.Unavailable || fault.Of(err) == "")
}

func (o *owed) begin(session string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.live[session] = true
}

func (o *owed) done(session string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.live, session)
}

func (o *owed) close(c *sessions.Close) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closes[c.ID] = c
}

func (o *owed) run(dyno string, code int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.runs[dyno] = code
}

func (o *owed) recording() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unsaved = true
}

// take gives what is owed, which is nobody's any more.
func (o *owed) take() (closes map[string]*sessions.Close, runs map[string]int, unsaved bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	closes, runs, unsaved = maps.Clone(o.closes), maps.Clone(o.runs), o.unsaved
	clear(o.closes)
	clear(o.runs)
	o.unsaved = false
	return closes, runs, unsaved
}

func (o *owed) isLive(session string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.live[session]
}

// tryAgain is how often what is owed is tried.
const tryAgain = time.Second

// Run records what could not be recorded when it happened, until ctx ends. What
// is left then is Recover's at the next start.
func (d *Desk) Run(ctx context.Context) error {
	tick := time.NewTicker(tryAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			d.settle(ctx)
		}
	}
}

// settle tries all that is owed once; what fails is owed again.
func (d *Desk) settle(ctx context.Context) {
	closes, runs, unsaved := d.owed.take()
	if len(closes) == 0 && len(runs) == 0 && !unsaved {
		return
	}
	sealed := map[string]*recording.Sealed{}
	list, err := d.cfg.Recorder.Recover(ctx)
	if err != nil {
		d.owed.recording()
	}
	for i := range list {
		if id := list[i].ID; !d.owed.isLive(id) {
			sealed[id] = &list[i]
		}
	}
	for id, c := range closes {
		if r := sealed[id]; r != nil && c.Recording == nil {
			attach(c, r)
		}
		if err := d.close(ctx, c); err != nil {
			delete(sealed, id) // it stays with the session's end
			continue
		}
		d.cfg.Log.Info("the end of a session is on record after all", "session", id)
	}
	for id, r := range sealed {
		if err := d.keep(ctx, id, r); err != nil {
			d.owed.recording()
		}
	}
	for dyno, code := range runs {
		if err := d.recordEnd(dyno, code); err == nil {
			d.cfg.Log.Info("the end of a one-off dyno is on record after all", "dyno", dyno)
		}
	}
}
