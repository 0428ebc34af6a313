//go:build live

package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/client"
)

// The parts of the API's answers that only these tests look at.
type (
	release struct {
		ID          string `json:"id"`
		Version     int    `json:"version"`
		Description string `json:"description"`
		Current     bool   `json:"current"`
		Strongroom  struct {
			Status string `json:"status"`
			Commit string `json:"commit"`
		} `json:"strongroom"`
	}
	build struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	}
	formation struct {
		Type     string `json:"type"`
		Quantity int    `json:"quantity"`
	}
	dyno struct {
		Name  string `json:"name"`
		Type  string `json:"type"`
		State string `json:"state"`
	}
	entry struct {
		Seq  int64 `json:"seq"`
		Body struct {
			Action  string `json:"action"`
			Outcome string `json:"outcome"`
			Details []struct {
				Name  string `json:"name"`
				Value string `json:"value"`
			} `json:"details"`
		} `json:"body"`
	}
)

// path is the demo's path, as steps that can be cut short: each knows what may
// have become of it. A step that its client calls done must be; one that failed
// is either done or not begun, or gets there by itself.
type path struct {
	*site
	developer *client.Client
	auditor   *client.Client
	app       string // of the space other
	dir       string // its repository
	began     time.Time
	n         int // counts what the steps do
}

// settle is how soon what was begun has to have ended, one way or the other.
const settle = 2 * time.Minute

const stepsSource = `import { createServer } from 'node:http';
createServer((request, response) => response.end('version 0\n')).listen(Number(process.env.PORT), '::');
process.once('SIGTERM', () => process.exit(0));
`

func newPath(t *testing.T, s *site) *path {
	t.Helper()
	p := &path{site: s, developer: s.account(t, "developer"), auditor: s.account(t, "auditor"), began: time.Now().Add(-time.Minute)}
	p.app = s.newApp(t, "steps", "other")
	p.dir = s.repository(t, t.TempDir(), p.app, "", source("steps", stepsSource))
	s.push(t, p.app, p.dir)
	return p
}

func (p *path) steps() []step {
	return []step{
		{"config:set", 8, p.config},
		{"ps:scale", 6, p.scale},
		{"run", 8, p.run},
		{"pg:psql", 5, p.psql},
		{"git push", 5, p.push},
		{"spaces", 4, p.space},
		{"addons", 4, p.addon},
		{"roles", 4, p.role},
		{"evidence", 3, p.evidence},
		{"maintenance", 3, p.maintenance},
	}
}

// next counts.
func (p *path) next() string {
	p.n++
	return fmt.Sprint(p.n)
}

// either wants the state to be what was asked for, if that was acknowledged,
// and otherwise that or what was before.
func either[T comparable](t *testing.T, r *result, have, before, asked T) {
	t.Helper()
	switch {
	case have == asked:
	case r.code == 0:
		t.Errorf("%s: was acknowledged, and there is %v\n%s", r.line, have, r.said)
	case have != before:
		t.Errorf("%s: was %v and is %v", r.line, before, have)
	}
}

func (p *path) config(t *testing.T, m *moment) {
	get := func() string {
		return must[map[string]string](t)(fetch[map[string]string](t, p.developer, "apps", p.app, "config-vars"))["STEP"]
	}
	before, value := get(), p.next()
	m.start()
	r := p.h(t, "developer", "config:set", "STEP="+value, "-a", p.app)
	m.ended(t, r)
	either(t, r, get(), before, value)
	p.decided(t)
}

func (p *path) scale(t *testing.T, m *moment) {
	get := func() int {
		f := must[formation](t)(fetch[formation](t, p.developer, "apps", p.app, "formation", "web"))
		return f.Quantity
	}
	before := get()
	asked := 3 - before
	m.start()
	r := p.h(t, "developer", "ps:scale", fmt.Sprintf("web=%d", asked), "-a", p.app)
	m.ended(t, r)
	either(t, r, get(), before, asked)
	eventually(t, settle, "the dynos asked for running", func() error {
		dynos, err := list[dyno](t, p.developer, client.Path("apps", p.app, "dynos"))
		up := slices.DeleteFunc(dynos, func(d dyno) bool { return d.Type != "web" || d.State != "up" })
		if want := get(); err == nil && len(up) != want {
			err = fmt.Errorf("%d of %d are up", len(up), want)
		}
		return err
	})
}

func (p *path) run(t *testing.T, m *moment) {
	start := time.Now()
	m.start()
	r := p.h(t, "developer", "run", "--exit-code", "-a", p.app, "--", "node", "-e", "for (let n = 1; n < 6; n++) setTimeout(() => console.log('tick-' + n), 200 * n)")
	m.ended(t, r)
	if r.code == 0 {
		r.says("tick-5")
	}
	seen := ticksOf(r.said)
	for _, x := range p.closed(t, "other", start) {
		if n := ticksOf(p.recording(t, "other", x)); n < seen {
			t.Errorf("the client saw %d lines, the recording of %s session %s has %d", seen, x.State, x.ID, n)
		}
		if r.code == 0 && (x.ExitCode == nil || *x.ExitCode != 0) {
			t.Errorf("the client was told 0, the session %s says %v", x.State, x.ExitCode)
		}
	}
	eventually(t, settle, "the one-off dyno being gone", func() error {
		dynos, err := list[dyno](t, p.developer, client.Path("apps", p.app, "dynos"))
		if slices.ContainsFunc(dynos, func(d dyno) bool { return d.Type == "run" }) {
			err = errors.New("it is there")
		}
		return err
	})
}

// ticksOf counts the lines of the process that run starts.
func ticksOf(text string) int { return len(tick.FindAllString(text, -1)) }

var tick = regexp.MustCompile(`tick-\d`)

func (p *path) psql(t *testing.T, m *moment) {
	start := time.Now()
	m.start()
	r := p.h(t, "developer", "pg:psql", "-a", "intake", "-c", "select 6*7 as answer")
	for tries := 0; m.calm && r.code != 0 && strings.Contains(r.said, "EPIPE") && tries < 3; tries++ {
		// The CLI's own end of the tunnel breaks off at times when psql ends.
		r = p.h(t, "developer", "pg:psql", "-a", "intake", "-c", "select 6*7 as answer")
	}
	m.ended(t, r)
	if r.code == 0 {
		r.says("42")
	}
	p.closed(t, "clinic", start)
}

// closed wants no session of the space to be open, and gives those that began
// since, each with its recording if it has one to have.
func (p *path) closed(t *testing.T, space string, since time.Time) []client.Session {
	t.Helper()
	var all []client.Session
	eventually(t, settle, "the sessions being closed", func() (err error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if all, err = p.auditor.Sessions(ctx, space); err != nil {
			return err
		}
		for _, x := range all {
			if x.State == "open" {
				err = errors.Join(err, fmt.Errorf("session %s of %s is open", x.ID, x.StartedAt))
			}
		}
		return err
	})
	return slices.DeleteFunc(all, func(x client.Session) bool { return x.StartedAt.Before(since.Add(-time.Second)) })
}

// recording reads a session's recording, "" if nothing had begun.
func (p *path) recording(t *testing.T, space string, x client.Session) string {
	t.Helper()
	if x.Recording == nil {
		if x.ExitCode != nil && *x.ExitCode == 0 {
			t.Errorf("session %s ended well and has no recording", x.ID)
		}
		return ""
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	cast, err := p.auditor.Recording(ctx, space, x.ID)
	if err != nil {
		t.Fatalf("the recording of session %s: %v", x.ID, err)
	}
	defer cast.Close()
	text, err := io.ReadAll(cast)
	if err != nil {
		t.Fatalf("the recording of session %s: %v", x.ID, err)
	}
	return string(text)
}

// push pushes a change and has it approved. One that was broken off is pushed
// again.
func (p *path) push(t *testing.T, m *moment) {
	text := strings.Replace(stepsSource, "version 0", "version "+p.next(), 1)
	if err := os.WriteFile(filepath.Join(p.dir, "server.js"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.commit(t, p.dir, "Version "+fmt.Sprint(p.n))
	commit := strings.TrimSpace(p.git(t, "developer", p.dir, "rev-parse", "HEAD").ok().out)
	m.start()
	pushed := p.git(t, "developer", p.dir, "push", "heroku", "main")
	var approved *result
	if v := p.waiting(t); pushed.code == 0 && v != "" {
		approved = p.sr(t, "approver", "releases:approve", v, "--app", p.app, "--note", "test")
	}
	m.ended(t, pushed)
	eventually(t, settle, "the build ending on record", func() error {
		builds, err := list[build](t, p.developer, client.Path("apps", p.app, "builds"))
		for _, b := range builds {
			if b.Status == "pending" {
				err = errors.Join(err, fmt.Errorf("build %s is pending", b.ID))
			}
		}
		return err
	})
	if pushed.code != 0 {
		// As a person would. What was released before the cut waits, and is
		// replaced or approved.
		eventually(t, settle, "the next push going through", func() error {
			if r := p.git(t, "developer", p.dir, "push", "heroku", "main"); r.code != 0 {
				return errors.New(r.said)
			}
			return nil
		})
	}
	if approved == nil || approved.code != 0 {
		if v := p.waiting(t); v != "" {
			p.sr(t, "approver", "releases:approve", v, "--app", p.app, "--note", "test").ok()
		}
	}
	p.decided(t)
	for _, r := range p.releases(t) {
		if r.Strongroom.Commit == commit && r.Strongroom.Status == "succeeded" {
			return
		}
	}
	t.Errorf("the commit %s was pushed and is in no release that is live\n%s", commit, pushed.said)
}

func (p *path) releases(t *testing.T) []release {
	t.Helper()
	return must[[]release](t)(list[release](t, p.developer, client.Path("apps", p.app, "releases")))
}

// waiting is the newest release that waits for approval, "" if none does or
// the server does not answer.
func (p *path) waiting(t *testing.T) string {
	t.Helper()
	releases, err := list[release](t, p.developer, client.Path("apps", p.app, "releases"))
	if err != nil {
		return ""
	}
	v := 0
	for _, r := range releases {
		if r.Strongroom.Status == "waiting" {
			v = max(v, r.Version)
		}
	}
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("v%d", v)
}

// decided wants no release to hang: each is live, failed or waits for somebody.
func (p *path) decided(t *testing.T) {
	t.Helper()
	eventually(t, settle, "the releases being decided", func() error {
		current := 0
		for _, r := range p.releases(t) {
			if r.Strongroom.Status == "pending" {
				return fmt.Errorf("v%d is pending", r.Version)
			}
			if r.Current {
				current++
			}
		}
		if current != 1 {
			return fmt.Errorf("%d releases are current", current)
		}
		return nil
	})
}

// space makes one, or destroys the one that there is.
func (p *path) space(t *testing.T, m *moment) {
	get := func() (name, state string) {
		for _, x := range must[[]named](t)(list[named](t, p.developer, "/spaces")) {
			if strings.HasPrefix(x.Name, "step-") {
				return x.Name, x.State
			}
		}
		return "", ""
	}
	before, _ := get()
	asked := ""
	var r *result
	m.start()
	if before == "" {
		asked = "step-" + unique()
		r = p.h(t, "operator", "spaces:create", asked, "--team", "care")
	} else {
		r = p.h(t, "operator", "spaces:destroy", "--space", before, "--confirm", before)
	}
	m.ended(t, r)
	eventually(t, settle, "the space getting where it goes", func() error {
		name, state := get()
		if name != "" && state != "allocated" || r.code == 0 && name != asked {
			return fmt.Errorf("space %s is %s", name, state)
		}
		return nil
	})
	have, _ := get()
	either(t, r, have, before, asked)
}

// addon makes a database for the app, or destroys it.
func (p *path) addon(t *testing.T, m *moment) {
	get := func() (name, state string) {
		for _, x := range must[[]named](t)(list[named](t, p.developer, client.Path("apps", p.app, "addons"))) {
			return x.Name, x.State
		}
		return "", ""
	}
	before, _ := get()
	var r *result
	m.start()
	if before == "" {
		r = p.h(t, "operator", "addons:create", "heroku-postgresql", "-a", p.app)
	} else {
		r = p.h(t, "operator", "addons:destroy", before, "-a", p.app, "--confirm", p.app)
	}
	m.ended(t, r)
	there := func() bool { name, _ := get(); return name != "" }
	eventually(t, settle, "the add-on getting where it goes", func() error {
		name, state := get()
		if name != "" && state != "provisioned" || r.code == 0 && (name == "") != (before != "") {
			return fmt.Errorf("add-on %s is %s", name, state)
		}
		return nil
	})
	either(t, r, there(), before != "", before == "")
	p.decided(t)
}

// role gives the auditor another role, or takes it.
func (p *path) role(t *testing.T, m *moment) {
	const email = "auditor@example.org"
	operator := p.account(t, "operator")
	get := func() bool {
		member := must[struct {
			Roles []string `json:"roles"`
		}](t)(fetch[struct {
			Roles []string `json:"roles"`
		}](t, operator, "teams", "care", "members", email, "roles"))
		return slices.Contains(member.Roles, "viewer")
	}
	before := get()
	args := []string{"roles:grant", email, "viewer", "--team", "care"}
	if before {
		args = []string{"roles:revoke", email, "viewer", "--team", "care", "--confirm", email}
	}
	m.start()
	r := p.sr(t, "operator", args...)
	m.ended(t, r)
	either(t, r, get(), before, !before)
}

// evidence exports a pack; one that came whole is good.
func (p *path) evidence(t *testing.T, m *moment) {
	pack := filepath.Join(t.TempDir(), "pack"+p.next()+".zip")
	from := p.began.UTC().Format(time.RFC3339Nano)
	m.start()
	r := p.sr(t, "auditor", "evidence:export", "--space", "clinic", "--from", from, "--out", pack)
	m.ended(t, r)
	if r.code == 0 {
		p.sr(t, "auditor", "evidence:verify", pack, "--key", filepath.Join(p.out, "log.vkey")).ok()
	} else if _, err := os.Stat(pack); err == nil {
		t.Errorf("the export broke off and left a pack\n%s", r.said)
	}
}

func (p *path) maintenance(t *testing.T, m *moment) {
	get := func() bool {
		return must[struct {
			Maintenance bool `json:"maintenance"`
		}](t)(fetch[struct {
			Maintenance bool `json:"maintenance"`
		}](t, p.developer, "apps", p.app)).Maintenance
	}
	before := get()
	verb := "maintenance:on"
	if before {
		verb = "maintenance:off"
	}
	m.start()
	r := p.h(t, "developer", verb, "-a", p.app)
	m.ended(t, r)
	either(t, r, get(), before, !before)
}

// settled puts back what the steps left, and wants nothing to be half-made.
func (p *path) settled(t *testing.T) {
	t.Helper()
	p.closed(t, "other", p.began)
	p.closed(t, "clinic", p.began)
	p.decided(t)
	for _, x := range must[[]named](t)(list[named](t, p.developer, "/spaces")) {
		if strings.HasPrefix(x.Name, "step-") {
			p.space(t, calm)
		}
	}
	if len(must[[]named](t)(list[named](t, p.developer, client.Path("apps", p.app, "addons")))) > 0 {
		p.addon(t, calm)
	}
	if r := p.sr(t, "operator", "roles:revoke", "auditor@example.org", "viewer", "--team", "care", "--confirm", "auditor@example.org"); r.code != 0 {
		r.says("does not hold that role") // it was taken in the last round
	}
	p.h(t, "developer", "maintenance:off", "-a", p.app).ok()
}
