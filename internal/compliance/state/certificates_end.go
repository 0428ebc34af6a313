package state

import (
	"fmt"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// beforeEnd is how long before its end a certificate ought to be replaced.
const beforeEnd = 30 * 24 * time.Hour

// certificatesEnd: what a team uploaded for its domains is replaced in time. Those
// of the space's own authority renew themselves.
var certificatesEnd = &compliance.Check{
	ID: "state.certificates-end", Title: "No uploaded certificate that is served ends within 30 days", Version: 1,
	Every: time.Hour, Reads: []string{"certificate.", "domain.", "app."},
	State: each(func(v store.View, now time.Time, a *document.App) ([]compliance.Result, error) {
		served, err := servedCertificates(v, a)
		if err != nil {
			return nil, err
		}
		if len(served) == 0 {
			return one(compliance.NotApplicable("The app "+a.Name+" serves no uploaded certificate.").Of(a.Space, a.ID, a.Name), nil)
		}
		r := compliance.Pass("No certificate of " + a.Name + " ends within 30 days.")
		var facts []string
		var late []document.Doc
		for _, e := range served {
			if e.ExpiresAt.Sub(now) < beforeEnd {
				facts = append(facts, fmt.Sprintf("The certificate %s of %s, for %s, ends on %s.", e.Name, a.Name, strings.Join(e.Names, ", "), e.ExpiresAt.UTC().Format(time.DateOnly)))
				late = append(late, e)
			}
		}
		if len(late) > 0 {
			r = compliance.Fail(facts...)
		}
		r.Seqs, err = seqs(v, late...)
		return one(r.Of(a.Space, a.ID, a.Name), err)
	}),
}

// servedCertificates are an app's uploaded certificates that a domain has.
func servedCertificates(v store.View, a *document.App) ([]*document.Endpoint, error) {
	domains, err := store.Find[*document.Domain](v, "app", a.ID)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, d := range domains {
		used[d.Endpoint] = true
	}
	list, err := store.Find[*document.Endpoint](v, "app", a.ID)
	if err != nil {
		return nil, err
	}
	var served []*document.Endpoint
	for _, e := range list {
		if used[e.ID] {
			served = append(served, e)
		}
	}
	return served, nil
}
