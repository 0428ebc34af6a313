package reconcile

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// strangersEvery is how often at most a space's refused connections become an
// entry: whoever knocks a thousand times a second fills no ledger with it.
const strangersEvery = time.Minute

// strangersAgain is how long a reason that goes on waits until its count is
// written again.
const strangersAgain = time.Hour

// recordStrangers writes down which connections each space refused: the first for
// a reason, and an hour later how many they have become.
func (l *Loop) recordStrangers(ctx context.Context, w *world) error {
	now := l.cfg.Now()
	var errs []error
	for _, o := range l.observed.Spaces {
		known := slices.ContainsFunc(w.spaces, func(s *document.Space) bool { return s.ID == o.ID })
		if !known || now.Before(l.strangers[o.ID].Add(strangersEvery)) {
			continue
		}
		news := newStrangers(w.strangers[o.ID], o.Strangers, now)
		if len(news) == 0 {
			continue
		}
		l.strangers[o.ID] = now
		if _, err := l.cfg.Kernel.Execute(ctx, &spaces.RecordStrangers{Space: o.ID, Seen: news}, by()); err != nil && fault.Of(err) != fault.NotFound {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// newStrangers is what of the engine's counts is to be written now.
func newStrangers(have []*document.Stranger, seen []driver.Stranger, now time.Time) (out []*document.Stranger) {
	for _, s := range seen {
		x := &document.Stranger{Why: s.Why, Host: s.Host, Counted: s.Count, Last: s.Last, From: s.From}
		i := slices.IndexFunc(have, x.Same)
		if i < 0 || have[i].Counted != x.Counted && !now.Before(have[i].UpdatedAt.Add(strangersAgain)) {
			out = append(out, x)
		}
	}
	return out
}
