package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
)

// maxKey bounds a private key's PEM.
const maxKey = 16 << 10

// Pair is a server's certificate that belongs to its key, with those that link it
// to an authority.
type Pair struct {
	Leaf  *x509.Certificate
	Chain []*x509.Certificate // leaf first
	Names []string            // host names that it is for
}

// ParsePair reads a chain, leaf first, and its key. Each certificate must be signed
// by the next one: clients do not search.
func ParsePair(chain string, key secret.Value, now time.Time) (*Pair, error) {
	if len(key.Reveal()) > maxKey {
		return nil, fault.New(fault.TooLarge, "A private key has at most %d KB.", maxKey>>10)
	}
	list, err := parse(chain, maxChain, maxLength)
	if err != nil {
		return nil, err
	}
	p := &Pair{Leaf: list[0], Chain: list, Names: names(list[0])}
	for i, c := range list {
		if err := link(list, i); err != nil {
			return nil, err
		}
		if err := sound(c, now); err != nil {
			return nil, err
		}
	}
	if err := p.forServers(); err != nil {
		return nil, err
	}
	return p, belongs(chain, key)
}

// link refuses a certificate that the next one did not sign.
func link(list []*x509.Certificate, i int) error {
	c := list[i]
	if i == 0 || !selfSigned(c) {
		if err := signed(c); err != nil {
			return err
		}
	}
	if i+1 == len(list) {
		return nil
	}
	if err := c.CheckSignatureFrom(list[i+1]); err != nil {
		return fault.New(fault.Invalid, "The chain is not in order: the certificate of %s comes after that of %s and did not sign it. Put the server's certificate first and each one's issuer after it.",
			subject(list[i+1]), subject(c))
	}
	return nil
}

// forServers refuses a certificate that is not for serving names.
func (p *Pair) forServers() error {
	use := p.Leaf.ExtKeyUsage
	if (len(use) > 0 || len(p.Leaf.UnknownExtKeyUsage) > 0) && !slices.Contains(use, x509.ExtKeyUsageServerAuth) && !slices.Contains(use, x509.ExtKeyUsageAny) {
		return fault.New(fault.Invalid, "The certificate of %s is not for servers: its extended key usage lacks serverAuth.", subject(p.Leaf))
	}
	if n := len(p.Names); n == 0 || n > maxNames {
		return fault.New(fault.Invalid, "The certificate of %s names %d hosts: 1 to %d are taken.", subject(p.Leaf), n, maxNames)
	}
	return nil
}

// belongs refuses a key that is not the certificate's. It tells nothing else of it.
func belongs(chain string, key secret.Value) error {
	if block, _ := pem.Decode(key.Reveal()); block != nil && (strings.Contains(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "") {
		return fault.New(fault.Invalid, "The private key is locked by a passphrase. Unlock it first: openssl pkey -in locked.key -out server.key")
	}
	if _, err := tls.X509KeyPair([]byte(chain), key.Reveal()); err != nil {
		return fault.New(fault.Invalid, "The certificate and the key do not belong together or cannot be read.")
	}
	return nil
}

// names are the host names of a certificate. That of the subject counts only where
// there are no others, as openssl's clients have it.
func names(c *x509.Certificate) []string {
	if len(c.DNSNames) > 0 || c.Subject.CommonName == "" {
		return c.DNSNames
	}
	return []string{c.Subject.CommonName}
}

// Covers tells whether a certificate for these names is good for a host. A
// wildcard host needs the wildcard itself.
func Covers(names []string, host string) bool {
	if strings.HasPrefix(host, "*.") {
		return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, host) })
	}
	c := x509.Certificate{DNSNames: names}
	return c.VerifyHostname(host) == nil
}

// Vouched tells whether an authority among the roots vouches for the certificate.
func (p *Pair) Vouched(roots *x509.CertPool, now time.Time) bool {
	between := x509.NewCertPool()
	for _, c := range p.Chain[1:] {
		between.AddCert(c)
	}
	_, err := p.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now})
	return err == nil
}
