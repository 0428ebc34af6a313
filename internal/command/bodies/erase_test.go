package bodies_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/bodies"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// lab is a world in which seven years have passed since noon.
type lab struct {
	*commandtest.World
	renamed int64 // the entry that gave clinic a name that it has no more
}

// later is when all of the world's beginning may go that nothing rests on.
var later = commandtest.Noon.AddDate(7, 0, 0)

func newLab(t *testing.T) *lab {
	l := &lab{World: commandtest.New(t, commandtest.Noon)}
	why := l.As("owner")
	why.Reason = "the name of a patient"
	l.renamed = l.do(&apps.Update{Identity: "clinic", Name: new("clinique")}, why)
	l.do(&apps.Update{Identity: "clinique", Name: new("clinic")}, l.As("owner"))
	l.Set(later)
	return l
}

func (l *lab) do(cmd control.Command, by control.By) int64 {
	l.T.Helper()
	seq, err := l.Kernel.Execute(l.T.Context(), cmd, by)
	if err != nil {
		l.T.Fatalf("%s: %v", cmd.Action(), err)
	}
	return seq
}

// TestErase erases a body that holds a name that must be nowhere any more, in the
// files neither, and looks at what remains.
func TestErase(t *testing.T) {
	l := newLab(t)
	before, err := l.Store.Entry(t.Context(), l.renamed)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.files(before.Body)) == 0 {
		t.Fatal("the body is nowhere to begin with")
	}
	seq := l.do(&bodies.Erase{Seqs: []int64{l.renamed, l.renamed}, Confirm: "ward"}, l.As("owner"))
	rec, err := l.Store.Entry(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	body, err := ledger.ParseBody(rec.Body)
	if err != nil {
		t.Fatal(err)
	}
	if *rec.Header.Scope != l.IDs["space:ward"] || body.Reason != "the test begins" {
		t.Errorf("%s in %s", rec.Body, *rec.Header.Scope)
	}
	if diff := cmp.Diff([]ledger.Erased{{Seq: l.renamed, Action: "app.update", Actor: l.IDs["account:owner"], Outcome: ledger.OK, Rule: "six-years"}}, body.Erased); diff != "" {
		t.Errorf("-want +erased:\n%s", diff)
	}
	if want := hex.EncodeToString(before.Header.Body[:]); len(body.Details) != 1 || body.Details[0].Value != want {
		t.Errorf("details %v, want the digest %s", body.Details, want)
	}
	after, err := l.Store.Entry(t.Context(), l.renamed)
	if err != nil || after.Body != nil || after.Header.Body != before.Header.Body {
		t.Errorf("%+v, %v", after, err)
	}
	var in []string
	for range 100 {
		if in = append(l.files([]byte("the name of a patient")), l.files(before.Salt[:])...); len(in) == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, name := range in {
		t.Errorf("what was erased is still in %s", name)
	}
	l.refused(&bodies.Erase{Seqs: []int64{l.renamed}, Confirm: "ward"}, l.As("owner"), fault.Conflict, "erased already")
	l.refused(&bodies.Erase{Seqs: []int64{seq}, Confirm: "ward"}, l.As("owner"), fault.Forbidden, "kept for good")
}

// files are those of the world that hold some bytes.
func (l *lab) files(what []byte) (in []string) {
	l.T.Helper()
	err := filepath.WalkDir(l.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, what) {
			in = append(in, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		l.T.Fatal(err)
	}
	return in
}

// refused runs a command that must be refused and must change nothing.
func (l *lab) refused(cmd *bodies.Erase, by control.By, kind fault.Kind, says string) {
	l.T.Helper()
	_, err := l.Kernel.Execute(l.T.Context(), cmd, by)
	if fault.Of(err) != kind || !strings.Contains(err.Error(), says) {
		l.T.Errorf("%v: %v, want %v: %q", cmd.Seqs, err, kind, says)
	}
}

// TestRefusals: what must not be erased, by whom, and why; one that must not be is
// enough for none to be.
func TestRefusals(t *testing.T) {
	l := newLab(t)
	ward, clinic := l.IDs["space:ward"], l.IDs["app:clinic"]
	l.Set(commandtest.Noon.AddDate(2, 0, 0))
	renamed := l.do(&spaces.Rename{Identity: "ward", Name: "station"}, l.As("owner"))
	l.Set(commandtest.Noon.AddDate(4, 0, 0))
	l.do(&spaces.Rename{Identity: "station", Name: "ward"}, l.As("owner"))
	l.Set(later)
	silent := l.As("owner")
	silent.Reason = " "
	entry := func(action, app string) int64 { return l.First(store.Query{Actions: []string{action}, App: app}) }
	space := func(action string) int64 {
		return l.First(store.Query{Actions: []string{action}, Scopes: []string{ward}})
	}
	head, err := l.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		seqs []int64
		by   control.By
		kind fault.Kind
		says string
	}{
		"an admin":           {[]int64{l.renamed}, l.As("admin"), fault.Forbidden, "evidence.erase"},
		"an auditor":         {[]int64{l.renamed}, l.As("auditor"), fault.Forbidden, "evidence.erase"},
		"an operator":        {[]int64{l.renamed}, l.As("root"), fault.NotFound, "find that entry"},
		"a stranger":         {[]int64{l.renamed}, l.As("stranger"), fault.NotFound, "find that entry"},
		"the platform":       {[]int64{l.renamed}, commandtest.Platform, fault.NotFound, "find that entry"},
		"none":               {nil, l.As("owner"), fault.Invalid, "Give 1 to 500"},
		"too many":           {seqs(501), l.As("owner"), fault.Invalid, "Give 1 to 500"},
		"not there":          {[]int64{l.renamed, head.Size + 100}, l.As("owner"), fault.NotFound, "find that entry"},
		"two scopes":         {[]int64{l.renamed, 0}, l.As("root"), fault.Invalid, "one scope at a time"},
		"no reason":          {[]int64{l.renamed}, silent, fault.Invalid, "Say why"},
		"newest version":     {[]int64{l.renamed, l.First(store.Query{Actions: []string{"app.update"}, App: clinic, FromSeq: l.renamed + 1})}, l.As("owner"), fault.Conflict, "newest version of"},
		"a release's config": {[]int64{entry("config.set", clinic)}, l.As("owner"), fault.Conflict, "config of release v1"},
		"in force too long":  {[]int64{renamed}, l.As("owner"), fault.Forbidden, "must be kept until 2036-03-02"},
		"replaced too late":  {[]int64{space("space.allocate")}, l.As("owner"), fault.Forbidden, "must be kept until 2034-03-02"},
		"another's":          {[]int64{0}, l.As("owner"), fault.NotFound, "find that entry"},
	} {
		t.Run(name, func(t *testing.T) {
			l.T = t
			l.refused(&bodies.Erase{Seqs: tt.seqs, Confirm: "ward"}, tt.by, tt.kind, tt.says)
		})
	}
	l.T = t
	l.refused(&bodies.Erase{Seqs: []int64{l.renamed}, Confirm: "wart"}, l.As("owner"), fault.Invalid, "Repeat its name: --confirm ward")
	if rec, err := l.Store.Entry(t.Context(), l.renamed); err != nil || rec.Body == nil {
		t.Errorf("a refused command erased it: %v", err)
	}
	denied := l.First(store.Query{Actions: []string{"body.erase"}, Outcome: ledger.Denied})
	if rec, err := l.Store.Entry(t.Context(), denied); err != nil || *rec.Header.Scope != ward {
		t.Errorf("the denial is entry %d, %v", denied, err)
	}
}

func seqs(n int) (out []int64) {
	for i := range n {
		out = append(out, int64(i))
	}
	return out
}

// TestScopes: a team's bodies are its owners' to erase, the installation's its
// operators', and those of a space that is gone its team's still.
func TestScopes(t *testing.T) {
	l := newLab(t)
	l.Set(commandtest.Noon)
	create := &spaces.Create{Name: "cellar", Team: "care"}
	made := l.do(create, l.As("owner"))
	l.Do(&spaces.Allocated{ID: create.Space.ID}, commandtest.Platform)
	l.do(&spaces.Destroy{Identity: "cellar"}, l.As("owner"))
	l.Do(&spaces.Gone{ID: create.Space.ID}, commandtest.Platform)
	l.do(&teams.RevokeRole{Team: "care", Email: "viewer@example.org"}, l.As("owner"))
	l.do(&people.SuspendAccount{Email: "viewer@example.org"}, l.As("root"))
	l.Set(later)
	l.do(&bodies.Erase{Seqs: []int64{made}, Confirm: "cellar"}, l.As("owner"))
	l.refused(&bodies.Erase{Seqs: []int64{made}, Confirm: "cellar"}, l.As("stranger"), fault.NotFound, "find that entry")
	gone := l.First(store.Query{Actions: []string{"space.gone"}})
	l.refused(&bodies.Erase{Seqs: []int64{gone}, Confirm: "cellar"}, l.As("owner"), fault.Conflict, "newest version")

	account := l.First(store.Query{Actions: []string{"account.create"}})
	l.refused(&bodies.Erase{Seqs: []int64{account}, Confirm: "api.localhost"}, l.As("root"), fault.Conflict, "newest version of account")
	role := l.First(store.Query{Scopes: []string{l.IDs["team:care"]}, Actions: []string{"role.revoke"}})
	l.refused(&bodies.Erase{Seqs: []int64{role}, Confirm: "care"}, l.As("owner"), fault.Conflict, "newest version of member")
	l.do(&bodies.Erase{Seqs: []int64{l.First(store.Query{Actions: []string{"account.create"}, Target: l.IDs["account:viewer"]})}, Confirm: "api.localhost"}, l.As("root"))
	l.do(&bodies.Erase{Seqs: []int64{l.First(store.Query{Actions: []string{"role.grant"}, Target: l.IDs["account:viewer"]})}, Confirm: "care"}, l.As("owner"))
}
