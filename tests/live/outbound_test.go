//go:build live

package live

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOutbound: a name that people allow is found by dig from a dyno's network,
// and curl gets where it leads; before and afterwards neither does. The name is
// that of the registry, which builds need as well.
func TestOutbound(t *testing.T) {
	s := newSite(t)
	registry, err := url.Parse(strings.TrimSpace(s.command(t, "operator", s.out, "npm", "config", "get", "registry").ok().out))
	if err != nil {
		t.Fatal(err)
	}
	name, port := registry.Hostname(), cmp.Or(registry.Port(), "443")
	networks, err := filepath.Glob(filepath.Join(s.run, "engine/net/spaces", s.spaceID(t, "clinic"), "endpoints/*"))
	if err != nil || len(networks) == 0 {
		t.Fatalf("nothing runs in the clinic: %v", err)
	}
	inside := func(program string, args ...string) *result {
		return s.command(t, "operator", s.out, "nsenter", append([]string{"--net=" + networks[0], program}, args...)...)
	}
	dig := func(name string, args ...string) string {
		return inside("dig", append([]string{"@169.254.1.1", "+tries=1", "+time=8", name}, args...)...).said
	}
	until := func(what, says string) {
		t.Helper()
		eventually(t, 20*time.Second, what, func() error {
			if said := dig(name); !strings.Contains(said, says) {
				return fmt.Errorf("%s", said)
			}
			return nil
		})
	}
	curl := func(address, port string) *result {
		return inside("curl", "--silent", "--show-error", "--insecure", "--max-time", "20", "--resolve", name+":"+port+":"+address, "https://"+net.JoinHostPort(name, port)+"/")
	}
	rule := []string{"--name", name, "--port", port, "--space", "clinic"}
	until("the name being refused", "no outbound rule of this space covers the name")

	s.sr(t, "developer", append([]string{"spaces:outbound:add"}, rule...)...).fails("space.manage")
	s.sr(t, "operator", append([]string{"spaces:outbound:add", "--reason", "a drill"}, rule...)...).ok(name, ": a drill")
	allowed := true
	remove := func() {
		if allowed {
			s.sr(t, "operator", append([]string{"spaces:outbound:remove", "--reason", "the drill is over"}, rule...)...).ok()
		}
		allowed = false
	}
	t.Cleanup(remove)
	until("an answer", "status: NOERROR")
	lines := strings.Fields(dig(name, "+short", "A")) // aliases come first
	if len(lines) == 0 {
		t.Fatalf("%s has no address", name)
	}
	address := lines[len(lines)-1]
	curl(address, port).ok()
	curl(address, "8443").fails()
	if said := dig("secret." + name); !strings.Contains(said, "status: REFUSED") {
		t.Errorf("a name below it:\n%s", said)
	}
	remove()
	until("the name being refused again", "status: REFUSED")
	curl(address, port).fails()
}
