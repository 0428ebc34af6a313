package evidence_test

import (
	"slices"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/checks"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/pack"
)

// population brings about what the world of the tests does not have by itself.
type population struct {
	report  string
	happens func(l *lab)
	without []string // columns that stay empty even so
}

var populations = []population{
	{report: "deployments", without: []string{"sbom", "provenance"}, happens: emergency}, // the world's builds have none
	{report: "users", happens: func(l *lab) {
		l.Pass(25 * time.Hour)
		l.Do(&people.Use{Account: l.IDs["account:auditor"]}, l.As("auditor"))
	}},
	{report: "access-changes", happens: func(l *lab) {
		by := l.As("viewer")
		by.Actor.IP, by.Actor.UserAgent = "192.0.2.7", "test/1"
		for range 2 { // the second is counted with the first
			if _, err := l.Kernel.Execute(l.T.Context(), &teams.GrantRole{Team: "care", Email: "viewer@example.org", Role: authz.Owner}, by); err == nil {
				l.T.Error("a viewer makes an owner")
			}
		}
		l.Pass(2 * time.Minute)
		_, _ = l.Kernel.Execute(l.T.Context(), &teams.GrantRole{Team: "care", Email: "viewer@example.org", Role: authz.Owner}, by)
	}},
	{report: "findings", happens: func(l *lab) {
		e := l.engine()
		trust := func(source string) {
			l.Do(&spaces.SetTrusted{Identity: "ward", Confirm: "ward", Rules: []document.TrustedIP{{Source: source, Action: "allow"}}}, l.As("owner"))
			l.Pass(10 * time.Minute)
			if err := e.Due(l.T.Context()); err != nil {
				l.T.Fatal(err)
			}
		}
		trust("0.0.0.0/0")
		f := commandtest.Find[*document.Finding](l.World, "check", "state.trusted-ips")[0]
		l.Do(&checks.Assign{ID: f.ID, Email: "admin@example.org"}, l.As("owner"))
		l.Do(&checks.Accept{ID: f.ID, Reason: "for a visit", Until: l.Now().Add(time.Hour)}, l.As("admin"))
		trust("192.0.2.0/24")
	}},
	{report: "requests", happens: func(l *lab) {
		role := &teams.GrantRole{Team: "care", Email: "viewer@example.org", Role: authz.Approver}
		l.Do(role, l.As("owner"))
		l.Do(&teams.DecideRequest{ID: role.Request.ID, Grant: true}, l.As("admin"))
		l.Do(&teams.UpdatePolicy{Team: "care", Approvals: new(0)}, l.As("owner"))
	}},
	{report: "attempts", happens: func(l *lab) {
		l.Do(&spaces.RecordAttempt{
			Scope: l.IDs["space:ward"], Name: "dyno", From: "another space", Target: "clinic", Refused: true, Result: "no route", Count: 1,
		}, commandtest.Platform)
	}},
}

// emergency is a release that the owner took live alone, and its review.
func emergency(l *lab) {
	policy := &teams.UpdatePolicy{Team: "care", Emergency: new(true)}
	l.Do(policy, l.As("owner"))
	l.Do(&teams.DecideRequest{ID: policy.Request.ID, Grant: true}, l.As("admin"))
	l.Do(&releases.Emergency{App: "clinic", Identity: "v3"}, commandtest.Reason(l.As("owner"), "it answers 500 to everybody"))
	l.Do(&releases.Review{App: "clinic", Identity: "v3", Note: "read it"}, l.As("approver"))
}

// TestEmergency: three reports tell of it, each with what it is asked for.
func TestEmergency(t *testing.T) {
	l := newLab(t)
	emergency(l)
	l.Pass(time.Minute)
	b := l.export(evidence.Request{From: at(-time.Hour), To: l.Now()})
	l.verify(b, pack.Options{})
	files := members(t, b)
	has := func(report string, want ...string) {
		t.Helper()
		list := rows(t, files, report)
		if !slices.ContainsFunc(list, func(row []string) bool {
			return !slices.ContainsFunc(want, func(cell string) bool { return !slices.Contains(row, cell) })
		}) {
			t.Errorf("%s without a row of %q: %q", report, want, list)
		}
	}
	has("deployments", "clinic v3", "true", "owner@example.org", "it answers 500 to everybody")
	has("deployments", "clinic v4", "false")
	has("exceptions", "release.approve", "clinic v3", "owner@example.org", "it answers 500 to everybody")
	has("approvals", "release.emergency", "clinic v3", "owner@example.org")
	has("approvals", "release.review", "clinic v3", "approver@example.org")
}

// shared are columns that most events have no value for: they must be filled in
// one report, not in each.
var shared = []string{"address", "client", "told", "count", "details"}

// TestReports: every report has a row of something that happened, and no column is
// empty in all of them: that would be a pointer to nowhere.
func TestReports(t *testing.T) {
	l := newLab(t)
	without := map[string][]string{}
	for _, p := range populations {
		if p.happens != nil {
			p.happens(l)
		}
		without[p.report] = p.without
	}
	l.Pass(time.Hour)
	b := l.export(evidence.Request{From: at(-time.Hour), To: l.Now()})
	l.verify(b, pack.Options{})
	files := members(t, b)
	seen := map[string]bool{}
	for _, d := range evidence.Definitions {
		list := rows(t, files, d.Name)
		if len(list) < 2 {
			t.Errorf("nothing brings about a row of %s", d.Name)
			continue
		}
		for i, title := range list[0] {
			filled := slices.ContainsFunc(list[1:], func(row []string) bool { return row[i] != "" })
			seen[title] = seen[title] || filled
			if filled == slices.Contains(without[d.Name], title) && !slices.Contains(shared, title) {
				t.Errorf("%s: a row has something in the column %q: %v", d.Name, title, filled)
			}
		}
	}
	for _, title := range shared {
		if !seen[title] {
			t.Errorf("no report has anything in the column %q", title)
		}
	}
}
