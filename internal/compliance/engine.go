package compliance

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/command/checks"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Config of an Engine.
type Config struct {
	Store     store.Store
	Kernel    *control.Kernel
	Programme *Programme
	Log       *slog.Logger
	Now       func() time.Time
	// Due is how soon a finding must be mended, by severity.
	Due map[string]time.Duration
}

// DefaultDue is what a policy that says nothing gives.
var DefaultDue = map[string]time.Duration{
	"critical": 24 * time.Hour, "high": 7 * 24 * time.Hour, "medium": 30 * 24 * time.Hour, "low": 90 * 24 * time.Hour,
}

// Engine runs checks and records what they say. Create it with New, run it with
// Run; but for Tell, the other methods are for that one goroutine, which alone
// records and alone knows which checks run beside it.
type Engine struct {
	cfg    Config
	checks []*running
	seen   int64           // entries that were looked at
	beat   time.Time       // when the next one is due
	asked  chan chan error // by Tell
	ended  chan outcome    // of what ran beside
}

// running is a check with when it ran.
type running struct {
	*Check
	severity string
	controls []string
	beside   bool // it runs in a goroutine of its own, now
	next     time.Time
	last     time.Time
	span     document.Run // runs on time that no beat tells of yet
	fresh    bool         // no beat tells yet that it runs, since the program started or since it was late
}

// beatEvery is how often it is recorded that checks ran.
const beatEvery = time.Hour

// soon is how long after the first run of a check, at a start or after a gap, it is
// recorded that it runs: until then it may be unknown. Meanwhile others come to the
// same point, as all of them do at a start.
const soon = 2 * time.Second

// New returns an engine.
func New(cfg Config) *Engine {
	if cfg.Due == nil {
		cfg.Due = DefaultDue
	}
	e := &Engine{cfg: cfg, asked: make(chan chan error), ended: make(chan outcome, atOnce)}
	for _, c := range cfg.Programme.Checks {
		r := &running{Check: c, fresh: true}
		for _, x := range cfg.Programme.naming(c) {
			r.controls = append(r.controls, x.ID)
			r.severity = worse(r.severity, x.Severity)
		}
		e.checks = append(e.checks, r)
	}
	return e
}

var severities = []string{"", "low", "medium", "high", "critical"}

func worse(a, b string) string {
	return severities[max(slices.Index(severities, a), slices.Index(severities, b))]
}

func by() control.By { return control.System("compliance", ledger.ViaProbe) }

// settle is how long after a change checks that read it wait for more changes.
const settle = time.Second

// Run runs every check when it is due, and those that a change concerns soon
// after it, until ctx ends; then it waits for those that run beside it, which end
// with ctx, and records how far the checks had run.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.Resume(ctx); err != nil {
		return err
	}
	for {
		changed := e.cfg.Kernel.Changed()
		e.report(ctx, e.touch(ctx))
		e.report(ctx, e.collect(ctx))
		e.report(ctx, e.begin(ctx))
		e.report(ctx, e.keep(ctx))
		pause := time.NewTimer(max(0, e.next().Sub(e.cfg.Now())))
		select {
		case <-ctx.Done():
			pause.Stop()
			e.drain()
			// The kernel may be stopping too: then the last minutes stay unknown.
			return e.flush(context.WithoutCancel(ctx))
		case <-changed:
			pause.Stop()
			select {
			case <-ctx.Done():
			case <-time.After(settle):
			}
		case o := <-e.ended:
			pause.Stop()
			e.report(ctx, e.end(ctx, o))
		case done := <-e.asked:
			pause.Stop()
			done <- errors.Join(e.collect(ctx), e.flush(ctx))
		case <-pause.C:
		}
	}
}

// Tell puts on record how far the checks ran, before the hour is over: what is
// asked about the last minutes can be answered then. It waits for Run until ctx
// ends, not for checks that run meanwhile: one of them may hang.
func (e *Engine) Tell(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case e.asked <- done:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Resume picks up where the program before this one stopped: a check whose next
// run is not late yet goes on without a gap; what checks said that there are no
// more ends.
func (e *Engine) Resume(ctx context.Context) error {
	if err := e.retire(ctx); err != nil {
		return err
	}
	return e.cfg.Store.Read(ctx, func(v store.View) error {
		e.seen = v.Size() // everything is due at the start anyway
		beat, err := beatOf(v)
		if err != nil {
			return err
		}
		for _, r := range e.checks {
			if was, ok := beat.Of(r.ID); ok {
				r.last = was.To
				r.span = document.Run{Check: r.ID, From: was.To, To: was.To}
			}
		}
		return nil
	})
}

// retire ends the statuses of checks that the programme has no longer, and with
// them their findings: nothing would ever close these.
func (e *Engine) retire(ctx context.Context) error {
	var gone []*document.Status
	if err := e.cfg.Store.Read(ctx, func(v store.View) error {
		list, err := store.Find[*document.Status](v, "all", "")
		for _, s := range list {
			if e.cfg.Programme.Check(s.Check) == nil {
				gone = append(gone, s)
			}
		}
		return err
	}); err != nil {
		return err
	}
	why := by()
	why.Reason = "the check is gone: this version of the program does not have it"
	for _, s := range gone {
		cmd := &checks.Report{Check: s.Check, Scope: s.Scope, Subject: s.Subject, Name: s.Name, Gone: true}
		if _, err := e.cfg.Kernel.Execute(ctx, cmd, why); err != nil {
			return err
		}
	}
	return nil
}

// beatOf is when the checks ran, as far as that is on record.
func beatOf(v store.View) (*document.Beat, error) {
	list, err := store.Find[*document.Beat](v, "all", "")
	if err != nil || len(list) == 0 {
		return &document.Beat{}, err
	}
	return list[0], nil
}

func (e *Engine) report(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		e.cfg.Log.Warn("compliance checks", "error", err)
	}
}

// next is when something is due that can begin then.
func (e *Engine) next() time.Time {
	at := e.beat
	for _, r := range e.checks {
		if r.next.Before(at) && e.free(r) {
			at = r.next
		}
	}
	return at
}

// touch makes the checks due that read what was appended since the last look.
func (e *Engine) touch(ctx context.Context) error {
	for {
		page, err := e.cfg.Store.Entries(ctx, store.Query{FromSeq: e.seen, Limit: 500})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, rec := range page {
			e.seen = rec.Header.Seq + 1
			var body struct {
				Action string `json:"action"`
			}
			if rec.Body == nil || json.Unmarshal(rec.Body, &body) != nil {
				continue
			}
			for _, r := range e.checks {
				if r.touched(body.Action) {
					r.next = time.Time{}
				}
			}
		}
	}
}

// Due runs the checks that are due, one after the other, and does what else it is
// time for: whoever moves the clock by hand, as simulations do, gets the same
// entries in the same order each time. Run does not use it.
func (e *Engine) Due(ctx context.Context) (failed error) {
	for _, r := range e.checks {
		if e.due(r) && ctx.Err() == nil {
			failed = errors.Join(failed, e.record(ctx, e.look(ctx, e.claim(r))))
		}
	}
	return errors.Join(failed, e.keep(ctx))
}

func (e *Engine) due(r *running) bool { return !e.cfg.Now().Before(r.next) }

// claim counts a run from its begin: what changes meanwhile makes it due again.
func (e *Engine) claim(r *running) *running {
	r.next = e.cfg.Now().Add(r.Every)
	return r
}

// keep does what has to be done at certain times, whatever the checks say.
func (e *Engine) keep(ctx context.Context) error {
	failed := e.dates(ctx)
	if !e.cfg.Now().Before(e.beat) {
		failed = errors.Join(failed, e.flush(ctx))
	}
	return failed
}

// record records what changed by a run. A check that could not run says unknown
// of all its subjects.
func (e *Engine) record(ctx context.Context, o outcome) error {
	if ctx.Err() != nil {
		return nil
	}
	old, err := e.statuses(ctx, o.ID)
	if err != nil {
		return err
	}
	results := o.results
	if o.err != nil {
		e.cfg.Log.Warn("a check could not run", "check", o.ID, "error", o.err)
		results = unknown(old, o.err)
	}
	for _, x := range results {
		was := old[key(x.Scope, x.Subject)]
		delete(old, key(x.Scope, x.Subject))
		if e.same(o.running, was, x) {
			continue
		}
		if err := e.change(ctx, o.running, was, x); err != nil {
			return err
		}
	}
	for _, gone := range old {
		cmd := &checks.Report{Check: o.ID, Scope: gone.Scope, Subject: gone.Subject, Name: gone.Name, Gone: true}
		if _, err := e.cfg.Kernel.Execute(ctx, cmd, by()); err != nil {
			return err
		}
	}
	if o.err != nil {
		return fmt.Errorf("%s: %w", o.ID, o.err)
	}
	return e.tell(ctx, o.ran(o.began, e.cfg.Now()))
}

func unknown(old map[string]*document.Status, err error) (out []Result) {
	why := cmp.Or(fault.Message(err), "an error that the server's log tells of")
	for _, s := range old {
		out = append(out, Result{Scope: s.Scope, Subject: s.Subject, Name: s.Name, Status: document.StatusUnknown, Facts: []string{"The check could not run: " + why}})
	}
	return out
}

func key(scope, subject string) string { return scope + "+" + subject }

func (e *Engine) statuses(ctx context.Context, check string) (map[string]*document.Status, error) {
	out := map[string]*document.Status{}
	err := e.cfg.Store.Read(ctx, func(v store.View) error {
		list, err := store.Find[*document.Status](v, "check", check)
		for _, s := range list {
			out[key(s.Scope, s.Subject)] = s
		}
		return err
	})
	return out, err
}

// same tells whether a result says nothing new. Facts of what passes may vary
// without being news; those of a failure are part of its finding.
func (e *Engine) same(r *running, was *document.Status, x Result) bool {
	if was == nil || was.Status != x.Status || was.Version != r.Version || was.Catalogue != e.cfg.Programme.Digest {
		return false
	}
	return x.Status != document.StatusFail || slices.Equal(was.Facts, checks.Bounded(x.Facts))
}

func (e *Engine) change(ctx context.Context, r *running, was *document.Status, x Result) error {
	cmd := &checks.Report{
		Check: r.ID, Version: r.Version, Catalogue: e.cfg.Programme.Digest, Scope: x.Scope, Subject: x.Subject, Name: x.Name,
		Status: x.Status, Facts: x.Facts, Seqs: x.Seqs, Severity: r.severity, Controls: r.controls, Due: e.cfg.Due[r.severity],
	}
	// What does not apply any more was mended too: an unused account by suspending it.
	if was != nil && was.Status == document.StatusFail && (x.Status == document.StatusPass || x.Status == document.StatusNotApplicable) {
		var err error
		if cmd.MendedBy, err = e.mender(ctx, r, x, was.Since); err != nil {
			return err
		}
	}
	if x.Status == document.StatusFail {
		e.cfg.Log.Error("a check fails", "check", r.ID, "subject", x.Name, "facts", x.Facts)
	}
	_, err := e.cfg.Kernel.Execute(ctx, cmd, by())
	return err
}

// mender is who made the newest change, since a moment, that shows in what the
// check now says; or, where it does not say in which entries it saw that, that it
// reads in the result's scope: an address, or "" if nobody did through the platform.
func (e *Engine) mender(ctx context.Context, r *running, x Result, since time.Time) (string, error) {
	for _, seq := range slices.Backward(slices.Sorted(slices.Values(x.Seqs))) {
		rec, err := e.cfg.Store.Entry(ctx, seq)
		if err != nil {
			return "", err
		}
		if who := r.changer(rec); who != "" && !rec.Header.Time.Before(since) {
			return who, nil
		}
	}
	q := store.Query{Scopes: []string{x.Scope}, Outcome: ledger.OK, From: since, Newest: true, Limit: 200}
	for {
		page, err := e.cfg.Store.Entries(ctx, q)
		if err != nil {
			return "", err
		}
		for _, rec := range page {
			if who := r.changer(rec); who != "" {
				return who, nil
			}
		}
		if len(page) < q.Limit {
			return "", nil
		}
		q.ToSeq = page[len(page)-1].Header.Seq
	}
}

// changer is whoever made a change that the check reads, "" if nobody did.
func (r *running) changer(rec store.Record) string {
	var body ledger.Body
	if rec.Body == nil || json.Unmarshal(rec.Body, &body) != nil || body.Actor.Kind != ledger.AccountActor || !r.touched(body.Action) {
		return ""
	}
	return body.Actor.Email
}

// ran extends the time in which the check ran without being late, up to when what
// it said was on record. If it was late, or the clock went back, it gives the time
// before.
func (r *running) ran(began, ended time.Time) (before []document.Run) {
	began = earlier(began, ended)
	if r.last.IsZero() || began.Before(r.last) || began.Sub(r.last) > r.grace() {
		if r.span.Count > 0 {
			before = append(before, r.span)
		}
		r.span, r.fresh = document.Run{Check: r.ID, From: began}, true
	}
	r.last, r.span.To = ended, ended
	r.span.Count++
	return before
}

// flush records how far each check ran.
func (e *Engine) flush(ctx context.Context) error {
	var runs []document.Run
	for _, r := range e.checks {
		if r.span.Count > 0 {
			runs = append(runs, r.span)
		}
	}
	e.beat = e.cfg.Now().Add(beatEvery)
	if err := e.tell(ctx, runs); err != nil {
		return err
	}
	for _, r := range e.checks {
		if r.span.Count > 0 { // the next span continues this one
			r.span.From, r.span.Count, r.fresh = r.span.To, 0, false
		}
	}
	return nil
}

func (e *Engine) tell(ctx context.Context, runs []document.Run) error {
	if len(runs) == 0 {
		return nil
	}
	_, err := e.cfg.Kernel.Execute(ctx, &checks.Beat{Runs: runs}, by())
	return err
}

// dates opens findings whose acceptance has ended, and reminds of those that are
// open after their date.
func (e *Engine) dates(ctx context.Context) error {
	var due []control.Command
	now := e.cfg.Now()
	if err := e.cfg.Store.Read(ctx, func(v store.View) error {
		accepted, err := store.Find[*document.Finding](v, "state", document.FindingAccepted)
		if err != nil {
			return err
		}
		for _, f := range accepted {
			if !now.Before(f.Accepted.Until) {
				due = append(due, &checks.Reopen{ID: f.ID})
			}
		}
		open, err := store.Find[*document.Finding](v, "state", document.FindingOpen)
		for _, f := range open {
			if f.Late(now) {
				due = append(due, &checks.Remind{ID: f.ID})
			}
		}
		return err
	}); err != nil {
		return err
	}
	for _, cmd := range due {
		if _, err := e.cfg.Kernel.Execute(ctx, cmd, by()); err != nil {
			return err
		}
	}
	return nil
}
