package pack

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// TestOpen: what was verified can be read, as it was verified; what is refused
// cannot.
func TestOpen(t *testing.T) {
	l := newTestLog(t)
	b := l.pack(t, l.newExport(t))
	source := Archive{bytes.NewReader(b), int64(len(b))}
	p, err := Open(t.Context(), source, Options{Key: l.vkey})
	must(t, err)
	var csv []string
	for _, r := range p.Reports() {
		csv = append(csv, r.CSV)
	}
	if want := []string{"reports/releases.csv", "reports/apps.csv", "reports/apps-before.csv"}; p.Result.Verdict != Verified || !slices.Equal(csv, want) {
		t.Errorf("%s, reports %v", p.Result.Verdict, csv)
	}
	for range 2 { // it can be read again
		count, documents := 0, 0
		must(t, p.Entries(t.Context(), func(e *Entry) error {
			count++
			action, err := e.Cell("/body/action")
			must(t, err)
			docs, err := e.Documents()
			must(t, err)
			documents += len(docs)
			if !bytes.Contains(e.Body, []byte(action)) || action == "" {
				t.Errorf("entry %d: action %q", e.Header.Seq, action)
			}
			for _, d := range docs {
				if !bytes.Contains(e.Body, d.Content) || d.Rev < 1 || d.Kind == "" {
					t.Errorf("entry %d: %+v", e.Header.Seq, d)
				}
			}
			return nil
		}))
		if count != 16 || documents == 0 {
			t.Errorf("%d entries with %d documents", count, documents)
		}
	}

	stop := errors.New("stop")
	if err := p.Entries(t.Context(), func(*Entry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a reader that had enough: %v", err)
	}
	b[len(b)/2] ^= 1
	var refusal *Refusal
	if p, err := Open(t.Context(), source, Options{Key: l.vkey}); !errors.As(err, &refusal) || p != nil {
		t.Errorf("an altered pack is opened: %v", err)
	}
}
