package attempt_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/attempts"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/compliance/attempt"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/memory"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// atAPI are the checks that ask the API.
var atAPI = []string{"attempt.revoked-token", "attempt.suspended-account", "attempt.stranger", "attempt.member-forbidden", "attempt.self-approval", "attempt.refusal-on-record"}

// TestTraces: what attempts leave behind is little, says what it is, and changes
// the stage only.
func TestTraces(t *testing.T) {
	l := newLab(t)
	begin := l.Size()
	for _, id := range atAPI {
		if _, err := l.check(id).Try(t.Context()); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
	first := l.Since(begin)
	stage := l.stage()
	own := []string{stage.Member.ID, stage.Admin.ID, stage.Suspended.ID}
	for _, e := range first {
		if e.Via == ledger.ViaAPI && (e.Actor.UserAgent != "strongroom-attempts" || !strings.HasPrefix(e.Reason, "the platform's own attempt: ")) {
			t.Errorf("nobody would know what this is: %s, by %q for %q", e, e.Actor.UserAgent, e.Reason)
		}
		if e.Actor.Kind == ledger.AccountActor && !slices.Contains(own, e.Actor.ID) {
			t.Errorf("in somebody's name: %s", e)
		}
		for _, c := range e.Changes {
			if c.Kind != "token" && c.Kind != "account" && e.Scope != stage.Team.ID {
				t.Errorf("%s changed a %s", e, c.Kind)
			}
		}
	}
	for _, id := range own {
		if list := commandtest.Find[*document.Token](l.World, "account", id); len(list) != 0 {
			t.Errorf("%d tokens are left", len(list))
		}
	}
	begin = l.Size()
	for _, id := range atAPI {
		if _, err := l.check(id).Try(t.Context()); err != nil {
			t.Fatalf("%s again: %v", id, err)
		}
	}
	// Tokens made and ended, the request, and refusals, of which the same within
	// a minute are only counted.
	if n := l.Size() - begin; n > 30 {
		t.Errorf("another run leaves %d entries: %v", n, commandtest.Actions(l.Since(begin)))
	}
}

// TestRefusalsOnRecord: what is refused is an entry that names the check.
func TestRefusalsOnRecord(t *testing.T) {
	for _, id := range atAPI {
		l := newLab(t)
		begin := l.Size()
		if _, err := l.check(id).Try(t.Context()); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if !slices.ContainsFunc(l.Since(begin), func(e commandtest.Line) bool {
			return e.Outcome == ledger.Denied && e.Reason == "the platform's own attempt: "+id
		}) {
			t.Errorf("no refusal of %s is on record", id)
		}
	}
}

func (l *lab) stage() *attempts.Stage {
	l.T.Helper()
	var stage *attempts.Stage
	var ready bool
	commandtest.Read(l.World, func(v commandtest.View) (err error) {
		stage, ready, err = attempts.Find(v)
		return err
	})
	if !ready {
		l.T.Error("the stage was left in disorder")
	}
	return stage
}

// TestUndone: what should have been refused and was not is undone.
func TestUndone(t *testing.T) {
	l := newLab(t)
	for _, m := range mutations {
		if !slices.Contains(atAPI, m.check) {
			continue
		}
		if _, err := l.look(m.check, m.subject); err != nil {
			t.Fatal(err)
		}
		m.breaks(l)
		if _, err := l.look(m.check, m.subject); err != nil {
			t.Fatal(err)
		}
		m.mends(l)
		if _, err := l.look(m.check, m.subject); err != nil {
			t.Fatal(err)
		}
		l.stage()
	}
}

// TestProvesNothing: where the same thing done rightly does not work either, the
// answer is unknown and no pass.
func TestProvesNothing(t *testing.T) {
	for _, id := range atAPI {
		for name, answer := range map[string]attempt.Answer{
			"the API is down": {Status: 503}, "too often": {Status: 429}, "all are refused": {Status: 401}, "all are forbidden": {Status: 403},
		} {
			l := newLab(t)
			l.meddle = func(attempt.Request) *attempt.Answer { return &answer }
			if results, err := l.check(id).Try(t.Context()); fault.Of(err) != fault.Unavailable {
				t.Errorf("%s, %s: %+v, %v", id, name, results, err)
			}
		}
	}
}

// TestClosedDoors are of no use to an attempt.
func TestClosedDoors(t *testing.T) {
	l := newLab(t)
	for name, dial := range map[string]func(context.Context) (net.Conn, error){
		"closed": func(context.Context) (net.Conn, error) { return nil, errors.New("connection refused") },
		"resets everybody": l.listen(func(c net.Conn) {
			_ = c.(*net.TCPConn).SetLinger(0)
		}),
	} {
		l.config.Doors = func(context.Context) ([]attempt.Door, error) {
			return []attempt.Door{
				{Subject: "site", Name: "A site", Dial: dial},
				{Subject: "http", Name: "A port", Dial: dial, Redirects: true},
				{Subject: "database", Name: "A database", Dial: dial, Database: true},
			}, nil
		}
		for check, subjects := range map[string][]string{
			"attempt.plaintext": {"site", "http"}, "attempt.tls-version": {"site", "database"}, "attempt.database-plaintext": {"database"},
		} {
			for _, s := range subjects {
				if r, err := l.look(check, s); err != nil || r.Status != document.StatusUnknown {
					t.Errorf("%s of %s, which is %s: %+v, %v", check, s, name, r, err)
				}
			}
		}
	}
}

// TestSilentDoor: who does not answer in time refused nothing.
func TestSilentDoor(t *testing.T) {
	l := newLab(t)
	done := make(chan struct{})
	defer close(done)
	site, asked := l.config.Doors, 0
	l.config.Doors = func(ctx context.Context) ([]attempt.Door, error) {
		doors, err := site(ctx)
		opens := doors[0].Dial
		silent := l.listen(func(net.Conn) { <-done })
		doors[0].Dial = func(ctx context.Context) (net.Conn, error) {
			if asked++; asked == 1 {
				return opens(ctx)
			}
			return silent(ctx)
		}
		return doors[:1], err
	}
	if r, err := l.look("attempt.tls-version", "api"); err != nil || r.Status != document.StatusUnknown {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestDatabaseThatIsNotReady says something else than that it wants TLS.
func TestDatabaseThatIsNotReady(t *testing.T) {
	l := newLab(t)
	for _, answer := range []string{strings.Replace(refusedSession, "28000", "57P03", 1), "E\xff\xff\xff\xff", "E", ""} {
		l.session = answer
		if r, err := l.look("attempt.database-plaintext", "records"); err != nil || r.Status != document.StatusUnknown {
			t.Errorf("after %q: %+v, %v", answer, r, err)
		}
	}
}

// TestVolumeLeftBehind by a program that stopped is no obstacle, and none is left.
func TestVolumeLeftBehind(t *testing.T) {
	l := newLab(t)
	engine := l.config.Volumes.(*volumes).Driver
	if _, err := l.look("attempt.volume-without-key", ""); err != nil {
		t.Fatal(err)
	}
	l.config.Volumes = &stops{engine}
	if _, err := l.look("attempt.volume-without-key", ""); err == nil {
		t.Error("an engine that stops midway goes unnoticed")
	}
	if o, err := engine.Observe(t.Context()); err != nil || len(o.Volumes) != 1 {
		t.Fatalf("%+v, %v: the test leaves nothing behind", o.Volumes, err)
	}
	l.config.Volumes = engine
	if r, err := l.look("attempt.volume-without-key", ""); err != nil || r.Status != document.StatusPass {
		t.Errorf("%+v, %v", r, err)
	}
	if o, err := engine.Observe(t.Context()); err != nil || len(o.Volumes) != 0 {
		t.Errorf("%+v, %v", o.Volumes, err)
	}
}

// stops is an engine that cannot destroy and lock any more.
type stops struct{ *memory.Driver }

func (*stops) LockVolume(context.Context, string) error {
	return fault.New(fault.Unavailable, "The engine stops.")
}

func (s *stops) DestroyVolume(ctx context.Context, id string) (driver.Disposal, error) {
	if o, err := s.Observe(ctx); err != nil || len(o.Volumes) > 0 {
		return driver.Disposal{}, fault.New(fault.Unavailable, "The engine stops.")
	}
	return s.Driver.DestroyVolume(ctx, id)
}

// TestNeighbours that were not tried, or not lately, are unknown.
func TestNeighbours(t *testing.T) {
	l := newLab(t)
	const check = "attempt.other-space-dyno"
	at := func(after time.Duration) (status string, seqs []int64) {
		if err := l.Store.Read(t.Context(), func(v store.View) error {
			results, err := l.check(check).State(v, l.Now().Add(after))
			for _, r := range results {
				if r.Subject == l.IDs["space:ward"] {
					status, seqs = r.Status, r.Seqs
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return status, seqs
	}
	if r, err := l.look(check, l.IDs["space:attic"]); err != nil || r.Status != document.StatusNotApplicable {
		t.Errorf("where nothing listens: %+v, %v", r, err)
	}
	if s, _ := at(0); s != document.StatusUnknown {
		t.Errorf("before anybody tried: %s", s)
	}
	seq := l.Size()
	reached("dyno", "clinic web dyno, TCP port 5000", false)(l)
	if s, seqs := at(time.Hour); s != document.StatusPass || !slices.Equal(seqs, []int64{seq}) {
		t.Errorf("after an hour: %s, seen in %v", s, seqs)
	}
	if s, _ := at(3 * time.Hour); s != document.StatusUnknown {
		t.Errorf("after three hours: %s", s)
	}
}

// TestEngineGone: an engine that no longer answers has not refused to read.
func TestEngineGone(t *testing.T) {
	l := newLab(t)
	engine := l.config.Volumes.(*volumes).Driver
	l.config.Volumes = &goes{Driver: engine}
	if r, err := l.look("attempt.volume-without-key", ""); fault.Of(err) != fault.Unavailable {
		t.Errorf("%+v, %v", r, err)
	}
}

// goes is an engine that is gone once it locked a volume.
type goes struct {
	*memory.Driver
	gone bool
}

func (g *goes) LockVolume(ctx context.Context, id string) error {
	g.gone = true
	return g.Driver.LockVolume(ctx, id)
}

func (g *goes) GetFiles(ctx context.Context, id, dir string) (io.ReadCloser, error) {
	if g.gone {
		return nil, fault.New(fault.Unavailable, "The engine does not answer.")
	}
	return g.Driver.GetFiles(ctx, id, dir)
}
