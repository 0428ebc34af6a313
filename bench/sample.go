package main

import (
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// sample is the n-th entry of a ledger as its writer gets it: a change of one
// of the apps' formations, or, every eighth time, a one-off dyno that is new.
// Three in four are the platform's own doing, as in a real ledger.
type sample struct {
	time  time.Time
	scope string
	body  ledger.Body
	doc   document.Doc
}

// sample makes it, with the document encoded but its revision left open:
// only the writer knows that.
func (w world) sample(n int64) (*sample, error) {
	i := int(n)
	app, now := i%worldApps, epoch.Add(time.Duration(n)*worldStep)
	s := &sample{time: now, scope: id('s', w.spaceOf(app))}
	if round := i / worldApps; round%8 == 7 {
		s.doc = w.dyno(app, i, now)
	} else {
		f := w.formation(app, round%worldFormations, 1+i%5)
		f.UpdatedAt = now
		s.doc = f
	}
	raw, err := document.Encode(s.doc)
	if err != nil {
		return nil, err
	}
	s.body = ledger.Body{
		Action: actions[i/7%len(actions)], Outcome: ledger.OK, Via: ledger.ViaReconciler, App: id('p', app), Actor: actor(i),
		Target:  ledger.Target{Kind: "app", ID: id('p', app), Name: appName(app)},
		Changes: []ledger.Change{{Kind: string(s.doc.Kind()), ID: s.doc.Ident(), Doc: raw}},
	}
	return s, nil
}

var actions = []string{
	"dyno.observe", "formation.scale", "dyno.restart", "dyno.observe", "release.live", "dyno.observe", "formation.resize", "dyno.stop",
}

func (w world) dyno(app, n int, now time.Time) *document.Dyno {
	d := &document.Dyno{
		Base: base('d', n), App: id('p', app), Space: id('s', w.spaceOf(app)),
		Name: fmt.Sprintf("run.%d", n), Type: "run", Size: "shield-m", State: "up", Release: 7,
	}
	d.CreatedAt, d.UpdatedAt = now, now
	return d
}

func actor(i int) ledger.Actor {
	if i%4 != 0 {
		return ledger.Actor{Kind: ledger.SystemActor, Email: "reconcile"}
	}
	a := i / 4 % worldAccounts
	return ledger.Actor{
		Kind: ledger.AccountActor, ID: id('a', a), Email: email(a), IP: "198.51.100.7", UserAgent: "heroku-cli/11.10.0",
		MFA: true, Roles: []string{"member"},
	}
}

// draft is what the store is given, with the document's revision.
func (s *sample) draft(rev int64) store.Draft {
	s.body.Changes[0].Rev = rev
	return store.Draft{Scope: s.scope, Body: s.body, Docs: []document.Doc{s.doc}}
}

// appendTo is what a command does at the least: look at the revision, append.
func (s *sample) appendTo(b store.Batch) error {
	rev, _, err := b.Rev(s.doc.Kind(), s.doc.Ident())
	if err != nil {
		return err
	}
	_, err = b.Append(s.time, s.draft(rev+1))
	return err
}
