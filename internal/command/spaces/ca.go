package spaces

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

// caLife is how long a space's certificate authority lasts.
const caLife = 10 * 365 * 24 * time.Hour

// newCA makes the certificate authority of one space. It signs the names that
// no public authority would: default domains on a private network, databases.
func newCA(space string, now time.Time) (certPEM string, key secret.Value, err error) {
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", secret.Value{}, fmt.Errorf("make the space's CA: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return "", secret.Value{}, fmt.Errorf("make the space's CA: %w", err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Strongroom space " + space},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, priv.Public(), priv)
	if err != nil {
		return "", secret.Value{}, fmt.Errorf("make the space's CA: %w", err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		return "", secret.Value{}, fmt.Errorf("make the space's CA: %w", err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return string(cert), secret.NewValue(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})), nil
}

// Issue signs a server certificate for names with a space's CA.
func Issue(caPEM string, caKey secret.Value, names []string, life time.Duration, now time.Time) (certPEM string, key secret.Value, err error) {
	ca, caPriv, err := parseCA(caPEM, caKey)
	if err != nil {
		return "", secret.Value{}, err
	}
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", secret.Value{}, fmt.Errorf("issue certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return "", secret.Value{}, fmt.Errorf("issue certificate: %w", err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca, priv.Public(), caPriv)
	if err != nil {
		return "", secret.Value{}, fmt.Errorf("issue certificate: %w", err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		return "", secret.Value{}, fmt.Errorf("issue certificate: %w", err)
	}
	chain := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + caPEM
	return chain, secret.NewValue(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})), nil
}

func parseCA(caPEM string, caKey secret.Value) (*x509.Certificate, any, error) {
	c, _ := pem.Decode([]byte(caPEM))
	k, _ := pem.Decode(caKey.Reveal())
	if c == nil || k == nil {
		return nil, nil, fmt.Errorf("the space's CA cannot be read")
	}
	cert, err := x509.ParseCertificate(c.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("the space's CA: %w", err)
	}
	priv, err := x509.ParsePKCS8PrivateKey(k.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("the key of the space's CA: %w", err)
	}
	return cert, priv, nil
}
