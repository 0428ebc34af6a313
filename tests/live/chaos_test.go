//go:build live

package live

import "testing"

// TestChaos breaks the installation in many ways while an app runs, and people
// work. The parts share their apps: to make those takes longest.
func TestChaos(t *testing.T) {
	s := newSite(t)
	w := newWriter(t, s, "other")
	p := newPath(t, s)
	for _, part := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"the logs' disk unwritable", func(t *testing.T) { logDiskUnwritable(t, w) }},
		{"the ledger unwritable", func(t *testing.T) { ledgerUnwritable(t, w, p) }},
		{"the ledger's disk full", func(t *testing.T) { ledgerDiskFull(t, w, p) }},
		{"spool killed", func(t *testing.T) { killSpool(t, w) }},
		{"engine, containerd, spool and edge killed", func(t *testing.T) { killParts(t, w) }},
		{"server killed fifty times", func(t *testing.T) { killServer(t, w, p) }},
	} {
		t.Run(part.name, part.do)
	}
}
