package compliance_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strongroom/strongroom/internal/command/checks"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// lab is an engine with one check, whose answers the test gives.
type lab struct {
	*commandtest.World
	programme *compliance.Programme
	engine    *compliance.Engine
	results   []compliance.Result
	err       error
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{World: commandtest.New(t, commandtest.Noon)}
	l.programme = join(t, &compliance.Catalogue{Digest: "sha256:1", Controls: []*compliance.Control{
		{ID: "a", Severity: "low", Proof: compliance.Proof{Checks: []string{"door"}}},
		{ID: "b", Severity: "high", Proof: compliance.Proof{Checks: []string{"door"}}},
	}}, &compliance.Check{
		ID: "door", Version: 1, Every: 10 * time.Minute, Reads: []string{"space."},
		State: func(store.View, time.Time) ([]compliance.Result, error) { return l.results, l.err },
	})
	l.start()
	return l
}

// start runs another program in the place of the one before.
func (l *lab) start() {
	l.T.Helper()
	l.engine = compliance.New(compliance.Config{
		Store: l.Store, Kernel: l.Kernel, Log: slog.New(slog.DiscardHandler), Now: l.Now, Programme: l.programme,
	})
	if err := l.engine.Resume(l.T.Context()); err != nil {
		l.T.Fatal(err)
	}
}

func join(t *testing.T, c *compliance.Catalogue, list ...*compliance.Check) *compliance.Programme {
	t.Helper()
	p, err := compliance.Join(c, list)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// say runs the check after a time, with an answer about the ward.
func (l *lab) say(after time.Duration, r compliance.Result) {
	l.T.Helper()
	l.results, l.err = []compliance.Result{r.Of(l.IDs["space:ward"], l.IDs["space:ward"], "ward")}, nil
	l.round(after)
}

func (l *lab) round(after time.Duration) {
	l.T.Helper()
	l.Pass(after)
	if err := l.engine.Due(l.T.Context()); err != nil && l.err == nil {
		l.T.Fatal(err)
	}
}

func (l *lab) status() *document.Status {
	l.T.Helper()
	list := commandtest.Find[*document.Status](l.World, "check", "door")
	if len(list) != 1 {
		l.T.Fatalf("%d statuses", len(list))
	}
	return list[0]
}

// ran is the newest time that is on record as one in which the check ran.
func (l *lab) ran() document.Run {
	r, _ := commandtest.Find[*document.Beat](l.World, "all", "")[0].Of("door")
	return r
}

func (l *lab) findings() []*document.Finding {
	return commandtest.Find[*document.Finding](l.World, "check", "door")
}

// TestFinding takes a failure from its first moment to its last.
func TestFinding(t *testing.T) {
	l := newLab(t)
	l.say(0, compliance.Pass("shut"))
	if s := l.status(); s.Status != "pass" || s.Facts[0] != "shut" || s.Catalogue != "sha256:1" || !s.Since.Equal(commandtest.Noon) {
		t.Errorf("%+v", s)
	}
	size := l.Size()
	l.say(10*time.Minute, compliance.Pass("shut, and locked"))
	if l.Size() != size {
		t.Errorf("news of no news: %v", l.Since(size))
	}
	l.say(10*time.Minute, compliance.Fail("open"))
	f := l.findings()
	if len(f) != 1 || f[0].State != "open" || f[0].Severity != "high" || len(f[0].Controls) != 2 || !f[0].DueAt.Equal(l.Now().Add(7*24*time.Hour)) {
		t.Fatalf("%+v", f)
	}
	size = l.Size()
	l.say(10*time.Minute, compliance.Fail("open"))
	if l.Size() != size {
		t.Error("the same failure twice")
	}
	l.say(10*time.Minute, compliance.Fail("wide open"))
	if f := l.findings(); len(f) != 1 || f[0].Facts[0] != "wide open" {
		t.Errorf("a failure with other facts: %+v", f)
	}
	l.say(10*time.Minute, compliance.Pass("shut"))
	if f := l.findings(); len(f) != 1 || f[0].State != "closed" || !f[0].ClosedAt.Equal(l.Now()) {
		t.Errorf("mended: %+v", f[0])
	}
	l.say(10*time.Minute, compliance.Fail("open"))
	if f := l.findings(); len(f) != 2 {
		t.Errorf("a new failure has a finding of its own: %+v", f)
	}
}

func TestSubjectThatIsGone(t *testing.T) {
	l := newLab(t)
	l.say(0, compliance.Fail("open"))
	l.results = nil
	l.round(10 * time.Minute)
	if list := commandtest.Find[*document.Status](l.World, "check", "door"); len(list) != 0 {
		t.Errorf("%+v", list[0])
	}
	if f := l.findings(); f[0].State != "closed" {
		t.Errorf("%+v", f[0])
	}
}

// TestCheckThatCannotRun is unknown, never pass, and leaves a gap.
func TestCheckThatCannotRun(t *testing.T) {
	l := newLab(t)
	l.say(0, compliance.Pass("shut"))
	l.err = errors.New("password=hunter2")
	l.round(10 * time.Minute)
	s := l.status()
	if s.Status != "unknown" || s.Before != "pass" {
		t.Errorf("%+v", s)
	}
	if where := l.Tells("hunter2"); len(where) != 0 {
		t.Errorf("the error's text is in %v", where)
	}
	l.err = fault.New(fault.Unavailable, "The engine does not answer.")
	l.round(10 * time.Minute)
	l.say(10*time.Minute, compliance.Fail("open"))
	l.err = errors.New("x")
	l.round(10 * time.Minute)
	if f := l.findings(); f[0].State != "open" {
		t.Errorf("not knowing closed the finding: %+v", f[0])
	}
}

// TestBeats: the time in which the check ran is on record, with its gaps.
func TestBeats(t *testing.T) {
	l := newLab(t)
	begin := l.Now()
	for range 12 { // two hours
		l.say(10*time.Minute, compliance.Pass("shut"))
	}
	l.say(3*time.Hour, compliance.Pass("shut")) // it did not run for three
	for range 7 {
		l.say(10*time.Minute, compliance.Pass("shut"))
	}
	var got []compliance.Span
	for _, line := range l.Since(0) {
		if line.Action != "check.beat" {
			continue
		}
		for _, c := range line.Changes {
			doc, err := document.Decode(document.KindBeat, c.Doc)
			if err != nil {
				t.Fatal(err)
			}
			r, _ := doc.(*document.Beat).Of("door")
			got = append(got, compliance.Span{From: r.From, To: r.To})
		}
	}
	first := compliance.Point{At: begin.Add(10 * time.Minute), Status: "pass"}
	list := compliance.Timeline([]compliance.Point{first}, got, first.At, begin.Add(6*time.Hour))
	if len(list) != 3 || list[1].Status != "unknown" || !list[1].From.Equal(begin.Add(2*time.Hour)) || !list[1].To.Equal(begin.Add(5*time.Hour)) {
		t.Errorf("%+v", list)
	}
}

// TestAcceptance: a finding that somebody accepted opens again on its day.
func TestAcceptance(t *testing.T) {
	l := newLab(t)
	l.say(0, compliance.Fail("open"))
	id, ward := l.findings()[0].ID, l.IDs["space:ward"]
	accept := func() *checks.Accept {
		return &checks.Accept{ID: id, Reason: "a wall comes in March", Until: l.Now().Add(24 * time.Hour)}
	}
	l.Refused(fault.Forbidden, ward, accept(), l.As("auditor"))
	l.Refused(fault.NotFound, ward, accept(), l.As("stranger"))
	for _, wrong := range []*checks.Accept{
		{ID: id, Until: l.Now().Add(time.Hour)},
		{ID: id, Reason: "r", Until: l.Now()},
		{ID: id, Reason: "r", Until: l.Now().Add(400 * 24 * time.Hour)},
	} {
		l.Refused(fault.Invalid, commandtest.None, wrong, l.As("owner"))
	}
	l.Do(accept(), l.As("owner"))
	l.Do(&checks.Assign{ID: id, Email: "dev@example.org"}, l.As("admin"))
	l.Refused(fault.NotFound, commandtest.None, &checks.Assign{ID: id, Email: "nobody@example.org"}, l.As("admin"))
	l.say(10*time.Minute, compliance.Fail("open"))
	if f := l.findings()[0]; f.State != "accepted" || f.Owner != "dev@example.org" {
		t.Errorf("%+v", f)
	}
	l.say(24*time.Hour, compliance.Fail("open"))
	if f := l.findings()[0]; f.State != "open" || f.Accepted == nil {
		t.Errorf("after its day: %+v", f)
	}
	l.say(10*time.Minute, compliance.Pass("shut"))
	l.Refused(fault.Conflict, commandtest.None, accept(), l.As("owner"))
}

// TestMender: whoever made the change that the result shows mended it, not
// somebody who came later; without one, the newest change that the check reads,
// however much else happened since. What ceases to apply was mended too.
func TestMender(t *testing.T) {
	for _, name := range []string{"seen in an entry", "seen nowhere", "no longer applicable"} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.say(0, compliance.Fail("open"))
			mended := l.Size()
			l.Do(&spaces.Rename{Identity: "ward", Name: "warden"}, l.As("admin"))
			r, want := compliance.Pass("shut"), "admin@example.org"
			switch name {
			case "seen in an entry":
				l.Do(&spaces.Rename{Identity: "warden", Name: "ward"}, l.As("owner"))
				r.Seqs = []int64{mended}
			case "seen nowhere":
				for range 210 {
					l.Do(&sessions.ReadLogs{App: "clinic"}, l.As("dev"))
				}
			case "no longer applicable":
				r = compliance.NotApplicable("there is no door")
			}
			l.say(10*time.Minute, r)
			if f := l.findings()[0]; f.MendedBy != want {
				t.Errorf("mended by %q, want %q", f.MendedBy, want)
			}
		})
	}
}

// TestOwner: whose a finding is, is told of a gap that goes on, and of one that
// ended, as of its end.
func TestOwner(t *testing.T) {
	l := newLab(t)
	began := l.Now()
	l.say(time.Minute, compliance.Fail("open"))
	owned := func(to time.Time, sees compliance.Sight) string {
		t.Helper()
		r, err := l.programme.Recall(t.Context(), l.Store, compliance.Period{From: began, To: to, Sees: sees})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range r.History(l.programme.Controls[0]).Gaps {
			if g.Status == "fail" {
				return g.Owner
			}
		}
		return "no gap"
	}
	for _, who := range []string{"dev", "admin"} {
		l.Do(&checks.Assign{ID: l.findings()[0].ID, Email: who + "@example.org"}, l.As("owner"))
		for range 7 {
			l.say(10*time.Minute, compliance.Fail("open"))
		}
	}
	ward := l.IDs["space:ward"]
	for to, want := range map[time.Time]string{l.Now(): "admin@example.org", began.Add(time.Hour): "dev@example.org"} {
		if got := owned(to, compliance.Sight{ward: true}); got != want {
			t.Errorf("up to %s: owned by %q, want %q", to, got, want)
		}
	}
	if got := owned(l.Now(), compliance.Sight{ward: false}); got != "" {
		t.Errorf("who may not know is told of %q", got)
	}
}

// TestRun: a change that the check reads makes it run at once.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran atomic.Int64
		w := commandtest.New(t, time.Time{})
		e, stop := runs(t, w, &compliance.Check{ID: "door", Every: time.Hour, Reads: []string{"policy."}, Try: func(context.Context) ([]compliance.Result, error) {
			ran.Add(1)
			return nil, nil
		}})
		time.Sleep(time.Minute)
		if ran.Load() != 1 {
			t.Errorf("at the start it ran %d times", ran.Load())
		}
		w.Token("more", "dev") // which it does not read
		w.Do(&teams.UpdatePolicy{Team: "care", ApproveConfig: new(true)}, w.As("owner"))
		changed := time.Now()
		time.Sleep(time.Minute)
		if ran.Load() != 2 {
			t.Errorf("after one change that it reads it ran %d times", ran.Load())
		}
		if err := e.Tell(t.Context()); err != nil {
			t.Error(err)
		}
		if beat := commandtest.Find[*document.Beat](w, "all", ""); len(beat) != 1 || len(beat[0].Runs) != 1 || beat[0].Runs[0].To.Before(changed) {
			t.Errorf("told: %+v", beat)
		}
		stop()
	})
}

// TestRestart: a program that stops and starts again soon leaves no gap, and says
// nothing twice.
func TestRestart(t *testing.T) {
	l := newLab(t)
	for range 7 {
		l.say(10*time.Minute, compliance.Fail("open"))
	}
	for _, test := range []struct {
		after time.Duration
		gap   bool
	}{{15 * time.Minute, false}, {25 * time.Minute, true}} {
		was := l.ran().To
		l.start()
		size := l.Size()
		l.say(test.after, compliance.Fail("open"))
		lines := l.Since(size)
		if got := commandtest.Actions(lines); len(got) != 1 || got[0] != "check.beat" {
			t.Fatalf("after %s: %v", test.after, got)
		}
		if r := l.ran(); r.From.Equal(was) == test.gap || !r.To.Equal(l.Now()) {
			t.Errorf("after %s: on time from %s to %s; before that until %s", test.after, r.From, r.To, was)
		}
	}
	if f := l.findings(); len(f) != 1 {
		t.Errorf("%+v", f)
	}
}

// TestRetired: what a check found that the next program does not have is closed,
// and the record says why.
func TestRetired(t *testing.T) {
	l := newLab(t)
	l.say(time.Minute, compliance.Fail("it is open"))
	size := l.Size()
	l.programme = join(t, &compliance.Catalogue{Digest: "sha256:2", Controls: []*compliance.Control{
		{ID: "a", Severity: "low", Proof: compliance.Proof{Checks: []string{"gate"}}},
	}}, &compliance.Check{ID: "gate", Every: time.Hour, State: func(store.View, time.Time) ([]compliance.Result, error) { return nil, nil }})
	l.start()
	l.start() // and says nothing of it again
	lines := l.Since(size)
	if len(lines) != 1 || !strings.HasPrefix(lines[0].Reason, "the check is gone") || lines[0].Detail("status") != "gone" {
		t.Errorf("recorded as %v", lines)
	}
	if list := commandtest.Find[*document.Finding](l.World, "check", "door"); len(list) != 1 || list[0].State != document.FindingClosed || list[0].MendedBy != "" {
		t.Errorf("%+v", list)
	}
	if list := commandtest.Find[*document.Status](l.World, "all", ""); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}
