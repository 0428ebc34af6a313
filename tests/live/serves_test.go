//go:build live

package live

import (
	"strings"
	"testing"
)

// TestServes: what the demo left answers, and the ledger is whole.
func TestServes(t *testing.T) {
	s := newSite(t)
	body, err := s.get(s.client(t, "intake"), "intake", "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("intake says %s", strings.TrimSpace(body))
	for _, part := range []string{"server", "engine", "edge", "spool", "containerd"} {
		if _, err := s.pid(part); err != nil {
			t.Error(err)
		}
	}
	s.sr(t, "auditor", "ledger:verify", "--data", s.data).ok("The ledger is whole")
}
