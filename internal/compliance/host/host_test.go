package host_test

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/installation"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/compliance/host"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/memory"
	"github.com/strongroom/strongroom/internal/fault"
)

// bench is an installation whose engine holds its space, the space of builds,
// and nothing else.
type bench struct {
	*commandtest.World
	engine *memory.Driver
	cfg    host.Config
	ward   string

	clock     host.Clock
	installed host.Installed
	sessions  []host.Session // of the one database, nil if it cannot be asked
	listeners []host.Listener
}

func (b *bench) listen(address string) {
	b.listeners = append(b.listeners, host.Listener{Address: netip.MustParseAddrPort(address), User: 1000})
}

const builds = "5b6d0a5e-0c1e-5d4e-9a53-0f6f8a1f6a11"

func newBench(t *testing.T) *bench {
	w := commandtest.New(t, commandtest.Noon)
	b := &bench{World: w, engine: memory.New(memory.Config{}), ward: w.IDs["space:ward"]}
	t.Cleanup(func() { b.engine.Close() })
	for id, name := range map[string]string{b.ward: "ward", builds: "builds"} {
		if err := b.engine.EnsureSpace(t.Context(), driver.Space{ID: id, Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	b.clock = host.Clock{Kept: true}
	b.cfg = host.Config{
		Engine: b.engine, Store: w.Store, Clock: func() (host.Clock, error) { return b.clock, nil },
		Listeners: func() ([]host.Listener, error) { return b.listeners, nil }, Declared: host.Declared{"127.0.0.1:5443"},
		Installed: func() (host.Installed, error) { return b.installed, nil },
		Sessions: func(_ context.Context, list []*document.Addon) map[string][]host.Session {
			out := map[string][]host.Session{}
			for _, a := range list {
				if b.sessions != nil {
					out[a.ID] = b.sessions
				}
			}
			return out
		},
	}
	b.installed = host.Installed{Program: "sha256:one", Settings: "sha256:a"}
	w.Do(&installation.RecordStart{Program: "sha256:one", Settings: "sha256:a"}, commandtest.Platform)
	b.listen("127.0.0.1:5443")
	b.sessions = []host.Session{{PID: 7, Role: b.role(), Address: "100.64.0.5"}, {PID: 8, Role: "postgres", Application: "strongroom", Address: "169.254.1.1", Ours: true}}
	return b
}

// role is the app's own in its database.
func (b *bench) role() string {
	return commandtest.Get[*document.Addon](b.World, b.IDs["addon"]).Roles[0].User
}

// connected adds somebody to the database, as the app's role unless another is
// named.
func connected(x host.Session) func(b *bench, _ string) func() {
	return func(b *bench, _ string) func() {
		was := b.sessions
		x.Role = cmp.Or(x.Role, b.role())
		b.sessions = append(slices.Clone(was), x)
		return func() { b.sessions = was }
	}
}

// look runs a check and gives its result on a subject.
func (b *bench) look(t *testing.T, check, subject string) compliance.Result {
	t.Helper()
	for _, c := range host.All(b.cfg) {
		if c.ID != check {
			continue
		}
		results, err := c.Try(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Subject == subject {
				return r
			}
		}
	}
	t.Fatalf("%s says nothing of %q", check, subject)
	return compliance.Result{}
}

// mutation breaks what a check watches and mends it again. That the engine sees
// what was done by hand is for the integration tests of its driver.
type mutation struct {
	check  string
	tells  string
	breaks func(b *bench, space string) (mend func())
	host   bool // it is of the host and of no space
	// subject of the host that it is about, or of the ward by its name in the
	// world; "" = the host, and each space
	subject string
}

// intruded makes the engine find something in an area.
func intruded(area, text string) func(b *bench, space string) func() {
	return func(b *bench, space string) func() { return b.engine.Intrude(area, space, "test", text) }
}

var mutations = []mutation{
	{check: "host.binary", tells: "does not run the program", host: true, breaks: intruded(driver.AreaPrograms, "The process 7 does not run the program that is in /usr/bin/strongroom now.")},
	{check: "host.binary", tells: "The program on disk has the digest sha256:two", host: true, subject: "installed", breaks: func(b *bench, _ string) func() {
		b.installed.Program = "sha256:two"
		return func() {
			b.Do(&installation.RecordStart{Program: "sha256:two", Settings: "sha256:a"}, commandtest.Platform)
		}
	}},
	{check: "host.binary", tells: "The settings have the digest sha256:b", host: true, subject: "installed", breaks: func(b *bench, _ string) func() {
		b.installed.Settings = "sha256:b"
		return func() { b.installed.Settings = "sha256:a" }
	}},
	{check: "host.data-files", tells: `The file "backdoor"`, host: true, breaks: intruded(driver.AreaFiles, `The file "backdoor" is nothing that the platform keeps there.`)},
	{check: "host.database-sessions", tells: `The role "postgres" is connected to records since 0001-01-01 00:00:00 UTC, process 9, as "psql": over the socket`, subject: "addon", breaks: connected(host.Session{PID: 9, Role: "postgres", Application: "psql"})},
	{check: "host.database-sessions", tells: "from inside of its container", subject: "addon", breaks: connected(host.Session{Address: "127.0.0.1"})},
	{check: "host.database-sessions", tells: "through no tunnel that is on record", subject: "addon", breaks: connected(host.Session{Address: "169.254.1.1", Application: "psql", Ours: true})},
	{check: "host.database-sessions", tells: "from 100.64.0.5, with a role that no app has", subject: "addon", breaks: connected(host.Session{Role: "postgres", Application: "strongroom", Address: "100.64.0.5"})},
	{check: "host.logins", tells: "Root has a terminal", host: true, breaks: intruded(driver.AreaShells, "Root has a terminal: the process 7 on pts/0.")},
	{check: "host.logins", tells: `"mia" used sudo`, host: true, subject: "log", breaks: intruded(driver.AreaLogins, `"mia" used sudo to become "root" at 2026-03-02 11:00:00 UTC.`)},
	{check: "host.clock", tells: "wrong by 1s", host: true, breaks: func(b *bench, _ string) func() {
		was := b.clock
		b.clock.Offset = -2 * time.Second
		return func() { b.clock = was }
	}},
	{check: "host.containers", tells: `The container "byhand"`, breaks: intruded(driver.AreaContainers, `The container "byhand" was not started by the engine.`)},
	{check: "host.firewall", tells: "added: rule of chain forward", breaks: intruded(driver.AreaFirewall, `Somebody else has changed the table strongroom: added: rule of chain forward [{"accept":null}].`)},
	{check: "host.mounts", tells: `is mounted on "/mnt"`, breaks: intruded(driver.AreaMounts, `The part "/data" of the volume db is mounted on "/mnt".`)},
	{check: "host.network", tells: `a link "byhand"`, breaks: intruded(driver.AreaNetwork, `The space has a link "byhand" (veth) that the engine did not make.`)},
	{check: "host.sockets", tells: "the user 1000 listens on 0.0.0.0:8000", host: true, breaks: func(b *bench, _ string) func() {
		was := b.listeners
		b.listen("0.0.0.0:8000")
		return func() { b.listeners = was }
	}},
}

// TestMutations: what the engine finds in a space, in the builds' space or beside
// all of them is told there and nowhere else.
func TestMutations(t *testing.T) {
	tested := map[string]bool{}
	for _, m := range mutations {
		tested[m.check] = true
		t.Run(strings.TrimSuffix(m.check+" "+m.subject, " "), func(t *testing.T) {
			b := newBench(t)
			places := []struct{ space, subject, scope string }{{"", "host", ""}, {b.ward, b.ward, b.ward}, {builds, builds, ""}}
			if m.host {
				places = places[:1]
				places[0].subject = cmp.Or(m.subject, "host")
			} else if m.subject != "" {
				places = places[1:2]
				places[0].subject = b.IDs[m.subject]
			}
			for _, place := range places {
				if got := b.look(t, m.check, place.subject); got.Status != document.StatusPass || len(got.Facts) == 0 {
					t.Fatalf("before: %+v", got)
				}
				mend := m.breaks(b, place.space)
				got := b.look(t, m.check, place.subject)
				if got.Status != document.StatusFail || got.Scope != place.scope || !strings.Contains(got.Facts[0], m.tells) {
					t.Errorf("broken: %+v, want a failure in %q that tells %q", got, place.scope, m.tells)
				}
				for _, other := range places {
					if other != place && b.look(t, m.check, other.subject).Status != document.StatusPass {
						t.Errorf("what happened in %q is told of %q", place.subject, other.subject)
					}
				}
				mend()
				if got := b.look(t, m.check, place.subject); got.Status != document.StatusPass {
					t.Errorf("mended: %+v", got)
				}
			}
		})
	}
	for _, c := range host.All(host.Config{}) {
		if !tested[c.ID] {
			t.Errorf("nothing breaks what %s watches", c.ID)
		}
	}
}

// away is an engine that does not answer.
type away struct{}

func (away) Survey(context.Context, string) (*driver.Survey, error) {
	return nil, errors.New("no engine")
}

// TestUnknown: where nobody looks, nothing passes.
func TestUnknown(t *testing.T) {
	b := newBench(t)
	b.cfg.Engine, b.sessions = away{}, nil
	b.cfg.Clock = func() (host.Clock, error) { return host.Clock{}, nil }
	b.cfg.Listeners = func() ([]host.Listener, error) { return nil, errors.New("no /proc") }
	for _, c := range host.All(b.cfg) {
		results, err := c.Try(t.Context())
		known := slices.ContainsFunc(results, func(r compliance.Result) bool { return r.Status != document.StatusUnknown })
		if err == nil && (known || len(results) == 0) {
			t.Errorf("%s says %+v", c.ID, results)
		}
	}
}

// TestFacts: a failure says the same as long as nothing changes, whatever comes
// and goes, and says that there is more than it can list.
func TestFacts(t *testing.T) {
	b := newBench(t)
	for range driver.MaxStrays + 1 {
		b.engine.Intrude(driver.AreaContainers, b.ward, "test", "made by hand")
	}
	facts := b.look(t, "host.containers", b.ward).Facts
	if n := len(facts); n != driver.MaxStrays+2 || facts[n-2] != "There is more than is listed here." || facts[n-1] != "Looked at: containers." {
		t.Errorf("%q", facts)
	}
	if pass := b.look(t, "host.containers", builds).Facts; pass[0] != "Looked at: 0 containers. There is nothing that the platform did not make." {
		t.Errorf("%q", pass)
	}
}

// TestTunnel: what comes through a tunnel on record is no stray until that has
// ended.
func TestTunnel(t *testing.T) {
	b := newBench(t)
	b.sessions = append(b.sessions, host.Session{Role: b.role(), Application: "psql", Address: "169.254.1.1", Ours: true})
	open := &sessions.Open{App: b.IDs["app:clinic"], Dyno: "records", Type: "psql"}
	b.Do(open, b.As("owner"))
	if got := b.look(t, "host.database-sessions", b.IDs["addon"]); got.Status != document.StatusPass {
		t.Errorf("through a tunnel: %+v", got)
	}
	b.Do(&sessions.Close{ID: open.Session.ID}, commandtest.Platform)
	if got := b.look(t, "host.database-sessions", b.IDs["addon"]); got.Status != document.StatusFail {
		t.Errorf("its tunnel has ended: %+v", got)
	}
}

// TestNotAsked: what could not be looked at is unknown, and the rest is not.
func TestNotAsked(t *testing.T) {
	b := newBench(t)
	b.sessions = nil
	if got := b.look(t, "host.database-sessions", b.IDs["addon"]); got.Status != document.StatusUnknown {
		t.Errorf("a database that does not answer: %+v", got)
	}
	b.cfg.Engine = withoutLog{b.engine}
	if got := b.look(t, "host.logins", "log"); got.Status != document.StatusUnknown {
		t.Errorf("a host without a log of logins: %+v", got)
	}
	if got := b.look(t, "host.logins", "host"); got.Status != document.StatusPass {
		t.Errorf("its terminals: %+v", got)
	}
}

type withoutLog struct{ host.Engine }

func (e withoutLog) Survey(ctx context.Context, area string) (*driver.Survey, error) {
	if area == driver.AreaLogins {
		return nil, fault.New(fault.Unavailable, "The host keeps no log of logins.")
	}
	return e.Engine.Survey(ctx, area)
}
