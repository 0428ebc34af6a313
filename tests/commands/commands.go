// Package commands lists the commands of the heroku CLI that are promised to
// work unmodified, with the tests that run them: Contract in tests/heroku, which
// looks at what the CLI says and the ledger has of it, and Live in tests/live,
// which looks at what comes of it on a real engine.
//
// That the list is complete is checked, not claimed: both suites note each
// command line of theirs that succeeded, and fail if a command of the list is
// not among those of the test that it names.
package commands

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Command is a promised command.
type Command struct {
	// Line is the command and the flags without which it would be another.
	Line     string
	Contract string // the test in tests/heroku; "" where only the engine can tell
	Live     string // the test in tests/live
}

// List is every promised command.
var List = []Command{
	{"auth:whoami", "TestAccount", "TestCommands/account"},
	{"login -i", "TestLogin", "TestCommands/account"},
	{"authorizations:create", "TestAccount", "TestCommands/account"},
	{"keys:add", "TestAccount", "TestCommands/account"},
	{"keys", "TestAccount", "TestCommands/account"},

	{"spaces", "TestSpaces", "TestCommands/space"},
	{"spaces:create --shield", "TestSpaces", "TestCommands/space"},
	{"spaces:info", "TestSpaces", "TestCommands/space"},
	{"spaces:ps", "TestDynos", "TestCommands/dynos"},
	{"spaces:destroy", "TestSpaces", "TestCommands/destroy"},
	{"trusted-ips:add", "TestSpaces", "TestCommands/trusted"},
	{"trusted-ips:remove", "TestSpaces", "TestCommands/trusted"},

	{"apps:create", "TestApps", "TestCommands/space"},
	{"apps", "TestApps", "TestCommands/space"},
	{"apps:info", "TestApps", "TestCommands/space"},
	{"apps:rename", "TestApps", "TestCommands/names"},
	{"apps:destroy", "TestApps", "TestCommands/destroy"},
	{"features", "TestApps", "TestCommands/names"},
	{"maintenance:on", "TestApps", "TestCommands/names"},
	{"maintenance:off", "TestApps", "TestCommands/names"},
	{"git:remote", "TestApps", "TestCommands/push"},
	{"git push", "", "TestCommands/push"},

	{"config", "TestConfigAndReleases", "TestCommands/config"},
	{"config:set", "TestConfigAndReleases", "TestCommands/config"},
	{"config:get", "TestConfigAndReleases", "TestCommands/config"},
	{"config:unset", "TestConfigAndReleases", "TestCommands/config"},
	{"releases", "TestConfigAndReleases", "TestCommands/releases"},
	{"releases:info", "TestConfigAndReleases", "TestCommands/releases"},
	{"releases:output", "TestConfigAndReleases", "TestCommands/releases"},
	{"releases:rollback", "TestConfigAndReleases", "TestCommands/releases"},

	{"run", "", "TestCommands/run"},
	{"run --exit-code", "", "TestCommands/run"},
	{"run:detached", "TestDynos", "TestCommands/run"},
	{"logs", "TestDynos", "TestCommands/run"},
	{"logs --tail", "", "TestCommands/run"},
	{"ps", "TestDynos", "TestCommands/dynos"},
	{"ps:scale", "TestDynos", "TestCommands/dynos"},
	{"ps:restart", "TestDynos", "TestCommands/dynos"},
	{"ps:stop", "TestDynos", "TestCommands/run"},

	{"domains", "TestDomainsAndCertificates", "TestCommands/names"},
	{"domains:add", "TestDomainsAndCertificates", "TestCommands/names"},
	{"domains:remove", "TestDomainsAndCertificates", "TestCommands/names"},
	{"certs:add", "TestDomainsAndCertificates", "TestCommands/names"},
	{"certs", "TestDomainsAndCertificates", "TestCommands/names"},

	{"teams", "TestPeople", "TestCommands/people"},
	{"members", "TestPeople", "TestCommands/people"},
	{"members:add", "TestPeople", "TestCommands/people"},
	{"members:set", "TestPeople", "TestCommands/people"},
	{"members:remove", "TestPeople", "TestCommands/people"},
	{"access", "TestPeople", "TestCommands/people"},
	{"access:add", "TestPeople", "TestCommands/people"},
	{"access:remove", "TestPeople", "TestCommands/people"},

	{"addons", "TestAddons", "TestCommands/database"},
	{"addons:create", "TestAddons", "TestCommands/space"},
	{"addons:wait", "TestAddons", "TestCommands/database"},
	{"addons:attach", "TestAddons", "TestCommands/database"},
	{"addons:detach", "TestAddons", "TestCommands/database"},
	{"addons:destroy", "TestAddons", "TestCommands/destroy"},
	{"pg:info", "TestAddons", "TestCommands/database"},
	{"pg:credentials:url", "TestAddons", "TestCommands/database"},
	{"pg:psql", "", "TestCommands/database"},
}

// matches tells whether a command line runs the command.
func (c Command) matches(args []string) bool {
	want := strings.Fields(c.Line)
	if len(args) == 0 || args[0] != want[0] {
		return false
	}
	for _, w := range want[1:] {
		if !slices.Contains(args[1:], w) {
			return false
		}
	}
	return true
}

// Record is which command lines succeeded in which test. The zero value is
// ready; it is safe for concurrent use.
type Record struct {
	mu   sync.Mutex
	runs map[string][][]string
}

// Succeeded notes a command line, without the program's name, or beginning with
// "git".
func (r *Record) Succeeded(test string, args []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.runs == nil {
		r.runs = map[string][][]string{}
	}
	r.runs[test] = append(r.runs[test], args)
}

// Missing names the commands that the test chosen by suite did not run
// successfully. With some, only tests that ran any command are looked at.
func (r *Record) Missing(suite func(Command) string, some bool) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, c := range List {
		test := suite(c)
		runs, ran := r.runs[test]
		if test == "" || some && !ran || slices.ContainsFunc(runs, c.matches) {
			continue
		}
		out = append(out, fmt.Sprintf("heroku %s was not run with success by %s", c.Line, test))
	}
	return out
}

// Main runs a suite's tests. It fails if a test did not run a command that the
// list says it runs.
func (r *Record) Main(m *testing.M, suite func(Command) string) {
	code := m.Run()
	if code != 0 {
		os.Exit(code) // what failed did not run to its end
	}
	some := slices.ContainsFunc([]string{"test.run", "test.skip", "test.list"}, func(name string) bool { return flag.Lookup(name).Value.String() != "" })
	for _, missing := range r.Missing(suite, some) {
		fmt.Fprintln(os.Stderr, missing)
		code = 1
	}
	os.Exit(code)
}
