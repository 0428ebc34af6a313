package evidence

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/store"
)

// gathered is what the entries of a pack come to. They are read once: all that
// is told of them is computed while their bodies are written.
type gathered struct {
	headers *spool // a line each
	entry   pack.Entry
	reports []*report
	tally   tally
	blobs   map[string]blobRef // that the period's bodies name
	open    map[string]openSession
	state   int64 // open is as of this many entries
}

// openSession is one that is open at the end. These are kept while the entries
// go by: a past state would be asked for every session that ever was.
type openSession struct {
	*document.Session
	seq int64
}

// report is a provable report in the making.
type report struct {
	Definition
	pack.Report
	csv  *pack.CSV
	text *spool
}

type blobRef struct {
	scope *string
	role  string
	at    int64
}

// newGathered begins the reports. What it returns is to be discarded, also with
// an error.
func (p *export) newGathered() (*gathered, error) {
	g := &gathered{tally: newTally(), blobs: map[string]blobRef{}, open: map[string]openSession{}, state: p.state}
	var err error
	if g.headers, err = newSpool(p.cfg.Temp); err != nil {
		return g, err
	}
	for _, d := range Definitions {
		if !p.items.need(d.Name) {
			continue
		}
		if !p.request.Notice.IsZero() {
			d = d.noticed()
		}
		r, err := p.newReport(d)
		if err != nil {
			return g, fmt.Errorf("report %s: %w", d.Name, err)
		}
		g.reports = append(g.reports, r)
	}
	return g, nil
}

func (p *export) newReport(d Definition) (*report, error) {
	r := &report{Definition: d, Report: d.Report(p.at)}
	var err error
	if r.text, err = newSpool(p.cfg.Temp); err != nil {
		return nil, err
	}
	if r.csv, err = pack.NewCSV(r.text, r.Report, p.period); err != nil {
		return nil, errors.Join(err, r.text.close())
	}
	return r, nil
}

// add takes the next entry whose body the pack holds.
func (g *gathered) add(l *ledger.Line, inPeriod bool) error {
	g.entry.Take(l)
	for _, report := range g.reports {
		if err := report.csv.Add(&g.entry); err != nil {
			return err
		}
	}
	session := l.Seq < g.state && bytes.Contains(l.Body(), []byte(`"kind":"session"`))
	if !inPeriod && !session {
		return nil
	}
	body, err := g.entry.Content()
	if err != nil {
		return &store.Damage{Seq: l.Seq, What: "its body cannot be read"}
	}
	if session {
		if err := g.sessions(l.Seq, body); err != nil {
			return err
		}
	}
	if !inPeriod {
		return nil
	}
	g.tally.add(body)
	for _, b := range body.Blobs {
		if _, ok := g.blobs[b.SHA256]; !ok {
			g.blobs[b.SHA256] = blobRef{l.Parsed.Scope, b.Role, l.Seq}
		}
	}
	return nil
}

// sessions notes which begin and end.
func (g *gathered) sessions(seq int64, body *ledger.Body) error {
	for _, c := range body.Changes {
		if c.Kind != string(document.KindSession) {
			continue
		}
		delete(g.open, c.ID)
		if !bytes.Contains(c.Doc, []byte(`"state":"open"`)) {
			continue // most have ended; no decoding of these
		}
		d, err := document.Decode(document.KindSession, c.Doc)
		if err != nil {
			return &store.Damage{Seq: seq, What: "its session cannot be read"}
		}
		if s, ok := d.(*document.Session); ok && s.State == document.SessionOpen {
			g.open[c.ID] = openSession{s, seq}
		}
	}
	return nil
}

// end ends the reports.
func (g *gathered) end() error {
	for _, r := range g.reports {
		if err := r.csv.Close(); err != nil {
			return err
		}
	}
	return nil
}

// discard gives back what the reports take up on disk.
func (g *gathered) discard() {
	if g.headers != nil {
		_ = g.headers.close()
	}
	for _, r := range g.reports {
		_ = r.text.close() // it was only read since
	}
}
