//go:build integration

package heroku

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// TestLogin logs in with address and password at a terminal, uses the token
// that the CLI kept, and logs out again.
func TestLogin(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Account("pat", "correct horse battery staple")
	h.seen = h.size()
	h.who = "" // no HEROKU_API_KEY
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t), "login", "-i")
	cmd.Env, cmd.Dir = h.env(), h.home
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	d := &dialogue{t: t, terminal: terminal}
	d.expect("Email", "pat@example.org\r")
	d.expect("Password", "correct horse battery staple\r")
	d.expect("Logged in as", "")
	if err := cmd.Wait(); err != nil {
		t.Fatalf("login: %v\n%s", err, d.seen)
	}
	ran.Succeeded(t.Name(), cmd.Args[1:])
	if strings.Contains(d.seen, "battery") {
		t.Error("the password was shown")
	}
	h.recorded("pat account.login ok", "pat token.create ok")
	netrc, err := os.ReadFile(filepath.Join(h.home, ".netrc"))
	if err != nil || !strings.Contains(string(netrc), "login pat@example.org") {
		t.Errorf("the CLI kept no token: %v", err)
	}
	h.run("auth:whoami").ok("pat@example.org")
	h.run("auth:logout").ok("Logging out... done")
	h.run("auth:whoami").fails("not logged in")
	h.recorded("pat token.revoke ok")
}

// dialogue waits for a program's questions and answers them.
type dialogue struct {
	t        *testing.T
	terminal io.ReadWriter
	seen     string
}

func (d *dialogue) expect(question, answer string) {
	d.t.Helper()
	buf := make([]byte, 4096)
	for !strings.Contains(clean(d.seen), question) {
		n, err := d.terminal.Read(buf)
		d.seen += string(buf[:n])
		if err != nil && !strings.Contains(clean(d.seen), question) {
			d.t.Fatalf("no %q in %q: %v", question, clean(d.seen), err)
		}
	}
	if answer == "" {
		return
	}
	if _, err := io.WriteString(d.terminal, answer); err != nil {
		d.t.Fatal(err)
	}
}
