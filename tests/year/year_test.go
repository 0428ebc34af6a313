// Package year holds what the record of a simulated year says against what was
// planted in it: every gap with its begin, end, cause, owner and mender, every
// refusal, every change that nobody approved, and not one more; and shares of
// time in pass against arithmetic of its own. The space that was destroyed is told
// of as well as the others, for as long as it was there.
//
// `go test` lives a small year; `make year` one of a million entries.
package year

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/simulation"
)

// entriesVariable says how long the year's record shall be; then the checks run
// every hour.
const entriesVariable = "STRONGROOM_YEAR"

func TestYear(t *testing.T) {
	y := live(t)
	t.Run("history", func(t *testing.T) { history(t, y) })
	for _, s := range y.Truth.Spaces {
		t.Run(s.Name, func(t *testing.T) { packed(t, y, s) })
	}
}

func live(t *testing.T) *simulation.Year {
	t.Helper()
	cfg := simulation.Config{
		Dir: t.TempDir(), Seed: 1, Entries: simulation.MinEntries, Step: 12 * time.Hour, Log: slog.New(slog.DiscardHandler),
	}
	if n := os.Getenv(entriesVariable); n != "" {
		var err error
		if cfg.Entries, err = strconv.ParseInt(n, 10, 64); err != nil {
			t.Fatal(err)
		}
		cfg.Step = time.Hour
	}
	began := time.Now()
	y, err := simulation.Live(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := y.Close(); err != nil {
			t.Error(err)
		}
	})
	head, err := y.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d entries in %s", head.Size, time.Since(began).Round(time.Second))
	return y
}

// history holds every control's year against the truth.
func history(t *testing.T, y *simulation.Year) {
	sees := compliance.Sight{"": true}
	for _, s := range y.Truth.Spaces {
		sees[s.ID], sees[s.Team] = true, true
	}
	began := time.Now()
	recall, err := y.Programme.Recall(t.Context(), y.Store, compliance.Period{From: y.Truth.First, To: y.Truth.Last.Add(time.Second), Sees: sees})
	if err != nil {
		t.Fatal(err)
	}
	var all []compliance.History
	for _, c := range y.Programme.Controls {
		all = append(all, recall.History(c))
	}
	t.Logf("the status of %d controls over the year took %s", len(all), time.Since(began).Round(time.Millisecond))
	for i, c := range y.Programme.Controls {
		h := all[i]
		if len(c.Proof.Checks) == 0 {
			continue
		}
		if !h.From.Equal(y.Truth.First) || !h.To.Equal(y.Truth.Last) {
			t.Errorf("%s: from %s to %s, want %s to %s", c.ID, h.From, h.To, y.Truth.First, y.Truth.Last)
		}
		want := expected(&y.Truth, c.Proof.Checks, sees)
		if diff := cmp.Diff(lines(want), lines(told(h.Gaps))); diff != "" {
			t.Errorf("%s: gaps (-planted +told):\n%s", c.ID, diff)
		}
		if slices.Contains(silent, c.ID) {
			if h.Judged {
				t.Errorf("%s was judged", c.ID)
			}
			continue
		}
		pass := passing(whole(&y.Truth), want)
		if got := passed(h); got != pass {
			t.Errorf("%s passed for %s, want %s", c.ID, got, pass)
		}
		if want := share(whole(&y.Truth), want); len(c.Proof.Planned) == 0 && (!h.Judged || h.Effectiveness != want) {
			t.Errorf("%s was effective for %v of the time, want %v", c.ID, h.Effectiveness, want)
		}
	}
}

// gap is one as the test compares it.
type gap struct {
	check, name, status string
	from, to            time.Time
	open                bool
	tells               string
	owner, mended       string
}

func (g gap) String() string {
	return fmt.Sprintf("%s of %q %s from %s to %s, open %v, owner %q, mended by %q", g.check, g.name, g.status,
		g.from.Format(time.RFC3339), g.to.Format(time.RFC3339), g.open, g.owner, g.mended)
}

func lines(list []gap) []string {
	out := []string{}
	for _, g := range list {
		out = append(out, g.String())
	}
	slices.Sort(out)
	return out
}

func told(list []compliance.Gap) (out []gap) {
	for _, g := range list {
		out = append(out, gap{check: g.Check, name: g.Name, status: g.Status, from: g.From, to: g.To, open: g.Open, owner: g.Owner, mended: g.MendedBy})
	}
	return out
}

// passed is how long a control passed, as its intervals say.
func passed(h compliance.History) (d time.Duration) {
	for _, i := range h.Intervals {
		if i.Status == "pass" {
			d += i.To.Sub(i.From)
		}
	}
	return d
}
