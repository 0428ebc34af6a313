package cli

import (
	"crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNamesOfServers refuses every name that would make the heroku CLI fall
// back to Heroku, and send the token there.
func TestNamesOfServers(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("STRONGROOM_CA", "")
	t.Setenv("STRONGROOM_TOKEN", "SECRET-TOKEN")
	// If it were run, this would be seen.
	cli := filepath.Join(t.TempDir(), "heroku")
	if err := os.WriteFile(cli, []byte("#!/bin/sh\necho \"ran with $HEROKU_HOST\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("STRONGROOM_HEROKU", cli)
	for url, code := range map[string]int{
		"https://localhost:5443":                   0,
		"https://localhost.paas.example.org":       0,
		"https://127.0.0.1:5443":                   0,
		"https://paas.example.org":                 1,
		"https://api.heroku.com":                   1,
		"https://paas.example.org:5443":            1,
		"https://paas.example.org/localhost":       1,
		"https://localhost@paas.example.org":       1,
		"https://paas.example.org?localhost":       1,
		"http://localhost:5443":                    1,
		"https://user:localhost@paas.example.org/": 1,
	} {
		t.Setenv("STRONGROOM_URL", url)
		for _, command := range [][]string{{"env"}, {"env", "--json"}, {"heroku", "apps"}} {
			got := strongroom(t.Context(), "", command...)
			if got.code != code {
				t.Errorf("%s: %v: exit code %d, want %d: %s", url, command, got.code, code, got.err)
			}
			if code != 0 && strings.Contains(got.out+got.err, "SECRET-TOKEN") {
				t.Errorf("%s: %v tells the token", url, command)
			}
			if code == 0 && command[0] == "heroku" && !strings.HasPrefix(got.out, "ran with https://") {
				t.Errorf("%s: %+v", url, got)
			}
		}
	}
}

func TestHerokusExitCode(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("STRONGROOM_URL", "https://localhost:5443")
	t.Setenv("STRONGROOM_TOKEN", "x")
	cli := filepath.Join(t.TempDir(), "heroku")
	if err := os.WriteFile(cli, []byte("#!/bin/sh\ntest -z \"$HEROKU_ORGANIZATION\" && exit 42\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("STRONGROOM_HEROKU", cli)
	t.Setenv("HEROKU_ORGANIZATION", "from before")
	if got := strongroom(t.Context(), "", "heroku", "run", "--exit-code"); got.code != 42 {
		t.Errorf("%+v, want 42", got)
	}
	t.Setenv("STRONGROOM_HEROKU", filepath.Join(t.TempDir(), "none"))
	if got := strongroom(t.Context(), "", "heroku", "apps"); got.code != 1 || !strings.Contains(got.err, "npm install -g heroku") {
		t.Errorf("without the heroku CLI: %+v", got)
	}
}

// TestGitCredential asks git itself, with what env prints and nothing else.
func TestGitCredential(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("STRONGROOM_URL", "https://localhost:5443")
	t.Setenv("STRONGROOM_CA", "")
	t.Setenv("STRONGROOM_TOKEN", "HRKU-it's a token")
	home := t.TempDir()
	// Another helper that would keep the token, and would answer first.
	kept := filepath.Join(home, "kept")
	config := "[credential]\n\thelper = \"!f() { cat >>" + kept + "; }; f\"\n[user]\n\tname = Dana\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	env := strongroom(t.Context(), "", "env").out
	t.Setenv("GIT_CONFIG_COUNT", "1")
	beside := strongroom(t.Context(), "", "env").out
	git := func(script string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", script, err, out)
		}
		return string(out)
	}
	fill := "printf 'protocol=https\\nhost=localhost:5443\\n\\n' | git credential fill"
	for name, script := range map[string]string{
		"once":  env + fill,
		"twice": env + env + fill,
		"beside other settings": "export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=user.email GIT_CONFIG_VALUE_0=dana@example.org\n" + beside +
			"test \"$(git config user.email)\" = dana@example.org\n" + fill,
	} {
		if got := git(script); !strings.Contains(got, "username=heroku\npassword=HRKU-it's a token\n") {
			t.Errorf("%s: git was told %q", name, got)
		}
	}
	git(env + "printf 'protocol=https\\nhost=localhost:5443\\nusername=heroku\\npassword=x\\n\\n' | git credential approve")
	if _, err := os.Stat(kept); err == nil {
		t.Error("another helper was told the token")
	}
	// Of another server git knows nothing.
	if got := git(env + "printf 'protocol=https\\nhost=example.org\\n\\n' | git credential fill 2>&1 || true"); strings.Contains(got, "HRKU") {
		t.Errorf("another server would get %q", got)
	}
}

func TestProfile(t *testing.T) {
	s := newSite(t, nil)
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	for _, name := range []string{"STRONGROOM_URL", "STRONGROOM_CA", "STRONGROOM_TOKEN"} {
		t.Setenv(name, "")
	}
	s.fails(1, "Run: strongroom login URL", "ledger:key")
	old := &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}, InsecureSkipVerify: true} //nolint:gosec // it is to be turned away
	if c, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), old); err == nil {
		c.Close()
		t.Error("the API speaks a cipher suite without authenticated encryption")
	}
	if got := strongroom(t.Context(), "wrong\n", "login", s.url, "--ca", s.ca); got.code != 1 || got.err == "" {
		t.Errorf("with a wrong token: %+v", got)
	}
	file := filepath.Join(home, "strongroom", "profile.json")
	if _, err := os.Stat(file); err == nil {
		t.Error("a token that is none was kept")
	}
	if got := strongroom(t.Context(), s.token+"\n", "login", s.url, "--ca", s.ca); got.code != 0 || strings.Contains(got.out+got.err, s.token) {
		t.Fatalf("login: exit code %d", got.code)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the profile: %v, %v", info.Mode(), err)
	}
	if dir, err := os.Stat(filepath.Dir(file)); err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("its directory: %v, %v", dir.Mode(), err)
	}
	s.ok("ledger:key")
}
