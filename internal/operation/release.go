package operation

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
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
	list, err := store.Find[*document.Attachment](v, "app", s.app.ID)
	s.peers = reconcile.Peers(list)
	return s, err
}

// releasePhase runs a release's release command and records how it ended.
func (r *Runner) releasePhase(ctx context.Context, j store.Job) error {
	var s subject
	if err := r.cfg.Store.Read(ctx, func(v store.View) error {
		rel, err := store.Get[*document.Release](v, j.Ref)
		if err != nil {
			return err
		}
		s, err = r.subject(v, rel)
		return err
	}); err != nil {
		return moot(err)
	}
	if s.release.Status != document.ReleasePending {
		return nil
	}
	i := slices.IndexFunc(s.slug.Processes, func(p document.Process) bool { return p.Type == "release" })
	if i < 0 {
		return fmt.Errorf("release v%d has no release command", s.release.Version)
	}
	output, failed, err := r.runPhase(ctx, s, s.slug.Processes[i].Command)
	if err != nil {
		return err
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
	// A crash may have left the task of an earlier try: it is the same task.
	if err := r.cfg.Driver.StopTask(ctx, s.release.ID); err != nil {
		return nil, "", err
	}
	session, err := r.cfg.Driver.StartTask(ctx, driver.Task{
		ID: s.release.ID, Space: s.app.Space, Name: "release.1", Process: process, Attach: true, Timeout: phaseTime, Peers: s.peers,
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
		return err
	}
	return r.record(ctx, &sessions.EndRun{Dyno: dyno.ID, ExitCode: exit.Code}, j)
}

func (r *Runner) runTask(ctx context.Context, s subject, dyno *document.Dyno, command string) (driver.Exit, error) {
	if exit, ended, err := r.ended(ctx, dyno.ID); err != nil || ended {
		return exit, err
	}
	process, err := r.cfg.Process(ctx, reconcile.Dyno{
		App: s.app, Release: s.release, Space: s.space, Command: command, Type: "run", Size: dyno.Size,
		Env: []driver.EnvVar{{Name: "DYNO", Value: dyno.Name}},
	})
	if err != nil {
		return driver.Exit{}, err
	}
	session, err := r.cfg.Driver.StartTask(ctx, driver.Task{
		ID: dyno.ID, Space: s.app.Space, Name: dyno.Name, Process: process, Timeout: 24 * time.Hour, Peers: s.peers,
		Labels: driver.Labels{App: s.app.ID, Source: "app", Type: dyno.Type},
	})
	if err != nil {
		return driver.Exit{}, err
	}
	defer session.Close()
	return session.Wait(ctx)
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
