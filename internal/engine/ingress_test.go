package engine

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd"
	"github.com/strongroom/strongroom/internal/edge"
	"github.com/strongroom/strongroom/internal/router"
)

func TestSnapshot(t *testing.T) {
	traffic := containerd.Traffic{
		Space: "s", Trusted: []string{"192.0.2.0/24"},
		Routes: &driver.Routes{HSTS: true, Domains: []driver.Route{
			{Hostname: "up.example", App: "a", Formation: "f", Certificate: "C", Key: "K", MinTLS: "1.3", Clients: "A"},
			{Hostname: "down.example", App: "a", Formation: "g", Certificate: "C", Key: "K", Maintenance: true},
			{Hostname: "none.example", App: "b", Certificate: "C", Key: "K"},
			{Hostname: "worker.example", App: "b", Formation: "h", Certificate: "C", Key: "K"},
			{Hostname: "waiting.example", App: "a", Formation: "f"},
		}},
		Formations: map[string]containerd.Backends{
			"f": {Port: 5000, Crashed: true, Instances: []containerd.BackendInstance{{Address: "10.0.0.1", Dyno: "web.1"}}},
			"g": {Port: 5000, Crashed: true},
			"h": {Instances: []containerd.BackendInstance{{Address: "10.0.0.2", Dyno: "worker.1"}}},
		},
		Names: map[string][]string{"web": {"10.0.0.1"}, "db": nil},
	}
	want := router.Snapshot{
		Space: "s", HSTS: true, Trusted: []string{"192.0.2.0/24"}, Outside: "127.0.0.1:53",
		Hosts: []router.Host{
			{Name: "up.example", App: "a", Backends: []router.Backend{{Address: "10.0.0.1:5000", Dyno: "web.1"}}, Certificate: "C", Key: "K", MinTLS: "1.3", Clients: "A"},
			{Name: "down.example", App: "a", Crashed: true, Maintenance: true, Certificate: "C", Key: "K"},
			{Name: "none.example", App: "b", Certificate: "C", Key: "K"},
			{Name: "worker.example", App: "b", Certificate: "C", Key: "K"},
		},
		Names: []router.Name{{Name: "db"}, {Name: "web", Addresses: []string{"10.0.0.1"}}},
	}
	if diff := cmp.Diff(want, snapshot(traffic)); diff != "" {
		t.Error(diff)
	}
	traffic.Routes.HSTS = false
	if s := snapshot(traffic); s.HSTS {
		t.Error("the router asks for HSTS, and the routes do not")
	}
	// Nobody is not everybody, which is what null says to a router.
	traffic.Trusted = nil
	if s := snapshot(traffic); s.Trusted == nil || len(s.Trusted) > 0 {
		t.Errorf("a space that trusts nobody tells its router %#v", s.Trusted)
	}
}

func TestEdgeTable(t *testing.T) {
	in := newIngress(&engine{cfg: Config{Run: "/run/x"}, log: slog.New(slog.DiscardHandler)})
	add := func(id string, trusted []string, names ...string) {
		g := &gate{Gate: containerd.Gate{Space: id, Trusted: trusted}}
		for _, n := range names {
			if g.traffic == nil {
				g.traffic = &containerd.Traffic{Routes: &driver.Routes{}}
			}
			g.traffic.Routes.Domains = append(g.traffic.Routes.Domains, driver.Route{Hostname: n, Certificate: "C"})
		}
		in.gates[id] = g
	}
	add("b", []string{"10.0.0.0/8"}, "taken.example", "b.example")
	add("a", nil, "taken.example")
	add("c", nil)
	r := in.gates["a"].traffic.Routes
	r.Domains = append(r.Domains, driver.Route{Hostname: "waiting.example"})
	want := edge.Table{Spaces: []edge.Space{
		{ID: "a", Socket: "/run/x/routers/a.sock", Hostnames: []string{"taken.example"}},
		{ID: "b", Socket: "/run/x/routers/b.sock", Trusted: []string{"10.0.0.0/8"}, Hostnames: []string{"b.example"}},
		{ID: "c", Socket: "/run/x/routers/c.sock"},
	}}
	if diff := cmp.Diff(want, in.edgeTable()); diff != "" {
		t.Error(diff)
	}
}

func TestHostResolvers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	text := "# comment\nsearch example.org\nnameserver 127.0.0.53\nnameserver 10.1.2.3\nnameserver ::1\nnameserver 169.254.169.253\nnameserver 9.9.9.9 extra\nnameserver\nnameserver x\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"127.0.0.53:53", "10.1.2.3:53", "[::1]:53", "169.254.169.253:53", "9.9.9.9:53"}, hostResolvers(file)); diff != "" {
		t.Error(diff)
	}
	if got := hostResolvers(file + ".none"); got == nil || len(got) != 0 {
		t.Errorf("without a file: %v", got)
	}
}

// Whatever else the children are started with is a mistake, not a default.
func TestChildrenRefuseOtherArguments(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for _, args := range [][]string{{"--unknown=1"}, {"word"}, {"--dir"}} {
		for name, err := range map[string]error{
			"spool": Spool(t.Context(), args, log), "edge": Edge(t.Context(), args, log), "router": Router(t.Context(), args, log),
		} {
			if err == nil {
				t.Errorf("%s took %v", name, args)
			}
		}
	}
}

// TestEdgeKeepsItsTable: an engine that was restarted does not tell the edge of
// some spaces before it knows them all.
func TestEdgeKeepsItsTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIngress(&engine{cfg: Config{Run: "/run/x"}, log: slog.New(slog.DiscardHandler)})
		in.gates["a"], in.gates["b"] = &gate{traffic: &containerd.Traffic{}}, &gate{}
		if in.complete() {
			t.Error("the table is complete before the spaces are taken over")
		}
		in.takenOver()
		if in.complete() {
			t.Error("the table is complete without what b serves")
		}
		in.gates["b"].traffic = &containerd.Traffic{}
		if !in.complete() {
			t.Error("the table is not complete with all spaces")
		}
		in.gates["b"].traffic = nil
		time.Sleep(takeOverPatience + time.Second)
		if !in.complete() {
			t.Error("one space keeps the edge from the others for good")
		}
	})
}
