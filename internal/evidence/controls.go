package evidence

import (
	"fmt"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
)

// controls is what the report on controls shows: how each stood over the period,
// as the entries of the pack tell it, and what it answers to.
type controls struct {
	About
	Catalogue  string
	Reaches    time.Time // up to when the entries tell how it stood
	Rows       []*controlRow
	Frameworks []framework
	Gaps       []gapRow
	Counts     []wordCount
	Findings   bool // the pack has that report
}

type wordCount struct {
	Status, Word string
	Count        int
}

// controlRow is a control over the period.
type controlRow struct {
	*compliance.Control
	History compliance.History
	Status  string // at the end
	Bars    []bar
	Gaps    []int // numbers, of the page's list
}

// Listed are the first of the control's gaps, for a line; More counts the others.
func (r controlRow) Listed() []int { return r.Gaps[:min(len(r.Gaps), maxListed)] }

// More counts the gaps that Listed leaves out.
func (r controlRow) More() int { return len(r.Gaps) - len(r.Listed()) }

const maxListed = 6

// gapRow is a gap with the controls that it is one of.
type gapRow struct {
	Number   int // from 1, by when it began
	Controls []string
	compliance.Gap
}

// words for how a control stands, the worst first.
var words = []struct{ status, word string }{
	{document.StatusFail, "FAILS"},
	{document.StatusUnknown, "unknown"},
	{compliance.StatusUnproven, "not yet proven by the platform"},
	{compliance.StatusReported, "shown by reports, for a person to judge"},
	{document.StatusPass, "passes"},
	{document.StatusNotApplicable, "not applicable"},
}

func word(status string) string {
	for _, w := range words {
		if w.status == status {
			return w.word
		}
	}
	return status
}

// Word is how the control stood at the end of the period.
func (r controlRow) Word() string { return word(r.Status) }

// Word is what was wrong.
func (g gapRow) Word() string { return word(g.Status) }

// Lasted is how long.
func (g gapRow) Lasted() time.Duration { return g.To.Sub(g.From).Round(time.Second) }

// Share is the share of time in which the control passed, never rounded up to
// all of it.
func (r controlRow) Share() string {
	switch h := r.History; {
	case !h.Judged:
		return ""
	case h.Effectiveness == 1:
		return "100 %"
	default:
		return fmt.Sprintf("%.3f %%", min(h.Effectiveness*100, 99.999))
	}
}

// controls computes the report from the entries of the period, no later ones.
func (p *export) controls(a About) (*controls, error) {
	out := &controls{About: a, Catalogue: p.cfg.Programme.Digest, Findings: p.items.need("findings")}
	sees := compliance.Sight{}
	for _, s := range p.scopes {
		sees[s] = true // the pack holds the bodies
	}
	recall, err := p.cfg.Programme.Recall(p.ctx, p.cfg.Store, compliance.Period{From: p.pack.From, To: p.pack.To, Size: p.last, Sees: sees})
	if fault.Of(err) == fault.Invalid {
		return out, nil // the ledger did not exist then
	}
	if err != nil {
		return nil, err
	}
	rows, at := map[string]*controlRow{}, map[string]int{}
	for _, c := range p.cfg.Programme.Controls {
		r := controlRow{Control: c, History: recall.History(c)}
		r.draw(p.pack.From, p.pack.To)
		out.gaps(c.ID, r.History.Gaps, at)
		if out.Reaches.IsZero() || r.History.To.Before(out.Reaches) {
			out.Reaches = r.History.To
		}
		rows[c.ID] = &r
		out.Rows = append(out.Rows, &r)
	}
	slices.SortStableFunc(out.Gaps, func(a, b gapRow) int { return a.From.Compare(b.From) })
	out.number(rows)
	out.count()
	out.answer(p.cfg.Programme, rows)
	return out, nil
}

// gaps adds those of a control. Another control that rests on the same check has
// the same ones, as far as its record reaches as far.
func (c *controls) gaps(control string, list []compliance.Gap, at map[string]int) {
	for _, g := range list {
		key := fmt.Sprint(g.Check, g.Scope, g.Subject, g.From.UnixNano(), g.To.UnixNano())
		i, ok := at[key]
		if !ok {
			at[key] = len(c.Gaps)
			c.Gaps = append(c.Gaps, gapRow{Controls: []string{control}, Gap: g})
			continue
		}
		c.Gaps[i].Controls = append(c.Gaps[i].Controls, control)
	}
}

// number gives the gaps their numbers, and each control those of its own.
func (c *controls) number(rows map[string]*controlRow) {
	for i := range c.Gaps {
		c.Gaps[i].Number = i + 1
		for _, id := range c.Gaps[i].Controls {
			rows[id].Gaps = append(rows[id].Gaps, i+1)
		}
	}
}

// Shown are the gaps that fit a page.
func (c *controls) Shown() []gapRow { return c.Gaps[:min(len(c.Gaps), maxHTMLRows)] }

func (c *controls) count() {
	for _, w := range words {
		n := 0
		for _, r := range c.Rows {
			if r.Status == w.status {
				n++
			}
		}
		c.Counts = append(c.Counts, wordCount{w.status, w.word, n})
	}
}

// controlJSON is a row of controls.json, for programs: signed with the pack and
// made of entries that are proven.
type controlJSON struct {
	ID            string               `json:"id"`
	Title         string               `json:"title"`
	Responsible   map[string]string    `json:"responsible"`
	Maps          []compliance.Mapping `json:"maps"`
	Proof         compliance.Proof     `json:"proof"`
	From          time.Time            `json:"from"`
	To            time.Time            `json:"to"`
	Status        string               `json:"status"`        // at the end
	Effectiveness *float64             `json:"effectiveness"` // share of time in pass, null = nothing to judge
	Intervals     []intervalJSON       `json:"intervals"`
	Gaps          []gapJSON            `json:"gaps"`
}

type intervalJSON struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Status string    `json:"status"`
}

type gapJSON struct {
	intervalJSON
	Open     bool     `json:"open"`
	Check    string   `json:"check"`
	Subject  string   `json:"subject"`
	Name     string   `json:"name"`
	Facts    []string `json:"facts"`
	Seq      int64    `json:"seq"`     // that began it, -1 = the check did not run
	EndSeq   int64    `json:"end_seq"` // that ended it, -1 = none did
	Seqs     []int64  `json:"seqs"`
	Owner    string   `json:"owner"`
	MendedBy string   `json:"mended_by"`
}

func (c *controls) json() []controlJSON {
	out := []controlJSON{}
	for _, r := range c.Rows {
		h := r.History
		x := controlJSON{
			ID: r.ID, Title: r.Title, Responsible: r.Responsible, Maps: r.Maps, Proof: r.Proof, From: h.From, To: h.To, Status: r.Status,
			Intervals: []intervalJSON{}, Gaps: []gapJSON{},
		}
		if h.Judged {
			x.Effectiveness = &h.Effectiveness
		}
		for _, i := range h.Intervals {
			x.Intervals = append(x.Intervals, intervalJSON{i.From, i.To, i.Status})
		}
		for _, g := range h.Gaps {
			x.Gaps = append(x.Gaps, gapJSON{
				intervalJSON{g.From, g.To, g.Status},
				g.Open, g.Check, g.Subject, g.Name, g.Facts, g.Seq, g.EndSeq, g.Seqs, g.Owner, g.MendedBy,
			})
		}
		out = append(out, x)
	}
	return out
}
