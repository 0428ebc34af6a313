package year

import (
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/simulation"
)

// expected is what the checks must have said to be wrong, from what was wrong
// and from when they ran. It knows of the platform only what an auditor is told:
// checks run every step, one that is later than twice that is unknown, and what
// a check says holds until it runs again.
func expected(truth *simulation.Truth, checks []string, sees compliance.Sight) (out []gap) {
	for _, check := range checks {
		ran := runs(truth, check)
		blind := unknown(truth, ran)
		for _, b := range blind {
			out = append(out, gap{check: check, status: "unknown", from: b.from, to: b.to})
		}
		for _, o := range truth.Outages {
			// A single run that failed is no outage, and what it was to look at is
			// unknown until the next.
			if at := next(scheduled(truth), o.From); o.Check == check && !inside(blind, at) {
				out = append(out, gap{check: check, name: simulation.HostName, status: "unknown", from: at, to: next(ran, o.To)})
			}
		}
		for _, f := range truth.Faults {
			if f.Check == check && sees[f.Scope] {
				out = append(out, failures(truth, f, ran, blind)...)
			}
		}
	}
	return out
}

// failures are the times in which a fault was seen to be there.
func failures(truth *simulation.Truth, f simulation.Fault, ran []time.Time, blind []span) (out []gap) {
	end := truth.Last
	if !f.To.IsZero() {
		end = next(ran, f.To)
	}
	for _, s := range without(span{next(ran, f.From), end}, blind) {
		g := gap{check: f.Check, name: f.Name, status: "fail", from: s.from, to: s.to, open: s.to.Equal(truth.Last), tells: f.Tells, owner: f.Owner}
		if s.to.Equal(end) && !f.To.IsZero() {
			g.mended = f.Mended
		}
		out = append(out, g)
	}
	return out
}

// whole is the year.
func whole(truth *simulation.Truth) span { return span{truth.First, truth.Last} }

// life is the part of the year in which a space was seen to be there.
func life(truth *simulation.Truth, space string, check string) span {
	s := whole(truth)
	if at, ended := truth.Ended(space); ended {
		s.to = next(runs(truth, check), at)
	}
	return s
}

// passing is what is left of a time without the gaps.
func passing(of span, list []gap) (d time.Duration) {
	var all []span
	for _, g := range list {
		all = append(all, span{g.from, g.to})
	}
	for _, s := range without(of, all) {
		d += s.to.Sub(s.from)
	}
	return d
}

// share is how much of a time passed.
func share(of span, list []gap) float64 {
	return float64(passing(of, list)) / float64(of.to.Sub(of.from))
}

type span struct{ from, to time.Time }

// without is what is left of a span.
func without(s span, holes []span) (out []span) {
	holes = slices.Clone(holes)
	slices.SortFunc(holes, func(a, b span) int { return a.from.Compare(b.from) })
	for _, h := range holes {
		if !h.to.After(s.from) || !h.from.Before(s.to) {
			continue
		}
		if h.from.After(s.from) {
			out = append(out, span{s.from, h.from})
		}
		s.from = h.to
	}
	if s.from.Before(s.to) {
		out = append(out, s)
	}
	return out
}

func inside(list []span, at time.Time) bool {
	return slices.ContainsFunc(list, func(s span) bool { return !at.Before(s.from) && at.Before(s.to) })
}

// scheduled are the runs of the year.
func scheduled(truth *simulation.Truth) (out []time.Time) {
	for at := truth.First; !at.After(truth.Last); at = at.Add(truth.Step) {
		out = append(out, at)
	}
	return out
}

// runs are those of a check that ended.
func runs(truth *simulation.Truth, check string) []time.Time {
	return slices.DeleteFunc(scheduled(truth), func(at time.Time) bool {
		return slices.ContainsFunc(truth.Outages, func(o simulation.Outage) bool {
			return (o.Check == "" || o.Check == check) && !at.Before(o.From) && at.Before(o.To)
		})
	})
}

// unknown are the times between runs of which the later one was late.
func unknown(truth *simulation.Truth, ran []time.Time) (out []span) {
	for i := 1; i < len(ran); i++ {
		if ran[i].Sub(ran[i-1]) > 2*truth.Step {
			out = append(out, span{ran[i-1], ran[i]})
		}
	}
	return out
}

// next is the first run at or after a time.
func next(ran []time.Time, at time.Time) time.Time {
	i, _ := slices.BinarySearchFunc(ran, at, time.Time.Compare)
	return ran[i]
}
