// Package sessions has the commands about people's access to running processes
// and databases: one-off dynos, interactive sessions, their recordings.
//
// Invariant: the entry session.open is durable before a terminal exists; what
// was typed is in the encrypted recording, whose digest session.close carries.
// internal/api makes one-off dynos, internal/gateway opens and closes sessions.
package sessions

import (
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Run makes a one-off dyno. Its command line may hold PHI: it is a blob.
type Run struct {
	App      string
	Attached bool
	Size     string
	Command  ledger.Blob // of the command line
	Type     string      // "run" unless given
	Dyno     *document.Dyno
	Release  *document.Release // the current one, which it runs

	app *document.App
}

// JobTask starts a detached one-off dyno; ref is the dyno's id.
const JobTask = "dyno.task"

// Action is dyno.run.
func (*Run) Action() string { return "dyno.run" }

// Aim is the app.
func (c *Run) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.app, err = apps.Find(v, c.App); err != nil {
		return control.Aim{}, err
	}
	return apps.Aim(c.app, authz.AppShell), nil
}

// Decide needs a current release with a build.
func (c *Run) Decide(v store.View, by control.By, _ time.Time, d *control.Decision) error {
	list, err := store.Find[*document.Release](v, "current", c.app.ID)
	if err != nil {
		return err
	}
	if len(list) == 0 || list[0].Slug == "" {
		return fault.New(fault.Invalid, "The app has no build to run. Push one first: git push heroku main")
	}
	size, err := document.SizeByName(c.Size)
	if err != nil {
		return err
	}
	if c.Type == "" {
		c.Type = "run"
	}
	if err := document.CheckProcessType(c.Type); err != nil {
		return err
	}
	c.Release = list[0]
	c.app.RunSeq++
	c.Dyno = &document.Dyno{
		Base: document.Base{ID: document.NewID()}, App: c.app.ID, Space: c.app.Space, Name: fmt.Sprintf("%s.%d", c.Type, c.app.RunSeq),
		Type: c.Type, Size: size.Name, State: "starting", Release: c.Release.Version, Attached: c.Attached, By: by.Actor.ID,
	}
	d.Put(c.Dyno)
	d.Put(c.app)
	d.Blobs = append(d.Blobs, c.Command)
	d.Note("dyno", c.Dyno.Name)
	if !c.Attached {
		d.Job(JobTask, c.Dyno.ID)
	}
	return nil
}

// EndRun records that a one-off dyno ended.
type EndRun struct {
	Dyno     string // id
	ExitCode int

	dyno *document.Dyno
}

// Action is dyno.end.
func (*EndRun) Action() string { return "dyno.end" }

// Aim is the dyno.
func (c *EndRun) Aim(v store.View) (control.Aim, error) {
	x, err := store.Get[*document.Dyno](v, c.Dyno)
	if err != nil {
		return control.Aim{}, err
	}
	c.dyno = x
	return control.Aim{
		Scope: x.Space, App: x.App, Target: ledger.Target{Kind: "dyno", ID: x.ID, Name: x.Name}, Need: authz.System,
	}, nil
}

// Decide ends the document; the entry keeps the exit code.
func (c *EndRun) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	d.Note("exit_code", fmt.Sprint(c.ExitCode))
	d.Delete(document.KindDyno, c.Dyno)
	return nil
}

// Open begins a session: before the terminal, the tunnel or the process is.
type Open struct {
	App     string // id
	Dyno    string // name
	Type    string // run, exec, psql
	Command *ledger.Blob
	Session *document.Session // the result

	app *document.App
}

// Action is session.open.
func (*Open) Action() string { return "session.open" }

// Aim is the app.
func (c *Open) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.app, err = apps.Find(v, c.App); err != nil {
		return control.Aim{}, err
	}
	return apps.Aim(c.app, authz.AppShell), nil
}

// Decide makes the session's document.
func (c *Open) Decide(_ store.View, by control.By, _ time.Time, d *control.Decision) error {
	c.Session = &document.Session{
		Base: document.Base{ID: document.NewID()}, App: c.app.ID, Space: c.app.Space, Dyno: c.Dyno,
		By: by.Actor.ID, ByEmail: by.Actor.Email, Type: c.Type, State: document.SessionOpen,
	}
	d.Put(c.Session)
	if c.Command != nil {
		d.Blobs = append(d.Blobs, *c.Command)
	}
	return nil
}

// Close ends a session with the digest of its recording.
type Close struct {
	ID          string
	Interrupted bool // the platform stopped before the session did
	ExitCode    *int
	Recording   *ledger.Blob
	Bytes       int64 // both ways
	Why         string

	session *document.Session
}

// Action is session.close.
func (*Close) Action() string { return "session.close" }

// Aim is the session.
func (c *Close) Aim(v store.View) (control.Aim, error) {
	s, err := store.Get[*document.Session](v, c.ID)
	if err != nil {
		return control.Aim{}, err
	}
	c.session = s
	return control.Aim{
		Scope: s.Space, App: s.App, Target: ledger.Target{Kind: "session", ID: s.ID, Name: s.Dyno}, Need: authz.System,
	}, nil
}

// Decide is for sessions that are open, and for recordings that could be sealed
// only after their session had ended.
func (c *Close) Decide(_ store.View, _ control.By, now time.Time, d *control.Decision) error {
	s := c.session
	if s.State != document.SessionOpen && s.Recording == "" && c.Recording != nil {
		s.Recording, s.Bytes = c.Recording.SHA256, c.Bytes
		d.Blobs = append(d.Blobs, *c.Recording)
		d.Note("why", "its recording was sealed later")
		d.Put(s)
		return nil
	}
	if s.State != document.SessionOpen {
		return fault.New(fault.Conflict, "The session is %s already.", s.State)
	}
	s.State, s.EndedAt, s.ExitCode, s.Bytes = document.SessionClosed, &now, c.ExitCode, c.Bytes
	if c.Interrupted {
		s.State = document.SessionInterrupted
	}
	if c.Recording != nil {
		s.Recording = c.Recording.SHA256
		d.Blobs = append(d.Blobs, *c.Recording)
	}
	if c.Why != "" {
		d.Note("why", c.Why)
	}
	d.Put(s)
	return nil
}

// Play hands out a recording, once that is recorded.
type Play struct {
	ID      string
	Session *document.Session // the result
}

// Action is session.play.
func (*Play) Action() string { return "session.play" }

// Aim is the session; recordings are for those who read evidence.
func (c *Play) Aim(v store.View) (control.Aim, error) {
	s, err := store.Get[*document.Session](v, c.ID)
	if err != nil {
		return control.Aim{}, err
	}
	c.Session = s
	space, err := store.Get[*document.Space](v, s.Space)
	if err != nil {
		return control.Aim{}, err
	}
	return control.Aim{
		Scope: s.Space, App: s.App, Target: ledger.Target{Kind: "session", ID: s.ID, Name: s.Dyno},
		Need: authz.EvidenceRead, See: authz.SpaceView, On: authz.Resource{Team: space.Team},
	}, nil
}

// Decide refuses while the session goes on.
func (c *Play) Decide(store.View, control.By, time.Time, *control.Decision) error {
	if c.Session.Recording == "" {
		return fault.New(fault.NotFound, "The session has no recording: it is %s.", c.Session.State)
	}
	return nil
}

// ReadLogs opens an app's log stream, once that is recorded.
type ReadLogs struct {
	App    string
	Tail   bool
	Target *document.App // the result
}

// Action is log.read.
func (*ReadLogs) Action() string { return "log.read" }

// Aim is the app.
func (c *ReadLogs) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.Target, err = apps.Find(v, c.App); err != nil {
		return control.Aim{}, err
	}
	return apps.Aim(c.Target, authz.AppOperate), nil
}

// Decide notes whether the stream is followed.
func (c *ReadLogs) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	d.Note("tail", fmt.Sprint(c.Tail))
	return nil
}
