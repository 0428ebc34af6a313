// Package workbook writes one table as an XLSX workbook to a stream: row by
// row, in memory that does not depend on how many there are.
//
// Invariants: every cell is text or a whole number, never a formula; the same
// rows with the same facts give the same bytes; whatever does not fit a sheet or
// a cell is said to be elsewhere, in words.
// internal/evidence puts one beside each CSV of a pack; why excelize does not do
// it is in docs/adr/0030.
package workbook

import (
	"archive/zip"
	"compress/flate"
	"fmt"
	"io"
	"time"
)

// Bounds of what a spreadsheet program opens.
const (
	maxRows = 1 << 20 // of a sheet, the titles' row among them
	maxCell = 32767   // UTF-16 units of a cell
)

// Table is what is known of a table before its rows.
type Table struct {
	Title  string
	Footer string // of every page on paper
	Head   []string
	Count  int // of rows that will come
	At     time.Time
}

// Fact is a line of the sheet that says what the table is.
type Fact struct{ Name, Says string }

// Writer writes a workbook.
type Writer struct {
	zip   *zip.Writer
	table Table
	rows  int // written
	sheet int // that is being written, from 1; 0 = none yet
	out   io.Writer
	buf   []byte
	first [][]string // rows that wait until the widths are known
	wide  []int
	cut   int // cells that were too long
	limit int // rows of a sheet: maxRows, but for tests
}

// Create begins a workbook.
func Create(w io.Writer, t Table) *Writer {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	return &Writer{zip: z, table: t, limit: maxRows}
}

// sheets is how many sheets of rows there are.
func (w *Writer) sheets() int { return max(1, (w.table.Count+w.limit-2)/(w.limit-1)) }

// Row writes the next row: a cell for each title.
func (w *Writer) Row(cells []string) error {
	if w.sheet == 0 {
		if w.first = append(w.first, cells); len(w.first) < sampled {
			return nil
		}
		return w.begin()
	}
	return w.row(cells)
}

// begin writes what comes before the first row, and the rows that waited.
func (w *Writer) begin() error {
	w.measure()
	for _, p := range w.parts() {
		if err := w.part(p.name, p.text); err != nil {
			return err
		}
	}
	if err := w.openSheet(); err != nil {
		return err
	}
	for _, cells := range w.first {
		if err := w.row(cells); err != nil {
			return err
		}
	}
	w.first = nil
	return nil
}

func (w *Writer) row(cells []string) error {
	if w.rows == w.table.Count {
		return fmt.Errorf("table %s: more rows than the %d that were to come", w.table.Title, w.table.Count)
	}
	if w.rows > 0 && w.rows%(w.limit-1) == 0 {
		if err := w.closeSheet(); err != nil {
			return err
		}
		if err := w.openSheet(); err != nil {
			return err
		}
	}
	w.rows++
	return w.line(w.onSheet()+1, cells, false)
}

// onSheet is how many rows the sheet has, without the titles.
func (w *Writer) onSheet() int { return w.rows - (w.sheet-1)*(w.limit-1) }

// Close writes the sheet of facts and ends the workbook.
func (w *Writer) Close(facts []Fact) error {
	if w.sheet == 0 {
		if err := w.begin(); err != nil {
			return err
		}
	}
	if err := w.closeSheet(); err != nil {
		return err
	}
	if w.rows != w.table.Count {
		return fmt.Errorf("table %s: %d rows of %d", w.table.Title, w.rows, w.table.Count)
	}
	if err := w.part(sheetPart(0), w.about(append(facts, w.limits()...))); err != nil {
		return err
	}
	return w.zip.Close()
}

// limits says what of the table a spreadsheet cannot show as it is.
func (w *Writer) limits() (out []Fact) {
	if n := w.sheets(); n > 1 {
		out = append(out, Fact{"Sheets", fmt.Sprintf("A sheet has room for %d rows. The table goes on from one to the next, up to the sheet %q.", w.limit-1, rowsName(n))})
	}
	if w.cut > 0 {
		out = append(out, Fact{"Long cells", fmt.Sprintf("A cell has room for %d characters. %s longer and cut, and said to be where that is so; the CSV has all of it.", maxCell, cells(w.cut))})
	}
	return out
}

func cells(n int) string {
	if n == 1 {
		return "One cell was"
	}
	return fmt.Sprintf("%d cells were", n)
}

func (w *Writer) part(name, text string) error {
	out, err := w.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: w.table.At.UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, text)
	return err
}
