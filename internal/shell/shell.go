// Package shell keeps what the API promised to people who want into a running
// process or a database, and makes it true when they come with the secret: a
// recorded session for `heroku run`, a tunnel for `heroku pg:psql`.
//
// Invariants: session.open is durable before a process or a connection is made,
// in the name of the person who asked; a promise works once and for a minute.
// internal/server has the API make promises here; internal/gateway redeems them.
package shell

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/gateway"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/reconcile"
	"github.com/strongroom/strongroom/internal/recording"
	"github.com/strongroom/strongroom/internal/store"
)

// Config of a Desk.
type Config struct {
	reconcile.Processes
	Kernel   *control.Kernel
	Driver   driver.Driver
	Recorder *recording.Recorder
	Log      *slog.Logger
	Now      func() time.Time
}

// Desk keeps promises. It implements gateway.Sessions and gateway.Tunnels.
type Desk struct {
	cfg     Config
	runs    *gateway.Tickets[Offer]
	tunnels *gateway.Tickets[tunnel]
	owed    owed
}

// Offer is a one-off dyno on record that waits for its owner's terminal.
type Offer struct {
	By      control.By
	Dyno    *document.Dyno
	Release *document.Release // that it runs
	Command string            // may hold PHI
	Env     []driver.EnvVar
	TTY     bool
	Cols    int
	Rows    int
}

// New returns a desk.
func New(cfg Config) *Desk {
	d := &Desk{cfg: cfg, owed: newOwed()}
	d.runs = gateway.NewTickets(0, d.expired)
	d.tunnels = gateway.NewTickets[tunnel](0, nil)
	return d
}

// Promise returns the secret that starts the process, once and for a minute.
// If nobody comes, the dyno's end is recorded.
func (d *Desk) Promise(o Offer) (secret string) { return d.runs.Issue(o) }

// Redeem implements gateway.Sessions.
func (d *Desk) Redeem(ctx context.Context, secret string, remote netip.Addr) (gateway.Attachment, error) {
	p, ok := d.runs.Take(secret)
	if !ok {
		return gateway.Attachment{}, d.refuse(ctx, "one-time secret", ledger.ViaRendezvous, remote)
	}
	by := p.By
	by.Via, by.Actor.IP = ledger.ViaRendezvous, remote.String()
	open := &sessions.Open{App: p.Dyno.App, Dyno: p.Dyno.Name, Type: "run"}
	if _, err := d.cfg.Kernel.Execute(ctx, open, by); err != nil {
		d.endRun(p.Dyno.ID, 1)
		return gateway.Attachment{}, err
	}
	d.owed.begin(open.Session.ID)
	a, err := d.start(ctx, p, open.Session)
	if err != nil {
		defer d.owed.done(open.Session.ID)
		// What was opened is closed, also if the client has left: nothing ran,
		// nothing was typed.
		if cerr := d.close(context.WithoutCancel(ctx), &sessions.Close{ID: open.Session.ID, Why: "could not start"}); cerr != nil {
			d.cfg.Log.Error("the end of a session that did not start was not recorded", "session", open.Session.ID, "error", cerr)
		}
		d.endRun(p.Dyno.ID, 1)
		return gateway.Attachment{}, err
	}
	return a, nil
}

// refuse records what opened no session and gives the refusal. A stranger is not
// told whether that could be recorded: nothing was let through either way.
func (d *Desk) refuse(ctx context.Context, what string, via ledger.Via, remote netip.Addr) error {
	by := control.By{Actor: ledger.Actor{Kind: ledger.AnonymousActor, IP: remote.String()}, Via: via}
	_, err := d.cfg.Kernel.Execute(ctx, &sessions.Refuse{What: what}, by)
	if kind := fault.Of(err); kind != fault.Unauthenticated {
		d.cfg.Log.Error("a refused session was not recorded", "remote", remote, "error", err)
	}
	return fault.New(fault.Unauthenticated, "no such %s", what)
}

// start begins the recording, then the process.
func (d *Desk) start(ctx context.Context, p Offer, s *document.Session) (gateway.Attachment, error) {
	rec, err := d.cfg.Recorder.Open(ctx, recording.Meta{
		ID: s.ID, Scope: &s.Space, Command: p.Command, Cols: p.Cols, Rows: p.Rows, Term: term(p.Env), Started: d.cfg.Now(),
	})
	if err != nil {
		return gateway.Attachment{}, err
	}
	session, err := d.startTask(ctx, p)
	if err != nil {
		if _, serr := rec.Seal(context.WithoutCancel(ctx), recording.End{Reason: "could not start"}); serr == nil {
			rec.Remove()
		} else {
			d.owed.recording()
		}
		return gateway.Attachment{}, err
	}
	withdrawn := make(chan struct{})
	watching, stop := context.WithCancel(context.Background())
	go d.watch(watching, s.By, s.App, withdrawn)
	return gateway.Attachment{
		ID: s.ID, Session: session, Recording: rec, TTY: p.TTY, Done: withdrawn,
		Close: func(ctx context.Context, end gateway.Ending) error {
			stop()
			return d.ended(ctx, p, s, end)
		},
	}, nil
}

func (d *Desk) startTask(ctx context.Context, p Offer) (driver.Session, error) {
	dyno := p.Dyno
	var app *document.App
	var space *document.Space
	var peers []string
	if err := d.cfg.Store.Read(ctx, func(v store.View) (err error) {
		if app, err = store.Get[*document.App](v, dyno.App); err != nil {
			return err
		}
		if space, err = store.Get[*document.Space](v, dyno.Space); err != nil {
			return err
		}
		peers, err = reconcile.PeersOf(v, space, dyno.App)
		return err
	}); err != nil {
		return nil, err
	}
	process, err := d.cfg.Process(ctx, reconcile.Dyno{
		App: app, Release: p.Release, Space: space, Command: p.Command, Type: "run", Size: dyno.Size,
		Env: append(slices.Clone(p.Env), driver.EnvVar{Name: "DYNO", Value: dyno.Name}),
	})
	if err != nil {
		return nil, err
	}
	return d.cfg.Driver.StartTask(ctx, driver.Task{
		ID: dyno.ID, Space: dyno.Space, Name: dyno.Name, Process: process, Attach: true, TTY: p.TTY, Rows: p.Rows, Cols: p.Cols,
		Timeout: 24 * time.Hour, Peers: peers, Private: space.Linked,
		Labels: driver.Labels{App: dyno.App, Source: "app", Type: dyno.Type},
	})
}

// ended records the end of a session and of its dyno.
func (d *Desk) ended(ctx context.Context, p Offer, s *document.Session, end gateway.Ending) error {
	code := 1
	if end.Exit != nil {
		code = end.Exit.Code
	}
	defer d.owed.done(s.ID)
	c := &sessions.Close{ID: s.ID, ExitCode: &code, Bytes: end.In + end.Out, Why: end.Reason}
	if end.Recording != nil {
		attach(c, end.Recording)
	} else {
		d.owed.recording()
	}
	err := d.close(ctx, c)
	d.endRun(p.Dyno.ID, code)
	return err
}

// attach names the recording in the session's end, and says if it was altered or
// torn in a way that no crash does: an auditor must not take it for whole.
func attach(c *sessions.Close, s *recording.Sealed) {
	c.Recording = &ledger.Blob{SHA256: s.Ref.SHA256, Size: s.Ref.Size, MediaType: recording.MediaType, Role: "recording"}
	if s.Damaged {
		c.Why += damaged
	}
}

const damaged = "; its recording was damaged, only what precedes that is kept"

// close records the end of a session. What the ledger does not take now it is
// given again by Run.
func (d *Desk) close(ctx context.Context, c *sessions.Close) error {
	_, err := d.cfg.Kernel.Execute(ctx, c, control.System("gateway", d.via(ctx, c.ID)))
	if unrecorded(err) {
		d.owed.close(c)
	}
	return err
}

// via is the way that a session came: tunnels to databases come over SSH.
func (d *Desk) via(ctx context.Context, session string) ledger.Via {
	via := ledger.ViaRendezvous
	// What cannot be read now is not recorded either: the command says so.
	_ = d.cfg.Store.Read(ctx, func(v store.View) error {
		s, err := store.Get[*document.Session](v, session)
		if err == nil && s.Type == tunnelType {
			via = ledger.ViaSSH
		}
		return err
	})
	return via
}

// endRun records that a one-off dyno is over.
func (d *Desk) endRun(dyno string, code int) {
	if err := d.recordEnd(dyno, code); err != nil {
		d.cfg.Log.Error("the end of a one-off dyno was not recorded", "dyno", dyno, "error", err)
	}
}

// recordEnd is endRun for one that was tried before.
func (d *Desk) recordEnd(dyno string, code int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := d.cfg.Kernel.Execute(ctx, &sessions.EndRun{Dyno: dyno, ExitCode: code}, gatewayActor())
	if unrecorded(err) {
		d.owed.run(dyno, code)
	}
	if fault.Of(err) == fault.NotFound {
		return nil
	}
	return err
}

// expired is for promises that nobody came for.
func (d *Desk) expired(p Offer) { d.endRun(p.Dyno.ID, 1) }

func gatewayActor() control.By { return control.System("gateway", ledger.ViaRendezvous) }

// Recover seals the sessions that a crash interrupted. Call it before serving.
func (d *Desk) Recover(ctx context.Context) error {
	list, err := d.cfg.Recorder.Recover(ctx)
	if err != nil {
		d.cfg.Log.Error("a recording could not be sealed and is kept", "error", err)
	}
	sealed := map[string]*recording.Sealed{}
	for i := range list {
		sealed[list[i].ID] = &list[i]
	}
	var open []*document.Session
	if err := d.cfg.Store.Read(ctx, func(v store.View) (err error) {
		open, err = store.Find[*document.Session](v, "open", "")
		return err
	}); err != nil {
		return err
	}
	for _, s := range open {
		if err := d.close(ctx, interrupted(s.ID, sealed[s.ID])); err != nil {
			return fmt.Errorf("close the interrupted session %s: %w", s.ID, err)
		}
	}
	for id, r := range sealed {
		if err := d.keep(ctx, id, r); err != nil {
			return fmt.Errorf("keep the recording of the session %s: %w", id, err)
		}
	}
	return d.recoverRuns(ctx)
}

func interrupted(id string, r *recording.Sealed) *sessions.Close {
	c := &sessions.Close{ID: id, Interrupted: true, Why: recording.Interrupted}
	if r != nil {
		c.Bytes = r.In + r.Out
		attach(c, r)
	}
	return c
}

// keep removes the working file of a recording once the session names the
// recording: one that ended while it could not be sealed does not yet.
func (d *Desk) keep(ctx context.Context, id string, r *recording.Sealed) error {
	var s *document.Session
	err := d.cfg.Store.Read(ctx, func(v store.View) (err error) {
		s, err = store.Get[*document.Session](v, id)
		return err
	})
	switch {
	case fault.Of(err) == fault.NotFound:
		d.cfg.Log.Error("a recording is of no session on record and is kept", "session", id)
		return nil
	case err != nil:
		return err
	case s.Recording == "":
		if err := d.close(ctx, interrupted(id, r)); err != nil {
			return err
		}
	}
	if err := d.cfg.Recorder.Remove(id); err != nil {
		d.cfg.Log.Warn("the working file of a recording was not removed", "session", id, "error", err)
	}
	return nil
}

// recoverRuns ends the attached one-off dynos whose terminals are gone.
func (d *Desk) recoverRuns(ctx context.Context) error {
	var gone []string
	if err := d.cfg.Store.Read(ctx, func(v store.View) error {
		spaces, err := store.Find[*document.Space](v, "all", "")
		if err != nil {
			return err
		}
		for _, s := range spaces {
			dynos, err := store.Find[*document.Dyno](v, "space", s.ID)
			if err != nil {
				return err
			}
			for _, x := range dynos {
				if x.Attached {
					gone = append(gone, x.ID)
				}
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for _, id := range gone {
		d.endRun(id, 1)
	}
	return nil
}

func term(env []driver.EnvVar) string {
	for _, e := range env {
		if e.Name == "TERM" {
			return e.Value
		}
	}
	return ""
}
