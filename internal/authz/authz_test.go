package authz_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/store/sqlite"
)

var update = flag.Bool("update", false, "write the golden table anew")

// lab is a database with a team, another team, and an app of each.
type lab struct {
	*testing.T
	store *sqlite.Store

	team, other string
	app, second string // apps of the team
}

func newLab(t *testing.T) *lab {
	t.Helper()
	s, err := sqlite.Create(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &lab{t, s, uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()}
}

func (l *lab) put(docs ...document.Doc) {
	l.Helper()
	err := l.store.Write(func(b store.Batch) error {
		for _, d := range docs {
			raw, err := document.Encode(d)
			if err != nil {
				return err
			}
			rev, _, err := b.Rev(d.Kind(), d.Ident())
			if err != nil {
				return err
			}
			if _, err := b.Append(time.Now().UTC(), store.Draft{
				Scope: d.Within(), Docs: []document.Doc{d},
				Body: ledger.Body{Action: "test.put", Outcome: ledger.OK, Changes: []ledger.Change{{Kind: string(d.Kind()), ID: d.Ident(), Rev: rev + 1, Doc: raw}}},
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		l.Fatal(err)
	}
}

func base() document.Base { return document.Base{Schema: 1, ID: uuid.NewString()} }

// account makes one with roles in the team.
func (l *lab) account(roles ...string) *document.Account {
	l.Helper()
	a := &document.Account{Base: base(), Email: "someone@example.org"}
	docs := []document.Doc{a}
	if len(roles) > 0 {
		docs = append(docs, &document.Member{Base: base(), Team: l.team, Account: a.ID, Roles: roles})
	}
	l.put(docs...)
	return a
}

// collaborator makes an account with permissions on the app.
func (l *lab) collaborator(permissions ...string) *document.Account {
	l.Helper()
	a := l.account()
	l.put(&document.Collaborator{Base: base(), App: l.app, Space: l.other, Account: a.ID, Permissions: permissions})
	return a
}

// allowed asks as the kernel does: the roles are those in the resource's team.
func (l *lab) allowed(who authz.Subject, need authz.Permission, on authz.Resource) bool {
	l.Helper()
	var ok bool
	if err := l.store.Read(l.Context(), func(v store.View) error {
		roles, err := authz.RolesOf(v, who.Account, on.Team)
		if err != nil {
			return err
		}
		ok, err = authz.Allowed(v, who, roles, need, on)
		return err
	}); err != nil {
		l.Fatal(err)
	}
	return ok
}

// permissions reads the constants from the source, so that none is forgotten.
func permissions(t *testing.T) (out []authz.Permission) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "authz.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if kind, ok := v.Type.(*ast.Ident); !ok || kind.Name != "Permission" {
				continue
			}
			text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, authz.Permission(text))
		}
	}
	if len(out) < 15 {
		t.Fatalf("found only %v", out)
	}
	return out
}

// TestTable compares who may do what with a table that was read by eye.
func TestTable(t *testing.T) {
	l := newLab(t)
	type column struct {
		name string
		who  authz.Subject
	}
	as := func(a *document.Account) authz.Subject { return authz.Subject{Account: a.ID} }
	columns := []column{{"nobody", authz.Subject{}}, {"system", authz.Subject{System: true}}}
	operator := &document.Account{Base: base(), Email: "op@example.org", Operator: true}
	l.put(operator)
	columns = append(columns, column{"operator", as(operator)}, column{"stranger", as(l.account())})
	for _, r := range authz.Roles() {
		columns = append(columns, column{string(r), as(l.account(string(r)))})
	}
	for _, p := range []string{"view", "deploy", "operate", "manage"} {
		columns = append(columns, column{"app:" + p, as(l.collaborator(p))})
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, c := range columns {
		fmt.Fprintf(w, "\t%s", c.name)
	}
	for _, p := range append(permissions(t), "app.fly", "") {
		fmt.Fprintf(w, "\n%q", p)
		for _, c := range columns {
			mark := "-"
			if l.allowed(c.who, p, authz.Resource{Team: l.team, App: l.app}) {
				mark = "yes"
			}
			fmt.Fprintf(w, "\t%s", mark)
		}
	}
	fmt.Fprintln(w)
	w.Flush()
	got := strings.ReplaceAll(out.String(), " \n", "\n")
	golden := filepath.Join("testdata", "table.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("who may do what (-want +got), -update after reading it:\n%s", diff)
	}
}

// TestRolesAreOfOneTeam gives nobody anything in another team, or on another
// app, by what they are in theirs.
func TestRolesAreOfOneTeam(t *testing.T) {
	l := newLab(t)
	owner, collaborator := l.account("owner"), l.collaborator("view", "deploy", "operate", "manage")
	l.put(&document.Member{Base: base(), Team: l.other, Account: owner.ID, Roles: []string{"viewer"}})
	for _, tt := range []struct {
		name string
		who  *document.Account
		need authz.Permission
		on   authz.Resource
		want bool
	}{
		{"an owner in their team", owner, authz.TeamManage, authz.Resource{Team: l.team}, true},
		{"an owner in another, where they are a viewer", owner, authz.TeamManage, authz.Resource{Team: l.other}, false},
		{"a viewer sees", owner, authz.TeamView, authz.Resource{Team: l.other}, true},
		{"an owner without a team", owner, authz.TeamManage, authz.Resource{}, false},
		{"an owner in a team that is not there", owner, authz.TeamView, authz.Resource{Team: uuid.NewString()}, false},
		{"a collaborator on their app", collaborator, authz.AppManage, authz.Resource{Team: l.team, App: l.app}, true},
		{"a collaborator on another app of the team", collaborator, authz.AppView, authz.Resource{Team: l.team, App: l.second}, false},
		{"a collaborator in the team", collaborator, authz.TeamView, authz.Resource{Team: l.team, App: l.app}, false},
		{"a collaborator approves nothing", collaborator, authz.AppApprove, authz.Resource{Team: l.team, App: l.app}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := l.allowed(authz.Subject{Account: tt.who.ID}, tt.need, tt.on); got != tt.want {
				t.Errorf("%v", got)
			}
		})
	}
}

// TestLeavers is everything that an account was, after it is suspended, or was
// never made.
func TestLeavers(t *testing.T) {
	l := newLab(t)
	leaver := l.account("owner", "admin", "member", "approver", "auditor")
	leaver.Operator = true
	l.put(leaver, &document.Collaborator{Base: base(), App: l.app, Space: l.other, Account: leaver.ID, Permissions: []string{"view", "deploy", "operate", "manage"}})
	on := authz.Resource{Team: l.team, App: l.app}
	count := func() (n int) {
		for _, p := range permissions(t) {
			if p != authz.Public && l.allowed(authz.Subject{Account: leaver.ID}, p, on) {
				n++
			}
		}
		return n
	}
	if n := count(); n != len(permissions(t))-2 { // all but system's, and public is not counted
		t.Fatalf("before: %d permissions", n)
	}
	leaver.Suspended = true
	l.put(leaver)
	if n := count(); n != 0 {
		t.Errorf("a suspended account has %d permissions", n)
	}
	leaver = &document.Account{Base: base()}
	l.put(&document.Member{Base: base(), Team: l.team, Account: leaver.ID, Roles: []string{"owner"}})
	if n := count(); n != 0 {
		t.Errorf("an account that is not there has %d permissions", n)
	}
}

// TestRolesOf joins several memberships and the operator's role, sorted.
func TestRolesOf(t *testing.T) {
	l := newLab(t)
	a := l.account("viewer", "approver")
	a.Operator = true
	l.put(a, &document.Member{Base: base(), Team: l.team, Account: a.ID, Roles: []string{"member", "viewer"}})
	for team, want := range map[string][]string{
		l.team: {"approver", "member", "operator", "viewer"}, l.other: {"operator"}, "": {"operator"},
	} {
		var got []string
		if err := l.store.Read(t.Context(), func(v store.View) (err error) {
			got, err = authz.RolesOf(v, a.ID, team)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("in team %q: %v, want %v", team, got, want)
		}
	}
}

// TestAbout: a team's permissions are all that the table has, and what is in it
// has a part of those of what it is in.
func TestAbout(t *testing.T) {
	all := permissions(t)
	all = slices.DeleteFunc(all, func(p authz.Permission) bool { return p == authz.Anyone || p == authz.Public || p == authz.System })
	slices.Sort(all)
	if diff := cmp.Diff(all, authz.About("team")); diff != "" {
		t.Errorf("-table +about a team:\n%s", diff)
	}
	for kind, want := range map[string][]authz.Permission{
		"space": {authz.AppCreate, authz.SpaceManage, authz.AppSecrets, authz.EvidenceRead, authz.Operate},
		"app":   {authz.AppSecrets, authz.EvidenceRead, authz.Operate},
	} {
		got := authz.About(kind)
		for _, p := range []authz.Permission{authz.AppCreate, authz.SpaceManage, authz.AppSecrets, authz.EvidenceRead, authz.Operate, authz.TeamManage} {
			if slices.Contains(got, p) != slices.Contains(want, p) {
				t.Errorf("about %s: %s %v", kind, p, slices.Contains(got, p))
			}
		}
	}
}
