package api

import (
	"slices"

	"github.com/strongroom/strongroom/internal/command/checks"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/view"
)

// listFindings lists what failed and does not pass again yet; with ?state=all
// also what does.
func listFindings(c *call) (Answer, error) {
	_, sees, err := c.programme()
	if err != nil {
		return Answer{}, err
	}
	all := c.r.URL.Query().Get("state") == "all"
	return listed(c, func(q *query.Reader) ([]*document.Finding, error) {
		list, err := compliance.Findings(q.View(), sees)
		return slices.DeleteFunc(list, func(f *document.Finding) bool { return f.State == document.FindingClosed && !all }), err
	}, func(_ *query.Reader, f *document.Finding) (view.Finding, error) {
		return view.OfFinding(f, c.cfg.Now()), nil
	},
		property[view.Finding]{name: "id", text: func(f view.Finding) string { return f.ID }})
}

func acceptFinding(c *call) (Answer, error) {
	var in struct {
		Reason string `json:"reason"`
		Until  string `json:"until"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	until, err := moment(in.Until)
	if err != nil {
		return Answer{}, fault.New(fault.Invalid, "until is a time such as 2026-01-31T00:00:00Z.")
	}
	cmd := &checks.Accept{ID: c.path("finding"), Reason: in.Reason, Until: until}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(view.OfFinding(cmd.Result, c.cfg.Now()), nil)
}

func assignFinding(c *call) (Answer, error) {
	var in struct {
		Email string `json:"email"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	cmd := &checks.Assign{ID: c.path("finding"), Email: in.Email}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(view.OfFinding(cmd.Result, c.cfg.Now()), nil)
}
