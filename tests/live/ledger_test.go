//go:build live

package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/strongroom/strongroom/client"
)

// refusal is how soon a request that cannot be recorded is refused.
const refusal = 20 * time.Second

// ledgerUnwritable takes the right to write from the ledger's files and
// directories while all runs, and gives it back.
func ledgerUnwritable(t *testing.T, w *writer, p *path) {
	dir := filepath.Join(w.data, "server")
	closed(t, w, p, (*session).ends, func(*testing.T, *client.Client, string) { immutable(t, dir, true) }, func() { immutable(t, dir, false) })
}

// ledgerDiskFull fills the ledger's disk while all runs, and makes room again.
func ledgerDiskFull(t *testing.T, w *writer, p *path) {
	dir := filepath.Join(w.data, "server")
	if device(t, dir) == device(t, w.data) {
		t.Fatal("the ledger has no disk of its own that could be filled: make the installation with DEMO_LEDGER_DISK=768")
	}
	filler := filepath.Join(dir, "filler")
	fill := func(t *testing.T, c *client.Client, app string) {
		fillUp(t, filler)
		// What the ledger's files have reserved is used up first: until not
		// even the smallest entry finds room, for some time.
		refused := 0
		eventually(t, 2*time.Minute, "the ledger finding its disk full", func() error {
			if setVar(c, app, strings.Repeat("x", 16<<10)) == nil {
				refused = 0
			}
			if _, err := fetch[map[string]string](t, c, "apps", app, "config-vars"); err == nil {
				refused = 0
			}
			if refused++; refused < 20 {
				return errors.New("it still writes")
			}
			return nil
		})
	}
	// The room for a recording is taken when it begins: this one goes on, and
	// is moved to the evidence when there is room again.
	closed(t, w, p, (*session).leave, fill, func() {
		if err := os.Remove(filler); err != nil {
			t.Error(err)
		}
	})
}

// closed makes the ledger unwritable and wants nothing to go through that is to
// be recorded, each attempt to be refused clearly and soon, the session that is
// open to be over, the app to notice nothing, and everything to work again, without
// a restart, once the ledger can be written.
func closed(t *testing.T, w *writer, p *path, over func(*session, *testing.T), lock func(*testing.T, *client.Client, string), unlock func()) {
	t.Helper()
	s := w.site
	c := s.account(t, "developer")
	notes := s.newApp(t, "notes", "other")
	probe := newProber(t, w)
	server := must[int](t)(s.pid("server"))
	began := time.Now()
	session := s.openSession(t, w.name)
	before := must[progress](t)(w.progress("/?reset"))

	func() {
		defer unlock()
		lock(t, c, notes)
		over(session, t)
		p.refused(t, w)
	}()

	eventually(t, refusal, "the ledger being written again", func() error { return setVar(c, notes, "again") })
	probe.none(t, "while the ledger could not be written")
	w.since(t, before, began, stall)
	p.whole(t, began)
	if now := must[int](t)(s.pid("server")); now != server {
		t.Errorf("the server was restarted")
	}
	s.sr(t, "auditor", "ledger:verify", "--data", s.data).ok("The ledger is whole")
}

// setVar changes a config var.
func setVar(c *client.Client, app, value string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	vars := map[string]string{"VAR": value + fmt.Sprint(time.Now().UnixNano())}
	return c.Do(ctx, http.MethodPatch, client.Path("apps", app, "config-vars"), vars, nil)
}

// refused tries all that must not go through.
func (p *path) refused(t *testing.T, w *writer) {
	t.Helper()
	for _, try := range []struct {
		who, method, path string
		in                any
	}{
		{"developer", http.MethodGet, client.Path("apps", p.app, "config-vars"), nil},
		{"developer", http.MethodPatch, client.Path("apps", p.app, "config-vars"), map[string]string{"X": "y"}},
		{"developer", http.MethodPost, client.Path("apps", p.app, "releases"), map[string]string{"release": "v1"}},
		{"developer", http.MethodPost, client.Path("apps", p.app, "dynos"), map[string]any{"command": "id", "attach": true}},
		{"developer", http.MethodPost, client.Path("apps", p.app, "dynos"), map[string]any{"command": "id"}},
		{"developer", http.MethodPatch, client.Path("apps", p.app, "formation", "web"), map[string]any{"quantity": 2}},
		{"developer", http.MethodDelete, client.Path("apps", p.app, "dynos"), nil},
		{"developer", http.MethodPost, client.Path("apps", p.app, "log-sessions"), map[string]any{"lines": 10}},
		{"developer", http.MethodGet, client.Path("client", "v11", "databases", p.database(t), "bastion"), nil},
		{"operator", http.MethodPut, client.Path("teams", "care", "members", "auditor@example.org", "roles", "viewer"), map[string]bool{}},
		{"auditor", http.MethodPost, "/strongroom/evidence", map[string]string{"space": "other", "from": p.began.UTC().Format(time.RFC3339)}},
	} {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*refusal)
		err := p.account(t, try.who).Do(ctx, try.method, try.path, try.in, nil)
		cancel()
		var e *client.Error
		if !errors.As(err, &e) || e.Status != http.StatusServiceUnavailable || e.ID != "unavailable" || !strings.Contains(e.Message, "cannot be written") {
			t.Errorf("%s %s: the answer is %v", try.method, try.path, err)
		}
		if d := time.Since(start); d > refusal {
			t.Errorf("%s %s was refused only after %s", try.method, try.path, d)
		}
	}
	const why = "cannot be written" // the ledger, or the evidence store beside it
	p.h(t, "developer", "config", "-a", p.app).fails(why)
	p.h(t, "developer", "config:set", "A=b", "-a", p.app).fails(why)
	p.h(t, "developer", "run", "-a", w.name, "--", "echo", "shell-is-open").fails(why)
	p.h(t, "developer", "pg:psql", "-a", "intake", "-c", "select 1").fails(why)
	p.commit(t, p.dir, "Not now")
	p.git(t, "developer", p.dir, "push", "heroku", "main").fails(why)
	// What is not to be recorded goes on.
	p.h(t, "developer", "releases", "-a", p.app).ok()
	p.h(t, "developer", "ps", "-a", w.name).ok("web.1: up")
}

// database is the name of intake's.
func (p *path) database(t *testing.T) string {
	t.Helper()
	addons := must[[]named](t)(list[named](t, p.developer, "/apps/intake/addons"))
	if len(addons) == 0 {
		t.Fatal("intake has no database")
	}
	return addons[0].Name
}

// whole wants everything to work, and nothing to be left half-made since.
func (p *path) whole(t *testing.T, since time.Time) {
	t.Helper()
	var cut []client.Session
	eventually(t, settle, "the session that was cut being on record", func() error {
		if cut = p.closed(t, "other", since); len(cut) == 0 || cut[0].Recording == nil {
			return fmt.Errorf("sessions %v", cut)
		}
		return nil
	})
	if text := p.recording(t, "other", cut[0]); !strings.Contains(text, "tick-1") {
		t.Errorf("the recording of the session that was cut has nothing of it: %.500s", text)
	}
	for _, st := range []func(*testing.T, *moment){p.config, p.run, p.psql, p.push, p.role, p.role} {
		st(t, calm)
	}
}

// session is a heroku run that goes on for as long as it may.
type session struct {
	said   both
	done   chan error
	cancel func()
}

// openSession starts one and waits until it runs.
func (s *site) openSession(t *testing.T, app string) *session {
	t.Helper()
	x := &session{done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, s.program, "heroku", "run", "-a", app, "--", "node", "-e", "let n = 0; setInterval(() => console.log('tick-' + ++n), 200)")
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = s.env(t, "developer"), s.out, &x.said, &x.said, time.Second
	// The real CLI is a process of its own below ours.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { x.done <- cmd.Wait() }()
	x.cancel = cancel
	t.Cleanup(cancel)
	eventually(t, time.Minute, "the session running", func() error {
		if !strings.Contains(x.said.String(), "tick-3") {
			return errors.New(x.said.String())
		}
		return nil
	})
	return x
}

// ends wants the session to be over: nothing records it.
func (x *session) ends(t *testing.T) {
	t.Helper()
	select {
	case <-x.done:
	case <-time.After(refusal):
		t.Fatalf("the session goes on without a recording: %s", x.said.String())
	}
}

// leave ends the session from its client's side.
func (x *session) leave(t *testing.T) {
	t.Helper()
	select {
	case <-x.done:
		t.Errorf("the session ended though its recording had room: %s", x.said.String())
	default:
	}
	x.cancel()
	<-x.done
}

func device(t *testing.T, path string) uint64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Dev
}

// fillUp leaves no room on the file's disk, for nobody.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var size int64
	for piece := int64(64 << 20); piece >= 4<<10; {
		switch err := syscall.Fallocate(int(f.Fd()), 0, size, piece); err {
		case nil:
			size += piece
		case syscall.ENOSPC:
			piece /= 2
		case syscall.EINTR:
		default:
			t.Fatal(err)
		}
	}
}
