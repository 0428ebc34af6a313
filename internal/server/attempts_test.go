package server

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver/memory"
)

// served runs the API of a world on its own listener until the test ends.
func served(t *testing.T) (*commandtest.World, *parts) {
	t.Helper()
	w := commandtest.New(t, time.Time{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &parts{
		cfg:   Config{Data: t.TempDir(), API: l.Addr().String(), Rendezvous: "127.0.0.1:1", EdgeHTTPS: "0.0.0.0:443", EdgeHTTP: "0.0.0.0:80"},
		store: w.Store, kernel: w.Kernel, log: slog.New(slog.DiscardHandler), deploys: &deploys{}, driver: memory.New(memory.Config{}),
		installation: commandtest.Get[*document.Installation](w, w.IDs["installation"]),
	}
	if err := p.cfg.defaults(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(p.cfg.tlsPath("x")), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := makeCertificate(p.cfg); err != nil {
		t.Fatal(err)
	}
	if p.programme, err = newProgramme(p.reach(), ""); err != nil {
		t.Fatal(err)
	}
	handler, err := p.handler(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	tlsConfig, err := p.tls()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serveHTTP(ctx, handler, tlsConfig, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w, p
}

// TestAttemptsAtOwnAPI: over the server's own listener all is refused that has to
// be, and the doors of spaces that are not there are unknown.
func TestAttemptsAtOwnAPI(t *testing.T) {
	w, p := served(t)
	for id, subject := range map[string]string{
		"attempt.revoked-token": "", "attempt.suspended-account": "", "attempt.member-forbidden": "", "attempt.self-approval": "",
		"attempt.stranger": w.IDs["team:care"], "attempt.refusal-on-record": "", "attempt.plaintext": "api", "attempt.tls-version": "api",
	} {
		if id == "attempt.plaintext" || id == "attempt.tls-version" {
			p.cfg.EdgeHTTPS, p.cfg.EdgeHTTP = "", "" // what listens on this host's ports is none of the test's
		}
		results, err := p.programme.Check(id).Try(t.Context())
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		i := slices.IndexFunc(results, func(r compliance.Result) bool { return r.Subject == subject })
		if i < 0 || results[i].Status != document.StatusPass {
			t.Errorf("%s: %+v", id, results)
		}
	}
	// Only this server is told tokens.
	p.certificate = []byte("another's")
	p.programme, _ = newProgramme(p.reach(), "")
	if results, err := p.programme.Check("attempt.revoked-token").Try(t.Context()); err == nil || !strings.Contains(err.Error(), "somebody else answers") {
		t.Errorf("%+v, %v", results, err)
	}
}

// TestDoors: all that has to speak TLS, and whose it is.
func TestDoors(t *testing.T) {
	w, p := served(t)
	doors, err := p.doors(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ward, attic := w.IDs["space:ward"], w.IDs["space:attic"]
	want := map[string]string{
		"+api": "localhost", "+terminals": "localhost", ward + "+" + ward: "clinic.apps.localhost", ward + "+http": "clinic.apps.localhost",
		attic + "+" + attic: "other.apps.localhost", attic + "+http": "other.apps.localhost", ward + "+" + w.IDs["addon"]: "",
	}
	for _, d := range doors {
		host, ok := want[d.Scope+"+"+d.Subject]
		if !ok || host != d.Host || d.Redirects != (d.Subject == "http") || d.Database != (d.Subject == w.IDs["addon"]) {
			t.Errorf("%+v, want one to %q", d, host)
		}
		delete(want, d.Scope+"+"+d.Subject)
	}
	if len(want) > 0 {
		t.Errorf("no doors to %v", want)
	}
	for listens, reached := range map[string]string{
		"0.0.0.0:443": "127.0.0.1:443", ":443": "127.0.0.1:443", "[::]:443": "[::1]:443", "192.0.2.1:443": "192.0.2.1:443", "localhost:5443": "localhost:5443",
	} {
		if got := fromHere(listens); got != reached {
			t.Errorf("%s is reached at %s, want %s", listens, got, reached)
		}
	}
}
