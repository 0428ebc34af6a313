package logs

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

func create(t *testing.T, s *Sessions, what Session) string {
	t.Helper()
	token, err := s.Create(what)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// readable says whether a stream of the token can begin, and ends it.
func readable(t *testing.T, s *Sessions, token string) bool {
	t.Helper()
	_, _, done, err := s.begin(t.Context(), token)
	if err != nil {
		if fault.Of(err) != fault.NotFound {
			t.Errorf("begin = %v", err)
		}
		return false
	}
	done()
	return true
}

func TestSessionsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSessions()
		unused, used := create(t, s, Session{App: "a"}), create(t, s, Session{App: "a"})
		if unused == used || len(unused) < 26 {
			t.Errorf("tokens %q, %q", unused, used)
		}
		time.Sleep(startTime - time.Second)
		if !readable(t, s, used) {
			t.Error("a session is over before its time")
		}
		time.Sleep(2 * time.Second)
		if readable(t, s, unused) {
			t.Error("an unused session is not over after its time")
		}
		if !readable(t, s, used) {
			t.Error("a session is over although it was used")
		}
		// A running stream keeps it, up to its lifetime.
		ctx, _, done, err := s.begin(t.Context(), used)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		<-ctx.Done()
		if kept := time.Since(begin); kept != lifetime-startTime-time.Second {
			t.Errorf("the stream ended after %v", kept)
		}
		done()
		if readable(t, s, used) {
			t.Error("a session is not over after its lifetime")
		}
	})
}

func TestSessionsAreEnded(t *testing.T) {
	s := NewSessions()
	theirs, other := create(t, s, Session{App: "a", Owner: "leaver"}), create(t, s, Session{App: "a", Owner: "other"})
	ctx, _, done, err := s.begin(t.Context(), theirs)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.Open()); n != 2 {
		t.Errorf("%d sessions are open, not 2", n)
	}
	s.End(func(open Session) bool { return open.Owner == "leaver" })
	if left := s.Open(); len(left) != 1 || left[0].Owner != "other" {
		t.Errorf("left open: %v", left)
	}
	if ctx.Err() == nil {
		t.Error("the running stream goes on")
	}
	done()
	if readable(t, s, theirs) || !readable(t, s, other) {
		t.Error("the wrong sessions ended")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSessions()
		for range maxPerOwner {
			create(t, s, Session{App: "a", Owner: "greedy"})
		}
		if _, err := s.Create(Session{App: "a", Owner: "greedy"}); fault.Of(err) != fault.TooMany {
			t.Errorf("one more: %v", err)
		}
		for i := range maxSessions - maxPerOwner {
			create(t, s, Session{App: "a", Owner: fmt.Sprint(i % 1000)})
		}
		if _, err := s.Create(Session{App: "a", Owner: "new"}); fault.Of(err) != fault.TooMany {
			t.Errorf("over all bounds: %v", err)
		}
		time.Sleep(startTime)
		create(t, s, Session{App: "a", Owner: "greedy"})
		if len(s.open) != 1 || len(s.owners) != 1 || s.owners["greedy"] != 1 {
			t.Errorf("%d sessions of %v are kept", len(s.open), s.owners)
		}
	})
}

func TestSessionIsChecked(t *testing.T) {
	s := NewSessions()
	for _, bad := range []Session{{}, {App: "a", Lines: -1}} {
		if _, err := s.Create(bad); fault.Of(err) != fault.Invalid {
			t.Errorf("Create(%+v) = %v", bad, err)
		}
	}
	_, what, done, err := s.begin(t.Context(), create(t, s, Session{App: "a", Lines: 1_000_000}))
	if err != nil || what.Lines != maxLines {
		t.Errorf("lines = %d, %v", what.Lines, err)
	}
	done()
}
