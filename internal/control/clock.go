package control

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Bounds of the ledger's rules for time (spec/ledger.md §3.5).
const (
	stepNoted   = time.Minute      // a leap that becomes an entry
	stepRefused = 24 * time.Hour   // a leap that stops appending
	backRefused = 10 * time.Second // behind the newest entry: stops appending
)

// The actions of entries about the clock, and the facts that they carry.
const (
	stepAction    = "clock.step"
	confirmAction = "clock.confirm"
	leapDetail    = "leap_seconds"
	behindDetail  = "behind_seconds"
)

// clock compares the wall clock with the monotonic one. All but confirmed is
// used by the writer only, and changes only by accept: after a batch that used
// a reading is durable.
type clock struct {
	read func() reading
	base reading // the last one that was accepted
	// lag is how far behind the newest entry an operator accepted the clock to
	// be. It is in the ledger too: after a restart it is read from there.
	lag      time.Duration
	lagKnown bool

	confirmed atomic.Pointer[By] // the operator who accepts the next reading
}

// reading of both clocks at one moment.
type reading struct {
	wall time.Time     // UTC, without Go's monotonic reading
	up   time.Duration // by the monotonic clock, since the kernel was made
}

func newClock(now func() time.Time) *clock {
	start := now()
	c := &clock{read: func() reading {
		t := now()
		return reading{t.Round(0).UTC(), t.Sub(start)}
	}}
	c.base = c.read()
	return c
}

// leap is how far the wall clock moved more than the monotonic one.
func (c *clock) leap(r reading) time.Duration {
	return r.wall.Sub(c.base.wall) - (r.up - c.base.up)
}

// moment is the time of one batch.
type moment struct {
	reading
	now       time.Time // of its entries: max(clock, previous entry)
	behind    time.Duration
	confirmed *By
}

// accept makes the reading of a durable batch the new base.
func (c *clock) accept(m moment) {
	c.base = m.reading
	switch {
	case m.confirmed != nil:
		c.lag, c.lagKnown = m.behind, true
		c.confirmed.CompareAndSwap(m.confirmed, nil)
	case m.behind <= backRefused:
		c.lag, c.lagKnown = 0, true // the clock caught up
	}
}

// ConfirmClock lets the next batch accept the clock as it is; entries then get
// the newest entry's time until the clock has caught up with it. The
// confirmation becomes an entry of its actor's before anything else is
// appended, at the latest a second from now.
func (k *Kernel) ConfirmClock(by By) { k.clock.confirmed.Store(&by) }

// now gives the batch's time. A leap is appended as clock.step; one too great
// to be believed stops appending until an operator confirms it (ConfirmClock).
func (k *Kernel) now(b store.Batch) (moment, error) {
	c := k.clock
	m := moment{reading: c.read(), confirmed: c.confirmed.Load()}
	last := b.LastTime()
	m.now = m.wall
	if m.wall.Before(last) {
		m.now, m.behind = last, last.Sub(m.wall)
	}
	leap := c.leap(m.reading)
	if m.confirmed == nil {
		ok, err := k.believable(m, leap)
		if err != nil {
			return m, err
		}
		if !ok {
			return m, fault.New(fault.Unavailable,
				"The clock reads %s and the ledger's newest entry %d is of %s, so nothing is recorded and nothing was changed. Mend the clock, or confirm it with: strongroom ledger:confirm-clock",
				m.wall.Format(time.RFC3339), b.Size()-1, last.Format(time.RFC3339))
		}
	}
	if leap.Abs() > stepNoted || m.confirmed != nil {
		return m, appendStep(b, m, leap)
	}
	return m, nil
}

// believable tells whether the clock may be used without an operator's word.
func (k *Kernel) believable(m moment, leap time.Duration) (bool, error) {
	if leap.Abs() > stepRefused {
		return false, nil
	}
	if m.behind <= backRefused {
		return true, nil
	}
	if err := k.loadLag(); err != nil {
		return false, err
	}
	return m.behind <= k.clock.lag+backRefused, nil
}

// loadLag reads which lag was confirmed before this start. The clock has not
// caught up since as long as the ledger's time stands still at the
// confirmation's.
func (k *Kernel) loadLag() error {
	if k.clock.lagKnown {
		return nil
	}
	ctx := context.Background()
	head, err := k.cfg.Store.Head(ctx)
	if err != nil {
		return err
	}
	list, err := k.cfg.Store.Entries(ctx, store.Query{Actions: []string{confirmAction}, Newest: true, Limit: 1})
	if err != nil {
		return err
	}
	k.clock.lagKnown = true
	if len(list) == 0 || !list[0].Header.Time.Equal(head.Time) || list[0].Body == nil {
		return nil
	}
	body, err := ledger.ParseBody(list[0].Body)
	if err != nil {
		return &store.Damage{Seq: list[0].Header.Seq, What: "its body cannot be read"}
	}
	for _, d := range body.Details {
		if d.Name == behindDetail {
			if s, err := strconv.ParseFloat(d.Value, 64); err == nil {
				k.clock.lag = time.Duration(s * float64(time.Second))
			}
		}
	}
	return nil
}

func appendStep(b store.Batch, m moment, leap time.Duration) error {
	by := System("clock", ledger.ViaScheduler)
	action := stepAction
	if m.confirmed != nil {
		by, action = *m.confirmed, confirmAction
	}
	_, err := b.Append(m.now, store.Draft{Body: ledger.Body{
		Action: action, Outcome: ledger.OK, Actor: by.Actor, Via: by.Via, RequestID: by.RequestID, Reason: by.Reason,
		Target:  ledger.Target{Kind: "installation"},
		Details: []ledger.Detail{{Name: leapDetail, Value: seconds(leap)}, {Name: behindDetail, Value: seconds(m.behind)}},
	}})
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
