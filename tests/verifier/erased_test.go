package verifier

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/bodies"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/evidence/evidencetest"
	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/secret"
)

// TestErasedExports: seven years later bodies are erased by the command, of the
// opening state of one period and inside of others, and packs of all of them are
// exported again: each says which bodies are gone, and both verifiers accept it,
// also after the pack from before the erasure.
func TestErasedExports(t *testing.T) {
	l, p := evidencetest.New(t), newPair(t)
	do := func(hours int, cmd control.Command, who string) int64 {
		t.Helper()
		l.Set(evidencetest.After(time.Duration(hours) * time.Hour))
		seq, err := l.Kernel.Execute(t.Context(), cmd, l.As(who))
		must(t, err)
		return seq
	}
	on := do(1, &apps.Update{Identity: "clinic", Maintenance: new(true)}, "owner")
	named := do(2, &spaces.Rename{Identity: "ward", Name: "station"}, "owner")
	read := do(3, &config.Read{App: "clinic"}, "dev")
	do(5, &apps.Update{Identity: "clinic", Maintenance: new(false)}, "owner")
	do(6, &spaces.Rename{Identity: "station", Name: "ward"}, "owner")
	do(7, &config.Set{App: "clinic", Values: map[string]*secret.Value{"LAST": commandtest.Value("x")}}, "dev")
	period := func(from, to int) evidence.Request {
		return evidence.Request{From: evidencetest.After(time.Duration(from) * time.Hour), To: evidencetest.After(time.Duration(to) * time.Hour)}
	}
	l.Set(evidencetest.After(9 * time.Hour))
	whole := l.Export(period(-1, 4))

	years := 7 * 365 * 24
	do(years, &bodies.Erase{Seqs: []int64{on, read}, Confirm: "ward"}, "owner")
	do(years+1, &bodies.Erase{Seqs: []int64{named}, Confirm: "ward"}, "owner")
	key := pack.Options{Key: l.VKey}
	for what, tt := range map[string]struct {
		period evidence.Request
		not    []int64
	}{
		"inside":               {period(-1, 4), []int64{on, named, read}},
		"in the opening state": {period(4, 8), []int64{on, named}},
		"with the erasures":    {period(-1, years+2), []int64{on, named, read}},
		"after everything":     {period(years+2, years+3), nil},
	} {
		l.Set(evidencetest.After(time.Duration(years+4) * time.Hour))
		b := l.Export(tt.period)
		p.accepted(t, what, b, key)
		shown := bodiesIn(t, b)
		for _, seq := range tt.not {
			if slices.Contains(shown, seq) {
				t.Errorf("%s: the body of entry %d is in the pack", what, seq)
			}
		}
	}
	l.Set(evidencetest.After(time.Duration(years+4) * time.Hour))
	p.accepted(t, "after the pack from before", l.Export(period(4, 8)), pack.Options{Key: l.VKey, Previous: archive(whole)})
	p.accepted(t, "the pack from before", whole, key)
}

// bodiesIn are the seqs whose bodies a pack holds.
func bodiesIn(t *testing.T, b []byte) (out []int64) {
	t.Helper()
	for line := range bytes.Lines(takeApart(t, b).content["ledger/bodies"]) {
		var seq int64
		_, err := fmt.Sscanf(string(line), "%d", &seq)
		must(t, err)
		out = append(out, seq)
	}
	return out
}
