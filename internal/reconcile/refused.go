package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// refusedEvery is how often at most a space's refused attempts are looked at,
// and become an entry.
const refusedEvery = time.Minute

// recordRefused writes down what tried to leave each space and may not: the
// first attempt at a destination, and an hour later how many it has become.
func (l *Loop) recordRefused(ctx context.Context) error {
	now := l.cfg.Now()
	var errs []error
	for _, s := range l.observed.Spaces {
		if len(s.Refused) == 0 || now.Before(l.refused[s.ID].Add(refusedEvery)) {
			continue
		}
		l.refused[s.ID] = now
		var have []*document.Refusal
		if err := l.cfg.Store.Read(ctx, func(v store.View) (err error) {
			have, err = store.Find[*document.Refusal](v, "space", s.ID)
			return err
		}); err != nil {
			return err
		}
		news := due(have, s.Refused, now)
		if len(news) == 0 {
			continue
		}
		// NotFound: a space that is not on record, such as the builds' own.
		if _, err := l.cfg.Kernel.Execute(ctx, &spaces.RecordRefused{Space: s.ID, Refused: news}, by()); err != nil && fault.Of(err) != fault.NotFound {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// due is what of the engine's counts is to be written now.
func due(have []*document.Refusal, seen []driver.Refusal, now time.Time) (out []*document.Refusal) {
	for _, r := range perApp(seen) {
		if len(out) == spaces.MaxRefused {
			break
		}
		if kept := find(have, r); kept == nil || spaces.Since(kept.Counted, r.Counted) > 0 && !now.Before(kept.UpdatedAt.Add(spaces.RefusedAgain)) {
			out = append(out, r)
		}
	}
	return out
}

// perApp adds up what dynos of one app tried.
func perApp(seen []driver.Refusal) (out []*document.Refusal) {
	for _, r := range seen {
		x := &document.Refusal{App: r.App, Dyno: r.Dyno, To: r.To, Protocol: r.Protocol, Port: r.Port, Counted: r.Packets}
		if same := find(out, x); same != nil {
			same.Counted += x.Counted
		} else {
			out = append(out, x)
		}
	}
	return out
}

func find(list []*document.Refusal, r *document.Refusal) *document.Refusal {
	for _, x := range list {
		if x.SameWay(r) {
			return x
		}
	}
	return nil
}
