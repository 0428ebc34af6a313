package view

import (
	"time"

	"github.com/strongroom/strongroom/internal/document"
)

// Control is how a control stands, in short.
type Control struct {
	ID       string    `json:"id"`
	Title    string    `json:"title"`
	Severity string    `json:"severity"`
	Status   string    `json:"status"` // pass, fail, unknown, not-applicable, reported, unproven
	Since    *Time     `json:"since"`
	Findings int       `json:"findings"` // open or accepted
	Maps     []Mapping `json:"maps"`
	// Over a period, if one was asked for:
	Period *Share `json:"period,omitempty"`
}

// Mapping says how far a control meets a requirement.
type Mapping struct {
	Framework string `json:"framework"`
	To        string `json:"to"`
	Extent    string `json:"extent"`
}

// Share is how far a control held over a period.
type Share struct {
	From          Time     `json:"from"`
	To            Time     `json:"to"`
	Effectiveness *float64 `json:"effectiveness"` // share of time in pass; null = nothing to judge
	Gaps          int      `json:"gaps"`
}

// ControlDetail is a control with everything that is known of it now.
type ControlDetail struct {
	Control
	Statement   string            `json:"statement"`
	Why         string            `json:"why"`
	Responsible map[string]string `json:"responsible"`
	Settings    []string          `json:"settings"`
	Every       string            `json:"every"`
	Failure     string            `json:"failure"`
	Remediation string            `json:"remediation"`
	Depends     []string          `json:"depends"`
	Checks      []Round           `json:"checks"`
	Planned     []string          `json:"planned"` // needed and not there yet
	Reports     []string          `json:"reports"`
	Records     []string          `json:"records"`
	Missing     *string           `json:"missing"`
	Catalogue   string            `json:"catalogue"` // digest
}

// Round is what a check says now.
type Round struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Version int      `json:"version"`
	Every   int64    `json:"every"` // seconds
	Status  string   `json:"status"`
	RanAt   *Time    `json:"ran_at"`
	Late    bool     `json:"late"`
	Says    []Status `json:"says"`
}

// Status is what a check says of a subject. Subject, name and facts are empty
// for those who may only know how the installation stands.
type Status struct {
	Scope   string   `json:"scope"`
	Subject string   `json:"subject"`
	Name    string   `json:"name"`
	Status  string   `json:"status"`
	Since   Time     `json:"since"`
	Facts   []string `json:"facts"`
	Seqs    []int64  `json:"seqs"`
}

// OfStatus shows a status.
func OfStatus(s *document.Status) Status {
	return Status{s.Scope, s.Subject, s.Name, s.Status, Time(s.Since), append([]string{}, s.Facts...), append([]int64{}, s.Seqs...)}
}

// History is how a control stood over a period.
type History struct {
	Control       string     `json:"control"`
	Title         string     `json:"title"`
	From          Time       `json:"from"`
	To            Time       `json:"to"`            // earlier than asked where the record does not reach it yet
	Effectiveness *float64   `json:"effectiveness"` // as in Share
	Intervals     []Interval `json:"intervals"`
	Gaps          []Gap      `json:"gaps"`
}

// Interval is a time of one status.
type Interval struct {
	From   Time     `json:"from"`
	To     Time     `json:"to"`
	Status string   `json:"status"`
	Seq    *int64   `json:"seq"`
	Facts  []string `json:"facts"`
}

// Gap is a time in which something did not pass.
type Gap struct {
	Check    string   `json:"check"`
	Scope    string   `json:"scope"`
	Subject  string   `json:"subject"`
	Name     string   `json:"name"`
	Status   string   `json:"status"`
	From     Time     `json:"from"`
	To       Time     `json:"to"`
	Open     bool     `json:"open"` // it goes on
	Facts    []string `json:"facts"`
	Seqs     []int64  `json:"seqs"`
	Seq      *int64   `json:"seq"`     // of the entry that began it
	EndSeq   *int64   `json:"end_seq"` // of the entry that ended it
	Finding  *string  `json:"finding"`
	Owner    *string  `json:"owner"`
	MendedBy *string  `json:"mended_by"`
}

// Finding is something that failed, until it passes again.
type Finding struct {
	ID       string      `json:"id"`
	Check    string      `json:"check"`
	Controls []string    `json:"controls"`
	Severity string      `json:"severity"`
	State    string      `json:"state"`
	Overdue  bool        `json:"overdue"`
	Scope    string      `json:"scope"`
	Subject  string      `json:"subject"`
	Name     string      `json:"name"`
	Facts    []string    `json:"facts"`
	Seqs     []int64     `json:"seqs"`
	OpenedAt Time        `json:"opened_at"`
	DueAt    Time        `json:"due_at"`
	ClosedAt *Time       `json:"closed_at"`
	Owner    *string     `json:"owner"`
	Accepted *Acceptance `json:"accepted"`
	MendedBy *string     `json:"mended_by"`
}

// Acceptance is a decision to live with a finding for a time.
type Acceptance struct {
	Email  string `json:"email"`
	Reason string `json:"reason"`
	At     Time   `json:"at"`
	Until  Time   `json:"until"`
}

// OfFinding shows a finding at a moment.
func OfFinding(f *document.Finding, now time.Time) Finding {
	out := Finding{
		ID: f.ID, Check: f.Check, Controls: append([]string{}, f.Controls...), Severity: f.Severity, State: f.State,
		Overdue: f.State == document.FindingOpen && now.After(f.DueAt), Scope: f.Scope, Subject: f.Subject, Name: f.Name,
		Facts: append([]string{}, f.Facts...), Seqs: append([]int64{}, f.Seqs...), OpenedAt: Time(f.OpenedAt), DueAt: Time(f.DueAt),
		ClosedAt: maybe(f.ClosedAt), Owner: text(f.Owner), MendedBy: text(f.MendedBy),
	}
	if a := f.Accepted; a != nil {
		out.Accepted = &Acceptance{a.Email, a.Reason, Time(a.At), Time(a.Until)}
	}
	return out
}
