package query_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/store"
)

// reads are what the matrix asks for. An id and a name must give the same.
var reads = []struct {
	name string
	do   func(*query.Reader, *commandtest.World) error
}{
	{"team", func(q *query.Reader, w *commandtest.World) error {
		return same(q.Team("care", authz.TeamView))(q.Team(w.IDs["team:care"], authz.TeamView))
	}},
	{"space", func(q *query.Reader, w *commandtest.World) error {
		return same(q.Space("ward", authz.SpaceView))(q.Space(w.IDs["space:ward"], authz.SpaceView))
	}},
	{"sessions", func(q *query.Reader, w *commandtest.World) error {
		return same(q.Space("ward", authz.EvidenceRead))(q.Space(w.IDs["space:ward"], authz.EvidenceRead))
	}},
	{"app", func(q *query.Reader, w *commandtest.World) error {
		return same(q.App("clinic", authz.AppView))(q.App(w.IDs["app:clinic"], authz.AppView))
	}},
	{"shell", func(q *query.Reader, w *commandtest.World) error {
		return same(q.App("clinic", authz.AppShell))(q.App(w.IDs["app:clinic"], authz.AppShell))
	}},
	{"addon", func(q *query.Reader, w *commandtest.World) error {
		return same(q.Addon("records", "", authz.AppView))(q.Addon(w.IDs["addon"], "", authz.AppView))
	}},
	{"password", func(q *query.Reader, w *commandtest.World) error {
		return same(q.Addon("DATABASE", "clinic", authz.AppSecrets))(q.Addon(w.IDs["addon"], "", authz.AppSecrets))
	}},
	{"ledger", func(q *query.Reader, w *commandtest.World) error {
		return same(q.Scope("ward"))(q.Scope(w.IDs["space:ward"]))
	}},
	{"installation", func(q *query.Reader, _ *commandtest.World) error {
		_, err := q.Scope("")
		return err
	}},
	{"evidence", func(q *query.Reader, _ *commandtest.World) error { return second(q.Evidence("")) }},
	{"ward", func(q *query.Reader, w *commandtest.World) error {
		return same(q.Evidence("ward"))(q.Evidence(w.IDs["space:ward"]))
	}},
}

// same returns the error that both ways to the same thing must end in.
func same[T any](_ T, byName error) func(T, error) error {
	return func(_ T, byID error) error {
		if fault.Of(byName) != fault.Of(byID) || fault.Message(byName) != fault.Message(byID) {
			return fmt.Errorf("by name: %v; by id: %v", byName, byID)
		}
		return byName
	}
}

// matrix is read by eye: + sees, f is told that they may not, . is told that
// there is none.
const matrix = `
             team space sessions app shell addon password ledger installation evidence ward
owner        +    +     +        +   +     +     +        +      f            +        +
admin        +    +     +        +   +     +     +        +      f            +        +
dev          +    +     f        +   +     +     +        f      f            f        f
viewer       +    +     f        +   f     +     f        f      f            f        f
approver     +    +     f        +   f     +     f        f      f            f        f
auditor      +    +     +        +   f     +     f        +      f            +        +
collab       .    .     .        +   f     +     f        .      f            f        .
stranger     .    .     .        .   .     .     .        .      f            +        .
root         .    .     .        .   .     .     .        .      +            +        .
`

func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	w := world{commandtest.New(t, commandtest.Noon)}
	var got strings.Builder
	got.WriteString("\n             ")
	for i, r := range reads {
		got.WriteString(r.name)
		if i < len(reads)-1 {
			got.WriteString(" ")
		}
	}
	for _, who := range []string{"owner", "admin", "dev", "viewer", "approver", "auditor", "collab", "stranger", "root"} {
		fmt.Fprintf(&got, "\n%-13s", who)
		for i, r := range reads {
			mark := "+"
			switch err := w.read(t, who, func(q *query.Reader) error { return r.do(q, w.World) }); {
			case fault.Of(err) == fault.NotFound:
				mark = "."
			case fault.Of(err) == fault.Forbidden:
				mark = "f"
			case err != nil:
				t.Errorf("%s, %s: %v", who, r.name, err)
			}
			if i < len(reads)-1 {
				mark = fmt.Sprintf("%-*s", len(r.name)+1, mark)
			}
			got.WriteString(mark)
		}
	}
	got.WriteString("\n")
	if diff := cmp.Diff(matrix, got.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

type world struct{ *commandtest.World }

func (w world) read(t *testing.T, who string, fn func(*query.Reader) error) error {
	t.Helper()
	return w.Store.Read(t.Context(), func(v store.View) error {
		return fn(query.New(v, authz.Subject{Account: w.Accounts[who].ID}))
	})
}

// TestHiddenLooksMissing compares what a stranger is told of a thing that is
// hidden with what they are told of one that does not exist.
func TestHiddenLooksMissing(t *testing.T) {
	t.Parallel()
	w := world{commandtest.New(t, commandtest.Noon)}
	const nowhere = "00000000-0000-4000-8000-000000000000"
	for name, read := range map[string]func(q *query.Reader, hidden bool) error{
		"team":  func(q *query.Reader, h bool) error { return second(q.Team(pick(h, "care", nowhere), authz.TeamView)) },
		"space": func(q *query.Reader, h bool) error { return second(q.Space(pick(h, "ward", nowhere), authz.SpaceView)) },
		"app":   func(q *query.Reader, h bool) error { return second(q.App(pick(h, "clinic", nowhere), authz.AppView)) },
		"scope": func(q *query.Reader, h bool) error { return second(q.Scope(pick(h, w.IDs["space:ward"], nowhere))) },
		"add-on": func(q *query.Reader, h bool) error {
			return second(q.Addon(pick(h, w.IDs["addon"], nowhere), "", authz.AppView))
		},
		"attachment": func(q *query.Reader, h bool) error {
			return second(q.Attachment(pick(h, w.IDs["attachment"], nowhere)))
		},
		"token": func(q *query.Reader, h bool) error { return second(q.Token(pick(h, w.IDs["token:dev"], nowhere))) },
		"release": func(q *query.Reader, h bool) error {
			return inOther(q, func(a query.App) error { return second(q.Release(a, pick(h, w.IDs["release:1"], nowhere))) })
		},
		"build": func(q *query.Reader, h bool) error {
			return inOther(q, func(a query.App) error { return second(q.Build(a, pick(h, w.IDs["build:1"], nowhere))) })
		},
		"session": func(q *query.Reader, h bool) error {
			s, err := q.Space("attic", authz.SpaceView)
			if err != nil {
				return err
			}
			return second(q.Session(s, pick(h, w.IDs["session:closed"], nowhere)))
		},
	} {
		hidden := w.read(t, "stranger", func(q *query.Reader) error { return read(q, true) })
		missing := w.read(t, "stranger", func(q *query.Reader) error { return read(q, false) })
		if fault.Of(hidden) != fault.NotFound || fault.Of(missing) != fault.NotFound {
			t.Errorf("%s: hidden: %v; missing: %v; want not found for both", name, hidden, missing)
		}
		if fault.Message(hidden) != fault.Message(missing) {
			t.Errorf("%s: %q gives away that it exists: what does not is %q", name, fault.Message(hidden), fault.Message(missing))
		}
		var refusal *query.Refusal
		if !errors.As(hidden, &refusal) {
			t.Errorf("%s: a hidden one is no refusal, so it is not recorded", name)
		}
		var none *query.Refusal
		if errors.As(missing, &none) {
			t.Errorf("%s: a missing one is a refusal", name)
		}
	}
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

func second[T any](_ T, err error) error { return err }

// inOther looks inside the stranger's own app.
func inOther(q *query.Reader, fn func(query.App) error) error {
	a, err := q.App("other", authz.AppView)
	if err != nil {
		return err
	}
	return fn(a)
}

func TestRefusalIsRecorded(t *testing.T) {
	t.Parallel()
	w := world{commandtest.New(t, commandtest.Noon)}
	err := w.read(t, "stranger", func(q *query.Reader) error { return second(q.App("clinic", authz.AppView)) })
	var refusal *query.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("err = %v", err)
	}
	if _, err := w.Kernel.Execute(t.Context(), refusal.Command(""), w.As("stranger")); fault.Of(err) != fault.NotFound {
		t.Errorf("the recorded refusal: %v", err)
	}
	list, err := w.Store.Entries(t.Context(), store.Query{Limit: 1, Newest: true})
	if err != nil || len(list) != 1 {
		t.Fatal(err)
	}
	b, err := ledger.ParseBody(list[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	if b.Action != "app.view" || b.Outcome != ledger.Denied || b.Actor.ID != w.Accounts["stranger"].ID || b.App != w.IDs["app:clinic"] {
		t.Errorf("body = %+v", b)
	}
	if list[0].Header.Scope == nil || *list[0].Header.Scope != w.IDs["space:ward"] {
		t.Error("the denial is not in the scope of what was looked for")
	}
	// Whoever has the access by now is told to try again; nothing is appended.
	head, _ := w.Store.Head(t.Context())
	if _, err := w.Kernel.Execute(t.Context(), refusal.Command(""), w.As("dev")); fault.Of(err) != fault.Conflict {
		t.Errorf("the same by one who may: %v", err)
	}
	if now, _ := w.Store.Head(t.Context()); now.Size != head.Size {
		t.Error("a refusal that was none is on record")
	}
}

// TestEvidence: who reads which scopes, and of which only how they stand.
func TestEvidence(t *testing.T) {
	t.Parallel()
	w := world{commandtest.New(t, commandtest.Noon)}
	care, ward, rivals, attic := w.IDs["team:care"], w.IDs["space:ward"], w.IDs["team:rivals"], w.IDs["space:attic"]
	for _, test := range []struct {
		who, identity string
		want          map[string]bool
	}{
		{"auditor", "", map[string]bool{"": false, care: true, ward: true}},
		{"auditor", "care", map[string]bool{"": false, care: true, ward: true}},
		{"auditor", "ward", map[string]bool{"": false, ward: true}},
		{"stranger", "", map[string]bool{"": false, rivals: true, attic: true}},
		{"root", "", map[string]bool{"": true, care: false, ward: false, rivals: false, attic: false}},
	} {
		var got map[string]bool
		if err := w.read(t, test.who, func(q *query.Reader) (err error) {
			got, err = q.Evidence(test.identity)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s of %q (-want +got):\n%s", test.who, test.identity, diff)
		}
	}
}
