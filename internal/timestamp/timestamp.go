// Package timestamp makes requests of RFC 3161 time-stamp authorities and
// verifies their tokens. It does no I/O.
//
// Invariants: a token counts only if exactly one signer made it, whose
// certificate is for time stamps alone and was valid then, by a chain to the
// certificates that were given; and only for the bytes that it is about.
// internal/outside asks authorities, internal/cli verifies packs.
package timestamp

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"

	"github.com/strongroom/strongroom/internal/fault"
)

// Media types of requests and answers.
const (
	RequestType = "application/timestamp-query"
	AnswerType  = "application/timestamp-reply"
)

// MaxAnswer bounds an answer and a token.
const MaxAnswer = 64 << 10

// Stamp is what a token says.
type Stamp struct {
	At time.Time
	By string // the signer's name
}

// Request asks for a stamp of content. The nonce tells the answer from others.
func Request(content []byte) (der []byte, nonce *big.Int, err error) {
	if nonce, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64)); err != nil {
		return nil, nil, err
	}
	der, err = timestamp.CreateRequest(bytes.NewReader(content), &timestamp.RequestOptions{Hash: crypto.SHA256, Certificates: true, Nonce: nonce})
	return der, nonce, err
}

// Answer takes the token out of an authority's answer to a request and verifies
// it.
func Answer(der, content []byte, nonce *big.Int, roots *x509.CertPool) (token []byte, s Stamp, err error) {
	defer func() { err = malformed(recover(), err) }()
	if len(der) > MaxAnswer {
		return nil, s, errMalformed
	}
	ts, err := timestamp.ParseResponse(der)
	if err != nil {
		return nil, s, fault.Wrap(fault.Invalid, err, "the authority gave no stamp")
	}
	if ts.Nonce == nil || ts.Nonce.Cmp(nonce) != 0 {
		return nil, s, fault.New(fault.Invalid, "the stamp answers another request")
	}
	s, err = Verify(ts.RawToken, content, roots)
	return ts.RawToken, s, err
}

var errMalformed = fault.New(fault.Invalid, "the stamp is malformed")

// malformed turns a panic of the libraries, which take strangers' bytes apart,
// into a refusal.
func malformed(panicked any, err error) error {
	if panicked != nil {
		return errMalformed
	}
	return err
}

// contentType is id-ct-TSTInfo.
var contentType = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}

// Verify checks a token over content.
func Verify(token, content []byte, roots *x509.CertPool) (s Stamp, err error) {
	defer func() { err = malformed(recover(), err) }()
	if len(token) > MaxAnswer || roots == nil {
		return s, errMalformed
	}
	ts, err := timestamp.Parse(token)
	if err != nil {
		return s, fault.Wrap(fault.Invalid, err, "the stamp is malformed or its signature does not match")
	}
	if sum := sha256.Sum256(content); ts.HashAlgorithm != crypto.SHA256 || !bytes.Equal(ts.HashedMessage, sum[:]) {
		return s, fault.New(fault.Invalid, "the stamp is of something else")
	}
	p, err := pkcs7.Parse(token)
	if err != nil {
		return s, fault.Wrap(fault.Invalid, err, "the stamp is malformed")
	}
	signer := p.GetOnlySigner()
	var is asn1.ObjectIdentifier
	if signer == nil || p.UnmarshalSignedAttribute(pkcs7.OIDAttributeContentType, &is) != nil || !is.Equal(contentType) {
		return s, fault.New(fault.Invalid, "what was signed is not a stamp of one signer")
	}
	if !slices.Equal(signer.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}) || len(signer.UnknownExtKeyUsage) > 0 {
		return s, fault.New(fault.Invalid, "the certificate of %s is not one for time stamps alone", Name(signer))
	}
	between := x509.NewCertPool()
	for _, c := range p.Certificates {
		between.AddCert(c)
	}
	if err := p.VerifyWithOpts(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: ts.Time, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	}); err != nil {
		return s, fault.Wrap(fault.Invalid, err, "the stamp is not of an authority that is trusted here")
	}
	return Stamp{ts.Time.UTC(), Name(signer)}, nil
}

// Name is a certificate's subject in one line of printable characters.
func Name(c *x509.Certificate) string {
	name := c.Subject.CommonName
	if name == "" {
		name = c.Subject.String()
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name[:min(len(name), 100)])
}

// Roots reads the certificates, in PEM, by which stamps are trusted.
func Roots(pem []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fault.New(fault.Invalid, "there is no certificate, in PEM, of a time-stamp authority")
	}
	return pool, nil
}
