package teams_test

import (
	"slices"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
)

// lab is an installation with people, all made by root, and a team of root's.
type lab struct {
	*commandtest.World
	team string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	w := commandtest.Bare(t, commandtest.Noon)
	for _, name := range []string{"ann", "bob", "cat", "dan", "eve"} {
		w.Account(name, "")
	}
	create := &teams.Create{Name: "care"}
	w.Do(create, w.As("root"))
	return &lab{w, create.Team.ID}
}

func email(name string) string { return name + "@example.org" }

// grant gives a role, and ends the test if that did not happen at once.
func (l *lab) grant(by, to string, role authz.Role) {
	l.T.Helper()
	cmd := &teams.GrantRole{Team: "care", Email: email(to), Role: role}
	l.Do(cmd, l.As(by))
	if cmd.Member == nil {
		l.T.Fatalf("%s for %s waits for a second person", role, to)
	}
}

// owners leaves ann and bob as owners by root's hand, and root out of the team.
func (l *lab) owners() {
	l.T.Helper()
	l.grant("root", "ann", authz.Owner)
	l.grant("root", "bob", authz.Owner)
	l.Do(&teams.RevokeRole{Team: "care", Email: email("root")}, l.As("root"))
}

func (l *lab) member(name string) *document.Member {
	l.T.Helper()
	list := commandtest.Find[*document.Member](l.World, "team+account", l.team+"+"+l.Accounts[name].ID)
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

func (l *lab) roles(name string) []string {
	if m := l.member(name); m != nil {
		return m.Roles
	}
	return nil
}

// ask asks for an approver and gives the request.
func (l *lab) ask(by, to string) *document.Request {
	l.T.Helper()
	cmd := &teams.GrantRole{Team: "care", Email: email(to), Role: authz.Approver}
	l.Do(cmd, l.As(by))
	if cmd.Request == nil || cmd.Member != nil {
		l.T.Fatalf("an approver was made at once: %+v", cmd.Member)
	}
	return cmd.Request
}

func yes(id string) control.Command { return &teams.DecideRequest{ID: id, Grant: true} }

func TestCreate(t *testing.T) {
	w := commandtest.Bare(t, commandtest.Noon)
	w.Account("ann", "")
	cmd := &teams.Create{Name: "care"}
	w.Refused(fault.Forbidden, "", &teams.Create{Name: "mine"}, w.As("ann"))
	lines := w.Record(cmd, w.As("root"))
	if len(lines) != 1 || lines[0].Scope != cmd.Team.ID || lines[0].Action != "team.create" {
		t.Errorf("recorded as %v", lines)
	}
	if p := commandtest.Get[*document.Policy](w, cmd.Team.ID); p.Approvals != 1 || p.ApproveConfig {
		t.Errorf("policy %+v", p)
	}
	if _, err := w.Keyring.Seal(t.Context(), cmd.Team.ID, secret.NewValue([]byte("x"))); err != nil {
		t.Errorf("the team's key: %v", err)
	}
	w.Refused(fault.Invalid, commandtest.None, &teams.Create{Name: "care"}, w.As("root"))
	w.Refused(fault.Invalid, commandtest.None, &teams.Create{Name: "Not A Name"}, w.As("root"))
}

func TestGrant(t *testing.T) {
	l := newLab(t)
	l.grant("root", "ann", authz.Member)
	l.grant("root", "ann", authz.Auditor)
	if got := l.roles("ann"); !slices.Equal(got, []string{"auditor", "member"}) {
		t.Errorf("roles %v", got)
	}
	for _, g := range l.member("ann").GrantedBy {
		if g.By != l.Accounts["root"].ID || g.Approver != "" || g.At.IsZero() {
			t.Errorf("granted by %+v", g)
		}
	}
	cmd := &teams.GrantRole{Team: "care", Email: email("bob"), Role: authz.Viewer}
	l.Refused(fault.Forbidden, l.team, cmd, l.As("ann"))
	err := l.Refused(fault.NotFound, l.team, cmd, l.As("eve"))
	missing := l.Refused(fault.NotFound, commandtest.None, &teams.GrantRole{Team: "nope", Email: email("bob"), Role: authz.Viewer}, l.As("eve"))
	if err.Error() != missing.Error() {
		t.Errorf("a stranger can tell a team that exists (%v) from one that does not (%v)", err, missing)
	}
	l.Refused(fault.Invalid, commandtest.None, &teams.GrantRole{Team: "care", Email: email("bob"), Role: "operator"}, l.As("root"))
	l.Refused(fault.Invalid, commandtest.None, &teams.GrantRole{Team: "care", Email: "bob", Role: authz.Viewer}, l.As("root"))
	l.Refused(fault.NotFound, commandtest.None, &teams.GrantRole{Team: "care", Email: "nobody@example.org", Role: authz.Viewer}, l.As("root"))
	if l.roles("bob") != nil {
		t.Error("a refused grant took effect")
	}
}

// TestReplace is `heroku members:set`.
func TestReplace(t *testing.T) {
	l := newLab(t)
	l.grant("root", "ann", authz.Admin)
	l.grant("root", "ann", authz.Auditor)
	l.Do(&teams.GrantRole{Team: "care", Email: email("ann"), Role: authz.Member, Replace: true}, l.As("root"))
	if got := l.roles("ann"); !slices.Equal(got, []string{"auditor", "member"}) {
		t.Errorf("roles %v", got)
	}
	if g := l.member("ann").GrantedBy; len(g) != 2 {
		t.Errorf("granted by %+v", g)
	}
	// To what one is already takes only the others away.
	l.grant("root", "ann", authz.Viewer)
	l.Do(&teams.GrantRole{Team: "care", Email: email("ann"), Role: authz.Member, Replace: true}, l.As("root"))
	if got := l.roles("ann"); !slices.Equal(got, []string{"auditor", "member"}) {
		t.Errorf("roles %v", got)
	}
}

func TestApproverNeedsASecondPerson(t *testing.T) {
	l := newLab(t)
	l.owners()
	r := l.ask("ann", "dan")
	if l.roles("dan") != nil || r.State != document.RequestWaiting || r.ByEmail != email("ann") {
		t.Fatalf("%+v, roles %v", r, l.roles("dan"))
	}
	l.Refused(fault.Forbidden, l.team, yes(r.ID), l.As("ann"))
	l.Refused(fault.NotFound, l.team, yes(r.ID), l.As("eve"))
	l.grant("bob", "dan", authz.Admin)
	l.Refused(fault.Forbidden, l.team, yes(r.ID), l.As("dan")) // it would be dan's
	l.Do(yes(r.ID), l.As("bob"))
	m := l.member("dan")
	if !slices.Contains(m.Roles, "approver") {
		t.Fatalf("roles %v", m.Roles)
	}
	for _, g := range m.GrantedBy {
		if g.Role == "approver" && (g.By != l.Accounts["ann"].ID || g.Approver != l.Accounts["bob"].ID) {
			t.Errorf("granted by %+v", g)
		}
	}
	if r := commandtest.Get[*document.Request](l.World, r.ID); r.State != document.RequestGranted || r.DecidedBy != l.Accounts["bob"].ID {
		t.Errorf("%+v", r)
	}
	l.Refused(fault.Conflict, commandtest.None, yes(r.ID), l.As("bob"))

	// Refusing leaves things as they are, and is final.
	r = l.ask("ann", "eve")
	l.Do(&teams.DecideRequest{ID: r.ID}, l.As("bob"))
	if l.roles("eve") != nil {
		t.Error("a refused request was carried out")
	}
	l.Refused(fault.Conflict, commandtest.None, yes(r.ID), l.As("bob"))
}

// TestSecondPersonIsIndependent tries people whom the asker made.
func TestSecondPersonIsIndependent(t *testing.T) {
	l := newLab(t)
	l.owners()
	l.grant("ann", "cat", authz.Admin) // by ann alone
	r := l.ask("ann", "dan")
	l.Refused(fault.Forbidden, l.team, yes(r.ID), l.As("cat"))

	// Whatever cat gives herself comes from ann.
	for name, launder := range map[string]*teams.GrantRole{
		"the same role again": {Role: authz.Admin}, "another role": {Role: authz.Owner}, "another role instead": {Role: authz.Owner, Replace: true},
		"the first one back": {Role: authz.Admin, Replace: true},
	} {
		launder.Team, launder.Email = "care", email("cat")
		l.Do(launder, l.As("cat"))
		if l.Refused(fault.Forbidden, l.team, yes(r.ID), l.As("cat")); t.Failed() {
			t.Fatal(name)
		}
	}
	// What somebody else gives her does not.
	l.Do(&teams.RevokeRole{Team: "care", Email: email("cat")}, l.As("bob"))
	l.grant("bob", "cat", authz.Admin)
	l.Do(yes(r.ID), l.As("cat"))
}

// TestAccountOfTheAsker is a second person whose account the asker made.
func TestAccountOfTheAsker(t *testing.T) {
	l := newLab(t)
	l.grant("root", "ann", authz.Owner)
	l.grant("ann", "bob", authz.Admin) // not by root; but root made bob's account
	r := l.ask("root", "dan")
	l.Refused(fault.Forbidden, l.team, yes(r.ID), l.As("bob"))
	// An account that goes back to the asker by way of another operator is none
	// either; for what somebody else asks it is.
	maker := &people.CreateAccount{Email: "op2@example.org", Operator: true}
	l.Do(maker, l.As("root"))
	l.Accounts["op2"] = maker.Account
	made := &people.CreateAccount{Email: "fay@example.org"}
	l.Do(made, l.As("op2"))
	l.Accounts["fay"] = made.Account
	l.grant("root", "fay", authz.Admin)
	l.Refused(fault.Forbidden, l.team, yes(r.ID), l.As("fay"))
	r = l.ask("ann", "eve")
	l.Do(yes(r.ID), l.As("fay"))
}

func TestException(t *testing.T) {
	l := newLab(t)
	l.owners()
	alone := func() *teams.GrantRole {
		return &teams.GrantRole{Team: "care", Email: email("dan"), Role: authz.Approver, Exception: true}
	}
	l.Refused(fault.Forbidden, l.team, alone(), l.As("ann")) // bob could be asked

	// Nobody else can: bob leaves, and cat is ann's creature.
	l.grant("ann", "cat", authz.Owner)
	l.Do(&people.SuspendAccount{Email: email("bob")}, l.As("root"))
	l.Refused(fault.Invalid, commandtest.None, alone(), commandtest.Reason(l.As("ann"), ""))
	cmd := alone()
	l.Do(cmd, commandtest.Reason(l.As("ann"), "bob left, a new owner starts on Monday"))
	if cmd.Member == nil || !slices.Contains(l.roles("dan"), "approver") {
		t.Fatalf("roles %v", l.roles("dan"))
	}
	list := commandtest.Find[*document.Exception](l.World, "team", l.team)
	if len(list) != 1 || list[0].What != "role.grant" || list[0].By != l.Accounts["ann"].ID || list[0].Reason == "" {
		t.Errorf("exceptions %+v", list)
	}
	// What ann gave alone, dan has from ann alone.
	independent := false
	commandtest.Read(l.World, func(v commandtest.View) (err error) {
		independent, err = teams.Independent(v, l.member("dan"), l.Accounts["ann"].ID)
		return err
	})
	if independent {
		t.Error("an approver whom ann made alone counts as independent of ann")
	}
}

func TestLastOwnerStays(t *testing.T) {
	l := newLab(t)
	l.owners()
	l.Do(&teams.RevokeRole{Team: "care", Email: email("bob"), Role: authz.Owner}, l.As("ann"))
	if l.member("bob") != nil {
		t.Error("somebody without a role is still a member")
	}
	for name, cmd := range map[string]control.Command{
		"revoke":  &teams.RevokeRole{Team: "care", Email: email("ann"), Role: authz.Owner},
		"remove":  &teams.RevokeRole{Team: "care", Email: email("ann")},
		"replace": &teams.GrantRole{Team: "care", Email: email("ann"), Role: authz.Member, Replace: true},
	} {
		if l.Refused(fault.Conflict, commandtest.None, cmd, l.As("ann")); t.Failed() {
			t.Fatal(name)
		}
	}
	// An owner who is suspended does not keep the team.
	l.grant("ann", "cat", authz.Owner)
	l.Do(&people.SuspendAccount{Email: email("cat")}, l.As("root"))
	l.Refused(fault.Conflict, commandtest.None, &teams.RevokeRole{Team: "care", Email: email("ann")}, l.As("ann"))
	l.Refused(fault.NotFound, commandtest.None, &teams.RevokeRole{Team: "care", Email: email("ann"), Role: authz.Viewer}, l.As("ann"))
	l.Refused(fault.NotFound, commandtest.None, &teams.RevokeRole{Team: "care", Email: email("eve")}, l.As("ann"))
}

func TestRevokeTakesEffectAtOnce(t *testing.T) {
	l := newLab(t)
	l.owners()
	l.grant("ann", "cat", authz.Admin)
	l.grant("ann", "cat", authz.Viewer)
	l.Do(&teams.RevokeRole{Team: "care", Email: email("cat"), Role: authz.Admin}, l.As("bob"))
	if g := l.member("cat").GrantedBy; len(g) != 1 || g[0].Role != "viewer" {
		t.Errorf("granted by %+v", g)
	}
	l.Refused(fault.Forbidden, l.team, &teams.GrantRole{Team: "care", Email: email("eve"), Role: authz.Viewer}, l.As("cat"))
}

func ptr[T any](v T) *T { return &v }

func TestPolicy(t *testing.T) {
	l := newLab(t)
	l.owners()
	policy := func() *document.Policy { return commandtest.Get[*document.Policy](l.World, l.team) }
	tighten := &teams.UpdatePolicy{Team: "care", ApproveConfig: ptr(true)}
	l.Do(tighten, l.As("ann"))
	if p := policy(); !p.ApproveConfig || p.Approvals != 1 || tighten.Request != nil {
		t.Fatalf("tightening: %+v", p)
	}
	l.Pass(time.Minute)
	loosen := &teams.UpdatePolicy{Team: "care", Approvals: ptr(0)}
	l.Do(loosen, l.As("ann"))
	if p := policy(); p.Approvals != 1 || loosen.Request == nil || loosen.Policy != nil {
		t.Fatalf("loosening took effect at once: %+v", p)
	}
	l.Refused(fault.Forbidden, l.team, yes(loosen.Request.ID), l.As("ann"))
	l.Do(yes(loosen.Request.ID), l.As("bob"))
	if p := policy(); p.Approvals != 0 || !p.ApproveConfig {
		t.Errorf("granted: %+v", p)
	}
	l.Pass(time.Minute)
	alone := &teams.UpdatePolicy{Team: "care", Emergency: ptr(true)}
	l.Do(alone, l.As("ann"))
	if p := policy(); p.Emergency || alone.Request == nil {
		t.Fatalf("emergencies were allowed at once: %+v", p)
	}
	l.Do(yes(alone.Request.ID), l.As("bob"))
	if p := policy(); !p.Emergency || p.Approvals != 0 {
		t.Errorf("granted: %+v", p)
	}
	l.Do(&teams.UpdatePolicy{Team: "care", Emergency: ptr(false)}, l.As("ann"))
	if policy().Emergency {
		t.Error("forbidding them waits for somebody")
	}
	for _, n := range []int{-1, 2} {
		l.Refused(fault.Invalid, commandtest.None, &teams.UpdatePolicy{Team: "care", Approvals: &n}, l.As("ann"))
	}
	l.grant("ann", "cat", authz.Auditor)
	l.Refused(fault.Forbidden, l.team, tighten, l.As("cat"))
	l.Refused(fault.NotFound, l.team, tighten, l.As("eve"))
}

// TestStalePolicyRequest is one that would take back what was tightened since
// it was asked for.
func TestStalePolicyRequest(t *testing.T) {
	l := newLab(t)
	l.owners()
	loosen := &teams.UpdatePolicy{Team: "care", Approvals: ptr(0)}
	l.Do(loosen, l.As("ann"))
	l.Pass(time.Minute)
	l.Do(&teams.UpdatePolicy{Team: "care", ApproveConfig: ptr(true)}, l.As("bob"))
	l.Refused(fault.Conflict, commandtest.None, yes(loosen.Request.ID), l.As("bob"))
	if p := commandtest.Get[*document.Policy](l.World, l.team); !p.ApproveConfig || p.Approvals != 1 {
		t.Errorf("%+v", p)
	}
	l.Do(&teams.DecideRequest{ID: loosen.Request.ID}, l.As("bob")) // it can still be refused
}

func TestPolicyException(t *testing.T) {
	l := newLab(t)
	loosen := &teams.UpdatePolicy{Team: "care", Approvals: ptr(0), Exception: true}
	l.Refused(fault.Invalid, commandtest.None, loosen, commandtest.Reason(l.As("root"), ""))
	l.Do(loosen, l.As("root"))
	if p := commandtest.Get[*document.Policy](l.World, l.team); p.Approvals != 0 {
		t.Errorf("%+v", p)
	}
	if list := commandtest.Find[*document.Exception](l.World, "team", l.team); len(list) != 1 || list[0].What != "policy.update" {
		t.Errorf("exceptions %+v", list)
	}
}
