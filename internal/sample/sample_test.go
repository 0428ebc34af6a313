package sample

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
)

// golden opens the pack that an earlier version wrote.
func golden(t *testing.T) *pack.Pack {
	t.Helper()
	const folder = "../pack/testdata/strongroom-evidence-1"
	b, err := os.ReadFile(folder + ".zip")
	must(t, err)
	key, err := os.ReadFile(folder + ".vkey")
	must(t, err)
	p, err := pack.Open(t.Context(), pack.Archive{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}, pack.Options{Key: strings.TrimSpace(string(key))})
	must(t, err)
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOrder pins the order down: what `printf '%s\0%s\0%s' … | sha256sum` says.
func TestOrder(t *testing.T) {
	const want = "053122b2d9d33b4f62c6f5a28039fe4ec034c0ab494fdcdb546da0476a4f12a2"
	if got := Order("dice 4 1", "reports/deployments.csv", Identity(43, "")); got != want {
		t.Errorf("%s", got)
	}
	if got := Identity(43, "01a2"); got != "43 01a2" {
		t.Errorf("%q", got)
	}
}

func TestDraw(t *testing.T) {
	p := golden(t)
	draw := func(a Ask) *Sample {
		t.Helper()
		s, err := Draw(t.Context(), p, a)
		must(t, err)
		return s
	}
	all := draw(Ask{Report: "releases", Seed: "a", Count: MaxCount})
	if all.Path != "reports/releases.csv" || all.Population != len(all.Items) || len(all.Items) < 3 {
		t.Fatalf("%+v", all)
	}
	if !slices.IsSortedFunc(all.Items, func(a, b *Item) int { return strings.Compare(a.Order, b.Order) }) {
		t.Error("the items are not in order")
	}
	for _, i := range all.Items {
		if i.Cells[0] != i.Identity || len(i.Cells) != len(all.Head) {
			t.Errorf("item %+v", i)
		}
	}
	// A smaller sample is the beginning of a larger one; another seed is another.
	one := draw(Ask{Report: "reports/releases.csv", Seed: "a", Count: 1})
	if len(one.Items) != 1 || one.Items[0].Order != all.Items[0].Order || one.Population != all.Population {
		t.Errorf("%+v", one)
	}
	if other := draw(Ask{Report: "releases", Seed: "b", Count: 1}); other.Items[0].Order == one.Items[0].Order {
		t.Error("two seeds give the same order")
	}
	denied := draw(Ask{Report: "releases", Seed: "a", Count: 5, Where: []Equal{{"outcome", "denied"}}})
	if denied.Population != 1 || denied.Items[0].Cells[3] != "denied" {
		t.Errorf("%+v", denied)
	}
	apps := draw(Ask{Report: "apps", Seed: "a", Count: 5})
	for _, i := range apps.Items {
		if i.Document == "" || !strings.HasSuffix(i.Identity, " "+i.Document) {
			t.Errorf("item of a state report %+v", i)
		}
	}
}

func TestDrawRefuses(t *testing.T) {
	p := golden(t)
	good := Ask{Report: "releases", Seed: "a", Count: 1}
	for what, spoil := range map[string]func(a *Ask){
		"no seed":                func(a *Ask) { a.Seed = "" },
		"a seed with a space":    func(a *Ask) { a.Seed = "a " },
		"a seed beyond ASCII":    func(a *Ask) { a.Seed = "würfel" },
		"a seed with a zero":     func(a *Ask) { a.Seed = "a\x00b" },
		"a long seed":            func(a *Ask) { a.Seed = strings.Repeat("a", maxSeed+1) },
		"no items":               func(a *Ask) { a.Count = 0 },
		"too many items":         func(a *Ask) { a.Count = MaxCount + 1 },
		"an unknown report":      func(a *Ask) { a.Report = "people" },
		"an unknown column":      func(a *Ask) { a.Where = []Equal{{"colour", "red"}} },
		"two values of a column": func(a *Ask) { a.Where = []Equal{{"outcome", "ok"}, {"outcome", "denied"}} },
	} {
		a := good
		spoil(&a)
		if _, err := Draw(t.Context(), p, a); fault.Of(err) == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestIDs(t *testing.T) {
	const a, b = "01934f6e-0000-7000-8000-000000000001", "01934f6e-0000-7000-8000-000000000002"
	for in, want := range map[string][]string{
		`{"a":"` + a + `","b":["` + b + `",1]}`: {a, b},
		`{"` + a + `":1}`:                       nil, // a name
		`["x` + a + `"]`:                        nil, // a text that ends in one
		`["x\"` + a + `"]`:                      nil,
		`["` + a + `\""]`:                       nil,
		`["\\","` + a + `"]`:                    {a},
		`"` + a + `"`:                           {a},
		``:                                      nil,
	} {
		if got := ids([]byte(in)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", in, got, want)
		}
	}
}

// TestChange tells what became of documents.
func TestChange(t *testing.T) {
	doc := document{"app", "1"}
	tell := teller{before: map[revision][]byte{
		{doc, 1}: []byte(`{"gone":true,"name":"a","same":[1,2]}`),
		{doc, 2}: {}, // deleted
		{doc, 3}: nil,
	}}
	for rev, want := range map[int64]Change{
		1: {How: "made", Parts: []Part{{"/name", "", "b"}, {"/same/0", "", "1"}, {"/same/1", "", "2"}}},
		2: {How: "changed", Parts: []Part{{"/gone", "true", ""}, {"/name", "a", "b"}}},
		3: {How: "made", Parts: []Part{{"/name", "", "b"}, {"/same/0", "", "1"}, {"/same/1", "", "2"}}},
		4: {How: "as it is", Parts: []Part{{"/name", "", "b"}, {"/same/0", "", "1"}, {"/same/1", "", "2"}}},
	} {
		got := tell.change(ledger.Change{Kind: "app", ID: "1", Rev: rev, Doc: []byte(`{"name":"b","same":[1,2]}`)})
		if got.How != want.How || !slices.Equal(got.Parts, want.Parts) {
			t.Errorf("revision %d: %+v", rev, got)
		}
	}
	gone := tell.change(ledger.Change{Kind: "app", ID: "1", Rev: 2})
	if gone.How != "deleted" || len(gone.Parts) != 4 || gone.Parts[0] != (Part{"/gone", "true", ""}) {
		t.Errorf("%+v", gone)
	}
	long := `{"a":"` + strings.Repeat("ü", maxValue) + `"}`
	cut := tell.change(ledger.Change{Kind: "app", ID: "1", Rev: 1, Doc: []byte(long)})
	if text := cut.Parts[0].After; len(text) > maxValue+50 || !strings.HasSuffix(text, "ü… (2000 bytes in all)") {
		t.Errorf("%q", text)
	}
}

// TestWrite: what somebody typed is text on every page, whatever it is.
func TestWrite(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>`
	item := &Item{Order: strings.Repeat("0", 64), Identity: "7 " + evil, Seq: 7, Document: evil, Cells: []string{"7", evil}}
	d := &Dossier{Item: item, Entries: []Told{{
		Seq: 7, Why: Drawn, Actor: evil, Action: evil, Outcome: evil, Words: evil, Time: evil,
		Changes: []Change{{Kind: evil, ID: evil, How: "made", Parts: []Part{{evil, evil, evil}}}},
		Blobs:   []Blob{{SHA256: evil, Role: evil}},
	}}}
	s := &Sample{Ask: Ask{Seed: "a", Where: []Equal{{evil, evil}}}, Path: "reports/" + evil + ".csv", Head: []string{"seq", evil}, Items: []*Item{item}}
	manifest := &pack.Manifest{Period: pack.Period{From: pack.Time{Time: time.Unix(0, 0)}, To: pack.Time{Time: time.Unix(1, 0)}}}
	dir := filepath.Join(t.TempDir(), "out")
	must(t, Write(dir, s, &pack.Result{Installation: evil, Manifest: manifest, Verdict: pack.Verified}, []*Dossier{d}))
	files, err := os.ReadDir(dir)
	must(t, err)
	if len(files) != 4 {
		t.Errorf("%v", files)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		must(t, err)
		switch text := string(b); filepath.Ext(f.Name()) {
		case ".html":
			if strings.Contains(text, "<script") || strings.Contains(text, "<img") || !strings.Contains(text, "&lt;script&gt;") {
				t.Errorf("%s:\n%s", f.Name(), text)
			}
		case ".json":
			if !json.Valid(b) {
				t.Errorf("%s:\n%s", f.Name(), text)
			}
		}
	}
	if err := Write(dir, s, &pack.Result{Manifest: manifest}, nil); fault.Of(err) != fault.Conflict {
		t.Errorf("written over what was there: %v", err)
	}
}
