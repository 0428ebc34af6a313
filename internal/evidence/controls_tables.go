package evidence

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
)

// matrixHead are the columns of controls.csv.
var matrixHead = []string{
	"seq", "framework", "requirement", "title of the requirement", "kind", "control", "title of the control", "extent", "at the end", "passed for",
	"gaps", "on record from", "on record to", "responsible", "checks", "reports", "records", "not there yet",
}

// gapsHead are the columns of gaps.csv.
var gapsHead = []string{
	"seq", "gap", "from", "to", "seconds", "went on", "controls", "check", "of", "status", "cause", "seen in entries", "ended by entry", "finding", "owner", "mended by",
}

// writeControls writes the report's two tables: the matrix and the gaps.
func (p *export) writeControls(w *pack.Writer, c *controls) error {
	if err := p.writeTable(w, c.About, caption{
		"controls", "Controls",
		"Which control answers to which requirement, how it stood at the end, and for which share of the time in which there was something to judge it passed. " +
			"The numbers of its gaps are those of gaps.xlsx. A row without a sequence number is of a control that no entry says something of, or of a requirement that no control answers to.",
		"every requirement of every framework, with each control that answers to it, and every control that answers to none", false,
	}, matrixHead, c.matrix()); err != nil {
		return err
	}
	return p.writeTable(w, c.About, caption{
		"gaps", "Gaps",
		"What did not pass, from when to when, why, whose it was and who mended it. A row without a sequence number is of a time in which the check did not run: that is unknown, never a pass.",
		"every time in the period in which what a check of a control looks at failed or was unknown, as far as the entries tell", false,
	}, gapsHead, c.gapRows())
}

// matrix has a row for each answer to a requirement.
func (c *controls) matrix() (out [][]string) {
	for _, f := range c.Frameworks {
		for _, q := range f.Rows {
			of := []string{f.ID, q.Requirement.ID, q.Requirement.Title, q.Kind}
			for _, a := range q.Answers {
				out = append(out, a.Row.cells(of, a.Extent))
			}
			if len(q.Answers) == 0 {
				row := make([]string, len(matrixHead))
				copy(row[1:], of)
				row[8] = q.Word()
				out = append(out, row)
			}
		}
	}
	for _, r := range c.Rows {
		if len(r.Maps) == 0 {
			out = append(out, r.cells(make([]string, 4), ""))
		}
	}
	return out
}

// cells are a line of the matrix: of what the control answers to, and how far.
func (r *controlRow) cells(of []string, extent string) []string {
	seq := int64(-1)
	if n := len(r.History.Intervals); n > 0 {
		seq = r.History.Intervals[n-1].Seq
	}
	var responsible []string
	for _, who := range slices.Sorted(maps.Keys(r.Responsible)) {
		responsible = append(responsible, who+": "+r.Responsible[who])
	}
	p := r.Proof
	missing := slices.Clone(p.Planned)
	if p.Missing != "" {
		missing = append(missing, p.Missing)
	}
	return slices.Concat([]string{entryNumber(seq)}, of, []string{
		r.ID, r.Title, extent, r.Word(), r.Share(), numbers(r.Gaps), ledger.FormatTime(r.History.From), ledger.FormatTime(r.History.To),
		strings.Join(responsible, "; "), strings.Join(p.Checks, " "), strings.Join(p.Reports, " "), strings.Join(p.Records, "; "), strings.Join(missing, "; "),
	})
}

func (c *controls) gapRows() (out [][]string) {
	for _, g := range c.Gaps {
		went := ""
		if g.Open {
			went = "when the record ends"
		}
		out = append(out, []string{
			entryNumber(g.Seq), strconv.Itoa(g.Number), ledger.FormatTime(g.From), ledger.FormatTime(g.To), strconv.FormatInt(int64(g.Lasted()/time.Second), 10), went,
			strings.Join(g.Controls, " "), g.Check, g.Name, g.Word(), strings.Join(g.Facts, " "), numbers(g.Seqs), entryNumber(g.EndSeq), g.Finding, g.Owner, g.MendedBy,
		})
	}
	return out
}

// numbers are some, with spaces between.
func numbers[N int | int64](list []N) string { return strings.Trim(fmt.Sprint(list), "[]") }

// entryNumber is empty for what no entry says.
func entryNumber(seq int64) string {
	if seq < 0 {
		return ""
	}
	return strconv.FormatInt(seq, 10)
}
