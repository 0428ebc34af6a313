package state

import (
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// ownerless is how long a finding may have no owner.
const ownerless = 24 * time.Hour

// findingsOverdue: what was found is mended in time, by somebody.
var findingsOverdue = &compliance.Check{
	ID: "state.findings-overdue", Title: "Findings have an owner within a day and are mended or accepted by their date", Version: 1,
	Every: often, Reads: []string{"check.report", "finding.", "space.", "team."},
	State: func(v store.View, now time.Time) ([]compliance.Result, error) {
		names, err := scopes(v)
		if err != nil {
			return nil, err
		}
		late := map[string][]*document.Finding{}
		list, err := store.Find[*document.Finding](v, "state", document.FindingOpen)
		for _, f := range list {
			// Its own findings say what the others do: they would never end.
			if f.Check != "state.findings-overdue" && why(f, now) != "" {
				late[f.Scope] = append(late[f.Scope], f)
			}
		}
		var out []compliance.Result
		for scope, name := range names {
			r := compliance.Pass("No finding about " + name + " is overdue or without an owner.")
			if len(late[scope]) > 0 {
				r = compliance.Fail()
			}
			for _, f := range late[scope] {
				r.Facts = append(r.Facts, fmt.Sprintf("%s of %s %s.", f.Check, f.Name, why(f, now)))
				found, err := seqs(v, f)
				if err != nil {
					return nil, err
				}
				r.Seqs = append(r.Seqs, found...)
			}
			out = append(out, r.Of(scope, scope, name))
		}
		return out, err
	},
}

// why tells what is wrong with an open finding, "" if nothing is.
func why(f *document.Finding, now time.Time) string {
	switch {
	case now.After(f.DueAt):
		return "is overdue since " + f.DueAt.Format(time.DateOnly)
	case f.Owner == "" && now.Sub(f.OpenedAt) > ownerless:
		return "has no owner since " + f.OpenedAt.Format(time.DateOnly)
	}
	return ""
}

// scopes names the installation, every team and every space, by id.
func scopes(v store.View) (map[string]string, error) {
	out := map[string]string{"": "the installation"}
	teams, err := store.Find[*document.Team](v, "all", "")
	if err != nil {
		return nil, err
	}
	for _, t := range teams {
		out[t.ID] = t.Name
	}
	spaces, err := store.Find[*document.Space](v, "all", "")
	for _, s := range spaces {
		out[s.ID] = s.Name
	}
	return out, err
}
