package api

import (
	"encoding/pem"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/client"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/ledger"
)

// serveTLS serves the world and gives a client for an account.
func (w *world) serveTLS(t *testing.T) func(account string) *client.Client {
	t.Helper()
	s := httptest.NewTLSServer(w.handler)
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(account string) *client.Client {
		c, err := client.New(client.Config{URL: s.URL, Token: w.Tokens[account], CAFile: ca, Reason: "as the test asks"})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// TestClient calls every method of the Go client against the API.
func TestClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	as := w.serveTLS(t)
	ctx := t.Context()
	owner, root, approver, auditor := as("owner"), as("root"), as("approver"), as("auditor")

	if me, err := owner.Me(ctx); err != nil || me.Email != "owner@example.org" {
		t.Errorf("Me = %+v, %v", me, err)
	}
	if a, err := root.CreateAccount(ctx, client.NewAccount{Email: "new@example.org", Name: "New"}); err != nil || a.Email != "new@example.org" {
		t.Errorf("CreateAccount = %+v, %v", a, err)
	}
	if err := root.SuspendAccount(ctx, "new@example.org"); err != nil {
		t.Errorf("SuspendAccount: %v", err)
	}
	if team, err := root.CreateTeam(ctx, "third"); err != nil || team.Name != "third" || team.Role != "owner" {
		t.Errorf("CreateTeam = %+v, %v", team, err)
	}
	if got, err := owner.GrantRole(ctx, "care", "viewer@example.org", "auditor", false); err != nil || got.Request != nil {
		t.Errorf("GrantRole = %+v, %v", got, err)
	}
	if err := owner.RevokeRole(ctx, "care", "viewer@example.org", "auditor"); err != nil {
		t.Errorf("RevokeRole: %v", err)
	}
	weighty, err := owner.GrantRole(ctx, "care", "admin@example.org", "approver", false)
	if err != nil || weighty.Request == nil {
		t.Fatalf("GrantRole of an approver = %+v, %v; want a request", weighty, err)
	}
	if list, err := owner.Requests(ctx, "care"); err != nil || len(list) != 1 || list[0].ID != weighty.Request.ID || list[0].Reason != "as the test asks" {
		t.Errorf("Requests = %+v, %v", list, err)
	}
	if q, err := as("admin").Decide(ctx, "care", weighty.Request.ID, false); err == nil {
		t.Errorf("Decide by the one who would gain = %+v, want a refusal", q)
	}
	one, yes := 1, true
	if got, err := owner.SetPolicy(ctx, "care", client.Policy{Approvals: &one, ApproveConfig: &yes}); err != nil || got.Request != nil {
		t.Errorf("SetPolicy = %+v, %v", got, err)
	}
	if p, err := owner.Policy(ctx, "care"); err != nil || *p.Approvals != 1 || !*p.ApproveConfig {
		t.Errorf("Policy = %+v, %v", p, err)
	}
	if err := owner.MarkEPHI(ctx, "clinic", "no"); err != nil {
		t.Errorf("MarkEPHI: %v", err)
	}
	if r, err := approver.Approve(ctx, "clinic", "v3", "fine"); err != nil || r.Version != 3 || r.Status != "succeeded" {
		t.Errorf("Approve = %+v, %v", r, err)
	}
	w.Build("3333333333333333333333333333333333333333")
	if r, err := owner.Emergency(ctx, "clinic", "v5"); err == nil {
		t.Errorf("Emergency = %+v, want a refusal: the policy allows none", r)
	}
	if got, err := owner.SetPolicy(ctx, "care", client.Policy{Emergency: &yes}); err != nil || got.Request == nil {
		t.Errorf("SetPolicy = %+v, %v; want a request", got, err)
	} else if _, err := as("admin").Decide(ctx, "care", got.Request.ID, true); err != nil {
		t.Errorf("Decide = %v", err)
	}
	if p, err := owner.Policy(ctx, "care"); err != nil || !*p.Emergency {
		t.Errorf("Policy = %+v, %v", p, err)
	}
	if r, err := owner.Emergency(ctx, "clinic", "v5"); err != nil || r.Version != 5 || !r.Current || !r.Strongroom.Emergency {
		t.Errorf("Emergency = %+v, %v", r, err)
	}
	if r, err := approver.Approve(ctx, "clinic", "v5", "fine"); err != nil || !r.Strongroom.Emergency {
		t.Errorf("Approve after an emergency = %+v, %v", r, err)
	}
	list, err := auditor.Sessions(ctx, "ward")
	if err != nil || len(list) != 2 || list[0].App.Name != "clinic" || list[0].Recording == nil {
		t.Fatalf("Sessions = %+v, %v", list, err)
	}
	stream(t, "Recording", "hello")(auditor.Recording(ctx, "ward", list[0].ID))
	stream(t, "Export", "pack of ward")(auditor.Export(ctx, client.Export{Space: "ward", From: "2026-01-01T00:00:00Z"}))
	stream(t, "Export", "since a checkpoint")(auditor.Export(ctx, client.Export{Space: "ward", From: "2026-01-01T00:00:00Z", Since: "a checkpoint"}))
	stream(t, "Checkpoint", "strongroom/")(auditor.Checkpoint(ctx))
	if i, err := auditor.Installation(ctx); err != nil || i.ID != w.vars["installation"] || i.LogKey == "" {
		t.Errorf("Installation = %+v, %v", i, err)
	}
}

// stream checks what a method streams.
func stream(t *testing.T, name, want string) func(io.ReadCloser, error) {
	return func(rc io.ReadCloser, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		defer rc.Close()
		b, err := io.ReadAll(rc)
		if err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s = %q, %v; want %q in it", name, b, err, want)
		}
	}
}

func TestClientReadsAllPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range defaultPage + 5 {
		w.Do(&sessions.Open{App: "clinic", Dyno: "run.8", Type: "run"}, w.As("dev"))
	}
	list, err := w.serveTLS(t)("auditor").Sessions(t.Context(), "ward")
	if err != nil || len(list) != defaultPage+7 {
		t.Errorf("%d sessions, %v; want %d", len(list), err, defaultPage+7)
	}
}

func TestClientErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	as := w.serveTLS(t)
	_, err := as("stranger").Approve(t.Context(), "clinic", "v3", "")
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Status != 404 || refused.ID != "not_found" || refused.Message != "Couldn't find that app." {
		t.Errorf("err = %#v", err)
	}
	if b := w.last(); b.Action != "release.approve" || b.Outcome != ledger.Denied || b.Reason != "as the test asks" {
		t.Errorf("the ledger has %+v", b)
	}
	_, err = as("auditor").Export(t.Context(), client.Export{Space: "ward", From: "2026-01-01T00:00:00Z", Items: make([]string, maxAsked+1)})
	if !errors.As(err, &refused) || refused.Status != 413 {
		t.Errorf("too many items: %#v", err)
	}
	_, err = as("auditor").Export(t.Context(), client.Export{Space: "ward", From: "2026-01-01T00:00:00Z", Notice: "yesterday"})
	if !errors.As(err, &refused) || refused.Status != 422 {
		t.Errorf("a notice of yesterday: %#v", err)
	}
	_, err = as("auditor").Export(t.Context(), client.Export{Space: "ward", From: "2026-01-01T00:00:00Z", Since: strings.Repeat("x", maxCheckpoint+1)})
	if !errors.As(err, &refused) || refused.Status != 413 {
		t.Errorf("a checkpoint too large: %#v", err)
	}
	if _, err := client.New(client.Config{URL: "http://localhost:1"}); err == nil {
		t.Error("a URL without TLS was taken")
	}
}
