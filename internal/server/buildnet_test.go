package server

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
)

func TestPublic(t *testing.T) {
	list := public()
	for address, want := range map[string]bool{
		"0.0.0.0": true, "9.255.255.255": true, "10.0.0.0": false, "10.255.255.255": false, "11.0.0.0": true,
		"100.63.255.255": true, "100.64.0.0": false, "100.127.255.255": false, "100.128.0.0": true,
		"172.15.255.255": true, "172.16.0.1": false, "172.31.255.255": false, "172.32.0.0": true,
		"192.167.255.255": true, "192.168.0.0": false, "192.168.255.255": false, "192.169.0.0": true,
		"203.0.113.80": true, "255.255.255.255": true,
	} {
		a := netip.MustParseAddr(address)
		n := 0
		for _, p := range list {
			if p != p.Masked() {
				t.Errorf("%s has bits beside its prefix", p)
			}
			if p.Contains(a) {
				n++
			}
		}
		if n > 1 || (n == 1) != want {
			t.Errorf("%s is in %d of the ranges", address, n)
		}
	}
	if len(list) > 100 {
		t.Errorf("%d ranges", len(list))
	}
}

// admits tells whether the space's rules let a connection out.
func admits(s driver.Space, protocol, to string, port int) bool {
	return slices.ContainsFunc(s.Outbound, func(o driver.Outbound) bool {
		return netip.MustParsePrefix(o.CIDR).Contains(netip.MustParseAddr(to)) && o.FromPort <= port && port <= o.ToPort &&
			(o.Protocol == "any" || o.Protocol == protocol)
	})
}

// TestBuildSpace has a registry and a proxy at private addresses: builds reach
// these, and none beside them.
func TestBuildSpace(t *testing.T) {
	p := &parts{
		cfg: Config{Build: BuildConfig{Registry: "https://10.1.2.3/npm/", Proxy: "http://user:secret@192.168.7.7:3128", Allow: []string{"172.16.5.5:8443"}}},
		log: slog.New(slog.DiscardHandler), installation: &document.Installation{Base: document.Base{ID: "0198c0de-0000-7000-8000-000000000001"}},
	}
	s := (&deploys{p: p}).buildSpace(t.Context())
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		protocol, to string
		port         int
		want         bool
	}{
		{"tcp", "203.0.113.80", 443, true},
		{"tcp", "203.0.113.80", 80, false},
		{"udp", "9.9.9.9", 53, true},
		{"tcp", "10.1.2.3", 443, true},
		{"tcp", "10.1.2.3", 22, false},
		{"tcp", "10.1.2.4", 443, false},
		{"tcp", "192.168.7.7", 3128, true},
		{"tcp", "192.168.7.7", 443, false},
		{"tcp", "192.168.7.1", 443, false},
		{"tcp", "172.16.5.5", 8443, true},
		{"tcp", "172.16.5.5", 443, false},
		{"udp", "192.168.7.1", 53, false},
	} {
		if got := admits(s, c.protocol, c.to, c.port); got != c.want {
			t.Errorf("%s %s:%d: %v", c.protocol, c.to, c.port, got)
		}
	}
}

func TestResolvers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte("# x\nnameserver 10.1.2.3\nnameserver 127.0.0.53\nnameserver fd00::1\nsearch a\nnameserver\nnameserver 9.9.9.9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("9.9.9.9")}
	if diff := cmp.Diff(want, (*deploys)(nil).resolvers(file), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestEndpoints(t *testing.T) {
	for _, c := range []struct {
		build BuildConfig
		want  []endpoint
		says  string
	}{
		{BuildConfig{}, nil, ""},
		{BuildConfig{Registry: "https://npm.internal/x/"}, []endpoint{{"npm.internal", 443}}, ""},
		{BuildConfig{Registry: "http://npm.internal:4873"}, []endpoint{{"npm.internal", 4873}}, ""},
		{BuildConfig{Proxy: "http://proxy"}, []endpoint{{"proxy", 80}}, ""},
		{BuildConfig{Proxy: "proxy:3128"}, []endpoint{{"proxy", 3128}}, ""},
		{BuildConfig{Allow: []string{"git.internal:443"}}, []endpoint{{"git.internal", 443}}, ""},
		{BuildConfig{Allow: []string{"git.internal"}}, nil, "build.allow"},
		{BuildConfig{Allow: []string{"git.internal:0"}}, nil, "build.allow"},
		{BuildConfig{Proxy: "http://user:CANARY@:x"}, nil, "build.proxy"},
	} {
		got, err := c.build.endpoints()
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(endpoint{})); diff != "" || (err == nil) != (c.says == "") {
			t.Errorf("%+v: %v %s", c.build, err, diff)
		}
		if err != nil && (!strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "CANARY")) {
			t.Errorf("%v", err)
		}
	}
}
