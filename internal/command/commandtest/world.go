// Package commandtest is an installation with people and apps in it, made by the
// real commands over a real store, for the tests of the edges.
//
//	team care: owner, admin, dev (member), viewer, approver, auditor
//	  space ward (shield): app clinic, live as v2 and again as v4 with a
//	    database, v3 waiting for approval; a recorded session and an open one
//	team rivals: stranger
//	  space attic: app other
//	collab may view clinic; root operates the installation and is in no team.
package commandtest

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/blob"
	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/installation"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/store/sqlite"
)

// Noon is when everything happens, unless the clock is the wall's.
var Noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// World is the installation.
type World struct {
	T        *testing.T
	Dir      string
	Store    *sqlite.Store
	Kernel   *control.Kernel
	Keyring  *secret.Keyring
	Blobs    *blob.Store
	Accounts map[string]*document.Account
	Tokens   map[string]string // by name, which is the account's unless it was given
	// IDs are what is in the world, by names such as app:clinic, release:1,
	// addon, session:closed.
	IDs map[string]string
	// LogKey is the verifier key of the world's log, once it has Checkpoints.
	LogKey string

	mu  sync.Mutex
	now time.Time // zero: the wall clock
}

// New makes the world. With a fixed time its clock stands still until Set; with
// a zero one it is the wall's. When the test ends the ledger is verified.
func New(t *testing.T, now time.Time) *World {
	t.Helper()
	w := open(t, now)
	w.populate()
	return w
}

// Bare makes an installation with nobody in it but root, who operates it.
func Bare(t *testing.T, now time.Time) *World {
	t.Helper()
	w := open(t, now)
	w.begin()
	return w
}

func open(t *testing.T, now time.Time) *World {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	w := &World{
		T: t, Dir: t.TempDir(), now: now,
		Accounts: map[string]*document.Account{}, Tokens: map[string]string{}, IDs: map[string]string{},
	}
	var err error
	if w.Store, err = sqlite.Create(t.Context(), filepath.Join(w.Dir, "ledger.db"), log); err != nil {
		t.Fatal(err)
	}
	master := filepath.Join(w.Dir, "master.key")
	if err := secret.CreateMasterFile(master); err != nil {
		t.Fatal(err)
	}
	wrapper, err := secret.OpenMasterFile(master)
	if err != nil {
		t.Fatal(err)
	}
	w.Keyring = secret.NewKeyring(wrapper, w.Store)
	w.Kernel = control.New(control.Config{Store: w.Store, Keyring: w.Keyring, Log: log, Now: w.Now})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Kernel.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := w.Store.Verify(context.Background(), nil); err != nil {
			t.Errorf("the ledger after the test: %v", err)
		}
		if err := w.Store.Close(); err != nil {
			t.Error(err)
		}
	})
	if w.Blobs, err = blob.Open(filepath.Join(w.Dir, "blobs"), w.Keyring); err != nil {
		t.Fatal(err)
	}
	return w
}

// Now is the world's clock.
func (w *World) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now.IsZero() {
		return time.Now()
	}
	return w.now
}

// Set moves a fixed clock.
func (w *World) Set(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = now
}

// As is what an account does directly.
func (w *World) As(name string) control.By {
	a := w.Accounts[name]
	return control.By{
		Actor: ledger.Actor{Kind: ledger.AccountActor, ID: a.ID, Email: a.Email}, Via: ledger.ViaCLI, Reason: "the test begins",
	}
}

// Do executes a command.
func (w *World) Do(cmd control.Command, by control.By) {
	w.T.Helper()
	if _, err := w.Kernel.Execute(w.T.Context(), cmd, by); err != nil {
		w.T.Fatalf("%s: %v", cmd.Action(), err)
	}
}

// Platform is the platform itself acting.
var Platform = control.System("test", ledger.ViaScheduler)

// Account makes an account NAME@example.org, with a password if one is given.
func (w *World) Account(name string, password string) {
	w.T.Helper()
	cmd := &people.CreateAccount{Email: name + "@example.org", Name: name, Password: secret.NewValue([]byte(password))}
	w.Do(cmd, w.As("root"))
	w.Accounts[name] = cmd.Account
	w.IDs["account:"+name] = cmd.Account.ID
}

// Token gives an account a token with the scopes, under a name.
func (w *World) Token(name, account string, scope ...string) {
	w.T.Helper()
	cmd := &people.CreateToken{Account: w.Accounts[account].ID, Description: name, Scope: scope}
	w.Do(cmd, Platform)
	w.Tokens[name] = string(cmd.Secret.Reveal())
	w.IDs["token:"+name] = cmd.Token.ID
}

// begin appends entry 0.
func (w *World) begin() {
	w.T.Helper()
	first := &installation.Create{ID: uuid.NewString(), Name: "api.localhost", LogKey: "test key", Version: "test", Email: "root@example.org"}
	w.Do(first, Platform)
	w.IDs["installation"] = first.ID
	w.Accounts["root"] = &document.Account{Base: document.Base{ID: first.Account}, Email: first.Email}
	w.IDs["account:root"] = first.Account
}

func (w *World) populate() {
	w.T.Helper()
	w.begin()
	names := []string{"owner", "admin", "dev", "viewer", "approver", "auditor", "collab", "stranger"}
	for _, n := range names {
		w.Account(n, "")
		w.Token(n, n)
	}
	w.Token("root", "root")
	w.teams()
	w.spaces()
	w.clinic()
	w.database()
	w.session()
}

// session leaves a recorded one behind, and one that is open.
func (w *World) session() {
	ward := w.IDs["space:ward"]
	cast := "{\"version\": 2, \"width\": 80, \"height\": 24}\n[0.5, \"o\", \"hello\"]\n"
	blob, err := w.Blobs.Put(w.T.Context(), &ward, strings.NewReader(cast), 1<<20)
	if err != nil {
		w.T.Fatal(err)
	}
	for _, name := range []string{"closed", "open"} {
		open := &sessions.Open{App: "clinic", Dyno: "run.7", Type: "run"}
		w.Do(open, w.As("dev"))
		w.IDs["session:"+name] = open.Session.ID
	}
	code := 0
	w.Do(&sessions.Close{
		ID: w.IDs["session:closed"], ExitCode: &code, Bytes: 5,
		Recording: &ledger.Blob{SHA256: blob.SHA256, Size: blob.Size, MediaType: "application/x-asciicast", Role: "recording"},
	}, Platform)
}

func (w *World) teams() {
	root := w.As("root")
	for _, name := range []string{"care", "rivals"} {
		cmd := &teams.Create{Name: name}
		w.Do(cmd, root)
		w.IDs["team:"+name] = cmd.Team.ID
	}
	// The approver first, as an exception: later there are others who could agree.
	w.Do(&teams.GrantRole{Team: "care", Email: "approver@example.org", Role: authz.Approver, Exception: true}, root)
	for _, role := range []string{"owner", "admin", "viewer", "auditor"} {
		w.Do(&teams.GrantRole{Team: "care", Email: role + "@example.org", Role: authz.Role(role)}, root)
	}
	w.Do(&teams.GrantRole{Team: "care", Email: "dev@example.org", Role: authz.Member}, root)
	w.Do(&teams.GrantRole{Team: "rivals", Email: "stranger@example.org", Role: authz.Owner}, root)
	// root operates and is in no team.
	for _, name := range []string{"care", "rivals"} {
		w.Do(&teams.RevokeRole{Team: name, Email: "root@example.org"}, root)
	}
}

func (w *World) spaces() {
	for _, s := range []struct {
		name, team, by string
		shield         bool
	}{{"ward", "care", "owner", true}, {"attic", "rivals", "stranger", false}} {
		cmd := &spaces.Create{Name: s.name, Team: s.team, Shield: s.shield}
		w.Do(cmd, w.As(s.by))
		w.Do(&spaces.Allocated{ID: cmd.Space.ID}, Platform)
		w.IDs["space:"+s.name] = cmd.Space.ID
	}
	for _, a := range []struct{ name, space, by string }{{"clinic", "ward", "dev"}, {"other", "attic", "stranger"}} {
		cmd := &apps.Create{Name: a.name, Space: a.space, Domain: "apps.localhost", EPHI: "yes"}
		w.Do(cmd, w.As(a.by))
		w.IDs["app:"+a.name] = cmd.App.ID
	}
	w.Do(&config.Set{App: "other", Values: map[string]*secret.Value{"SECRET": value("theirs")}}, w.As("stranger"))
	w.Do(&apps.AddCollaborator{Identity: "clinic", Email: "collab@example.org", Permissions: []string{"view"}}, w.As("owner"))
}

func value(s string) *secret.Value {
	v := secret.NewValue([]byte(s))
	return &v
}

// clinic gets a config var, a build that is live as v2, and one that waits.
func (w *World) clinic() {
	w.Do(&config.Set{App: "clinic", Values: map[string]*secret.Value{"GREETING": value("hello")}}, w.As("dev"))
	live := w.Build("1111111111111111111111111111111111111111")
	w.Do(&releases.Approve{App: "clinic", Identity: live.ID}, w.As("approver"))
	w.Build("2222222222222222222222222222222222222222")
	var f *document.Formation
	if err := w.Store.Read(w.T.Context(), func(v store.View) (err error) {
		f, err = store.One[*document.Formation](v, "app+type", w.IDs["app:clinic"]+"+web")
		return err
	}); err != nil {
		w.T.Fatal(err)
	}
	w.Do(&apps.ObserveDynos{App: w.IDs["app:clinic"], Dynos: []*document.Dyno{{
		Base: document.Base{ID: document.NewID()}, App: w.IDs["app:clinic"], Space: w.IDs["space:ward"], Name: "web.1", Type: "web",
		Command: "node server.js", Size: "Private-S", State: "up", Release: 2, Formation: f.ID,
	}}}, Platform)
}

// Build makes a build of clinic and gives its release.
func (w *World) Build(commit string) *document.Release {
	start := &releases.StartBuild{App: "clinic", Commit: commit}
	w.Do(start, w.As("dev"))
	ward := w.IDs["space:ward"]
	log, err := w.Blobs.Put(w.T.Context(), &ward, strings.NewReader("-----> Node.js app detected\n"), 1<<20)
	if err != nil {
		w.T.Fatal(err)
	}
	finish := &releases.FinishBuild{
		ID: start.Build.ID, Buildpack: "nodejs", Log: &ledger.Blob{SHA256: log.SHA256, Size: log.Size, MediaType: "text/plain", Role: "log"},
		Slug: document.Slug{
			Image: "sha256:" + strings.Repeat(commit[:1], 64), Size: 4096,
			Processes: []document.Process{{Type: "web", Command: "node server.js"}, {Type: "worker", Command: "node worker.js"}},
		},
	}
	w.Do(finish, Platform)
	w.IDs["build:"+commit[:1]], w.IDs["slug:"+commit[:1]] = start.Build.ID, finish.Build.Slug
	w.IDs["release:"+commit[:1]] = finish.Release.ID
	return finish.Release
}

func (w *World) database() {
	cmd := &addons.Create{App: "clinic", Plan: "heroku-postgresql:private-0", Name: "records"}
	w.Do(cmd, w.As("owner"))
	w.Do(&addons.Provisioned{ID: cmd.Addon.ID, Image: "sha256:" + strings.Repeat("0", 64)}, Platform)
	w.IDs["addon"], w.IDs["attachment"] = cmd.Addon.ID, cmd.Attach.ID
}
