package ciphers

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
)

// TestTLS12 holds the list against its invariant, and against what the Go of
// today calls insecure.
func TestTLS12(t *testing.T) {
	secure := tls.CipherSuites()
	for _, id := range TLS12() {
		at := slices.IndexFunc(secure, func(s *tls.CipherSuite) bool { return s.ID == id })
		if at < 0 {
			t.Errorf("%s is called insecure", tls.CipherSuiteName(id))
			continue
		}
		s := secure[at]
		if !slices.Contains(s.SupportedVersions, tls.VersionTLS12) || !strings.HasPrefix(s.Name, "TLS_ECDHE_") ||
			!strings.Contains(s.Name, "GCM") && !strings.Contains(s.Name, "POLY1305") {
			t.Errorf("%s", s.Name)
		}
	}
}
