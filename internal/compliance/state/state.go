// Package state has the checks that read the state: each says of what is on
// record whether it is as a control wants it.
//
// Invariants: a check is a pure function of a view and a time, so that any past
// moment can be checked again; facts name things, never secrets or PHI.
// internal/compliance/builtin brings All together with the catalogue.
package state

import (
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// often is how often what entries trigger anyway is looked at besides.
const often = 10 * time.Minute

// All lists the checks, one a file.
func All() []*compliance.Check {
	return []*compliance.Check{
		approvalPolicy, exceptions, releasesApproved, releaseEvidence, ephiMarked, trustedIPs, requestsWaiting, sessionsRecorded,
		staleAccounts, tokenAge, volumesEncrypted, findingsOverdue, alertsDelivered, certificatesEnd,
		clientCertificates,
	}
}

// each runs fn on all documents of a type.
func each[T document.Doc](fn func(v store.View, now time.Time, doc T) ([]compliance.Result, error)) func(store.View, time.Time) ([]compliance.Result, error) {
	return func(v store.View, now time.Time) (out []compliance.Result, err error) {
		list, err := store.Find[T](v, "all", "")
		if err != nil {
			return nil, err
		}
		for _, doc := range list {
			results, err := fn(v, now, doc)
			if err != nil {
				return nil, err
			}
			out = append(out, results...)
		}
		return out, nil
	}
}

// one is the result list of a single result.
func one(r compliance.Result, err error) ([]compliance.Result, error) {
	if err != nil {
		return nil, err
	}
	return []compliance.Result{r}, nil
}

// current is an app's release that is live, nil if none is.
func current(v store.View, app string) (*document.Release, error) {
	list, err := store.Find[*document.Release](v, "current", app)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// guarded tells whether an app is to be held to what ePHI needs: it is marked so,
// or lies in a shield space and is not marked as free of it.
func guarded(v store.View, a *document.App) (bool, error) {
	if a.EPHI == document.EPHIYes || a.EPHI == document.EPHINo || a.Space == "" {
		return a.EPHI == document.EPHIYes, nil
	}
	space, err := store.Get[*document.Space](v, a.Space)
	if err != nil {
		return false, err
	}
	return space.Shield, nil
}

// seqs gives the entries in which documents were last written.
func seqs(v store.View, docs ...document.Doc) (out []int64, err error) {
	for _, d := range docs {
		_, seq, err := v.Rev(d.Kind(), d.Ident())
		if err != nil {
			return nil, err
		}
		out = append(out, seq)
	}
	return out, nil
}
