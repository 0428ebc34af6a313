package state

import (
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// maxUnused is how long an account may lie unused.
const maxUnused = 90 * 24 * time.Hour

// staleAccounts: a way in that nobody uses is closed.
var staleAccounts = &compliance.Check{
	ID: "state.stale-accounts", Title: "No account lies unused for 90 days", Version: 1,
	Every: time.Hour, Reads: []string{"account."},
	State: each(func(v store.View, now time.Time, a *document.Account) ([]compliance.Result, error) {
		if a.Suspended {
			r := compliance.NotApplicable("The account " + a.Email + " is suspended.")
			var err error
			r.Seqs, err = seqs(v, a)
			return one(r.Of("", a.ID, a.Email), err)
		}
		if a.Nobodys() {
			return one(compliance.NotApplicable("The account "+a.Email+" is nobody's: the platform tries with it what must be refused.").Of("", a.ID, a.Email), nil)
		}
		last, known := a.CreatedAt, "Nobody came with the password or a token of "+a.Email+" since the account was made on "
		if a.UsedAt != nil {
			last, known = *a.UsedAt, "The account "+a.Email+" was last used on "
		}
		r := compliance.Pass("The account " + a.Email + " was used or made within 90 days.")
		if now.Sub(last) > maxUnused {
			r = compliance.Fail(known + last.Format(time.DateOnly) + ".")
		}
		var err error
		r.Seqs, err = seqs(v, a)
		return one(r.Of("", a.ID, a.Email), err)
	}),
}
