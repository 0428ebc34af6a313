package router

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"
)

// authority signs the certificates of clients.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	text string // PEM
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	certificate, key := pair(t, name)
	parsed, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, parsed.Leaf, parsed.PrivateKey.(*ecdsa.PrivateKey), certificate}
}

// client makes a client's certificate.
func (a *authority) client(change func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(5), Subject: pkix.Name{CommonName: "laboratory"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// shows makes a TLS client show a certificate, whatever the server asks for.
func shows(certificate tls.Certificate) func(*tls.Config) {
	return func(c *tls.Config) {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
	}
}

// mutualRig serves lab.example.org to clients of an authority, open.example.org to
// all, and gives what apps are told.
func mutualRig(t *testing.T) (*rig, *authority, []Host, chan http.Header) {
	t.Helper()
	r, a := newRig(t, nil), newAuthority(t, "partners")
	seen := make(chan http.Header, 10)
	b := backendOf(t, "web.1", func(_ http.ResponseWriter, req *http.Request) { seen <- req.Header })
	hosts := []Host{r.host("lab.example.org", b), r.host("open.example.org", b)}
	hosts[0].Clients = a.text
	r.push(hosts...)
	return r, a, hosts, seen
}

func TestClientCertificates(t *testing.T) {
	r, a, _, seen := mutualRig(t)
	other := newAuthority(t, "partners") // of the same name
	good := a.client(nil)
	tests := []struct {
		name   string
		client func(*tls.Config)
		ok     bool
	}{
		{"none", nil, false},
		{"by the authority", shows(good), true},
		{"by another", shows(other.client(nil)), false},
		{"by nobody", shows(tls.Certificate{Certificate: [][]byte{other.cert.Raw}, PrivateKey: other.key}), false},
		{"expired", shows(a.client(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })), false},
		{"for servers", shows(a.client(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })), false},
		{"too large for a header", shows(a.client(func(c *x509.Certificate) { c.DNSNames = []string{strings.Repeat("a.", 2100) + "org"} })), false},
	}
	refused := uint64(0)
	for _, test := range tests {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			client := r.http(1, func(c *tls.Config) {
				c.MaxVersion = version
				if test.client != nil {
					test.client(c)
				}
			})
			response, err := client.Get("https://lab.example.org/")
			if test.ok != (err == nil) {
				t.Errorf("%s, %s: %v", test.name, tls.VersionName(version), err)
			}
			if err != nil {
				refused++
				continue
			}
			body(t, response)
			if got := <-seen; got.Get("Client-Cert") != ":"+base64.StdEncoding.EncodeToString(good.Certificate[0])+":" {
				t.Errorf("%s, %s: the app is told %q", test.name, tls.VersionName(version), got.Get("Client-Cert"))
			}
		}
	}
	if len(seen) > 0 {
		t.Error("a request of a refused client reached the app")
	}
	s := r.status().Strangers
	if len(s) != 1 || s[0].Host != "lab.example.org" || s[0].Count != refused || s[0].From != "127.0.0.1" || time.Since(s[0].Last) > time.Minute {
		t.Errorf("counted %+v, want %d", s, refused)
	}
}

// TestClientCertIsNotForged: what a client writes into the header never arrives,
// in no spelling that an app server would take for it.
func TestClientCertIsNotForged(t *testing.T) {
	r, a, _, seen := mutualRig(t)
	good := a.client(nil)
	for url, want := range map[string]string{
		"https://open.example.org/": "", "https://lab.example.org/": ":" + base64.StdEncoding.EncodeToString(good.Certificate[0]) + ":",
	} {
		for _, protocol := range []int{1, 2} {
			request, err := http.NewRequest(http.MethodGet, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"Client-Cert", "Client_Cert", "client_cert", "Client-Cert-Chain", "Client_Cert-Chain"} {
				request.Header[name] = []string{":Zm9yZ2Vk:", ":YWdhaW4=:"}
			}
			if protocol == 1 {
				request.Header.Set("Connection", "Client-Cert")
			}
			response, err := r.http(protocol, shows(good)).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body(t, response)
			for name, values := range <-seen {
				if got := strings.Join(values, "|"); strings.HasPrefix(strings.ToLower(strings.ReplaceAll(name, "_", "-")), "client-cert") && got != want {
					t.Errorf("%s over HTTP/%d: %s is %q, want %q", url, protocol, name, got, want)
				}
			}
		}
	}
}

// TestTicketsProveNothing: a session of the one host is none of the other.
func TestTicketsProveNothing(t *testing.T) {
	r, a, _, seen := mutualRig(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cache := tls.NewLRUClientSessionCache(10)
		good := a.client(nil)
		connect := func(name string, with bool) error {
			client := r.http(1, func(c *tls.Config) {
				c.ClientSessionCache, c.MaxVersion = oneSession{cache}, version
				if with {
					shows(good)(c)
				}
			})
			response, err := client.Get("https://" + name + "/")
			if err == nil {
				body(t, response)
				<-seen
			}
			client.CloseIdleConnections()
			return err
		}
		for _, before := range []string{"open.example.org", "lab.example.org"} {
			if err := connect(before, true); err != nil {
				t.Fatal(err)
			}
			if err := connect("lab.example.org", false); err == nil {
				t.Errorf("%s: a session with %s is resumed without a certificate", tls.VersionName(version), before)
			}
		}
	}
}

// oneSession gives every server the same session.
type oneSession struct{ tls.ClientSessionCache }

func (s oneSession) Get(string) (*tls.ClientSessionState, bool) { return s.ClientSessionCache.Get("") }

func (s oneSession) Put(_ string, state *tls.ClientSessionState) {
	s.ClientSessionCache.Put("", state)
}

// TestProofEnds: a connection that is open proves what was asked for when it was
// made.
func TestProofEnds(t *testing.T) {
	r, a, hosts, seen := mutualRig(t)
	client := r.http(2, shows(a.client(nil)))
	status := func(url string) int {
		t.Helper()
		code, _ := get(t, client, url)
		if code == http.StatusOK {
			<-seen
		}
		return code
	}
	for _, url := range []string{"https://lab.example.org/", "https://open.example.org/"} {
		if got := status(url); got != http.StatusOK {
			t.Fatalf("%s: %d", url, got)
		}
	}
	hosts[0].Clients, hosts[1].Clients = newAuthority(t, "others").text, a.text
	r.push(hosts...)
	for _, url := range []string{"https://lab.example.org/", "https://open.example.org/"} {
		if got := status(url); got != http.StatusMisdirectedRequest {
			t.Errorf("%s by an old connection: %d", url, got)
		}
	}
	if _, err := client.Get("https://lab.example.org/"); err == nil {
		t.Error("the old authority is good for a new connection")
	}
	if got := status("https://open.example.org/"); got != http.StatusOK {
		t.Errorf("a new connection with a certificate: %d", got)
	}

	h := &host{terms: &terms{clients: &authorities{}}}
	end := time.Now()
	if proof := (&vouched{until: end}); !h.admits(proof, end.Add(-time.Second)) || h.admits(proof, end) || h.admits(nil, end) {
		t.Error("a certificate that is over is good for an open connection, or another is not")
	}
}

func TestAuthoritiesAreRead(t *testing.T) {
	certificate, key := pair(t, "a.example.org")
	for text, want := range map[string]bool{
		"": true, certificate: true, certificate + certificate: true, "words": false, key: false,
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})): false,
	} {
		_, err := compile(Snapshot{Hosts: []Host{{Name: "a.example.org", Certificate: certificate, Key: key, Clients: text}}}, nil, nil)
		if (err == nil) != want || err != nil && strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}
