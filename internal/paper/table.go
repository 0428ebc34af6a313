package paper

import "strings"

// Column of a table: its title, and its share of the width.
type Column struct {
	Title string
	Share float64
}

// Tone is how a cell is shown.
type Tone int

// The tones: as text is, as what is wrong, and as what is right.
const (
	Plain Tone = iota
	Bad
	Good
)

// Cell of a table.
type Cell struct {
	Text string
	Tone Tone
}

// Row makes cells of plain text.
func Row(texts ...string) []Cell {
	out := make([]Cell, len(texts))
	for i, s := range texts {
		out[i].Text = s
	}
	return out
}

// gap is the space around what is in a cell.
const gap = 1.2

// Table writes a table with titles, again on each page that it goes on to.
func (d *Document) Table(columns []Column, rows [][]Cell) {
	d.titles(columns)
	for _, row := range rows {
		d.row(columns, row)
	}
	d.pdf.Ln(2)
}

// Facts writes a table of names and what they stand for.
func (d *Document) Facts(facts [][2]string) {
	d.line()
	for _, f := range facts {
		d.row([]Column{{"", 0.17}, {"", 0.83}}, Row(f[0], f[1]))
	}
	d.pdf.Ln(2)
}

func (d *Document) titles(columns []Column) {
	h := height(small) + 2*gap
	d.room(3 * h)
	y := d.pdf.GetY()
	d.pdf.SetFillColor(wash.r, wash.g, wash.b)
	d.pdf.Rect(margin, y, d.width, h, "F")
	d.style("B", small, ink)
	x := margin
	for _, c := range columns {
		d.pdf.SetXY(x+gap, y+gap)
		d.pdf.CellFormat(c.Share*d.width-2*gap, height(small), d.printable(c.Title), "", 0, "L", false, 0, "")
		x += c.Share * d.width
	}
	d.pdf.SetXY(margin, y+h)
	d.line()
}

// row writes one, on a new page if it does not fit this one.
func (d *Document) row(columns []Column, row []Cell) {
	d.style("", small, ink)
	lines, most := make([][]string, len(row)), 1
	for i, c := range row {
		lines[i] = d.split(c.Text, columns[i].Share*d.width-2*gap)
		most = max(most, len(lines[i]))
	}
	for at := 0; at < most; {
		fit := d.fits(most - at)
		if fit == 0 {
			d.pdf.AddPage()
			if columns[0].Title != "" {
				d.titles(columns)
			}
			continue
		}
		d.part(columns, row, lines, at, fit)
		at += fit
	}
	d.line()
}

// fits is how many of so many lines go on this page: none, if all would fit the
// next and do not fit this one.
func (d *Document) fits(lines int) int {
	_, h := d.pdf.GetPageSize()
	space := func(from float64) int { return max(0, int((h-margin-4-from-2*gap)/height(small))) }
	here := space(d.pdf.GetY())
	if lines <= here {
		return lines
	}
	if lines <= space(margin+3*height(small)) {
		return 0
	}
	return here
}

func (d *Document) part(columns []Column, row []Cell, lines [][]string, at, count int) {
	x, y := margin, d.pdf.GetY()
	for i, c := range row {
		tone := ink
		switch c.Tone {
		case Bad:
			tone = bad
		case Good:
			tone = good
		}
		d.style("", small, tone)
		for n := at; n < min(at+count, len(lines[i])); n++ {
			d.pdf.SetXY(x+gap, y+gap+float64(n-at)*height(small))
			d.pdf.CellFormat(columns[i].Share*d.width-2*gap, height(small), lines[i][n], "", 0, "L", false, 0, "")
		}
		x += columns[i].Share * d.width
	}
	d.pdf.SetXY(margin, y+float64(count)*height(small)+2*gap)
}

// split wraps text.
func (d *Document) split(text string, width float64) (out []string) {
	for line := range strings.SplitSeq(d.printable(cut(text)), "\n") {
		out = append(out, d.pdf.SplitText(line, width)...)
	}
	return out
}

func (d *Document) line() {
	d.pdf.SetDrawColor(line.r, line.g, line.b)
	d.pdf.SetLineWidth(0.2)
	d.pdf.Line(margin, d.pdf.GetY(), margin+d.width, d.pdf.GetY())
}
