// Package paper lays out short documents for people who print: headings, text
// and tables as PDF.
//
// Invariants: the same content gives the same bytes; there is nothing in it that
// runs or leads out; what the font cannot show is shown by its number and never
// left out.
// internal/evidence writes the summary of a pack with it.
package paper

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
)

// The fonts are DejaVu Sans Condensed; fonts/LICENSE allows to hand them on.
var (
	//go:embed fonts/DejaVuSansCondensed.ttf
	regular []byte
	//go:embed fonts/DejaVuSansCondensed-Bold.ttf
	bold []byte
)

// Measures, in millimetres and points.
const (
	margin   = 18.0
	body     = 9.5
	small    = 8.0
	leading  = 1.45
	pointMM  = 25.4 / 72
	family   = "text"
	maxCell  = 1200 // characters of a cell of a table
	pageSize = "Letter"
)

type colour struct{ r, g, b int }

var (
	ink  = colour{28, 36, 48}
	soft = colour{91, 102, 117}
	wash = colour{238, 241, 245}
	line = colour{217, 222, 229}
	bad  = colour{163, 38, 28}
	good = colour{29, 107, 60}
)

// Document is one in the making.
type Document struct {
	pdf   *fpdf.Fpdf
	width float64 // between the margins
	odd   bool    // it has characters that the font does not have
}

// New begins a document. The footer is on every page, with its number.
func New(title, footer string, at time.Time) *Document {
	pdf := fpdf.New("P", "mm", pageSize, "")
	d := &Document{pdf: pdf}
	pdf.SetCatalogSort(true)
	pdf.SetCreationDate(at.UTC())
	pdf.SetModificationDate(at.UTC())
	pdf.SetTitle(title, true)
	pdf.SetLang("en")
	pdf.AddUTF8FontFromBytes(family, "", regular)
	pdf.AddUTF8FontFromBytes(family, "B", bold)
	pdf.SetMargins(margin, margin, margin)
	pdf.SetAutoPageBreak(true, margin+4)
	pdf.SetCellMargin(0)
	pdf.AliasNbPages("{pages}")
	footer = d.printable(footer)
	pdf.SetFooterFunc(func() {
		pdf.SetY(-margin + 3)
		d.style("", small, soft)
		pdf.CellFormat(d.width-25, height(small), footer, "", 0, "L", false, 0, "")
		pdf.CellFormat(25, height(small), fmt.Sprintf("Page %d of {pages}", pdf.PageNo()), "", 0, "R", false, 0, "")
	})
	w, _ := pdf.GetPageSize()
	d.width = w - 2*margin
	pdf.AddPage()
	d.style("B", 18, ink)
	pdf.MultiCell(0, height(18), d.printable(title), "", "L", false)
	pdf.Ln(1)
	return d
}

func height(size float64) float64 { return size * pointMM * leading }

func (d *Document) style(style string, size float64, c colour) {
	d.pdf.SetFont(family, style, size)
	d.pdf.SetTextColor(c.r, c.g, c.b)
}

// Heading begins a section. It does not stand alone at the end of a page.
func (d *Document) Heading(text string) {
	d.room(28)
	d.pdf.Ln(3)
	d.style("B", 12.5, ink)
	d.pdf.MultiCell(0, height(12.5), d.printable(text), "", "L", false)
	d.pdf.Bookmark(d.printable(text), 0, -1)
	d.pdf.Ln(1)
}

// Text writes a paragraph.
func (d *Document) Text(text string) {
	d.style("", body, ink)
	d.pdf.MultiCell(0, height(body), d.printable(text), "", "L", false)
	d.pdf.Ln(1.5)
}

// Code writes a line that is to be typed.
func (d *Document) Code(text string) {
	d.style("B", body, ink)
	d.pdf.SetFillColor(wash.r, wash.g, wash.b)
	d.pdf.SetCellMargin(2)
	d.pdf.MultiCell(0, height(body)+1.5, d.printable(text), "", "L", true)
	d.pdf.SetCellMargin(0)
	d.pdf.Ln(1.5)
}

// room begins a new page if there is less than that left on this one.
func (d *Document) room(mm float64) {
	_, h := d.pdf.GetPageSize()
	if d.pdf.GetY()+mm > h-margin-4 {
		d.pdf.AddPage()
	}
}

// Write ends the document.
func (d *Document) Write(w io.Writer) error {
	if d.odd {
		d.pdf.Ln(3)
		d.style("", small, soft)
		d.pdf.MultiCell(0, height(small), "Characters that the font of this document does not have are shown by their number, as in [U+5C71]. The pages and tables of the pack have them as they were written.", "", "L", false)
	}
	return d.pdf.Output(w)
}

// cut keeps a cell within reason, and says so.
func cut(s string) string {
	r := []rune(s)
	if len(r) <= maxCell {
		return s
	}
	return string(r[:maxCell]) + fmt.Sprintf(" … [cut here: it has %d characters]", len(r))
}

// printable keeps what the font has, and gives the number of the rest. Marks
// that reorder text or cannot be seen are among the rest.
func (d *Document) printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\t', r == '\r':
			b.WriteByte(' ')
		case r == '\n', has(r):
			b.WriteRune(r)
		default:
			d.odd = true
			fmt.Fprintf(&b, "[U+%04X]", r)
		}
	}
	return b.String()
}

// shown are the ranges of characters that both fonts have, without those that
// are invisible or turn text round.
var shown = [][2]rune{
	{' ', '~'},
	{0xA0, 0xAC},
	{0xAE, 0x2E9},
	{0x300, 0x34E},
	{0x370, 0x377},
	{0x384, 0x38A},
	{0x38E, 0x3A1},
	{0x3A3, 0x525},
	{0x531, 0x556},
	{0x561, 0x587},
	{0x10D0, 0x10FC},
	{0x1E00, 0x1EFB},
	{0x2010, 0x2027},
	{0x2030, 0x205E},
	{0x2070, 0x2071},
	{0x2074, 0x208E},
	{0x20A0, 0x20B5},
	{0x2100, 0x2109},
	{0x2190, 0x2311},
}

func has(r rune) bool {
	for _, x := range shown {
		if r >= x[0] && r <= x[1] {
			return true
		}
	}
	return false
}
