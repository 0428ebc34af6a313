package git

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

const appID = "0198c0de-0000-7000-8000-000000000001"

// gate lets the password "right" in, to the app "intake".
type gate struct{}

func (gate) Authorize(r *http.Request, app string, write bool) (Repo, error) {
	switch _, password, ok := r.BasicAuth(); {
	case !ok:
		return Repo{}, fault.New(fault.Unauthenticated, "Log in first.")
	case password == "reader" && write:
		return Repo{}, fault.New(fault.Forbidden, "You may read this app, not deploy it.")
	case password != "right" && password != "reader":
		return Repo{}, fault.New(fault.Unauthenticated, "That key is not valid.")
	case app != "intake":
		return Repo{}, fault.New(fault.NotFound, "Couldn't find that app.")
	}
	return Repo{App: appID, Name: app, Actor: "someone"}, nil
}

// deployer records what is deployed and does what the test says.
type deployer struct {
	mu     sync.Mutex
	pushes []Push
	then   func(ctx context.Context, p Push, out io.Writer) error
}

func (d *deployer) Deploy(ctx context.Context, p Push, out io.Writer) error {
	d.mu.Lock()
	d.pushes = append(d.pushes, p)
	then := d.then
	d.mu.Unlock()
	if then != nil {
		return then(ctx, p, out)
	}
	_, err := io.WriteString(out, "-----> Deployed\n")
	return err
}

func (d *deployer) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.pushes)
}

// site is a server with a client's work tree.
type site struct {
	t        *testing.T
	handler  *Handler
	server   *httptest.Server
	deployer *deployer
	work     string
	ca       string
}

func newSite(t *testing.T, c Config) *site {
	t.Helper()
	c.Root = filepath.Join(t.TempDir(), "repositories")
	s := &site{t: t, deployer: &deployer{}, work: filepath.Join(t.TempDir(), "work")}
	var err error
	if s.handler, err = New(c, gate{}, s.deployer); err != nil {
		t.Fatal(err)
	}
	s.handler.patience = time.Second
	s.server = httptest.NewUnstartedServer(s.handler)
	s.server.EnableHTTP2 = true
	s.server.StartTLS()
	t.Cleanup(func() {
		s.server.Close()
		s.handler.Close()
	})
	s.ca = filepath.Join(t.TempDir(), "ca.pem")
	raw := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.server.Certificate().Raw})
	if err := os.WriteFile(s.ca, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.work, 0o700); err != nil {
		t.Fatal(err)
	}
	s.must("init", "-q", "-b", "main")
	s.commit("README", "hello\n")
	return s
}

func (s *site) url(app, password string) string {
	u, _ := url.Parse(s.server.URL)
	u.User, u.Path = url.UserPassword("", password), "/"+app+".git"
	return u.String()
}

func (s *site) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.t.Context(), "git", args...)
	cmd.Dir = s.work
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.work, "GIT_CONFIG_NOSYSTEM=1", "GIT_SSL_CAINFO=" + s.ca, "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org",
	}
	return cmd
}

func (s *site) git(args ...string) (string, error) {
	out, err := s.command(args...).CombinedOutput()
	return string(out), err
}

func (s *site) must(args ...string) string {
	s.t.Helper()
	out, err := s.git(args...)
	if err != nil {
		s.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

func (s *site) commit(name, content string) string {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.work, name), []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.must("add", "-A")
	s.must("commit", "-q", "-m", name)
	return s.must("rev-parse", "HEAD")
}

// at is what the server's ref points at.
func (s *site) at(ref string) string {
	s.t.Helper()
	r, err := s.handler.open(s.t.Context(), appID)
	if err != nil {
		s.t.Fatal(err)
	}
	id, err := r.resolve(s.t.Context(), ref)
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

func await(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatal("the deploy never began")
	}
}

func TestPushDeploysAndShowsOutput(t *testing.T) {
	s := newSite(t, Config{})
	var files string
	s.deployer.then = func(ctx context.Context, p Push, out io.Writer) error {
		fmt.Fprintln(out, "-----> Building intake")
		tree, err := p.Archive(ctx)
		if err != nil {
			return err
		}
		defer tree.Close()
		cmd := exec.Command("tar", "-t")
		cmd.Stdin = tree
		list, err := cmd.Output()
		files = string(list)
		return err
	}
	head := s.must("rev-parse", "HEAD")
	out := s.must("push", s.url("intake", "right"), "main")
	if !strings.Contains(out, "remote: -----> Building intake") {
		t.Errorf("the build's output is not shown:\n%s", out)
	}
	if files != "README\n" {
		t.Errorf("archive of the pushed commit: %q", files)
	}
	if s.deployer.count() != 1 {
		t.Fatalf("%d deploys", s.deployer.count())
	}
	p := s.deployer.pushes[0]
	if p.Commit != head || p.Ref != "refs/heads/main" || p.Old != "" || p.Repo.App != appID || p.Repo.Actor != "someone" {
		t.Errorf("push %+v", p)
	}
	if got := s.at("refs/heads/main"); got != head {
		t.Errorf("main is at %q, want %q", got, head)
	}

	// A second push carries the first as its old commit; a clone has both.
	second := s.commit("second", "2")
	s.must("push", s.url("intake", "right"), "main")
	if p := s.deployer.pushes[1]; p.Old != head || p.Commit != second {
		t.Errorf("second push %+v", p)
	}
	for _, protocol := range []string{"0", "2"} {
		clone := filepath.Join(t.TempDir(), "clone")
		s.must("-c", "protocol.version="+protocol, "clone", "-q", s.url("intake", "reader"), clone)
		if raw, err := os.ReadFile(filepath.Join(clone, "second")); err != nil || string(raw) != "2" {
			t.Errorf("clone with protocol %s: %q, %v", protocol, raw, err)
		}
	}
	tree, err := s.handler.Archive(t.Context(), appID, head)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if _, err := io.Copy(io.Discard, tree); err != nil {
		t.Errorf("archive of an earlier commit: %v", err)
	}
}

func TestMasterDeploysAndBecomesHead(t *testing.T) {
	s := newSite(t, Config{})
	s.must("push", s.url("intake", "right"), "main:master")
	if s.deployer.count() != 1 || s.at("HEAD") == "" {
		t.Errorf("%d deploys, HEAD at %q", s.deployer.count(), s.at("HEAD"))
	}
}

func TestForcePushDeploys(t *testing.T) {
	s := newSite(t, Config{})
	s.commit("a", "1")
	s.must("push", s.url("intake", "right"), "main")
	s.must("reset", "-q", "--hard", "HEAD~1")
	other := s.commit("b", "2")
	if out, err := s.git("push", s.url("intake", "right"), "main"); err == nil {
		t.Fatalf("a push that rewrites history went through without --force:\n%s", out)
	}
	s.must("push", "--force", s.url("intake", "right"), "main")
	if got := s.at("refs/heads/main"); got != other || s.deployer.count() != 2 {
		t.Errorf("main at %q after %d deploys, want %q after 2", got, s.deployer.count(), other)
	}
}

func TestFailedDeployRejectsPush(t *testing.T) {
	cases := []struct {
		name       string
		err        error
		says, hide string
	}{
		{"of the app", fault.New(fault.Invalid, "The Procfile's line 3 has no command."), "remote:  !     The Procfile's line 3 has no command.", ""},
		{"of the platform", errors.New("dial /run/secret.sock: refused"), "not yours", "secret.sock"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, Config{})
			s.deployer.then = func(_ context.Context, _ Push, out io.Writer) error {
				fmt.Fprintln(out, "-----> Node.js app detected")
				return c.err
			}
			out, err := s.git("push", s.url("intake", "right"), "main")
			if err == nil {
				t.Fatalf("the push went through:\n%s", out)
			}
			for _, want := range []string{"-----> Node.js app detected", c.says, "Push rejected", "pre-receive hook declined"} {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in:\n%s", want, out)
				}
			}
			if c.hide != "" && strings.Contains(out, c.hide) {
				t.Errorf("an internal error is shown:\n%s", out)
			}
			if got := s.at("refs/heads/main"); got != "" {
				t.Errorf("main is at %s", got)
			}
			// The same commit can be pushed again.
			s.deployer.then = nil
			s.must("push", s.url("intake", "right"), "main")
		})
	}
}

func TestWhatDoesNotDeploy(t *testing.T) {
	s := newSite(t, Config{})
	s.must("tag", "-a", "-m", "x", "v1")
	out := s.must("push", s.url("intake", "right"), "main:feature", "v1")
	if !strings.Contains(out, "feature, which does not deploy") || s.deployer.count() != 0 {
		t.Errorf("%d deploys:\n%s", s.deployer.count(), out)
	}
	s.must("push", s.url("intake", "right"), "main")
	s.commit("more", "1")
	s.must("tag", "-f", "-a", "-m", "x", "later")
	blob := s.must("rev-parse", "HEAD:more")
	refused := map[string][]string{
		"neither a branch nor a tag":      {"main:refs/pull/1/head"},
		"cannot be deleted":               {":main"},
		"both main and master":            {"main", "main:master"},
		"is not a commit":                 {blob + ":refs/heads/master"},
		"nor a tag":                       {"main:refs/strange"},
		"not a commit; only commits depl": {"later:refs/heads/master"},
	}
	for says, refs := range refused {
		out, err := s.git(append([]string{"push", s.url("intake", "right")}, refs...)...)
		if err == nil || !(strings.Contains(out, says) || strings.Contains(out, "cannot be resolved to branch") || strings.Contains(out, "not a commit")) {
			t.Errorf("push %v: %v, want a refusal that says %q:\n%s", refs, err, says, out)
		}
	}
	if s.deployer.count() != 1 {
		t.Errorf("%d deploys, want 1", s.deployer.count())
	}
	s.must("push", s.url("intake", "right"), ":feature")
}

func TestAccess(t *testing.T) {
	s := newSite(t, Config{})
	refused := []struct{ app, password, says string }{
		{"intake", "wrong", "Authentication failed"},
		{"intake", "reader", "You may read this app"},
		{"other", "right", "Couldn't find that app"},
	}
	for _, r := range refused {
		out, err := s.git("push", s.url(r.app, r.password), "main")
		if err == nil || !strings.Contains(out, r.says) {
			t.Errorf("push to %s as %s: %v, want %q:\n%s", r.app, r.password, err, r.says, out)
		}
	}
	if s.deployer.count() != 0 {
		t.Error("a refused push deployed")
	}
	entries, err := os.ReadDir(s.handler.root)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 { // the hooks
		t.Errorf("refused requests left %v", entries)
	}
}

func TestHostileRequests(t *testing.T) {
	s := newSite(t, Config{})
	client := s.server.Client()
	cases := []struct {
		name, method, path, contentType string
		want                            int
	}{
		{"dots", "GET", "/../etc.git/info/refs?service=git-upload-pack", "", 404},
		{"encoded dots", "GET", "/%2e%2e%2f%2e%2e%2fetc.git/info/refs?service=git-upload-pack", "", 404},
		{"encoded slash", "GET", "/intake%2f..%2fx.git/info/refs?service=git-upload-pack", "", 404},
		{"nul", "GET", "/intake%00.git/info/refs?service=git-upload-pack", "", 404},
		{"option", "GET", "/--upload-pack=x.git/info/refs?service=git-upload-pack", "", 404},
		{"capital", "GET", "/Intake.git/info/refs?service=git-upload-pack", "", 404},
		{"long", "GET", "/" + strings.Repeat("a", 300) + ".git/info/refs?service=git-upload-pack", "", 404},
		{"a file", "GET", "/intake.git/config", "", 404},
		{"dumb", "GET", "/intake.git/info/refs", "", 403},
		{"another service", "GET", "/intake.git/info/refs?service=git-archive", "", 403},
		{"service with options", "GET", "/intake.git/info/refs?service=git-upload-pack%20--x", "", 403},
		{"post refs", "POST", "/intake.git/info/refs?service=git-upload-pack", "", 405},
		{"get push", "GET", "/intake.git/git-receive-pack", "application/x-git-receive-pack-request", 405},
		{"form", "POST", "/intake.git/git-receive-pack", "text/plain", 415},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), c.method, s.server.URL+c.path, strings.NewReader("0000"))
			if err != nil {
				t.Fatal(err)
			}
			req.SetBasicAuth("", "right")
			req.Header.Set("Content-Type", c.contentType)
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != c.want {
				t.Errorf("got %d, want %d", res.StatusCode, c.want)
			}
		})
	}
}

// post sends a raw request to git-receive-pack.
func (s *site) post(body io.Reader, encoding string) (int, string, error) {
	req, err := http.NewRequestWithContext(s.t.Context(), "POST", s.server.URL+"/intake.git/git-receive-pack", body)
	if err != nil {
		return 0, "", err
	}
	req.SetBasicAuth("", "right")
	req.Header.Set("Content-Type", "application/x-git-receive-pack-request")
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	res, err := s.server.Client().Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, string(answer), err
}

func command(ref string) string {
	line := strings.Repeat("0", 40) + " " + strings.Repeat("1", 40) + " " + ref + "\x00 report-status side-band-64k agent=test\n"
	return fmt.Sprintf("%04x%s0000", len(line)+4, line)
}

func TestGarbagePacks(t *testing.T) {
	s := newSite(t, Config{})
	noise := make([]byte, 1<<16)
	rand.Read(noise)
	bodies := map[string]string{
		"nothing":                "",
		"noise":                  string(noise),
		"a line that never ends": "fff0abc",
		"no pack":                command("refs/heads/main"),
		"noise for a pack":       command("refs/heads/main") + string(noise),
		"pack header only":       command("refs/heads/main") + "PACK\x00\x00\x00\x02\x00\x00\x00\x01",
		"huge object count":      command("refs/heads/main") + "PACK\x00\x00\x00\x02\xff\xff\xff\xff" + string(noise),
		"traversal ref":          command("refs/heads/../../../config") + "PACK",
		"option ref":             command("--exec=/bin/sh") + "PACK",
		"lock ref":               command("refs/heads/main.lock") + "PACK",
		"newline ref":            command("refs/heads/a\nb") + "PACK",
		"escape ref":             command("refs/heads/\x1b[2J") + "PACK",
	}
	for name, body := range bodies {
		for _, encoding := range []string{"", "gzip"} {
			if status, answer, err := s.post(strings.NewReader(body), encoding); err == nil && status == 200 && strings.Contains(answer, "unpack ok") {
				t.Errorf("%s (%s) was accepted: %q", name, encoding, answer)
			}
		}
	}
	if s.deployer.count() != 0 {
		t.Error("garbage deployed")
	}
	if got := s.at("refs/heads/main"); got != "" {
		t.Errorf("main is at %s", got)
	}
	// The repository works on.
	s.must("push", s.url("intake", "right"), "main")
	s.must("--git-dir="+filepath.Join(s.handler.root, appID+".git"), "fsck", "--strict")
}

func TestOversizedPushIsRefusedClearly(t *testing.T) {
	s := newSite(t, Config{MaxPush: 1 << 20})
	big := make([]byte, 9<<20)
	rand.Read(big)
	s.commit("big", string(big))
	for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
		out, err := s.git("-c", "http.version="+version, "push", s.url("intake", "right"), "main")
		if err == nil {
			t.Fatalf("%s: the push went through:\n%s", version, out)
		}
		for _, want := range []string{"remote: This push is larger than 1 MiB", "the push was refused"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in:\n%s", version, want, out)
			}
		}
	}
	if s.deployer.count() != 0 || s.at("refs/heads/main") != "" {
		t.Error("it deployed")
	}
	left, _ := filepath.Glob(filepath.Join(s.handler.root, appID+".git", "objects", "*incoming*"))
	if len(left) != 0 {
		t.Errorf("objects of refused pushes are left: %v", left)
	}
}

func TestGzipBombIsBounded(t *testing.T) {
	s := newSite(t, Config{MaxPush: 1 << 20})
	cmd := exec.Command("sh", "-c", "{ cat; head -c 200000000 /dev/zero; } | gzip -9")
	cmd.Stdin = strings.NewReader(command("refs/heads/main"))
	bomb, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if _, answer, err := s.post(bytes.NewReader(bomb), "gzip"); err != nil || !strings.Contains(answer, "larger than 1 MiB") {
		t.Errorf("answer: %q, %v", answer, err)
	}
	if s.deployer.count() != 0 {
		t.Error("it deployed")
	}
}

// A deploy that says nothing for longer than a client may stay idle goes on.
func TestQuietDeploy(t *testing.T) {
	s := newSite(t, Config{IdleTimeout: 300 * time.Millisecond})
	s.deployer.then = func(_ context.Context, _ Push, out io.Writer) error {
		fmt.Fprintln(out, "-----> Begins")
		time.Sleep(1200 * time.Millisecond)
		fmt.Fprintln(out, "-----> Ends")
		return nil
	}
	for i, version := range []string{"HTTP/1.1", "HTTP/2"} {
		s.commit("file", fmt.Sprint(i))
		out := s.must("-c", "http.version="+version, "push", s.url("intake", "right"), "main")
		if !strings.Contains(out, "-----> Ends") {
			t.Errorf("%s:\n%s", version, out)
		}
	}
}

func TestFullRepositoryTakesNoMore(t *testing.T) {
	s := newSite(t, Config{MaxRepository: 1})
	out, err := s.git("push", s.url("intake", "right"), "main")
	if err == nil || !strings.Contains(out, "The repository of intake takes") {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestBrokenObjectsAreRefused(t *testing.T) {
	s := newSite(t, Config{})
	// A tree that escapes when checked out: git's fsck knows it.
	blob := s.must("rev-parse", "HEAD:README")
	mktree := s.command("mktree")
	mktree.Stdin = strings.NewReader("040000 tree " + s.must("write-tree") + "\t.git\n100644 blob " + blob + "\tREADME\n")
	out, err := mktree.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	bad := s.must("commit-tree", "-m", "bad", strings.TrimSpace(string(out)))
	answer, err := s.git("push", s.url("intake", "right"), bad+":refs/heads/main")
	if err == nil || !strings.Contains(answer, "hasDotgit") {
		t.Errorf("%v:\n%s", err, answer)
	}
	if s.deployer.count() != 0 {
		t.Error("it deployed")
	}
}

func TestOnePushAtATime(t *testing.T) {
	s := newSite(t, Config{})
	entered, leave := make(chan struct{}), make(chan struct{})
	s.deployer.then = func(ctx context.Context, _ Push, _ io.Writer) error {
		close(entered)
		select {
		case <-leave:
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	first := s.command("push", s.url("intake", "right"), "main")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, entered)
	out, err := s.git("push", s.url("intake", "right"), "main:master")
	if err == nil || !strings.Contains(out, "Another push to intake is being deployed") {
		t.Errorf("second push: %v\n%s", err, out)
	}
	// Reading is not held up.
	s.must("ls-remote", s.url("intake", "reader"))
	close(leave)
	if err := first.Wait(); err != nil {
		t.Errorf("first push: %v", err)
	}
	if s.deployer.count() != 1 {
		t.Errorf("%d deploys", s.deployer.count())
	}
}

func TestPushesDoNotStopFetches(t *testing.T) {
	s := newSite(t, Config{MaxConcurrent: 1})
	s.handler.patience = 100 * time.Millisecond
	s.must("push", s.url("intake", "right"), "main") // something to fetch
	s.commit("more", "more\n")
	started, finish := make(chan struct{}), make(chan struct{})
	s.deployer.then = func(context.Context, Push, io.Writer) error {
		close(started)
		<-finish
		return nil
	}
	push := s.command("push", s.url("intake", "right"), "main")
	if err := push.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, started)
	s.must("clone", "-q", s.url("intake", "right"), "clone")
	if out, err := s.git("push", s.url("intake", "right"), "HEAD~1:refs/heads/other"); err == nil || !strings.Contains(out, "Too many git requests") {
		t.Errorf("a second push: %v\n%s", err, out)
	}
	close(finish)
	if err := push.Wait(); err != nil {
		t.Error(err)
	}
	s.handler.reads <- struct{}{}
	if out, err := s.git("ls-remote", s.url("intake", "right")); err == nil || !strings.Contains(out, "503") {
		t.Errorf("a list of refs when all places are taken: %v\n%s", err, out)
	}
	s.handler.reads.release()
	s.must("ls-remote", s.url("intake", "right"))
}

func TestClientThatLeavesDoesNotEndTheDeploy(t *testing.T) {
	s := newSite(t, Config{})
	entered, left, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	s.deployer.then = func(ctx context.Context, _ Push, out io.Writer) error {
		close(entered)
		<-left
		for range 200 { // more than pipes hold
			if _, err := io.WriteString(out, strings.Repeat("x", 1000)+"\n"); err != nil {
				done <- err
				return err
			}
		}
		time.Sleep(100 * time.Millisecond)
		done <- ctx.Err()
		return ctx.Err()
	}
	push := s.command("push", s.url("intake", "right"), "main")
	if err := push.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, entered)
	push.Process.Kill()
	push.Wait()
	s.server.CloseClientConnections()
	close(left)
	if err := <-done; err != nil {
		t.Errorf("the deploy ended with the client: %v", err)
	}
	head := s.must("rev-parse", "HEAD")
	for range 100 {
		if s.at("refs/heads/main") == head {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the deployed commit is not what main is at")
}

func TestUploadCutOffDoesNotDeploy(t *testing.T) {
	s := newSite(t, Config{IdleTimeout: 300 * time.Millisecond})
	r, w := io.Pipe()
	go func() {
		io.WriteString(w, command("refs/heads/main")+"PACK\x00\x00\x00\x02\x00\x00\x00\x01")
		time.Sleep(2 * time.Second)
		w.CloseWithError(errors.New("gone"))
	}()
	began := time.Now()
	s.post(r, "")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("an idle client held the request for %v", took)
	}
	if s.deployer.count() != 0 {
		t.Error("it deployed")
	}
	s.must("push", s.url("intake", "right"), "main")
}

func TestRemoveDeletesTheRepository(t *testing.T) {
	s := newSite(t, Config{})
	s.must("push", s.url("intake", "right"), "main")
	if err := s.handler.Remove(t.Context(), appID); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.handler.root, appID+".git")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
	s.must("push", s.url("intake", "right"), "main")
}

func TestServerEnvironmentDoesNotReachGit(t *testing.T) {
	t.Setenv("SECRET_OF_THE_SERVER", "1")
	t.Setenv("GIT_EXEC_PATH", "/nonexistent")
	s := &site{t: t}
	h, err := New(Config{Root: t.TempDir()}, gate{}, &deployer{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	r, err := h.open(s.t.Context(), appID)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range r.command(t.Context(), "version").Env {
		if strings.HasPrefix(v, "SECRET") || strings.HasPrefix(v, "GIT_EXEC") {
			t.Errorf("git gets %s", v)
		}
	}
	info, err := os.Stat(r.dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("repository has mode %v, %v", info.Mode(), err)
	}
}

func FuzzReadProposal(f *testing.F) {
	id := strings.Repeat("a", 40)
	f.Add("/r/objects/tmp_objdir-incoming-x\n" + id + " " + id + " refs/heads/main\n.\n")
	f.Add("/r/objects/../../etc\n.\n")
	f.Add("\n\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := readProposal(strings.NewReader(text), "/r/objects")
		if err != nil {
			return
		}
		if p.quarantine != "" && filepath.Dir(p.quarantine) != "/r/objects" {
			t.Errorf("quarantine %q", p.quarantine)
		}
		deploy, _, refusal := judge(p.updates)
		if refusal == "" && deploy != nil && (deploy.deletes() || !objectPattern.MatchString(deploy.new)) {
			t.Errorf("deploys %+v", *deploy)
		}
	})
}
