package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/compliance/state"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/view"
)

// world is commandtest's with the API over it.
type world struct {
	*commandtest.World
	t       *testing.T
	handler http.Handler
	signed  *control.Checkpoints
	logKey  note.Verifier
	checks  *compliance.Engine
	vars    map[string]string // what requests may name as ${…}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: commandtest.New(t, commandtest.Noon), t: t}
	w.vars = w.IDs
	for name, a := range w.Accounts {
		w.vars["account:"+name] = a.ID
	}
	w.vars["credential"] = view.BuiltIn("credential", w.vars["addon"]+"/default")
	w.certificate()
	programme := testProgramme(t)
	w.checks = compliance.New(compliance.Config{Store: w.Store, Kernel: w.Kernel, Programme: programme, Log: slog.New(slog.DiscardHandler), Now: w.Now})
	w.signed, w.logKey = w.World.Checkpoints(filepath.Join(w.Dir, "anchor"))
	w.serve(Config{
		Programme: programme,
		Blobs:     w.Blobs, Domain: "apps.localhost", Version: "test",
		Site:      view.Site{API: "https://api.localhost", Git: "https://git.localhost", Region: "virginia", Since: commandtest.Noon},
		Terminals: parts{}, Bastion: parts{}, Logs: parts{}, Evidence: parts{}, Network: parts{}, Probes: parts{}, Checkpoints: w.signed,
		Git: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "git "+r.URL.Path) }),
	})
	return w
}

// serve puts another API over the world.
func (w *world) serve(c Config) {
	w.t.Helper()
	c.Store, c.Kernel, c.Now = w.Store, w.Kernel, w.Now
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Site.API == "" {
		c.Site.API = "https://api.localhost"
	}
	var err error
	if w.handler, err = New(c); err != nil {
		w.t.Fatal(err)
	}
}

// testProgramme is three controls: one with a check, one with reports, and one
// that nothing proves yet.
func testProgramme(t *testing.T) *compliance.Programme {
	t.Helper()
	maps := []compliance.Mapping{{Framework: "soc2", To: "CC6.1", Extent: "partial"}}
	p, err := compliance.Join(&compliance.Catalogue{
		Digest:     "sha256:" + strings.Repeat("c", 64),
		Frameworks: []*compliance.Framework{{ID: "soc2"}, {ID: "hipaa-security"}},
		Controls: []*compliance.Control{
			{ID: "access.reads", Title: "Reads are on record", Severity: "high", Proof: compliance.Proof{Reports: []string{"access-events"}}},
			{ID: "network.fence", Title: "Nothing gets over the fence", Severity: "low", Proof: compliance.Proof{
				Checks: []string{"state.trusted-ips"}, Planned: []string{"attempt.fence"}, Missing: "Nobody has tried.",
			}},
			{
				ID: "network.sources", Title: "Shield spaces are not open to everybody", Statement: "A shield space takes connections from networks that somebody named.",
				Why: "Who may come near need not be kept out.", Severity: "medium", Responsible: map[string]string{"organisation": "Names its networks."},
				Settings: []string{"heroku spaces:trusted-ips"}, Proof: compliance.Proof{Checks: []string{"state.trusted-ips"}},
				Every: "at each change", Failure: "Everybody can knock.", Remediation: "Take the rule away.", Depends: []string{"access.reads"}, Maps: maps,
			},
		},
	}, slices.DeleteFunc(state.All(), func(c *compliance.Check) bool { return c.ID != "state.trusted-ips" }))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// parts stand in for what other packages do for the API.
type parts struct{}

func (parts) Offer(_ context.Context, _ control.By, t Terminal) (string, error) {
	return "rendezvous://localhost:5444/secret-of-" + t.Dyno.Name, nil
}

func (parts) Attack(context.Context, string) error { return nil }

func (parts) Admit(_ context.Context, by control.By, a *document.Addon) (string, secret.Value, error) {
	return "bastion.localhost", secret.NewValue([]byte("key for " + by.Actor.Email + " to " + a.Service)), nil
}

func (parts) Open(_ context.Context, _ control.By, q LogQuery) (string, error) {
	return "https://api.localhost/log-streams/of-" + q.App.Name + "-" + q.Dyno, nil
}

func (parts) Export(_ context.Context, _ control.By, x Export, begin func(string) io.Writer) error {
	text := "pack of " + x.Space + " from " + x.From.Format(time.DateOnly) + " to " + x.To.Format(time.DateOnly)
	if len(x.Since) > 0 {
		text += " since " + string(x.Since)
	}
	_, err := io.WriteString(begin("evidence.zip"), text)
	return err
}

func (parts) HostAddresses() ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("192.0.2.7")}, nil
}
func (parts) Egress(context.Context, string) ([]string, error) { return []string{"192.0.2.7"}, nil }

func (parts) Disk(context.Context, string) (used, size int64, err error) {
	return 1 << 30, 2 << 30, nil
}

func (parts) Stats(context.Context, *document.Addon) (view.DatabaseStats, error) {
	return view.DatabaseStats{Bytes: 7 << 20, Tables: 3, Connections: 2}, nil
}

// certificate makes a certificate and key for www.example.org, and an authority,
// as they are written in JSON.
func (w *world) certificate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "www.example.org"}, DNSNames: []string{"www.example.org"},
		NotBefore: commandtest.Noon.Add(-time.Hour), NotAfter: commandtest.Noon.Add(90 * 24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	template.Subject.CommonName, template.DNSNames, template.IsCA, template.BasicConstraintsValid = "partners", nil, true, true
	authority, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: cert}, "ca": {Type: "CERTIFICATE", Bytes: authority}, "key": {Type: "PRIVATE KEY", Bytes: der}} {
		w.vars["pem:"+name] = strings.ReplaceAll(string(pem.EncodeToMemory(block)), "\n", `\n`)
	}
}
