package state

import (
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// releasesApproved: the code that runs with patient data was approved by
// somebody who neither wrote nor pushed it.
var releasesApproved = &compliance.Check{
	ID: "state.releases-approved", Title: "Code that handles ePHI was approved by a second person", Version: 1,
	Every: often, Reads: []string{"release.", "app.", "space."},
	State: each(func(v store.View, _ time.Time, a *document.App) ([]compliance.Result, error) {
		held, err := guarded(v, a)
		if err != nil {
			return nil, err
		}
		if !held {
			return one(compliance.NotApplicable("The app "+a.Name+" holds no ePHI.").Of(a.Space, a.ID, a.Name), nil)
		}
		r, err := approved(v, a)
		return one(r.Of(a.Space, a.ID, a.Name), err)
	}),
}

// approved judges the release that brought the code that is live.
func approved(v store.View, a *document.App) (compliance.Result, error) {
	list, err := store.Find[*document.Release](v, "app", a.ID)
	if err != nil {
		return compliance.Result{}, err
	}
	live, err := current(v, a.ID)
	if err != nil {
		return compliance.Result{}, err
	}
	if live == nil || live.Slug == "" {
		return compliance.NotApplicable("No code of " + a.Name + " is live."), nil
	}
	var brought *document.Release
	for _, r := range list {
		if r.Code && r.Slug == live.Slug && r.LiveAt != nil && (brought == nil || len(r.Approvals) > len(brought.Approvals)) {
			brought = r
		}
	}
	if brought == nil || len(brought.Approvals) == 0 {
		out := compliance.Fail(fmt.Sprintf("The code of %s v%d is live and nobody approved it.", a.Name, live.Version))
		out.Seqs, err = seqs(v, live)
		return out, err
	}
	by := brought.Approvals[len(brought.Approvals)-1]
	out := compliance.Pass(fmt.Sprintf("The code of %s v%d was pushed by %s in v%d and approved by %s.", a.Name, live.Version, brought.ByEmail, brought.Version, by.Email))
	out.Seqs, err = seqs(v, brought)
	return out, err
}
