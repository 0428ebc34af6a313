package compliance

import (
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/document"
)

// Point is a moment from which a check said something.
type Point struct {
	At     time.Time
	Seq    int64
	Status string
	Name   string   // of the subject
	Facts  []string // as the reader is told them
	Seqs   []int64
	// Of the finding that the same entry opened, changed or closed:
	Finding  string
	MendedBy string
}

// Span is a period in which a check ran on time.
type Span struct{ From, To time.Time }

// Interval is a period of one status. Seq is the entry that began it, -1 where
// the check did not run.
type Interval struct {
	From, To time.Time
	Status   string
	Seq      int64
	Facts    []string
}

// Timeline gives the status between from and to without a gap: what the points
// say where the spans cover it, unknown everywhere else. A check that ran and
// said nothing of a subject had no such subject before it. Points and spans are
// sorted by time; the last point before from counts.
func Timeline(points []Point, spans []Span, from, to time.Time) []Interval {
	var out []Interval
	add := func(i Interval) {
		if i.From.Before(from) {
			i.From = from
		}
		if i.To.After(to) {
			i.To = to
		}
		if !i.From.Before(i.To) {
			return
		}
		if n := len(out); n > 0 && out[n-1].Status == i.Status && out[n-1].Seq == i.Seq && out[n-1].To.Equal(i.From) {
			out[n-1].To = i.To
			return
		}
		out = append(out, i)
	}
	unknown := func(a, b time.Time) {
		add(Interval{a, b, document.StatusUnknown, -1, []string{"The check did not run."}})
	}
	at := from // everything before it is decided
	for _, s := range merge(spans) {
		if !s.To.After(at) {
			continue
		}
		if s.From.After(at) {
			unknown(at, s.From)
			at = s.From
		}
		covered(points, at, s.To, add)
		at = s.To
	}
	if at.Before(to) {
		unknown(at, to)
	}
	return out
}

// covered adds what the points say between a and b.
func covered(points []Point, a, b time.Time, add func(Interval)) {
	i := current(points, a)
	for a.Before(b) {
		end := b
		if i+1 < len(points) && points[i+1].At.Before(b) {
			end = points[i+1].At
		}
		if i < 0 {
			add(Interval{a, end, document.StatusNotApplicable, -1, nil})
		} else {
			add(Interval{a, end, points[i].Status, points[i].Seq, points[i].Facts})
		}
		a = end
		i++
	}
}

// current is the last point at or before a moment, -1 if there is none.
func current(points []Point, at time.Time) int {
	i, _ := slices.BinarySearchFunc(points, at, func(p Point, t time.Time) int {
		if p.At.After(t) {
			return 1
		}
		return -1
	})
	return i - 1
}

// merge joins spans that touch or overlap.
func merge(spans []Span) []Span {
	var out []Span
	for _, s := range spans {
		if n := len(out); n > 0 && !s.From.After(out[n-1].To) {
			if s.To.After(out[n-1].To) {
				out[n-1].To = s.To
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// Effectiveness is the share of the time in which a check passed, of the time
// in which it had something to say, in [0, 1]. Unknown counts against it. ok is
// false if there was nothing to say at all: also where what did not apply
// whenever somebody looked was not looked at for a while.
func Effectiveness(list []Interval) (share float64, ok bool) {
	length := map[string]time.Duration{}
	for _, i := range list {
		length[i.Status] += i.To.Sub(i.From)
	}
	idle, blind := length[document.StatusNotApplicable], length[document.StatusUnknown]
	delete(length, document.StatusNotApplicable)
	var all time.Duration
	for _, d := range length {
		all += d
	}
	if all == 0 || all == blind && idle > 0 {
		return 0, false
	}
	return float64(length[document.StatusPass]) / float64(all), true
}
