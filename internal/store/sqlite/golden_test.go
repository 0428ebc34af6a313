package sqlite_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/store/sqlite"
)

var update = flag.Bool("update", false, "make the golden ledger of this release, if there is none")

// release is what -update makes a ledger for.
const release = "golden-v0.1"

// Files of a golden ledger. The key is of no installation but this one.
const (
	goldenLedger = "ledger.db"
	goldenKey    = "test-master.key"
	goldenState  = "state.json"
)

// golden is what is expected of a ledger.
type golden struct {
	Size      int64                                 `json:"size"`
	Root      string                                `json:"root"` // of the tree
	Documents map[string]map[string]json.RawMessage `json:"documents"`
	Revisions map[string]int64                      `json:"revisions"`
	Secrets   map[string]string                     `json:"secrets"` // config vars of clinic
	Password  string                                `json:"password"`
}

// TestGolden opens the ledger of each release that there was, verifies it,
// folds its entries, and wants the state that the release had. It goes on with
// it, too: what a release wrote, later ones append to.
//
// A folder is final once its release is out. Until then it may be removed and
// made anew with -update.
func TestGolden(t *testing.T) {
	if *update {
		makeGolden(t)
	}
	list, err := filepath.Glob("testdata/golden-v*")
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatal("there is no golden ledger: run this test with -update")
	}
	for _, dir := range list {
		t.Run(filepath.Base(dir), func(t *testing.T) { checkGolden(t, dir) })
	}
}

func checkGolden(t *testing.T, dir string) {
	var want golden
	raw, err := os.ReadFile(filepath.Join(dir, goldenState))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	for _, name := range []string{goldenLedger, goldenKey} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(work, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := sqlite.Open(t.Context(), filepath.Join(work, goldenLedger), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if head, err := s.Head(t.Context()); err != nil || head.Size != want.Size {
		t.Fatalf("%d entries, want %d, %v", head.Size, want.Size, err)
	}
	if got := root(t, s, want.Size); got != want.Root {
		t.Errorf("root %s, want %s", got, want.Root)
	}
	for name, state := range map[string]golden{"the tables": stateOf(t, s), "the fold of the entries": fold(t, s)} {
		compare(t, name, want, state)
	}
	goOn(t, s, filepath.Join(work, goldenKey), want)
}

func compare(t *testing.T, name string, want, got golden) {
	t.Helper()
	if !maps.Equal(want.Revisions, got.Revisions) {
		t.Errorf("%s: revisions %v, want %v", name, got.Revisions, want.Revisions)
	}
	for kind, docs := range want.Documents {
		if len(got.Documents[kind]) != len(docs) {
			t.Errorf("%s: %d of kind %s, want %d", name, len(got.Documents[kind]), kind, len(docs))
		}
		for id, doc := range docs {
			var was, now any
			if err := json.Unmarshal(doc, &was); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(got.Documents[kind][id], &now); err != nil {
				t.Errorf("%s: %s %s: %v", name, kind, id, err)
				continue
			}
			for _, lost := range missing(kind+" "+id, was, now) {
				t.Errorf("%s: %s", name, lost)
			}
		}
	}
}

// missing lists what of an old document is not the same in the new one, which
// may have members that the old one had not.
func missing(path string, was, now any) (out []string) {
	switch w := was.(type) {
	case map[string]any:
		n, _ := now.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(w)) {
			out = append(out, missing(path+"/"+name, w[name], n[name])...)
		}
	case []any:
		n, _ := now.([]any)
		if len(n) != len(w) {
			return []string{fmt.Sprintf("%s: %v became %v", path, was, now)}
		}
		for i := range w {
			out = append(out, missing(fmt.Sprintf("%s/%d", path, i), w[i], n[i])...)
		}
	default:
		if was != now {
			out = append(out, fmt.Sprintf("%s: %v became %v", path, was, now))
		}
	}
	return out
}

func root(t *testing.T, s *sqlite.Store, size int64) string {
	t.Helper()
	h, err := tlog.TreeHash(size, s.Hashes(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}

// stateOf reads the documents that commands see.
func stateOf(t *testing.T, s *sqlite.Store) golden {
	t.Helper()
	g := golden{Documents: map[string]map[string]json.RawMessage{}, Revisions: map[string]int64{}}
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range document.Kinds() {
		list, err := s.Changed(t.Context(), kind, head.Size)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Read(t.Context(), func(v store.View) error {
			for _, c := range list {
				g.Revisions[string(kind)+" "+c.ID] = c.Rev
				d, err := v.Get(kind, c.ID)
				if err != nil || d == nil {
					if err != nil {
						return err
					}
					continue
				}
				raw, err := document.Encode(d)
				if err != nil {
					return err
				}
				g.put(string(kind), c.ID, raw)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func (g *golden) put(kind, id string, raw json.RawMessage) {
	if g.Documents[kind] == nil {
		g.Documents[kind] = map[string]json.RawMessage{}
	}
	g.Documents[kind][id] = raw
}

// fold computes the state from the entries alone, as anybody can.
func fold(t *testing.T, s *sqlite.Store) golden {
	t.Helper()
	g := golden{Documents: map[string]map[string]json.RawMessage{}, Revisions: map[string]int64{}}
	list, err := s.Entries(t.Context(), store.Query{})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range list {
		if r.Header.Seq != int64(i) {
			t.Fatalf("entry %d follows %d", r.Header.Seq, i-1)
		}
		body, err := ledger.ParseBody(r.Body)
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		for _, c := range body.Changes {
			g.Revisions[c.Kind+" "+c.ID] = c.Rev
			if c.Deleted() {
				delete(g.Documents[c.Kind], c.ID)
				continue
			}
			g.put(c.Kind, c.ID, c.Doc)
		}
	}
	return g
}

// goOn opens what the release sealed, and appends.
func goOn(t *testing.T, s *sqlite.Store, key string, want golden) {
	t.Helper()
	wrapper, err := secret.OpenMasterFile(key)
	if err != nil {
		t.Fatal(err)
	}
	k := control.New(control.Config{Store: s, Keyring: secret.NewKeyring(wrapper, s), Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Verify(t.Context(), nil); err != nil {
			t.Errorf("after going on with it: %v", err)
		}
	}()
	var dev *document.Account
	if err := s.Read(t.Context(), func(v store.View) (err error) {
		dev, err = store.One[*document.Account](v, "email", "dev@example.org")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	by := control.By{Actor: ledger.Actor{Kind: ledger.AccountActor, ID: dev.ID, Email: dev.Email}, Via: ledger.ViaAPI}
	read := &config.Read{App: "clinic"}
	if _, err := k.Execute(t.Context(), read, by); err != nil {
		t.Fatal(err)
	}
	for name, value := range want.Secrets {
		if got := string(read.Values[name].Reveal()); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	login := &people.Login{Email: "ann@example.org", Password: *commandtest.Value(want.Password)}
	if _, err := k.Execute(t.Context(), login, control.By{Actor: ledger.Actor{Kind: ledger.AnonymousActor}, Via: ledger.ViaAPI}); err != nil {
		t.Errorf("log in with a password of then: %v", err)
	}
	on := true
	if _, err := k.Execute(t.Context(), &apps.Update{Identity: "clinic", Maintenance: &on}, by); err != nil {
		t.Error(err)
	}
}

// makeGolden makes the ledger of this release. It never touches one that
// exists: there are installations with such ledgers.
func makeGolden(t *testing.T) {
	t.Helper()
	dir := filepath.Join("testdata", release)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Logf("%s exists and is left alone", dir)
		return
	}
	w := commandtest.New(t, commandtest.Noon)
	g := golden{Password: "a password of this release", Secrets: map[string]string{"GREETING": "hello", "SECRET_KEY": "grüße\n"}}
	w.Account("ann", g.Password)
	w.Do(&config.Set{App: "clinic", Values: map[string]*secret.Value{"SECRET_KEY": commandtest.Value(g.Secrets["SECRET_KEY"])}}, w.As("dev"))
	doomed := &apps.Create{Name: "doomed", Space: "ward", Domain: "apps.localhost"}
	w.Do(doomed, w.As("dev"))
	w.Do(&apps.Destroy{Identity: "doomed"}, w.As("owner"))
	w.Kernel.Execute(t.Context(), &apps.Destroy{Identity: "clinic"}, w.As("stranger")) //nolint:errcheck // a denial for the ledger
	state := stateOf(t, w.Store)
	g.Documents, g.Revisions, g.Size = state.Documents, state.Revisions, w.Size()
	g.Root = root(t, w.Store, g.Size)

	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(w.Dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`VACUUM INTO ?`, filepath.Join(dir, goldenLedger)); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(w.Dir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{goldenKey: key, goldenState: append(raw, '\n')} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGoldenIsLeftAlone has -update meet a golden ledger that exists.
func TestGoldenIsLeftAlone(t *testing.T) {
	before := digestOf(t)
	makeGolden(t)
	if after := digestOf(t); after != before {
		t.Error("a golden ledger was written again")
	}
}

func digestOf(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, name := range []string{goldenLedger, goldenKey, goldenState} {
		info, err := os.Stat(filepath.Join("testdata", release, name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&out, name, info.Size(), info.ModTime())
	}
	return out.String()
}
