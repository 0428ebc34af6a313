package state

import (
	"fmt"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// releaseEvidence: what is live can be told exactly.
var releaseEvidence = &compliance.Check{
	ID: "state.release-evidence", Title: "Live code has its commit, image digest, bill of materials and provenance", Version: 1,
	Every: often, Reads: []string{"release.", "app."},
	State: each(func(v store.View, _ time.Time, a *document.App) ([]compliance.Result, error) {
		live, err := current(v, a.ID)
		if err != nil {
			return nil, err
		}
		if live == nil || live.Slug == "" {
			return one(compliance.NotApplicable("No code of "+a.Name+" is live.").Of(a.Space, a.ID, a.Name), nil)
		}
		var missing []string
		for _, x := range []struct{ what, value string }{
			{"commit", live.Commit}, {"image digest", live.Image}, {"bill of materials", live.SBOM}, {"provenance", live.Provenance},
		} {
			if x.value == "" {
				missing = append(missing, x.what)
			}
		}
		r := compliance.Pass(fmt.Sprintf("%s v%d is commit %s, image %s.", a.Name, live.Version, live.Commit, live.Image))
		if len(missing) > 0 {
			r = compliance.Fail(fmt.Sprintf("%s v%d is live without %s.", a.Name, live.Version, strings.Join(missing, ", ")))
		}
		r.Seqs, err = seqs(v, live)
		return one(r.Of(a.Space, a.ID, a.Name), err)
	}),
}
