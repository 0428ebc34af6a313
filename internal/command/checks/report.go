// Package checks has the commands of continuous compliance: what checks say,
// that they ran, and what becomes of what they found.
//
// Invariants: a status changes only by what a check says; a failure has exactly
// one finding that is not closed; only the check's passing, or the end of its
// subject, closes a finding. internal/compliance calls Report and Beat, internal/api
// the others.
package checks

import (
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/alerts"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Bounds of what a status keeps of a run.
const (
	maxFacts = 20
	maxFact  = 500 // bytes
	maxSeqs  = 100
)

// Report records that what a check says of a subject has changed. It opens the
// finding of a failure and closes that of what passes again.
type Report struct {
	Check     string
	Version   int
	Catalogue string
	Scope     string
	Subject   string
	Name      string
	Status    string
	Facts     []string
	Seqs      []int64
	// Of a failure:
	Severity string
	Controls []string
	Due      time.Duration
	// MendedBy is who made the last change that the check reads, once it passes.
	MendedBy string
	// Gone says that the subject is no longer there: its status ends.
	Gone bool

	Result *document.Status

	was *document.Status
}

// Action is check.report.
func (*Report) Action() string { return "check.report" }

// Aim is what was checked.
func (c *Report) Aim(v store.View) (control.Aim, error) {
	list, err := store.Find[*document.Status](v, "one", document.StatusKey(c.Check, c.Scope, c.Subject))
	if err != nil {
		return control.Aim{}, err
	}
	target := ledger.Target{Kind: "check", Name: c.title()}
	if len(list) > 0 {
		c.was = list[0]
		target.ID = c.was.ID
	}
	return control.Aim{Scope: c.Scope, Target: target, Need: authz.System}, nil
}

func (c *Report) title() string {
	if c.Name == "" {
		return c.Check
	}
	return c.Check + " " + c.Name
}

// Decide keeps what the check says. The caller has seen that it is something
// new: every command is an entry.
func (c *Report) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	s := c.was
	if c.Gone {
		return c.end(v, now, d)
	}
	if s == nil {
		s = &document.Status{Base: document.Base{ID: document.NewID()}, Check: c.Check, Scope: c.Scope, Subject: c.Subject, Since: now}
	}
	if s.Status != c.Status {
		s.Before, s.Since = s.Status, now
	}
	s.Version, s.Catalogue, s.Name, s.Status = c.Version, c.Catalogue, c.Name, c.Status
	s.Facts, s.Seqs = Bounded(c.Facts), c.Seqs[:min(len(c.Seqs), maxSeqs)]
	c.Result = s
	d.Put(s)
	d.Note("status", s.Status)
	return c.find(v, now, d)
}

// find brings the finding in line with the status.
func (c *Report) find(v store.View, now time.Time, d *control.Decision) error {
	open, err := store.Find[*document.Finding](v, "open", document.StatusKey(c.Check, c.Scope, c.Subject))
	if err != nil {
		return err
	}
	switch c.Status {
	case document.StatusFail:
		f := c.finding(open, now)
		d.Put(f)
		if len(open) == 0 {
			return alerts.Tell(v, d, f)
		}
	case document.StatusPass, document.StatusNotApplicable:
		return c.close(v, open, now, d)
	}
	return nil
}

func (c *Report) close(v store.View, open []*document.Finding, now time.Time, d *control.Decision) error {
	for _, f := range open {
		f.State, f.ClosedAt, f.MendedBy = document.FindingClosed, &now, c.MendedBy
		d.Put(f)
		if err := alerts.Tell(v, d, f); err != nil {
			return err
		}
	}
	return nil
}

// end ends the status of a subject that is gone.
func (c *Report) end(v store.View, now time.Time, d *control.Decision) error {
	if c.was == nil {
		return fault.New(fault.NotFound, "There is no such status.")
	}
	open, err := store.Find[*document.Finding](v, "open", document.StatusKey(c.Check, c.Scope, c.Subject))
	if err != nil {
		return err
	}
	if err := c.close(v, open, now, d); err != nil {
		return err
	}
	d.Delete(document.KindStatus, c.was.ID)
	d.Note("status", "gone")
	return nil
}

func (c *Report) finding(open []*document.Finding, now time.Time) *document.Finding {
	var f *document.Finding
	if len(open) > 0 {
		f = open[0]
	} else {
		f = &document.Finding{
			Base: document.Base{ID: document.NewID()}, Check: c.Check, Scope: c.Scope, Subject: c.Subject, State: document.FindingOpen,
			OpenedAt: now, DueAt: now.Add(c.Due),
		}
	}
	f.Name, f.Severity, f.Controls = c.Name, c.Severity, c.Controls
	f.Facts, f.Seqs = Bounded(c.Facts), c.Seqs[:min(len(c.Seqs), maxSeqs)]
	return f
}

// Bounded gives the facts as a status keeps them.
func Bounded(facts []string) []string {
	facts = slices.Clone(facts[:min(len(facts), maxFacts)])
	for i, f := range facts {
		if len(f) > maxFact {
			facts[i] = strings.ToValidUTF8(f[:maxFact], "") + "…"
		}
	}
	return facts
}
