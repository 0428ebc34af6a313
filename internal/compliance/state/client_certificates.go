package state

import (
	"fmt"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// clientCertificates: an app that asks its clients for certificates asks under each
// of its names, and of authorities that last.
var clientCertificates = &compliance.Check{
	ID: "state.client-certificates", Title: "Client certificates are asked for under every name of an app, and their authorities last", Version: 1,
	Every: time.Hour, Reads: []string{"domain.", "app."},
	State: each(func(v store.View, now time.Time, a *document.App) ([]compliance.Result, error) {
		list, err := store.Find[*document.Domain](v, "app", a.ID)
		if err != nil {
			return nil, err
		}
		var open []string
		var facts []string
		var wrong []document.Doc
		for _, d := range list {
			switch {
			case d.Clients == nil:
				open = append(open, d.Hostname)
				wrong = append(wrong, d)
			case d.Clients.EndsAt.Sub(now) < beforeEnd:
				facts = append(facts, fmt.Sprintf("An authority of the clients of %s ends on %s.", d.Hostname, d.Clients.EndsAt.UTC().Format(time.DateOnly)))
				wrong = append(wrong, d)
			}
		}
		if len(open) == len(list) {
			return one(compliance.NotApplicable("The app "+a.Name+" asks its clients for no certificate.").Of(a.Space, a.ID, a.Name), nil)
		}
		if len(open) > 0 {
			facts = append(facts, "Without a certificate "+a.Name+" can be reached as "+strings.Join(open, ", ")+".")
		}
		r := compliance.Pass("Nobody reaches " + a.Name + " without a certificate.")
		if len(facts) > 0 {
			r = compliance.Fail(facts...)
		}
		r.Seqs, err = seqs(v, wrong...)
		return one(r.Of(a.Space, a.ID, a.Name), err)
	}),
}
