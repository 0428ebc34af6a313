package control

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

// try executes a command and gives its refusal.
func (l *lab) try(name string) error {
	_, err := l.kernel.Execute(l.Context(), l.rename(name), l.as(l.owner))
	return err
}

// TestClockSteps leaps the wall clock against the monotonic one, a while after
// the newest entry.
func TestClockSteps(t *testing.T) {
	tests := []struct {
		name string
		wait time.Duration
		leap time.Duration
		want []string // the entries; nil = refused
	}{
		{"no leap", time.Hour, 0, []string{"team.rename"}},
		{"a minute", time.Second, time.Minute, []string{"team.rename"}},
		{"more than a minute", time.Second, 61 * time.Second, []string{"clock.step", "team.rename"}},
		{"back by more than a minute, and not behind the newest entry", 2 * time.Minute, -61 * time.Second, []string{"clock.step", "team.rename"}},
		{"a day", time.Second, 24 * time.Hour, []string{"clock.step", "team.rename"}},
		{"more than a day", time.Second, 24*time.Hour + time.Second, nil},
		{"back by more than a day, and not behind the newest entry", 48 * time.Hour, -25 * time.Hour, nil},
		{"ten seconds behind the newest entry", 0, -10 * time.Second, []string{"team.rename"}},
		{"more than ten seconds behind the newest entry", 0, -11 * time.Second, nil},
		{"an hour behind the newest entry", time.Second, -time.Hour, nil},
	}
	for _, tt := range tests {
		for _, restarted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/restarted=%v", tt.name, restarted), func(t *testing.T) {
				l := newLab(t)
				must(t, l.try("before"))
				before := l.size()
				newest := l.since(before - 1)[0].Time
				if restarted {
					l.halt()
					l.start()
				}
				l.clock.pass(tt.wait)
				l.clock.leap(tt.leap)
				err := l.try("after")
				list := l.since(before)
				equal(t, "entries", actions(list), tt.want)
				if tt.want == nil {
					if fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), fmt.Sprintf("entry %d ", before-1)) ||
						!strings.Contains(err.Error(), "ledger:confirm-clock") {
						t.Errorf("%v, want unavailable, the newest entry's number and the remedy", err)
					}
					return
				}
				must(t, err)
				for _, e := range list {
					if e.Time.Before(newest) {
						t.Errorf("entry %d is before the one before it", e.Seq)
					}
					if wall := l.clock.read().wall; wall.After(newest) && !e.Time.Equal(wall) {
						t.Errorf("entry %d has the time %v, the clock reads %v", e.Seq, e.Time, wall)
					}
				}
				// It was noted once.
				n := l.size()
				must(t, l.try("again"))
				equal(t, "the next", actions(l.since(n)), []string{"team.rename"})
			})
		}
	}
}

// TestMendedClock refuses while the clock is wrong and goes on by itself when
// it is right again.
func TestMendedClock(t *testing.T) {
	l := newLab(t)
	before := l.size()
	l.clock.leap(30 * 24 * time.Hour)
	for range 3 {
		if err := l.try("x"); fault.Of(err) != fault.Unavailable {
			t.Fatalf("%v, want unavailable", err)
		}
	}
	l.clock.pass(time.Minute)
	l.clock.leap(-30 * 24 * time.Hour)
	must(t, l.try("right"))
	equal(t, "entries", actions(l.since(before)), []string{"team.rename"})
}

// TestConfirmedLeap has an operator accept that the clock was wrong before.
func TestConfirmedLeap(t *testing.T) {
	l := newLab(t)
	before := l.size()
	l.clock.leap(30 * 24 * time.Hour)
	if err := l.try("x"); fault.Of(err) != fault.Unavailable {
		t.Fatalf("%v, want unavailable", err)
	}
	by := l.as(l.stranger)
	by.Reason = "the battery was empty"
	l.kernel.ConfirmClock(by)
	must(t, l.try("y"))
	must(t, l.try("z"))
	list := l.since(before)
	equal(t, "entries", actions(list), []string{"clock.confirm", "team.rename", "team.rename"})
	e := list[0]
	if e.Actor != l.stranger.Email || e.Body.Reason != by.Reason || e.Scope != "" || e.Body.Details[0].Value != "2592000.000" || !e.Time.Equal(l.clock.read().wall) {
		t.Errorf("the confirmation: %+v", e)
	}
}

// TestConfirmedLag is a clock that was wrong, by a day, and is right again: the
// ledger's time stands still until the clock has caught up, also across a
// restart, and nothing is refused meanwhile.
func TestConfirmedLag(t *testing.T) {
	l := newLab(t)
	l.clock.leap(20 * time.Hour)
	must(t, l.try("in the future"))
	newest := l.since(l.size() - 1)[0].Time
	l.clock.leap(-20 * time.Hour)
	if err := l.try("x"); fault.Of(err) != fault.Unavailable {
		t.Fatalf("%v, want unavailable", err)
	}
	l.halt()
	l.start() // a restart alone mends nothing
	if err := l.try("x"); fault.Of(err) != fault.Unavailable {
		t.Fatalf("after a restart: %v, want unavailable", err)
	}
	before := l.size()
	l.kernel.ConfirmClock(l.as(l.owner))
	for i := range 3 {
		must(t, l.try(fmt.Sprint("confirmed ", i)))
		l.clock.pass(time.Minute)
	}
	l.halt()
	l.start()
	must(t, l.try("after a restart"))
	list := l.since(before)
	equal(t, "entries", actions(list), []string{"clock.confirm", "team.rename", "team.rename", "team.rename", "team.rename"})
	for _, e := range list {
		if !e.Time.Equal(newest) {
			t.Errorf("entry %d has the time %v, want that of the newest entry, %v", e.Seq, e.Time, newest)
		}
	}
	// What was confirmed is this lag and no greater one.
	l.clock.leap(-time.Minute)
	must(t, l.try("further back, and not as far as was confirmed"))
	l.clock.leap(-time.Hour)
	if err := l.try("too far back"); fault.Of(err) != fault.Unavailable {
		t.Errorf("further back than was confirmed: %v, want unavailable", err)
	}
	l.clock.leap(time.Hour + time.Minute)

	// Once the clock has caught up, falling behind again needs a new word.
	l.clock.pass(21 * time.Hour)
	must(t, l.try("caught up"))
	if e := l.since(l.size() - 1)[0]; !e.Time.Equal(l.clock.read().wall) {
		t.Errorf("the time is %v, the clock reads %v", e.Time, l.clock.read().wall)
	}
	l.clock.leap(-2 * time.Hour)
	if err := l.try("behind again"); fault.Of(err) != fault.Unavailable {
		t.Errorf("behind again: %v, want unavailable", err)
	}
	l.halt()
	l.start()
	if err := l.try("behind again"); fault.Of(err) != fault.Unavailable {
		t.Errorf("behind again, after a restart: %v, want unavailable", err)
	}
}

// TestConfirmationSurvivesAFailedBatch does not lose the operator's word, and
// writes it although nobody sends a command.
func TestConfirmationSurvivesAFailedBatch(t *testing.T) {
	l := newLab(t)
	before := l.size()
	l.clock.leap(30 * 24 * time.Hour)
	l.store.set("commit")
	l.kernel.ConfirmClock(l.as(l.owner))
	for range 100 {
		if l.size() > before {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	equal(t, "entries", actions(l.since(before)), []string{"clock.confirm"})
	must(t, l.try("x"))
}

// TestRealClock reads the machine's own clock, whose times carry Go's
// monotonic reading.
func TestRealClock(t *testing.T) {
	c := newClock(time.Now)
	time.Sleep(20 * time.Millisecond)
	r := c.read()
	if r.up < 20*time.Millisecond || c.leap(r).Abs() > time.Second || r.wall.Location() != time.UTC {
		t.Errorf("%+v, leap %v", r, c.leap(r))
	}
}
