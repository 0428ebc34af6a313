//go:build live

package live

import "testing"

// TestChaos breaks the installation in many ways while an app runs, and people
// work. The parts share their apps: to make those takes longest.
func TestChaos(t *testing.T) {
	s := newSite(t)
	w := newWriter(t, s, "other")
	for _, part := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"the logs' disk unwritable", func(t *testing.T) { logDiskUnwritable(t, w) }},
		{"spool killed", func(t *testing.T) { killSpool(t, w) }},
		{"engine, containerd, spool and edge killed", func(t *testing.T) { killParts(t, w) }},
	} {
		t.Run(part.name, part.do)
	}
}
