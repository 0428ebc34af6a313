package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

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
	"github.com/strongroom/strongroom/internal/view"
)

// noon is when everything happens.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// world is an installation with people and apps in it, and the API over it.
//
//	team care: owner, admin, dev (member), viewer, approver, auditor
//	  space ward (shield): app clinic, live as v1 and with v2 waiting; a database
//	team rivals: stranger
//	  space attic: app other
//	collab may view clinic; root operates the installation.
type world struct {
	t        *testing.T
	store    *sqlite.Store
	kernel   *control.Kernel
	blobs    *blob.Store
	handler  http.Handler
	now      time.Time
	accounts map[string]*document.Account
	tokens   map[string]string
	logKey   note.Verifier
	vars     map[string]string // what requests may name as ${…}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	w := &world{t: t, now: noon, accounts: map[string]*document.Account{}, tokens: map[string]string{}, vars: map[string]string{}}
	var err error
	if w.store, err = sqlite.Create(t.Context(), filepath.Join(dir, "ledger.db"), log); err != nil {
		t.Fatal(err)
	}
	master := filepath.Join(dir, "master.key")
	if err := secret.CreateMasterFile(master); err != nil {
		t.Fatal(err)
	}
	wrapper, err := secret.OpenMasterFile(master)
	if err != nil {
		t.Fatal(err)
	}
	keyring := secret.NewKeyring(wrapper, w.store)
	clock := func() time.Time { return w.now }
	w.kernel = control.New(control.Config{Store: w.store, Keyring: keyring, Log: log, Now: clock})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.kernel.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := w.store.Verify(context.Background(), nil); err != nil {
			t.Errorf("the ledger after the test: %v", err)
		}
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	if w.blobs, err = blob.Open(filepath.Join(dir, "blobs"), keyring); err != nil {
		t.Fatal(err)
	}
	w.handler, err = New(Config{
		Store: w.store, Kernel: w.kernel, Blobs: w.blobs, Domain: "apps.localhost", Version: "test",
		Site:      view.Site{API: "https://api.localhost", Git: "https://git.localhost", Region: "virginia", Since: noon},
		Terminals: parts{}, Bastion: parts{}, Logs: parts{}, Evidence: parts{w}, Network: parts{},
		Checkpoints: w.checkpoints(dir, log), Log: log, Now: clock,
		Git: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "git "+r.URL.Path) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.populate()
	return w
}

// checkpoints sign with a key that is made for the test.
func (w *world) checkpoints(dir string, log *slog.Logger) *control.Checkpoints {
	w.t.Helper()
	origin := ledger.Origin(uuid.NewString(), 1)
	skey, vkey, err := ledger.GenerateKey(rand.Reader, origin)
	if err != nil {
		w.t.Fatal(err)
	}
	signer, err1 := note.NewSigner(skey)
	verifier, err2 := note.NewVerifier(vkey)
	if err1 != nil || err2 != nil {
		w.t.Fatal(err1, err2)
	}
	w.logKey = verifier
	s, err := ledger.NewSigner(ledger.SignerConfig{
		Origin: origin, Anchor: ledger.NewFileAnchor(filepath.Join(dir, "anchor")),
		Signers: []note.Signer{signer}, Keys: []note.Verifier{verifier},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return &control.Checkpoints{Store: w.store, Signer: s, Log: log}
}

// parts stand in for what other packages do for the API.
type parts struct{ w *world }

func (parts) Offer(_ context.Context, _ control.By, t Terminal) (string, error) {
	return "rendezvous://localhost:5444/secret-of-" + t.Dyno.Name, nil
}

func (parts) Admit(_ context.Context, by control.By, a *document.Addon) (string, secret.Value, error) {
	return "bastion.localhost", secret.NewValue([]byte("key for " + by.Actor.Email + " to " + a.Service)), nil
}

func (parts) Open(_ context.Context, _ control.By, q LogQuery) (string, error) {
	return "https://api.localhost/log-streams/of-" + q.App.Name + "-" + q.Dyno, nil
}

func (parts) Export(_ context.Context, _ control.By, x Export, begin func(string) io.Writer) error {
	_, err := io.WriteString(begin("evidence.zip"), "pack of "+x.Space+" from "+x.From.Format(time.DateOnly)+" to "+x.To.Format(time.DateOnly))
	return err
}

func (parts) Egress(context.Context, string) ([]string, error) { return []string{"192.0.2.7"}, nil }

// as is what an account does directly.
func (w *world) as(name string) control.By {
	a := w.accounts[name]
	return control.By{
		Actor: ledger.Actor{Kind: ledger.AccountActor, ID: a.ID, Email: a.Email}, Via: ledger.ViaCLI, Reason: "the test begins",
	}
}

func (w *world) do(cmd control.Command, by control.By) {
	w.t.Helper()
	if _, err := w.kernel.Execute(w.t.Context(), cmd, by); err != nil {
		w.t.Fatalf("%s: %v", cmd.Action(), err)
	}
}

var platform = control.System("test", ledger.ViaScheduler)

func (w *world) account(name string, password string) {
	w.t.Helper()
	cmd := &people.CreateAccount{Email: name + "@example.org", Name: name, Password: secret.NewValue([]byte(password))}
	w.do(cmd, w.as("root"))
	w.accounts[name] = cmd.Account
	w.vars["account:"+name] = cmd.Account.ID
}

// token gives an account a token with the scopes, under a name.
func (w *world) token(name, account string, scope ...string) {
	w.t.Helper()
	cmd := &people.CreateToken{Account: w.accounts[account].ID, Description: name, Scope: scope}
	w.do(cmd, platform)
	w.tokens[name] = string(cmd.Secret.Reveal())
	w.vars["token:"+name] = cmd.Token.ID
}

func (w *world) populate() {
	t := w.t
	t.Helper()
	first := &installation.Create{ID: uuid.NewString(), Name: "api.localhost", LogKey: "test key", Version: "test", Email: "root@example.org"}
	w.do(first, platform)
	w.vars["installation"] = first.ID
	w.accounts["root"] = &document.Account{Base: document.Base{ID: first.Account}, Email: first.Email}
	w.vars["account:root"] = first.Account
	names := []string{"owner", "admin", "dev", "viewer", "approver", "auditor", "collab", "stranger"}
	for _, n := range names {
		w.account(n, "")
		w.token(n, n)
	}
	w.token("root", "root")
	w.teams()
	w.spaces()
	w.clinic()
	w.database()
	w.session()
	w.certificate()
}

// session leaves a recorded one behind, and one that is open.
func (w *world) session() {
	ward := w.vars["space:ward"]
	cast := "{\"version\": 2, \"width\": 80, \"height\": 24}\n[0.5, \"o\", \"hello\"]\n"
	blob, err := w.blobs.Put(w.t.Context(), &ward, strings.NewReader(cast), 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range []string{"closed", "open"} {
		open := &sessions.Open{App: "clinic", Dyno: "run.7", Type: "run"}
		w.do(open, w.as("dev"))
		w.vars["session:"+name] = open.Session.ID
	}
	code := 0
	w.do(&sessions.Close{
		ID: w.vars["session:closed"], ExitCode: &code, Bytes: 5,
		Recording: &ledger.Blob{SHA256: blob.SHA256, Size: blob.Size, MediaType: "application/x-asciicast", Role: "recording"},
	}, platform)
}

// certificate makes a certificate and key for www.example.org, as they are
// written in JSON.
func (w *world) certificate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "www.example.org"}, DNSNames: []string{"www.example.org"},
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(90 * 24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: cert}, "key": {Type: "PRIVATE KEY", Bytes: der}} {
		w.vars["pem:"+name] = strings.ReplaceAll(string(pem.EncodeToMemory(block)), "\n", `\n`)
	}
}

func (w *world) teams() {
	root := w.as("root")
	for _, name := range []string{"care", "rivals"} {
		cmd := &teams.Create{Name: name}
		w.do(cmd, root)
		w.vars["team:"+name] = cmd.Team.ID
	}
	// The approver first, as an exception: later there are others who could agree.
	w.do(&teams.GrantRole{Team: "care", Email: "approver@example.org", Role: authz.Approver, Exception: true}, root)
	for _, role := range []string{"owner", "admin", "viewer", "auditor"} {
		w.do(&teams.GrantRole{Team: "care", Email: role + "@example.org", Role: authz.Role(role)}, root)
	}
	w.do(&teams.GrantRole{Team: "care", Email: "dev@example.org", Role: authz.Member}, root)
	w.do(&teams.GrantRole{Team: "rivals", Email: "stranger@example.org", Role: authz.Owner}, root)
	// root operates and is in no team.
	for _, name := range []string{"care", "rivals"} {
		w.do(&teams.RevokeRole{Team: name, Email: "root@example.org"}, root)
	}
}

func (w *world) spaces() {
	for _, s := range []struct {
		name, team, by string
		shield         bool
	}{{"ward", "care", "owner", true}, {"attic", "rivals", "stranger", false}} {
		cmd := &spaces.Create{Name: s.name, Team: s.team, Shield: s.shield}
		w.do(cmd, w.as(s.by))
		w.do(&spaces.Allocated{ID: cmd.Space.ID}, platform)
		w.vars["space:"+s.name] = cmd.Space.ID
	}
	for _, a := range []struct{ name, space, by string }{{"clinic", "ward", "dev"}, {"other", "attic", "stranger"}} {
		cmd := &apps.Create{Name: a.name, Space: a.space, Domain: "apps.localhost", EPHI: "yes"}
		w.do(cmd, w.as(a.by))
		w.vars["app:"+a.name] = cmd.App.ID
	}
	w.do(&config.Set{App: "other", Values: map[string]*secret.Value{"SECRET": value("theirs")}}, w.as("stranger"))
	w.do(&apps.AddCollaborator{Identity: "clinic", Email: "collab@example.org", Permissions: []string{"view"}}, w.as("owner"))
}

func value(s string) *secret.Value {
	v := secret.NewValue([]byte(s))
	return &v
}

// clinic gets a config var, a build that is live as v2, and one that waits.
func (w *world) clinic() {
	w.do(&config.Set{App: "clinic", Values: map[string]*secret.Value{"GREETING": value("hello")}}, w.as("dev"))
	live := w.build("1111111111111111111111111111111111111111")
	w.do(&releases.Approve{App: "clinic", Identity: live.ID}, w.as("approver"))
	w.build("2222222222222222222222222222222222222222")
	var f *document.Formation
	if err := w.store.Read(w.t.Context(), func(v store.View) (err error) {
		f, err = store.One[*document.Formation](v, "app+type", w.vars["app:clinic"]+"+web")
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	w.do(&apps.ObserveDynos{App: w.vars["app:clinic"], Dynos: []*document.Dyno{{
		Base: document.Base{ID: document.NewID()}, App: w.vars["app:clinic"], Space: w.vars["space:ward"], Name: "web.1", Type: "web",
		Command: "node server.js", Size: "Private-S", State: "up", Release: 2, Formation: f.ID,
	}}}, platform)
}

func (w *world) build(commit string) *document.Release {
	start := &releases.StartBuild{App: "clinic", Commit: commit}
	w.do(start, w.as("dev"))
	ward := w.vars["space:ward"]
	log, err := w.blobs.Put(w.t.Context(), &ward, strings.NewReader("-----> Node.js app detected\n"), 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	finish := &releases.FinishBuild{
		ID: start.Build.ID, Buildpack: "nodejs", Log: &ledger.Blob{SHA256: log.SHA256, Size: log.Size, MediaType: "text/plain", Role: "log"},
		Slug: document.Slug{
			Image: "sha256:" + strings.Repeat(commit[:1], 64), Size: 4096,
			Processes: []document.Process{{Type: "web", Command: "node server.js"}, {Type: "worker", Command: "node worker.js"}},
		},
	}
	w.do(finish, platform)
	w.vars["build:"+commit[:1]], w.vars["slug:"+commit[:1]] = start.Build.ID, finish.Build.Slug
	w.vars["release:"+commit[:1]] = finish.Release.ID
	return finish.Release
}

func (w *world) database() {
	cmd := &addons.Create{App: "clinic", Plan: "heroku-postgresql:private-0", Name: "records"}
	w.do(cmd, w.as("owner"))
	w.do(&addons.Provisioned{ID: cmd.Addon.ID, Image: "sha256:" + strings.Repeat("0", 64)}, platform)
	w.vars["addon"], w.vars["attachment"] = cmd.Addon.ID, cmd.Attach.ID
	w.vars["credential"] = view.BuiltIn("credential", cmd.Addon.ID+"/default")
}
