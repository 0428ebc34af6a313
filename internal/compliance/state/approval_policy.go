package state

import (
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// approvalPolicy: a team's policy asks for a second person.
var approvalPolicy = &compliance.Check{
	ID: "state.approval-policy", Title: "Every team asks for a second person's approval of new code", Version: 1,
	Every: often, Reads: []string{"policy.", "team.", "request."},
	State: each(func(v store.View, _ time.Time, t *document.Team) ([]compliance.Result, error) {
		doc, err := v.Get(document.KindPolicy, t.ID)
		if err != nil {
			return nil, err
		}
		p, ok := doc.(*document.Policy)
		if !ok {
			return one(compliance.Fail("Team "+t.Name+" has no policy.").Of(t.ID, t.ID, t.Name), nil)
		}
		r := compliance.Pass(fmt.Sprintf("The policy of team %s asks for %d approval(s).", t.Name, p.Approvals))
		if p.Approvals < 1 {
			r = compliance.Fail("The policy of team " + t.Name + " asks for no approval: who pushes, deploys.")
		}
		r.Seqs, err = seqs(v, p)
		return one(r.Of(t.ID, t.ID, t.Name), err)
	}),
}
