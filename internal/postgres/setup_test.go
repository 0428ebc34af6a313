package postgres

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/secret"
)

// silent is a server that takes a connection and says nothing; its streams are
// no net.Conn, as those of the engine are not.
type silent struct{}

func (silent) Dial(context.Context, string, int) (io.ReadWriteCloser, error) {
	ours, theirs := net.Pipe()
	go io.Copy(io.Discard, theirs) //nolint:errcheck // it ends with the connection
	return struct{ io.ReadWriteCloser }{ours}, nil
}

// TestConnectEndsWithItsContext does not wait for ever for a server that hangs.
func TestConnectEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := Connect(ctx, silent{}, &document.Addon{Name: "records"}, caPEM(t), "u", "d", secret.NewValue([]byte("x")))
		ended <- err
	}()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it connected to a server that said nothing")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for ever")
	}
}

// caPEM is a certificate authority's certificate.
func caPEM(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
