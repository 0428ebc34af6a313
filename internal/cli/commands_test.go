package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// commands are all that people see.
func commands(t *testing.T) []*cobra.Command {
	t.Helper()
	var out []*cobra.Command
	for _, c := range newRoot(streams{}).Commands() {
		if !c.Hidden && c.Name() != "completion" && c.Name() != "help" {
			out = append(out, c)
		}
	}
	if len(out) < 25 {
		t.Fatalf("only %d commands", len(out))
	}
	return out
}

// TestHelp wants of every command a sentence, a group, and examples that the
// command would take.
func TestHelp(t *testing.T) {
	flag := regexp.MustCompile(`(?:^|\s)(--?[a-z][a-z-]*)`)
	for _, c := range commands(t) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || c.GroupID == "" {
			t.Errorf("%s: short help %q in group %q", c.Name(), c.Short, c.GroupID)
		}
		if c.Example == "" {
			t.Errorf("%s has no example", c.Name())
		}
		for _, line := range strings.Split(c.Example, "\n") {
			if !strings.Contains(line, "strongroom "+c.Name()) {
				t.Errorf("%s: the example is of something else: %s", c.Name(), line)
			}
			line, _, _ = strings.Cut(line, " > ")
			if c.DisableFlagParsing {
				continue
			}
			for _, m := range flag.FindAllStringSubmatch(line, -1) {
				name := strings.TrimLeft(m[1], "-")
				if c.Flags().Lookup(name) == nil && c.Flags().ShorthandLookup(name[:1]) == nil {
					t.Errorf("%s: the example has the flag %s, the command has not", c.Name(), m[1])
				}
			}
		}
		got := strongroom(t.Context(), "", c.Name(), "--help")
		if got.code != 0 || !strings.Contains(got.out, c.Short) && !strings.Contains(got.out, c.Long) || !strings.Contains(got.out, strings.TrimSpace(c.Example)) {
			t.Errorf("%s --help: %+v", c.Name(), got)
		}
	}
}

// TestJSON wants --json of every command but those that have a format of their
// own or run until they are stopped.
func TestJSON(t *testing.T) {
	without := map[string]string{
		"heroku": "the heroku CLI's", "ledger:checkpoint": "a signed note", "sessions:play": "a recording",
		"server": "runs", "engine": "runs", "supervise": "runs", "down": "says nothing", "witness": "runs",
	}
	for _, c := range commands(t) {
		_, except := without[c.Name()]
		if has := c.Flags().Lookup("json") != nil; has == except {
			t.Errorf("%s has --json: %v", c.Name(), has)
		}
	}
}

// TestUsage wants exit code 2 and a way on of what was called wrongly.
func TestUsage(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("STRONGROOM_URL", "https://localhost:1")
	t.Setenv("STRONGROOM_TOKEN", "none")
	config := filepath.Join(t.TempDir(), "strongroom.json")
	if err := os.WriteFile(config, []byte(`{"data": "/srv/strongroom"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for words, args := range map[string]string{
		"--email is needed":                               "init --config /dev/null/none",
		"unknown flag: --spcae":                           "sessions --spcae clinic",
		"takes 1 argument(s): [PACK]":                     "evidence:verify",
		"takes 2 argument(s): [EMAIL ROLE]":               "roles:grant ann@example.org --team care",
		"--space and --from are needed":                   "evidence:export --space clinic",
		"--app is needed":                                 "releases:approve v3",
		"--team is needed":                                "requests",
		"takes 1 argument(s): [ID]":                       "controls:explain",
		"--at is needed":                                  "state app",
		"takes at most 2 argument(s): [KIND ID]":          "state --at 2026-03-01T00:00:00Z app intake more",
		"--from and --to are needed":                      "diff --from 2026-03-01T00:00:00Z",
		"--on and --at are needed":                        "who-could --on intake",
		"--reason and --until are needed":                 "findings:accept x --reason later",
		"--until is a day such as 2026-04-01":             "findings:accept x --reason later --until soon",
		"--space is needed":                               "spaces:outbound",
		"takes 3 argument(s): [NETWORK PROTOCOL PORTS]":   "spaces:outbound:add 192.0.2.0/24 --space clinic",
		"takes 2 argument(s): [FROM TO]":                  "spaces:links:add intake --space clinic",
		"is not a port such as 443":                       "spaces:outbound:add 192.0.2.0/24 tcp https --space clinic",
		"a webhook needs --secret-stdin":                  "alerts:add webhook https://alerts.example.org/",
		"mail has no secret":                              "alerts:add email a@example.org --secret-stdin",
		"Repeat the id: --confirm x":                      "alerts:remove x",
		"--hsts is on or off":                             "spaces:tls ward --hsts yes",
		"takes 1 argument(s): [SPACE]":                    "spaces:tls",
		"takes 1 argument(s): [HOSTNAME]":                 "domains:tls --app clinic",
		"--everybody needs a --reason":                    "domains:tls a.example.org --app clinic --everybody",
		"--to is needed":                                  "findings:assign x",
		"--name is needed":                                "witness:init",
		"--cert and --key belong together":                "witness --cert cert.pem",
		"takes 1 argument(s): [LOG-KEY]":                  "witness:trust",
		"--approvals is 0 or 1":                           "policy --team care --approvals 2",
		"--emergency is yes or no":                        "policy --team care --emergency maybe",
		"in an emergency give the --reason":               "releases:approve v3 --app intake --emergency --note fine",
		"--confirm leaver@example.org":                    "accounts:suspend leaver@example.org",
		"Repeat the address: --confirm ann":               "roles:revoke ann member --team care --confirm bob",
		"Repeat the directory: --confirm /srv/strongroom": "down --confirm yes --config " + config,
	} {
		if got := strongroom(t.Context(), "", strings.Fields(args)...); got.code != 2 || !strings.Contains(got.err, words) {
			t.Errorf("strongroom %s: %+v, want exit code 2 with %q", args, got, words)
		}
	}
	if got := strongroom(t.Context(), "", "no-such-command"); got.code == 0 {
		t.Errorf("a command that there is not: %+v", got)
	}
}
