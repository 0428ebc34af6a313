package control

import (
	"fmt"
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

// clock compares the wall clock with the monotonic one. Used by the writer only.
type clock struct {
	now       func() time.Time
	wall      time.Time          // wall reading at the last look
	mono      time.Time          // the same moment, for the monotonic difference
	confirmed atomic.Pointer[By] // the operator who accepted the next step
}

func newClock(now func() time.Time) *clock {
	t := now()
	return &clock{now: now, wall: t.Round(0), mono: t}
}

// look reads the wall clock and how far it leapt since the last accepted reading.
func (c *clock) look() (reading time.Time, leap time.Duration) {
	t := c.now()
	return t, t.Round(0).Sub(c.wall) - t.Sub(c.mono)
}

// accept makes a reading the new base.
func (c *clock) accept(reading time.Time) { c.wall, c.mono = reading.Round(0), reading }

// ConfirmClock lets the next batch accept the clock as it is. The confirmation
// becomes an entry of its actor's before anything else is appended.
func (k *Kernel) ConfirmClock(by By) { k.clock.confirmed.Store(&by) }

// now gives the batch's time: max(clock, previous entry). A leap is appended as
// clock.step; one too great to be believed stops appending until an operator
// confirms it (ConfirmClock).
func (k *Kernel) now(b store.Batch) (time.Time, error) {
	reading, leap := k.clock.look()
	wall, last := reading.Round(0).UTC(), b.LastTime()
	confirmed := k.clock.confirmed.Load()
	if confirmed == nil && (leap.Abs() > stepRefused || !last.IsZero() && last.Sub(wall) > backRefused) {
		return time.Time{}, fault.New(fault.Unavailable,
			"The clock reads %s and the ledger's newest entry %d is of %s, so nothing is recorded and nothing was changed. Mend the clock, or confirm it with: strongroom ledger:confirm-clock",
			wall.Format(time.RFC3339), b.Size()-1, last.Format(time.RFC3339))
	}
	now := wall
	if now.Before(last) {
		now = last
	}
	if leap.Abs() > stepNoted || confirmed != nil {
		if err := appendStep(b, now, leap, confirmed); err != nil {
			return now, err
		}
	}
	k.clock.confirmed.CompareAndSwap(confirmed, nil)
	k.clock.accept(reading)
	return now, nil
}

func appendStep(b store.Batch, now time.Time, leap time.Duration, confirmed *By) error {
	by := System("clock", ledger.ViaScheduler)
	action := "clock.step"
	if confirmed != nil {
		by, action = *confirmed, "clock.confirm"
	}
	_, err := b.Append(now, store.Draft{Body: ledger.Body{
		Action: action, Outcome: ledger.OK, Actor: by.Actor, Via: by.Via, RequestID: by.RequestID, Reason: by.Reason,
		Target:  ledger.Target{Kind: "installation"},
		Details: []ledger.Detail{{Name: "leap_seconds", Value: fmt.Sprintf("%.3f", leap.Seconds())}},
	}})
	return err
}
