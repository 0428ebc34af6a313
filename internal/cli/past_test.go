package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/client"
)

// TestPast: somebody is given a role and loses it, and later it is asked who had
// it when.
func TestPast(t *testing.T) {
	before := rfc3339(time.Now())
	s := newSite(t, nil)
	s.space("care", "clinic")
	s.ok("accounts:create", "dev@example.org", "--name", "Dana")
	begin := rfc3339(time.Now())
	s.ok("roles:grant", "dev@example.org", "member", "--team", "care")
	during := rfc3339(time.Now())
	s.ok("roles:revoke", "dev@example.org", "member", "--team", "care", "--confirm", "dev@example.org")
	s.ok("accounts:suspend", "dev@example.org", "--confirm", "dev@example.org")
	end := rfc3339(time.Now())

	for _, test := range []struct {
		args  []string
		wants []string
		lacks string
	}{
		{[]string{"state", "--at", during}, []string{"account        ", "member         2", "After the first "}, "or more"},
		{[]string{"state", "--at", during, "member", "--scope", "care"}, []string{"dev@example.org", "ops@example.org", "2 of them"}, ""},
		{[]string{"state", "--at", end, "member"}, []string{"ops@example.org", "1 of them"}, "dev@example.org"},
		{[]string{"state", "--at", during, "account", "dev@example.org"}, []string{"account ", "in the installation, since entry ", `"suspended": false`}, ""},
		{[]string{"state", "--at", end, "account", "dev@example.org"}, []string{`"suspended": true`}, ""},
		{[]string{"diff", "--from", begin, "--to", end}, []string{
			"account Dana  changed, written 1 time(s)", "    suspended: false -> true", "member dev@example.org  new and gone again, written 2 time(s)",
			"by ops@example.org (role.revoke)",
		}, "member ops"},
		{[]string{"diff", "--from", begin, "--to", during, "member"}, []string{"member dev@example.org  new", "1 difference(s)"}, "account"},
		{[]string{"who-could", "--on", "clinic", "--at", during}, []string{
			"dev@example.org\n    member of team care, given by ops@example.org in entry ", "operator of the installation", "2 account(s)",
		}, ""},
		{[]string{"who-could", "--on", "space:clinic", "--at", during, "--do", "app.secrets"}, []string{"dev@example.org", "        app.secrets\n"}, "operator"},
		{[]string{"who-could", "--on", "clinic", "--at", end}, []string{"1 account(s)"}, "dev@example.org"},
	} {
		out := s.ok(test.args...)
		for _, words := range test.wants {
			if !strings.Contains(out, words) {
				t.Errorf("strongroom %v without %q:\n%s", test.args, words, out)
			}
		}
		if test.lacks != "" && strings.Contains(out, test.lacks) {
			t.Errorf("strongroom %v with %q:\n%s", test.args, test.lacks, out)
		}
	}

	var able []client.Able
	if err := json.Unmarshal([]byte(s.ok("who-could", "--on", "care", "--at", during, "--do", "team.manage", "--json")), &able); err != nil {
		t.Fatal(err)
	}
	if len(able) != 1 || able[0].Email != "ops@example.org" || len(able[0].Holds) != 1 || able[0].Holds[0].Entry.Action != "team.create" {
		t.Errorf("who-could --json: %+v", able)
	}
	s.fails(1, "the ledger was empty: its first entry is of ", "state", "--at", before)
	s.fails(1, "lies in the future", "state", "--at", "2199-01-01T00:00:00Z")
	s.fails(1, "at is a time such as", "who-could", "--on", "care", "--at", "yesterday")
	s.fails(1, "There is no such kind as \"dog\"", "state", "--at", during, "dog")
	s.fails(1, "Couldn't find that account.", "state", "--at", during, "account", "none@example.org")
	s.fails(1, "Couldn't find that app, space or team.", "who-could", "--on", "none", "--at", during)
	s.fails(1, "There is no permission", "who-could", "--on", "care", "--at", during, "--do", "fly")
	s.fails(1, "to must be later than from", "diff", "--from", end, "--to", begin)
}
