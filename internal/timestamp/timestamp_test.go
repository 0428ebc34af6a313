package timestamp_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tsp "github.com/digitorus/timestamp"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/timestamp"
	"github.com/strongroom/strongroom/internal/timestamp/timestamptest"
)

var content = []byte("strongroom/5f0c2c1e-8a54-4d55-9f6f-3d0a4c1d7b11/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")

func roots(t testing.TB, a *timestamptest.Authority) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(a.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := timestamp.Roots(pem)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// asked has the authority stamp the content.
func asked(t testing.TB, a *timestamptest.Authority) (answer []byte, nonce *big.Int) {
	t.Helper()
	request, nonce, err := timestamp.Request(content)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err = a.Reply(request); err != nil {
		t.Fatal(err)
	}
	return answer, nonce
}

func TestStamp(t *testing.T) {
	a := timestamptest.New(t)
	answer, nonce := asked(t, a)
	token, s, err := timestamp.Answer(answer, content, nonce, roots(t, a))
	if err != nil || s.By != "Test TSA" || time.Since(s.At) > time.Minute || time.Since(s.At) < -time.Minute {
		t.Fatalf("%+v, %v", s, err)
	}
	if again, err := timestamp.Verify(token, content, roots(t, a)); err != nil || again != s {
		t.Errorf("%+v, %v", again, err)
	}
	openssl(t, a, token)

	other := timestamptest.New(t)
	refused := func(name, says string, err error) {
		t.Helper()
		if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
	_, _, err = timestamp.Answer(answer, content, new(big.Int).Add(nonce, big.NewInt(1)), roots(t, a))
	refused("another request's answer", "another request", err)
	_, err = timestamp.Verify(token, content[1:], roots(t, a))
	refused("other content", "something else", err)
	_, err = timestamp.Verify(token, content, roots(t, other))
	refused("another authority", "trusted here", err)
	_, err = timestamp.Verify(token, content, x509.NewCertPool())
	refused("no authority", "trusted here", err)
	_, err = timestamp.Verify(token, content, nil)
	refused("no certificates", "malformed", err)
	_, err = timestamp.Verify(answer, content, roots(t, a))
	refused("an answer for a token", "malformed", err)
	_, err = timestamp.Verify(append(bytes.Clone(token), make([]byte, timestamp.MaxAnswer)...), content, roots(t, a))
	refused("without end", "malformed", err)
	_, _, err = timestamp.Answer([]byte{0x30, 5, 0x30, 3, 2, 1, 2}, content, nonce, roots(t, a))
	refused("a rejection", "gave no stamp", err)
	if _, err := timestamp.Roots([]byte("none")); fault.Of(err) != fault.Invalid {
		t.Errorf("roots of nothing: %v", err)
	}
	for i := range token {
		bad := bytes.Clone(token)
		bad[i] ^= 0x40
		if got, err := timestamp.Verify(bad, content, roots(t, a)); err == nil && got != s {
			t.Errorf("with byte %d altered it says %+v", i, got)
		}
	}
}

// openssl verifies a token as the how-to tells people to.
func openssl(t *testing.T, a *timestamptest.Authority, token []byte) {
	t.Helper()
	dir := t.TempDir()
	for name, b := range map[string][]byte{"token": token, "text": content} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.CommandContext(t.Context(), "openssl", "ts", "-verify", "-token_in", "-in", "token", "-data", "text", "-CAfile", a.CA)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("openssl: %v\n%s", err, out)
	}
}

// TestOtherUse: a certificate that is for anything else, too, is none for stamps.
func TestOtherUse(t *testing.T) {
	for name, c := range map[string]struct {
		uses []x509.ExtKeyUsage
		ok   bool
	}{
		"stamps alone": {[]x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}, true},
		"programs too": {[]x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping, x509.ExtKeyUsageCodeSigning}, false},
		"everything":   {[]x509.ExtKeyUsage{x509.ExtKeyUsageAny}, false},
		"not said":     {nil, false},
	} {
		token, pool := selfMade(t, c.uses)
		if _, err := timestamp.Verify(token, content, pool); (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "for time stamps alone") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// selfMade is a stamp by an authority whose certificate is for those uses.
func selfMade(t *testing.T, uses []x509.ExtKeyUsage) ([]byte, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), ExtKeyUsage: uses,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	stamp := &tsp.Timestamp{HashAlgorithm: crypto.SHA256, HashedMessage: sum[:], Time: now, Policy: asn1.ObjectIdentifier{1, 2, 3}, AddTSACertificate: true}
	answer, err := stamp.CreateResponseWithOpts(cert, key, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := tsp.ParseResponse(answer)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return parsed.RawToken, pool
}

// TestNested: nothing that fits into a token takes long to refuse.
func TestNested(t *testing.T) {
	for name, b := range map[string][]byte{
		"without lengths": bytes.Repeat([]byte{0x30, 0x80}, timestamp.MaxAnswer/2),
		"empty":           append([]byte{0x30, 0x80}, bytes.Repeat([]byte{0x30, 0}, timestamp.MaxAnswer/2-2)...),
		"closed":          append(bytes.Repeat([]byte{0x30, 0x80}, timestamp.MaxAnswer/4), make([]byte, timestamp.MaxAnswer/2)...),
		"nested strings":  append(bytes.Repeat([]byte{0x24, 0x80}, timestamp.MaxAnswer/4), make([]byte, timestamp.MaxAnswer/2)...),
	} {
		began := time.Now()
		if _, err := timestamp.Verify(b, content, x509.NewCertPool()); err == nil {
			t.Errorf("%s: taken", name)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: refused after %s", name, took)
		}
	}
}

func FuzzVerify(f *testing.F) {
	a := timestamptest.New(f)
	pool := roots(f, a)
	answer, nonce := asked(f, a)
	token, s, err := timestamp.Answer(answer, content, nonce, pool)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add(answer)
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := timestamp.Verify(b, content, pool); err == nil && got != s {
			t.Fatalf("%x says %+v", b, got)
		}
		_, _, _ = timestamp.Answer(b, content, nonce, pool)
	})
}
