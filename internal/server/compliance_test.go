package server

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/strongroom/strongroom/catalog"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/compliance/builtin"
	"github.com/strongroom/strongroom/internal/compliance/state"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
)

// compliant runs the real programme over a world until the test ends, or stop.
func compliant(t *testing.T, w *commandtest.World) (stop func()) {
	t.Helper()
	p := &parts{store: w.Store, kernel: w.Kernel, log: slog.New(slog.DiscardHandler)}
	var err error
	if p.programme, err = newProgramme(builtin.Reach{}, ""); err != nil {
		t.Fatal(err)
	}
	p.programme.Checks = state.All() // the others need a server, and a host
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- newCompliance(p).Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// awaitStatus waits until the check says this of the subject.
func awaitStatus(t *testing.T, w *commandtest.World, check, scope, subject, want string) *document.Status {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		list := commandtest.Find[*document.Status](w, "one", document.StatusKey(check, scope, subject))
		if len(list) == 1 && list[0].Status == want {
			return list[0]
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not become %s: %+v", check, want, list)
		}
	}
}

// TestCompliance: a shield space that somebody opens is found at once, also by
// the program that runs after this one, and so is its mending, and who did it.
func TestCompliance(t *testing.T) {
	w := commandtest.New(t, time.Time{})
	ward := w.IDs["space:ward"]
	trust := func(source string) int64 {
		t.Helper()
		cmd := &spaces.SetTrusted{Identity: "ward", Confirm: "ward", Rules: []document.TrustedIP{{Source: source, Action: "allow"}}}
		seq, err := w.Kernel.Execute(t.Context(), cmd, w.As("owner"))
		if err != nil {
			t.Fatal(err)
		}
		return seq
	}
	stop := compliant(t, w)
	trust("192.0.2.0/24")
	awaitStatus(t, w, "state.trusted-ips", ward, ward, document.StatusPass)
	opened := trust("0.0.0.0/0")
	s := awaitStatus(t, w, "state.trusted-ips", ward, ward, document.StatusFail)
	if len(s.Seqs) != 1 || s.Seqs[0] != opened {
		t.Errorf("seen in %v, done in %d", s.Seqs, opened)
	}
	finding := func() *document.Finding {
		list := commandtest.Find[*document.Finding](w, "check", "state.trusted-ips")
		if len(list) != 1 {
			t.Fatalf("%d findings", len(list))
		}
		return list[0]
	}
	if f := finding(); f.State != document.FindingOpen || f.Severity == "" || len(f.Controls) == 0 || !f.DueAt.After(f.OpenedAt) {
		t.Errorf("%+v", f)
	}
	stop()
	size := w.Size()
	stop = compliant(t, w)
	trust("192.0.2.0/24")
	awaitStatus(t, w, "state.trusted-ips", ward, ward, document.StatusPass)
	stop()
	if f := finding(); f.State != document.FindingClosed || f.MendedBy != "owner@example.org" {
		t.Errorf("%+v", f)
	}
	for _, l := range w.Since(size) {
		if l.Action == "check.report" && l.Target.Name != "state.trusted-ips ward" {
			t.Errorf("the second program says again: %s", l.Target.Name)
		}
	}
}

// TestOwnCatalogue: an operator's control that rests on a check of the platform.
func TestOwnCatalogue(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "controls"), 0o700); err != nil {
		t.Fatal(err)
	}
	text, err := catalog.Files.ReadFile("controls/network.trusted-sources.json")
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(`"id": "network.trusted-sources"`), []byte(`"id": "house.door"`), 1)
	if err := os.WriteFile(filepath.Join(dir, "controls", "house.door.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := newProgramme(builtin.Reach{}, dir)
	if err != nil || p.Control("house.door") == nil {
		t.Errorf("%v", err)
	}
	if _, err := newProgramme(builtin.Reach{}, filepath.Join(dir, "none")); fault.Of(err) != fault.Invalid {
		t.Errorf("a directory that is not there: %v", err)
	}
}
