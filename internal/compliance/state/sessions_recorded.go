package state

import (
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// sessionsRecorded: whoever was inside was recorded. Database tunnels are not:
// they carry TLS from end to end.
var sessionsRecorded = &compliance.Check{
	ID: "state.sessions-recorded", Title: "Every terminal that ended has its recording", Version: 1,
	Every: often, Reads: []string{"session.", "space."},
	State: each(func(v store.View, _ time.Time, s *document.Space) ([]compliance.Result, error) {
		list, err := store.Find[*document.Session](v, "space", s.ID)
		if err != nil {
			return nil, err
		}
		var bare []document.Doc
		var facts []string
		for _, x := range list {
			if x.Type != "psql" && x.State != document.SessionOpen && x.Recording == "" {
				bare = append(bare, x)
				facts = append(facts, fmt.Sprintf("The %s session of %s, begun %s, has no recording.", x.Type, x.ByEmail, x.CreatedAt.Format(time.RFC3339)))
			}
		}
		if len(bare) == 0 {
			return one(compliance.Pass("Every ended session in the space "+s.Name+" has its recording.").Of(s.ID, s.ID, s.Name), nil)
		}
		r := compliance.Fail(facts...).Of(s.ID, s.ID, s.Name)
		r.Seqs, err = seqs(v, bare...)
		return one(r, err)
	}),
}
