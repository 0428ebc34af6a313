package releases_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
)

// lab is an app of its own in the world's space: dev pushes, approver approves.
type lab struct {
	*commandtest.World
	app  *document.App
	ward string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	w := commandtest.New(t, commandtest.Noon)
	cmd := &apps.Create{Name: "intake", Space: "ward"}
	w.Do(cmd, w.As("dev"))
	return &lab{w, cmd.App, w.IDs["space:ward"]}
}

var (
	web   = document.Process{Type: "web", Command: "node server.js"}
	phase = document.Process{Type: "release", Command: "node migrate.js"}
)

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

// push builds a commit, named by one hex digit, with processes.
func (l *lab) push(by, commit string, processes ...document.Process) *document.Release {
	l.T.Helper()
	start := &releases.StartBuild{App: "intake", Commit: strings.Repeat(commit, 40)}
	l.Do(start, l.As(by))
	finish := l.finish(start.Build.ID, commit, processes...)
	l.Do(finish, commandtest.Platform)
	if finish.Release == nil {
		l.T.Fatalf("no release of build %+v", finish.Build)
	}
	return finish.Release
}

func (l *lab) finish(build, commit string, processes ...document.Process) *releases.FinishBuild {
	if len(processes) == 0 {
		processes = []document.Process{web}
	}
	blob := func(role string) *ledger.Blob {
		return &ledger.Blob{SHA256: digest(commit), Size: 1, MediaType: "application/json", Role: role}
	}
	return &releases.FinishBuild{
		ID: build, Buildpack: "nodejs", Log: blob("build-log"), SBOM: blob("sbom"), Statement: blob("provenance"),
		Slug: document.Slug{Image: digest(commit), Size: 4096, Processes: processes},
	}
}

func (l *lab) approve(by string, version string) {
	l.T.Helper()
	l.Do(&releases.Approve{App: "intake", Identity: version}, l.As(by))
}

func (l *lab) set(by, name, value string) *document.Release {
	l.T.Helper()
	cmd := &config.Set{App: "intake", Values: map[string]*secret.Value{name: commandtest.Value(value)}}
	l.Do(cmd, l.As(by))
	return cmd.Release
}

// noApprovals loosens the team's policy, with a second person.
func (l *lab) policy(approvals int, approveConfig bool) {
	l.T.Helper()
	cmd := &teams.UpdatePolicy{Team: "care", Approvals: &approvals, ApproveConfig: &approveConfig}
	l.Do(cmd, l.As("owner"))
	if cmd.Request != nil {
		l.Do(&teams.DecideRequest{ID: cmd.Request.ID, Grant: true}, l.As("admin"))
	}
}

func (l *lab) release(version string) *document.Release {
	l.T.Helper()
	var r *document.Release
	commandtest.Read(l.World, func(v commandtest.View) (err error) {
		r, err = releases.Find(v, l.app, version)
		return err
	})
	return r
}

// current gives the live release, and checks what must hold at all times.
func (l *lab) current() *document.Release {
	l.T.Helper()
	list := commandtest.Find[*document.Release](l.World, "app", l.app.ID)
	slices.SortFunc(list, func(a, b *document.Release) int { return a.Version - b.Version })
	var cur *document.Release
	for i, r := range list {
		if r.Version != i+1 {
			l.T.Fatalf("version %d follows %d", r.Version, i)
		}
		if !r.Current {
			continue
		}
		if cur != nil {
			l.T.Fatalf("v%d and v%d are both current", cur.Version, r.Version)
		}
		if r.Status != document.ReleaseSucceeded || r.LiveAt == nil {
			l.T.Fatalf("v%d is current and %s", r.Version, r.Status)
		}
		cur = r
	}
	for _, r := range list {
		if cur == nil && r.LiveAt != nil {
			l.T.Fatalf("v%d was live, and nothing is current", r.Version)
		}
	}
	return cur
}

// config is what the release runs with, as the processes are given it.
func (l *lab) config(r *document.Release) map[string]string {
	l.T.Helper()
	history, err := l.Store.History(l.T.Context(), document.KindConfig, l.app.ID)
	if err != nil {
		l.T.Fatal(err)
	}
	out := map[string]string{}
	if err := l.Store.At(l.T.Context(), history[r.ConfigRev-1]+1, func(v commandtest.View) error {
		d, err := v.Get(document.KindConfig, l.app.ID)
		if err != nil {
			return err
		}
		values, err := config.Open(l.T.Context(), l.Keyring, d.(*document.Config))
		for name, x := range values {
			out[name] = string(x.Reveal())
		}
		return err
	}); err != nil {
		l.T.Fatal(err)
	}
	return out
}

func (l *lab) phases() (n int) {
	l.T.Helper()
	jobs, err := l.Store.Jobs(l.T.Context(), 1000)
	if err != nil {
		l.T.Fatal(err)
	}
	for _, j := range jobs {
		if j.Kind == releases.JobPhase {
			n++
		}
	}
	return n
}

// TestStory takes a push to live: the entry that makes it live tells all of it.
func TestStory(t *testing.T) {
	l := newLab(t)
	l.set("dev", "A", "1")
	r := l.push("dev", "a", web, document.Process{Type: "worker", Command: "node worker.js"})
	if r.Version != 2 || r.Status != document.ReleaseWaiting || r.Required != 1 || l.current().Version != 1 {
		t.Fatalf("%+v", r)
	}
	if fs := commandtest.Find[*document.Formation](l.World, "app", l.app.ID); len(fs) != 0 {
		t.Errorf("what waits has formations: %+v", fs)
	}
	lines := l.Record(&releases.Approve{App: "intake", Identity: "v2", Note: "read and tested"}, l.As("approver"))
	if got := commandtest.Actions(lines); !slices.Equal(got, []string{"release.approve", "release.live"}) {
		t.Fatalf("recorded as %v", got)
	}
	live := lines[1]
	if live.Cause == nil || *live.Cause != lines[0].Seq || live.Scope != l.ward || live.App != l.app.ID || live.Target.Name != "intake v2" {
		t.Errorf("%+v", live.Body)
	}
	doc, err := document.Decode(document.KindRelease, live.Changes[0].Doc)
	if err != nil {
		t.Fatal(err)
	}
	told := doc.(*document.Release)
	if told.ID != r.ID || told.Commit != strings.Repeat("a", 40) || told.Image != digest("a") || told.SBOM != digest("a") || told.Provenance != digest("a") ||
		told.ByEmail != "dev@example.org" || told.Replaces != 1 || told.Required != 1 || told.LiveAt == nil || !told.Current || !told.Code {
		t.Errorf("the story: %+v", told)
	}
	if a := told.Approvals; len(a) != 1 || a[0].Email != "approver@example.org" || a[0].Note != "read and tested" || a[0].At.IsZero() {
		t.Errorf("approvals %+v", a)
	}
	if cur := l.current(); cur.ID != r.ID || l.config(cur)["A"] != "1" {
		t.Errorf("current %+v", cur)
	}
	quantities := map[string]int{}
	for _, f := range commandtest.Find[*document.Formation](l.World, "app", l.app.ID) {
		quantities[f.Type+" "+f.Command] = f.Quantity
	}
	if len(quantities) != 2 || quantities["web node server.js"] != 1 || quantities["worker node worker.js"] != 0 {
		t.Errorf("formations %v", quantities)
	}
	if a := commandtest.Get[*document.App](l.World, l.app.ID); a.ReleasedAt == nil || a.SlugSize != 4096 {
		t.Errorf("app %+v", a)
	}
}

func TestFormationsFollowTheCode(t *testing.T) {
	l := newLab(t)
	l.policy(0, false)
	l.push("dev", "a", web, document.Process{Type: "worker", Command: "one"})
	three := 3
	l.Do(&apps.Scale{Identity: "intake", Updates: []apps.ScaleUpdate{{Type: "web", Quantity: &three, Size: "Shield-M"}, {Type: "worker", Quantity: &three}}}, l.As("dev"))
	l.push("dev", "b", document.Process{Type: "web", Command: "node other.js"}, document.Process{Type: "clock", Command: "tick"}, phase)
	l.Do(&releases.FinishPhase{ID: l.release("v2").ID}, commandtest.Platform)
	got := map[string]document.Formation{}
	for _, f := range commandtest.Find[*document.Formation](l.World, "app", l.app.ID) {
		got[f.Type] = *f
	}
	if len(got) != 2 || got["web"].Quantity != 3 || got["web"].Size != "Shield-M" || got["web"].Command != "node other.js" || got["clock"].Quantity != 0 {
		t.Errorf("formations %+v", got)
	}
}

func TestWhoMayApprove(t *testing.T) {
	l := newLab(t)
	l.push("dev", "a")
	approve := &releases.Approve{App: "intake", Identity: "v1"}
	l.Refused(fault.Forbidden, l.ward, approve, l.As("dev"))
	l.Refused(fault.Forbidden, l.ward, approve, l.As("owner")) // owns the team, and is no approver
	l.Refused(fault.Forbidden, l.ward, approve, l.As("viewer"))
	err := l.Refused(fault.NotFound, l.ward, approve, l.As("stranger"))
	for _, missing := range []*releases.Approve{{App: "none", Identity: "v1"}, {App: "none", Identity: document.NewID()}} {
		if none := l.Refused(fault.NotFound, commandtest.None, missing, l.As("stranger")); err.Error() != none.Error() {
			t.Errorf("a stranger can tell %q from %q", err, none)
		}
	}
	if none := l.Refused(fault.NotFound, l.ward, &releases.Approve{App: "intake", Identity: "v9"}, l.As("stranger")); err.Error() != none.Error() {
		t.Errorf("a stranger can tell a release that is there: %q from %q", err, none)
	}
	l.Refused(fault.NotFound, commandtest.None, &releases.Approve{App: "intake", Identity: "v9"}, l.As("approver"))
	l.Refused(fault.NotFound, commandtest.None, &releases.Approve{App: "intake", Identity: l.IDs["release:1"]}, l.As("approver")) // clinic's
	l.Refused(fault.Invalid, commandtest.None, &releases.Approve{App: "intake", Identity: "v1", Note: strings.Repeat("x", 2001)}, l.As("approver"))
	if l.current() != nil {
		t.Fatal("a refused approval took effect")
	}
	l.approve("approver", "v1")
	l.Refused(fault.Conflict, commandtest.None, approve, l.As("approver"))
}

// TestAuthorsOwnApprovers are people who approve and whom the author made one
// way or the other.
func TestAuthorsOwnApprovers(t *testing.T) {
	l := newLab(t)
	// dev becomes an admin and gives fay a role; root makes her an approver with owner.
	l.Do(&teams.GrantRole{Team: "care", Email: "dev@example.org", Role: authz.Admin}, l.As("owner"))
	l.Account("fay", "")
	l.Do(&teams.GrantRole{Team: "care", Email: "fay@example.org", Role: authz.Viewer}, l.As("dev"))
	ask := &teams.GrantRole{Team: "care", Email: "fay@example.org", Role: authz.Approver}
	l.Do(ask, l.As("owner"))
	l.Do(&teams.DecideRequest{ID: ask.Request.ID, Grant: true}, l.As("admin"))
	l.push("dev", "a")
	l.Refused(fault.Forbidden, l.ward, &releases.Approve{App: "intake", Identity: "v1"}, l.As("fay"))
	// For what somebody else pushes she is independent.
	l.Do(&teams.GrantRole{Team: "care", Email: "stranger@example.org", Role: authz.Member}, l.As("owner"))
	l.push("stranger", "b")
	l.approve("fay", "v2")

	// root made all accounts: what root pushes, none of them approves.
	l.Do(&teams.GrantRole{Team: "care", Email: "root@example.org", Role: authz.Member}, l.As("owner"))
	l.push("root", "c")
	l.Refused(fault.Forbidden, l.ward, &releases.Approve{App: "intake", Identity: "v3"}, l.As("approver"))
	// An approver who was suspended or taken off is none.
	l.push("dev", "d")
	l.Do(&people.SuspendAccount{Email: "approver@example.org"}, l.As("root"))
	l.Refused(fault.NotFound, l.ward, &releases.Approve{App: "intake", Identity: "v4"}, l.As("approver"))
}

// TestPuppetsOfPuppets: dev operates the installation, makes an account that
// makes another, and lends a hand as the second person.
func TestPuppetsOfPuppets(t *testing.T) {
	l := newLab(t)
	l.Do(&people.CreateAccount{Email: "mad@example.org", Name: "mad", Operator: true}, l.As("root"))
	mad := commandtest.Find[*document.Account](l.World, "email", "mad@example.org")[0]
	l.Accounts["mad"] = mad
	l.Do(&teams.GrantRole{Team: "care", Email: "mad@example.org", Role: authz.Owner}, l.As("owner"))

	one := &people.CreateAccount{Email: "one@example.org", Name: "one", Operator: true}
	l.Do(one, l.As("mad"))
	l.Accounts["one"] = one.Account
	l.Do(&teams.GrantRole{Team: "care", Email: "one@example.org", Role: authz.Admin}, l.As("mad"))
	two := &people.CreateAccount{Email: "two@example.org", Name: "two"}
	l.Do(two, l.As("one"))
	l.Accounts["two"] = two.Account
	ask := &teams.GrantRole{Team: "care", Email: "two@example.org", Role: authz.Approver}
	l.Do(ask, l.As("one"))
	// The puppet asked, so its maker cannot be the second person.
	l.Refused(fault.Forbidden, l.IDs["team:care"], &teams.DecideRequest{ID: ask.Request.ID, Grant: true}, l.As("mad"))
	// Even when somebody else was fooled into it:
	l.Do(&teams.DecideRequest{ID: ask.Request.ID, Grant: true}, l.As("admin"))
	l.push("mad", "a")
	l.Refused(fault.Forbidden, l.ward, &releases.Approve{App: "intake", Identity: "v1"}, l.As("two"))
	// For what others push, two is independent.
	l.push("dev", "b")
	l.approve("two", "v2")
}

// TestNobodyApprovesWhatTheyWrote: neither as an author nor as somebody who
// pushed a part of it before.
func TestNobodyApprovesWhatTheyWrote(t *testing.T) {
	l := newLab(t)
	l.Do(&teams.GrantRole{Team: "care", Email: "approver@example.org", Role: authz.Member}, l.As("owner"))
	push := func(by, commit string, claimed []string, parts ...string) *document.Release {
		t.Helper()
		start := &releases.StartBuild{App: "intake", Commit: commit, Claimed: claimed, Parts: parts}
		l.Do(start, l.As(by))
		finish := l.finish(start.Build.ID, "a")
		l.Do(finish, commandtest.Platform)
		return finish.Release
	}
	a, b, c := strings.Repeat("a", 40), strings.Repeat("b", 40), strings.Repeat("c", 40)
	stray := []string{"dev@example.org", "stray@elsewhere.example", "not an address"}

	push("dev", a, []string{" Approver@Example.org"})
	l.Refused(fault.Forbidden, l.ward, &releases.Approve{App: "intake", Identity: "v1"}, l.As("approver"))

	// Pushed under another's name, then buried under somebody else's push.
	push("approver", b, stray)
	r := push("dev", c, stray, b)
	if want := []string{"approver@example.org", "dev@example.org", "stray@elsewhere.example"}; !slices.Equal(r.Authors, want) {
		t.Errorf("authors %q, want %q", r.Authors, want)
	}
	l.Refused(fault.Forbidden, l.ward, &releases.Approve{App: "intake", Identity: "v3"}, l.As("approver"))

	push("dev", strings.Repeat("d", 40), stray)
	l.approve("approver", "v4")

	// However many are named, those who could approve are kept.
	var many []string
	for i := range 500 {
		many = append(many, fmt.Sprintf("p%d@elsewhere.example", i))
	}
	if r := push("dev", strings.Repeat("e", 40), append(many, "approver@example.org")); len(r.Authors) != 100 || !slices.Contains(r.Authors, "approver@example.org") {
		t.Errorf("%d authors", len(r.Authors))
	}
}

func TestReleasePhase(t *testing.T) {
	l := newLab(t)
	l.policy(0, false)
	l.push("dev", "a")
	before := l.phases()
	r := l.push("dev", "b", web, phase)
	if r.Status != document.ReleasePending || l.current().Version != 1 || l.phases() != before+1 {
		t.Fatalf("%+v", r)
	}
	l.Refused(fault.Forbidden, l.ward, &releases.FinishPhase{ID: r.ID}, l.As("owner"))
	l.Refused(fault.Conflict, commandtest.None, &releases.FinishPhase{ID: l.current().ID}, commandtest.Platform)
	output := &ledger.Blob{SHA256: digest("e"), Size: 3, MediaType: "text/plain", Role: "release-output"}
	lines := l.Record(&releases.FinishPhase{ID: r.ID, Failed: "The release command exited with status 1.", Output: output}, commandtest.Platform)
	got := l.release("v2")
	if got.Status != document.ReleaseFailed || got.Output != digest("e") || got.LiveAt != nil || l.current().Version != 1 {
		t.Errorf("%+v", got)
	}
	if len(lines) != 1 || lines[0].Outcome != ledger.Failed || lines[0].Error == "" || len(lines[0].Blobs) != 1 {
		t.Errorf("recorded as %v", lines)
	}
	r = l.push("dev", "c", web, phase)
	lines = l.Record(&releases.FinishPhase{ID: r.ID, Output: output}, commandtest.Platform)
	if got := commandtest.Actions(lines); !slices.Equal(got, []string{"release.phase", "release.live"}) || l.current().Version != 3 || l.current().Replaces != 1 {
		t.Errorf("recorded as %v, current %+v", got, l.current())
	}
}

// TestConfigDuringAPhase sets config while new code runs its release phase:
// neither takes the other back.
func TestConfigDuringAPhase(t *testing.T) {
	l := newLab(t)
	l.policy(0, false)
	first := l.push("dev", "a", web, phase)
	l.Do(&releases.FinishPhase{ID: first.ID}, commandtest.Platform)
	code := l.push("dev", "b", web, phase)
	cfg := l.set("dev", "A", "1")
	if code.Status != document.ReleasePending || cfg.Status != document.ReleasePending || cfg.Image != digest("a") {
		t.Fatalf("%+v, %+v", code, cfg)
	}
	l.Do(&releases.FinishPhase{ID: code.ID}, commandtest.Platform)
	if cur := l.current(); cur.Version != 2 || cur.Image != digest("b") {
		t.Fatalf("%+v", cur)
	}
	// The config's phase ran with the code of before: it runs again.
	jobs := l.phases()
	lines := l.Record(&releases.FinishPhase{ID: cfg.ID}, commandtest.Platform)
	if got := l.release("v3"); got.Status != document.ReleasePending || got.Image != digest("b") || l.current().Version != 2 || l.phases() != jobs+1 || lines[0].Detail("repeated") == "" {
		t.Fatalf("%+v, recorded as %v", got, lines)
	}
	l.Do(&releases.FinishPhase{ID: cfg.ID}, commandtest.Platform)
	if cur := l.current(); cur.Version != 3 || cur.Image != digest("b") || l.config(cur)["A"] != "1" {
		t.Errorf("%+v runs with %v", cur, l.config(cur))
	}
}

// TestCodeDuringAConfigPhase is the other order: the config is live first.
func TestCodeDuringAConfigPhase(t *testing.T) {
	l := newLab(t)
	l.policy(0, false)
	first := l.push("dev", "a", web, phase)
	l.Do(&releases.FinishPhase{ID: first.ID}, commandtest.Platform)
	code := l.push("dev", "b", web, phase)
	cfg := l.set("dev", "A", "1")
	l.Do(&releases.FinishPhase{ID: cfg.ID}, commandtest.Platform)
	if cur := l.current(); cur.Version != 3 || cur.Image != digest("a") || l.config(cur)["A"] != "1" {
		t.Fatalf("%+v", cur)
	}
	l.Do(&releases.FinishPhase{ID: code.ID}, commandtest.Platform) // ran without the new config
	l.Do(&releases.FinishPhase{ID: code.ID}, commandtest.Platform)
	if cur := l.current(); cur.Version != 2 || cur.Image != digest("b") || l.config(cur)["A"] != "1" {
		t.Errorf("%+v runs with %v", cur, l.config(cur))
	}
}

// TestConfigWhileCodeWaits sets config while new code waits for approval.
func TestConfigWhileCodeWaits(t *testing.T) {
	l := newLab(t)
	l.push("dev", "a")
	l.approve("approver", "v1")
	code := l.push("dev", "b")
	cfg := l.set("dev", "A", "1")
	if code.Status != document.ReleaseWaiting || !cfg.Current || cfg.Image != digest("a") {
		t.Fatalf("%+v, %+v", code, cfg)
	}
	l.approve("approver", "v2")
	if cur := l.current(); cur.Version != 2 || cur.Image != digest("b") || l.config(cur)["A"] != "1" || cur.Replaces != 3 {
		t.Errorf("%+v runs with %v", cur, l.config(cur))
	}
	// The next versions go on from the highest.
	if r := l.set("dev", "A", "2"); r.Version != 4 || r.Image != digest("b") {
		t.Errorf("%+v", r)
	}
}

func TestOlderOnesExpire(t *testing.T) {
	l := newLab(t)
	for _, commit := range []string{"a", "b", "c"} {
		l.push("dev", commit)
	}
	l.approve("approver", "v2")
	if l.release("v1").Status != document.ReleaseExpired || l.release("v3").Status != document.ReleaseWaiting || l.current().Version != 2 {
		t.Errorf("v1 %s, v3 %s", l.release("v1").Status, l.release("v3").Status)
	}
	l.Refused(fault.Conflict, commandtest.None, &releases.Approve{App: "intake", Identity: "v1"}, l.As("approver"))
	l.approve("approver", "v3")
	if l.current().Version != 3 {
		t.Error("a newer one that waited cannot be approved")
	}
}

// TestApprovedConfig is a team that wants a second person for config too.
func TestApprovedConfig(t *testing.T) {
	l := newLab(t)
	l.push("dev", "a")
	l.approve("approver", "v1")
	l.policy(1, true)
	cfg := l.set("dev", "A", "1")
	if cfg.Status != document.ReleaseWaiting || cfg.Required != 1 || l.current().Version != 1 || l.config(l.current())["A"] != "" {
		t.Fatalf("%+v", cfg)
	}
	l.Refused(fault.Forbidden, l.ward, &releases.Approve{App: "intake", Identity: "v2"}, l.As("dev"))
	// Newer code is approved first: it does not bring the config along, and the
	// config, once it is approved, does not take the code back.
	l.push("dev", "b")
	l.approve("approver", "v3")
	if cur := l.current(); cur.Version != 3 || cur.Image != digest("b") || l.config(cur)["A"] != "" {
		t.Fatalf("%+v runs with %v", cur, l.config(cur))
	}
	l.approve("approver", "v2")
	if cur := l.current(); cur.Version != 2 || cur.Image != digest("b") || l.config(cur)["A"] != "1" {
		t.Fatalf("%+v runs with %v", cur, l.config(cur))
	}
	// A later change of the config holds the earlier one: what was approved
	// brings both.
	l.set("dev", "A", "2")
	l.set("dev", "B", "2")
	l.approve("approver", "v5")
	if cur := l.current(); cur.Version != 5 || l.config(cur)["A"] != "2" || l.release("v4").Status != document.ReleaseExpired {
		t.Errorf("%+v runs with %v, v4 is %s", cur, l.config(cur), l.release("v4").Status)
	}
}

// TestNobodyApprovesTheirOwnConfig has an approver change config and approve
// somebody else's release, with which it would go live.
func TestNobodyApprovesTheirOwnConfig(t *testing.T) {
	l := newLab(t)
	l.push("dev", "a")
	l.approve("approver", "v1")
	l.policy(1, true)
	l.Do(&teams.GrantRole{Team: "care", Email: "approver@example.org", Role: authz.Member}, l.As("owner"))
	l.set("approver", "BACKDOOR", "1") // v2, waits for somebody else
	l.set("dev", "A", "1")             // v3, holds it
	l.push("dev", "b")                 // v4, holds neither
	for _, v := range []string{"v2", "v3"} {
		l.Refused(fault.Forbidden, l.ward, &releases.Approve{App: "intake", Identity: v}, l.As("approver"))
	}
	l.approve("approver", "v4")
	if l.config(l.current())["BACKDOOR"] != "" {
		t.Fatal("it went live")
	}
	// Somebody else lets it through, by its own or with another.
	ask := &teams.GrantRole{Team: "care", Email: "admin@example.org", Role: authz.Approver}
	l.Do(ask, l.As("owner"))
	l.Do(&teams.GrantRole{Team: "care", Email: "viewer@example.org", Role: authz.Admin}, l.As("admin"))
	l.Do(&teams.DecideRequest{ID: ask.Request.ID, Grant: true}, l.As("viewer"))
	l.approve("admin", "v2")
	l.approve("approver", "v3")
	if cur := l.current(); cur.Version != 3 || l.config(cur)["BACKDOOR"] != "1" || l.config(cur)["A"] != "1" || cur.Image != digest("b") {
		t.Errorf("%+v runs with %v", cur, l.config(cur))
	}
}

func TestRollback(t *testing.T) {
	l := newLab(t)
	l.set("dev", "A", "1")
	l.push("dev", "a") // v2
	l.approve("approver", "v2")
	l.set("dev", "A", "2") // v3
	l.push("dev", "b")     // v4
	l.approve("approver", "v4")
	waits := l.push("dev", "c") // v5
	back := &releases.Rollback{App: "intake", Identity: "v2"}
	l.Do(back, l.As("dev"))
	cur := l.current()
	if cur.Version != 6 || cur.Image != digest("a") || l.config(cur)["A"] != "1" || cur.Rollback != 2 || cur.Required != 0 || cur.Description != "Rollback to v2" || cur.Code {
		t.Errorf("%+v runs with %v", cur, l.config(cur))
	}
	for name, bad := range map[string]*releases.Rollback{"never live": {Identity: "v5"}, "no build": {Identity: "v1"}} {
		bad.App = "intake"
		if l.Refused(fault.Invalid, commandtest.None, bad, l.As("dev")); t.Failed() {
			t.Fatal(name)
		}
	}
	l.Refused(fault.NotFound, commandtest.None, &releases.Rollback{App: "intake", Identity: "v99"}, l.As("dev"))
	l.Refused(fault.Forbidden, l.ward, back, l.As("viewer"))
	l.Refused(fault.NotFound, l.ward, back, l.As("stranger"))
	// What waited can still be approved.
	l.approve("approver", waits.ID)
	if cur := l.current(); cur.Image != digest("c") {
		t.Errorf("%+v", cur)
	}

	// Where config needs approval, going back to another config does too, and
	// keeps that config.
	l.policy(1, true)
	l.Do(back, l.As("dev"))
	if back.Release.Status != document.ReleaseWaiting {
		t.Fatalf("%+v", back.Release)
	}
	l.approve("approver", back.Release.ID)
	if cur := l.current(); cur.ID != back.Release.ID || cur.Image != digest("a") || l.config(cur)["A"] != "1" {
		t.Errorf("%+v runs with %v", cur, l.config(cur))
	}
}

// TestRollbackDuringAPhase goes back while newer code and config go live: it
// was asked for as it is.
func TestRollbackDuringAPhase(t *testing.T) {
	l := newLab(t)
	l.policy(0, false)
	for _, commit := range []string{"a", "b"} {
		l.Do(&releases.FinishPhase{ID: l.push("dev", commit, web, phase).ID}, commandtest.Platform)
	}
	back := &releases.Rollback{App: "intake", Identity: "v1"}
	l.Do(back, l.As("dev"))
	cfg := l.set("dev", "A", "1")
	l.Do(&releases.FinishPhase{ID: cfg.ID}, commandtest.Platform)
	l.Do(&releases.FinishPhase{ID: back.Release.ID}, commandtest.Platform)
	if cur := l.current(); cur.ID != back.Release.ID || cur.Image != digest("a") || cur.ConfigRev != l.release("v1").ConfigRev {
		t.Errorf("%+v", cur)
	}
}

func TestBuilds(t *testing.T) {
	l := newLab(t)
	l.Refused(fault.Forbidden, l.ward, &releases.StartBuild{App: "intake", Commit: "x"}, l.As("viewer"))
	l.Refused(fault.NotFound, l.ward, &releases.StartBuild{App: "intake", Commit: "x"}, l.As("stranger"))
	start := &releases.StartBuild{App: "intake", Commit: strings.Repeat("a", 40)}
	l.Do(start, l.As("dev"))
	if b := start.Build; b.Status != document.BuildPending || b.ByEmail != "dev@example.org" {
		t.Errorf("%+v", b)
	}
	l.Refused(fault.Forbidden, l.ward, l.finish(start.Build.ID, "a"), l.As("dev")) // only the platform ends builds
	failed := &releases.FinishBuild{ID: start.Build.ID, Failed: "npm install exited with status 1."}
	lines := l.Record(failed, commandtest.Platform)
	if b := commandtest.Get[*document.Build](l.World, start.Build.ID); b.Status != document.BuildFailed || b.Message != failed.Failed || lines[0].Outcome != ledger.Failed || failed.Release != nil {
		t.Errorf("%+v, recorded as %v", b, lines)
	}
	l.Refused(fault.Conflict, commandtest.None, l.finish(start.Build.ID, "a"), commandtest.Platform)
	if l.current() != nil {
		t.Error("a failed build was released")
	}
	l.Do(start, l.As("dev"))
	finish := l.finish(start.Build.ID, "a")
	l.Do(finish, commandtest.Platform)
	slug := commandtest.Get[*document.Slug](l.World, finish.Build.Slug)
	if slug.Commit != strings.Repeat("a", 40) || slug.Build != start.Build.ID || slug.SBOM != digest("a") || slug.Space != l.ward || finish.Release.ByEmail != "dev@example.org" {
		t.Errorf("%+v, %+v", slug, finish.Release)
	}
}

// TestPusherWhoLeft ends a build whose pusher may no longer deploy.
func TestPusherWhoLeft(t *testing.T) {
	for name, leave := range map[string]func(*lab){
		"suspended": func(l *lab) { l.Do(&people.SuspendAccount{Email: "dev@example.org"}, l.As("root")) },
		"role taken away": func(l *lab) {
			l.Do(&teams.RevokeRole{Team: "care", Email: "dev@example.org", Role: authz.Member}, l.As("owner"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.policy(0, false)
			start := &releases.StartBuild{App: "intake", Commit: strings.Repeat("a", 40)}
			l.Do(start, l.As("dev"))
			leave(l)
			finish := l.finish(start.Build.ID, "a")
			lines := l.Record(finish, commandtest.Platform)
			if finish.Release != nil || l.current() != nil {
				t.Fatalf("it was released: %+v", finish.Release)
			}
			if b := commandtest.Get[*document.Build](l.World, start.Build.ID); b.Status != document.BuildFailed || lines[0].Outcome != ledger.Failed || !strings.Contains(lines[0].Error, "may no longer deploy") {
				t.Errorf("%+v, recorded as %v", b, lines)
			}
		})
	}
}

// TestDestroyedMeanwhile ends builds and phases of an app that is gone.
func TestDestroyedMeanwhile(t *testing.T) {
	l := newLab(t)
	l.policy(0, false)
	r := l.push("dev", "a", web, phase)
	start := &releases.StartBuild{App: "intake", Commit: strings.Repeat("b", 40)}
	l.Do(start, l.As("dev"))
	l.Do(&apps.Destroy{Identity: "intake"}, l.As("owner"))
	l.Refused(fault.NotFound, commandtest.None, l.finish(start.Build.ID, "b"), commandtest.Platform)
	l.Refused(fault.NotFound, commandtest.None, &releases.FinishPhase{ID: r.ID}, commandtest.Platform)
}
