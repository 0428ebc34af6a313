package host

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/fault"
)

// Clock is what the kernel knows of its clock.
type Clock struct {
	Kept      bool          // a time service keeps it
	Offset    time.Duration // that is still to be taken back
	Estimated time.Duration // error, as the time service says
	Bound     time.Duration // which the error cannot exceed: it grows until the next comparison
}

// How wrong the clock may be. The bound grows by 1.8 s an hour: at the limit the
// clock was not compared for two hours, four times as long as time services wait.
const (
	maxOffset = time.Second
	maxBound  = 4 * time.Second
)

// KernelClock asks the kernel.
func KernelClock() (Clock, error) {
	var x unix.Timex
	state, err := unix.Adjtimex(&x)
	if err != nil {
		return Clock{}, fmt.Errorf("ask for the clock's state: %w", err)
	}
	unit := time.Microsecond
	if x.Status&unix.STA_NANO != 0 {
		unit = time.Nanosecond
	}
	return Clock{
		Kept:   state != unix.TIME_ERROR && x.Status&unix.STA_UNSYNC == 0,
		Offset: time.Duration(x.Offset) * unit, Estimated: time.Duration(x.Esterror) * time.Microsecond, Bound: time.Duration(x.Maxerror) * time.Microsecond,
	}, nil
}

// clock: the times of entries can be believed. A clock that nobody keeps may be
// right or wrong: that is unknown.
func clock(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "host.clock", Title: "The host's clock is kept by a time source and right to a second", Version: 1,
		Every: often, Try: func(context.Context) ([]compliance.Result, error) {
			now, err := c.Clock()
			if err != nil {
				return nil, err
			}
			if !now.Kept {
				return nil, fault.New(fault.Unavailable, "No time service keeps the host's clock, so that nobody knows whether it is right.")
			}
			return []compliance.Result{now.judge().Of("", "host", "the host")}, nil
		},
	}
}

// judge leaves numbers out of a failure's facts: they would make news of it each
// time.
func (c Clock) judge() compliance.Result {
	var wrong []string
	if c.Offset.Abs() >= maxOffset || c.Estimated >= maxOffset {
		wrong = append(wrong, fmt.Sprintf("The clock is wrong by %s or more.", maxOffset))
	}
	if c.Bound >= maxBound {
		wrong = append(wrong, "The clock was not compared with its source for two hours or more.")
	}
	const looked = "Looked at: what the kernel says of its clock: "
	if len(wrong) > 0 {
		return compliance.Fail(append(wrong, looked+"offset, estimated error and bound of the error.")...)
	}
	return compliance.Pass(fmt.Sprintf("%soffset %s, estimated error %s, error at most %s.", looked, c.Offset, c.Estimated, c.Bound))
}
