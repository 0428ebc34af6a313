package compliance

import (
	"cmp"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/document"
)

// History is how a control stood over a period.
type History struct {
	From, To time.Time // To is earlier than was asked for where the record does not reach it yet
	// Intervals follow each other without a gap.
	Intervals []Interval
	// Effectiveness is the share of time in pass. Judged is false where there was
	// nothing to judge.
	Effectiveness float64
	Judged        bool
	Gaps          []Gap
}

// Gap is a time in which something did not pass.
type Gap struct {
	Check    string
	Scope    string
	Subject  string
	Name     string
	Status   string // fail or unknown
	From, To time.Time
	Open     bool     // it went on when the period ended
	Facts    []string // the cause, as the check saw it when it began
	Seqs     []int64  // entries that the check saw it in
	Seq      int64    // the entry that began it, -1 where the check did not run
	EndSeq   int64    // the entry that ended it, -1 where none did
	Finding  string   // id
	Owner    string   // of the finding, when it ended
	MendedBy string
}

// History puts together what a control's checks said.
func (r *Recall) History(c *Control) History {
	h := History{From: r.From, To: r.end(c.Proof.Checks)}
	var all [][]Interval
	for _, check := range c.Proof.Checks {
		ran := Timeline(nil, r.spans[check], h.From, h.To)
		all = append(all, ran)
		for _, i := range ran {
			if i.Status == document.StatusUnknown {
				h.Gaps = append(h.Gaps, h.gap(check, subject{}, i, Point{Seq: -1}))
			}
		}
		for _, of := range r.subjects(check) {
			points := r.points[check][of]
			list := Timeline(points, r.spans[check], h.From, h.To)
			all = append(all, list)
			if !r.Sees[of.scope] {
				of.id = ""
			}
			h.gaps(check, of, points, list)
		}
	}
	for i, g := range h.Gaps {
		h.Gaps[i].Owner = r.owner(g.Finding, g.To)
	}
	h.Intervals = c.together(all, h.From, h.To)
	if h.Effectiveness, h.Judged = Effectiveness(h.Intervals); c.judge(document.StatusPass) != document.StatusPass {
		h.Effectiveness, h.Judged = 0, false // what cannot pass has no share of time in pass
	}
	slices.SortStableFunc(h.Gaps, func(a, b Gap) int { return a.From.Compare(b.From) })
	return h
}

// gaps adds those of one subject. Times in which the check did not run at all
// are gaps of the check and not of each subject.
func (h *History) gaps(check string, of subject, points []Point, list []Interval) {
	open := -1 // index of the gap that the last interval belongs to
	for _, i := range list {
		p := point(points, i.Seq)
		fails := i.Status == document.StatusFail || i.Status == document.StatusUnknown && i.Seq >= 0
		if open >= 0 && fails && h.Gaps[open].Status == i.Status && h.Gaps[open].To.Equal(i.From) {
			h.Gaps[open].To, h.Gaps[open].Open = i.To, i.To.Equal(h.To)
			continue
		}
		if open >= 0 && i.Seq >= 0 && h.Gaps[open].To.Equal(i.From) {
			h.Gaps[open].EndSeq, h.Gaps[open].MendedBy = i.Seq, p.MendedBy
		}
		open = -1
		if fails {
			h.Gaps = append(h.Gaps, h.gap(check, of, i, p))
			open = len(h.Gaps) - 1
		}
	}
}

func (h *History) gap(check string, of subject, i Interval, p Point) Gap {
	return Gap{
		Check: check, Scope: of.scope, Subject: of.id, Name: p.Name, Status: i.Status, From: i.From, To: i.To, Open: i.To.Equal(h.To),
		Facts: i.Facts, Seqs: p.Seqs, Seq: i.Seq, EndSeq: -1, Finding: p.Finding,
	}
}

func point(points []Point, seq int64) Point {
	if i, ok := slices.BinarySearchFunc(points, seq, func(p Point, seq int64) int { return cmp.Compare(p.Seq, seq) }); ok {
		return points[i]
	}
	return Point{Seq: seq}
}

// turn is a moment at which one of several timelines changes.
type turn struct {
	off string // the status that ends, "" = none
	Interval
}

// together makes the control's timeline of those of its checks and their
// subjects, between from and to. Entry and facts are of what made it so.
func (c *Control) together(all [][]Interval, from, to time.Time) (out []Interval) {
	var turns []turn
	for _, list := range all {
		was := ""
		for _, i := range list {
			turns = append(turns, turn{was, i})
			was = i.Status
		}
	}
	slices.SortStableFunc(turns, func(a, b turn) int { return a.From.Compare(b.From) })
	turns = append([]turn{{"", Interval{From: from, Status: document.StatusNotApplicable}}}, turns...)
	count := map[string]int{}
	for n := 0; n < len(turns) && from.Before(to); {
		first := n
		for ; n < len(turns) && turns[n].From.Equal(turns[first].From); n++ {
			count[turns[n].off]--
			count[turns[n].Status]++
		}
		i := now(count, turns[first:n])
		i.Status = c.judge(i.Status)
		if last := len(out) - 1; last >= 0 {
			out[last].To = i.From
			if out[last].Status == i.Status {
				continue
			}
		}
		out = append(out, i)
	}
	if len(out) > 0 {
		out[len(out)-1].To = to
	}
	return out
}

// now is what outweighs all else that stands at a moment.
func now(count map[string]int, turns []turn) Interval {
	i := Interval{From: turns[0].From, Seq: -1}
	for _, s := range rank {
		if count[s] > 0 {
			i.Status = s
		}
	}
	for _, t := range turns {
		if t.Status == i.Status {
			i.Seq, i.Facts = t.Seq, t.Facts
		}
	}
	return i
}
