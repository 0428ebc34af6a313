package evidence

import (
	"bytes"
	"embed"
	"encoding/csv"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
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
	Head []string
	Rows [][]string
}

// writePages writes the readable reports, their summaries, and the index.
func (p *export) writePages(w *pack.Writer, pages []page) error {
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
	for _, page := range pages {
		t, err := readTable(a, page)
		if err != nil {
			return err
		}
		tables = append(tables, t)
		if err := render(w, "reports/"+page.Name+".html", "report.html", t); err != nil {
			return err
		}
	}
	people := summarize(a, tables)
	if err := render(w, "reports/people.html", "people.html", people); err != nil {
		return err
	}
	isolation, err := p.isolation(a)
	if err != nil {
		return err
	}
	if err := render(w, "reports/isolation.html", "isolation.html", isolation); err != nil {
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

func readTable(a About, p page) (table, error) {
	r := csv.NewReader(bytes.NewReader(p.csv))
	t := table{About: a, Definition: p.Definition}
	var err error
	if t.Head, err = r.Read(); err != nil {
		return t, fmt.Errorf("report %s: %w", p.Name, err)
	}
	for {
		row, err := r.Read()
		if err == io.EOF {
			return t, nil
		}
		if err != nil {
			return t, fmt.Errorf("report %s: %w", p.Name, err)
		}
		t.Rows = append(t.Rows, row)
	}
}

// Shown are the rows that fit a page.
func (t table) Shown() [][]string { return t.Rows[:min(len(t.Rows), maxHTMLRows)] }

// people is a summary of who did what.
type people struct {
	About
	People []person
	Roles  []roleCount
}

type person struct {
	Email   string
	Roles   string
	Did     map[string]int // by action
	Denied  int
	Total   int
	Actions []string
}

type roleCount struct {
	Role   string
	Total  int
	Denied int
}

// summarize counts the event reports' rows by person and by role.
func summarize(a About, tables []table) people {
	byPerson, byRole := map[string]*person{}, map[string]*roleCount{}
	for _, t := range tables {
		who, roles, action, outcome := column(t, "who"), column(t, "roles"), column(t, "action"), column(t, "outcome")
		if t.Kind != "" || who < 0 || action < 0 {
			continue
		}
		for _, row := range t.Rows {
			x := byPerson[row[who]]
			if x == nil {
				x = &person{Email: row[who], Did: map[string]int{}}
				byPerson[row[who]] = x
			}
			x.Did[row[action]]++
			x.Total++
			if row[roles] != "[]" {
				x.Roles = row[roles]
			}
			denied := row[outcome] == string(ledger.Denied)
			if denied {
				x.Denied++
			}
			for _, role := range strings.Split(strings.Trim(row[roles], `[]`), ",") {
				role = strings.Trim(role, `"`)
				if byRole[role] == nil {
					byRole[role] = &roleCount{Role: role}
				}
				byRole[role].Total++
				if denied {
					byRole[role].Denied++
				}
			}
		}
	}
	out := people{About: a}
	for _, x := range byPerson {
		for action := range x.Did {
			x.Actions = append(x.Actions, action)
		}
		slices.Sort(x.Actions)
		out.People = append(out.People, *x)
	}
	slices.SortFunc(out.People, func(a, b person) int { return strings.Compare(a.Email, b.Email) })
	for _, r := range byRole {
		out.Roles = append(out.Roles, *r)
	}
	slices.SortFunc(out.Roles, func(a, b roleCount) int { return strings.Compare(a.Role, b.Role) })
	return out
}

func column(t table, title string) int { return slices.Index(t.Head, title) }
