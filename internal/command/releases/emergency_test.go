package releases_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
)

const broken = "intake answers 500 to everybody"

// emergencies has the team's policy allow them, with a second person.
func (l *lab) emergencies() {
	l.T.Helper()
	yes := true
	cmd := &teams.UpdatePolicy{Team: "care", Emergency: &yes}
	l.Do(cmd, l.As("owner"))
	if cmd.Request == nil {
		l.T.Fatal("emergencies were allowed by one person")
	}
	l.Do(&teams.DecideRequest{ID: cmd.Request.ID, Grant: true}, l.As("admin"))
}

func emergency(version string) *releases.Emergency {
	return &releases.Emergency{App: "intake", Identity: version}
}

func review(version string) *releases.Review {
	return &releases.Review{App: "intake", Identity: version, Note: "read it the next morning"}
}

// alone has somebody let a release go live.
func (l *lab) alone(by, version string) []commandtest.Line {
	l.T.Helper()
	return l.Record(emergency(version), commandtest.Reason(l.As(by), broken))
}

// TestEmergency takes a push live by one person and has it reviewed afterwards.
func TestEmergency(t *testing.T) {
	l := newLab(t)
	l.emergencies()
	l.push("dev", "f") // overtaken
	r := l.push("owner", "a")
	lines := l.alone("owner", "v2")
	if got := commandtest.Actions(lines); !slices.Equal(got, []string{"release.approve", "release.emergency", "release.live"}) {
		t.Fatalf("recorded as %v", got)
	}
	if first := lines[0]; first.Scope != l.ward || first.Detail("emergency") != "yes" || first.Reason != broken {
		t.Errorf("%+v", first.Body)
	}
	if x := lines[1]; x.Scope != l.IDs["team:care"] || x.App != l.app.ID || x.Target.Name != "intake v2" || *x.Cause != lines[0].Seq || len(x.Changes) != 1 {
		t.Errorf("%+v", x.Body)
	}
	doc, err := document.Decode(document.KindException, lines[1].Changes[0].Doc)
	if err != nil {
		t.Fatal(err)
	}
	if x := doc.(*document.Exception); x.What != "release.approve" || x.Subject != "intake v2" || x.ByEmail != "owner@example.org" || x.Reason != broken {
		t.Errorf("%+v", x)
	}
	if doc, err = document.Decode(document.KindRelease, lines[2].Changes[0].Doc); err != nil {
		t.Fatal(err)
	}
	told := doc.(*document.Release)
	if told.ID != r.ID || !told.Emergency || told.Alone.Email != "owner@example.org" || told.Alone.Reason != broken || told.Alone.Review != nil || len(told.Approvals) != 0 || told.Required != 1 {
		t.Errorf("the story: %+v", told)
	}
	if l.current().ID != r.ID || l.release("v1").Status != document.ReleaseExpired {
		t.Errorf("v1 is %s, current %+v", l.release("v1").Status, l.current())
	}

	lines = l.Record(review("v2"), l.As("approver"))
	if got := commandtest.Actions(lines); !slices.Equal(got, []string{"release.review"}) {
		t.Errorf("recorded as %v", got)
	}
	if a := l.current().Alone; a.Review == nil || a.Review.Email != "approver@example.org" || a.Review.Note != "read it the next morning" {
		t.Errorf("%+v", a)
	}
	l.Refused(fault.Conflict, commandtest.None, review("v2"), l.As("approver"))
}

func TestWhoMayActAlone(t *testing.T) {
	l := newLab(t)
	l.push("owner", "a")
	for _, by := range []string{"owner", "admin"} {
		err := l.Refused(fault.Forbidden, l.ward, emergency("v1"), commandtest.Reason(l.As(by), broken))
		if m := fault.Message(err); !strings.Contains(m, "releases:approve v1 --app intake") || !strings.Contains(m, "policy --team care --emergency yes") {
			t.Errorf("with the policy off %s is told %q", by, m)
		}
	}
	l.emergencies()
	l.Do(&apps.AddCollaborator{Identity: "intake", Email: "collab@example.org", Permissions: []string{"view", "deploy", "operate", "manage"}}, l.As("owner"))
	for _, by := range []string{"dev", "viewer", "approver", "auditor", "collab"} {
		err := l.Refused(fault.Forbidden, l.ward, emergency("v1"), commandtest.Reason(l.As(by), broken))
		if m := fault.Message(err); !strings.Contains(m, "Only an owner or admin") {
			t.Errorf("%s is told %q", by, m)
		}
	}
	l.Refused(fault.NotFound, l.ward, emergency("v1"), commandtest.Reason(l.As("stranger"), broken))
	l.Refused(fault.NotFound, commandtest.None, emergency("v9"), commandtest.Reason(l.As("owner"), broken))
	for _, reason := range []string{"", "   ", "broken", "   broken   "} {
		l.Refused(fault.Invalid, commandtest.None, emergency("v1"), commandtest.Reason(l.As("owner"), reason))
	}
	l.Refused(fault.Forbidden, l.ward, &releases.Approve{App: "intake", Identity: "v1"}, l.As("owner")) // still no approval of theirs
	if l.current() != nil {
		t.Fatal("a refused emergency took effect")
	}
	if list := commandtest.Find[*document.Exception](l.World, "team", l.IDs["team:care"]); len(list) != 1 { // the world's own
		t.Errorf("refused emergencies left exceptions: %+v", list)
	}
	l.alone("admin", "v1") // what somebody else pushed
	l.Refused(fault.Conflict, commandtest.None, emergency("v1"), commandtest.Reason(l.As("owner"), broken))
}

// TestWhoMayReview: nobody who pushed, wrote, acted alone, or goes back to one
// who did.
func TestWhoMayReview(t *testing.T) {
	l := newLab(t)
	l.emergencies()
	l.approvers("owner", "dev")
	// mad acts alone for what dev pushed; pup is an approver whom mad made.
	l.Do(&people.CreateAccount{Email: "mad@example.org", Name: "mad", Operator: true}, l.As("root"))
	l.Accounts["mad"] = commandtest.Find[*document.Account](l.World, "email", "mad@example.org")[0]
	l.Do(&teams.GrantRole{Team: "care", Email: "mad@example.org", Role: authz.Admin}, l.As("owner"))
	pup := &people.CreateAccount{Email: "pup@example.org", Name: "pup"}
	l.Do(pup, l.As("mad"))
	l.Accounts["pup"] = pup.Account
	l.approvers("mad", "pup")

	l.push("dev", "a")
	l.Refused(fault.Conflict, commandtest.None, review("v1"), l.As("approver")) // it waits: there was no emergency
	l.alone("mad", "v1")
	for _, by := range []string{"dev", "mad", "pup", "viewer", "admin"} { // pushed; acted; made by who acted; no approvers
		l.Refused(fault.Forbidden, l.ward, review("v1"), l.As(by))
	}
	l.Refused(fault.NotFound, l.ward, review("v1"), l.As("stranger"))
	l.Refused(fault.NotFound, commandtest.None, review("v9"), l.As("approver"))
	long := review("v1")
	long.Note = strings.Repeat("x", 2001)
	l.Refused(fault.Invalid, commandtest.None, long, l.As("approver"))

	// It is reviewed also when it was replaced since.
	l.push("dev", "b")
	l.approve("approver", "v2")
	l.Do(review("v1"), l.As("owner"))
	if r := l.release("v1"); r.Current || r.Alone.Review.Email != "owner@example.org" {
		t.Errorf("%+v", r)
	}
}

// approvers makes people approvers, with second persons.
func (l *lab) approvers(names ...string) {
	l.T.Helper()
	for _, name := range names {
		ask := &teams.GrantRole{Team: "care", Email: name + "@example.org", Role: authz.Approver}
		l.Do(ask, l.As("owner"))
		l.Do(&teams.DecideRequest{ID: ask.Request.ID, Grant: true}, l.As("admin"))
	}
}

// TestEmergencyCarriesConfig: who changed the config that went live with somebody
// else's emergency does not review that.
func TestEmergencyCarriesConfig(t *testing.T) {
	l := newLab(t)
	l.emergencies()
	l.policy(1, true)
	l.Do(&teams.GrantRole{Team: "care", Email: "approver@example.org", Role: authz.Member}, l.As("owner"))
	l.approvers("viewer")
	l.push("dev", "a")
	l.approve("approver", "v1")
	l.Pass(time.Minute)
	l.set("approver", "A", "1")
	l.set("dev", "B", "2")
	l.Pass(time.Minute)
	l.alone("admin", "v3")
	if got := l.config(l.current()); got["A"] != "1" || got["B"] != "2" {
		t.Fatalf("live with %v", got)
	}
	err := l.Refused(fault.Forbidden, l.ward, review("v3"), l.As("approver"))
	if !strings.Contains(err.Error(), "Your own change of the config, v2, went live with it") {
		t.Error(err)
	}
	l.Do(review("v3"), l.As("viewer"))
}

// TestEmergencyPhase: a release phase comes first also in an emergency, and what
// fails in it never was live.
func TestEmergencyPhase(t *testing.T) {
	l := newLab(t)
	l.emergencies()
	r := l.push("dev", "a", web, phase)
	if got := commandtest.Actions(l.alone("owner", "v1")); !slices.Equal(got, []string{"release.approve", "release.emergency"}) {
		t.Fatalf("recorded as %v", got)
	}
	if got := l.release("v1"); got.Status != document.ReleasePending || !got.Emergency {
		t.Errorf("%+v", got)
	}
	l.Refused(fault.Conflict, commandtest.None, review("v1"), l.As("approver"))
	l.Do(&releases.FinishPhase{ID: r.ID, Failed: "The release command exited with status 1."}, commandtest.Platform)
	l.Refused(fault.Conflict, commandtest.None, review("v1"), l.As("approver"))

	r = l.push("dev", "b", web, phase)
	l.alone("owner", "v2")
	l.Do(&releases.FinishPhase{ID: r.ID}, commandtest.Platform)
	if cur := l.current(); cur.ID != r.ID || cur.Alone.Reason != broken {
		t.Errorf("%+v", cur)
	}
	l.Do(review("v2"), l.As("approver"))
}
