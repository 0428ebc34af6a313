package state

import (
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// trustedIPs: a shield space is open to networks that somebody can know.
var trustedIPs = &compliance.Check{
	ID: "state.trusted-ips", Title: "Shield spaces are not open to everybody", Version: 2,
	Every: often, Reads: []string{"space."},
	State: each(func(v store.View, _ time.Time, s *document.Space) ([]compliance.Result, error) {
		if !s.Shield {
			return one(compliance.NotApplicable("The space "+s.Name+" is no shield space.").Of(s.ID, s.ID, s.Name), nil)
		}
		r := compliance.Pass("Every trusted network of " + s.Name + " is of a size that somebody can know.")
		for _, t := range s.Trusted {
			if document.Vast(t.Source) {
				r = compliance.Fail("The shield space " + s.Name + " takes connections from " + t.Source + ": from everybody. " + s.RuledBy + " set that.")
			}
		}
		var err error
		r.Seqs, err = seqs(v, s)
		return one(r.Of(s.ID, s.ID, s.Name), err)
	}),
}
