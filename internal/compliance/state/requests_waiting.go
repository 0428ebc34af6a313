package state

import (
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// patience is how long a request may wait for a second person.
const patience = 7 * 24 * time.Hour

// requestsWaiting: what needs a second person gets an answer.
var requestsWaiting = &compliance.Check{
	ID: "state.requests-waiting", Title: "Requests for roles and policies are decided within a week", Version: 1,
	Every: often, Reads: []string{"role.", "policy.", "request.", "team."},
	State: each(func(v store.View, now time.Time, t *document.Team) ([]compliance.Result, error) {
		list, err := store.Find[*document.Request](v, "team", t.ID)
		if err != nil {
			return nil, err
		}
		var late []document.Doc
		var facts []string
		for _, q := range list {
			if q.State == document.RequestWaiting && now.Sub(q.CreatedAt) > patience {
				late = append(late, q)
				facts = append(facts, fmt.Sprintf("%s by %s waits since %s.", q.What, q.ByEmail, q.CreatedAt.Format(time.DateOnly)))
			}
		}
		if len(late) == 0 {
			return one(compliance.Pass("No request of team "+t.Name+" waits for more than a week.").Of(t.ID, t.ID, t.Name), nil)
		}
		r := compliance.Fail(facts...).Of(t.ID, t.ID, t.Name)
		r.Seqs, err = seqs(v, late...)
		return one(r, err)
	}),
}
