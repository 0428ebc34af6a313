package compliance

import (
	"cmp"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// Sight says of which scopes somebody is told: true = everything, false = what
// the checks say, but not of whom or what they saw. Other scopes are left out.
type Sight map[string]bool

// Standing is what a control's checks say now.
type Standing struct {
	*Control
	Status string
	Checks []Round
	// Findings are open or accepted.
	Findings []*document.Finding
}

// Round is what one check says now.
type Round struct {
	*Check
	Status string
	Ran    time.Time // when it is last on record to have run; zero = never
	Late   bool      // then its status is unknown, whatever it said before
	Says   []*document.Status
}

// Since is when the status began: what fails or is unknown, first; what passes,
// when the last thing came to.
func (s *Standing) Since() (at time.Time) {
	for _, r := range s.Checks {
		for _, x := range r.Says {
			if x.Status != s.Status && s.Status != StatusUnproven {
				continue
			}
			first := s.Status == document.StatusFail || s.Status == document.StatusUnknown
			if at.IsZero() || first == x.Since.Before(at) {
				at = x.Since
			}
		}
	}
	return at
}

// tolerance is how long after its last beat a check may still be on time: the
// next beat is not due before.
func (c *Check) tolerance() time.Duration { return beatEvery + c.grace() }

// Now tells how each control stands in a view, by id.
func (p *Programme) Now(v store.View, now time.Time, sees Sight) ([]Standing, error) {
	rounds := map[string]Round{}
	beat, err := beatOf(v)
	if err != nil {
		return nil, err
	}
	for _, c := range p.Checks {
		r, err := c.round(v, beat, now, sees)
		if err != nil {
			return nil, err
		}
		rounds[c.ID] = r
	}
	findings, err := Findings(v, sees)
	if err != nil {
		return nil, err
	}
	out := make([]Standing, 0, len(p.Controls))
	for _, c := range p.Controls {
		s := Standing{Control: c}
		status := document.StatusNotApplicable
		for _, id := range c.Proof.Checks {
			s.Checks = append(s.Checks, rounds[id])
			status = outweighing(status, rounds[id].Status)
		}
		s.Status = c.judge(status)
		for _, f := range findings {
			if f.State != document.FindingClosed && slices.Contains(c.Proof.Checks, f.Check) {
				s.Findings = append(s.Findings, f)
			}
		}
		out = append(out, s)
	}
	return out, nil
}

func (c *Check) round(v store.View, beat *document.Beat, now time.Time, sees Sight) (Round, error) {
	r := Round{Check: c, Status: document.StatusNotApplicable}
	if run, ok := beat.Of(c.ID); ok {
		r.Ran = run.To
	}
	list, err := store.Find[*document.Status](v, "check", c.ID)
	if err != nil {
		return r, err
	}
	for _, s := range list {
		all, some := sees[s.Scope]
		if !some {
			continue
		}
		if !all {
			s.Subject, s.Name, s.Facts, s.Seqs = "", "", nil, nil
		}
		r.Says = append(r.Says, s)
		r.Status = outweighing(r.Status, s.Status)
	}
	if r.Late = now.Sub(r.Ran) > c.tolerance(); r.Late && r.Status != document.StatusFail {
		r.Status = document.StatusUnknown
	}
	return r, nil
}

// Findings lists those of the scopes, the newest last.
func Findings(v store.View, sees Sight) ([]*document.Finding, error) {
	var out []*document.Finding
	for scope, all := range sees {
		list, err := store.Find[*document.Finding](v, "scope", scope)
		if err != nil {
			return nil, err
		}
		for _, f := range list {
			if !all {
				f.Subject, f.Name, f.Facts, f.Seqs, f.Owner, f.MendedBy = "", "", nil, nil, "", ""
				if f.Accepted != nil {
					f.Accepted = &document.Acceptance{At: f.Accepted.At, Until: f.Accepted.Until}
				}
			}
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b *document.Finding) int {
		return cmp.Or(a.OpenedAt.Compare(b.OpenedAt), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}
