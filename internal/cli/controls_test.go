package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestControls: an operator sees a failure of their own making, gives it an
// owner, accepts it, mends it, and reads its history.
func TestControls(t *testing.T) {
	s := newSite(t, nil)
	s.space("care", "clinic")
	await := func(words string, args ...string) string {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			out := s.ok(args...)
			if strings.Contains(out, words) {
				return out
			}
			if time.Now().After(deadline) {
				t.Fatalf("strongroom %v does not say %q:\n%s", args, words, out)
			}
		}
	}
	// A new team asks for approvals; without them the control fails.
	await("pass            approvals.policy-changes", "controls")
	s.ok("policy", "--team", "care", "--approvals", "0", "--exception", "--reason", "to see what happens")
	await("FAIL            approvals.second-person", "controls")
	out := await("FAIL            ledger.witness", "controls")
	if !strings.HasPrefix(out, "FAIL") || !strings.Contains(out, " controls: ") {
		t.Errorf("controls:\n%s", out)
	}
	if hipaa := s.ok("controls", "--framework", "hipaa-security"); !strings.Contains(hipaa, "supports 164.312(c)(1)") {
		t.Errorf("controls --framework:\n%s", hipaa)
	}
	// What a framework says of controls itself reaches people as well.
	if shield := s.ok("controls", "--framework", "ny-shield"); !strings.Contains(shield, "partial 899-bb(2)(b)(ii)(B)(4)") {
		t.Errorf("controls --framework:\n%s", shield)
	}
	s.fails(1, "There are: [hipaa-security", "controls", "--framework", "none")
	s.fails(2, "--destroyed needs --scope", "controls", "--destroyed", "--scope", "clinic")
	past := []string{"--destroyed", "--scope", "clinic", "--from", time.Now().Add(-time.Hour).Format(time.RFC3339)}
	s.fails(1, "that was destroyed", append([]string{"controls"}, past...)...)
	s.fails(1, "that was destroyed", append([]string{"controls:history", "approvals.second-person"}, past...)...)
	explained := await("Check attempt.self-approval, version 2: pass", "controls:explain", "approvals.second-person")
	for _, words := range []string{
		"approvals.second-person  FAIL", "asks for no approval", "If it fails: ", "see entries [",
	} {
		if !strings.Contains(explained, words) {
			t.Errorf("explain without %q:\n%s", words, explained)
		}
	}

	if out := s.ok("controls:explain", "isolation.routers"); !strings.Contains(out, "Not yet there host.routers") {
		t.Errorf("explain what is planned:\n%s", out)
	}

	var findings []struct{ ID, Check string }
	if err := json.Unmarshal([]byte(s.ok("findings", "--json")), &findings); err != nil {
		t.Fatal(err)
	}
	id := ""
	for _, f := range findings {
		if f.Check == "state.approval-policy" {
			id = f.ID
		}
	}
	if out := s.ok("findings:assign", id, "--to", "ops@example.org"); !strings.Contains(out, "owned by ops@example.org") {
		t.Errorf("assign:\n%s", out)
	}
	day := time.Now().Add(72 * time.Hour).UTC().Format(time.DateOnly)
	if out := s.ok("findings:accept", id, "--reason", "there is only one of us", "--until", day); !strings.Contains(out, "accepted by ops@example.org until "+day+": there is only one of us") {
		t.Errorf("accept:\n%s", out)
	}

	s.ok("policy", "--team", "care", "--approvals", "1")
	await("pass            approvals.second-person", "controls")
	if out := s.ok("findings"); strings.Contains(out, id) {
		t.Errorf("mended, and still there:\n%s", out)
	}
	if out := s.ok("findings", "--all"); !strings.Contains(out, "passes again since") || !strings.Contains(out, "after a change by ops@example.org") {
		t.Errorf("findings --all:\n%s", out)
	}
	// That the checks ran is on record once an hour, and when the server starts.
	s.stop()
	if got := s.serve(); got.code != 0 {
		t.Fatalf("served again: %+v", got)
	}
	history := await("after a change by", "controls:history", "approvals.second-person")
	for _, words := range []string{"FAIL  state.approval-policy of care", "asks for no approval", "after a change by ops@example.org", "owned by ops@example.org"} {
		if !strings.Contains(history, words) {
			t.Errorf("history without %q:\n%s", words, history)
		}
	}
}
