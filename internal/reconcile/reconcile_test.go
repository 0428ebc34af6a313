package reconcile_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/postgres"
	"github.com/strongroom/strongroom/internal/reconcile/reconciletest"
)

func ptr[T any](v T) *T { return &v }

func space(l *reconciletest.Lab, name string) *document.Space {
	return commandtest.Get[*document.Space](l.World, l.IDs["space:"+name])
}

func TestSpace(t *testing.T) {
	l := reconciletest.New(t)
	if s := space(l, "ward"); s.State != document.SpaceAllocating {
		t.Fatalf("%+v", s)
	}
	l.Settle()
	if s := space(l, "ward"); s.State != document.SpaceAllocated {
		t.Errorf("%+v", s)
	}
	if got := l.Engine.Seen(t).Spaces; len(got) != 1 || got[0].ID != l.IDs["space:ward"] {
		t.Errorf("the engine has %+v", got)
	}
	// A change of its rules reaches the engine, and nothing else does.
	l.Engine.Forget()
	l.Do(&spaces.SetTrusted{Identity: "ward", Rules: []document.TrustedIP{{Source: "203.0.113.0/24", Action: "allow"}}}, l.As("root"))
	l.Settle()
	if got := l.Engine.Calls(); !slices.Equal(got, []string{"EnsureSpace " + l.IDs["space:ward"]}) {
		t.Errorf("calls %v", got)
	}
}

// TestDeploy takes an app from its first release over scaling, restarts and new
// config to its end, with the engine and the record following.
func TestDeploy(t *testing.T) {
	l := reconciletest.New(t)
	l.App("clinic", "ward")
	l.Set("clinic", "GREETING", "hello")
	l.Settle()
	if n := len(l.Engine.Seen(t).Formations); n != 0 {
		t.Errorf("%d formations before there is a build", n)
	}
	l.Deploy("clinic", "web: serve; wait", "my_worker: wait")
	l.UntilDynos("clinic", "web.1 up v2")
	web := l.Formation("clinic", "web")
	if got := l.Ask(web, "you"); got != "hello you" {
		t.Errorf("the app says %q", got)
	}
	dyno := commandtest.Find[*document.Dyno](l.World, "app", l.IDs["app:clinic"])[0]
	if dyno.Formation != web.ID || dyno.Command != "serve; wait" || dyno.Size != "Private-S" || dyno.Space != l.IDs["space:ward"] {
		t.Errorf("%+v", dyno)
	}

	l.Do(&apps.Scale{Identity: "clinic", Updates: []apps.ScaleUpdate{{Type: "web", Quantity: ptr(3)}, {Type: "my_worker", Quantity: ptr(1)}}}, l.As("root"))
	l.UntilDynos("clinic", "my_worker.1 up v2", "web.1 up v2", "web.2 up v2", "web.3 up v2")
	if again := commandtest.Find[*document.Dyno](l.World, "app+name", l.IDs["app:clinic"]+"+web.1")[0]; again.ID != dyno.ID {
		t.Error("scaling replaced a dyno that runs")
	}

	l.Do(&apps.Restart{Identity: "clinic", Type: "web"}, l.As("root"))
	l.Until("all web dynos are new", func() bool {
		seen := l.Engine.Seen(t).Instances
		return len(seen) == 4 && !slices.ContainsFunc(seen, func(i driver.Instance) bool { return i.ID == dyno.ID })
	})

	r := l.Set("clinic", "GREETING", "bonjour")
	l.UntilDynos("clinic", "my_worker.1 up v3", "web.1 up v3", "web.2 up v3", "web.3 up v3")
	if got := l.Ask(web, "you"); got != "bonjour you" || r.Version != 3 {
		t.Errorf("after v%d the app says %q", r.Version, got)
	}
	l.Do(&releases.Rollback{App: "clinic", Identity: "v2"}, l.As("root"))
	l.UntilDynos("clinic", "my_worker.1 up v4", "web.1 up v4", "web.2 up v4", "web.3 up v4")
	if got := l.Ask(web, "you"); got != "hello you" {
		t.Errorf("after the rollback the app says %q", got)
	}

	l.Do(&apps.Scale{Identity: "clinic", Updates: []apps.ScaleUpdate{{Type: "web", Quantity: ptr(0)}, {Type: "my_worker", Quantity: ptr(0)}}}, l.As("root"))
	l.UntilDynos("clinic")
	l.Do(&apps.Destroy{Identity: "clinic"}, l.As("root"))
	l.Settle()
	if o := l.Engine.Seen(t); len(o.Formations) != 0 || len(o.Instances) != 0 {
		t.Errorf("left of the app: %+v", o)
	}

	l.Do(&spaces.Destroy{Identity: "ward"}, l.As("root"))
	l.Until("the space is gone", func() bool { return l.Gone(document.KindSpace, l.IDs["space:ward"]) })
	if o := l.Engine.Seen(t); len(o.Spaces) != 0 {
		t.Errorf("left of the space: %+v", o)
	}
	if k, err := l.Store.WrappedKey(t.Context(), l.IDs["space:ward"]); err != nil || k.Wrapped != nil {
		t.Errorf("the space's key: %v, %v", k.Wrapped, err)
	}
}

// TestNewProcesses changes what the code is made of.
func TestNewProcesses(t *testing.T) {
	l := reconciletest.New(t)
	l.App("clinic", "ward")
	l.Deploy("clinic", "web: serve; wait", "worker: wait")
	l.Do(&apps.Scale{Identity: "clinic", Updates: []apps.ScaleUpdate{{Type: "worker", Quantity: ptr(1)}}}, l.As("root"))
	l.UntilDynos("clinic", "web.1 up v1", "worker.1 up v1")
	l.Deploy("clinic", "web: say two; serve; wait", "clock: wait")
	l.UntilDynos("clinic", "web.1 up v2")
	if l.Formation("clinic", "worker") != nil || l.Formation("clinic", "clock") == nil {
		t.Error("formations are not those of the code")
	}
}

// TestCrashing records dynos that end by themselves.
func TestCrashing(t *testing.T) {
	l := reconciletest.New(t)
	l.App("clinic", "ward")
	l.Deploy("clinic", "web: exit 3")
	l.Until("a crash is on record", func() bool {
		for _, d := range commandtest.Find[*document.Dyno](l.World, "app", l.IDs["app:clinic"]) {
			if d.State == driver.Crashed && d.ExitCode != nil && *d.ExitCode == 3 {
				return true
			}
		}
		return false
	})
	l.Deploy("clinic", "web: serve; wait")
	l.UntilDynos("clinic", "web.1 up v2")
}

// TestServerRestart makes the loop anew: what runs is left running.
func TestServerRestart(t *testing.T) {
	l := reconciletest.New(t)
	l.App("clinic", "ward")
	for _, name := range []string{"A", "B", "C", "D"} {
		l.Set("clinic", name, strings.Repeat(name, 10))
	}
	l.Deploy("clinic", "web: serve; wait")
	l.UntilDynos("clinic", "web.1 up v5")
	before, entries := l.Engine.Seen(t).Instances[0].ID, l.Size()
	l.Engine.Forget()
	l.Restart()
	l.Settle()
	if n := l.Engine.Count("ApplyFormation") + l.Engine.Count("EnsureSpace"); n != 0 {
		t.Errorf("calls %v", l.Engine.Calls())
	}
	if after := l.Engine.Seen(t).Instances; len(after) != 1 || after[0].ID != before || l.Size() != entries {
		t.Errorf("the dyno was replaced: %+v", after)
	}
}

// TestRoutes gives each domain to its app, with a certificate that clients of
// the space trust.
func TestRoutes(t *testing.T) {
	l := reconciletest.New(t)
	l.App("clinic", "ward")
	l.Space("attic")
	l.App("other", "attic")
	l.Do(&apps.AddDomain{Identity: "clinic", Hostname: "www.example.org"}, l.As("root"))
	l.Settle()
	ward := l.IDs["space:ward"]
	route := func(host string) driver.Route {
		for _, r := range l.Engine.Routes[ward].Domains {
			if r.Hostname == host {
				return r
			}
		}
		t.Fatalf("no route for %s: %+v", host, l.Engine.Routes[ward])
		return driver.Route{}
	}
	if r := route("www.example.org"); r.Formation != "" || r.App != l.IDs["app:clinic"] || r.MinTLS != "1.2" {
		t.Errorf("before there is a dyno: %+v", r)
	}
	if n := len(l.Engine.Routes[ward].Domains); n != 2 {
		t.Errorf("%d domains, want those of the space's own app", n)
	}
	l.Deploy("clinic", "web: serve; wait")
	l.Settle()
	r := route("clinic.apps.localhost")
	if r.Formation != l.Formation("clinic", "web").ID || r.Maintenance {
		t.Errorf("%+v", r)
	}
	pair, err := tls.X509KeyPair([]byte(r.Certificate), []byte(r.Key))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(space(l, "ward").CA))
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: "clinic.apps.localhost", Roots: roots}); err != nil {
		t.Error(err)
	}
	l.Do(&apps.Update{Identity: "clinic", Maintenance: ptr(true)}, l.As("root"))
	l.Settle()
	if !route("www.example.org").Maintenance {
		t.Error("maintenance did not reach the router")
	}
	least := func(own, other string, hsts bool) {
		t.Helper()
		l.Settle()
		if a, b := route("www.example.org").MinTLS, route("clinic.apps.localhost").MinTLS; a != own || b != other || l.Engine.Routes[ward].HSTS != hsts {
			t.Errorf("TLS %s and %s, HSTS %v; want %s, %s, %v", a, b, l.Engine.Routes[ward].HSTS, own, other, hsts)
		}
	}
	least("1.2", "1.2", true)
	authority := space(l, "attic").CA
	l.Do(&apps.SetDomainTLS{Identity: "clinic", Hostname: "www.example.org", MinTLS: ptr("1.3"), Authorities: &authority}, l.As("root"))
	least("1.3", "1.2", true)
	if a, b := route("www.example.org").Clients, route("clinic.apps.localhost").Clients; a != authority || b != "" {
		t.Errorf("clients are vouched for by %q and %q", a, b)
	}
	l.Do(&spaces.SetTLS{Identity: "ward", MinTLS: ptr("1.3"), HSTS: ptr(false)}, l.As("root"))
	l.Do(&apps.SetDomainTLS{Identity: "clinic", Hostname: "www.example.org", MinTLS: ptr("1.2")}, l.As("root"))
	least("1.3", "1.3", false)
	l.Do(&apps.Scale{Identity: "clinic", Updates: []apps.ScaleUpdate{{Type: "web", Quantity: ptr(0)}}}, l.As("root"))
	l.Settle()
	if r := route("www.example.org"); r.Formation != "" {
		t.Errorf("%+v", r)
	}
	// A certificate of the space's own is renewed before it ends.
	old := route("www.example.org").Certificate
	l.Skip(61 * 24 * time.Hour)
	l.Settle()
	if route("www.example.org").Certificate == old {
		t.Error("the certificate was not renewed")
	}
}

var errEngine = errors.New("the engine is out of order")

// TestBackoff fails one action: it is tried again with growing pauses, and holds
// up no other.
func TestBackoff(t *testing.T) {
	l := reconciletest.New(t)
	l.App("clinic", "ward")
	l.App("intake", "ward")
	l.Deploy("clinic", "web: serve; wait")
	l.Deploy("intake", "web: serve; wait")
	bad := "ApplyFormation " + l.Formation("clinic", "web").ID
	l.Engine.Fail(bad, errEngine)
	l.UntilDynos("intake", "web.1 up v1")
	tries := l.Engine.Count(bad)
	for range 5 {
		if err := l.Loop.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.Engine.Count(bad); tries != 1 || n != 1 {
		t.Errorf("tried %d times, and %d more without a pause", tries, n-tries)
	}
	// Pauses of 2, 4, 8, … 64 seconds, and of a minute at most.
	for i, pause := range []time.Duration{2, 4, 8, 16, 32, 60, 60} {
		l.Skip(pause*time.Second - 500*time.Millisecond)
		l.Loop.Once(t.Context()) //nolint:errcheck // its calls are looked at
		if n := l.Engine.Count(bad); n != i+1 {
			t.Fatalf("tried %d times before the pause %d of %d s was over", n, i, pause)
		}
		l.Skip(500 * time.Millisecond)
		l.Loop.Once(t.Context()) //nolint:errcheck // its calls are looked at
		if n := l.Engine.Count(bad); n != i+2 {
			t.Fatalf("tried %d times after the pause %d of %d s", n, i, pause)
		}
	}
	// Something else is tried at once.
	l.Set("clinic", "A", "1")
	l.Engine.Fail(bad, nil)
	l.UntilDynos("clinic", "web.1 up v2")
}

func TestRecovers(t *testing.T) {
	l := reconciletest.New(t)
	l.App("clinic", "ward")
	l.Deploy("clinic", "web: serve; wait")
	l.Engine.Fail("*", fault.Wrap(fault.Unavailable, errEngine, "The engine is not there."))
	before := l.Size()
	for range 3 {
		if err := l.Loop.Once(t.Context()); fault.Of(err) != fault.Unavailable {
			t.Errorf("%v, want unavailable", err)
		}
	}
	if l.Size() != before {
		t.Error("something was recorded that nobody saw")
	}
	l.Engine.Fail("*", nil)
	l.UntilDynos("clinic", "web.1 up v1")
}

// TestOneBrokenApp cannot open one app's config: its dynos stay as they are,
// and everybody else's go on.
func TestOneBrokenApp(t *testing.T) {
	l := reconciletest.New(t)
	l.App("clinic", "ward")
	l.App("intake", "ward")
	l.Space("attic")
	l.App("other", "attic")
	l.Set("clinic", "A", "1")
	for _, app := range []string{"clinic", "intake", "other"} {
		l.Deploy(app, "web: serve; wait")
	}
	l.UntilDynos("clinic", "web.1 up v2")
	running := commandtest.Find[*document.Dyno](l.World, "app", l.IDs["app:clinic"])[0].ID
	l.Set("clinic", "B", "2")
	cfg := commandtest.Get[*document.Config](l.World, l.IDs["app:clinic"])
	for _, v := range cfg.Vars {
		l.Shelf.Lose(v.Value.ID, true)
	}
	l.Do(&apps.Scale{Identity: "intake", Updates: []apps.ScaleUpdate{{Type: "web", Quantity: ptr(2)}}}, l.As("root"))
	l.UntilDynos("intake", "web.1 up v1", "web.2 up v1")
	l.UntilDynos("other", "web.1 up v1")
	l.Space("cellar")
	l.Until("a new space is allocated", func() bool { return space(l, "cellar").State == document.SpaceAllocated })
	if err := l.Loop.Once(t.Context()); err == nil || !strings.Contains(err.Error(), l.IDs["app:clinic"]) {
		t.Errorf("%v, want an error that names the app", err)
	}
	if got := commandtest.Find[*document.Dyno](l.World, "app", l.IDs["app:clinic"]); len(got) != 1 || got[0].ID != running {
		t.Errorf("its dynos: %+v", got)
	}
	for _, v := range cfg.Vars {
		l.Shelf.Lose(v.Value.ID, false)
	}
	l.UntilDynos("clinic", "web.1 up v3")
}

// TestBrokenAuthority cannot open one space's authority: its routes stay as
// they are, and other spaces' go on.
func TestBrokenAuthority(t *testing.T) {
	l := reconciletest.New(t)
	l.App("clinic", "ward")
	l.Settle()
	l.Shelf.Lose(space(l, "ward").CAKey.ID, true)
	l.Do(&apps.AddDomain{Identity: "clinic", Hostname: "www.example.org"}, l.As("root"))
	l.Space("attic")
	l.App("other", "attic")
	l.Until("the other space has its routes", func() bool { return len(l.Engine.Routes[l.IDs["space:attic"]].Domains) == 1 })
	if n := len(l.Engine.Routes[l.IDs["space:ward"]].Domains); n != 1 {
		t.Errorf("%d routes in the space that is broken, want that of before", n)
	}
	l.Shelf.Lose(space(l, "ward").CAKey.ID, false)
	l.Until("the routes are there", func() bool { return len(l.Engine.Routes[l.IDs["space:ward"]].Domains) == 2 })
}

// TestDatabase keeps a database's volume open and its container running, also
// after the engine has forgotten the key.
func TestDatabase(t *testing.T) {
	l := reconciletest.New(t)
	l.App("clinic", "ward")
	l.Settle()
	create := &addons.Create{App: "clinic", Plan: "heroku-postgresql", Name: "records"}
	l.Do(create, l.As("root"))
	l.Settle()
	if n := len(l.Engine.Seen(t).Volumes); n != 0 {
		t.Errorf("%d volumes: setting a database up is operation's", n)
	}
	l.Do(&addons.Provisioned{ID: create.Addon.ID, Image: l.Image}, commandtest.Platform)
	ready := func() bool {
		o := l.Engine.Seen(t)
		open := func(v driver.ObservedVolume) bool { return v.Unlocked }
		return len(o.Volumes) == 2 && open(o.Volumes[0]) && open(o.Volumes[1]) && len(o.Formations) == 1 && o.Formations[0].Ready == 1
	}
	l.Until("the database runs", ready)
	if got := l.Dynos("clinic"); len(got) != 0 {
		t.Errorf("a database is on record as a dyno: %v", got)
	}
	data, server := postgres.VolumeIDs(create.Addon)
	for _, v := range []string{data, server} {
		if err := l.Engine.LockVolume(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		l.Until("its volume is open again", ready)
	}
	// Its app may connect to it, once a release says so; other apps may not.
	l.Deploy("clinic", "web: serve; dial records.localspace:5432; wait")
	l.App("intake", "ward")
	l.Deploy("intake", "web: serve; dial records.localspace:5432; wait")
	l.Settle()
	// While it is being disposed of, nothing starts it anew.
	l.Do(&addons.Destroy{Identity: "records"}, l.As("root"))
	l.Engine.Forget()
	l.Until("the app's dynos are those of the detached release", func() bool { return slices.Equal(l.Dynos("clinic"), []string{"web.1 up v3"}) })
	if n := l.Engine.Count("ApplyFormation " + create.Addon.ID); n != 0 {
		t.Error("a database that is being destroyed was applied")
	}
	l.Do(&addons.Disposed{ID: create.Addon.ID}, commandtest.Platform)
	l.Until("nothing is left of it", func() bool {
		return !slices.ContainsFunc(l.Engine.Seen(t).Formations, func(f driver.ObservedFormation) bool { return f.ID == create.Addon.ID })
	})
}

// TestDatabaseWhileObserving has a database ordered and its container applied
// while the engine is being asked: it is not taken for one that nobody wants.
func TestDatabaseWhileObserving(t *testing.T) {
	l := reconciletest.New(t)
	l.App("clinic", "ward")
	l.Settle()
	create := &addons.Create{App: "clinic", Plan: "heroku-postgresql", Name: "records"}
	l.Engine.Hook(func(call string) error {
		if call != "Observe" || create.Addon != nil {
			return nil
		}
		l.Do(create, l.As("root"))
		return l.Engine.Driver.ApplyFormation(t.Context(), driver.Formation{
			ID: create.Addon.ID, Space: create.Addon.Space, Labels: driver.Labels{Type: "postgres"}, Name: "records", Revision: "1", Quantity: 1,
			Process: driver.Process{Image: l.Image, Args: []string{"serve", "wait"}, UID: 26},
		})
	})
	l.Settle()
	if n := len(l.Engine.Seen(t).Formations); n != 1 {
		t.Errorf("%d databases, want 1", n)
	}
}

// TestStrangersAreLeftAlone has the engine hold what the ledger does not know.
func TestStrangersAreLeftAlone(t *testing.T) {
	l := reconciletest.New(t)
	stray := driver.Space{ID: uuid.NewString(), Name: "stray", Trusted: []string{}, Outbound: []driver.Outbound{}}
	if err := l.Engine.Driver.EnsureSpace(t.Context(), stray); err != nil {
		t.Fatal(err)
	}
	l.App("clinic", "ward")
	l.Deploy("clinic", "web: serve; wait")
	l.UntilDynos("clinic", "web.1 up v1")
	if n := len(l.Engine.Seen(t).Spaces); n != 2 {
		t.Errorf("the engine has %d spaces", n)
	}
}

// TestRefusedAttempts: the first attempt at a destination is written down, the
// others are counted, and an hour later it is written how many there were.
func TestRefusedAttempts(t *testing.T) {
	l := reconciletest.New(t)
	l.App("clinic", "ward")
	kept := func() (out []string) {
		for _, r := range commandtest.Find[*document.Refusal](l.World, "space", l.IDs["space:ward"]) {
			out = append(out, fmt.Sprintf("%s %s %d: %d", r.Dyno, r.To, r.Port, r.Count))
		}
		slices.Sort(out)
		return out
	}
	want := func(what string, want ...string) {
		t.Helper()
		l.Until(what, func() bool { return slices.Equal(kept(), want) })
	}
	l.Deploy("clinic", "web: dial 198.51.100.7:443; wait")
	want("the first attempt", "web.1 198.51.100.7 443: 1")

	l.Deploy("clinic", "web: dial 198.51.100.7:443; dial 198.51.100.9:25; wait")
	l.Until("the new release", func() bool { return len(l.Engine.Seen(t).Spaces[0].Refused) == 2 })
	l.Settle()
	want("nothing within a minute", "web.1 198.51.100.7 443: 1")
	l.Skip(2 * time.Minute)
	want("another destination", "web.1 198.51.100.7 443: 1", "web.1 198.51.100.9 25: 1")
	l.Skip(time.Hour)
	want("the count of one that is tried on", "web.1 198.51.100.7 443: 2", "web.1 198.51.100.9 25: 1")
	size := l.Size()
	l.Skip(2 * time.Hour)
	l.Settle()
	if l.Size() != size {
		t.Error("what is not tried on is recorded again")
	}
}

// TestLinks: in a space whose apps need links, the engine lets an app reach its
// own dynos and those of apps that it is linked to, and nobody restarts for it.
func TestLinks(t *testing.T) {
	l := reconciletest.New(t)
	for _, app := range []string{"intake", "records", "billing"} {
		l.App(app, "ward")
		l.Deploy(app, "web: serve; wait")
		l.UntilDynos(app, "web.1 up v1")
	}
	of := func(app string) string { return l.Formation(app, "web").ID }
	want := func(private bool, peers map[string][]string) {
		t.Helper()
		l.Settle()
		for app, to := range peers {
			var ids []string
			for _, a := range to {
				ids = append(ids, of(a))
			}
			slices.Sort(ids)
			f := l.Engine.Formation(of(app))
			if f.Private != private || !slices.Equal(f.Peers, ids) {
				t.Errorf("%s: private %v with the peers %v, want %v with %v", app, f.Private, f.Peers, private, ids)
			}
		}
	}
	change := func(c spaces.SetLinks) {
		c.Identity = "ward"
		l.Do(&c, l.As("root"))
	}
	change(spaces.SetLinks{Add: []spaces.AppPair{{From: "intake", To: "records"}}})
	want(false, map[string][]string{"intake": nil, "records": nil, "billing": nil})
	change(spaces.SetLinks{Mode: spaces.LinksListed})
	want(true, map[string][]string{"intake": {"intake", "records"}, "records": {"records"}, "billing": {"billing"}})
	change(spaces.SetLinks{Remove: []spaces.AppPair{{From: "intake", To: "records"}}})
	want(true, map[string][]string{"intake": {"intake"}})
	change(spaces.SetLinks{Mode: spaces.LinksAny})
	want(false, map[string][]string{"intake": nil, "records": nil, "billing": nil})
	for _, i := range l.Engine.Seen(t).Instances {
		if i.Restarts > 0 || !strings.HasPrefix(i.Revision, "v1.") {
			t.Errorf("restarted: %+v", i)
		}
	}
}

// TestRun goes by itself: it notices changes without a tick.
func TestRun(t *testing.T) {
	l := reconciletest.New(t)
	stop := l.Run()
	l.App("clinic", "ward")
	l.Deploy("clinic", "web: serve; wait")
	for end := time.Now().Add(20 * time.Second); !slices.Equal(l.Dynos("clinic"), []string{"web.1 up v1"}); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("dynos %v\n%s", l.Dynos("clinic"), l.Log)
		}
	}
	stop()
}
