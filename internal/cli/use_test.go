package cli

import (
	"encoding/pem"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/view"
)

// served is an installation's API, which the commands talk to.
func served(t *testing.T) *commandtest.World {
	t.Helper()
	w := commandtest.New(t, commandtest.Noon)
	h, err := api.New(api.Config{
		Store: w.Store, Kernel: w.Kernel, Log: slog.New(slog.DiscardHandler), Now: w.Now, Site: view.Site{API: "https://api.localhost"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("STRONGROOM_URL", s.URL)
	t.Setenv("STRONGROOM_CA", ca)
	return w
}

// TestSecretAddress gives a webhook's address where no list of processes shows
// it, and reads of it only what others may know.
func TestSecretAddress(t *testing.T) {
	w := served(t)
	t.Setenv("STRONGROOM_TOKEN", w.Tokens["owner"])
	const address, secret, print = "https://chat.example.org/services/T0/B0/canary", "0123456789abcdef", "f0bafcfc"
	add := func(stdin, to string) said {
		return strongroom(t.Context(), stdin, "alerts:add", "webhook", to, "--secret-stdin", "--team", "care")
	}
	if got := add(address+"\r\n"+secret+"\n", "-"); got.code != 0 || !strings.Contains(got.out, "https://chat.example.org/… ("+print+")") {
		t.Errorf("%+v", got)
	}
	if got := add(secret, address); got.code != 1 || !strings.Contains(got.err, "sent there already") {
		t.Errorf("again: %+v", got)
	}
	if got := add(address, "-"); got.code != 1 || !strings.Contains(got.err, "16 to 256 bytes") {
		t.Errorf("without a secret: %+v", got)
	}
	for _, args := range [][]string{{"alerts"}, {"alerts", "--json"}} {
		if got := strongroom(t.Context(), "", args...); got.code != 0 || !strings.Contains(got.out, print) || strings.Contains(got.out+got.err, "canary") {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if where := w.Tells("canary"); len(where) != 0 {
		t.Errorf("the address is in %v", where)
	}
}

// TestEmergency takes a release live by one person, and has it reviewed, with the
// words that people read.
func TestEmergency(t *testing.T) {
	w := served(t)
	approve := []string{"releases:approve", "v3", "--app", "clinic"}
	alone := append(approve[:len(approve):len(approve)], "--emergency", "--reason", "clinic answers 500 to everybody")
	policy := []string{"policy", "--team", "care"}
	for _, step := range []struct {
		who  string
		args []string
		code int
		says string
	}{
		{"owner", approve, 1, "Only an approver of the team"},
		{"owner", alone, 1, "allows no emergency releases. Have an approver approve it"},
		{"owner", policy, 0, "Emergency releases   false"},
		{"owner", append(policy[:len(policy):len(policy)], "--emergency", "yes"), 0, "second person"},
		{"admin", []string{"requests:grant", "REQUEST", "--team", "care"}, 0, "The request is granted."},
		{"owner", policy, 0, "Emergency releases   true"},
		{"owner", alone[:len(alone)-2], 1, "at least 10 characters"},
		{"owner", alone, 0, "v3 of clinic goes live in an emergency; it is succeeded.\nA second person must review it: strongroom releases:approve v3 --app clinic"},
		{"owner", approve, 1, "Only an approver of the team"},
		{"approver", append(approve[:len(approve):len(approve)], "--note", "read it"), 0, "Reviewed v3 of clinic, which went live in an emergency; it is succeeded."},
		{"approver", approve, 1, "approver@example.org reviewed this release already."},
	} {
		t.Setenv("STRONGROOM_TOKEN", w.Tokens[step.who])
		if i := len(step.args) - 3; i > 0 && step.args[i] == "REQUEST" {
			list := strongroom(t.Context(), "", "requests", "--team", "care")
			step.args[i], _, _ = strings.Cut(list.out, " ")
		}
		if got := strongroom(t.Context(), "", step.args...); got.code != step.code || !strings.Contains(got.out+got.err, step.says) {
			t.Errorf("%s: strongroom %s: %+v, want exit code %d with %q", step.who, strings.Join(step.args, " "), got, step.code, step.says)
		}
	}
}
