package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
)

var now = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// made is a certificate with its key.
type made struct {
	*x509.Certificate
	key crypto.Signer
}

// issue makes a certificate; by is nil for one that signs itself.
func issue(t testing.TB, name string, by *made, change func(*x509.Certificate), key crypto.Signer) *made {
	t.Helper()
	if key == nil {
		key = ec(t, elliptic.P256())
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(90 * 24 * time.Hour),
		BasicConstraintsValid: true,
	}
	if strings.Contains(name, ".") {
		template.DNSNames = []string{name}
	} else {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	}
	if change != nil {
		change(template)
	}
	m := &made{template, key}
	if by == nil {
		by = m
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	if m.Certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return m
}

func ec(t testing.TB, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// small is an RSA key that is not worth its name.
var small = sync.OnceValue(func() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	return key
})

func chain(list ...*made) string {
	var out []*x509.Certificate
	for _, m := range list {
		out = append(out, m.Certificate)
	}
	return Encode(out)
}

func (m *made) private(t testing.TB) secret.Value {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(m.key)
	if err != nil {
		t.Fatal(err)
	}
	return secret.NewValue(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestParsePair(t *testing.T) {
	root := issue(t, "root", nil, nil, nil)
	middle := issue(t, "middle", root, nil, nil)
	leaf := issue(t, "www.example.org", middle, nil, nil)
	alone := issue(t, "www.example.org", nil, nil, nil)
	byName := issue(t, "old.example.org", nil, func(c *x509.Certificate) { c.DNSNames = nil }, nil)
	pasted := chain(leaf, middle) + string(leaf.private(t).Reveal())
	for name, c := range map[string]struct {
		text string
		of   *made
		n    int
	}{
		"alone": {chain(alone), alone, 1}, "with its issuer": {chain(leaf, middle), leaf, 2}, "to the root": {chain(leaf, middle, root), leaf, 3},
		"by its subject's name": {chain(byName), byName, 1}, "a key in the wrong field": {pasted, leaf, 2}, "words around it": {"leaf:\n" + chain(alone) + "end", alone, 1},
	} {
		p, err := ParsePair(c.text, c.of.private(t), now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(p.Chain) != c.n || !slices.Equal(p.Names, []string{c.of.Subject.CommonName}) || strings.Contains(Encode(p.Chain), "KEY") {
			t.Errorf("%s: %d certificates for %v", name, len(p.Chain), p.Names)
		}
	}
}

func TestParsePairRefuses(t *testing.T) {
	root := issue(t, "root", nil, nil, nil)
	middle := issue(t, "middle", root, nil, nil)
	leaf := issue(t, "www.example.org", middle, nil, nil)
	with := func(change func(*x509.Certificate)) *made { return issue(t, "www.example.org", root, change, nil) }
	of := func(key crypto.Signer) *made { return issue(t, "www.example.org", root, nil, key) }
	expired := issue(t, "middle", root, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }, middle.key)
	noCA := issue(t, "middle", root, func(c *x509.Certificate) { c.IsCA = false }, nil)
	locked := secret.NewValue(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}))
	long := make([]*made, maxLength+1)
	for i := range long {
		long[i] = leaf
	}
	over := with(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) })
	future := with(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) })
	nameless := with(func(c *x509.Certificate) { c.DNSNames, c.Subject = nil, pkix.Name{} })
	client := with(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	weak, odd := of(small()), of(ec(t, elliptic.P224()))
	for name, c := range map[string]struct {
		text  string
		key   secret.Value
		tells string
	}{
		"nothing":                {"", leaf.private(t), "no certificate"},
		"no certificate":         {string(leaf.private(t).Reveal()), leaf.private(t), "no certificate"},
		"no DER":                 {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", leaf.private(t), "number 1 cannot be read"},
		"another key":            {chain(leaf), root.private(t), "do not belong together"},
		"no key":                 {chain(leaf), secret.NewValue(nil), "do not belong together"},
		"a locked key":           {chain(leaf), locked, "openssl pkey"},
		"backwards":              {chain(middle, leaf), middle.private(t), "not in order"},
		"a link is missing":      {chain(leaf, root), leaf.private(t), "CN=root comes after that of CN=www.example.org"},
		"an issuer is no CA":     {chain(issue(t, "www.example.org", noCA, nil, nil), noCA), leaf.private(t), "not in order"},
		"expired":                {chain(over), over.private(t), "expired on 2026-03-02"},
		"an expired link":        {chain(leaf, expired), leaf.private(t), "CN=middle expired"},
		"of the future":          {chain(future), future.private(t), "not valid before 2026-03-02T13:00:00Z"},
		"RSA of 1024 bits":       {chain(weak), weak.private(t), "has 1024 bits"},
		"P-224":                  {chain(odd), odd.private(t), "P-224"},
		"for clients":            {chain(client), client.private(t), "serverAuth"},
		"for nobody":             {chain(nameless), nameless.private(t), "names 0 hosts"},
		"a chain without end":    {chain(long...), leaf.private(t), "more than 10"},
		"the chain for the key":  {chain(leaf), secret.NewValue([]byte(chain(leaf))), "do not belong together"},
		"garbage after the name": {chain(leaf)[:200], leaf.private(t), "no certificate"},
	} {
		if _, err := ParsePair(c.text, c.key, now); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), c.tells) {
			t.Errorf("%s: %v, want it to tell %q", name, err, c.tells)
		}
	}
	large := secret.NewValue(make([]byte, maxKey+1))
	for name, err := range map[string]error{
		"chain": second(ParsePair(strings.Repeat("x", maxChain+1), leaf.private(t), now)), "key": second(ParsePair(chain(leaf), large, now)),
	} {
		if fault.Of(err) != fault.TooLarge {
			t.Errorf("too large a %s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// Go signs nothing with SHA-1 any more, so the certificate says that it is.
func TestForgeableSignatures(t *testing.T) {
	root := issue(t, "root", nil, nil, nil)
	leaf := issue(t, "www.example.org", root, nil, nil)
	for _, algorithm := range []x509.SignatureAlgorithm{x509.SHA1WithRSA, x509.MD5WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA256, x509.UnknownSignatureAlgorithm} {
		old := *leaf.Certificate
		old.SignatureAlgorithm = algorithm
		if err := link([]*x509.Certificate{&old, root.Certificate}, 0); err == nil || !strings.Contains(err.Error(), "can be forged") {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
	old := *root.Certificate // whoever trusts it knows it
	old.SignatureAlgorithm = x509.SHA1WithRSA
	if err := link([]*x509.Certificate{leaf.Certificate, &old}, 1); err != nil {
		t.Errorf("a root's own signature: %v", err)
	}
}

func TestCovers(t *testing.T) {
	names := []string{"www.example.org", "*.wide.example.org"}
	for host, want := range map[string]bool{
		"www.example.org": true, "WWW.Example.org": true, "example.org": false, "a.wide.example.org": true, "wide.example.org": false,
		"a.b.wide.example.org": false, "*.wide.example.org": true, "*.example.org": false,
	} {
		if Covers(names, host) != want {
			t.Errorf("%s: want %v", host, want)
		}
	}
}

func TestVouched(t *testing.T) {
	root := issue(t, "root", nil, nil, nil)
	middle := issue(t, "middle", root, nil, nil)
	leaf := issue(t, "www.example.org", middle, nil, nil)
	roots := x509.NewCertPool()
	roots.AddCert(root.Certificate)
	for text, want := range map[string]bool{chain(leaf, middle): true, chain(leaf): false} {
		p, err := ParsePair(text, leaf.private(t), now)
		if err != nil {
			t.Fatal(err)
		}
		if p.Vouched(roots, now) != want || p.Vouched(x509.NewCertPool(), now) {
			t.Errorf("%d certificates: want %v", len(p.Chain), want)
		}
	}
}

func FuzzParsePair(f *testing.F) {
	root := issue(f, "root", nil, nil, nil)
	leaf := issue(f, "www.example.org", root, nil, nil)
	key := leaf.private(f)
	f.Add(chain(leaf, root), string(key.Reveal()))
	f.Add(chain(root, leaf), "")
	f.Add("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----")
	f.Fuzz(func(t *testing.T, text, private string) {
		p, err := ParsePair(text, secret.NewValue([]byte(private)), now)
		switch {
		case err == nil && (len(p.Chain) == 0 || len(p.Names) == 0 || !slices.Equal(names(p.Leaf), p.Names)):
			t.Errorf("%+v", p)
		case err != nil && fault.Of(err) != fault.Invalid && fault.Of(err) != fault.TooLarge:
			t.Errorf("%v", err)
		case err != nil && len(private) > 40 && strings.Contains(err.Error(), private):
			t.Error("the error tells the key")
		}
	})
}
