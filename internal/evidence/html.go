package evidence

import (
	"bytes"
	"embed"
	"encoding/csv"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/strongroom/strongroom/internal/evidence/reader"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
)

//go:embed html
var htmlFiles embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"day":    day,
	"moment": func(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04:05") },
	"date":   func(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04") },
}).ParseFS(htmlFiles, "html/*.html"))

// About is what every page says of the pack it is in.
type About struct {
	Space, Installation, Program, Fingerprint, Origin string
	From, To, Created                                 time.Time
	Notice                                            time.Time // whose state is shown; zero: the period's end
	Only                                              []string  // items that were asked for; nil: all
	Entries                                           int64
	Simulated                                         bool // the installation is one whose record is made up
	Style                                             template.CSS
}

// table is a report for reading: the rows of its CSV.
type table struct {
	About
	Definition
	Head  []string
	Rows  [][]string // the first maxHTMLRows
	Count int        // all rows
}

// about is what the pages say of this pack.
func (p *export) about() About {
	return About{
		Space: p.space.Name, Installation: p.cfg.Installation.ID, Program: p.cfg.Program,
		Fingerprint: ledger.Fingerprint(p.cfg.Installation.LogKey), Origin: p.checkpoint.Origin,
		From: p.pack.From, To: p.pack.To, Created: p.cfg.Now(), Notice: p.request.Notice, Only: p.request.Items,
		Entries: p.checkpoint.Size, Simulated: p.cfg.Installation.Simulated, Style: template.CSS(reader.Style()), //nolint:gosec // our own file
	}
}

// writePages writes the readable reports, the folders of the items, and the
// index.
func (p *export) writePages(w *pack.Writer, g *gathered) error {
	a := p.about()
	var tables []table
	for _, r := range g.reports {
		t, err := p.readTable(w, a, r)
		if err != nil {
			return err
		}
		tables = append(tables, t)
		if err := render(w, "reports/"+r.Name+".html", "report.html", t); err != nil {
			return err
		}
	}
	controls, err := p.writeAssembled(w, a, g)
	if err != nil {
		return err
	}
	if err := p.writeSummary(w, a, tables, g, controls); err != nil {
		return err
	}
	if err := p.items.write(w, a); err != nil {
		return err
	}
	return p.writeIndex(w, a, tables)
}

// writeAssembled writes the reports that are no provable tables, and returns
// that on controls.
func (p *export) writeAssembled(w *pack.Writer, a About, g *gathered) (*controls, error) {
	if p.items.need("people") {
		if err := render(w, "reports/people.html", "people.html", g.tally.summary(a)); err != nil {
			return nil, err
		}
	}
	if err := p.writeState(w, a, g); err != nil {
		return nil, err
	}
	controls, err := p.controls(a)
	if err != nil {
		return nil, err
	}
	p.items.answered(controls)
	if err := render(w, "reports/controls.html", "controls.html", controls); err != nil {
		return nil, err
	}
	if err := w.AddJSON("reports/controls.json", controls.json()); err != nil {
		return nil, err
	}
	return controls, p.writeControls(w, controls)
}

// writeState writes what is drawn from the state of the space.
func (p *export) writeState(w *pack.Writer, a About, g *gathered) error {
	if !p.items.need("isolation") && !p.items.need("phi-paths") {
		return nil
	}
	isolation, err := p.isolation(a, g)
	if err != nil {
		return err
	}
	if p.items.need("isolation") {
		if err := render(w, "reports/isolation.html", "isolation.html", isolation); err != nil {
			return err
		}
	}
	if !p.items.need("phi-paths") {
		return nil
	}
	return p.writePHI(w, a, isolation)
}

func render(w *pack.Writer, path, name string, data any) error {
	var buf bytes.Buffer
	if err := templates.ExecuteTemplate(&buf, name, data); err != nil {
		return fmt.Errorf("page %s: %w", path, err)
	}
	return w.AddBytes(path, buf.Bytes())
}

// maxHTMLRows bounds a page; the CSV beside it has every row.
const maxHTMLRows = 5000

// readTable reads a report once, for its page, for the items and for its
// workbook, which it writes.
func (p *export) readTable(w *pack.Writer, a About, from *report) (table, error) {
	t := table{About: a, Definition: from.Definition, Count: from.csv.Count()}
	in, err := from.text.reader()
	if err != nil {
		return t, err
	}
	t.Head, t.Rows, err = p.readRows(w, a, from.caption(), in, t.Count)
	return t, err
}

// readRows reads a CSV for the items and for its workbook, which it writes, and
// gives its first rows.
func (p *export) readRows(w *pack.Writer, a About, x caption, in io.Reader, count int) (head []string, first [][]string, err error) {
	r := csv.NewReader(in)
	if head, err = r.Read(); err != nil {
		return nil, nil, fmt.Errorf("report %s: %w", x.name, err)
	}
	p.items.begin(x.name, head)
	book, err := newBook(w, a, x, head, count)
	if err != nil {
		return nil, nil, err
	}
	for {
		row, err := r.Read()
		if err == io.EOF {
			return head, first, book.end()
		}
		if err != nil {
			return nil, nil, fmt.Errorf("report %s: %w", x.name, err)
		}
		p.items.take(x.name, row)
		if len(first) < maxHTMLRows {
			first = append(first, row)
		}
		if err := book.Row(row); err != nil {
			return nil, nil, fmt.Errorf("report %s: %w", x.name, err)
		}
	}
}

// writeTable writes a table that no verifier computes, as CSV and as workbook. It
// is signed with the pack, and its rows name the entries that they follow from.
func (p *export) writeTable(w *pack.Writer, a About, x caption, head []string, rows [][]string) error {
	out := pack.AppendRow(nil, head...)
	for _, row := range rows {
		out = pack.AppendRow(out, row...)
	}
	if err := w.AddBytes("reports/"+x.name+".csv", out); err != nil {
		return err
	}
	_, _, err := p.readRows(w, a, x, bytes.NewReader(out), len(rows))
	return err
}
