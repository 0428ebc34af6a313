package commands

import (
	"slices"
	"testing"
)

// promised is every command that the platform's first release was asked for.
var promised = []string{
	"auth:whoami", "login -i", "authorizations:create", "apps:create", "apps:info", "apps:destroy", "apps:rename", "apps",
	"config", "config:set", "config:get", "config:unset", "ps", "ps:scale", "ps:restart", "ps:stop",
	"releases", "releases:info", "releases:output", "releases:rollback", "logs", "logs --tail", "run", "run --exit-code", "run:detached",
	"domains", "domains:add", "domains:remove", "certs:add", "certs", "access", "access:add", "access:remove",
	"members", "members:add", "members:set", "members:remove", "teams",
	"spaces", "spaces:create --shield", "spaces:info", "spaces:ps", "spaces:destroy", "trusted-ips:add", "trusted-ips:remove",
	"addons", "addons:create", "addons:attach", "addons:detach", "addons:destroy", "addons:wait", "pg:info", "pg:credentials:url", "pg:psql",
	"maintenance:on", "maintenance:off", "features", "keys:add", "keys", "git:remote", "git push",
}

func TestListIsWhatWasPromised(t *testing.T) {
	var listed []string
	for _, c := range List {
		if c.Live == "" {
			t.Errorf("%s: no test runs it against a real engine", c.Line)
		}
		if slices.Contains(listed, c.Line) {
			t.Errorf("%s is listed twice", c.Line)
		}
		listed = append(listed, c.Line)
	}
	for _, p := range promised {
		if !slices.Contains(listed, p) {
			t.Errorf("%s is promised and not listed", p)
		}
	}
	if len(listed) != len(promised) {
		t.Errorf("%d commands are listed, %d are promised", len(listed), len(promised))
	}
}

func TestMissing(t *testing.T) {
	live := func(c Command) string { return c.Live }
	count := func(r *Record, some bool) int { return len(r.Missing(live, some)) }
	var none Record
	if n := count(&none, false); n != len(List) {
		t.Errorf("of a suite that ran nothing %d commands are missing, of %d", n, len(List))
	}
	if n := count(&none, true); n != 0 {
		t.Errorf("%d commands are missing of tests that were not asked for", n)
	}
	var r Record
	r.Succeeded("TestElsewhere", []string{"run", "-a", "x"})
	if n := count(&r, false); n != len(List) {
		t.Error("a command counts in the test that is named for it, and in no other")
	}
	r.Succeeded("TestCommands/run", []string{"run", "-a", "x", "--exit-code", "--", "true"})
	if n := count(&r, false); n != len(List)-2 { // it is run, and run --exit-code
		t.Errorf("%d are missing, want all but two of %d", n, len(List))
	}
	r.Succeeded("TestCommands/run", []string{"logs", "-a", "x"})
	if n := count(&r, false); n != len(List)-3 { // not logs --tail
		t.Errorf("%d are missing, want all but three of %d", n, len(List))
	}
}
