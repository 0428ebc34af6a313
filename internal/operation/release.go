package operation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/reconcile"
	"github.com/strongroom/strongroom/internal/store"
)

// Bounds of a release phase (Heroku: 1 hour).
const (
	phaseTime   = time.Hour
	phaseOutput = 4 << 20 // bytes kept of its output
)

// subject is all that a process of an app is made from.
type subject struct {
	app     *document.App
	space   *document.Space
	release *document.Release
	slug    *document.Slug
	peers   []string
}

func (r *Runner) subject(v store.View, release *document.Release) (s subject, err error) {
	s.release = release
	if s.app, err = store.Get[*document.App](v, release.App); err != nil {
		return s, err
	}
	if s.space, err = store.Get[*document.Space](v, release.Space); err != nil {
		return s, err
	}
	if s.slug, err = store.Get[*document.Slug](v, release.Slug); err != nil {
		return s, err
	}
	s.peers, err = reconcile.PeersOf(v, s.space, s.app.ID)
	return s, err
}

// releasePhase runs a release's release command and records how it ended.
func (r *Runner) releasePhase(ctx context.Context, j store.Job) error {
	var s subject
	first := true
	if err := r.cfg.Store.Read(ctx, func(v store.View) error {
		rel, err := store.Get[*document.Release](v, j.Ref)
		if err != nil {
			return err
		}
		if s, err = r.subject(v, rel); err != nil {
			return err
		}
		first, err = isFirst(v, rel)
		return err
	}); err != nil {
		return moot(err)
	}
	if s.release.Status != document.ReleasePending {
		return nil
	}
	if !first {
		return errBusy
	}
	i := slices.IndexFunc(s.slug.Processes, func(p document.Process) bool { return p.Type == "release" })
	if i < 0 {
		return fmt.Errorf("release v%d has no release command", s.release.Version)
	}
	output, failed, err := r.runPhase(ctx, s, s.slug.Processes[i].Command)
	if err != nil {
		if failed = r.hopeless(ctx, err, s.release.UpdatedAt); failed == "" {
			return err
		}
	}
	ref, err := r.cfg.Blobs.Put(ctx, &s.app.Space, bytes.NewReader(output), phaseOutput+1024)
	if err != nil {
		return err
	}
	return r.record(ctx, &releases.FinishPhase{
		ID: s.release.ID, Failed: failed,
		Output: &ledger.Blob{SHA256: ref.SHA256, Size: ref.Size, MediaType: "text/plain", Role: "release-output"},
	}, j)
}

// isFirst tells whether no older release of the app is in its phase: phases
// change databases, and must not overlap.
func isFirst(v store.View, r *document.Release) (bool, error) {
	open, err := store.Find[*document.Release](v, "open", r.App)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(open, func(x *document.Release) bool {
		return x.Status == document.ReleasePending && x.Version < r.Version
	}), nil
}

// hopeless says why a process that could not be run is not tried any more, ""
// if it is: it cannot be run as it is, or it could not be for an hour.
func (r *Runner) hopeless(ctx context.Context, err error, since time.Time) string {
	if ctx.Err() != nil {
		return ""
	}
	if fault.Of(err) == fault.Invalid {
		return fault.Message(err)
	}
	if r.cfg.Now().Sub(since) > phaseTime {
		r.cfg.Log.Error("a process could not be run", "error", err)
		return "The process could not be run for an hour. The server's log has the reason."
	}
	return ""
}

// runPhase returns the command's output and why it failed, if it did. An error
// means that it is not known how it ended.
func (r *Runner) runPhase(ctx context.Context, s subject, command string) (output []byte, failed string, err error) {
	process, err := r.cfg.Process(ctx, reconcile.Dyno{
		App: s.app, Release: s.release, Space: s.space, Command: command, Type: "release",
		Env: []driver.EnvVar{{Name: "DYNO", Value: "release.1"}},
	})
	if err != nil {
		return nil, "", err
	}
	id, err := r.freshTask(ctx, s.release.ID)
	if err != nil {
		return nil, "", err
	}
	session, err := r.cfg.Driver.StartTask(ctx, driver.Task{
		ID: id, Space: s.app.Space, Name: "release.1", Process: process, Attach: true, Timeout: phaseTime, Peers: s.peers, Private: s.space.Linked,
		Labels: driver.Labels{App: s.app.ID, Source: "app", Type: "release"},
	})
	if err != nil {
		return nil, "", err
	}
	defer session.Close()
	// The output is there to be read while the phase runs.
	live := r.outputs.open(s.release.ID)
	defer r.outputs.close(s.release.ID)
	if err := session.CloseWrite(); err != nil {
		return nil, "", err
	}
	if _, err := io.Copy(live, session); err != nil {
		return nil, "", fmt.Errorf("read the output of a release phase: %w", err)
	}
	exit, err := session.Wait(ctx)
	if err != nil {
		return nil, "", err
	}
	if exit.Code != 0 {
		failed = fmt.Sprintf("The release command exited with status %d.", exit.Code)
	}
	return live.bytes(), failed, nil
}

// freshTask gives the engine's id for the next try of a phase, after ending
// what a crash left of the tries before: a task runs once.
func (r *Runner) freshTask(ctx context.Context, release string) (string, error) {
	base, err := uuid.Parse(release)
	if err != nil {
		return "", fmt.Errorf("release phase: %w", err)
	}
	for n := 0; ; n++ {
		id := uuid.NewHash(sha256.New(), base, []byte("release phase "+strconv.Itoa(n)), 8).String()
		if err := r.cfg.Driver.StopTask(ctx, id); err != nil {
			return "", err
		}
		if _, there, err := r.ended(ctx, id); err != nil || !there {
			return id, err
		}
	}
}

// task runs a detached one-off dyno to its end.
func (r *Runner) task(ctx context.Context, j store.Job) error {
	var s subject
	var dyno *document.Dyno
	if err := r.cfg.Store.Read(ctx, func(v store.View) (err error) {
		if dyno, err = store.Get[*document.Dyno](v, j.Ref); err != nil {
			return err
		}
		rel, err := store.One[*document.Release](v, "app+version", dyno.App+"+"+fmt.Sprint(dyno.Release))
		if err != nil {
			return err
		}
		s, err = r.subject(v, rel)
		return err
	}); err != nil {
		return moot(err)
	}
	command, err := r.command(ctx, j.Seq, s.app.Space)
	if err != nil {
		return err
	}
	exit, err := r.runTask(ctx, s, dyno, command)
	if err != nil {
		if r.hopeless(ctx, err, dyno.CreatedAt) == "" {
			return err
		}
		exit.Code = cannotRun
	}
	return r.record(ctx, &sessions.EndRun{Dyno: dyno.ID, ExitCode: exit.Code}, j)
}

// Exit codes of one-off dynos that did not run, as shells give them.
const (
	cannotRun = 126
	stopped   = 143
)

func (r *Runner) runTask(ctx context.Context, s subject, dyno *document.Dyno, command string) (driver.Exit, error) {
	if exit, ended, err := r.ended(ctx, dyno.ID); err != nil || ended {
		return exit, err
	}
	if dyno.State == apps.Stopping {
		return driver.Exit{Code: stopped}, nil
	}
	process, err := r.cfg.Process(ctx, reconcile.Dyno{
		App: s.app, Release: s.release, Space: s.space, Command: command, Type: "run", Size: dyno.Size,
		Env: []driver.EnvVar{{Name: "DYNO", Value: dyno.Name}},
	})
	if err != nil {
		return driver.Exit{}, err
	}
	session, err := r.cfg.Driver.StartTask(ctx, driver.Task{
		ID: dyno.ID, Space: s.app.Space, Name: dyno.Name, Process: process, Timeout: 24 * time.Hour, Peers: s.peers, Private: s.space.Linked,
		Labels: driver.Labels{App: s.app.ID, Source: "app", Type: dyno.Type},
	})
	if err != nil {
		return driver.Exit{}, err
	}
	defer session.Close()
	// It may have been stopped between the look at its state and the start.
	if x, err := r.dyno(ctx, dyno.ID); err == nil && x.State == apps.Stopping {
		if err := r.cfg.Driver.StopTask(ctx, dyno.ID); err != nil {
			return driver.Exit{}, err
		}
	}
	return session.Wait(ctx)
}

func (r *Runner) dyno(ctx context.Context, id string) (d *document.Dyno, err error) {
	err = r.cfg.Store.Read(ctx, func(v store.View) (err error) {
		d, err = store.Get[*document.Dyno](v, id)
		return err
	})
	return d, err
}

// ended waits for a task that an earlier try has started, if there is one.
func (r *Runner) ended(ctx context.Context, id string) (driver.Exit, bool, error) {
	for {
		o, err := r.cfg.Driver.Observe(ctx)
		if err != nil {
			return driver.Exit{}, false, err
		}
		i := slices.IndexFunc(o.Tasks, func(t driver.ObservedTask) bool { return t.ID == id })
		if i < 0 {
			return driver.Exit{}, false, nil
		}
		if t := o.Tasks[i]; !t.Running && t.Exit != nil {
			return *t.Exit, true, nil
		}
		select {
		case <-ctx.Done():
			return driver.Exit{}, false, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// command reads the command line that the entry names.
func (r *Runner) command(ctx context.Context, seq int64, scope string) (string, error) {
	e, err := r.cfg.Store.Entry(ctx, seq)
	if err != nil {
		return "", err
	}
	body, err := ledger.ParseBody(e.Body)
	if err != nil {
		return "", err
	}
	for _, b := range body.Blobs {
		if b.Role != "command" {
			continue
		}
		rc, err := r.cfg.Blobs.Get(ctx, &scope, b.SHA256)
		if err != nil {
			return "", err
		}
		defer rc.Close()
		text, err := io.ReadAll(io.LimitReader(rc, 64<<10))
		return string(text), err
	}
	return "", fmt.Errorf("entry %d names no command", seq)
}
