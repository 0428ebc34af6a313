package evidence

import (
	"bytes"
	"embed"
	"encoding/csv"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
)

//go:embed html
var htmlFiles embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"day": func(t time.Time) string { return t.UTC().Format("2 January 2006 15:04:05 UTC") },
}).ParseFS(htmlFiles, "html/*.html"))

// About is what every page says of the pack it is in.
type About struct {
	Space, Installation, Program, Fingerprint, Origin string
	From, To, Created                                 time.Time
	Entries                                           int64
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

// writePages writes the readable reports, their summaries, and the index.
func (p *export) writePages(w *pack.Writer, g *gathered) error {
	style, err := htmlFiles.ReadFile("html/style.css")
	if err != nil {
		return err
	}
	a := About{
		Space: p.space.Name, Installation: p.cfg.Installation.ID, Program: p.cfg.Program,
		Fingerprint: ledger.Fingerprint(p.cfg.Installation.LogKey), Origin: p.checkpoint.Origin,
		From: p.pack.From, To: p.pack.To, Created: p.cfg.Now(), Entries: p.checkpoint.Size, Style: template.CSS(style), //nolint:gosec // our own file
	}
	var tables []table
	items := newItems(p.cfg.Programme, nil)
	for _, r := range g.reports {
		t, err := readTable(a, r, items)
		if err != nil {
			return err
		}
		tables = append(tables, t)
		if err := render(w, "reports/"+r.Name+".html", "report.html", t); err != nil {
			return err
		}
	}
	if err := render(w, "reports/people.html", "people.html", g.tally.summary(a)); err != nil {
		return err
	}
	isolation, err := p.isolation(a, g)
	if err != nil {
		return err
	}
	if err := render(w, "reports/isolation.html", "isolation.html", isolation); err != nil {
		return err
	}
	controls, err := p.controls(a)
	if err != nil {
		return err
	}
	if err := render(w, "reports/controls.html", "controls.html", controls); err != nil {
		return err
	}
	if err := w.AddJSON("reports/controls.json", controls.json()); err != nil {
		return err
	}
	if err := writePHI(w, a, isolation, items); err != nil {
		return err
	}
	items.answered(controls)
	if err := items.write(w, a); err != nil {
		return err
	}
	return render(w, "index.html", "index.html", struct {
		About
		Tables []table
	}{a, tables})
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

// readTable reads a report for its page, and shows each row to the items.
func readTable(a About, from *report, items *items) (table, error) {
	r := csv.NewReader(bytes.NewReader(from.text.Bytes()))
	t := table{About: a, Definition: from.Definition}
	var err error
	if t.Head, err = r.Read(); err != nil {
		return t, fmt.Errorf("report %s: %w", from.Name, err)
	}
	items.begin(from.Name, t.Head)
	for {
		row, err := r.Read()
		if err == io.EOF {
			return t, nil
		}
		if err != nil {
			return t, fmt.Errorf("report %s: %w", from.Name, err)
		}
		items.take(from.Name, row)
		if t.Count++; t.Count <= maxHTMLRows {
			t.Rows = append(t.Rows, row)
		}
	}
}
