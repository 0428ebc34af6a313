package certificate

import (
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

// Bounds of the authorities of a domain's clients: a router reads them at each
// change, and names them to each client.
const (
	maxBundle      = 64 << 10
	maxAuthorities = 20
)

// ParseAuthorities reads the authorities that may vouch for clients, each once.
func ParseAuthorities(bundle string, now time.Time) ([]*x509.Certificate, error) {
	if strings.Contains(bundle, "PRIVATE KEY-----") {
		return nil, fault.New(fault.Invalid, "There is a private key among the authorities: it belongs to whoever signs, and nowhere else. Consider it known and make a new one.")
	}
	list, err := parse(bundle, maxBundle, maxAuthorities)
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for _, c := range list {
		if err := sound(c, now); err != nil {
			return nil, err
		}
		if !c.BasicConstraintsValid || !c.IsCA || c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0 {
			return nil, fault.New(fault.Invalid, "The certificate of %s is not an authority's: it may sign none.", subject(c))
		}
		if !slices.ContainsFunc(out, c.Equal) {
			out = append(out, c)
		}
	}
	return out, nil
}
