//go:build integration

// Package heroku runs the real heroku CLI against the API: each command that a
// team uses, with what it prints and what the ledger has of it.
//
// The CLI is an npm package. STRONGROOM_HEROKU names its executable; the default
// is build/heroku/node_modules/.bin/heroku in the repository. Without it the
// tests fail.
package heroku

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/view"
	"github.com/strongroom/strongroom/tests/commands"
)

// host is a served world, and the environment of a CLI that uses it.
type host struct {
	*commandtest.World
	t      *testing.T
	url    string
	origin string // host:port
	home   string // of the CLI's user
	ca     string
	who    string // whose token the CLI has
	extra  string // set in the CLI's environment besides
	seen   int64
}

// ran is what the tests of this package ran.
var ran commands.Record

// TestMain fails where a promised command was not run.
func TestMain(m *testing.M) { ran.Main(m, func(c commands.Command) string { return c.Contract }) }

// program finds the CLI.
func program(t *testing.T) string {
	t.Helper()
	p := os.Getenv("STRONGROOM_HEROKU")
	if p == "" {
		p = filepath.Join("..", "..", "build", "heroku", "node_modules", ".bin", "heroku")
	}
	p, err := filepath.Abs(p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p); err != nil {
		t.Fatalf("the heroku CLI is not there: %v. Install it (npm install --prefix build/heroku heroku), or set STRONGROOM_HEROKU.", err)
	}
	return p
}

// newHost serves a world on localhost over TLS.
func newHost(t *testing.T) *host {
	t.Helper()
	program(t)
	w := commandtest.New(t, time.Time{})
	h := &host{World: w, t: t, home: t.TempDir(), who: "owner"}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	h.origin = "localhost:" + port
	h.url = "https://" + h.origin
	handler, err := api.New(api.Config{
		Store: w.Store, Kernel: w.Kernel, Blobs: w.Blobs, Domain: "apps.localhost", Version: "test",
		Site:      view.Site{API: h.url, Git: h.url, Region: "virginia", Since: time.Now()},
		Terminals: parts{h.url}, Bastion: parts{h.url}, Logs: parts{h.url}, Network: parts{h.url},
		LogStream: http.HandlerFunc(logStream), Log: slog.New(slog.NewTextHandler(testLog{t}, nil)), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(handler)
	s.Listener.Close()
	s.Listener = l
	s.TLS = &tls.Config{Certificates: []tls.Certificate{h.certificate()}}
	s.StartTLS()
	t.Cleanup(s.Close)
	h.seen = h.size()
	return h
}

// testLog shows the server's log with the test's.
type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("server: %s", bytes.TrimSpace(p))
	return len(p), nil
}

// parts stand in for the engine's side of the API.
type parts struct{ url string }

func (parts) Offer(context.Context, control.By, api.Terminal) (string, error) {
	return "rendezvous://localhost:1/none", nil
}

func (parts) Admit(context.Context, control.By, *document.Addon) (string, secret.Value, error) {
	return "127.0.0.1", secret.NewValue([]byte("none")), nil
}

func (p parts) Open(_ context.Context, _ control.By, q api.LogQuery) (string, error) {
	return p.url + "/log-streams/x?" + url.Values{"app": {q.App.Name}, "dyno": {q.Dyno}}.Encode(), nil
}

func (parts) HostAddresses() ([]netip.Addr, error) { return nil, nil }

func (parts) Egress(context.Context, string) ([]string, error) { return []string{"192.0.2.7"}, nil }

func (parts) Disk(context.Context, string) (used, size int64, err error) {
	return 1 << 30, 2 << 30, nil
}

func (parts) Stats(context.Context, *document.Addon) (view.DatabaseStats, error) {
	return view.DatabaseStats{Bytes: 7 << 20, Tables: 3, Connections: 2}, nil
}

// logStream serves one line as the real one does.
func logStream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	io.WriteString(w, "id: 1\ndata: 2026-03-02T12:00:00.000000+00:00 app["+r.URL.Query().Get("dyno")+"]: hello from "+r.URL.Query().Get("app")+"\n\n")
}

// certificate is for localhost, signed by itself and trusted by the CLI alone.
func (h *host) certificate() tls.Certificate {
	h.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	chain, der := h.selfSigned(key, "localhost", time.Now().Add(90*24*time.Hour))
	h.ca = filepath.Join(h.home, "ca.pem")
	h.write("ca.pem", chain)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (h *host) selfSigned(key *ecdsa.PrivateKey, name string, until time.Time) (pemText string, der []byte) {
	h.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), der
}

// pair writes a certificate and its key and gives their files.
func (h *host) pair(name string) (cert, key string) {
	h.t.Helper()
	return h.pairUntil(name, time.Now().Add(90*24*time.Hour))
}

func (h *host) pairUntil(name string, until time.Time) (cert, key string) {
	h.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		h.t.Fatal(err)
	}
	chain, _ := h.selfSigned(k, name, until)
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	n := filepath.Base(name) + "." + rand.Text()[:6]
	return h.write(n+".crt", chain), h.write(n+".key", private)
}

// write makes a file in the user's home and gives its path.
func (h *host) write(name, content string) string {
	h.t.Helper()
	path := filepath.Join(h.home, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return path
}

func (h *host) size() int64 {
	head, err := h.Store.Head(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return head.Size
}

// env is what a person's shell has, with every variable that keeps the CLI
// from talking to Heroku. HEROKU_DATA_HOST takes a name without a port; the port
// is that of HEROKU_HOST.
func (h *host) env() []string {
	env := []string{
		"PATH=" + filepath.Dir(program(h.t)) + ":" + os.Getenv("PATH"), "HOME=" + h.home, "LANG=C.UTF-8", "TERM=dumb", "TZ=UTC", "NO_COLOR=1", "FORCE_COLOR=0",
		"HEROKU_HOST=" + h.url, "HEROKU_DATA_HOST=localhost", "HEROKU_GIT_HOST=" + h.origin, "HEROKU_PARTICLEBOARD_URL=" + h.url,
		"HEROKU_LOGIN_HOST=" + h.url, "HEROKU_BUILDPACK_REGISTRY_URL=" + h.url, "DISABLE_TELEMETRY=true", "HEROKU_SKIP_NEW_VERSION_CHECK=true", "NODE_EXTRA_CA_CERTS=" + h.ca,
	}
	if h.who != "" {
		env = append(env, "HEROKU_API_KEY="+h.Tokens[h.who])
	}
	if h.extra != "" {
		env = append(env, h.extra)
	}
	return env
}

// as makes the CLI another person's.
func (h *host) as(who string) *host {
	other := *h
	other.who = who
	return &other
}

// with makes the CLI one in whose environment something more is set.
func (h *host) with(variable string) *host {
	other := *h
	other.extra = variable
	return &other
}

// result is what a command did.
type result struct {
	h              *host
	command        string
	stdout, stderr string
	code           int
}

// run runs a command line of the CLI.
func (h *host) run(args ...string) *result {
	h.t.Helper()
	return h.runIn(h.home, args...)
}

func (h *host) runIn(dir string, args ...string) *result {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(h.t), args...)
	cmd.Env, cmd.Dir = h.env(), dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	r := &result{h: h, command: "heroku " + strings.Join(args, " "), stdout: clean(stdout.String()), stderr: clean(stderr.String())}
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed):
		r.code = failed.ExitCode()
	case err != nil:
		h.t.Fatalf("%s: %v", r.command, err)
	default:
		ran.Succeeded(h.t.Name(), args)
	}
	return r
}

var (
	wrapped = regexp.MustCompile(`\s*\n › +`)
	escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)
	blanks  = regexp.MustCompile(`[ \t]+`)
)

// clean drops what only a terminal shows, and joins lines that were wrapped.
func clean(s string) string {
	s = wrapped.ReplaceAllString(escapes.ReplaceAllString(s, ""), " ")
	return blanks.ReplaceAllString(strings.ReplaceAll(s, "⬢ ", ""), " ")
}

// ok requires success, and that stdout or stderr holds each of the texts.
func (r *result) ok(texts ...string) *result {
	r.h.t.Helper()
	if r.code != 0 {
		r.h.t.Errorf("%s: exit code %d\nstdout: %s\nstderr: %s", r.command, r.code, r.stdout, r.stderr)
	}
	return r.has(texts...)
}

// fails requires an error with each of the texts.
func (r *result) fails(texts ...string) *result {
	r.h.t.Helper()
	if r.code == 0 {
		r.h.t.Errorf("%s: succeeded\nstdout: %s\nstderr: %s", r.command, r.stdout, r.stderr)
	}
	return r.has(texts...)
}

func (r *result) has(texts ...string) *result {
	r.h.t.Helper()
	for _, s := range texts {
		if !strings.Contains(r.stdout, s) && !strings.Contains(r.stderr, s) {
			r.h.t.Errorf("%s: no %q\nstdout: %s\nstderr: %s", r.command, s, r.stdout, r.stderr)
		}
	}
	return r
}

// lacks requires that neither stream holds any of the texts.
func (r *result) lacks(texts ...string) *result {
	r.h.t.Helper()
	for _, s := range texts {
		if strings.Contains(r.stdout, s) || strings.Contains(r.stderr, s) {
			r.h.t.Errorf("%s: has %q\nstdout: %s\nstderr: %s", r.command, s, r.stdout, r.stderr)
		}
	}
	return r
}

// recorded requires that the ledger got, since the last look, exactly these
// entries: "dev app.create ok".
func (h *host) recorded(want ...string) {
	h.t.Helper()
	list, err := h.Store.Entries(h.t.Context(), store.Query{FromSeq: h.seen, Limit: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	h.seen = h.size()
	var got []string
	for _, e := range list {
		b, err := ledger.ParseBody(e.Body)
		if err != nil {
			h.t.Fatal(err)
		}
		who := strings.TrimSuffix(b.Actor.Email, "@example.org")
		if who == "" {
			who = string(b.Actor.Kind)
		}
		got = append(got, who+" "+b.Action+" "+string(b.Outcome))
		if b.Actor.Kind == ledger.AccountActor && !strings.Contains(b.Actor.UserAgent, "heroku") {
			h.t.Errorf("%s: the entry's user agent is %q", b.Action, b.Actor.UserAgent)
		}
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		h.t.Errorf("the ledger has\n%s\nwant\n%s", g, w)
	}
}
