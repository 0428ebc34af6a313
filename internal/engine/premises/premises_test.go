package premises

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

func newPremises(t *testing.T) *Premises {
	t.Helper()
	p := New(Config{Data: filepath.Join(t.TempDir(), "data"), Program: "/nowhere/strongroom", Cgroup: "/nobody's"})
	me := os.Getuid()
	p.owners = map[owner]int{root: me, server: me, spool: me}
	for _, dir := range []string{"secrets", "server/tls", "server/git/a.git", "anchor/outside/timestamps", "engine/containerd/anything", "engine/volumes/mnt/v/data", "engine/volumes/volumes", "logs/space", "images"} {
		must(t, os.MkdirAll(filepath.Join(p.cfg.Data, dir), 0o700))
	}
	must(t, os.Chmod(p.cfg.Data, 0o711))
	for name, mode := range map[string]fs.FileMode{
		"secrets/master.key": 0o600, "secrets/log.key": 0o600, "server/ledger.db": 0o644, "server/ledger.db-wal": 0o644, "server/tls/key.pem": 0o600,
		"server/git/a.git/HEAD": 0o640, "anchor/checkpoint": 0o600, "anchor/outside/witness.json": 0o600, "anchor/outside/timestamps/7.tst": 0o600, "engine/containerd/anything/x": 0o4777, "engine/volumes/mnt/v/data/file": 0o666,
		"engine/volumes/volumes/v.img": 0o600, "logs/space/1.log": 0o640, "server.log": 0o640, "strongroom.json": 0o640,
	} {
		p.write(t, name, "first", mode)
	}
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (p *Premises) write(t *testing.T, name, text string, mode fs.FileMode) {
	t.Helper()
	path := filepath.Join(p.cfg.Data, name)
	must(t, os.WriteFile(path, []byte(text), 0o600))
	must(t, os.Chmod(path, mode.Perm()|mode&0o7000<<9))
}

func found(t *testing.T, look func(context.Context, *driver.Survey) error) string {
	t.Helper()
	s := driver.NewSurvey("test")
	must(t, look(t.Context(), s))
	if len(s.Parts[0].Looked) == 0 {
		t.Error("nothing was looked at")
	}
	var out []string
	for _, x := range s.Parts[0].Strays {
		out = append(out, x.Text)
	}
	return strings.Join(out, "\n")
}

// TestFiles changes the data directory by hand, sees that found, undoes it and
// sees that nothing is found.
func TestFiles(t *testing.T) {
	p := newPremises(t)
	at := func(name string) string { return filepath.Join(p.cfg.Data, name) }
	if got := found(t, p.files); got != "" {
		t.Fatalf("before: %s", got)
	}
	added := func(name string) func() {
		p.write(t, name, "x", 0o600)
		return func() { must(t, os.Remove(at(name))) }
	}
	mode := func(name string, now, was fs.FileMode) func() {
		must(t, os.Chmod(at(name), now))
		return func() { must(t, os.Chmod(at(name), was)) }
	}
	for _, tt := range []struct {
		want string
		make func() (undo func())
	}{
		{`The file "secrets/copy.pem" is nothing that the platform keeps there.`, func() func() { return added("secrets/copy.pem") }},
		{`The file "backdoor" is nothing`, func() func() { return added("backdoor") }},
		{`The file "engine/volumes/volumes/v.img" has the mode -rw-r--r--, which is more than -rw-------.`, func() func() { return mode("engine/volumes/volumes/v.img", 0o644, 0o600) }},
		{`The file "secrets/master.key" has the mode`, func() func() { return mode("secrets/master.key", 0o604, 0o600) }},
		{`The directory "secrets" has the mode -rwxr-xr-x`, func() func() { return mode("secrets", 0o755, 0o700) }},
		{`The file "server/git/a.git/HEAD" has the mode urwxr-xr-x`, func() func() { return mode("server/git/a.git/HEAD", 0o755|fs.ModeSetuid, 0o640) }},
		{`The file "secrets/log.key" has another content than when the engine started.`, func() func() {
			p.write(t, "secrets/log.key", "second", 0o600)
			return func() { p.write(t, "secrets/log.key", "first", 0o600) }
		}},
		{`The link "secrets/build.key" is nothing`, func() func() {
			must(t, os.Symlink("/etc/passwd", at("secrets/build.key")))
			return func() { must(t, os.Remove(at("secrets/build.key"))) }
		}},
		{`The directory "tools" is nothing`, func() func() {
			must(t, os.Mkdir(at("tools"), 0o700))
			return func() { must(t, os.Remove(at("tools"))) }
		}},
		{`belongs to the user`, func() func() {
			was := p.owners[spool]
			p.owners[spool] = was + 1
			return func() { p.owners[spool] = was }
		}},
	} {
		undo := tt.make()
		if got := found(t, p.files); !strings.Contains(got, tt.want) {
			t.Errorf("found %q, want %q", got, tt.want)
		}
		undo()
		if got := found(t, p.files); got != "" {
			t.Errorf("%s: undone: %s", tt.want, got)
		}
	}
	p.cfg.Data = at("nowhere")
	if err := p.files(t.Context(), driver.NewSurvey("test")); err == nil {
		t.Error("a directory that is not there was looked at")
	}
}

// TestPrograms replaces a program that runs.
func TestPrograms(t *testing.T) {
	p := newPremises(t)
	p.cfg.Program = filepath.Join(t.TempDir(), "strongroom")
	sleep, err := exec.LookPath("sleep")
	must(t, err)
	if sleep, err = filepath.EvalSymlinks(sleep); err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(sleep)
	must(t, err)
	install := func(code []byte) {
		must(t, os.WriteFile(p.cfg.Program+".new", code, 0o755))
		must(t, os.Rename(p.cfg.Program+".new", p.cfg.Program))
	}
	install(code)
	cmd := exec.Command(p.cfg.Program, "600")
	cmd.Args[0] = "sleep"
	must(t, cmd.Start())
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for range 500 { // until it runs the program
		if exe, _ := os.Readlink(exeOf(cmd.Process.Pid)); exe == p.cfg.Program {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got := found(t, p.programs); got != "" {
		t.Fatalf("before: %s", got)
	}
	install(append(bytes.Clone(code), "patched"...))
	if got := found(t, p.programs); !strings.Contains(got, "does not run the program that is in "+p.cfg.Program) {
		t.Errorf("replaced: %q", got)
	}
	install(code) // another file, the same program
	if got := found(t, p.programs); got != "" {
		t.Errorf("put back: %s", got)
	}
	must(t, os.Remove(p.cfg.Program))
	if got := found(t, p.programs); !strings.Contains(got, "is not there any more") || !strings.Contains(got, "does not run") {
		t.Errorf("removed: %q", got)
	}
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestParseLogin(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"2026-03-02T11:00:00.123456+00:00 host sshd[12]: Accepted publickey for mia from 203.0.113.5 port 5022 ssh2: ED25519 SHA256:x", `"mia" logged in over SSH (publickey) from 203.0.113.5 at 11:00`},
		{"2026-03-02T12:00:00+0100 host sshd-session[12]: Accepted password for root from ::1 port 5022 ssh2", `"root" logged in over SSH (password) from ::1 at 11:00`},
		{"2026-03-02T11:00:00+00:00 host sudo[4]:      mia : TTY=pts/0 ; PWD=/home/mia ; USER=root ; COMMAND=/usr/bin/psql --password=secret", `"mia" used sudo to become "root" at 11:00`},
		{"2026-03-02T11:00:00+00:00 host su[4]: pam_unix(su-l:session): session opened for user root(uid=0) by mia(uid=1000)", `"mia" used su to become "root" at 11:00`},
		{"2026-03-02T11:00:00+00:00 host login[4]: pam_unix(login:session): session opened for user root(uid=0) by LOGIN(uid=0)", `"root" logged in on a console at 11:00`},
		{"2026-03-02T11:00:00+00:00 host sshd[12]: Failed password for root from 203.0.113.5 port 1 ssh2", ""},
		{"2026-03-02T11:00:00+00:00 host sshd[12]: Invalid user Accepted password for root from 203.0.113.5 port 1", ""},
		{"2026-03-02T11:00:00+00:00 host cron[12]: Accepted publickey for mia from 203.0.113.5 port 5022", ""},
		{"tomorrow host sshd[12]: Accepted publickey for mia from 203.0.113.5 port 5022", ""},
		{"2026-13-02T11:00:00+00:00 host sshd[12]: Accepted publickey for mia from 203.0.113.5 port 5022", ""},
		{"", ""},
	} {
		l, ok := parseLogin(tt.line, noon)
		if got := l.what + " at " + l.at.Format("15:04"); ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("%s: %q", tt.line, got)
		}
	}
	// The form without a year.
	for line, want := range map[string]time.Time{
		"Mar  2 11:00:00 host": time.Date(2026, 3, 2, 11, 0, 0, 0, time.Local), "Dec 31 23:00:00 host": time.Date(2025, 12, 31, 23, 0, 0, 0, time.Local),
	} {
		if l, ok := parseLogin(line+" sshd[1]: Accepted publickey for mia from ::1 port 1", noon); !ok || !l.at.Equal(want) {
			t.Errorf("%s: %v, want %v", line, l.at, want)
		}
	}
}

func FuzzParseLogin(f *testing.F) {
	f.Add("2026-03-02T11:00:00+00:00 host sudo[4]: mia : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/secret")
	f.Add("Mar  2 11:00:00 host sshd[1]: Accepted publickey for mia from ::1 port 1")
	f.Add("Feb 29 11:00:00 host su: pam_unix(su:session): session opened for user root by (uid=0)")
	f.Fuzz(func(t *testing.T, line string) {
		if l, ok := parseLogin(line, noon); ok && (l.what == "" || l.at.After(noon.Add(lately)) && !strings.Contains(line, l.at.Format("2006")) && !strings.Contains(line, "T")) {
			t.Errorf("%q: %+v", line, l)
		}
	})
}

// TestLogins reads a real file; a host without one says that it has none.
func TestLogins(t *testing.T) {
	p := newPremises(t)
	path := filepath.Join(t.TempDir(), "auth.log")
	p.records = []records{authLog(path)}
	if err := p.logins(t.Context(), driver.NewSurvey("test")); fault.Of(err) != fault.Unavailable {
		t.Errorf("without a log: %v", err)
	}
	line := func(ago time.Duration, who string) string {
		return time.Now().Add(-ago).UTC().Format(time.RFC3339) + " host sshd[1]: Accepted publickey for " + who + " from 203.0.113.5 port 1 ssh2\n"
	}
	must(t, os.WriteFile(path, []byte(line(25*time.Hour, "old")), 0o600))
	if got := found(t, p.logins); got != "" {
		t.Errorf("of the day before: %s", got)
	}
	must(t, os.WriteFile(path, []byte(strings.Repeat("x\n", maxRecord)+line(2*time.Hour, "first")+line(time.Hour, "second")), 0o600))
	p.records = append(p.records, authLog(path)) // as a journal beside it would have
	got := strings.Split(found(t, p.logins), "\n")
	if len(got) != 2 || !strings.Contains(got[0], "second") || !strings.Contains(got[1], "first") {
		t.Errorf("found %q", got)
	}
}
