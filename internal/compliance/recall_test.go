package compliance

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// past is a generated history: checks whose answers chance gives, with outages
// and restarts, and beside the ledger a plain account of all that happened.
type past struct {
	*commandtest.World
	rand      *rand.Rand
	programme *Programme
	engine    *Engine
	say       map[string]answer // what each check will say
	told      map[string][]run  // what it did say
	ran       map[string][]time.Time
}

// answer of a check: a status by subject, or that it cannot run.
type answer struct {
	says map[string]string
	err  error
}

type run struct {
	at   time.Time
	says map[string]string
}

func newPast(t *testing.T, seed uint64) *past {
	t.Helper()
	p := &past{
		World: commandtest.Bare(t, commandtest.Noon), rand: rand.New(rand.NewPCG(seed, seed)),
		say: map[string]answer{}, told: map[string][]run{}, ran: map[string][]time.Time{},
	}
	var list []*Check
	for id, every := range map[string]time.Duration{"door": 10 * time.Minute, "window": 90 * time.Minute} {
		list = append(list, &Check{ID: id, Every: every, Version: 1, State: p.answer(id)})
	}
	var err error
	p.programme, err = Join(&Catalogue{Controls: []*Control{
		{ID: "door", Proof: Proof{Checks: []string{"door"}}},
		{ID: "house", Proof: Proof{Checks: []string{"door", "window"}}},
		{ID: "garden", Proof: Proof{Checks: []string{"door"}, Planned: []string{"fence"}}},
	}}, list)
	if err != nil {
		t.Fatal(err)
	}
	p.restart()
	return p
}

func (p *past) answer(check string) func(store.View, time.Time) ([]Result, error) {
	return func(_ store.View, now time.Time) (out []Result, err error) {
		a := p.say[check]
		if a.err != nil {
			p.tell(check, now, unknownOf(p.last(check)))
			return nil, a.err
		}
		for subject, status := range a.says {
			out = append(out, Result{Subject: subject, Name: subject, Status: status, Facts: []string{status}})
		}
		p.tell(check, now, a.says)
		p.ran[check] = append(p.ran[check], now)
		return out, nil
	}
}

func (p *past) last(check string) map[string]string {
	if list := p.told[check]; len(list) > 0 {
		return list[len(list)-1].says
	}
	return nil
}

func (p *past) tell(check string, now time.Time, says map[string]string) {
	p.told[check] = append(p.told[check], run{now, maps.Clone(says)})
}

func unknownOf(says map[string]string) map[string]string {
	out := map[string]string{}
	for subject := range says {
		out[subject] = document.StatusUnknown
	}
	return out
}

func (p *past) restart() {
	p.T.Helper()
	if p.engine != nil {
		if err := p.engine.flush(p.T.Context()); err != nil {
			p.T.Fatal(err)
		}
	}
	p.engine = New(Config{Store: p.Store, Kernel: p.Kernel, Programme: p.programme, Log: slog.New(slog.DiscardHandler), Now: p.Now})
	if err := p.engine.Resume(p.T.Context()); err != nil {
		p.T.Fatal(err)
	}
}

// live lets some hours go by.
func (p *past) live(steps int) {
	p.T.Helper()
	for range steps {
		p.Pass(time.Duration(1+p.rand.IntN(9)) * time.Minute)
		switch p.rand.IntN(40) {
		case 0:
			p.Pass(time.Duration(1+p.rand.IntN(300)) * time.Minute)
		case 1:
			p.restart()
		case 2, 3, 4:
			p.say["door"] = p.chance()
		case 5, 6:
			p.say["window"] = p.chance()
		}
		broken := p.say["door"].err != nil || p.say["window"].err != nil
		if err := p.engine.Due(p.T.Context()); err != nil && !broken {
			p.T.Fatal(err)
		}
	}
}

func (p *past) chance() answer {
	if p.rand.IntN(6) == 0 {
		return answer{err: errors.New("broken")}
	}
	a := answer{says: map[string]string{}}
	for _, subject := range []string{"left", "right"} {
		if s := p.rand.IntN(6); s < 5 {
			a.says[subject] = []string{"pass", "pass", "pass", "fail", "not-applicable"}[s]
		}
	}
	return a
}

// at is what a control's checks say of a moment, by the plain account.
func (p *past) at(c *Control, at time.Time) string {
	status := document.StatusNotApplicable
	for _, check := range c.Proof.Checks {
		ran := p.ran[check]
		next := slices.IndexFunc(ran, func(t time.Time) bool { return t.After(at) })
		if next < 1 || ran[next].Sub(ran[next-1]) > 2*p.programme.Check(check).Every {
			status = outweighing(status, document.StatusUnknown)
			continue
		}
		var says map[string]string
		for _, r := range p.told[check] {
			if !r.at.After(at) {
				says = r.says
			}
		}
		for _, s := range says {
			status = outweighing(status, s)
		}
	}
	return c.judge(status)
}

func (p *past) recall(of Period) *Recall {
	p.T.Helper()
	of.Sees = Sight{"": true}
	r, err := p.programme.Recall(p.T.Context(), p.Store, of)
	if err != nil {
		p.T.Fatal(err)
	}
	return r
}

// TestRecall compares any period of a generated history, minute by minute, with
// the plain account; and asks again after the history went on.
func TestRecall(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			p := newPast(t, seed)
			type asked struct {
				of  Period
				was []History
			}
			var before []asked
			for range 5 {
				p.live(150)
				size := p.Size()
				total := int(p.Now().Sub(commandtest.Noon) / time.Minute)
				from := p.rand.IntN(total - 1)
				of := Period{From: commandtest.Noon.Add(time.Duration(from) * time.Minute), To: p.Now(), Size: size}
				if p.rand.IntN(2) == 0 {
					of.To = of.From.Add(time.Duration(1+p.rand.IntN(total-from)) * time.Minute)
				}
				before = append(before, asked{of, p.compare(of)})
			}
			for _, a := range before {
				if diff := cmp.Diff(a.was, p.histories(a.of)); diff != "" {
					t.Errorf("%s to %s, of %d entries, asked again (-then +now):\n%s", a.of.From, a.of.To, a.of.Size, diff)
				}
				// What was on record stays what it was, whatever came after.
				for i, c := range p.programme.Controls {
					if !a.was[i].From.Before(a.was[i].To) {
						continue
					}
					now := p.recall(Period{From: a.of.From, To: a.was[i].To}).History(c)
					if diff := cmp.Diff(a.was[i], now); diff != "" {
						t.Errorf("%s from %s to %s, of all entries (-then +now):\n%s", c.ID, a.of.From, a.was[i].To, diff)
					}
				}
			}
		})
	}
}

func (p *past) histories(of Period) (out []History) {
	p.T.Helper()
	r := p.recall(of)
	for _, c := range p.programme.Controls {
		out = append(out, r.History(c))
	}
	return out
}

// compare gives the histories of a period after it held them against the plain
// account.
func (p *past) compare(of Period) []History {
	p.T.Helper()
	out := p.histories(of)
	for i, h := range out {
		c := p.programme.Controls[i]
		var pass, blind, all int
		for at := h.From; at.Before(h.To); at = at.Add(time.Minute) {
			want := p.at(c, at)
			if got := statusOf(h.Intervals, at); got != want {
				p.T.Fatalf("%s at %s: %s, want %s", c.ID, at, got, want)
			}
			if want == document.StatusPass {
				pass++
			}
			if want == document.StatusUnknown {
				blind++
			}
			if want != document.StatusNotApplicable {
				all++
			}
			p.gap(h, c, at)
		}
		if h.Judged && fmt.Sprintf("%.9f", h.Effectiveness) != fmt.Sprintf("%.9f", float64(pass)/float64(all)) {
			p.T.Errorf("%s was effective for %f, want %d of %d minutes", c.ID, h.Effectiveness, pass, all)
		}
		applied := all > blind || all > 0 && all == int(h.To.Sub(h.From)/time.Minute)
		if h.Judged != (applied && len(c.Proof.Planned) == 0) {
			p.T.Errorf("%s is judged: %v", c.ID, h.Judged)
		}
		if short := of.To.Sub(h.To); short > 5*time.Hour {
			p.T.Errorf("%s: the answer ends %s before the period", c.ID, short)
		}
	}
	return out
}

// gap holds one minute against the gaps.
func (p *past) gap(h History, c *Control, at time.Time) {
	p.T.Helper()
	worst := document.StatusPass
	for _, g := range h.Gaps {
		if !at.Before(g.From) && at.Before(g.To) {
			worst = outweighing(worst, g.Status)
		}
	}
	was := p.at(&Control{Proof: Proof{Checks: c.Proof.Checks}}, at)
	if was == document.StatusNotApplicable {
		was = document.StatusPass
	}
	if worst != was {
		p.T.Fatalf("%s at %s: the gaps say %s, want %s", c.ID, at, worst, was)
	}
}

// TestPeriods that cannot be answered, or only in part.
func TestPeriods(t *testing.T) {
	p := newPast(t, 1)
	p.live(50)
	sees := Sight{"": true}
	for _, of := range []Period{
		{From: p.Now(), To: p.Now()},
		{From: p.Now(), To: commandtest.Noon},
		{From: commandtest.Noon.Add(-2 * time.Hour), To: commandtest.Noon.Add(-time.Hour)},
	} {
		of.Sees = sees
		if _, err := p.programme.Recall(t.Context(), p.Store, of); fault.Of(err) != fault.Invalid {
			t.Errorf("%s to %s: %v", of.From, of.To, err)
		}
	}
	h := p.recall(Period{From: commandtest.Noon.Add(-24 * time.Hour), To: p.Now()}).History(p.programme.Controls[0])
	if !h.From.Equal(commandtest.Noon) {
		t.Errorf("begins %s", h.From)
	}
	future := p.recall(Period{From: commandtest.Noon, To: p.Now().Add(48 * time.Hour)}).History(p.programme.Controls[0])
	if last := future.Intervals[len(future.Intervals)-1]; last.Status != document.StatusUnknown || !last.To.Equal(p.Now().Add(48*time.Hour)) {
		t.Errorf("the future: %+v", last)
	}
}
