package past_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/past"
	"github.com/strongroom/strongroom/internal/store"
)

// all is as much as a page can hold.
var all = past.Page{Max: 1000}

// lab is a world and what somebody who reads the evidence of team care is told.
type lab struct{ *commandtest.World }

func newLab(t *testing.T) lab { return lab{commandtest.New(t, commandtest.Noon)} }

func (l lab) reader(reads ...string) *past.Reader {
	l.T.Helper()
	see := map[string]bool{}
	for _, scope := range reads {
		see[l.IDs[scope]] = true
	}
	sight, err := past.NewSight(l.T.Context(), l.Store, see)
	if err != nil {
		l.T.Fatal(err)
	}
	return &past.Reader{Store: l.Store, Sight: sight}
}

// now is the moment after everything that has happened; then an hour passes.
func (l lab) now() past.Moment {
	l.T.Helper()
	l.Pass(time.Hour)
	m, err := past.At(l.T.Context(), l.Store, l.Now(), l.Now())
	if err != nil {
		l.T.Fatal(err)
	}
	l.Pass(time.Hour)
	return m
}

func (l lab) who(m past.Moment, on, do string) []past.Person {
	l.T.Helper()
	r := l.reader()
	list, _, err := r.Things(l.T.Context(), m, on)
	if err != nil || len(list) != 1 {
		l.T.Fatalf("%s: %v, %v", on, list, err)
	}
	got, err := r.Who(l.T.Context(), m, list[0], do, all)
	if err != nil {
		l.T.Fatal(err)
	}
	return got.Items
}

// told is what a list of people says, a line each.
func told(list []past.Person) (out []string) {
	for _, x := range list {
		for _, h := range x.Holds {
			line := fmt.Sprintf("%s %s of %s %s by %s", strings.TrimSuffix(x.Email, "@example.org"), h.As, h.On.Kind, h.On.Name, strings.TrimSuffix(h.By, "@example.org"))
			if h.Approver != "" {
				line += " and " + strings.TrimSuffix(h.Approver, "@example.org")
			}
			out = append(out, line+" with "+h.Origin.Action)
		}
	}
	return out
}

// TestWhoCould follows who may approve and who may read secrets through grants,
// second persons, single apps, and people who leave.
func TestWhoCould(t *testing.T) {
	l := newLab(t)
	before := l.now()
	l.Do(&teams.GrantRole{Team: "care", Email: "viewer@example.org", Role: authz.Approver}, l.As("owner"))
	asked := l.now()
	request := commandtest.Find[*document.Request](l.World, "team", l.IDs["team:care"])[0]
	l.Do(&teams.DecideRequest{ID: request.ID, Grant: true}, l.As("admin"))
	l.Do(&apps.AddCollaborator{Identity: "clinic", Email: "collab@example.org", Permissions: []string{"deploy"}}, l.As("owner"))
	granted := l.now()
	// What is given again is still given by whoever gave it first.
	l.Do(&teams.GrantRole{Team: "care", Email: "dev@example.org", Role: authz.Member}, l.As("admin"))
	l.Do(&teams.GrantRole{Team: "care", Email: "dev@example.org", Role: authz.Viewer}, l.As("admin"))
	l.Do(&people.SuspendAccount{Email: "approver@example.org"}, l.As("root"))
	l.Do(&teams.RevokeRole{Team: "care", Email: "admin@example.org"}, l.As("owner"))
	later := l.now()
	for _, test := range []struct {
		name string
		at   past.Moment
		on   string
		do   authz.Permission
		want []string
	}{
		{"approvers", before, "clinic", authz.AppApprove, []string{"approver approver of team care by root with role.grant"}},
		{"a request is not a role", asked, "clinic", authz.AppApprove, []string{"approver approver of team care by root with role.grant"}},
		{"two gave it", granted, "clinic", authz.AppApprove, []string{
			"approver approver of team care by root with role.grant", "viewer approver of team care by owner and admin with request.grant",
		}},
		{"one left", later, "clinic", authz.AppApprove, []string{"viewer approver of team care by owner and admin with request.grant"}},
		{"secrets", before, "app:clinic", authz.AppSecrets, []string{
			"admin admin of team care by root with role.grant", "dev member of team care by root with role.grant", "owner owner of team care by root with role.grant",
		}},
		{"secrets of a space are those of its apps", granted, "ward", authz.AppSecrets, []string{
			"admin admin of team care by root with role.grant", "collab collaborator of app clinic by owner with collaborator.add",
			"dev member of team care by root with role.grant", "owner owner of team care by root with role.grant",
		}},
		{"secrets of a team are those of its apps", later, "team:care", authz.AppSecrets, []string{
			"collab collaborator of app clinic by owner with collaborator.add", "dev member of team care by root with role.grant",
			"owner owner of team care by root with role.grant",
		}},
		{"operators", later, "attic", authz.Operate, []string{"root operator of installation  by test with installation.create"}},
		{"a collaborator is in no team", granted, "care", authz.TeamView, []string{
			"admin admin of team care by root with role.grant", "approver approver of team care by root with role.grant",
			"auditor auditor of team care by root with role.grant", "dev member of team care by root with role.grant",
			"owner owner of team care by root with role.grant", "viewer approver of team care by owner and admin with request.grant",
			"viewer viewer of team care by root with role.grant",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, told(l.who(test.at, test.on, string(test.do)))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestWhoCouldIsWhatAuthzSays asks authz itself about everybody and everything at
// each moment: who-could shows the same, no more and no less.
func TestWhoCouldIsWhatAuthzSays(t *testing.T) {
	l := newLab(t)
	moments := []past.Moment{l.now()}
	for _, step := range []func(){
		func() {
			l.Do(&teams.GrantRole{Team: "rivals", Email: "collab@example.org", Role: authz.Admin}, l.As("stranger"))
		},
		func() {
			l.Do(&apps.AddCollaborator{Identity: "other", Email: "dev@example.org", Permissions: []string{"operate", "manage"}}, l.As("stranger"))
		},
		func() { l.Do(&people.SuspendAccount{Email: "dev@example.org"}, l.As("root")) },
		func() {
			l.Do(&apps.RemoveCollaborator{Identity: "clinic", Email: "collab@example.org"}, l.As("owner"))
		},
	} {
		step()
		moments = append(moments, l.now())
	}
	for i, m := range moments {
		for _, app := range []string{"clinic", "other"} {
			var want, got []string
			if err := l.Store.At(t.Context(), m.Size, func(v store.View) error {
				a, err := store.Get[*document.App](v, l.IDs["app:"+app])
				if err != nil {
					return err
				}
				for name, account := range l.Accounts {
					roles, err := authz.RolesOf(v, account.ID, a.Team)
					if err != nil {
						return err
					}
					for _, p := range authz.About("app") {
						ok, err := authz.Allowed(v, authz.Subject{Account: account.ID}, roles, p, authz.Resource{Team: a.Team, App: a.ID})
						if err != nil {
							return err
						}
						if ok {
							want = append(want, name+" "+string(p))
						}
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			for _, x := range l.who(m, "app:"+app, "") {
				for _, p := range x.Permissions {
					got = append(got, strings.TrimSuffix(x.Email, "@example.org")+" "+p)
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" || len(got) < 3 {
				t.Errorf("moment %d, %s: %d, -authz +who-could:\n%s", i, app, len(got), diff)
			}
		}
	}
}

// TestDestroyed: whoever answers for a team's evidence is told of what it
// destroyed, and nobody else is.
func TestDestroyed(t *testing.T) {
	l := newLab(t)
	before := l.now()
	attic := l.IDs["space:attic"]
	l.Do(&apps.Destroy{Identity: "other"}, l.As("stranger"))
	l.Do(&spaces.Destroy{Identity: "attic"}, l.As("stranger"))
	l.Do(&spaces.Gone{ID: attic}, commandtest.Platform)
	if !l.Gone(document.KindSpace, attic) {
		t.Fatal("the space is still there")
	}
	after := l.now()
	rivals, care := l.reader("team:rivals"), l.reader("team:care", "space:ward")
	if d, err := rivals.Document(t.Context(), before, document.KindSpace, "attic"); err != nil || d.ID != attic || d.Name != "attic" {
		t.Errorf("its team: %+v, %v", d, err)
	}
	if _, err := rivals.Document(t.Context(), after, document.KindSpace, attic); fault.Of(err) != fault.NotFound {
		t.Errorf("afterwards: %v", err)
	}
	var hidden *past.Hidden
	if _, err := care.Document(t.Context(), before, document.KindSpace, attic); !errors.As(err, &hidden) || hidden.Team != l.IDs["team:rivals"] || fault.Of(err) != fault.NotFound {
		t.Errorf("another team: %v", err)
	}
	if _, ok := care.Sight.Only("attic"); ok {
		t.Error("another team may look at it alone")
	}
	sight, ok := rivals.Sight.Only("attic")
	if !ok {
		t.Fatal("its team may not look at it alone")
	}
	got, err := (&past.Reader{Store: l.Store, Sight: sight}).Differences(t.Context(), before, after, nil, all)
	if err != nil {
		t.Fatal(err)
	}
	gone := map[document.Kind]int{}
	for _, d := range got.Items {
		if d.Scope != attic || d.Change != past.Removed {
			t.Errorf("%s %s of %s: %s", d.Kind, d.Name, d.Scope, d.Change)
		}
		gone[d.Kind]++
	}
	if gone[document.KindSpace] != 1 || gone[document.KindApp] != 1 || gone[document.KindConfig] != 1 {
		t.Errorf("gone: %v", gone)
	}
}

// TestPages: pages follow each other without a gap, and none looks at more than
// it may, whatever little it finds.
func TestPages(t *testing.T) {
	l := newLab(t)
	const many = 5600
	if err := l.Store.Write(func(b store.Batch) error {
		for range many {
			d := &document.Attempt{Base: document.Base{Schema: 1, ID: document.NewID()}, Scope: l.IDs["space:attic"], Name: "n"}
			raw, err := document.Encode(d)
			if err != nil {
				return err
			}
			if _, err := b.Append(l.Now(), store.Draft{Scope: d.Scope, Docs: []document.Doc{d}, Body: ledger.Body{
				Action: "test.write", Outcome: ledger.OK, Actor: ledger.Actor{Kind: ledger.SystemActor}, Via: ledger.ViaScheduler,
				Changes: []ledger.Change{{Kind: string(d.Kind()), ID: d.ID, Rev: 1, Doc: raw}},
			}}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	m := l.now()
	rivals, care := l.reader("space:attic"), l.reader("space:ward")
	seen := map[string]bool{}
	for p := (past.Page{Max: 1000}); ; p.After = true {
		got, err := rivals.Documents(t.Context(), m, document.KindAttempt, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range got.Items {
			seen[d.ID] = true
		}
		if len(got.Items) > p.Max {
			t.Fatalf("a page of %d", len(got.Items))
		}
		if p.From = got.Next; p.From == "" {
			break
		}
	}
	if len(seen) != many {
		t.Errorf("%d of %d", len(seen), many)
	}
	got, err := care.Documents(t.Context(), m, document.KindAttempt, all)
	if err != nil || len(got.Items) != 0 || got.Next == "" {
		t.Errorf("who sees none: %d, next %q, %v", len(got.Items), got.Next, err)
	}
	if got, err = care.Documents(t.Context(), m, document.KindAttempt, past.Page{From: got.Next, After: true, Max: 1000}); err != nil || got.Next != "" {
		t.Errorf("the rest: next %q, %v", got.Next, err)
	}
	counts, err := rivals.Counts(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(counts, func(c past.Count) bool { return c.Kind == document.KindAttempt }); i < 0 || counts[i].Count != 1000 || !counts[i].More {
		t.Errorf("counts: %+v", counts)
	}
	start := past.Moment{At: commandtest.Noon, Size: 1}
	diff, err := care.Differences(t.Context(), start, m, []document.Kind{document.KindAttempt}, all)
	if err != nil || len(diff.Items) != 0 || diff.Next == "" {
		t.Errorf("differences of who sees none: %d, next %q, %v", len(diff.Items), diff.Next, err)
	}
}

// TestNoSecrets: what was there names secrets and does not hold them.
func TestNoSecrets(t *testing.T) {
	l := newLab(t)
	m := l.now()
	r := l.reader("team:care", "space:ward")
	for _, kind := range document.Kinds() {
		list, err := r.Documents(t.Context(), m, kind, all)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list.Items {
			raw, err := document.Encode(d.Doc)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(raw), "hello") {
				t.Errorf("%s %s holds a config value", kind, d.Name)
			}
		}
	}
	d, err := r.Document(t.Context(), m, document.KindConfig, "clinic")
	if err != nil || !slices.ContainsFunc(d.Doc.(*document.Config).Vars, func(v document.ConfigVar) bool { return v.Name == "GREETING" }) {
		t.Errorf("config: %+v, %v", d, err)
	}
}
