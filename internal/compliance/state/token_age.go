package state

import (
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// maxTokenAge is how old a token may become.
const maxTokenAge = 365 * 24 * time.Hour

// tokenAge: tokens are changed once a year.
var tokenAge = &compliance.Check{
	ID: "state.token-age", Title: "No account uses a token that is older than a year", Version: 1,
	Every: time.Hour, Reads: []string{"token.", "account."},
	State: each(func(v store.View, now time.Time, a *document.Account) ([]compliance.Result, error) {
		list, err := store.Find[*document.Token](v, "account", a.ID)
		if err != nil {
			return nil, err
		}
		var old []document.Doc
		var facts []string
		for _, t := range list {
			lives := t.ExpiresAt == nil || t.ExpiresAt.After(now)
			if lives && now.Sub(t.CreatedAt) > maxTokenAge {
				old = append(old, t)
				facts = append(facts, fmt.Sprintf("The token %q of %s is of %s.", t.Description, a.Email, t.CreatedAt.Format(time.DateOnly)))
			}
		}
		if len(old) == 0 {
			return one(compliance.Pass("No token of "+a.Email+" is older than a year.").Of("", a.ID, a.Email), nil)
		}
		r := compliance.Fail(facts...).Of("", a.ID, a.Email)
		r.Seqs, err = seqs(v, old...)
		return one(r, err)
	}),
}
