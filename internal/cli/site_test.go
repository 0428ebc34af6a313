package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/client"
	"github.com/strongroom/strongroom/tests/port"
)

// said is what a command answered.
type said struct {
	code     int
	out, err string
}

// strongroom runs a command as main does.
func strongroom(ctx context.Context, stdin string, args ...string) said {
	var out, err bytes.Buffer
	root := newRoot(streams{strings.NewReader(stdin), &out, &err})
	root.SetArgs(args)
	c := code(root.ExecuteContext(ctx), &err)
	return said{c, out.String(), err.String()}
}

// site is an installation without an engine: init and server as an operator
// runs them, in a directory of the test's.
type site struct {
	t                 *testing.T
	data, config, url string
	ca, key, token    string
	stop              func() said // the server
}

// newSite makes an installation and serves it until the test ends. more are
// further settings of the server.
func newSite(t *testing.T, more map[string]any) *site {
	t.Helper()
	s := &site{t: t, data: t.TempDir()}
	s.config = filepath.Join(s.data, "strongroom.json")
	server := map[string]any{"rendezvous": port.Address(t), "bastion": port.Address(t)}
	for k, v := range more {
		server[k] = v
	}
	api := port.Address(t)
	server["api"] = api
	_, number, _ := net.SplitHostPort(api)
	s.url = "https://localhost:" + number
	b, err := json.Marshal(map[string]any{"data": s.data, "run": filepath.Join(s.data, "run"), "server": server})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.config, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var made struct{ Token, CA, LogKey string }
	made.LogKey = s.init(&made)
	s.token, s.ca = made.Token, made.CA
	s.key = filepath.Join(s.data, "log.vkey")
	if err := os.WriteFile(s.key, []byte(made.LogKey), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(s.data, "home"))
	t.Setenv("STRONGROOM_URL", s.url)
	t.Setenv("STRONGROOM_CA", s.ca)
	t.Setenv("STRONGROOM_TOKEN", s.token)
	if got := s.serve(); got.code != 0 {
		t.Fatalf("the server ended: %+v", got)
	}
	return s
}

func (s *site) init(into any) (logKey string) {
	s.t.Helper()
	got := strongroom(s.t.Context(), "", "init", "--config", s.config, "--email", "ops@example.org", "--json")
	var key struct {
		LogKey string `json:"log_key"`
	}
	if got.code != 0 || json.Unmarshal([]byte(got.out), into) != nil || json.Unmarshal([]byte(got.out), &key) != nil {
		s.t.Fatalf("init: %+v", got)
	}
	return key.LogKey
}

// serve runs the server until it is stopped or the test ends. If it ends before
// it answers, what it said is returned.
func (s *site) serve() said {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan said, 1)
	go func() { done <- strongroom(ctx, "", "server", "--config", s.config) }()
	s.stop = sync.OnceValue(func() said { cancel(); return <-done })
	s.t.Cleanup(func() {
		if end := s.stop(); end.code != 0 && !s.t.Failed() {
			s.t.Logf("the server ended with %d: %s", end.code, end.err)
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		select {
		case end := <-done:
			done <- end
			return end
		default:
		}
		if _, err := s.client().Me(ctx); err == nil {
			return said{}
		} else if time.Now().After(deadline) {
			s.t.Fatalf("the server does not answer: %v", err)
		}
	}
}

func (s *site) client() *client.Client {
	s.t.Helper()
	c, err := client.New(client.Config{URL: s.url, Token: s.token, CAFile: s.ca})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// space makes a team and a space through the API: the heroku CLI does it for
// people.
func (s *site) space(team, name string) {
	s.t.Helper()
	s.ok("teams:create", team)
	if err := s.client().Do(s.t.Context(), "POST", "/spaces", map[string]any{"name": name, "team": team}, nil); err != nil {
		s.t.Fatal(err)
	}
}

// ok runs a command that must succeed and gives its output.
func (s *site) ok(args ...string) string {
	s.t.Helper()
	got := strongroom(s.t.Context(), "", args...)
	if got.code != 0 {
		s.t.Fatalf("strongroom %s: exit code %d: %s", strings.Join(args, " "), got.code, got.err)
	}
	return got.out
}

// fails runs a command that must end with a code and say the words.
func (s *site) fails(code int, words string, args ...string) said {
	s.t.Helper()
	got := strongroom(s.t.Context(), "", args...)
	if got.code != code || !strings.Contains(got.out+got.err, words) {
		s.t.Errorf("strongroom %s: exit code %d, want %d with %q: %s%s", strings.Join(args, " "), got.code, code, words, got.out, got.err)
	}
	return got
}

// file writes a file of the test's.
func (s *site) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
