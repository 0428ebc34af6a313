//go:build integration

package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/spool"
)

// herokuCLI finds the real heroku CLI: $STRONGROOM_HEROKU, that of the build
// directory, or one in the path.
func herokuCLI(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("STRONGROOM_HEROKU"); path != "" {
		return path
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if path := filepath.Join(root, "build/heroku/node_modules/.bin/heroku"); exists(path) {
		return path
	}
	path, err := exec.LookPath("heroku")
	if err != nil {
		t.Fatal("no heroku CLI: set STRONGROOM_HEROKU")
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// platform is as much of the API as `heroku logs` asks for, over a real spool.
type platform struct {
	url      string
	sessions *Sessions
	spool    *spool.Client
	pipe     *os.File // what the app's dyno prints to

	mu      sync.Mutex
	streams []string // Last-Event-ID of each request for a stream
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{sessions: NewSessions(), spool: startSpool(t)}
	path := filepath.Join(t.TempDir(), "stdout")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if p.pipe, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.pipe.Close() })
	err = p.spool.Open(t.Context(), spool.Stream{
		ID: "web.1-stdout", Space: "s1", App: "x", Source: "app", Dyno: "web.1", Path: path,
	})
	if err != nil {
		t.Fatal(err)
	}
	handler := NewHandler(p.sessions, p.spool, testLog(t))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /apps/x", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"name":"x","generation":{"name":"cedar"}}`))
	})
	mux.HandleFunc("POST /apps/x/log-sessions", p.create)
	mux.HandleFunc("GET /log-streams/{token}", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.streams = append(p.streams, r.Header.Get("Last-Event-ID"))
		p.mu.Unlock()
		handler.ServeHTTP(w, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	return p
}

func startSpool(t *testing.T) *spool.Client {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "sock")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- spool.Run(ctx, spool.Config{
			Dir: filepath.Join(dir, "logs"), Run: filepath.Join(dir, "run"), Socket: socket,
		}, testLog(t))
	}()
	client := spool.Dial(socket)
	t.Cleanup(func() {
		client.CloseIdle()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	until(t, "spool answers", func() bool {
		_, err := client.Streams(t.Context())
		return err == nil
	})
	return client
}

func (p *platform) create(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Lines        int
		Tail         bool
		Dyno, Source string
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	token, err := p.sessions.Create(Session{
		Space: "s1", App: "x", Lines: body.Lines, Tail: body.Tail, Dyno: body.Dyno, Source: body.Source,
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json") // or the CLI does not read it
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]string{"logplex_url": p.url + "/log-streams/" + token})
}

func (p *platform) print(t *testing.T, text string) {
	t.Helper()
	if _, err := p.pipe.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func (p *platform) say(t *testing.T, dyno, text string) {
	t.Helper()
	if err := p.spool.Write(t.Context(), spool.Line{Space: "s1", App: "x", Dyno: dyno, Text: text}); err != nil {
		t.Fatal(err)
	}
}

func (p *platform) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.streams...)
}

// output is what a command prints, while it runs.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// heroku starts the CLI in a process group of its own, which ends with the test.
func (p *platform) heroku(t *testing.T, args ...string) (*exec.Cmd, *output) {
	t.Helper()
	cmd := exec.Command(herokuCLI(t), args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(),
		"HOME="+home, "XDG_DATA_HOME="+home, "XDG_CACHE_HOME="+home, "XDG_CONFIG_HOME="+home,
		"HEROKU_HOST="+p.url, "HEROKU_DATA_HOST=localhost", "HEROKU_PARTICLEBOARD_URL="+p.url,
		"HEROKU_API_KEY=test", "DISABLE_TELEMETRY=true", "HEROKU_SKIP_NEW_VERSION_CHECK=1", "HEROKU_DISABLE_AUTOUPDATE=1", "NO_COLOR=1",
	)
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended
		_ = cmd.Wait()
	})
	return cmd, out
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatal("never came true: " + what)
}

// lines are the output's, without the times.
func lines(out *output) []string {
	stamp := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 `)
	var all []string
	for line := range strings.Lines(out.String()) {
		if rest := stamp.ReplaceAllString(line, ""); rest != line {
			all = append(all, strings.TrimSuffix(rest, "\n"))
		}
	}
	return all
}

func TestHerokuLogs(t *testing.T) {
	p := newPlatform(t)
	p.print(t, "one\ntwo é €\n")
	until(t, "the dyno's lines are kept", func() bool {
		body, err := p.spool.Logs(t.Context(), Session{Space: "s1", App: "x", Lines: 9}.query(""))
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		var b bytes.Buffer
		_, err = b.ReadFrom(body)
		return err == nil && strings.Count(b.String(), "\n") == 2
	})
	p.say(t, "web.1", "State changed from starting to up")
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"all":       {nil, []string{"app[web.1]: one", "app[web.1]: two é €", "heroku[web.1]: State changed from starting to up"}},
		"newest":    {[]string{"-n", "1"}, []string{"heroku[web.1]: State changed from starting to up"}},
		"by source": {[]string{"-s", "app"}, []string{"app[web.1]: one", "app[web.1]: two é €"}},
		"by dyno":   {[]string{"-d", "web.2"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			cmd, out := p.heroku(t, append([]string{"logs", "-a", "x"}, test.args...)...)
			if err := cmd.Wait(); err != nil {
				t.Fatalf("heroku logs: %v\n%s", err, out)
			}
			if got, want := strings.Join(lines(out), "\n"), strings.Join(test.want, "\n"); got != want {
				t.Errorf("heroku logs printed\n%s\nwant\n%s\nwhole output:\n%s", got, want, out)
			}
		})
	}
}

// A tail shows each line once, also over a broken connection, and ends with
// Heroku's message when the session is ended.
func TestHerokuLogsTail(t *testing.T) {
	p := newPlatform(t)
	p.say(t, "api", "Release v1 created")
	cmd, out := p.heroku(t, "logs", "--tail", "-a", "x")
	until(t, "the past is shown", func() bool { return len(lines(out)) == 1 })
	p.print(t, "live\n")
	until(t, "a live line is shown", func() bool { return len(lines(out)) == 2 })

	// The connection breaks; what is printed meanwhile comes with the next.
	p.cut()
	p.print(t, "meanwhile\n")
	until(t, "the CLI is back", func() bool { return len(lines(out)) == 3 })
	requests := p.requests()
	if len(requests) != 2 || requests[0] != "" || len(requests[1]) != 16 {
		t.Errorf("requests continue after %q", requests)
	}

	p.sessions.End(func(Session) bool { return true })
	if err := cmd.Wait(); err == nil {
		t.Error("the CLI ended well")
	}
	if !strings.Contains(out.String(), "Log stream timed out. Please try again.") {
		t.Errorf("the CLI said %s", out)
	}
	want := []string{"heroku[api]: Release v1 created", "app[web.1]: live", "app[web.1]: meanwhile"}
	if got := lines(out); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("heroku logs --tail printed %q, want %q", got, want)
	}
}

// cut ends the running streams and leaves their sessions open.
func (p *platform) cut() {
	p.sessions.mu.Lock()
	defer p.sessions.mu.Unlock()
	for _, open := range p.sessions.open {
		for st := range open.streams {
			st.cancel()
		}
	}
}
