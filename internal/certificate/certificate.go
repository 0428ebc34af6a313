// Package certificate reads the certificates and keys that people upload, and
// refuses in plain words what clients would not accept or nobody should rely on.
//
// Invariants: what is read is bounded before it is parsed; an error names
// certificates by their subject and says nothing of a key. It does no I/O.
//
// internal/command/apps calls it before anything is stored.
package certificate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

// Bounds of what is uploaded. The largest key that is taken, RSA of 8192 bits,
// needs less than half of its bound.
const (
	maxChain    = 128 << 10
	maxLength   = 10 // certificates of a chain
	maxNames    = 200
	minRSA      = 2048
	maxRSA      = 8192
	clockSkew   = 5 * time.Minute
	maxSubject  = 200 // bytes of a subject in an error
	certificate = "CERTIFICATE"
)

// parse reads the certificates of a PEM text and drops what is between them:
// people paste keys into the wrong field, and certificates go to the ledger.
func parse(text string, bytes, count int) ([]*x509.Certificate, error) {
	if len(text) > bytes {
		return nil, fault.New(fault.TooLarge, "Certificates have at most %d KB.", bytes>>10)
	}
	var list []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != certificate {
			continue
		}
		if len(list) == count {
			return nil, fault.New(fault.Invalid, "There are more than %d certificates.", count)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fault.New(fault.Invalid, "The certificate number %d cannot be read.", len(list)+1)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fault.New(fault.Invalid, "There is no certificate: PEM is expected, a block that begins with -----BEGIN CERTIFICATE-----.")
	}
	return list, nil
}

// Encode writes certificates as PEM.
func Encode(list []*x509.Certificate) string {
	var out bytes.Buffer
	for _, c := range list {
		_ = pem.Encode(&out, &pem.Block{Type: certificate, Bytes: c.Raw}) // a buffer takes everything
	}
	return out.String()
}

// sound refuses a certificate that is not valid now, or whose key is too weak.
func sound(c *x509.Certificate, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return fault.New(fault.Invalid, "The certificate of %s expired on %s.", subject(c), c.NotAfter.UTC().Format(time.DateOnly))
	case now.Add(clockSkew).Before(c.NotBefore):
		return fault.New(fault.Invalid, "The certificate of %s is not valid before %s.", subject(c), c.NotBefore.UTC().Format(time.RFC3339))
	}
	return strong(c)
}

// strong refuses weak keys, and those so large that they cost more than they give.
func strong(c *x509.Certificate) error {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < minRSA || n > maxRSA {
			return fault.New(fault.Invalid, "The RSA key of %s has %d bits: %d to %d are taken.", subject(c), n, minRSA, maxRSA)
		}
		return nil
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() && key.Curve != elliptic.P521() {
			return fault.New(fault.Invalid, "The key of %s is on the curve %s: P-256, P-384 and P-521 are taken.", subject(c), key.Curve.Params().Name)
		}
		return nil
	case ed25519.PublicKey:
		return nil
	default:
		return fault.New(fault.Invalid, "The key of %s is neither RSA nor ECDSA nor Ed25519.", subject(c))
	}
}

// signatures that can be forged, or might be soon.
var broken = []x509.SignatureAlgorithm{
	x509.UnknownSignatureAlgorithm, x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.DSAWithSHA256, x509.ECDSAWithSHA1,
}

// signed refuses a certificate with a signature that proves nothing any more. What
// an authority wrote below its own name proves nothing in any case.
func signed(c *x509.Certificate) error {
	if slices.Contains(broken, c.SignatureAlgorithm) {
		return fault.New(fault.Invalid, "The certificate of %s is signed with %s, which can be forged.", subject(c), c.SignatureAlgorithm)
	}
	return nil
}

func selfSigned(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// subject names a certificate in an error.
func subject(c *x509.Certificate) string {
	name := c.Subject.String()
	if name == "" && len(c.DNSNames) > 0 {
		name = c.DNSNames[0]
	}
	if name == "" {
		name = "number " + c.SerialNumber.String()
	}
	return strings.ToValidUTF8(name[:min(len(name), maxSubject)], "")
}
