package compliance

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
)

// beatBody is an entry's body with the beat in it.
func beatBody(t testing.TB, b *document.Beat) []byte {
	t.Helper()
	doc, err := document.Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := (&ledger.Body{
		Action: "check.beat", Outcome: ledger.OK, Actor: ledger.Actor{Kind: ledger.SystemActor}, Via: ledger.ViaProbe,
		Target: ledger.Target{Kind: "check"}, Changes: []ledger.Change{{Kind: "beat", ID: b.ID, Rev: 1, Doc: doc}},
	}).Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func beats() []*document.Beat {
	at := time.Date(2026, 3, 2, 12, 0, 0, 123, time.UTC)
	base := document.Base{Schema: 1, ID: document.NewID(), CreatedAt: at, UpdatedAt: at}
	return []*document.Beat{
		{Base: base, Runs: []document.Run{}},
		{Base: base, Runs: []document.Run{{Check: "a", From: at, To: at.Add(time.Hour), Count: 12}}},
		{Base: base, Runs: []document.Run{{Check: "a", From: at, To: at.Add(time.Hour)}, {Check: "b.c", From: at, To: at, Count: 1}}},
		{Base: base, Runs: []document.Run{{Check: `a "runs":[ \ `, From: at, To: at, Count: 1}}},
	}
}

// decoded is what a beat says, by way of its document.
func decoded(raw []byte) (out map[string][]Span, ok bool) {
	body, err := ledger.ParseBody(raw)
	if err != nil || len(body.Changes) != 1 {
		return nil, false
	}
	var b document.Beat
	if json.Unmarshal(body.Changes[0].Doc, &b) != nil {
		return nil, false
	}
	out = map[string][]Span{}
	for _, r := range b.Runs {
		out[r.Check] = append(out[r.Check], Span{r.From, r.To})
	}
	return out, true
}

func scanned(raw []byte) (out map[string][]Span, ok bool) {
	out = map[string][]Span{}
	ok = scanBeat(raw, func(check string, s Span) { out[check] = append(out[check], s) })
	return out, ok
}

func TestScanBeat(t *testing.T) {
	for i, b := range beats() {
		raw := beatBody(t, b)
		got, ok := scanned(raw)
		if ok != (i < 3) { // what is escaped is left to decoding
			t.Errorf("%s: %v", raw, ok)
		}
		if want, _ := decoded(raw); ok && !cmp.Equal(got, want) {
			t.Errorf("%s: %v, want %v", raw, got, want)
		}
		for cut := range raw {
			if _, ok := scanned(raw[:cut]); ok && i > 0 && cut < len(raw)/2 {
				t.Errorf("cut after %d bytes it is taken for whole", cut)
			}
		}
	}
	if _, ok := scanned([]byte(`{"action":"check.report","runs":[]}`)); ok {
		t.Error("another action's body is taken for a beat's")
	}
}

// FuzzScanBeat: what is scanned is what decoding gives, of every body that is one.
func FuzzScanBeat(f *testing.F) {
	for _, b := range beats() {
		f.Add(beatBody(f, b))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := scanned(raw)
		want, is := decoded(raw)
		if ok && is && !cmp.Equal(got, want) {
			t.Errorf("%q: %v, want %v", raw, got, want)
		}
	})
}
