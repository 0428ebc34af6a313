// Package control is the kernel and the only write path: Execute prepares a
// command, decides it inside the writer's transaction, appends what it decided,
// and lets its effect happen once the entry is durable.
//
// Invariants: nothing takes effect that was not recorded first; a refused
// attempt is an entry; an entry is acknowledged only when it is durable; a
// storage error fails every command of the batch. The edges, reconcile,
// operation and the probes call it; there are no commands in here.
package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// Config of a kernel.
type Config struct {
	Store   store.Store
	Keyring *secret.Keyring
	Log     *slog.Logger
	Now     func() time.Time // the clock; it carries Go's monotonic reading
	// Queue bounds the commands that wait for the writer (default 1024).
	Queue int
	// Batch bounds the commands of one transaction (default 256).
	Batch int
}

// Kernel runs commands. Create it with New, run it with Run, once.
type Kernel struct {
	cfg     Config
	queue   chan *pending
	stopped chan struct{} // closed when Run returns: nothing is answered any more
	denials *denials
	clock   *clock

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each commit
}

// pending is a command in the writer's queue.
type pending struct {
	cmd  Command
	by   By
	done chan result
}

type result struct {
	seq int64
	err error
}

// New returns a kernel; commands are answered once Run runs.
func New(cfg Config) *Kernel {
	if cfg.Queue == 0 {
		cfg.Queue = 1024
	}
	if cfg.Batch == 0 {
		cfg.Batch = 256
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Kernel{
		cfg:     cfg,
		queue:   make(chan *pending, cfg.Queue),
		stopped: make(chan struct{}),
		denials: newDenials(),
		clock:   newClock(cfg.Now),
		changed: make(chan struct{}),
	}
}

// Execute runs a command and returns the seq of its entry (the first, if it
// appended several). Faults: what the command refuses with; Forbidden or
// NotFound when the actor may not; Unavailable when it could not be recorded,
// and then it has not happened.
func (k *Kernel) Execute(ctx context.Context, cmd Command, by By) (int64, error) {
	tools := Tools{Store: k.cfg.Store, Keyring: k.cfg.Keyring, Now: k.cfg.Now}
	if p, ok := cmd.(Preparer); ok {
		if err := p.Prepare(ctx, tools); err != nil {
			return 0, err
		}
	}
	r := k.submit(ctx, &pending{cmd: cmd, by: by, done: make(chan result, 1)})
	if r.err != nil {
		return 0, r.err
	}
	if e, ok := cmd.(Effecter); ok {
		if err := e.Effect(ctx, tools, r.seq); err != nil {
			return r.seq, err
		}
	}
	return r.seq, nil
}

// submit queues a command and waits for its answer.
func (k *Kernel) submit(ctx context.Context, p *pending) result {
	if ctx.Err() != nil {
		return gone(ctx)
	}
	select {
	case k.queue <- p:
	case <-ctx.Done():
		return gone(ctx)
	case <-k.stopped:
		return stopping()
	}
	// From here on the command happens or not whatever its caller does: an
	// answer is worth waiting for, a batch takes milliseconds.
	select {
	case r := <-p.done:
		return r
	case <-k.stopped:
	}
	select {
	case r := <-p.done: // it was answered before Run returned
		return r
	default:
		return stopping()
	}
}

func gone(ctx context.Context) result {
	return result{err: fault.Wrap(fault.Unavailable, ctx.Err(), "The request ended before it was recorded; nothing was changed.")}
}

func stopping() result {
	return result{err: fault.New(fault.Unavailable, "The server is stopping; nothing was changed. Try again.")}
}

// Changed returns a channel that is closed when the next batch is durable.
func (k *Kernel) Changed() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changed
}

func (k *Kernel) announce() {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.changed)
	k.changed = make(chan struct{})
}

// Run is the writer's loop. It returns when ctx ends, after the commands that
// are queued were answered; from then on Execute refuses.
func (k *Kernel) Run(ctx context.Context) error {
	defer close(k.stopped)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case p := <-k.queue:
			k.batch(k.gather(p))
		case <-tick.C:
			if k.denials.due(k.clock.read().up) || k.clock.confirmed.Load() != nil {
				k.batch(nil) //nolint:errcheck // it is logged, and tried again at the next tick
			}
		case <-ctx.Done():
			return k.drain()
		}
	}
}

// drain writes the denials that are counted and refuses what still waits.
func (k *Kernel) drain() error {
	k.denials.expire()
	var err error
	if len(k.denials.open) > 0 {
		err = k.batch(nil)
	}
	for {
		select {
		case p := <-k.queue:
			p.done <- stopping()
		default:
			return err
		}
	}
}

// gather takes what else waits, up to the batch's bound.
func (k *Kernel) gather(first *pending) []*pending {
	// Those whom the last batch answered are about to ask again. Without this
	// every second batch would have one command, at the price of a whole sync.
	runtime.Gosched()
	list := []*pending{first}
	for len(list) < k.cfg.Batch {
		select {
		case p := <-k.queue:
			list = append(list, p)
		default:
			return list
		}
	}
	return list
}

// batch decides and appends commands in one transaction and answers them all.
func (k *Kernel) batch(list []*pending) error {
	results := make([]result, len(list))
	var m moment
	k.denials.begin()
	err := k.cfg.Store.Write(func(b store.Batch) error {
		var err error
		if m, err = k.now(b); err != nil {
			return err
		}
		if err := k.appendDenials(b, m); err != nil {
			return err
		}
		for i, p := range list {
			results[i].seq, results[i].err, err = k.decide(b, p, m)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		k.denials.rollBack()
		err = k.explain(err, len(list))
		for i := range results {
			results[i] = result{err: err}
		}
	} else {
		k.clock.accept(m)
		k.announce()
	}
	for i, p := range list {
		p.done <- results[i]
	}
	return err
}

// explain makes a storage error one that callers can be shown.
func (k *Kernel) explain(err error, commands int) error {
	var f *fault.Error
	if errors.As(err, &f) && f.Kind == fault.Unavailable {
		return f
	}
	k.cfg.Log.Error("ledger: batch failed", "commands", commands, "error", err)
	return fault.Wrap(fault.Unavailable, err, "The ledger cannot be written, so nothing was changed. Try again when the operator has mended it.")
}

// decide runs one command against the batch. refused is for its caller alone;
// err is a storage error and fails the batch.
func (k *Kernel) decide(b store.Batch, p *pending, m moment) (seq int64, refused, err error) {
	j := k.judge(b, p, m.now)
	switch {
	case j.err != nil:
		return 0, nil, j.err
	case j.refused == nil:
		seq, err = k.append(b, p, j.aim, j.decision, m.now)
		return seq, nil, err
	case j.denied:
		return 0, j.refused, k.deny(b, p, j.aim, j.refused, m)
	}
	return 0, j.refused, nil
}

// judgement is what becomes of a command.
type judgement struct {
	aim      Aim
	decision *Decision
	refused  error // what its caller is told; nil if it may happen
	denied   bool  // the refusal is one that belongs on record
	err      error // of the storage
}

// judge decides one command and writes nothing.
func (k *Kernel) judge(from store.View, p *pending, now time.Time) (j judgement) {
	v := &watched{View: from}
	if j.aim, j.refused = p.cmd.Aim(v); j.refused != nil {
		j.err = v.failed
		return j
	}
	if p.by.Actor.Roles, j.err = authz.RolesOf(from, p.by.account(), j.aim.On.Team); j.err != nil {
		return j
	}
	if j.refused, j.err = k.authorize(from, p, j.aim); j.err != nil || j.refused != nil {
		j.denied = true
		return j
	}
	if j.refused = expected(v, p.by.Expect); j.refused != nil {
		j.err = v.failed
		return j
	}
	j.decision = &Decision{Outcome: ledger.OK}
	if j.refused = p.cmd.Decide(v, p.by, now, j.decision); j.refused == nil {
		j.refused = j.decision.check(j.aim.Scope)
	}
	if j.refused == nil && j.decision.LoggedIn != nil {
		j.refused = p.logIn(v, j.decision.LoggedIn, j.aim.On.Team)
	}
	kind := fault.Of(j.refused)
	j.denied = kind == fault.Forbidden || kind == fault.Unauthenticated
	j.err = v.failed
	return j
}

// Rehearse tells how a command of somebody would be answered now: by the same
// decision on the same state, of which nothing is written, no denial either. It
// is for the platform's own attempts, where a real one would be in somebody
// else's name; it is no way to ask before acting.
func (k *Kernel) Rehearse(ctx context.Context, cmd Command, by By) error {
	var j judgement
	if err := k.cfg.Store.Read(ctx, func(v store.View) error {
		j = k.judge(v, &pending{cmd: cmd, by: by}, k.cfg.Now())
		return j.err
	}); err != nil {
		return err
	}
	return j.refused
}

// logInAction is the one action that makes an account of somebody anonymous.
const logInAction = "account.login"

// logIn makes a command's actor the account that it found them to be. Nobody
// who is known becomes another, and nothing but a log-in says who somebody is.
func (p *pending) logIn(v store.View, acct *document.Account, team string) error {
	if p.cmd.Action() != logInAction || p.by.Actor.Kind != ledger.AnonymousActor || acct.ID == "" {
		return fmt.Errorf("%s by a %s actor named the account %s as its actor", p.cmd.Action(), p.by.Actor.Kind, acct.ID)
	}
	roles, err := authz.RolesOf(v, acct.ID, team)
	if err != nil {
		return err
	}
	actor := &p.by.Actor
	actor.Kind, actor.ID, actor.Email, actor.Roles = ledger.AccountActor, acct.ID, acct.Email, roles
	return nil
}

// watched notes whether the database failed while a command looked at it. What
// else goes wrong in a command is the command's own error: it has changed
// nothing, and the rest of the batch goes on.
type watched struct {
	store.View
	failed error
}

// Get implements store.View.
func (w *watched) Get(kind document.Kind, id string) (document.Doc, error) {
	d, err := w.View.Get(kind, id)
	return d, w.note(err)
}

// Find implements store.View.
func (w *watched) Find(kind document.Kind, key, value string) ([]document.Doc, error) {
	list, err := w.View.Find(kind, key, value)
	return list, w.note(err)
}

// Rev implements store.View.
func (w *watched) Rev(kind document.Kind, id string) (rev, seq int64, err error) {
	rev, seq, err = w.View.Rev(kind, id)
	return rev, seq, w.note(err)
}

func (w *watched) note(err error) error {
	if err != nil && w.failed == nil {
		w.failed = err
	}
	return err
}

// authorize returns what the actor is told if the command is not for them.
func (k *Kernel) authorize(v store.View, p *pending, aim Aim) (refused, err error) {
	ok, err := authz.Allowed(v, p.by.Subject(), p.by.Actor.Roles, aim.Need, aim.On)
	if ok || err != nil {
		return nil, err
	}
	if p.by.account() == "" && p.by.Actor.Kind != ledger.SystemActor {
		return fault.New(fault.Unauthenticated, "Invalid credentials provided."), nil
	}
	if aim.See != "" {
		sees, err := authz.Allowed(v, p.by.Subject(), p.by.Actor.Roles, aim.See, aim.On)
		if err != nil {
			return nil, err
		}
		if !sees {
			return fault.New(fault.NotFound, "Couldn't find that %s.", cmp.Or(aim.Hidden, aim.Target.Kind)), nil
		}
	}
	return fault.New(fault.Forbidden, "You do not have access to %s: it needs the permission %s.", aim.Target.Name, aim.Need), nil
}

func expected(v store.View, list []Expect) error {
	for _, e := range list {
		rev, _, err := v.Rev(e.Kind, e.ID)
		if err != nil {
			return err
		}
		if rev != e.Rev {
			return fault.New(fault.Conflict, "That %s was changed in the meantime. Read it again and repeat.", e.Kind)
		}
	}
	return nil
}
