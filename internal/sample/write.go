package sample

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pack"
)

//go:embed sample.html
var pageText string

//go:embed sample.css
var styleText string

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"style": func() template.CSS { return template.CSS(styleText) }, //nolint:gosec // our own file
	"why":   func(why string) string { return reasons[why] },
	"inc":   func(n int) int { return n + 1 },
}).Parse(pageText))

// reasons say in words why an entry is part of a story.
var reasons = map[string]string{
	Drawn:    "the item itself",
	Same:     "changed or was aimed at something that the item is about",
	Naming:   "made or changed something that names the item",
	Cause:    "brought the item about, or was brought about by it",
	Standing: "left something that the item names as it stood then",
}

// page is what the pages show.
type page struct {
	*Sample
	Result   *pack.Result
	Dossiers []*Dossier
	Dossier  *Dossier // of the page, nil in the list of all
}

// Write writes a sample and its dossiers to a directory that is not there yet:
// pages to read and print, and the same as JSON.
func Write(dir string, s *Sample, r *pack.Result, dossiers []*Dossier) error {
	if err := os.Mkdir(dir, 0o700); errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Conflict, "%s exists already. Name another directory with --out.", dir)
	} else if err != nil {
		return err
	}
	p := page{Sample: s, Result: r, Dossiers: dossiers}
	if err := p.write(dir, "index", "sample", s); err != nil {
		return err
	}
	for i, d := range dossiers {
		p.Dossier = d
		if err := p.write(dir, d.File(i), "dossier", d); err != nil {
			return err
		}
	}
	return nil
}

// File is the name of a dossier's files without their ends: its number, from 0,
// and the entry.
func (d *Dossier) File(i int) string { return fmt.Sprintf("%03d-%d", i+1, d.Seq) }

func (p page) write(dir, name, template string, v any) error {
	var html bytes.Buffer
	if err := pages.ExecuteTemplate(&html, template, p); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, name+".html"), html.Bytes(), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".json"), append(text, '\n'), 0o600)
}
