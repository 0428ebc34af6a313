//go:build live

package live

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestCommands uses every promised command of the heroku CLI on a real engine,
// as the people of a team do: a shield space is made for an app, code is pushed
// and released, run, scaled, named and looked after, and all is removed. What
// each command does is looked at from outside: in what the app answers, in the
// certificate that is presented, in the rows of the database.
//
// The parts use what those before them have made.
func TestCommands(t *testing.T) {
	d := newDrill(t)
	type part struct {
		name string
		try  func(*testing.T)
	}
	try := func(p part) bool {
		began := time.Now()
		defer func() { t.Logf("%s took %s", p.name, time.Since(began).Round(time.Second)) }()
		return t.Run(p.name, p.try)
	}
	var people sync.WaitGroup
	people.Go(func() { // meanwhile: the CLI leaves the processors idle most of the time
		try(part{"account", d.tryAccount})
		try(part{"people", d.tryPeople})
	})
	defer people.Wait()
	for _, p := range []part{
		{"space", d.trySpace},
		{"push", d.tryPush},
		{"trusted", d.tryTrusted},
		{"run", d.tryRun},
		{"releases", d.tryReleases},
		{"config", d.tryConfig},
		{"dynos", d.tryDynos},
		{"names", d.tryNames},
		{"database", d.tryDatabase},
		{"destroy", d.tryDestroy},
	} {
		if !try(p) {
			d.giveUp(t)
			return
		}
	}
}

// giveUp removes what a failed part left.
func (d *drill) giveUp(t *testing.T) {
	for _, args := range [][]string{
		{"addons:destroy", d.database, "-a", d.app, "--confirm", d.app, "--wait"},
		{"apps:destroy", "-a", d.app, "--confirm", d.app},
		{"apps:destroy", "-a", d.app + "-b", "--confirm", d.app + "-b"},
		{"spaces:destroy", "--space", d.space, "--confirm", d.space},
	} {
		d.h(t, "operator", args...)
	}
}

// tryAccount logs in with a password at a terminal, and makes a token and a key.
func (d *drill) tryAccount(t *testing.T) {
	s := d.site
	email := "clerk-" + strings.ToLower(rand.Text()[:6]) + "@example.org"
	password := rand.Text()
	s.command(t, "operator", s.out, "sh", "-c", `printf '%s\n' "$3" | "$0" accounts:create "$1" --name "$2" --password`, s.program, email, "Clerk", password).ok()
	s.h(t, "developer", "auth:whoami").ok("developer@example.org")

	home := t.TempDir()
	herokuAlone := `eval "$("$0" env)"; unset HEROKU_API_KEY HEROKU_HEADERS; export HOME="$1" XDG_CONFIG_HOME="$1/.config"; shift; exec "$STRONGROOM_HEROKU" "$@"`
	alone := func(args ...string) []string {
		return append([]string{"-c", herokuAlone, s.program, home}, args...)
	}
	login := exec.Command("sh", alone("login", "-i")...)
	login.Env, login.Dir = s.env(t, "developer"), home
	shown := talk(t, login, answer{"Email", email + "\r"}, answer{"Password", password + "\r"}, answer{"Logged in as", ""})
	if strings.Contains(shown, password) {
		t.Error("the password was shown")
	}
	ran.Succeeded(t.Name(), []string{"login", "-i"})
	s.command(t, "developer", home, "sh", alone("auth:whoami")...).ok(email)

	token := strings.TrimSpace(s.h(t, "developer", "authorizations:create", "-d", "ci", "-s", "read", "-e", "600", "--short").ok().out)
	var owner struct{ Email string }
	if err := s.fetchBy(t, token, "/account", &owner); err != nil || owner.Email != "developer@example.org" {
		t.Errorf("the token that was made is of %q, %v", owner.Email, err)
	}

	key := filepath.Join(home, "id_ed25519")
	s.command(t, "developer", home, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "clerk@desk", "-f", key).ok()
	s.h(t, "developer", "keys:add", key+".pub").ok("Uploading")
	s.h(t, "developer", "keys").ok("clerk@desk")
	s.h(t, "developer", "keys:remove", "clerk@desk").ok()
	s.sr(t, "operator", "accounts:suspend", email, "--confirm", email).ok()
	s.command(t, "developer", home, "sh", alone("auth:whoami")...).fails("Invalid credentials")
}

// tryPeople come and go in a team and at an app.
func (d *drill) tryPeople(t *testing.T) {
	d.h(t, "operator", "teams").ok("care")
	d.h(t, "operator", "members", "--team", "care").ok("developer@example.org")
	d.h(t, "operator", "members:add", "auditor@example.org", "--team", "care", "--role", "member").ok()
	t.Cleanup(func() { d.sr(t, "operator", "roles:grant", "auditor@example.org", "auditor", "--team", "care") })
	d.h(t, "operator", "members:set", "auditor@example.org", "--team", "care", "--role", "admin").ok()
	d.h(t, "operator", "members", "--team", "care", "--role", "admin").ok("auditor@example.org")
	d.h(t, "operator", "members:remove", "auditor@example.org", "--team", "care").ok()
	d.h(t, "auditor", "apps:info", "-a", "intake").fails("Couldn't find that app.")

	d.h(t, "operator", "access:add", "auditor@example.org", "-a", "echo", "--permissions", "view").ok()
	d.h(t, "operator", "access", "-a", "echo").ok("auditor@example.org")
	d.h(t, "auditor", "apps:info", "-a", "echo").ok("echo")
	d.h(t, "auditor", "config", "-a", "echo").fails("permission")
	d.h(t, "operator", "access:remove", "auditor@example.org", "-a", "echo").ok()
	d.h(t, "auditor", "apps:info", "-a", "echo").fails("Couldn't find that app.")
}

// trySpace makes a shield space with two apps and a database, which is set up
// while the code is pushed.
func (d *drill) trySpace(t *testing.T) {
	d.h(t, "operator", "spaces:create", d.space, "--team", "care", "--shield").ok(d.space, "Shield:")
	eventually(t, time.Minute, "the space being allocated", func() error {
		if r := d.h(t, "operator", "spaces:info", d.space); !strings.Contains(r.said, "allocated") {
			return fmt.Errorf("%s", r.said)
		}
		return nil
	})
	d.h(t, "operator", "spaces:info", d.space).ok("Shield: on")
	d.h(t, "operator", "spaces").ok(d.space, "clinic")
	for _, app := range []string{d.app, d.app + "-b"} {
		d.h(t, "developer", "apps:create", app, "--space", d.space, "--team", "care", "--no-remote").ok("https://" + d.host(app))
	}
	d.h(t, "developer", "apps", "--team", "care").ok(d.app)
	d.h(t, "developer", "apps:info", "-a", d.app).ok("Space:", d.space, "care")
	d.h(t, "operator", "addons:create", "heroku-postgresql", "-a", d.app, "--name", d.database).ok(d.database)
}

// tryPush releases the first version.
func (d *drill) tryPush(t *testing.T) {
	d.dir = d.repository(t, d.home, d.app, "", drillFiles(1, 0))
	d.site.push(t, d.app, d.dir).says("Build succeeded", "waits for the approval of a second person")
}

// tryTrusted finds the space shut, opens it to this host, and shuts it again.
func (d *drill) tryTrusted(t *testing.T) {
	shut := func() error {
		answer, err := d.ask(d.host(d.app), "/")
		if err == nil {
			return fmt.Errorf("the app says %+v to a network that is not trusted", answer)
		}
		return nil
	}
	open := func(what string) {
		d.h(t, "operator", "trusted-ips:add", "127.0.0.0/8", "--space", d.space, "--confirm", d.space).ok("Added 127.0.0.0/8")
		d.answers(t, time.Minute, what, func(a said) bool { return a.Version == 1 && a.Dyno == "web.1" })
	}
	if err := shut(); err != nil {
		t.Fatal(err)
	}
	open("the app answering")
	d.h(t, "operator", "trusted-ips:remove", "127.0.0.0/8", "--space", d.space, "--confirm", d.space).ok("Removed 127.0.0.0/8")
	eventually(t, 15*time.Second, "the space being shut again", shut)
	open("the app answering again")
}

// tryRun starts one-off dynos, attached and not, and reads the logs.
func (d *drill) tryRun(t *testing.T) {
	d.h(t, "developer", "run", "-a", d.app, "--", "node", "say.js", "attached").ok("run 42 attached")
	if r := d.h(t, "developer", "run", "--exit-code", "-a", d.app, "--", "node say.js passed; (exit 7)"); r.code != 7 {
		t.Errorf("%s: exit code %d, want 7\n%s", r.line, r.code, r.said)
	}
	d.h(t, "developer", "run", "--exit-code", "-a", d.app, "--", "true").ok()

	name := oneOff.FindString(d.h(t, "developer", "run:detached", "-a", d.app, "--", "node", "say.js", "detached").ok().said)
	eventually(t, 30*time.Second, "the output of the detached dyno", func() error {
		r := d.h(t, "developer", "logs", "-a", d.app, "-d", name)
		if !strings.Contains(r.said, "app["+name+"]: run 42 detached") {
			return fmt.Errorf("the logs have\n%s", r.said)
		}
		return nil
	})

	tail := d.start(t, "developer", "logs", "--tail", "-a", d.app)
	tail.says(20*time.Second, "was asked for /") // of the past
	mark := "/" + rand.Text()
	if _, err := d.ask(d.host(d.app), mark); err != nil {
		t.Fatal(err)
	}
	tail.says(10*time.Second, "app[web.1]: was asked for "+mark)
	tail.says(10*time.Second, `path="`+mark+`"`) // the router's line
	tail.interrupt(10 * time.Second)
	ran.Succeeded(t.Name(), []string{"logs", "--tail"})

	name = oneOff.FindString(d.h(t, "developer", "run:detached", "-a", d.app, "--", "sleep", "600").ok().said)
	ps := func() string { return d.h(t, "developer", "ps", "-a", d.app).ok().said }
	eventually(t, 30*time.Second, "the one-off dyno being up", func() error {
		if text := ps(); !strings.Contains(text, name) || !strings.Contains(text, "up") {
			return fmt.Errorf("ps says\n%s", text)
		}
		return nil
	})
	d.h(t, "developer", "ps:stop", "--dyno-name", name, "-a", d.app).ok()
	eventually(t, 30*time.Second, "the one-off dyno being gone", func() error {
		if text := ps(); strings.Contains(text, name) {
			return fmt.Errorf("ps says\n%s", text)
		}
		return nil
	})
}

// tryReleases pushes a second version with a long release phase, reads its output
// meanwhile and afterwards, and goes back to the first.
func (d *drill) tryReleases(t *testing.T) {
	first := d.current(t)
	for name, text := range drillFiles(2, 8) {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.commit(t, d.dir, "Second version")
	d.site.push(t, d.app, d.dir)
	second := "v" + fmt.Sprint(d.newest(t).Version)

	output := d.start(t, "developer", "releases:output", second, "-a", d.app)
	output.says(30*time.Second, "the phase of version 2 begins")
	if strings.Contains(output.said.String(), "the phase ends") {
		t.Error("the output of the release phase came when the phase was over")
	}
	if answer, err := d.ask(d.host(d.app), "/"); err != nil || answer.Version != 1 {
		t.Errorf("during the release phase the app says %+v, %v", answer, err)
	}
	output.says(30*time.Second, "the phase ends")
	if code := output.ends(20 * time.Second); code != 0 {
		t.Errorf("%s: exit code %d", output.line, code)
	}
	d.answers(t, time.Minute, "the second version answering", func(a said) bool { return a.Version == 2 })
	d.h(t, "developer", "releases:output", second, "-a", d.app).ok("the phase of version 2 begins", "the phase ends")
	d.h(t, "developer", "releases", "-a", d.app).ok(second, "Deploy", "developer@example.org")
	d.h(t, "developer", "releases:info", second, "-a", d.app).ok(second, "Deploy")

	// Code that was live before needs no second person.
	d.h(t, "developer", "releases:rollback", "v"+fmt.Sprint(first.Version), "-a", d.app).ok()
	d.answers(t, time.Minute, "the first version answering", func(a said) bool { return a.Version == 1 })
	d.h(t, "developer", "releases", "-a", d.app, "-n", "1").ok(fmt.Sprintf("Rollback to v%d", first.Version))
}

// shownRelease is what the CLI knows of one.
type shownRelease struct {
	Version int
	Current bool
}

func (d *drill) releases(t *testing.T) (list []shownRelease) {
	t.Helper()
	if err := json.Unmarshal([]byte(d.h(t, "developer", "releases", "-a", d.app, "--json").ok().out), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func (d *drill) newest(t *testing.T) shownRelease {
	t.Helper()
	return slices.MaxFunc(d.releases(t), func(a, b shownRelease) int { return a.Version - b.Version })
}

func (d *drill) current(t *testing.T) shownRelease {
	t.Helper()
	list := d.releases(t)
	i := slices.IndexFunc(list, func(r shownRelease) bool { return r.Current })
	if i < 0 {
		t.Fatalf("%s has no current release: %+v", d.app, list)
	}
	return list[i]
}

// tryConfig changes what the dynos get.
func (d *drill) tryConfig(t *testing.T) {
	before := d.answers(t, time.Minute, "the app answering", func(a said) bool { return a.Greeting == "" })
	d.h(t, "developer", "config:set", "GREETING=good morning", "-a", d.app).ok("good morning")
	after := d.answers(t, time.Minute, "the greeting", func(a said) bool { return a.Greeting == "good morning" })
	if after.Started == before.Started {
		t.Error("the dyno was not started again")
	}
	d.h(t, "developer", "config:get", "GREETING", "-a", d.app).ok("good morning")
	d.h(t, "developer", "config", "-a", d.app).ok("GREETING:", "DATABASE_URL:")
	d.h(t, "developer", "config:unset", "GREETING", "-a", d.app).ok()
	d.answers(t, time.Minute, "no greeting", func(a said) bool { return a.Greeting == "" && a.Started != after.Started })
}

// tryDynos are scaled and restarted.
func (d *drill) tryDynos(t *testing.T) {
	d.h(t, "developer", "ps:scale", "web=0", "-a", d.app).ok("web at 0")
	eventually(t, 30*time.Second, "nobody answering", func() error {
		if status, body, _, err := d.visit(d.host(d.app), "/"); err != nil || status != http.StatusServiceUnavailable {
			return fmt.Errorf("status %d: %.100s %w", status, body, err)
		}
		return nil
	})
	d.h(t, "developer", "ps:scale", "web=2", "-a", d.app).ok("web at 2")
	d.both(t)
	d.h(t, "developer", "ps", "-a", d.app).ok("web.1: up", "web.2: up")
	d.h(t, "developer", "spaces:ps", d.space).ok("web.1", "web.2")

	old := map[string]string{}
	for len(old) < 2 {
		a, err := d.ask(d.host(d.app), "/")
		if err != nil {
			t.Fatal(err)
		}
		old[a.Dyno] = a.Started
	}
	d.h(t, "developer", "ps:restart", "--dyno-name", "web.2", "-a", d.app).ok()
	d.answers(t, 30*time.Second, "web.2 being another", func(a said) bool { return a.Dyno == "web.2" && a.Started != old["web.2"] })
	d.h(t, "developer", "ps:restart", "-a", d.app).ok()
	d.answers(t, 30*time.Second, "web.1 being another", func(a said) bool { return a.Dyno == "web.1" && a.Started != old["web.1"] })

	d.h(t, "developer", "ps:scale", "web=1", "-a", d.app).ok("web at 1")
	eventually(t, 30*time.Second, "one dyno answering alone", func() error {
		if names := d.dynos(t, 12); !slices.Equal(names, []string{"web.1"}) {
			return fmt.Errorf("%v answer", names)
		}
		return nil
	})
}

// both waits until two dynos share the requests.
func (d *drill) both(t *testing.T) {
	t.Helper()
	seen := map[string]bool{}
	eventually(t, 30*time.Second, "two dynos answering", func() error {
		a, err := d.ask(d.host(d.app), "/")
		if seen[a.Dyno] = err == nil; !seen["web.1"] || !seen["web.2"] {
			return fmt.Errorf("%v answered, %w", seen, err)
		}
		return nil
	})
}

// tryNames: further host names, a certificate of one's own, another name of the
// app, maintenance, features.
func (d *drill) tryNames(t *testing.T) {
	name := "www." + d.app + ".test"
	dir := t.TempDir()
	d.command(t, "developer", dir, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN="+name,
		"-addext", "subjectAltName=DNS:"+name, "-keyout", "key.pem", "-out", "cert.pem").ok()
	text, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)

	// Before the domain: the CLI asks at a terminal which domains a certificate
	// is for, if there is one that it fits.
	d.h(t, "developer", "certs:add", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), "-a", d.app).ok(name)
	listed := d.h(t, "developer", "certs", "-a", d.app).ok(name)
	endpoint := strings.Fields(listed.out[strings.Index(listed.out, "cert-"):])[0]
	d.h(t, "developer", "domains:add", name, "--cert", endpoint, "-a", d.app).ok()
	d.h(t, "developer", "domains", "-a", d.app).ok(name)
	eventually(t, 30*time.Second, "an answer under the new name", func() error {
		status, body, _, err := d.visit(name, "/")
		if err == nil && (status != http.StatusOK || !strings.Contains(body, name)) {
			err = fmt.Errorf("status %d: the app says %s", status, body)
		}
		return err
	})
	eventually(t, 30*time.Second, "the certificate being presented", func() error {
		status, _, cert, err := d.visit(name, "/")
		if err == nil && (status != http.StatusOK || !bytes.Equal(cert.Raw, block.Bytes)) {
			err = fmt.Errorf("status %d with a certificate of %s by %s", status, cert.Subject, cert.Issuer)
		}
		return err
	})
	d.h(t, "developer", "domains:remove", name, "-a", d.app).ok()
	eventually(t, 30*time.Second, "no answer under the removed name", func() error {
		if status, _, _, err := d.visit(name, "/"); err == nil {
			return fmt.Errorf("status %d", status)
		}
		return nil
	})

	d.h(t, "developer", "maintenance:on", "-a", d.app).ok()
	eventually(t, 30*time.Second, "the maintenance page", func() error {
		if status, body, _, err := d.visit(d.host(d.app), "/"); err != nil || status != http.StatusServiceUnavailable || !strings.Contains(body, "aintenance") {
			return fmt.Errorf("status %d: %.200s %w", status, body, err)
		}
		return nil
	})
	d.h(t, "developer", "maintenance:off", "-a", d.app).ok()
	d.answers(t, 30*time.Second, "the app answering again", func(a said) bool { return a.Version == 1 })
	d.h(t, "developer", "features", "-a", d.app).ok("preboot")

	before := d.app
	d.h(t, "operator", "apps:rename", before+"-c", "-a", before).ok("https://" + d.host(before+"-c"))
	d.app = before + "-c"
	d.answers(t, 30*time.Second, "an answer under the app's new name", func(a said) bool { return a.Version == 1 })
	if status, _, _, err := d.visit(d.host(before), "/"); err == nil && status == http.StatusOK {
		t.Error("the app still answers under its old name")
	}
}

// tryDatabase: what the add-on commands and pg commands show, and who reaches it.
func (d *drill) tryDatabase(t *testing.T) {
	other := strings.TrimSuffix(d.app, "-c") + "-b"
	d.h(t, "developer", "addons:wait", d.database, "-a", d.app).ok()
	d.h(t, "developer", "addons", "-a", d.app).ok(d.database, "DATABASE")
	d.h(t, "developer", "pg:info", "-a", d.app).ok("DATABASE_URL", "Available", d.database, "Data Size", "Tables", "Connections")
	d.h(t, "developer", "pg:credentials:url", "-a", d.app).ok("postgres://", d.database)
	d.h(t, "developer", "pg:psql", "-a", d.app, "-c", "create table visits as select n from generate_series(1, 17) n").ok("SELECT 17")
	d.h(t, "developer", "pg:psql", "-a", d.app, "-c", "select 'there are ' || count(*) from visits").ok("there are 17")

	d.h(t, "operator", "addons:attach", d.database, "-a", other, "--as", "SHARED").ok()
	d.h(t, "developer", "config:get", "SHARED_URL", "-a", other).ok("postgres://")
	d.h(t, "developer", "pg:psql", "SHARED", "-a", other, "-c", "select 'shared are ' || count(*) from visits").ok("shared are 17")
	d.h(t, "operator", "addons:detach", "SHARED", "-a", other).ok()
	if r := d.h(t, "developer", "config:get", "SHARED_URL", "-a", other).ok(); strings.Contains(r.out, "postgres") {
		t.Errorf("after addons:detach the app still has %s", r.out)
	}
}

// tryDestroy removes it all; nothing of it is left on the host.
func (d *drill) tryDestroy(t *testing.T) {
	other := strings.TrimSuffix(d.app, "-c") + "-b"
	d.h(t, "operator", "spaces:destroy", "--space", d.space, "--confirm", d.space).fails("apps")
	d.h(t, "operator", "apps:destroy", "-a", d.app, "--confirm", d.app).fails(d.database)
	d.h(t, "operator", "addons:destroy", d.database, "-a", d.app, "--confirm", d.app, "--wait").ok()
	for _, app := range []string{d.app, other} {
		d.h(t, "operator", "apps:destroy", "-a", app, "--confirm", app).ok()
	}
	d.h(t, "operator", "apps", "--team", "care").ok("intake")
	if status, _, _, err := d.visit(d.host(d.app), "/"); err == nil && status == http.StatusOK {
		t.Error("the destroyed app answers")
	}
	engine := d.engine(t)
	uuid := ""
	for _, o := range d.observe(t, engine).Spaces {
		if known := d.h(t, "operator", "spaces:info", d.space, "--json").ok().out; strings.Contains(known, o.ID) {
			uuid = o.ID
		}
	}
	if uuid == "" {
		t.Fatal("the engine does not know the space")
	}
	d.h(t, "operator", "spaces:destroy", "--space", d.space, "--confirm", d.space).ok()
	eventually(t, time.Minute, "the space being gone from the engine", func() error {
		o, err := engine.Observe(context.WithoutCancel(t.Context()))
		if err != nil {
			return err
		}
		for _, s := range o.Spaces {
			if s.ID == uuid {
				return fmt.Errorf("the engine has %+v", s)
			}
		}
		return nil
	})
	d.h(t, "operator", "spaces:info", d.space).fails("Couldn't find that space.")
}
