package formation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/strongroom/strongroom/internal/driver"
	"pgregory.net/rapid"
)

var (
	now    = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	policy = Policy{Base: 10 * time.Second, Max: time.Minute, Steady: 10 * time.Minute}
)

func web(quantity int, rolling bool) driver.Formation {
	return driver.Formation{
		ID: "web", Revision: "new", Quantity: quantity, Rolling: rolling,
		Boot: time.Minute, Process: driver.Process{Port: 5000},
	}
}

// member is written "ordinal revision state age [restarts ran]".
func member(t *testing.T, i int, text string) Member {
	t.Helper()
	m := Member{ID: fmt.Sprintf("m%d", i), Formation: "web"}
	var age, ran string
	n, _ := fmt.Sscan(text, &m.Ordinal, &m.Revision, &m.State, &age, &m.Restarts, &ran)
	if n < 4 {
		t.Fatalf("member %q", text)
	}
	m.Since = now.Add(-duration(t, age))
	if ran != "" {
		m.Ran = duration(t, ran)
	}
	return m
}

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func text(actions []Action) []string {
	var lines []string
	for _, a := range actions {
		line := fmt.Sprintf("%s %d", a.Kind, a.Ordinal)
		if a.Member != "" {
			line += " " + a.Member
		}
		if a.Restarts != 0 {
			line += fmt.Sprintf(" restarts=%d", a.Restarts)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestPlan(t *testing.T) {
	worker := web(2, true)
	worker.Process.Port = 0
	for _, tt := range []struct {
		name      string
		formation driver.Formation
		members   []string
		want      []string
		wake      time.Duration
	}{
		{name: "nothing there", formation: web(2, true), want: []string{"start 1", "start 2"}},
		{name: "steady", formation: web(2, true), members: []string{"1 new up 1h", "2 new up 1h"}},
		{name: "scaled to zero", formation: web(0, true), members: []string{"1 new up 1h", "2 new draining 1s"}, want: []string{"drain 1 m0"}},
		{name: "scaled down forgets a crashed one", formation: web(1, true), members: []string{"1 new up 1h", "2 new crashed 1s"}, want: []string{"forget 2 m1"}},
		{name: "booting", formation: web(1, true), members: []string{"1 new starting 20s"}, wake: 40 * time.Second},
		{name: "boot too long", formation: web(1, true), members: []string{"1 new starting 60s"}, want: []string{"fail 1 m0"}},
		{name: "first crash restarts at once", formation: web(1, true), members: []string{"1 new crashed 0s 0 1s"}, want: []string{"start 1 m0 restarts=1"}},
		{name: "second waits", formation: web(1, true), members: []string{"1 new crashed 4s 1 1s"}, wake: 6 * time.Second},
		{name: "second is over", formation: web(1, true), members: []string{"1 new crashed 10s 1 1s"}, want: []string{"start 1 m0 restarts=2"}},
		{name: "fourth waits longer", formation: web(1, true), members: []string{"1 new crashed 0s 3 1s"}, wake: 40 * time.Second},
		{name: "never longer than max", formation: web(1, true), members: []string{"1 new crashed 0s 900 1s"}, wake: time.Minute},
		{name: "a long run forgives", formation: web(1, true), members: []string{"1 new crashed 0s 7 10m"}, want: []string{"start 1 m0 restarts=1"}},
		{name: "rolling starts one first", formation: web(2, true), members: []string{"1 old up 1h", "2 old up 1h"}, want: []string{"start 1"}},
		{name: "rolling waits for it", formation: web(2, true), members: []string{"1 old up 1h", "2 old up 1h", "1 new starting 1s"}, wake: 59 * time.Second},
		{name: "rolling drains then goes on", formation: web(2, true), members: []string{"1 old up 1h", "2 old up 1h", "1 new up 1s"}, want: []string{"drain 1 m0", "start 2"}},
		{name: "rolling keeps the old while the new crashes", formation: web(2, true), members: []string{"1 old up 1h", "2 old up 1h", "1 new crashed 1s 1 1s"}, wake: 9 * time.Second},
		{name: "rolling a quarter at a time", formation: web(8, true), members: []string{"1 old up 1h", "2 old up 1h", "3 old up 1h", "4 old up 1h", "5 old up 1h", "6 old up 1h", "7 old up 1h", "8 old up 1h"}, want: []string{"start 1", "start 2"}},
		{name: "rolling replaces a stopped one before it is gone", formation: web(1, true), members: []string{"1 new draining 1s"}, want: []string{"start 1"}},
		{name: "replace stops the old", formation: web(2, false), members: []string{"1 old up 1h", "2 old up 1h"}, want: []string{"drain 1 m0", "drain 2 m1"}},
		{name: "replace waits for the last old one", formation: web(2, false), members: []string{"2 old draining 1h"}},
		{name: "replace waits even for one beyond the quantity", formation: web(1, false), members: []string{"2 old draining 1h"}},
		{name: "replace then starts", formation: web(2, false), want: []string{"start 1", "start 2"}},
		{name: "replace waits for a stopped one", formation: web(1, false), members: []string{"1 new draining 1s"}},
		{name: "without port there is no rolling", formation: worker, members: []string{"1 old up 1h"}, want: []string{"drain 1 m0"}},
		{name: "an old crashed one is forgotten", formation: web(1, false), members: []string{"1 old crashed 1s"}, want: []string{"forget 1 m0", "start 1"}},
		{name: "two at one place", formation: web(1, true), members: []string{"1 new up 1h", "1 new up 1m"}, want: []string{"drain 1 m1"}},
		{name: "a crashed memory beside a running one", formation: web(1, true), members: []string{"1 new crashed 1h", "1 new up 1m"}, want: []string{"forget 1 m0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var members []Member
			for i, m := range tt.members {
				members = append(members, member(t, i, m))
			}
			actions, wake := policy.Plan(now, []driver.Formation{tt.formation}, members)
			if diff := cmp.Diff(tt.want, text(actions)); diff != "" {
				t.Errorf("actions (-want +got):\n%s", diff)
			}
			var in time.Duration
			if !wake.IsZero() {
				in = wake.Sub(now)
			}
			if in != tt.wake {
				t.Errorf("wake in %v, want %v", in, tt.wake)
			}
		})
	}
}

func TestPlanFailsOnce(t *testing.T) {
	m := member(t, 0, "1 new starting 60s")
	m.Failing = true
	if actions, wake := policy.Plan(now, []driver.Formation{web(1, true)}, []Member{m}); len(actions) > 0 || !wake.IsZero() {
		t.Errorf("%v, wake %v", text(actions), wake)
	}
}

func TestPlanUnknownFormation(t *testing.T) {
	actions, _ := policy.Plan(now, nil, []Member{member(t, 0, "1 new up 1h"), member(t, 1, "2 new crashed 1h"), member(t, 2, "3 new draining 1h")})
	if diff := cmp.Diff([]string{"drain 1 m0", "forget 2 m1"}, text(actions)); diff != "" {
		t.Error(diff)
	}
}

// TestPlanSettles carries plans out in any order of events and checks what
// must always hold: rolling never has fewer members up than it began with,
// replacing never runs two revisions at once, and both come to rest.
func TestPlanSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		quantity := rapid.IntRange(1, 9).Draw(t, "quantity")
		rolling := rapid.Bool().Draw(t, "rolling")
		f := web(quantity, rolling)
		w := world{t: t, rolling: rolling, clock: now, floor: quantity}
		for i := range quantity {
			w.members = append(w.members, Member{ID: w.id(), Formation: "web", Ordinal: i + 1, Revision: "old", State: driver.Up, Since: now})
		}
		for range 60 * quantity {
			actions, _ := policy.Plan(w.clock, []driver.Formation{f}, w.members)
			w.carryOut(actions)
			w.check()
			w.clock = w.clock.Add(time.Second)
			w.happen()
		}
		up := 0
		for _, m := range w.members {
			if m.Revision != "new" || m.State != driver.Up {
				t.Fatalf("not settled: %v", w.members)
			}
			up++
		}
		if up != quantity {
			t.Fatalf("%d up, want %d", up, quantity)
		}
	})
}

type world struct {
	t       *rapid.T
	rolling bool
	clock   time.Time
	floor   int
	next    int
	members []Member
}

func (w *world) id() string { w.next++; return fmt.Sprint(w.next) }

func (w *world) carryOut(actions []Action) {
	for _, a := range actions {
		switch a.Kind {
		case Start:
			w.remove(a.Member)
			w.members = append(w.members, Member{ID: w.id(), Formation: "web", Ordinal: a.Ordinal, Revision: "new", State: driver.Starting, Since: w.clock, Restarts: a.Restarts})
		case Drain:
			w.find(a.Member).State = driver.Draining
		case Forget:
			w.remove(a.Member)
		}
	}
}

func (w *world) find(id string) *Member {
	for i := range w.members {
		if w.members[i].ID == id {
			return &w.members[i]
		}
	}
	w.t.Fatalf("no member %s", id)
	return nil
}

func (w *world) remove(id string) {
	for i := range w.members {
		if w.members[i].ID == id {
			w.members = append(w.members[:i:i], w.members[i+1:]...)
			return
		}
	}
}

// happen lets one thing of the outside happen.
func (w *world) happen() {
	if len(w.members) == 0 {
		return
	}
	m := &w.members[rapid.IntRange(0, len(w.members)-1).Draw(w.t, "who")]
	// Whatever is drawn, some starting member comes up and some leaving one goes.
	for i := range w.members {
		if s := w.members[i].State; s == driver.Starting || s == driver.Draining {
			m = &w.members[i]
			break
		}
	}
	switch m.State {
	case driver.Starting:
		m.State, m.Since = driver.Up, w.clock
	case driver.Draining:
		w.remove(m.ID)
	}
}

func (w *world) check() {
	var up []string
	revisions := map[string]bool{}
	for _, m := range w.members {
		revisions[m.Revision] = true
		if m.State == driver.Up {
			up = append(up, m.ID)
		}
	}
	if w.rolling && len(up) < w.floor {
		w.t.Fatalf("only %s up", strings.Join(up, " "))
	}
	if !w.rolling && len(revisions) > 1 {
		w.t.Fatalf("two revisions at once: %v", w.members)
	}
}
