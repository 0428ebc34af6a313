package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/client"
)

// TestOutbound: what may leave a space is changed and read in the words of the
// help.
func TestOutbound(t *testing.T) {
	s := newSite(t, nil)
	s.ok("teams:create", "care")
	if err := s.client().Do(t.Context(), "POST", "/spaces", map[string]any{"name": "clinic", "team": "care", "shield": true}, nil); err != nil {
		t.Fatal(err)
	}
	on := func(args ...string) []string { return append(args, "--space", "clinic") }
	says := func(out string, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(out, w) {
				t.Errorf("without %q:\n%s", w, out)
			}
		}
	}
	says(s.ok(on("spaces:outbound")...), "Nothing may leave clinic.")
	says(s.ok(on("spaces:outbound:add", "203.0.113.0/24", "TCP", "443", "--reason", "the laboratory")...),
		"Nothing may leave clinic but what these rules name.", "203.0.113.0/24      tcp  443          by ", ": the laboratory")
	s.fails(1, "There is the outbound rule 203.0.113.0/24 tcp 443 already.", on("spaces:outbound:add", "203.0.113.0/24", "tcp", "443")...)
	s.fails(1, "overlaps 169.254.0.0/16", on("spaces:outbound:add", "169.254.169.254", "tcp", "80")...)
	says(s.ok(on("spaces:outbound:add", "198.51.100.7", "udp", "8000-8080")...), "198.51.100.7/32     udp  8000-8080")

	var o client.Outbound
	if err := json.Unmarshal([]byte(s.ok(on("spaces:outbound:remove", "203.0.113.0/24", "tcp", "443", "--json")...)), &o); err != nil {
		t.Fatal(err)
	}
	if o.Mode != "none" || len(o.Rules) != 1 || o.Rules[0].Target != "198.51.100.7/32" || o.Rules[0].CreatedBy == "" {
		t.Errorf("as JSON: %+v", o)
	}
	s.fails(1, "There is no outbound rule 203.0.113.0/24 tcp 443.", on("spaces:outbound:remove", "203.0.113.0/24", "tcp", "443")...)
	says(s.ok(on("spaces:outbound:denied")...), "Nothing that was tried was refused.")
	says(s.ok(on("spaces:outbound:add", "--name", "API.example.org", "--port", "443", "--reason", "the registry of patients")...),
		"api.example.org     tcp  443          by ", ": the registry of patients")
	s.fails(1, "There is the outbound rule api.example.org tcp 443 already.", on("spaces:outbound:add", "api.example.org", "tcp", "443")...)
	s.fails(1, "is for a network such as 203.0.113.0/24 or a name such as api.example.org", on("spaces:outbound:add", "--name", "api example.org", "--port", "443")...)
	for _, args := range [][]string{{"--name", "a.example.org"}, {"--port", "443"}, {"--name", "a.example.org", "--port", "443", "192.0.2.1"}} {
		s.fails(2, "--name and --port go together", on(append([]string{"spaces:outbound:add"}, args...)...)...)
	}
	says(s.ok(on("spaces:outbound:mode", "registries")...), "but to where packages are, and what these rules name", "registry.npmjs.org")
	says(s.ok(on("spaces:outbound:mode", "none")...), "api.example.org     tcp  443")
	if out := s.ok(on("spaces:outbound:remove", "--name", "api.example.org", "--port", "443")...); strings.Contains(out, "api.example.org") {
		t.Errorf("removed, it is still there:\n%s", out)
	}
	s.fails(1, "--confirm clinic", on("spaces:outbound:mode", "open", "--reason", "a migration")...)
	says(s.ok(on("spaces:outbound:mode", "open", "--reason", "a migration", "--confirm", "clinic")...), "clinic is open: everything may leave it", "0.0.0.0/0")
}

// TestRefusals: what was tried last is in front, and each line tells whose it was.
func TestRefusals(t *testing.T) {
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	dyno := "web.1"
	list := []client.Refusal{
		{To: "192.0.2.1", Protocol: "tcp", Port: 443, Packets: 3, CreatedAt: at, UpdatedAt: at},
		{To: "evil.example.com", Protocol: "dns", Port: 53, Packets: 2, CreatedAt: at, UpdatedAt: at.Add(time.Hour), Dyno: &dyno},
	}
	if err := json.Unmarshal([]byte(`{"app": {"name": "intake"}}`), &list[1]); err != nil {
		t.Fatal(err)
	}
	newestFirst(list)
	want := []string{
		"evil.example.com    dns  53           by intake web.1, from 2026-03-02T12:00:00Z to 2026-03-02T13:00:00Z: 2 questions or more",
		"192.0.2.1           tcp  443          by something that has ended, from 2026-03-02T12:00:00Z to 2026-03-02T12:00:00Z: 3 packets or more",
	}
	for i, r := range list {
		if got := refusalText(r); got != want[i] {
			t.Errorf("%s\nwant %s", got, want[i])
		}
	}
}

// TestLinks: which apps reach each other is changed and read in the words of the
// help.
func TestLinks(t *testing.T) {
	s := newSite(t, nil)
	s.space("care", "clinic")
	for _, app := range []string{"intake", "records"} {
		in := map[string]any{"name": app, "space": "clinic", "team": "care"}
		if err := s.client().Do(t.Context(), "POST", "/teams/apps", in, nil); err != nil {
			t.Fatal(err)
		}
	}
	on := func(args ...string) []string { return append(args, "--space", "clinic") }
	for _, step := range []struct {
		says string
		args []string
	}{
		{"Every app of clinic reaches every other.", on("spaces:links")},
		{"and what these links name.", on("spaces:links:mode", "listed", "--reason", "two teams share it")},
		{"intake -> records  by ops@example.org, ", on("spaces:links:add", "intake", "records", "--reason", "it files them")},
		{": it files them", on("spaces:links")},
		{"and what these links name.\n", on("spaces:links:remove", "intake", "records")},
		{`"mode": "any"`, on("spaces:links:mode", "any", "--json")},
	} {
		if out := s.ok(step.args...); !strings.Contains(out, step.says) {
			t.Errorf("%v without %q:\n%s", step.args, step.says, out)
		}
	}
	s.fails(1, "no app \"nobody\"", on("spaces:links:add", "intake", "nobody")...)
}
