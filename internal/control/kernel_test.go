package control

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

func TestExecute(t *testing.T) {
	l := newLab(t)
	before := l.size()
	l.clock.pass(time.Minute)
	seq, err := l.kernel.Execute(t.Context(), l.rename("clinic"), l.as(l.owner))
	must(t, err)
	if seq != before {
		t.Errorf("seq %d, want %d", seq, before)
	}
	must(t, l.store.Read(t.Context(), func(v store.View) error {
		got, err := store.One[*document.Team](v, "name", "clinic")
		if err != nil {
			return err
		}
		if got.ID != l.team.ID || !got.UpdatedAt.Equal(l.clock.read().wall) {
			t.Errorf("by its new name: %+v", got)
		}
		if old, _ := store.Find[*document.Team](v, "name", "care"); len(old) != 0 {
			t.Error("the team is still found by its old name")
		}
		return nil
	}))
	must(t, l.store.At(t.Context(), seq, func(v store.View) error {
		_, err := store.One[*document.Team](v, "name", "care")
		return err
	}))
	e := l.since(seq)[0]
	if e.Outcome != ledger.OK || e.Scope != l.team.ID || e.Actor != l.owner.Email || e.Body.Actor.IP == "" || len(e.Body.Actor.Roles) != 1 {
		t.Errorf("the entry: %+v", e)
	}
}

// TestGroupCommit has 64 callers at once: each is answered with the seq of its
// own entry, in far fewer transactions than commands.
func TestGroupCommit(t *testing.T) {
	l := newLab(t)
	const callers, each = 64, 5
	before, writes := l.size(), l.store.writes
	seen := make([]int64, callers*each)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				n := c*each + i
				seq, err := l.kernel.Execute(t.Context(), l.rename(fmt.Sprintf("name-%d", n)), l.as(l.owner))
				if err != nil {
					t.Error(err)
					return
				}
				seen[n] = seq
			}
		})
	}
	wg.Wait()
	list := l.since(before)
	if len(list) != callers*each {
		t.Fatalf("%d entries, want %d", len(list), callers*each)
	}
	for n, seq := range seen {
		c := list[seq-before].Body.Changes[0]
		doc, err := document.Decode(document.KindTeam, c.Doc)
		must(t, err)
		if got := doc.(*document.Team).Name; got != fmt.Sprintf("name-%d", n) {
			t.Errorf("command %d was answered with entry %d, which is of %s", n, seq, got)
		}
		if want := 2 + (seq - before); c.Rev != want {
			t.Errorf("entry %d has revision %d, want %d", seq, c.Rev, want)
		}
	}
	if n := l.store.writes - writes; n > callers*each/2 {
		t.Errorf("%d transactions for %d commands", n, callers*each)
	}
}

// TestOneBatch holds the writer back: all that wait share one transaction, and
// each sees what those before it did.
func TestOneBatch(t *testing.T) {
	l := newLab(t)
	before := l.size()
	append1 := &step{lab: l, decide: func(_ store.View, t *document.Team, d *Decision) error {
		t.Name += "+"
		d.Put(t)
		return nil
	}}
	writes := l.store.writes
	for _, err := range l.gather([]By{l.as(l.owner)}, append1, append1, append1) {
		must(t, err)
	}
	if got := l.teamName(); got != "care+++" {
		t.Errorf("the name is %q", got)
	}
	if n := l.store.writes - writes; n != 2 { // the one that opened the door, and theirs
		t.Errorf("%d transactions, want 2", n)
	}
	if l.size() != before+3 {
		t.Errorf("%d entries, want 3", l.size()-before)
	}
}

// TestStorageError fails a batch at each place: nobody in it is acknowledged,
// nothing of it remains, and the next one goes through on the same kernel.
func TestStorageError(t *testing.T) {
	for _, place := range []string{"begin", "get", "append", "commit"} {
		t.Run(place, func(t *testing.T) {
			l := newLab(t)
			l.clock.leap(2 * time.Minute) // a step to be noted by this batch or the next
			before := l.size()
			effects := 0
			list := []Command{l.rename("one"), l.rename("two"), &step{lab: l, decide: refuse(fault.New(fault.Forbidden, "no"))}, l.rename("three")}
			for _, c := range list {
				c.(*step).effect = func() error { effects++; return nil }
			}
			l.store.set(place)
			errs, changed := l.gatherFailing(l.as(l.owner), list...)
			for i, err := range errs {
				if fault.Of(err) != fault.Unavailable {
					t.Errorf("command %d: %v, want unavailable", i, err)
				}
			}
			if effects != 0 {
				t.Errorf("%d effects happened", effects)
			}
			if l.size() != before || l.teamName() != "care" {
				t.Errorf("%d entries remain, the name is %q", l.size()-before, l.teamName())
			}
			select {
			case <-changed:
				t.Error("a change was announced")
			default:
			}

			if _, err := l.kernel.Execute(t.Context(), l.rename("after"), l.as(l.owner)); err != nil {
				t.Fatalf("the next command: %v", err)
			}
			// The clock's step was not lost with the batch, and the denial, whose
			// caller was told that nothing happened, was not counted.
			equal(t, "entries", actions(l.since(before)), []string{"clock.step", "team.rename"})
			select {
			case <-changed:
			case <-time.After(5 * time.Second):
				t.Error("the change was not announced")
			}
			if n := len(l.kernel.denials.open); n != 0 {
				t.Errorf("%d denials are counted", n)
			}
		})
	}
}

// gatherFailing is gather for a batch that the store fails: no other batch may
// come before it.
func (l *lab) gatherFailing(by By, commands ...Command) (errs []error, changed <-chan struct{}) {
	l.Helper()
	l.halt()
	l.kernel = New(Config{Store: l.store, Log: quiet})
	l.kernel.clock.read, l.kernel.clock.base = l.clock.read, reading{l.clock.wall.Add(-2 * time.Minute), l.clock.up}
	changed = l.kernel.Changed()
	errs = make([]error, len(commands))
	var wg sync.WaitGroup
	for i, c := range commands {
		wg.Go(func() { _, errs[i] = l.kernel.Execute(context.Background(), c, by) })
		for len(l.kernel.queue) <= i {
			time.Sleep(100 * time.Microsecond)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop, l.done = stop, make(chan error, 1)
	k, done := l.kernel, l.done
	go func() { done <- k.Run(ctx) }()
	wg.Wait()
	return errs, changed
}

func TestCallersContext(t *testing.T) {
	l := newLab(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	before := l.size()
	for range 50 {
		if _, err := l.kernel.Execute(gone, l.rename("late"), l.as(l.owner)); fault.Of(err) != fault.Unavailable {
			t.Fatalf("a request that had ended: %v, want unavailable", err)
		}
	}
	if l.size() != before {
		t.Errorf("%d entries of requests that had ended", l.size()-before)
	}

	// Once it waits for the writer, it happens whatever its caller does.
	ctx, cancel := context.WithCancel(t.Context())
	release := l.store.hold()
	var wg sync.WaitGroup
	wg.Go(func() { l.kernel.Execute(context.Background(), l.rename("first"), l.as(l.owner)) })
	<-l.store.reached
	var seq int64
	var err error
	wg.Go(func() { seq, err = l.kernel.Execute(ctx, l.rename("second"), l.as(l.owner)) })
	for len(l.kernel.queue) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	release()
	wg.Wait()
	if err != nil || seq != before+1 || l.teamName() != "second" {
		t.Errorf("a command whose caller left while it waited: entry %d, %v, name %q", seq, err, l.teamName())
	}
}

// TestFullQueue gives up with the caller's context while there is no room.
func TestFullQueue(t *testing.T) {
	l := newLab(t)
	l.halt()
	k := New(Config{Store: l.store, Log: quiet, Queue: 1})
	k.queue <- &pending{}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := k.Execute(ctx, l.rename("x"), l.as(l.owner)); fault.Of(err) != fault.Unavailable {
		t.Errorf("%v, want unavailable", err)
	}
}

// TestRefusals says which refusals are recorded; none changes anything.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name     string
		decide   error
		by       func(*lab) By
		want     fault.Kind
		recorded bool
	}{
		{"forbidden", fault.New(fault.Forbidden, "You may not."), nil, fault.Forbidden, true},
		{"unauthenticated", fault.New(fault.Unauthenticated, "Who?"), nil, fault.Unauthenticated, true},
		{"not found", fault.New(fault.NotFound, "Nothing."), nil, fault.NotFound, false},
		{"invalid", fault.New(fault.Invalid, "Malformed."), nil, fault.Invalid, false},
		{"conflict", fault.New(fault.Conflict, "Not now."), nil, fault.Conflict, false},
		{"unavailable", fault.New(fault.Unavailable, "Later."), nil, fault.Unavailable, false},
		{"wrapped", fmt.Errorf("rename: %w", fault.New(fault.Forbidden, "You may not.")), nil, fault.Forbidden, true},
		{"a stranger sees nothing", nil, func(l *lab) By { return l.as(l.stranger) }, fault.NotFound, true},
		{"nobody is logged in", nil, func(*lab) By { return anonymous("203.0.113.9") }, fault.Unauthenticated, true},
		{"the platform has no role", nil, func(*lab) By { return System("reconciler", ledger.ViaReconciler) }, fault.NotFound, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			by := l.as(l.owner)
			if tt.by != nil {
				by = tt.by(l)
			}
			before := l.size()
			_, err := l.kernel.Execute(t.Context(), &step{lab: l, decide: refuse(tt.decide)}, by)
			if fault.Of(err) != tt.want {
				t.Fatalf("%v, want %s", err, tt.want)
			}
			if l.teamName() != "care" {
				t.Errorf("the name was changed to %q", l.teamName())
			}
			list := l.since(before)
			if !tt.recorded {
				if len(list) != 0 {
					t.Errorf("recorded: %v", list)
				}
				return
			}
			if len(list) != 1 {
				t.Fatalf("%d entries, want 1", len(list))
			}
			e := list[0]
			if e.Outcome != ledger.Denied || e.Scope != l.team.ID || e.Error != fault.Message(err) || len(e.Body.Changes) != 0 || e.Action != "team.step" {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestLogIn says whose entry a log-in is, and that nothing else changes who acts.
func TestLogIn(t *testing.T) {
	l := newLab(t)
	login := func(action string) *step {
		return &step{
			lab: l, action: action, need: authz.Public,
			decide: func(_ store.View, _ *document.Team, d *Decision) error {
				d.LoggedIn = l.owner
				return nil
			},
		}
	}
	before := l.size()
	if _, err := l.kernel.Execute(t.Context(), login("account.login"), anonymous("203.0.113.9")); err != nil {
		t.Fatal(err)
	}
	want := ledger.Actor{Kind: ledger.AccountActor, ID: l.owner.ID, Email: l.owner.Email, IP: "203.0.113.9", Roles: []string{"owner"}}
	if diff := cmp.Diff(want, l.since(before)[0].Body.Actor); diff != "" {
		t.Error(diff)
	}
	before = l.size()
	for name, c := range map[string]struct {
		action string
		by     By
	}{
		"another action":         {"team.step", anonymous("203.0.113.9")},
		"an account":             {"account.login", l.as(l.stranger)},
		"a part of the platform": {"account.login", System("reconciler", ledger.ViaReconciler)},
	} {
		if _, err := l.kernel.Execute(t.Context(), login(c.action), c.by); err == nil {
			t.Errorf("%s became another account", name)
		}
	}
	if list := l.since(before); len(list) != 0 {
		t.Errorf("recorded: %v", list)
	}
}

// TestAimRefuses is a command that does not find what it is aimed at.
func TestAimRefuses(t *testing.T) {
	l := newLab(t)
	before := l.size()
	c := l.rename("x")
	c.lab = &lab{team: &document.Team{Base: document.Base{ID: uuid.NewString()}}}
	if _, err := l.kernel.Execute(t.Context(), c, l.as(l.owner)); fault.Of(err) != fault.NotFound {
		t.Errorf("%v, want not found", err)
	}
	if l.size() != before {
		t.Error("it was recorded")
	}
}

// TestNewTarget puts the refusal of something new where it was aimed at.
func TestNewTarget(t *testing.T) {
	l := newLab(t)
	before := l.size()
	c := &step{lab: l, aim: func(a *Aim) { a.Scope, a.New, a.DenyScope = uuid.NewString(), true, l.team.ID }, decide: refuse(nil)}
	if _, err := l.kernel.Execute(t.Context(), c, l.as(l.stranger)); fault.Of(err) != fault.NotFound {
		t.Errorf("%v, want not found", err)
	}
	if e := l.since(before); len(e) != 1 || e[0].Scope != l.team.ID {
		t.Errorf("entries %+v, want one in the team", e)
	}
}

// TestCommandsOwnError is a bug in one command: its caller is told nothing of
// it, and the others of its batch go on.
func TestCommandsOwnError(t *testing.T) {
	scope := uuid.NewString()
	foreign := &document.Space{Base: document.Base{Schema: 1, ID: scope}, Name: "attic"}
	tests := map[string]func(_ store.View, t *document.Team, d *Decision) error{
		"an error without a kind":  refuse(errNothing),
		"another scope's document": func(_ store.View, _ *document.Team, d *Decision) error { d.Put(foreign); return nil },
		"another scope's secret": func(_ store.View, _ *document.Team, d *Decision) error {
			d.Sealed = append(d.Sealed, secret.Sealed{ID: "x", Scope: scope})
			return nil
		},
		"another scope's key": func(_ store.View, _ *document.Team, d *Decision) error {
			d.Keys = append(d.Keys, secret.WrappedKey{ID: "x", Scope: scope})
			return nil
		},
		"another scope's document in a further part": func(_ store.View, t *document.Team, d *Decision) error {
			d.Put(t)
			o := &Other{Action: "space.note", Scope: uuid.NewString()}
			o.Put(foreign)
			d.Also = append(d.Also, o)
			return nil
		},
	}
	for name, decide := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			before := l.size()
			errs := l.gather([]By{l.as(l.owner)}, l.rename("one"), &step{lab: l, decide: decide}, l.rename("two"))
			if errs[0] != nil || errs[2] != nil {
				t.Errorf("the others: %v, %v", errs[0], errs[2])
			}
			if errs[1] == nil || fault.Of(errs[1]) != "" {
				t.Errorf("%v, want an internal error", errs[1])
			}
			equal(t, "entries", actions(l.since(before)), []string{"team.rename", "team.rename"})
		})
	}
}

func TestExpect(t *testing.T) {
	l := newLab(t)
	by := l.as(l.owner)
	by.Expect = []Expect{{Kind: document.KindTeam, ID: l.team.ID, Rev: 1}}
	_, err := l.kernel.Execute(t.Context(), l.rename("one"), by)
	must(t, err)
	before := l.size()
	if _, err := l.kernel.Execute(t.Context(), l.rename("two"), by); fault.Of(err) != fault.Conflict {
		t.Errorf("with a revision that is past: %v, want a conflict", err)
	}
	if l.size() != before || l.teamName() != "one" {
		t.Error("it happened all the same")
	}
	by.Expect[0].Rev = 2
	_, err = l.kernel.Execute(t.Context(), l.rename("two"), by)
	must(t, err)

	// Two in one batch expect the same revision: one of them wins.
	by.Expect[0].Rev = 3
	errs := l.gather([]By{by}, l.rename("three"), l.rename("four"))
	if errs[0] != nil || fault.Of(errs[1]) != fault.Conflict || l.teamName() != "three" {
		t.Errorf("%v, %v, name %q", errs[0], errs[1], l.teamName())
	}
	// Whoever may not see it is not told which revision it has.
	by = l.as(l.stranger)
	by.Expect = []Expect{{Kind: document.KindTeam, ID: l.team.ID, Rev: 99}}
	if _, err := l.kernel.Execute(t.Context(), l.rename("x"), by); fault.Of(err) != fault.NotFound {
		t.Errorf("a stranger: %v, want not found", err)
	}
}

// TestFurtherParts are entries of one command in several scopes.
func TestFurtherParts(t *testing.T) {
	l := newLab(t)
	space := &document.Space{Base: document.Base{ID: uuid.NewString()}, Name: "ward"}
	c := &step{lab: l, decide: func(_ store.View, t *document.Team, d *Decision) error {
		t.Name = "moved"
		d.Put(t)
		d.Outcome, d.Error = ledger.Failed, "half of it"
		o := &Other{Action: "space.join", Scope: space.ID, App: "an app", Target: ledger.Target{Kind: "space", ID: space.ID}}
		o.Put(space)
		o.Note("from", "here")
		d.Also = append(d.Also, o)
		return nil
	}}
	seq, err := l.kernel.Execute(t.Context(), c, l.as(l.owner))
	must(t, err)
	list := l.since(seq)
	equal(t, "entries", actions(list), []string{"team.step", "space.join"})
	first, second := list[0], list[1]
	if first.Body.Cause != nil || second.Body.Cause == nil || *second.Body.Cause != seq {
		t.Errorf("causes: %v and %v, want none and %d", first.Body.Cause, second.Body.Cause, seq)
	}
	if first.Error == "" || second.Outcome != ledger.Failed || second.Scope != space.ID || second.Actor != l.owner.Email || second.Body.App != "an app" {
		t.Errorf("%+v", second)
	}
	if !first.Time.Equal(second.Time) {
		t.Errorf("times %v and %v", first.Time, second.Time)
	}
}

// TestLastWordCounts is a document that a command puts twice.
func TestLastWordCounts(t *testing.T) {
	l := newLab(t)
	c := &step{lab: l, decide: func(_ store.View, t *document.Team, d *Decision) error {
		again := *t
		t.Name, again.Name = "first", "second"
		d.Put(t)
		d.Put(&again)
		return nil
	}}
	seq, err := l.kernel.Execute(t.Context(), c, l.as(l.owner))
	must(t, err)
	if n := len(l.since(seq)[0].Body.Changes); n != 1 || l.teamName() != "second" {
		t.Errorf("%d changes, name %q", n, l.teamName())
	}
}

func TestEffectAfterDurability(t *testing.T) {
	l := newLab(t)
	c := l.rename("seen")
	c.effect = func() error {
		if l.teamName() != "seen" {
			t.Error("the effect came before the entry")
		}
		return fault.New(fault.NotFound, "The key is gone.")
	}
	before := l.size()
	seq, err := l.kernel.Execute(t.Context(), c, l.as(l.owner))
	if fault.Of(err) != fault.NotFound || seq != before || l.size() != before+1 {
		t.Errorf("entry %d, %v", seq, err)
	}
}

// TestCommandsCannotAppend keeps the view that commands decide on a view.
func TestCommandsCannotAppend(t *testing.T) {
	l := newLab(t)
	c := &step{lab: l, decide: func(v store.View, _ *document.Team, _ *Decision) error {
		if _, ok := v.(store.Batch); ok {
			t.Error("a command can append past the kernel")
		}
		return nil
	}}
	_, err := l.kernel.Execute(t.Context(), c, l.as(l.owner))
	must(t, err)
}

// TestUnknownPermission fails closed.
func TestUnknownPermission(t *testing.T) {
	l := newLab(t)
	for _, need := range []authz.Permission{"team.fly", authz.System} {
		if _, err := l.kernel.Execute(t.Context(), &step{lab: l, need: need, decide: refuse(nil)}, l.as(l.owner)); fault.Of(err) != fault.Forbidden {
			t.Errorf("%s: %v, want forbidden", need, err)
		}
	}
}

// TestStop ends the kernel with commands in every stage.
func TestStop(t *testing.T) {
	l := newLab(t)
	release := l.store.hold()
	errs := make([]error, 20)
	var wg sync.WaitGroup
	wg.Go(func() { _, errs[0] = l.kernel.Execute(context.Background(), l.rename("in work"), l.as(l.owner)) })
	<-l.store.reached
	for i := 1; i < len(errs); i++ {
		wg.Go(func() { _, errs[i] = l.kernel.Execute(context.Background(), l.rename("waits"), l.as(l.owner)) })
	}
	for len(l.kernel.queue) < len(errs)-1 {
		time.Sleep(time.Millisecond)
	}
	before := l.size()
	l.stop()
	release()
	wg.Wait()
	l.halt()
	if errs[0] != nil {
		t.Errorf("the one in work: %v", errs[0])
	}
	happened := int64(1)
	for _, err := range errs[1:] {
		switch fault.Of(err) {
		case "":
			if err != nil {
				t.Error(err)
			}
			happened++
		case fault.Unavailable:
		default:
			t.Errorf("%v, want done or unavailable", err)
		}
	}
	if got := l.size() - before; got != happened {
		t.Errorf("%d were acknowledged and %d recorded", happened, got)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := l.kernel.Execute(context.Background(), l.rename("late"), l.as(l.owner))
		ended <- err
	}()
	select {
	case err := <-ended:
		if fault.Of(err) != fault.Unavailable {
			t.Errorf("after the end: %v, want unavailable", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("a command after the kernel's end waits for ever")
	}
}
