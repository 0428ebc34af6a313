package state

import (
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// releasesApproved: the code that runs with patient data was approved by
// somebody who neither wrote nor pushed it, or reviewed by such a person after
// it went live in an emergency.
var releasesApproved = &compliance.Check{
	ID: "state.releases-approved", Title: "Code that handles ePHI was approved by a second person", Version: 2,
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
	if hasty := unreviewed(list, live); hasty != nil {
		x := hasty.Alone
		out := compliance.Fail(fmt.Sprintf("v%d of %s went live in an emergency at %s, by %s: %s; nobody has reviewed it.",
			hasty.Version, a.Name, x.At.UTC().Format(time.RFC3339), x.Email, x.Reason))
		out.Seqs, err = seqs(v, hasty)
		return out, err
	}
	brought, by, how := approval(list, live)
	if by == nil {
		out := compliance.Fail(fmt.Sprintf("The code of %s v%d is live and nobody approved it.", a.Name, live.Version))
		out.Seqs, err = seqs(v, live)
		return out, err
	}
	out := compliance.Pass(fmt.Sprintf("The code of %s v%d was pushed by %s in v%d and %s by %s.", a.Name, live.Version, brought.ByEmail, brought.Version, how, by.Email))
	out.Seqs, err = seqs(v, brought)
	return out, err
}

// unreviewed is the newest release that went live in an emergency, that nobody
// has reviewed, and whose code or config is part of what is live.
func unreviewed(list []*document.Release, live *document.Release) (newest *document.Release) {
	for _, r := range list {
		if r.LiveAt == nil || r.Alone == nil || r.Alone.Review != nil {
			continue
		}
		inForce := r.Slug == live.Slug || !r.Code && r.Rollback == 0 && r.ConfigRev <= live.ConfigRev
		if inForce && (newest == nil || r.Version > newest.Version) {
			newest = r
		}
	}
	return newest
}

// approval is the release that brought the code that is live with the second
// person who saw it, nil if nobody did.
func approval(list []*document.Release, live *document.Release) (brought *document.Release, by *document.Approval, how string) {
	for _, r := range list {
		switch {
		case !r.Code || r.Slug != live.Slug || r.LiveAt == nil:
		case len(r.Approvals) > 0:
			return r, &r.Approvals[len(r.Approvals)-1], "approved"
		case r.Alone != nil && r.Alone.Review != nil:
			brought, by, how = r, r.Alone.Review, "reviewed after an emergency"
		}
	}
	return brought, by, how
}
