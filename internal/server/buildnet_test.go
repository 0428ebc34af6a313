package server

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
)

// admits tells whether the space's rules for networks let a connection out.
func admits(s driver.Space, protocol, to string, port int) bool {
	return slices.ContainsFunc(s.Outbound, func(o driver.Outbound) bool {
		return o.Name == "" && netip.MustParsePrefix(o.CIDR).Contains(netip.MustParseAddr(to)) && o.FromPort <= port && port <= o.ToPort &&
			(o.Protocol == "any" || o.Protocol == protocol)
	})
}

// TestBuildSpace has a registry and a proxy at private addresses: builds reach
// these, none beside them, and public addresses only where names lead.
func TestBuildSpace(t *testing.T) {
	p := &parts{
		cfg: Config{Build: BuildConfig{Registry: "https://10.1.2.3/npm/", Proxy: "http://user:secret@192.168.7.7:3128", Allow: []string{"172.16.5.5:8443"}}},
		log: slog.New(slog.DiscardHandler), installation: &document.Installation{Base: document.Base{ID: "0198c0de-0000-7000-8000-000000000001"}},
	}
	s := (&deploys{p: p}).buildSpace(t.Context())
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	if want := (driver.Outbound{Name: "*", Protocol: "tcp", FromPort: 443, ToPort: 443}); s.Outbound[0] != want {
		t.Errorf("names: %+v, want %+v", s.Outbound[0], want)
	}
	for _, c := range []struct {
		protocol, to string
		port         int
		want         bool
	}{
		{"tcp", "203.0.113.80", 443, false},
		{"udp", "9.9.9.9", 53, false},
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
