package shell_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/blob"
	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/gateway"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/reconcile/reconciletest"
	"github.com/strongroom/strongroom/internal/recording"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/shell"
)

var remote = netip.MustParseAddr("203.0.113.9")

// lab is an installation with an app that is live, its developer dev, and a
// desk.
type lab struct {
	*reconciletest.Lab
	blobs    *blob.Store
	recorder *recording.Recorder
	desk     *shell.Desk
	dir      string // of recordings
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{Lab: reconciletest.New(t)}
	var err error
	if l.blobs, err = blob.Open(filepath.Join(l.Dir, "blobs"), l.Keyring); err != nil {
		t.Fatal(err)
	}
	l.Account("dev", "")
	l.Do(&teams.GrantRole{Team: "care", Email: "dev@example.org", Role: authz.Member}, l.As("root"))
	l.App("clinic", "ward")
	l.Deploy("clinic", "web: serve; wait")
	l.Settle()
	l.restart()
	return l
}

// restart makes recorder and desk anew, as a start of the server does after a
// crash: on a copy of the working files, which this process still holds.
func (l *lab) restart() {
	l.T.Helper()
	old := l.dir
	l.dir = l.T.TempDir()
	if old != "" {
		if err := os.CopyFS(l.dir, os.DirFS(old)); err != nil {
			l.T.Fatal(err)
		}
	}
	var err error
	if l.recorder, err = recording.New(recording.Config{Dir: l.dir, Keys: l.Keyring, Blobs: l.blobs, Max: 2 << 20}); err != nil {
		l.T.Fatal(err)
	}
	l.desk = shell.New(shell.Config{
		Processes: l.Processes(), Kernel: l.Kernel, Driver: l.Engine, Recorder: l.recorder, Log: slog.New(slog.NewTextHandler(l.Log, nil)), Now: time.Now,
	})
}

// offer asks for an attached one-off dyno and gives its secret.
func (l *lab) offer(command string) (secret string, dyno *document.Dyno) {
	l.T.Helper()
	run := &sessions.Run{App: "clinic", Attached: true, Command: ledger.Blob{SHA256: "sha256:" + strings.Repeat("0", 64), Role: "command"}}
	l.Do(run, l.As("dev"))
	return l.desk.Promise(shell.Offer{
		By: l.As("dev"), Dyno: run.Dyno, Release: run.Release, Command: command, Env: []driver.EnvVar{{Name: "TERM", Value: "xterm"}}, Cols: 80, Rows: 24,
	}), run.Dyno
}

func (l *lab) redeem(secret string) gateway.Attachment {
	l.T.Helper()
	a, err := l.desk.Redeem(l.T.Context(), secret, remote)
	if err != nil {
		l.T.Fatal(err)
	}
	return a
}

// end finishes a session as the gateway does.
func (l *lab) end(a gateway.Attachment) {
	l.T.Helper()
	exit, err := a.Session.Wait(l.T.Context())
	if err != nil {
		l.T.Fatal(err)
	}
	code := exit.Code
	sealed, err := a.Recording.Seal(l.T.Context(), recording.End{Reason: "exit", Exit: &code})
	if err != nil {
		l.T.Fatal(err)
	}
	if err := a.Close(l.T.Context(), gateway.Ending{Reason: "exit", Exit: &exit, In: 3, Out: 5, Recording: &sealed}); err != nil {
		l.T.Fatal(err)
	}
	if err := a.Recording.Remove(); err != nil {
		l.T.Fatal(err)
	}
}

func (l *lab) session(id string) *document.Session {
	return commandtest.Get[*document.Session](l.World, id)
}

func (l *lab) workingFiles() int {
	l.T.Helper()
	list, err := os.ReadDir(l.dir)
	if err != nil {
		l.T.Fatal(err)
	}
	return len(list)
}

// TestRun takes an offer to the end of its session: what is on record comes
// before what happens.
func TestRun(t *testing.T) {
	l := newLab(t)
	secret, dyno := l.offer("say hello; exit 3")
	l.Engine.Hook(func(call string) error {
		if call == "StartTask" {
			if open := commandtest.Find[*document.Session](l.World, "open", ""); len(open) != 1 {
				t.Errorf("a process is started and %d sessions are on record", len(open))
			}
			if l.workingFiles() == 0 {
				t.Error("a process is started and nothing records it")
			}
		}
		return nil
	})
	before := l.Size()
	a := l.redeem(secret)
	out, err := io.ReadAll(a.Session)
	if err != nil || string(out) != "hello\n" {
		t.Errorf("%q, %v", out, err)
	}
	s := l.session(a.ID)
	if s.State != document.SessionOpen || s.Dyno != dyno.Name || s.By != l.Accounts["dev"].ID || s.Type != "run" {
		t.Errorf("%+v", s)
	}
	l.end(a)
	s = l.session(a.ID)
	if s.State != document.SessionClosed || *s.ExitCode != 3 || s.Bytes != 8 || s.Recording == "" {
		t.Errorf("%+v", s)
	}
	if got := commandtest.Actions(l.Since(before)); !slices.Equal(got, []string{"session.open", "session.close", "dyno.end"}) {
		t.Errorf("recorded as %v", got)
	}
	if e := l.Since(before)[0]; e.Actor.Email != "dev@example.org" || e.Actor.IP != remote.String() || e.Via != ledger.ViaRendezvous {
		t.Errorf("%v from %s", e, e.Actor.IP)
	}
	// The secret works once, and what does not work is on record.
	before = l.Size()
	for _, wrong := range []string{secret, "guess"} {
		if _, err := l.desk.Redeem(t.Context(), wrong, remote); fault.Of(err) != fault.Unauthenticated {
			t.Errorf("%q: %v, want unauthenticated", wrong, err)
		}
	}
	e := l.Since(before)[0]
	if e.Action != "session.open" || e.Outcome != ledger.Denied || e.Actor.Kind != ledger.AnonymousActor || e.Actor.IP != remote.String() || e.Via != ledger.ViaRendezvous {
		t.Errorf("%v from %s via %s", e, e.Actor.IP, e.Via)
	}
	if where := l.Tells("guess"); len(where) != 0 {
		t.Errorf("what was guessed is in %v", where)
	}
}

// TestRefusedAtTheDoor loses the right between the offer and the terminal.
func TestRefusedAtTheDoor(t *testing.T) {
	l := newLab(t)
	secret, dyno := l.offer("say hello")
	l.Do(&teams.RevokeRole{Team: "care", Email: "dev@example.org"}, l.As("root"))
	before := l.Size()
	if _, err := l.desk.Redeem(t.Context(), secret, remote); fault.Of(err) != fault.NotFound {
		t.Errorf("%v, want not found", err)
	}
	if got := commandtest.Actions(l.Since(before)); !slices.Equal(got, []string{"session.open denied", "dyno.end"}) {
		t.Errorf("recorded as %v", got)
	}
	if n := l.Engine.Count("StartTask"); n != 0 || !l.Gone(document.KindDyno, dyno.ID) {
		t.Errorf("%d processes were started", n)
	}
}

// TestCannotStart closes what it opened, also for a client that left.
func TestCannotStart(t *testing.T) {
	l := newLab(t)
	for _, leaves := range []bool{false, true} {
		secret, dyno := l.offer("say hello")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l.Engine.Hook(func(call string) error {
			if call != "StartTask" {
				return nil
			}
			if leaves {
				cancel()
			}
			return errors.New("the engine is out of order")
		})
		before := l.Size()
		if _, err := l.desk.Redeem(ctx, secret, remote); err == nil {
			t.Fatal("it started")
		}
		if got := commandtest.Actions(l.Since(before)); !slices.Equal(got, []string{"session.open", "session.close", "dyno.end"}) {
			t.Errorf("leaves=%v: recorded as %v", leaves, got)
		}
		if open := commandtest.Find[*document.Session](l.World, "open", ""); len(open) != 0 || !l.Gone(document.KindDyno, dyno.ID) {
			t.Errorf("leaves=%v: %d sessions are open", leaves, len(open))
		}
	}
}

// TestAccessWithdrawn ends a session whose owner may no longer have it.
func TestAccessWithdrawn(t *testing.T) {
	for name, withdraw := range map[string]func(*lab){
		"suspended": func(l *lab) { l.Do(&people.SuspendAccount{Email: "dev@example.org"}, l.As("root")) },
		"role lost": func(l *lab) { l.Do(&teams.RevokeRole{Team: "care", Email: "dev@example.org"}, l.As("root")) },
		"app gone":  func(l *lab) { l.Do(&apps.Destroy{Identity: "clinic"}, l.As("root")) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			secret, _ := l.offer("wait")
			a := l.redeem(secret)
			l.Set("clinic", "A", "1") // something else
			select {
			case <-a.Done:
				t.Fatal("access was withdrawn for no reason")
			case <-time.After(100 * time.Millisecond):
			}
			withdraw(l)
			select {
			case <-a.Done:
			case <-time.After(10 * time.Second):
				t.Fatal("the session goes on")
			}
			a.Session.Close() // as the gateway does
			if _, err := a.Recording.Seal(t.Context(), recording.End{Reason: "withdrawn"}); err != nil {
				t.Fatal(err)
			}
			if err := a.Close(t.Context(), gateway.Ending{Reason: "withdrawn"}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestRecover is a start after a crash: sessions that were open are closed with
// what was recorded of them, and their dynos end.
func TestRecover(t *testing.T) {
	l := newLab(t)
	secret, dyno := l.offer("say before the crash; wait")
	a := l.redeem(secret)
	if err := a.Recording.Output([]byte("before the crash\n")); err != nil {
		t.Fatal(err)
	}
	_, promised := l.offer("never started")
	l.restart()
	if err := l.desk.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := l.session(a.ID)
	if s.State != document.SessionInterrupted || s.Recording == "" || s.EndedAt == nil {
		t.Errorf("%+v", s)
	}
	if !l.Gone(document.KindDyno, dyno.ID) || !l.Gone(document.KindDyno, promised.ID) {
		t.Error("one-off dynos are left")
	}
	if n := l.workingFiles(); n != 0 {
		t.Errorf("%d working files are left", n)
	}
	ward := l.IDs["space:ward"]
	r, err := l.blobs.Get(t.Context(), &ward, s.Recording)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if cast, err := io.ReadAll(r); err != nil || !strings.Contains(string(cast), "before the crash") {
		t.Errorf("%q, %v", cast, err)
	}
	before := l.Size()
	l.restart()
	if err := l.desk.Recover(t.Context()); err != nil || l.Size() != before {
		t.Errorf("a second start: %v, %v", err, l.Since(before))
	}
}

// TestDamagedRecording: what somebody did to the working file is on record.
func TestDamagedRecording(t *testing.T) {
	l := newLab(t)
	secret, _ := l.offer("say before; wait")
	a := l.redeem(secret)
	for range 4 {
		if err := a.Recording.Output(bytes.Repeat([]byte("before\n"), 1000)); err != nil {
			t.Fatal(err)
		}
	}
	l.restart()
	files, err := filepath.Glob(filepath.Join(l.dir, a.ID+"*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	raw[len(bytes.TrimRight(raw, "\x00"))/2] ^= 1
	if err := os.WriteFile(files[0], raw, 0o600); err != nil {
		t.Fatal(err)
	}
	before := l.Size()
	if err := l.desk.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if why := l.Since(before)[0].Detail("why"); !strings.Contains(why, "recording was damaged") {
		t.Errorf("why: %q", why)
	}
}

// TestRecordingSealedLater is a session whose recording could not be sealed when
// it ended: the next start seals it and the session names it.
func TestRecordingSealedLater(t *testing.T) {
	l := newLab(t)
	secret, _ := l.offer("say hello")
	a := l.redeem(secret)
	if _, err := a.Session.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(t.Context(), gateway.Ending{Reason: "exit", Exit: &driver.Exit{}}); err != nil { // without one
		t.Fatal(err)
	}
	if s := l.session(a.ID); s.State != document.SessionClosed || s.Recording != "" {
		t.Fatalf("%+v", s)
	}
	l.restart()
	if err := l.desk.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := l.session(a.ID)
	if s.State != document.SessionClosed || s.Recording == "" || l.workingFiles() != 0 {
		t.Errorf("%+v, %d working files", s, l.workingFiles())
	}
	if e := l.Since(l.Size() - 1)[0]; e.Action != "session.close" || len(e.Blobs) != 1 {
		t.Errorf("recorded as %v", e)
	}
}

// TestEndsWhileNothingIsRecorded ends a session while the ledger takes nothing,
// one whose recording cannot be sealed either: all is on record as soon as the
// ledger takes entries again, without a restart, and the sessions that go on are
// left alone.
func TestEndsWhileNothingIsRecorded(t *testing.T) {
	for name, sealed := range map[string]bool{"sealed": true, "not sealed": false} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			other, _ := l.offer("wait")
			goesOn := l.redeem(other)
			secret, dyno := l.offer("say hello; exit 3")
			a := l.redeem(secret)
			if err := a.Recording.Output([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			exit, err := a.Session.Wait(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			end := gateway.Ending{Reason: "exit", Exit: &exit, Out: 5}
			ctx, cancel := context.WithCancel(t.Context())
			if !sealed {
				cancel()
			}
			s, err := a.Recording.Seal(ctx, recording.End{Reason: "exit", Exit: &exit.Code})
			if (err == nil) != sealed {
				t.Fatalf("sealed: %v", err)
			}
			if sealed {
				end.Recording = &s
			}
			cancel()
			l.World.Set(time.Now().Add(-time.Hour)) // the ledger does not believe the clock
			if err := a.Close(t.Context(), end); fault.Of(err) != fault.Unavailable {
				t.Fatalf("%v, want unavailable", err)
			}
			run, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- l.desk.Run(run) }()
			time.Sleep(1500 * time.Millisecond) // it is tried in vain
			if got := l.session(a.ID); got.State != document.SessionOpen || l.workingFiles() != 2 {
				t.Errorf("%+v, %d working files", got, l.workingFiles())
			}
			l.World.Set(time.Time{})
			l.Until("the end is on record", func() bool {
				return l.session(a.ID).State != document.SessionOpen && l.Gone(document.KindDyno, dyno.ID)
			})
			l.Until("the working file is gone", func() bool { return l.workingFiles() == 1 })
			if got := l.session(a.ID); got.State != document.SessionClosed || got.ExitCode == nil || *got.ExitCode != 3 || got.Recording == "" {
				t.Errorf("%+v", got)
			}
			if got := l.session(goesOn.ID); got.State != document.SessionOpen {
				t.Errorf("%+v", got)
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
			goesOn.Session.Close()
			l.end(goesOn)
		})
	}
}

// TestDatabase takes a key for a database to the end of its tunnel: it works once,
// and only for as long as its owner may.
func TestDatabase(t *testing.T) {
	l := newLab(t)
	create := &addons.Create{App: "clinic", Plan: "heroku-postgresql", Name: "records"}
	l.Do(create, l.As("root"))
	l.Do(&addons.Provisioned{ID: create.Addon.ID, Image: l.Image}, commandtest.Platform)
	addon := commandtest.Get[*document.Addon](l.World, create.Addon.ID)
	l.Until("the database runs", func() bool {
		return slices.ContainsFunc(l.Engine.Seen(t).Formations, func(f driver.ObservedFormation) bool { return f.ID == addon.ID && f.Ready == 1 })
	})
	private, err := l.desk.Admit(l.As("dev"), addon)
	if err != nil {
		t.Fatal(err)
	}
	key := signer(t, private)
	before := l.Size()
	if _, err := l.desk.Authorize(t.Context(), "u", signer(t, other(t)).PublicKey(), remote); fault.Of(err) != fault.Unauthenticated {
		t.Errorf("another key: %v, want unauthenticated", err)
	}
	if e := l.Since(before)[0]; e.Outcome != ledger.Denied || e.Target.Name != "unknown key" || e.Via != ledger.ViaSSH {
		t.Errorf("another key is recorded as %v", e)
	}
	before = l.Size()
	tunnel, err := l.desk.Authorize(t.Context(), "u", key.PublicKey(), remote)
	if err != nil || tunnel.Host != "records.localspace" || tunnel.Port != 5432 {
		t.Fatalf("%+v, %v", tunnel, err)
	}
	twice, err := l.desk.Authorize(t.Context(), "u", key.PublicKey(), remote)
	if err != nil {
		t.Fatal(err)
	}
	if l.Size() != before {
		t.Error("a look at the key was recorded")
	}
	if err := tunnel.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := twice.Open(t.Context()); fault.Of(err) != fault.Unauthenticated {
		t.Errorf("the key a second time: %v, want unauthenticated", err)
	}
	e := l.Since(before)[0]
	if e.Action != "session.open" || e.Actor.Email != "dev@example.org" || e.Via != ledger.ViaSSH || e.Actor.IP != remote.String() {
		t.Errorf("recorded as %v", e)
	}
	c, err := tunnel.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	l.Do(&people.SuspendAccount{Email: "dev@example.org"}, l.As("root"))
	select {
	case <-tunnel.Done:
	case <-time.After(10 * time.Second):
		t.Fatal("the tunnel of a suspended account goes on")
	}
	if err := tunnel.Close(t.Context(), gateway.TunnelEnding{Reason: "withdrawn", Channels: 1, In: 2, Out: 3}); err != nil {
		t.Fatal(err)
	}
	list := commandtest.Find[*document.Session](l.World, "app", l.IDs["app:clinic"])
	if len(list) != 1 || list[0].State != document.SessionClosed || list[0].Type != "psql" || list[0].Bytes != 5 {
		t.Errorf("%+v", list)
	}
	if e := l.Since(l.Size() - 1)[0]; e.Action != "session.close" || e.Via != ledger.ViaSSH {
		t.Errorf("its end is recorded as %v via %s", e, e.Via)
	}
}

func signer(t *testing.T, private secret.Value) ssh.Signer {
	t.Helper()
	s, err := ssh.ParsePrivateKey(private.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func other(t *testing.T) secret.Value {
	t.Helper()
	private, _, err := gateway.NewKey("somebody")
	if err != nil {
		t.Fatal(err)
	}
	return secret.NewValue(private)
}
