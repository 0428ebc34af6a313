// Package alert sends what becomes of findings to where people want to read it:
// signed webhooks and mail.
//
// Invariants: what is to be sent is a job from the entry that it tells of until
// somebody took it, so each message arrives at least once, with an id by which a
// second one is known; a channel that does not take messages keeps no other from
// getting its own; a channel gets so many messages a minute, and of the rest a
// summary; a message names no person and holds none of a finding's facts.
// internal/server runs it.
package alert

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/strongroom/strongroom/internal/command/alerts"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// Config of a Sender.
type Config struct {
	Store   store.Store
	Kernel  *control.Kernel
	Keyring *secret.Keyring
	Log     *slog.Logger
	Now     func() time.Time
	// Title is what a check is about, in words.
	Title   func(check string) string
	Webhook Webhook
	Mail    Mail
	// PerMinute is how many messages a channel gets in a minute; default 20.
	PerMinute int
}

// Bounds of sending.
const (
	perMinute  = 20
	maxPending = 10_000 // of a channel, told at once
	parallel   = 8      // channels
	sendTime   = 20 * time.Second
	firstRetry = 5 * time.Second
	lastRetry  = 10 * time.Minute
)

// Sender sends. Create it with New, run it with Run; Turn is for that one
// goroutine.
type Sender struct {
	cfg Config

	mu    sync.Mutex
	lanes map[string]*lane // by channel
}

// lane is what is known of a channel since the program started.
type lane struct {
	sent  []time.Time // within the last minute
	tries int         // in vain
	later time.Time   // not before
}

// New returns a sender.
func New(cfg Config) *Sender {
	if cfg.PerMinute == 0 {
		cfg.PerMinute = perMinute
	}
	return &Sender{cfg: cfg, lanes: map[string]*lane{}}
}

// Run sends what there is to send until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	for {
		changed := s.cfg.Kernel.Changed()
		next, err := s.Turn(ctx)
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("alerts", "error", err)
		}
		pause := time.NewTimer(max(time.Second, next.Sub(s.cfg.Now())))
		select {
		case <-ctx.Done():
		case <-changed:
		case <-pause.C:
		}
		pause.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// idle is how long a turn may stand for when nothing is to be done.
const idle = time.Minute

// Turn sends what is due on every channel, and tells when more is.
func (s *Sender) Turn(ctx context.Context) (next time.Time, err error) {
	next = s.cfg.Now().Add(idle)
	channels, err := s.channels(ctx)
	if err != nil {
		return next, err
	}
	if err := s.forget(ctx, channels); err != nil {
		return next, err
	}
	var g errgroup.Group
	g.SetLimit(parallel)
	for id, a := range channels {
		l := s.lane(id)
		g.Go(func() error { return s.channel(ctx, l, a) })
	}
	err = g.Wait()
	for id := range channels {
		if at := s.lane(id).later; at.After(s.cfg.Now()) && at.Before(next) {
			next = at
		}
	}
	return next, err
}

func (s *Sender) channels(ctx context.Context) (map[string]*document.Alert, error) {
	out := map[string]*document.Alert{}
	err := s.cfg.Store.Read(ctx, func(v store.View) error {
		list, err := store.Find[*document.Alert](v, "all", "")
		for _, a := range list {
			out[a.ID] = a
		}
		return err
	})
	return out, err
}

// forget drops what was to be sent to channels that were removed.
func (s *Sender) forget(ctx context.Context, channels map[string]*document.Alert) error {
	var moot []int64
	for _, kind := range []string{alerts.JobSend, alerts.JobTest} {
		jobs, err := s.cfg.Store.JobsOf(ctx, kind, "", maxPending)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if channels[j.Ref] == nil {
				moot = append(moot, j.ID)
			}
		}
	}
	if len(moot) == 0 {
		return nil
	}
	return s.cfg.Store.JobDone(moot...)
}

func (s *Sender) lane(id string) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lanes[id] == nil {
		s.lanes[id] = &lane{}
	}
	return s.lanes[id]
}

// channel sends what is due on one channel: tests at once, for somebody waits
// for the answer, the rest until the channel does not take it.
func (s *Sender) channel(ctx context.Context, l *lane, a *document.Alert) error {
	tests, err := s.cfg.Store.JobsOf(ctx, alerts.JobTest, a.ID, s.cfg.PerMinute)
	if err != nil {
		return err
	}
	if err := s.all(ctx, l, a, tests); err != nil || s.cfg.Now().Before(l.later) {
		return err
	}
	jobs, err := s.cfg.Store.JobsOf(ctx, alerts.JobSend, a.ID, maxPending)
	if err != nil {
		return err
	}
	return s.all(ctx, l, a, jobs)
}

// all sends one message for each job; the last that the channel gets this minute
// tells of all that are left.
func (s *Sender) all(ctx context.Context, l *lane, a *document.Alert, jobs []store.Job) error {
	for len(jobs) > 0 && ctx.Err() == nil {
		room := l.room(s.cfg.Now(), s.cfg.PerMinute)
		if room == 0 {
			l.later = l.sent[0].Add(time.Minute)
			return nil
		}
		batch := jobs[:1]
		if room == 1 {
			batch = jobs
		}
		taken, err := s.batch(ctx, l, a, batch)
		if err != nil || !taken {
			return err
		}
		jobs = jobs[len(batch):]
	}
	return nil
}

// room is how many messages the channel may still get this minute.
func (l *lane) room(now time.Time, most int) int {
	for len(l.sent) > 0 && now.Sub(l.sent[0]) >= time.Minute {
		l.sent = l.sent[1:]
	}
	return max(0, most-len(l.sent))
}

// batch sends one message and tells whether it needs not be sent again.
func (s *Sender) batch(ctx context.Context, l *lane, a *document.Alert, jobs []store.Job) (bool, error) {
	m, err := s.message(ctx, a, jobs)
	if err != nil {
		return false, err
	}
	if m != nil {
		if taken, err := s.try(ctx, l, a, m); !taken || err != nil {
			return false, err
		}
	}
	ids := make([]int64, 0, len(jobs))
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	return true, s.cfg.Store.JobDone(ids...)
}

// try sends a message. One that is not taken is sent again later, each time
// after a longer pause; a test is not: who made it reads how it went.
func (s *Sender) try(ctx context.Context, l *lane, a *document.Alert, m *Message) (taken bool, err error) {
	now := s.cfg.Now()
	l.sent = append(l.sent, now)
	sendCtx, cancel := context.WithTimeout(ctx, sendTime)
	failed := s.send(sendCtx, a, m)
	cancel()
	if ctx.Err() != nil {
		return false, nil // the program stops: it is sent again at the next start
	}
	if err := s.record(ctx, a, m, failed); err != nil {
		return false, err
	}
	if failed == nil {
		l.tries, l.later = 0, time.Time{}
		return true, nil
	}
	s.cfg.Log.Warn("an alert was not taken", "alert", a.ID, "channel", a.Channel, "host", a.Host(), "tries", l.tries, "error", failed)
	if m.Event == Test {
		return true, nil
	}
	l.later = now.Add(min(lastRetry, firstRetry<<min(l.tries, 10)))
	l.tries++
	return false, nil
}

func (s *Sender) send(ctx context.Context, a *document.Alert, m *Message) error {
	if a.Channel == document.AlertEmail {
		return s.cfg.Mail.send(ctx, a.To, m)
	}
	key, err := s.cfg.Keyring.Open(ctx, a.Secret.ID, a.Secret.SHA256)
	if err != nil {
		return err
	}
	address, err := s.cfg.Keyring.Open(ctx, a.Address.ID, a.Address.SHA256)
	if err != nil {
		return err
	}
	return s.cfg.Webhook.send(ctx, address, key, m)
}

// record says whether the channel takes messages, if nobody knew or it is asked.
func (s *Sender) record(ctx context.Context, a *document.Alert, m *Message, failed error) error {
	state, why := document.AlertDelivered, ""
	if failed != nil {
		state, why = document.AlertFailing, said(failed)
	}
	if a.State == state && m.Event != Test {
		return nil
	}
	by := control.System("alerts", ledger.ViaScheduler)
	_, err := s.cfg.Kernel.Execute(ctx, &alerts.Record{ID: a.ID, Error: why, Test: m.Event == Test}, by)
	if kind := fault.Of(err); kind == fault.NotFound || kind == fault.Conflict {
		return nil // it was removed, or somebody said so
	}
	a.State = state
	return err
}

// said is what of an error goes on record: words of our own, not the receiver's.
func said(err error) string {
	if m := fault.Message(err); m != "" {
		return m
	}
	return "It could not be sent; the server's log tells why."
}
