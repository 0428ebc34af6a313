package control

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// denied is a command that nobody may do.
func (l *lab) denied() *step {
	return &step{lab: l, decide: refuse(fault.New(fault.Forbidden, "You may not."))}
}

// deny has a command refused n times.
func (l *lab) deny(n int, c Command, by By) {
	l.Helper()
	for range n {
		if _, err := l.kernel.Execute(context.Background(), c, by); err == nil {
			l.Fatal("it was not refused")
		}
	}
}

// flush lets the kernel write a batch, and with it the counts that are due.
func (l *lab) flush() {
	l.Helper()
	_, err := l.kernel.Execute(context.Background(), &step{lab: l, action: "team.look", decide: look}, l.as(l.owner))
	must(l, err)
}

func look(store.View, *document.Team, *Decision) error { return nil }

func TestDenialsAreCounted(t *testing.T) {
	l := newLab(t)
	before := l.size()
	l.deny(4, l.denied(), l.as(l.owner))
	l.clock.pass(59 * time.Second)
	l.deny(1, l.denied(), l.as(l.owner))
	if n := l.size() - before; n != 1 {
		t.Fatalf("%d entries for five refusals within a minute, want 1", n)
	}
	l.flush()
	l.clock.pass(time.Second)
	l.flush()
	l.deny(1, l.denied(), l.as(l.owner))
	list := l.since(before)
	equal(t, "entries", actions(list), []string{"team.step", "team.look", "team.step", "team.look", "team.step"})
	if list[0].Count != 0 || list[2].Count != 4 || list[4].Count != 0 {
		t.Errorf("counts %d, %d, %d, want none, 4, none", list[0].Count, list[2].Count, list[4].Count)
	}
	e := list[2]
	if e.Scope != l.team.ID || e.Outcome != ledger.Denied || e.Error != "You may not." || e.Actor != l.owner.Email || len(e.Body.Actor.Roles) != 1 {
		t.Errorf("the count: %+v", e)
	}
	// A minute in which nothing more came leaves no entry behind.
	l.clock.pass(2 * time.Minute)
	l.flush()
	if n := len(l.since(before)); n != 6 {
		t.Errorf("%d entries, want 6", n)
	}
}

// TestDenialsTick writes the counts although nobody sends a command.
func TestDenialsTick(t *testing.T) {
	l := newLab(t)
	before := l.size()
	l.deny(3, l.denied(), l.as(l.owner))
	l.clock.pass(time.Minute)
	for range 100 {
		if l.size() == before+2 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if list := l.since(before); len(list) != 2 || list[1].Count != 2 {
		t.Errorf("%+v, want an entry and a count of 2", list)
	}
}

// TestWhatIsTheSameDenial varies a refusal in one way at a time.
func TestWhatIsTheSameDenial(t *testing.T) {
	other := uuid.NewString()
	tests := []struct {
		name   string
		first  string // the address of the first
		vary   func(*lab, *step, *By)
		counts bool
	}{
		{"the same again", "198.51.100.7", func(*lab, *step, *By) {}, true},
		{"another address of the same /24", "198.51.100.7", func(_ *lab, _ *step, by *By) { by.Actor.IP = "198.51.100.250" }, true},
		{"the same address, mapped to IPv6", "198.51.100.7", func(_ *lab, _ *step, by *By) { by.Actor.IP = "::ffff:198.51.100.7" }, true},
		{"another client", "198.51.100.7", func(_ *lab, _ *step, by *By) { by.Actor.UserAgent = "curl" }, true},
		{"another target in the scope", "198.51.100.7", func(_ *lab, c *step, _ *By) { c.aim = func(a *Aim) { a.Target.ID = "x" } }, true},
		{"another address of the same /64", "2001:db8::1", func(_ *lab, _ *step, by *By) { by.Actor.IP = "2001:db8::2" }, true},
		{"another /64", "2001:db8::1", func(_ *lab, _ *step, by *By) { by.Actor.IP = "2001:db8:0:1::1" }, false},
		{"another /24", "198.51.100.7", func(_ *lab, _ *step, by *By) { by.Actor.IP = "198.51.101.7" }, false},
		{"another actor", "198.51.100.7", func(l *lab, _ *step, by *By) { by.Actor.ID = l.stranger.ID }, false},
		{"another action", "198.51.100.7", func(_ *lab, c *step, _ *By) { c.action = "team.other" }, false},
		{"another scope", "198.51.100.7", func(_ *lab, c *step, _ *By) { c.aim = func(a *Aim) { a.Scope = other } }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			by := l.as(l.owner)
			by.Actor.IP = tt.first
			l.deny(1, l.denied(), by)
			before := l.size()
			c := l.denied()
			tt.vary(l, c, &by)
			l.deny(1, c, by)
			if recorded := l.size() - before; recorded == 0 != tt.counts {
				t.Errorf("%d entries, counted is %v", recorded, tt.counts)
			}
		})
	}
}

// TestAnonymousFlood sends more anonymous refusals a minute than get entries of
// their own, each from another network.
func TestAnonymousFlood(t *testing.T) {
	l := newLab(t)
	before := l.size()
	const extra = 40
	var wg sync.WaitGroup
	for i := range anonymousRate + extra {
		wg.Go(func() {
			l.kernel.Execute(context.Background(), l.denied(), anonymous(fmt.Sprintf("10.%d.%d.1", i/250, i%250)))
		})
	}
	wg.Wait()
	if n := l.size() - before; n != anonymousRate+1 {
		t.Fatalf("%d entries, want %d", n, anonymousRate+1)
	}
	// Whoever is logged in is still recorded one by one.
	l.deny(1, l.denied(), l.as(l.owner))
	if n := l.size() - before; n != anonymousRate+2 {
		t.Errorf("%d entries after that of an account, want %d", n, anonymousRate+2)
	}
	at := l.size()
	l.clock.pass(time.Minute)
	l.flush()
	list := l.since(at)
	if len(list) != 2 || list[0].Count != extra-1 || list[0].Outcome != ledger.Denied {
		t.Errorf("after the minute: %+v, want one count of %d and the look", list, extra-1)
	}
	// A new minute begins with entries of their own.
	at = l.size()
	l.deny(1, l.denied(), anonymous("10.0.0.1"))
	l.deny(1, l.denied(), anonymous("10.0.1.1"))
	if n := l.size() - at; n != 2 {
		t.Errorf("%d entries in the next minute, want 2", n)
	}
}

// TestFailedBatchKeepsCounts fails batches that count, open and flush denials:
// nothing is lost and nothing counted that its caller was told did not happen.
func TestFailedBatchKeepsCounts(t *testing.T) {
	l := newLab(t)
	l.deny(3, l.denied(), l.as(l.owner)) // an entry and a count of 2
	before := l.size()
	l.store.set("commit")
	l.deny(1, l.denied(), l.as(l.owner)) // not counted
	l.store.set("commit")
	l.deny(1, l.denied(), l.as(l.stranger)) // not opened
	l.store.set("commit")
	l.deny(1, l.denied(), anonymous("203.0.113.1")) // not counted towards the flood
	if n := l.kernel.denials.anonymous.count; n != 0 {
		t.Errorf("%d anonymous ones are counted", n)
	}
	l.deny(2, l.denied(), l.as(l.stranger)) // an entry and a count of 1
	l.clock.pass(time.Minute)
	l.store.set("commit") // fails the batch that writes the counts
	if err := l.try("x"); fault.Of(err) != fault.Unavailable {
		t.Errorf("%v, want unavailable", err)
	}
	l.flush()
	list := l.since(before)
	counts := map[string]int64{}
	for _, e := range list {
		counts[e.Actor] += e.Count
	}
	if counts[l.owner.Email] != 2 || counts[l.stranger.Email] != 1 {
		t.Errorf("counts %v, want 2 of the owner's and 1 of the stranger's", counts)
	}
	// Once written they are not written again.
	n := l.size()
	l.clock.pass(time.Minute)
	l.flush()
	if l.size() != n+1 {
		t.Errorf("%v", actions(l.since(n)))
	}
}

// TestStopWritesCounts ends the kernel in the middle of a counted minute.
func TestStopWritesCounts(t *testing.T) {
	l := newLab(t)
	before := l.size()
	l.deny(5, l.denied(), l.as(l.owner))
	l.halt()
	if list := l.since(before); len(list) != 2 || list[1].Count != 4 {
		t.Errorf("%+v, want an entry and a count of 4", list)
	}

	l.start()
	l.deny(2, l.denied(), l.as(l.owner))
	l.store.set("commit")
	l.stop()
	if err := <-l.done; fault.Of(err) != fault.Unavailable {
		t.Errorf("counts that could not be written: %v, want unavailable", err)
	}
	l.stop = nil
}

// TestMinutesGoByTheMonotonicClock leaps the wall clock in a counted minute.
func TestMinutesGoByTheMonotonicClock(t *testing.T) {
	l := newLab(t)
	l.deny(2, l.denied(), l.as(l.owner))
	before := l.size()
	l.clock.leap(2 * time.Hour)
	l.deny(1, l.denied(), l.as(l.owner))
	equal(t, "after a leap", actions(l.since(before)), []string{"clock.step"})
	l.clock.pass(time.Minute)
	l.flush()
	if e := l.since(before)[1]; e.Count != 2 {
		t.Errorf("%+v, want a count of 2", e)
	}
}
