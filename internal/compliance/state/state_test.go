package state_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/alerts"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/attempts"
	"github.com/strongroom/strongroom/internal/command/checks"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/compliance/state"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// write is a command that no program has: it puts a document as it is, to bring
// about what the commands would refuse.
type write struct{ doc document.Doc }

func (*write) Action() string { return "test.write" }

func (c *write) Aim(store.View) (control.Aim, error) {
	return control.Aim{Scope: c.doc.Within(), Target: ledger.Target{Kind: string(c.doc.Kind()), ID: c.doc.Ident()}, Need: authz.System}, nil
}

func (c *write) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	d.Put(c.doc)
	return nil
}

// change alters a document in place.
func change[T document.Doc](w *commandtest.World, id string, alter func(T)) {
	doc := commandtest.Get[T](w, id)
	alter(doc)
	w.Do(&write{doc}, commandtest.Platform)
}

// mutation breaks what a check watches and mends it again.
type mutation struct {
	check   string
	subject string // key of World.IDs
	tells   string // what the failure says
	before  func(w *commandtest.World)
	breaks  func(w *commandtest.World)
	mends   func(w *commandtest.World)
}

var mutations = []mutation{
	{
		check: "state.approval-policy", subject: "team:rivals", tells: "asks for no approval",
		breaks: func(w *commandtest.World) {
			change(w, w.IDs["team:rivals"], func(p *document.Policy) { p.Approvals = 0 })
		},
		mends: func(w *commandtest.World) {
			change(w, w.IDs["team:rivals"], func(p *document.Policy) { p.Approvals = 2 })
		},
	},
	{
		check: "state.exceptions", subject: "team:rivals", tells: "root@example.org did role.grant alone",
		breaks: func(w *commandtest.World) {
			w.Do(&write{&document.Exception{
				Base: document.Base{ID: document.NewID()}, Team: w.IDs["team:rivals"], What: "role.grant", ByEmail: "root@example.org", Reason: "r",
			}}, commandtest.Platform)
		},
		mends: func(w *commandtest.World) { w.Set(w.Now().Add(366 * 24 * time.Hour)) },
	},
	{
		check: "state.releases-approved", subject: "app:clinic", tells: "v4 is live and nobody approved it",
		breaks: func(w *commandtest.World) {
			live(w, func(r *document.Release) { r.Approvals = nil })
		},
		mends: func(w *commandtest.World) {
			live(w, func(r *document.Release) { r.Approvals = []document.Approval{{Email: "approver@example.org"}} })
		},
	},
	{
		check: "state.releases-approved", subject: "app:clinic",
		tells:  "of clinic went live in an emergency at 2026-03-02T12:00:00Z, by owner@example.org: it answers 500 to everybody; nobody has reviewed it",
		breaks: func(w *commandtest.World) { emergency(w) },
		mends: func(w *commandtest.World) {
			for _, r := range commandtest.Find[*document.Release](w, "current", w.IDs["app:clinic"]) {
				w.Do(&releases.Review{App: "clinic", Identity: r.ID, Note: "read it"}, w.As("approver"))
			}
		},
	},
	{
		check: "state.release-evidence", subject: "app:clinic", tells: "is live without bill of materials",
		before: func(w *commandtest.World) {
			live(w, func(r *document.Release) { r.SBOM, r.Provenance = "sha256:1", "sha256:2" })
		},
		breaks: func(w *commandtest.World) { live(w, func(r *document.Release) { r.SBOM = "" }) },
		mends:  func(w *commandtest.World) { live(w, func(r *document.Release) { r.SBOM = "sha256:1" }) },
	},
	{
		check: "state.ephi-marked", subject: "app:clinic", tells: "Nobody has said whether the app clinic",
		breaks: func(w *commandtest.World) {
			change(w, w.IDs["app:clinic"], func(a *document.App) { a.EPHI = document.EPHIUnknown })
		},
		mends: func(w *commandtest.World) {
			w.Do(&apps.Update{Identity: "clinic", EPHI: new("yes")}, w.As("owner"))
		},
	},
	{
		check: "state.ephi-marked", subject: "addon", tells: "Nobody has said whether the add-on records",
		breaks: func(w *commandtest.World) {
			w.Do(&addons.Mark{Identity: "records", EPHI: document.EPHIUnknown}, w.As("owner"))
		},
		mends: func(w *commandtest.World) {
			w.Do(&addons.Mark{Identity: "records", EPHI: document.EPHINo}, w.As("owner"))
		},
	},
	{
		check: "state.trusted-ips", subject: "space:ward", tells: "from everybody",
		breaks: func(w *commandtest.World) {
			w.Do(&spaces.SetTrusted{Identity: "ward", Confirm: "ward", Rules: []document.TrustedIP{{Source: "0.0.0.0/0", Action: "allow"}}}, w.As("owner"))
		},
		mends: func(w *commandtest.World) {
			w.Do(&spaces.SetTrusted{Identity: "ward", Confirm: "ward", Rules: []document.TrustedIP{{Source: "192.0.2.0/24", Action: "allow"}}}, w.As("owner"))
		},
	},
	{
		check: "state.requests-waiting", subject: "team:care", tells: "role.grant by owner@example.org waits since",
		breaks: func(w *commandtest.World) {
			w.Do(&teams.GrantRole{Team: "care", Email: "viewer@example.org", Role: authz.Approver}, w.As("owner"))
			w.Set(w.Now().Add(8 * 24 * time.Hour))
		},
		mends: func(w *commandtest.World) {
			id := commandtest.Find[*document.Request](w, "team+state", w.IDs["team:care"]+"+"+document.RequestWaiting)[0].ID
			w.Do(&teams.DecideRequest{ID: id, Grant: false}, w.As("admin"))
		},
	},
	{
		check: "state.sessions-recorded", subject: "space:ward", tells: "The run session of dev@example.org",
		breaks: func(w *commandtest.World) {
			change(w, w.IDs["session:closed"], func(s *document.Session) { s.Recording = "" })
		},
		mends: func(w *commandtest.World) {
			change(w, w.IDs["session:closed"], func(s *document.Session) { s.Recording = "sha256:1" })
		},
	},
	{
		check: "state.stale-accounts", subject: "account:dev", tells: "since the account was made on 2026-03-02",
		breaks: func(w *commandtest.World) { w.Set(w.Now().Add(91 * 24 * time.Hour)) },
		mends:  func(w *commandtest.World) { w.Do(&people.Use{Account: w.IDs["account:dev"]}, w.As("dev")) },
	},
	{
		check: "state.token-age", subject: "account:dev", tells: `The token "dev" of dev@example.org`,
		breaks: func(w *commandtest.World) { w.Set(w.Now().Add(366 * 24 * time.Hour)) },
		mends: func(w *commandtest.World) {
			w.Do(&people.RevokeToken{ID: w.IDs["token:dev"]}, w.As("dev"))
		},
	},
	{
		check: "state.findings-overdue", subject: "space:ward", tells: "state.trusted-ips of ward is overdue since 2026-03-01",
		breaks: func(w *commandtest.World) {
			w.Do(&write{&document.Finding{
				Base: document.Base{ID: document.NewID()}, Check: "state.trusted-ips", Scope: w.IDs["space:ward"], Name: "ward", Controls: []string{"x"},
				State: document.FindingOpen, OpenedAt: w.Now().Add(-48 * time.Hour), DueAt: w.Now().Add(-24 * time.Hour), Owner: "dev@example.org",
			}}, commandtest.Platform)
		},
		mends: func(w *commandtest.World) {
			for _, f := range commandtest.Find[*document.Finding](w, "state", document.FindingOpen) {
				if f.Check == "state.trusted-ips" {
					w.Do(&checks.Accept{ID: f.ID, Reason: "r", Until: w.Now().Add(time.Hour)}, w.As("owner"))
				}
			}
		},
	},
	{
		check: "state.alerts-delivered", subject: "alert", tells: "webhook to alerts.example.org are not taken since 2026-03-02T12:00:00Z: Nobody listens",
		before: func(w *commandtest.World) {
			key := secret.NewValue([]byte("sixteen bytes are enough"))
			add := &alerts.Add{Channel: "webhook", To: secret.NewValue([]byte("https://alerts.example.org/strongroom")), Team: "care", Secret: key}
			w.Do(add, w.As("owner"))
			w.IDs["alert"] = add.Alert.ID
			w.Do(&alerts.Record{ID: add.Alert.ID}, commandtest.Platform)
		},
		breaks: func(w *commandtest.World) {
			w.Do(&alerts.Record{ID: w.IDs["alert"], Error: "Nobody listens at the receiver's address."}, commandtest.Platform)
			w.Pass(16 * time.Minute)
		},
		mends: func(w *commandtest.World) { w.Do(&alerts.Record{ID: w.IDs["alert"]}, commandtest.Platform) },
	},
	{
		check: "state.certificates-end", subject: "app:clinic", tells: "The certificate cert-1 of clinic, for www.example.org, ends on 2026-04-01.",
		before: func(w *commandtest.World) { certified(w, w.Now().Add(31*24*time.Hour)) },
		breaks: func(w *commandtest.World) {
			change(w, certificateID, func(e *document.Endpoint) { e.ExpiresAt = w.Now().Add(30*24*time.Hour - time.Second) })
		},
		mends: func(w *commandtest.World) {
			change(w, certificateID, func(e *document.Endpoint) { e.ExpiresAt = w.Now().Add(90 * 24 * time.Hour) })
		},
	},
	{
		check: "state.client-certificates", subject: "app:clinic", tells: "Without a certificate clinic can be reached as clinic.apps.localhost.",
		before: func(w *commandtest.World) {
			w.Do(&apps.AddDomain{Identity: "clinic", Hostname: "lab.example.org"}, w.As("dev"))
			everyDomain(w, asks(w, 60))
		},
		breaks: func(w *commandtest.World) {
			change(w, domainOf(w, "clinic.apps.localhost").ID, func(d *document.Domain) { d.Clients = nil })
		},
		mends: func(w *commandtest.World) { everyDomain(w, asks(w, 60)) },
	},
	{
		check: "state.client-certificates", subject: "app:clinic", tells: "An authority of the clients of clinic.apps.localhost ends on 2026-04-02.",
		before: func(w *commandtest.World) { everyDomain(w, asks(w, 31)) },
		breaks: func(w *commandtest.World) { w.Pass(25 * time.Hour) },
		mends:  func(w *commandtest.World) { everyDomain(w, asks(w, 60)) },
	},
	{
		check: "state.volumes-encrypted", subject: "addon", tells: "runs without an encrypted volume",
		breaks: func(w *commandtest.World) {
			change(w, w.IDs["addon"], func(a *document.Addon) { a.VolumeKey = nil })
		},
		mends: func(w *commandtest.World) {
			change(w, w.IDs["addon"], func(a *document.Addon) { a.VolumeKey = &document.Sealed{ID: "1", SHA256: "sha256:1"} })
		},
	},
}

// emergency has the owner of clinic take a build live alone.
func emergency(w *commandtest.World) *document.Release {
	policy := &teams.UpdatePolicy{Team: "care", Emergency: new(true)}
	w.Do(policy, w.As("owner"))
	w.Do(&teams.DecideRequest{ID: policy.Request.ID, Grant: true}, w.As("admin"))
	r := w.Build("3333333333333333333333333333333333333333")
	w.Do(&releases.Emergency{App: "clinic", Identity: r.ID}, commandtest.Reason(w.As("owner"), "it answers 500 to everybody"))
	return r
}

// TestEmergency: what one person took live alone is an exception at once, and a
// failure as long as its code or config is live and nobody has reviewed it.
func TestEmergency(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	r := emergency(w)
	alone := look(w, find(t, "state.exceptions"), w.IDs["team:care"])
	if alone.Status != document.StatusFail || !strings.Contains(strings.Join(alone.Facts, "\n"), "owner@example.org did release.approve alone on 2026-03-02: clinic v5.") {
		t.Errorf("exceptions: %+v", alone)
	}
	approved := func(want, tells string) {
		t.Helper()
		got := look(w, find(t, "state.releases-approved"), w.IDs["app:clinic"])
		if got.Status != want || !strings.Contains(strings.Join(got.Facts, "\n"), tells) {
			t.Errorf("%+v, want %s that tells %q", got, want, tells)
		}
	}
	w.Do(&config.Set{App: "clinic", Values: map[string]*secret.Value{"A": commandtest.Value("1")}}, w.As("dev"))
	approved(document.StatusFail, "v5 of clinic went live in an emergency") // v6 runs its code
	w.Do(&releases.Rollback{App: "clinic", Identity: "v4"}, w.As("dev"))
	approved(document.StatusPass, "approved by approver@example.org")
	w.Do(&releases.Rollback{App: "clinic", Identity: "v5"}, w.As("dev"))
	approved(document.StatusFail, "v5 of clinic went live in an emergency")
	w.Do(&releases.Review{App: "clinic", Identity: r.ID}, w.As("approver"))
	approved(document.StatusPass, "pushed by dev@example.org in v5 and reviewed after an emergency by approver@example.org")

	// The same of config that waits for approval.
	w.Do(&teams.UpdatePolicy{Team: "care", ApproveConfig: new(true)}, w.As("owner"))
	set := &config.Set{App: "clinic", Values: map[string]*secret.Value{"A": commandtest.Value("2")}}
	w.Do(set, w.As("dev"))
	w.Do(&releases.Emergency{App: "clinic", Identity: set.Release.ID}, commandtest.Reason(w.As("admin"), "the old key leaked"))
	approved(document.StatusFail, "by admin@example.org: the old key leaked")
	w.Do(&releases.Review{App: "clinic", Identity: set.Release.ID}, w.As("approver"))
	approved(document.StatusPass, "reviewed after an emergency")
}

// live alters the release that brought the code of clinic, and the one that runs it.
func live(w *commandtest.World, alter func(*document.Release)) {
	for _, r := range commandtest.Find[*document.Release](w, "app", w.IDs["app:clinic"]) {
		if r.LiveAt != nil && r.Slug != "" {
			change(w, r.ID, alter)
		}
	}
}

// certificateID is that of the certificate that certified makes.
const certificateID = "0195dd80-0000-7000-8000-00000000cafe"

// certified gives the app clinic a domain with an uploaded certificate.
func certified(w *commandtest.World, until time.Time) {
	app, space := w.IDs["app:clinic"], w.IDs["space:ward"]
	w.Do(&write{&document.Endpoint{
		Base: document.Base{ID: certificateID}, App: app, Space: space, Name: "cert-1", Names: []string{"www.example.org"}, ExpiresAt: until,
	}}, commandtest.Platform)
	w.Do(&write{&document.Domain{
		Base: document.Base{ID: document.NewID()}, App: app, Space: space, Hostname: "www.example.org", Endpoint: certificateID,
	}}, commandtest.Platform)
}

// asks asks clients for a certificate by an authority that lasts so many days.
func asks(w *commandtest.World, days int) func(*document.Domain) {
	return func(d *document.Domain) {
		d.Clients = &document.Authorities{Subjects: []string{"CN=partners"}, EndsAt: w.Now().Add(time.Duration(days) * 24 * time.Hour)}
	}
}

// everyDomain alters all of clinic's.
func everyDomain(w *commandtest.World, alter func(*document.Domain)) {
	for _, d := range commandtest.Find[*document.Domain](w, "app", w.IDs["app:clinic"]) {
		change(w, d.ID, alter)
	}
}

func domainOf(w *commandtest.World, host string) *document.Domain {
	return commandtest.Find[*document.Domain](w, "hostname", host)[0]
}

// TestMutations: every check sees what it watches break, and sees it mended.
func TestMutations(t *testing.T) {
	tested := map[string]bool{}
	for _, m := range mutations {
		tested[m.check] = true
		t.Run(m.check, func(t *testing.T) {
			w := commandtest.New(t, commandtest.Noon)
			c := find(t, m.check)
			if m.before != nil {
				m.before(w)
			}
			was := look(w, c, w.IDs[m.subject])
			if was.Status != document.StatusPass {
				t.Fatalf("before: %+v", was)
			}
			size := w.Size()
			m.breaks(w)
			got := look(w, c, w.IDs[m.subject])
			if got.Status != document.StatusFail || !strings.Contains(strings.Join(got.Facts, "\n"), m.tells) {
				t.Errorf("broken: %+v, want a failure that tells %q", got, m.tells)
			}
			m.mends(w)
			if got := look(w, c, w.IDs[m.subject]); got.Status != document.StatusPass {
				t.Errorf("mended: %+v", got)
			}
			// The past says what it said.
			if err := w.Store.At(t.Context(), size, func(v store.View) error {
				results, err := c.State(v, commandtest.Noon)
				if got := of(results, w.IDs[m.subject]); err == nil && got.Status != document.StatusPass {
					t.Errorf("at %d entries: %+v", size, got)
				}
				return err
			}); err != nil {
				t.Error(err)
			}
		})
	}
	for _, c := range state.All() {
		if !tested[c.ID] {
			t.Errorf("nothing breaks what %s watches", c.ID)
		}
	}
}

// TestNobodysAccounts: those that the platform makes for its attempts lie unused
// for as long as they do, and those that only look like them do not.
func TestNobodysAccounts(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	set := &attempts.Set{}
	w.Do(set, commandtest.Platform)
	alike := &people.CreateAccount{Email: "attempt-visitor@" + document.NobodysDomain}
	w.Do(alike, w.As("root"))
	w.Pass(91 * 24 * time.Hour)
	for id, want := range map[string]string{
		set.Stage.Member.ID: document.StatusNotApplicable, set.Stage.Admin.ID: document.StatusNotApplicable,
		set.Stage.Suspended.ID: document.StatusNotApplicable, alike.Account.ID: document.StatusFail,
	} {
		if got := look(w, find(t, "state.stale-accounts"), id); got.Status != want {
			t.Errorf("%+v, want %s", got, want)
		}
	}
}

func find(t *testing.T, id string) *compliance.Check {
	t.Helper()
	for _, c := range state.All() {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("there is no check %s", id)
	return nil
}

func look(w *commandtest.World, c *compliance.Check, subject string) compliance.Result {
	var results []compliance.Result
	commandtest.Read(w, func(v commandtest.View) (err error) {
		results, err = c.State(v, w.Now())
		return err
	})
	return of(results, subject)
}

func of(results []compliance.Result, subject string) compliance.Result {
	for _, r := range results {
		if r.Subject == subject {
			return r
		}
	}
	return compliance.Result{Status: "none"}
}

// TestAgain: what was recorded at any moment comes out again when the checks look
// at the state of that moment.
func TestAgain(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	var controls []*compliance.Control
	for _, c := range state.All() {
		controls = append(controls, &compliance.Control{ID: c.ID, Proof: compliance.Proof{Checks: []string{c.ID}}})
	}
	p, err := compliance.Join(&compliance.Catalogue{Controls: controls}, state.All())
	if err != nil {
		t.Fatal(err)
	}
	e := compliance.New(compliance.Config{Store: w.Store, Kernel: w.Kernel, Programme: p, Log: slog.New(slog.DiscardHandler), Now: w.Now})
	began := w.Size()
	look := func() {
		t.Helper()
		w.Pass(time.Hour)
		if err := e.Due(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	look()
	for _, m := range mutations {
		if m.before != nil {
			m.before(w)
		}
		m.breaks(w)
		look()
		m.mends(w)
		look()
	}
	failed := map[string]bool{}
	for _, l := range w.Since(began) {
		if l.Action != "check.report" || l.Changes[0].Doc == nil {
			continue
		}
		doc, err := document.Decode(document.KindStatus, l.Changes[0].Doc)
		if err != nil {
			t.Fatal(err)
		}
		said := doc.(*document.Status)
		if said.Status == document.StatusFail {
			failed[said.Check] = true
		}
		if err := w.Store.At(t.Context(), l.Seq, func(v store.View) error {
			results, err := find(t, said.Check).State(v, said.UpdatedAt)
			if got := of(results, said.Subject); got.Status != said.Status || strings.Join(got.Facts, "\n") != strings.Join(said.Facts, "\n") {
				t.Errorf("entry %d: %s said %s %q, and says now %s %q", l.Seq, said.Check, said.Status, said.Facts, got.Status, got.Facts)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	if len(failed) != len(state.All()) {
		t.Errorf("of %d checks %d failed", len(state.All()), len(failed))
	}
}
