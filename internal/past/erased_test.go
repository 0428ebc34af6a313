package past_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/bodies"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/past"
	"github.com/strongroom/strongroom/internal/store"
)

// do executes a command and gives its entry.
func (l lab) do(cmd control.Command, who string) int64 {
	l.T.Helper()
	seq, err := l.Kernel.Execute(l.T.Context(), cmd, l.As(who))
	if err != nil {
		l.T.Fatalf("%s: %v", cmd.Action(), err)
	}
	return seq
}

// erase lets seven years pass and erases bodies; it gives the entry that says so.
func (l lab) erase(scope, who string, seqs ...int64) int64 {
	l.T.Helper()
	l.Set(l.Now().AddDate(7, 0, 0))
	return l.do(&bodies.Erase{Seqs: seqs, Confirm: scope}, who)
}

// TestErased: of what an erased body held it is told that it is not known, since
// when, why and by which entry; and everything else as before.
func TestErased(t *testing.T) {
	l := newLab(t)
	clinic := l.IDs["app:clinic"]
	before := l.now()
	on := l.do(&apps.Update{Identity: "clinic", Maintenance: new(true)}, "owner")
	during := l.now()
	l.do(&apps.Update{Identity: "clinic", Maintenance: new(false)}, "owner")
	after := l.now()
	r := l.reader("space:ward")
	whole, err := r.Counts(t.Context(), during)
	if err != nil {
		t.Fatal(err)
	}
	by := l.erase("ward", "owner", on)

	lost := func(what string, d past.Document, err error) {
		t.Helper()
		e := d.Erased
		if err != nil || d.Doc != nil || d.Kind != document.KindApp || d.ID != clinic || d.Scope != l.IDs["space:ward"] || d.Seq != on || e == nil {
			t.Fatalf("%s: %+v, %v", what, d, err)
		}
		if e.Seq != on || e.Action != "app.update" || e.Actor != l.IDs["account:owner"] || e.Rule != "six-years" || e.By != by || !e.At.Equal(l.Now()) || e.Reason != "the test begins" {
			t.Errorf("%s: %+v", what, e)
		}
	}
	d, err := r.Document(t.Context(), during, document.KindApp, clinic)
	lost("by id", d, err)
	list, err := r.Documents(t.Context(), during, document.KindApp, all)
	if len(list.Items) != 1 {
		t.Fatalf("%+v", list)
	}
	lost("in the list", list.Items[0], err)
	_, err = r.Document(t.Context(), during, document.KindApp, "clinic")
	if fault.Of(err) != fault.NotFound || !strings.Contains(fault.Message(err), "how 1 of that time were called is not known") || !strings.Contains(fault.Message(err), clinic) {
		t.Errorf("by name: %v", err)
	}
	if _, err = l.reader("space:attic").Document(t.Context(), during, document.KindApp, "clinic"); strings.Contains(fault.Message(err), clinic) {
		t.Errorf("somebody else is told: %v", err)
	}
	if _, err = l.reader("space:attic").Document(t.Context(), during, document.KindApp, clinic); fault.Of(err) != fault.NotFound {
		t.Errorf("somebody else, by id: %v", err)
	}
	for _, m := range []past.Moment{before, after} {
		if d, err := r.Document(t.Context(), m, document.KindApp, "clinic"); err != nil || d.Doc.(*document.App).Maintenance {
			t.Errorf("%+v, %v", d, err)
		}
	}

	counts, err := r.Counts(t.Context(), during)
	for i, c := range whole {
		if c.Kind == document.KindApp {
			whole[i].Count, whole[i].Lost = 0, 1
		}
	}
	if diff := cmp.Diff(whole, counts); diff != "" || err != nil {
		t.Errorf("counts: %v\n%s", err, diff)
	}
}

// TestErasedDifferences: both moments known, the first not, the second not.
func TestErasedDifferences(t *testing.T) {
	l := newLab(t)
	before := l.now()
	on := l.do(&apps.Update{Identity: "clinic", Maintenance: new(true)}, "owner")
	during := l.now()
	l.do(&apps.Update{Identity: "clinic", Maintenance: new(false)}, "owner")
	l.do(&spaces.Rename{Identity: "ward", Name: "station"}, "owner")
	after := l.now()
	l.erase("station", "owner", on)
	r := l.reader("space:ward")
	type told struct {
		change       string
		times        int64
		from, to     bool // not known
		last         string
		lastNotKnown bool
	}
	for name, tt := range map[string]struct {
		from, to past.Moment
		app      told
		space    bool
	}{
		"around it":  {before, after, told{change: past.Restored, times: 2, last: "app.update"}, true},
		"up to it":   {before, during, told{change: past.Unknown, times: 1, to: true, last: "app.update", lastNotKnown: true}, false},
		"since then": {during, after, told{change: past.Unknown, times: 1, from: true, last: "app.update"}, true},
	} {
		got, err := r.Differences(t.Context(), tt.from, tt.to, nil, all)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(got.Items, func(d past.Difference) bool { return d.Kind == document.KindApp })
		if i < 0 {
			t.Errorf("%s: the app is not told of", name)
			continue
		}
		d := got.Items[i]
		if app := (told{d.Change, d.Times, d.Before != nil, d.After != nil, d.Last.Action, d.Last.Erased != nil}); app != tt.app || len(d.Members) != 0 {
			t.Errorf("%s: %+v", name, d)
		}
		if has := slices.ContainsFunc(got.Items, func(d past.Difference) bool { return d.Kind == document.KindSpace }); has != tt.space {
			t.Errorf("%s: the space is told of: %v", name, has)
		}
	}
}

// TestErasedWho: whoever is known to have been able to is told, and with them each
// document that might tell of more: any account, and roles and accesses of the
// thing. What gave something before an erased body says that it may be older.
func TestErasedWho(t *testing.T) {
	l := newLab(t)
	m := l.now()
	whole := told(l.who(m, "clinic", "app.deploy"))
	account := l.First(store.Query{Actions: []string{"account.create"}, Target: l.IDs["account:viewer"]})
	role := l.First(store.Query{Actions: []string{"role.grant"}, Target: l.IDs["account:dev"]})
	access := l.First(store.Query{Actions: []string{"collaborator.add"}})
	l.do(&people.SuspendAccount{Email: "viewer@example.org"}, "root")
	l.do(&teams.GrantRole{Team: "care", Email: "dev@example.org", Role: authz.Viewer}, "admin")
	granted := l.now()
	l.do(&apps.AddCollaborator{Identity: "clinic", Email: "collab@example.org", Permissions: []string{"view", "deploy"}}, "owner")
	l.do(&apps.Update{Identity: "clinic", Name: new("clinique")}, "owner")
	l.erase("ward", "owner", access)
	l.erase("api.localhost", "root", account)
	l.erase("care", "owner", role)

	var known []past.Person
	var lost []string
	for _, x := range l.who(m, "clinic", "app.deploy") {
		if x.Lost == nil {
			known = append(known, x)
			continue
		}
		lost = append(lost, string(x.Lost.Kind))
		if e := x.Lost.Erased; e == nil || e.Rule != "six-years" {
			t.Errorf("%+v", x.Lost)
		}
	}
	without := slices.DeleteFunc(whole, func(s string) bool { return strings.HasPrefix(s, "dev ") })
	if diff := cmp.Diff(without, told(known)); diff != "" {
		t.Errorf("-without dev +now:\n%s", diff)
	}
	if want := []string{"account", "collaborator", "member"}; !slices.Equal(lost, want) {
		t.Errorf("lost are %v, want %v", lost, want)
	}
	if other := l.who(m, "other", ""); !slices.ContainsFunc(other, func(x past.Person) bool { return x.Lost != nil && x.Lost.Kind == document.KindAccount }) ||
		slices.ContainsFunc(other, func(x past.Person) bool { return x.Lost != nil && x.Lost.Kind != document.KindAccount }) {
		t.Errorf("another team's app: %+v", other)
	}
	older := false
	for _, x := range l.who(granted, "clinic", "app.deploy") {
		for _, h := range x.Holds {
			older = older || x.Email == "dev@example.org" && h.Origin.Erased != nil && h.Origin.Erased.Seq == role
		}
	}
	if !older {
		t.Error("dev's role seems to be no older than what is known of it")
	}
}

// TestErasedThing: a name that nothing is known to have had may have been that of
// what is lost; and of what is lost nobody knows who could do what with it.
func TestErasedThing(t *testing.T) {
	l := newLab(t)
	on := l.do(&apps.Update{Identity: "clinic", Maintenance: new(true)}, "owner")
	during := l.now()
	l.do(&apps.Update{Identity: "clinic", Maintenance: new(false)}, "owner")
	l.erase("ward", "owner", on)
	none := fault.New(fault.NotFound, "None.")
	for called, want := range map[string]string{
		"clinic":                       "None. But how 1 of that time were called is not known",
		"app:clinic":                   "None. But how 1 of that time were called is not known",
		"space:clinic":                 "None.",
		l.IDs["app:clinic"]:            "was at that time is not known since entry",
		"app:" + l.IDs["app:clinic"]:   "was at that time is not known since entry",
		"space:" + l.IDs["app:clinic"]: "None.",
	} {
		list, lost, err := l.reader().Things(t.Context(), during, called)
		if err != nil || len(list) != 0 {
			t.Fatalf("%s: %v, %v", called, list, err)
		}
		if err := l.reader("space:ward").NoThing(t.Context(), none, called, lost); !strings.Contains(fault.Message(err), want) || want == "None." && fault.Message(err) != want {
			t.Errorf("%s: %v", called, err)
		}
		if err := l.reader("space:attic").NoThing(t.Context(), none, called, lost); fault.Message(err) != "None." {
			t.Errorf("somebody else asks for %s: %v", called, err)
		}
	}
	if list, _, err := l.reader().Things(t.Context(), during, "ward"); err != nil || len(list) != 1 {
		t.Errorf("the space is known: %v, %v", list, err)
	}
	found := false
	for _, x := range l.who(during, "ward", "") {
		found = found || x.Lost != nil && x.Lost.ID == l.IDs["app:clinic"]
	}
	if !found {
		t.Error("that single people may have had access to the lost app is not told")
	}
}
