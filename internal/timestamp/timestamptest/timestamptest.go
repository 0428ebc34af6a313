// Package timestamptest is a time-stamp authority for tests: openssl ts, behind
// HTTP.
package timestamptest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/strongroom/strongroom/internal/timestamp"
)

// Authority stamps until the test ends.
type Authority struct {
	t    testing.TB
	dir  string
	URL  string
	CA   string      // file of its authority's certificate
	Away atomic.Bool // connections end without an answer

	one sync.Mutex // openssl counts serial numbers in a file
}

const config = `[tsa]
default_tsa = it
[it]
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
certs = ca.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
ordering = yes
tsa_name = yes
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[stamps]
extendedKeyUsage = critical,timeStamping
[req]
distinguished_name = name
[name]
`

// New makes an authority.
func New(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir()}
	a.CA = filepath.Join(a.dir, "ca.pem")
	a.write("config", config)
	a.write("serial", "01\n")
	key := []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "config"}
	a.openssl(append([]string{"req", "-x509", "-days", "2", "-subj", "/CN=Test CA", "-extensions", "ca", "-keyout", "ca.key", "-out", "ca.pem"}, key...)...)
	a.openssl(append([]string{"req", "-subj", "/CN=Test TSA", "-keyout", "tsa.key", "-out", "tsa.csr"}, key...)...)
	a.openssl("x509", "-req", "-days", "1", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "config", "-extensions", "stamps", "-out", "tsa.pem")
	server := httptest.NewServer(http.HandlerFunc(a.answer))
	t.Cleanup(server.Close)
	a.URL = server.URL
	return a
}

func (a *Authority) write(name, text string) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *Authority) openssl(args ...string) {
	a.t.Helper()
	c := exec.CommandContext(a.t.Context(), "openssl", args...)
	c.Dir = a.dir
	if out, err := c.CombinedOutput(); err != nil {
		a.t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
}

func (a *Authority) answer(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || a.Away.Load() || r.Header.Get("Content-Type") != timestamp.RequestType {
		panic(http.ErrAbortHandler)
	}
	der, err := a.Reply(body)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	rw.Header().Set("Content-Type", timestamp.AnswerType)
	_, _ = rw.Write(der)
}

// Reply answers a request.
func (a *Authority) Reply(request []byte) ([]byte, error) {
	a.one.Lock()
	defer a.one.Unlock()
	if err := os.WriteFile(filepath.Join(a.dir, "query"), request, 0o600); err != nil {
		return nil, err
	}
	c := exec.Command("openssl", "ts", "-reply", "-config", "config", "-section", "it", "-queryfile", "query", "-out", "reply")
	c.Dir = a.dir
	if err := c.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(a.dir, "reply"))
}
