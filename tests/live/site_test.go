//go:build live

// Package live tests an installation that runs: the one that scripts/demo made.
// Its parts are killed, its disk is filled, its spaces are attacked from inside,
// and the real heroku CLI and git work with it meanwhile.
//
// scripts/demo test runs it after the demo. By hand, against an installation
// that is up, with the same variables as for the script:
//
//	DEMO_NAME=mine DEMO_PORT=5640 DEMO_BASTION=130 DEMO_LEDGER_DISK=768 scripts/demo up
//	DEMO_NAME=mine DEMO_PORT=5640 DEMO_BASTION=130 go test -tags live ./tests/live
//
// The tests run as root, one after another; each leaves the installation in
// working order, and the apps it made destroyed.
package live

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/tests/commands"
)

// ran is what the tests of this package ran.
var ran commands.Record

// TestMain fails where a promised command was not run.
func TestMain(m *testing.M) { ran.Main(m, func(c commands.Command) string { return c.Live }) }

// site is an installation and the people who work with it.
type site struct {
	name    string // DEMO_NAME
	data    string // its data directory
	run     string // its run directory
	out     string // what the demo keeps of it: tokens, homes, repositories
	repo    string // the checkout
	program string // the binary that it runs
	heroku  string // the real heroku CLI
	api     string // URL
	edge    string // host:port
	domain  string // under which its apps answer
}

// newSite finds the installation; the test fails if it is not there.
func newSite(t *testing.T) *site {
	t.Helper()
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	name := cmp.Or(os.Getenv("DEMO_NAME"), "demo")
	port, err := strconv.Atoi(cmp.Or(os.Getenv("DEMO_PORT"), "5440"))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{
		name: name, data: "/var/lib/strongroom-" + name, run: "/run/strongroom-" + name,
		out: filepath.Join(repo, "build", name), repo: repo,
		heroku: cmp.Or(os.Getenv("STRONGROOM_HEROKU"), filepath.Join(repo, "build/heroku/node_modules/.bin/heroku")),
		api:    fmt.Sprintf("https://localhost:%d", port+3),
		edge:   fmt.Sprintf("127.0.0.1:%d", port+5),
		domain: "apps.localhost",
	}
	s.program = filepath.Join(s.data, "bin/strongroom")
	if _, err := os.Stat(s.token("developer")); err != nil {
		t.Fatalf("no installation %s is up; make one by scripts/demo up: %v", name, err)
	}
	return s
}

func (s *site) token(who string) string { return filepath.Join(s.out, "tokens", who) }

// env is the environment of one of the demo's people: operator, developer,
// approver, auditor.
func (s *site) env(t *testing.T, who string) []string {
	t.Helper()
	token, err := os.ReadFile(s.token(who))
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(s.out, "home", who)
	env := []string{
		"STRONGROOM_URL=" + s.api,
		"STRONGROOM_CA=" + filepath.Join(s.data, "public/ca.pem"),
		"STRONGROOM_TOKEN=" + strings.TrimSpace(string(token)),
		"STRONGROOM_HEROKU=" + s.heroku,
		"HOME=" + home, "XDG_CONFIG_HOME=" + filepath.Join(home, ".config"),
		"PATH=" + filepath.Dir(s.heroku) + ":" + os.Getenv("PATH"),
	}
	for _, name := range []string{"LANG", "TERM", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// result is what a command said and how it ended.
type result struct {
	t    *testing.T
	line string
	out  string // standard output
	said string // standard output and error as they came
	code int
}

// both takes standard output and error as they come.
type both struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *both) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *both) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

var (
	colours = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)
	blanks  = regexp.MustCompile(`[ \t]+`)
)

// command runs a program as a person for at most five minutes.
func (s *site) command(t *testing.T, who, dir, name string, args ...string) *result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Dir = s.env(t, who), dir
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	var said both
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, &said), &said
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v\n%s", name, err, said.String())
	}
	return &result{
		t: t, line: strings.Join(append([]string{filepath.Base(name)}, args...), " "),
		out: out.String(), said: colours.ReplaceAllString(said.String(), ""), code: cmd.ProcessState.ExitCode(),
	}
}

// sr runs the strongroom command as a person.
func (s *site) sr(t *testing.T, who string, args ...string) *result {
	t.Helper()
	return s.command(t, who, s.out, s.program, args...)
}

// h runs the real heroku CLI as a person.
func (s *site) h(t *testing.T, who string, args ...string) *result {
	t.Helper()
	return s.herokuIn(t, who, s.out, args...)
}

// herokuIn runs the real heroku CLI as a person in a folder.
func (s *site) herokuIn(t *testing.T, who, dir string, args ...string) *result {
	t.Helper()
	r := s.command(t, who, dir, s.program, append([]string{"heroku"}, args...)...)
	if r.code == 0 {
		ran.Succeeded(t.Name(), args)
	}
	return r
}

// ok wants the command to have succeeded and said all the words.
func (r *result) ok(words ...string) *result {
	r.t.Helper()
	if r.code != 0 {
		r.t.Fatalf("%s: exit code %d\n%s", r.line, r.code, r.said)
	}
	return r.says(words...)
}

// fails wants the command to have failed and said all the words.
func (r *result) fails(words ...string) *result {
	r.t.Helper()
	if r.code == 0 {
		r.t.Fatalf("%s: succeeded\n%s", r.line, r.said)
	}
	return r.says(words...)
}

func (r *result) says(words ...string) *result {
	r.t.Helper()
	for _, w := range words {
		if !strings.Contains(r.said, w) && !strings.Contains(blanks.ReplaceAllString(r.said, " "), w) {
			r.t.Fatalf("%s: does not say %q\n%s", r.line, w, r.said)
		}
	}
	return r
}

// repository makes a git repository in the parent folder, of an example, if one is
// named, and of files, with the app as its remote, and gives its folder.
func (s *site) repository(t *testing.T, parent, app, example string, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(parent, app)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if example != "" {
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(s.repo, "examples", example))); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.git(t, "developer", dir, "init", "-q", "-b", "main").ok()
	s.commit(t, dir, "First version")
	s.herokuIn(t, "developer", dir, "git:remote", "-a", app).ok()
	return dir
}

// commit commits all that changed in the folder.
func (s *site) commit(t *testing.T, dir, message string) {
	t.Helper()
	s.git(t, "developer", dir, "add", "-A").ok()
	s.git(t, "developer", dir, "-c", "user.name=Developer", "-c", "user.email=developer@example.org", "commit", "-q", "--allow-empty", "-m", message).ok()
}

// git runs git as a person, whose token the server gets by a credential helper.
func (s *site) git(t *testing.T, who, dir string, args ...string) *result {
	t.Helper()
	helper := "!f() { echo username=heroku; echo password=$STRONGROOM_TOKEN; }; f"
	base := []string{
		"GIT_TERMINAL_PROMPT=0", "GIT_SSL_CAINFO=" + filepath.Join(s.data, "public/ca.pem"),
		"git", "-c", "credential.helper=", "-c", "credential.helper=" + helper,
	}
	r := s.command(t, who, dir, "env", append(base, args...)...)
	if r.code == 0 {
		ran.Succeeded(t.Name(), append([]string{"git"}, args...))
	}
	return r
}

// push pushes main and approves the release that comes of it; it gives what
// the pusher saw.
func (s *site) push(t *testing.T, app, dir string) *result {
	t.Helper()
	r := s.git(t, "developer", dir, "push", "heroku", "main").ok()
	s.approve(t, app)
	return r
}

// approve approves the app's newest release that waits for it.
func (s *site) approve(t *testing.T, app string) {
	t.Helper()
	v := strings.TrimSpace(s.command(t, "developer", s.out, "sh", "-c",
		`"$0" heroku releases -a "$1" --json | jq -r 'map(select(.strongroom.status == "waiting")) | map(.version) | max // empty'`, s.program, app).ok().out)
	if v == "" {
		t.Fatalf("no release of %s waits for approval", app)
	}
	s.sr(t, "approver", "releases:approve", "v"+v, "--app", app, "--note", "test").ok()
}

// client is an HTTP client that trusts what the app's host presents only if it
// is signed by the authority of its space.
func (s *site) client(t *testing.T, app string) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	conn, err := tls.Dial("tcp", s.edge, &tls.Config{ServerName: s.host(app), InsecureSkipVerify: true}) // to fetch the authority
	if err != nil {
		t.Fatal(err)
	}
	chain := conn.ConnectionState().PeerCertificates
	conn.Close()
	roots.AddCert(chain[len(chain)-1])
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, ServerName: s.host(app)},
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, s.edge)
		},
	}}
}

func (s *site) host(app string) string { return app + "." + s.domain }

// get fetches a path of an app; the error says what came if it was not 200.
func (s *site) get(c *http.Client, app, path string) (string, error) {
	resp, err := c.Get("https://" + s.host(app) + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s%s: %s: %.200s", app, path, resp.Status, body)
	}
	return string(body), nil
}

// eventually wants try to succeed within limit.
func eventually(t *testing.T, limit time.Duration, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen within %s: %v", what, limit, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// pid is the process that is the part: server, engine, edge, spool, or
// containerd.
func (s *site) pid(part string) (int, error) {
	procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	ours := regexp.MustCompile(`^(` + regexp.QuoteMeta(s.program) + ` ` + part + ` .*strongroom-` + s.name + `\b|\S*` + part + ` --config ` + regexp.QuoteMeta(s.data) + `/)`)
	for _, p := range procs {
		line, err := os.ReadFile(p)
		if err != nil {
			continue // it ended
		}
		if ours.Match(bytes.ReplaceAll(line, []byte{0}, []byte{' '})) {
			return strconv.Atoi(filepath.Base(filepath.Dir(p)))
		}
	}
	return 0, fmt.Errorf("there is no process %s", part)
}
