package state

import (
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// undelivered is how long a channel may refuse what it is sent.
const undelivered = 15 * time.Minute

// alertsDelivered: who is to be told is told.
var alertsDelivered = &compliance.Check{
	ID: "state.alerts-delivered", Title: "Every channel for alerts takes them", Version: 1,
	Every: 5 * time.Minute, Reads: []string{"alert.", "space."},
	State: each(func(v store.View, now time.Time, a *document.Alert) ([]compliance.Result, error) {
		name := a.Channel + " to " + a.Host()
		var r compliance.Result
		switch {
		case a.State == document.AlertUntried:
			r = compliance.NotApplicable("Nothing was sent by " + name + " yet.")
		case a.State == document.AlertFailing && now.Sub(a.Since) > undelivered:
			r = compliance.Fail("Alerts by " + name + " are not taken since " + a.Since.Format(time.RFC3339) + ": " + a.Error)
		case a.State == document.AlertFailing:
			r = compliance.Pass("Alerts by " + name + " are not taken since less than 15 minutes, and are sent again.")
		default:
			r = compliance.Pass("Alerts by " + name + " are taken since " + a.Since.Format(time.RFC3339) + ".")
		}
		var err error
		r.Seqs, err = seqs(v, a)
		return one(r.Of(a.Scope, a.ID, name), err)
	}),
}
