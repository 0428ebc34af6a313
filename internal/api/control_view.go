package api

import (
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/view"
)

func ofStanding(s compliance.Standing) view.Control {
	out := view.Control{ID: s.ID, Title: s.Title, Severity: s.Severity, Status: s.Status, Findings: len(s.Findings), Maps: []view.Mapping{}}
	if at := s.Since(); !at.IsZero() {
		since := view.Time(at)
		out.Since = &since
	}
	for _, m := range s.Maps {
		out.Maps = append(out.Maps, view.Mapping(m))
	}
	return out
}

func ofControl(p *compliance.Programme, s compliance.Standing) view.ControlDetail {
	out := view.ControlDetail{
		Control: ofStanding(s), Statement: s.Statement, Why: s.Why, Responsible: s.Responsible, Settings: texts(s.Settings), Every: s.Every,
		Failure: s.Failure, Remediation: s.Remediation, Depends: texts(s.Depends), Checks: []view.Round{}, Planned: texts(s.Proof.Planned),
		Reports: texts(s.Proof.Reports), Records: texts(s.Proof.Records), Catalogue: p.Digest,
	}
	if s.Proof.Missing != "" {
		out.Missing = &s.Proof.Missing
	}
	for _, r := range s.Checks {
		round := view.Round{
			ID: r.ID, Title: r.Title, Version: r.Version, Every: int64(r.Every / time.Second), Status: r.Status, Late: r.Late, Says: []view.Status{},
		}
		if !r.Ran.IsZero() {
			ran := view.Time(r.Ran)
			round.RanAt = &ran
		}
		for _, x := range r.Says {
			round.Says = append(round.Says, view.OfStatus(x))
		}
		out.Checks = append(out.Checks, round)
	}
	return out
}

func ofShare(h compliance.History) *view.Share {
	return &view.Share{From: view.Time(h.From), To: view.Time(h.To), Effectiveness: effectiveness(h), Gaps: len(h.Gaps)}
}

func effectiveness(h compliance.History) *float64 {
	if !h.Judged {
		return nil
	}
	return &h.Effectiveness
}

func ofHistory(x *compliance.Control, h compliance.History) view.History {
	out := view.History{
		Control: x.ID, Title: x.Title, From: view.Time(h.From), To: view.Time(h.To), Effectiveness: effectiveness(h),
		Intervals: []view.Interval{}, Gaps: []view.Gap{},
	}
	for _, i := range h.Intervals {
		out.Intervals = append(out.Intervals, view.Interval{From: view.Time(i.From), To: view.Time(i.To), Status: i.Status, Seq: seq(i.Seq), Facts: texts(i.Facts)})
	}
	for _, g := range h.Gaps {
		out.Gaps = append(out.Gaps, view.Gap{
			Check: g.Check, Scope: g.Scope, Subject: g.Subject, Name: g.Name, Status: g.Status, From: view.Time(g.From), To: view.Time(g.To), Open: g.Open,
			Facts: texts(g.Facts), Seqs: append([]int64{}, g.Seqs...), Seq: seq(g.Seq), EndSeq: seq(g.EndSeq),
			Finding: present(g.Finding), Owner: present(g.Owner), MendedBy: present(g.MendedBy),
		})
	}
	return out
}

func texts(list []string) []string { return append([]string{}, list...) }

func seq(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

func present(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
