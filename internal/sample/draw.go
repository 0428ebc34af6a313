// Package sample draws samples from evidence packs, and tells the story of each
// item: every entry of the pack that belongs to it.
//
// The auditor names the seed after having received the pack, so whoever wrote
// the pack could not know which items would be looked at. The order in which
// items are taken is a hash of the seed, so anybody draws the same sample.
// docs/reference/sampling.md has the rules for people who do it another way.
//
// Invariants. Only a pack that passed every check is read. It is read in passes:
// what is kept is the sample and its stories, never the pack. Called by cli;
// internal/evidence/reader does the same for whoever has the pack in a browser.
package sample

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pack"
)

// MaxCount bounds a sample.
const MaxCount = 500

// maxSeed is the length of the longest seed.
const maxSeed = 200

// Ask is what an auditor asks for.
type Ask struct {
	Report string  `json:"report"` // name of a provable report, or its path in the pack
	Seed   string  `json:"seed"`
	Count  int     `json:"count"`
	Where  []Equal `json:"where"` // rows that do not have all of these are not in the population
}

// Equal is a column and the text that it must hold.
type Equal struct {
	Column string `json:"column"`
	Value  string `json:"value"`
}

// Sample is what was drawn.
type Sample struct {
	Ask
	Path       string   `json:"path"` // of the report
	Head       []string `json:"columns"`
	Population int      `json:"population"`
	Items      []*Item  `json:"items"`
}

// Item is a row that was drawn.
type Item struct {
	Order    string   `json:"order"`    // hex of the digest that items are taken by
	Identity string   `json:"identity"` // of the row: "<seq>", or "<seq> <document>" in a state report
	Seq      int64    `json:"seq"`
	Document string   `json:"document,omitempty"` // id
	Cells    []string `json:"cells"`
}

// Draw takes the first items of the population in the order that the seed gives.
func Draw(ctx context.Context, p *pack.Pack, a Ask) (*Sample, error) {
	report, err := a.check(p)
	if err != nil {
		return nil, err
	}
	s := &Sample{Ask: a, Path: report.CSV}
	for _, c := range report.Columns {
		s.Head = append(s.Head, c[0])
	}
	where, err := s.where()
	if err != nil {
		return nil, err
	}
	rows, err := pack.NewRows(report, p.Result.Manifest.Period)
	if err != nil {
		return nil, err
	}
	take := func(r pack.Row) error { return s.take(r, where) }
	if err := p.Entries(ctx, func(e *pack.Entry) error { return rows.Add(e, take) }); err != nil {
		return nil, err
	}
	return s, rows.Finish(take)
}

// check finds the report that is asked for.
func (a Ask) check(p *pack.Pack) (pack.Report, error) {
	var names []string
	switch {
	case !validSeed(a.Seed):
		return pack.Report{}, fault.New(fault.Invalid, "A seed has 1 to %d printable ASCII characters and does not begin or end with a space: so it is the same wherever it is typed.", maxSeed)
	case a.Count < 1 || a.Count > MaxCount:
		return pack.Report{}, fault.New(fault.Invalid, "A sample has 1 to %d items.", MaxCount)
	}
	for _, r := range p.Reports() {
		name := strings.TrimSuffix(strings.TrimPrefix(r.CSV, "reports/"), ".csv")
		if a.Report == r.CSV || a.Report == name {
			return r, nil
		}
		names = append(names, name)
	}
	return pack.Report{}, fault.New(fault.NotFound, "The pack has no provable report %.80q. It has: %s.", a.Report, strings.Join(names, ", "))
}

func validSeed(s string) bool {
	odd := func(r rune) bool { return r < ' ' || r > '~' }
	return s != "" && len(s) <= maxSeed && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, odd)
}

// where finds the columns that the population is limited by.
func (s *Sample) where() (map[int]string, error) {
	out := map[int]string{}
	for _, w := range s.Where {
		i := slices.Index(s.Head, w.Column)
		if i < 0 {
			return nil, fault.New(fault.NotFound, "The report has no column %.80q. It has: %.2000q.", w.Column, s.Head)
		}
		if old, twice := out[i]; twice && old != w.Value {
			return nil, fault.New(fault.Invalid, "No row has two values in the column %q.", w.Column)
		}
		out[i] = w.Value
	}
	return out, nil
}

// take looks at a row: is it of the population, and among its first?
func (s *Sample) take(r pack.Row, where map[int]string) error {
	var cells []string
	if len(where) > 0 {
		var err error
		if cells, err = readCells(r.Line); err != nil {
			return err
		}
		for i, value := range where {
			if cells[i] != value {
				return nil
			}
		}
	}
	s.Population++
	identity := Identity(r.Seq, r.ID)
	order := Order(s.Seed, s.Path, identity)
	at, _ := slices.BinarySearchFunc(s.Items, order, func(i *Item, order string) int { return strings.Compare(i.Order, order) })
	if at >= s.Count {
		return nil
	}
	if cells == nil {
		var err error
		if cells, err = readCells(r.Line); err != nil {
			return err
		}
	}
	s.Items = slices.Insert(s.Items, at, &Item{order, identity, r.Seq, r.ID, cells})
	s.Items = s.Items[:min(len(s.Items), s.Count)]
	return nil
}

// Identity names a row of a report.
func Identity(seq int64, document string) string {
	if document == "" {
		return strconv.FormatInt(seq, 10)
	}
	return strconv.FormatInt(seq, 10) + " " + document
}

// Order is what rows are sorted by.
func Order(seed, path, identity string) string {
	sum := sha256.Sum256([]byte(seed + "\x00" + path + "\x00" + identity))
	return hex.EncodeToString(sum[:])
}

func readCells(line []byte) ([]string, error) {
	cells, err := csv.NewReader(bytes.NewReader(line)).Read()
	if err != nil {
		return nil, fmt.Errorf("read a row: %w", err)
	}
	return cells, nil
}
