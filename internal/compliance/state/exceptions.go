package state

import (
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// exceptions: what one person did alone that needs two stays in sight for a year.
var exceptions = &compliance.Check{
	ID: "state.exceptions", Title: "No exception to the rule of two persons within a year", Version: 2,
	Every: often, Reads: []string{"role.", "policy.", "team.", "member.", "release."},
	State: each(func(v store.View, now time.Time, t *document.Team) ([]compliance.Result, error) {
		list, err := store.Find[*document.Exception](v, "team", t.ID)
		if err != nil {
			return nil, err
		}
		r := compliance.Pass("Team " + t.Name + " made no exception within a year.")
		for _, x := range list {
			if now.Sub(x.CreatedAt) > 365*24*time.Hour {
				continue
			}
			r.Status = document.StatusFail
			if len(r.Seqs) == 0 {
				r.Facts = nil
			}
			r.Facts = append(r.Facts, fmt.Sprintf("%s did %s alone on %s: %s.", x.ByEmail, x.What, x.CreatedAt.Format(time.DateOnly), x.Subject))
			found, err := seqs(v, x)
			if err != nil {
				return nil, err
			}
			r.Seqs = append(r.Seqs, found...)
		}
		return one(r.Of(t.ID, t.ID, t.Name), nil)
	}),
}
