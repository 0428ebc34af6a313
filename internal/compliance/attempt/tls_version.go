package attempt

import (
	"context"
	"crypto/tls"

	"github.com/strongroom/strongroom/internal/compliance"
)

// outdated are the versions of TLS that nobody may be let in with.
var outdated = []uint16{tls.VersionTLS10, tls.VersionTLS11}

// tlsVersion: nothing speaks TLS 1.0 or 1.1.
func tlsVersion(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "attempt.tls-version", Title: "Nothing speaks TLS 1.0 or 1.1", Version: 1, Every: hourly,
		Try: atDoors(c, func(d Door) bool { return !d.Redirects }, offerOutdated),
	}
}

// offerOutdated offers each outdated version alone.
func offerOutdated(ctx context.Context, d Door, t *trial) error {
	if err := d.opens(ctx, t); err != nil {
		return err
	}
	for _, version := range outdated {
		refused, err := d.handshake(ctx, version, version)
		if err != nil {
			return err
		}
		said := "the handshake came to its end"
		if refused != nil {
			said = ending(refused)
		}
		t.tried(refused != nil, "%s, offered %s alone: %s.", d.Name, tls.VersionName(version), said)
	}
	return nil
}
