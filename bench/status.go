package main

import (
	"context"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/compliance/builtin"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// watched is a world in ten spaces whose checks are on record: a beat of all of
// them an hour, and what one of them said anew each six.
var watched = world{spaces: 10, watched: true}

// statusFigure asks how every control stood over the whole of the ledger, which
// is a year at a million entries, against reading the entries that tell it; and
// runs the checks of the state, against the time that there is until they run
// again.
func statusFigure(ctx context.Context, b *bench) error {
	p, err := builtin.Programme(builtin.Reach{})
	if err != nil {
		return err
	}
	s, _, err := b.built(ctx, watched, b.entries)
	if err != nil {
		return err
	}
	defer s.Close()
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	sees := compliance.Sight{"": true}
	for space := range watched.spaces {
		sees[id('s', space)] = true
	}
	all := func() error {
		r, err := p.Recall(ctx, s, compliance.Period{From: epoch, To: head.Time, Sees: sees})
		if err != nil {
			return err
		}
		for _, c := range p.Controls {
			r.History(c)
		}
		return nil
	}
	ours, theirs, err := b.contest(ctx, time.Millisecond, once(all), once(func() error { return readChecks(ctx, s) }))
	if err != nil {
		return err
	}
	b.add(Result{
		Figure: "status", Case: fmt.Sprintf("%d controls over %s entries", len(p.Controls), thousands(b.entries)), Unit: "ms",
		Peer: "the same entries, read only",
	}, ours, theirs, atMost(1000, "≤ 1 s"))
	return b.checks(ctx, p, s, head.Time)
}

// readChecks reads what tells of the checks, in pages as Recall does.
func readChecks(ctx context.Context, s store.Store) error {
	q := store.Query{Actions: []string{beatAction, reportAction}, Limit: 1000}
	for {
		page, err := s.Entries(ctx, q)
		if err != nil || len(page) < q.Limit {
			return err
		}
		q.FromSeq = page[len(page)-1].Header.Seq + 1
	}
}

// checks runs those of the state that there are, each weighed by how often it
// runs.
func (b *bench) checks(ctx context.Context, p *compliance.Programme, s store.Store, now time.Time) error {
	share := func() (time.Duration, error) {
		var spent time.Duration // of a second
		for _, c := range p.Checks {
			if c.State == nil {
				continue
			}
			took, err := cpu(func() error {
				return s.Read(ctx, func(v store.View) error { _, err := c.State(v, now); return err })
			})()
			if err != nil {
				return 0, fmt.Errorf("%s: %w", c.ID, err)
			}
			spent += time.Duration(float64(took) / c.Every.Seconds())
		}
		return spent, nil
	}
	ours, _, err := b.contest(ctx, 10*time.Millisecond, share, nil)
	if err != nil {
		return err
	}
	b.add(Result{
		Figure: "status", Case: fmt.Sprintf("checks of the state of %d spaces, share of a core", watched.spaces), Unit: "%",
	}, ours, nil, atMost(1, "< 1 %"))
	return nil
}

// Actions of what checks leave on record.
const (
	beatAction   = "check.beat"
	reportAction = "check.report"
)

// looks are the checks that leave something on record in this world.
func (w world) looks() ([]*compliance.Check, error) {
	if !w.watched {
		return nil, nil
	}
	p, err := builtin.Programme(builtin.Reach{})
	if err != nil {
		return nil, err
	}
	return p.Checks, nil
}

// watch appends what checks leave on record at the n-th sample: about
// a hundred samples are an hour.
func (w world) watch(b store.Batch, n int64, checks []*compliance.Check) error {
	const hour = int64(time.Hour / worldStep)
	if len(checks) == 0 || n%hour != 0 {
		return nil
	}
	now := epoch.Add(time.Duration(n) * worldStep)
	beat := &document.Beat{Base: base('b', 0)}
	for _, c := range checks {
		beat.Runs = append(beat.Runs, document.Run{Check: c.ID, From: now.Add(-time.Duration(hour) * worldStep), To: now, Count: 6})
	}
	if err := put(b, now, beatAction, beat); err != nil || n%(6*hour) != 0 {
		return err
	}
	turn := int(n / (6 * hour))
	c, space := checks[turn%len(checks)], turn%w.spaces
	said := []string{document.StatusPass, document.StatusFail}[turn/len(checks)%2]
	return put(b, now, reportAction, &document.Status{
		Base: base('c', turn%len(checks)*w.spaces+space), Check: c.ID, Version: c.Version, Scope: id('s', space), Subject: id('s', space),
		Name: spaceName(space), Status: said, Since: now, Facts: []string{"What the check saw, in a sentence or two of the usual length."},
	})
}
