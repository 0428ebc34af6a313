package verifier

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/evidence/evidencetest"
	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/sample"
)

// drawn is a sample as both programs tell it.
type drawn struct {
	Population int         `json:"population"`
	Items      []drawnItem `json:"items"`
}

type drawnItem struct {
	Order    string   `json:"order"`
	Identity string   `json:"identity"`
	More     int      `json:"more"`
	Story    []string `json:"story"` // "<seq> <why>"
}

// TestSamples: the program and the page of a pack draw the same sample by the
// same seed, of every report, and tell the same story of each item.
func TestSamples(t *testing.T) {
	l := evidencetest.New(t)
	l.Set(evidencetest.After(time.Hour))
	l.Do(&releases.Approve{App: "clinic", Identity: "v3"}, l.As("approver"))
	role := &teams.GrantRole{Team: "care", Email: "viewer@example.org", Role: authz.Approver}
	l.Do(role, l.As("owner"))
	l.Do(&teams.DecideRequest{ID: role.Request.ID, Grant: true}, l.As("admin"))
	l.Set(evidencetest.After(3 * time.Hour))
	b := l.Export(evidence.Request{From: evidencetest.After(-time.Hour), To: evidencetest.After(2 * time.Hour)})
	p, err := pack.Open(t.Context(), pack.Archive{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}, pack.Options{Key: l.VKey})
	must(t, err)
	page := newPage(t, b, l.VKey)
	asks := []sample.Ask{
		{Report: "deployments", Seed: "0", Count: 1, Where: []sample.Equal{}},
		{Report: "access-changes", Seed: `"dice" 4 1 \o/`, Count: 500, Where: []sample.Equal{{Column: "outcome", Value: "ok"}, {Column: "action", Value: "role.grant"}}},
	}
	for _, r := range p.Reports() {
		asks = append(asks, sample.Ask{Report: r.CSV, Seed: "dice 4 1", Count: 7, Where: []sample.Equal{}})
	}
	longest := 0
	for _, ask := range asks {
		want := draw(t, p, ask)
		if diff := cmp.Diff(want, page.draw(t, ask)); diff != "" {
			t.Errorf("%s: the program and the page differ:\n%s", ask.Report, diff)
		}
		for _, i := range want.Items {
			longest = max(longest, len(i.Story))
		}
	}
	if longest < 8 {
		t.Errorf("the longest story has %d entries", longest)
	}
}

// TestStory: the dossier of a deployment holds how it came about.
func TestStory(t *testing.T) {
	l := evidencetest.New(t)
	l.Set(evidencetest.After(2 * time.Hour))
	b := l.Export(evidence.Request{From: evidencetest.After(-time.Hour), To: evidencetest.After(time.Hour)})
	p, err := pack.Open(t.Context(), pack.Archive{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}, pack.Options{Key: l.VKey})
	must(t, err)
	s, err := sample.Draw(t.Context(), p, sample.Ask{Report: "deployments", Seed: "a", Count: 9, Where: []sample.Equal{{Column: "release", Value: "clinic v2"}}})
	must(t, err)
	told, err := sample.Dossiers(t.Context(), p, s.Items)
	must(t, err)
	if len(told) != 1 {
		t.Fatalf("%d dossiers", len(told))
	}
	var got []string
	for _, e := range told[0].Entries {
		got = append(got, e.Why+" "+e.Action)
	}
	want := []string{
		"standing account.create", "standing account.create", "standing team.create", "standing space.allocate", "standing config.set", // pusher, approver
		"same build.start", "same build.finish", "same release.approve", "drawn release.live", "same release.live", // it, and what replaced it
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// draw is what internal/sample says.
func draw(t *testing.T, p *pack.Pack, ask sample.Ask) drawn {
	t.Helper()
	s, err := sample.Draw(t.Context(), p, ask)
	must(t, err)
	dossiers, err := sample.Dossiers(t.Context(), p, s.Items)
	must(t, err)
	out := drawn{Population: s.Population, Items: []drawnItem{}}
	for _, d := range dossiers {
		item := drawnItem{Order: d.Order, Identity: d.Identity, More: d.More}
		for _, e := range d.Entries {
			item.Story = append(item.Story, fmt.Sprint(e.Seq, " ", e.Why))
		}
		out.Items = append(out.Items, item)
	}
	return out
}

// page draws as the page of a pack does.
type page struct {
	path, key string
	in        *json.Encoder
	out       *bufio.Scanner
}

func newPage(t *testing.T, b []byte, key string) *page {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pack.zip")
	must(t, os.WriteFile(path, b, 0o600))
	in, out := start(t, "sample.mjs")
	return &page{path, key, json.NewEncoder(in), out}
}

func (p *page) draw(t *testing.T, ask sample.Ask) (out drawn) {
	t.Helper()
	must(t, p.in.Encode(map[string]any{"pack": p.path, "key": p.key, "ask": ask}))
	if !p.out.Scan() {
		t.Fatalf("sample.mjs ended: %v", p.out.Err())
	}
	must(t, json.Unmarshal(p.out.Bytes(), &out))
	return out
}
