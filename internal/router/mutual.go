package router

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net"
	"time"
)

// maxClientCert bounds the certificate of a client, which goes to the app as a
// header: app servers take 8 to 16 KB of all headers together.
const maxClientCert = 4 << 10

var (
	errNoClientCert    = errors.New("the client shows no certificate")
	errLargeClientCert = errors.New("the client's certificate is too large to be passed on")
)

// authorities are those of whom one must vouch for the clients of a host.
type authorities struct {
	pool   *x509.CertPool
	digest [sha256.Size]byte // of their text
}

// parseAuthorities reads them; nil if there are none.
func parseAuthorities(text string) (*authorities, error) {
	if text == "" {
		return nil, nil
	}
	a := &authorities{pool: x509.NewCertPool(), digest: sha256.Sum256([]byte(text))}
	found := false
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		a.pool.AddCert(c)
		found = true
	}
	if !found {
		return nil, errors.New("no authority")
	}
	return a, nil
}

// vouched is what a connection has proven of its client.
type vouched struct {
	by     [sha256.Size]byte // digest of the authorities
	until  time.Time         // the end of what was proven
	header string            // the certificate as RFC 9440 passes it on
}

// vouch proves a client's certificate, as crypto/tls would: it would not say of
// which host it refused whom.
func (a *authorities) vouch(shown []*x509.Certificate, now time.Time) (*vouched, error) {
	if len(shown) == 0 {
		return nil, errNoClientCert
	}
	if len(shown[0].Raw) > maxClientCert {
		return nil, errLargeClientCert
	}
	between := x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
	}
	chains, err := shown[0].Verify(x509.VerifyOptions{
		Roots: a.pool, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, err
	}
	v := &vouched{by: a.digest, until: chains[0][0].NotAfter, header: ":" + base64.StdEncoding.EncodeToString(shown[0].Raw) + ":"}
	for _, c := range chains[0] {
		if c.NotAfter.Before(v.until) {
			v.until = c.NotAfter
		}
	}
	return v, nil
}

// mutual is the configuration of one connection to a host that asks its clients
// for certificates. Nothing is resumed: a ticket would carry an old proof on.
func (r *router) mutual(h *host, conn net.Conn) *tls.Config {
	config := h.tls.Clone()
	config.ClientAuth, config.ClientCAs, config.SessionTicketsDisabled = tls.RequestClientCert, h.clients.pool, true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		proof, err := h.clients.vouch(state.PeerCertificates, time.Now())
		if err != nil {
			r.strangers.count(h.name, conn.RemoteAddr())
			return err
		}
		known, ok := conn.(*client)
		if !ok { // all connections come from clients.Accept
			return errors.New("the connection is not one of ours")
		}
		known.proof.Store(proof)
		return nil
	}
	return config
}

// admits tells whether a connection has proven what the host asks for now: the
// snapshot may have changed since, and a certificate may be over.
func (h *host) admits(proof *vouched, now time.Time) bool {
	return h.clients == nil || proof != nil && proof.by == h.clients.digest && now.Before(proof.until)
}

type clientKey struct{}

// withClient lets requests find the connection that they came by.
func withClient(ctx context.Context, conn net.Conn) context.Context {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	return context.WithValue(ctx, clientKey{}, conn)
}

// proofOf is what the request's connection has proven, nil if nothing.
func proofOf(ctx context.Context) *vouched {
	if c, ok := ctx.Value(clientKey{}).(*client); ok {
		return c.proof.Load()
	}
	return nil
}
