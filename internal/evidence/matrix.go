package evidence

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
)

// framework is one with what answers to each of its requirements.
type framework struct {
	*compliance.Framework
	Rows []requirement
}

type requirement struct {
	compliance.Requirement
	Anchor  string // in the page
	Status  string // of the control that stood worst at the end; "" = none answers
	Answers []answer
}

type answer struct {
	Row    *controlRow
	Extent string
}

// Word is how the requirement stood, as far as controls answer to it.
func (r requirement) Word() string {
	if r.Status == "" {
		return "no control answers to it"
	}
	return word(r.Status)
}

// answer turns the controls' mappings round: what answers to each requirement.
func (c *controls) answer(p *compliance.Programme, rows map[string]*controlRow) {
	by := map[string][]answer{}
	for _, x := range p.Controls {
		for _, m := range x.Maps {
			key := m.Framework + " " + m.To
			by[key] = append(by[key], answer{rows[x.ID], m.Extent})
		}
	}
	for _, f := range p.Frameworks {
		out := framework{Framework: f}
		for _, q := range f.Requirements {
			answers := by[f.ID+" "+q.ID]
			out.Rows = append(out.Rows, requirement{q, f.ID + "-" + strings.ReplaceAll(q.ID, " ", "-"), worst(answers), answers})
		}
		c.Frameworks = append(c.Frameworks, out)
	}
}

// worst is how the control stood that stood worst.
func worst(answers []answer) string {
	for _, w := range words {
		if slices.ContainsFunc(answers, func(a answer) bool { return a.Row.Status == w.status }) {
			return w.status
		}
	}
	return ""
}

// Measures of the overview: a square for each requirement.
const (
	square    = 16
	squareGap = 4
	perLine   = 32
)

// cell is a requirement in the overview of its framework.
type cell struct {
	requirement
	X, Y int
}

// Cells are the overview's squares.
func (f framework) Cells() []cell {
	out := make([]cell, len(f.Rows))
	for i, r := range f.Rows {
		out[i] = cell{r, i % perLine * (square + squareGap), i / perLine * (square + squareGap)}
	}
	return out
}

// Width of the overview: the same for all, so that squares are of one size.
func (framework) Width() int { return perLine*(square+squareGap) - squareGap }

// Height of the overview.
func (f framework) Height() int {
	return max((len(f.Rows)+perLine-1)/perLine*(square+squareGap)-squareGap, square)
}

// bar is a part of the period's picture, in thousandths of its width.
type bar struct {
	X, W   float64
	Status string
	Title  string
}

// What a bar has at least in width, so that a minute of a year is seen.
const leastBar = 5

// heights of bars, of 60: what stands is told by more than its colour.
var heights = map[string]int{document.StatusFail: 60, document.StatusPass: 28, document.StatusUnknown: 14}

// H is the bar's height.
func (b bar) H() int { return cmp.Or(heights[b.Status], 6) }

// Y is the bar's upper edge.
func (b bar) Y() int { return (60 - b.H()) / 2 }

// draw makes the picture of the period, and the status at its end: unknown where
// nothing of it is on record yet. What fails lies above the rest.
func (r *controlRow) draw(from, to time.Time) {
	r.Status = document.StatusUnknown
	whole := float64(to.Sub(from))
	for _, i := range r.History.Intervals {
		b := bar{
			X: 1000 * float64(i.From.Sub(from)) / whole, W: 1000 * float64(i.To.Sub(i.From)) / whole, Status: i.Status,
			Title: word(i.Status) + " from " + i.From.UTC().Format(time.RFC3339) + " to " + i.To.UTC().Format(time.RFC3339),
		}
		if i.Status == document.StatusFail || i.Status == document.StatusUnknown {
			b.W = max(b.W, leastBar)
			b.X = min(b.X, 1000-b.W)
		}
		r.Bars = append(r.Bars, b)
		r.Status = i.Status
	}
	over := func(b bar) int { return slices.Index([]string{document.StatusUnknown, document.StatusFail}, b.Status) }
	slices.SortStableFunc(r.Bars, func(a, b bar) int { return cmp.Compare(over(a), over(b)) })
}

// Axis are the days below the pictures: of the period's begin, middle and end.
func (a About) Axis() []time.Time { return []time.Time{a.From, a.From.Add(a.To.Sub(a.From) / 2), a.To} }
