//go:build integration

package heroku

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// Each test is a person's way through related commands, in a world of its own.

func TestAccount(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.run("auth:whoami").ok("owner@example.org")
	h.run("auth:token").ok(h.Tokens["owner"])
	h.recorded()
	token := strings.TrimSpace(h.run("authorizations:create", "-d", "ci", "-s", "read", "-e", "3600", "--short").ok("HRKU-").stdout)
	h.recorded("owner token.create ok")
	h.Tokens["ci"] = token
	h.as("ci").run("apps", "--team", "care").ok("clinic")
	h.as("ci").run("config", "-a", "clinic").fails("This token is good for read and this needs read-protected")
	h.recorded("owner config.read denied")
	h.run("authorizations").ok("ci", "read")
	id := field(h.run("authorizations").stdout, "ci")
	h.run("authorizations:info", id).ok("ci", "Scope: read", "in about 1 hour")
	h.run("authorizations:revoke", id).ok()
	h.recorded("owner token.revoke ok")
	h.as("ci").run("auth:whoami").fails("Invalid credentials provided.")
	h.recorded("anonymous account.login denied")

	key := h.write("id.pub", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYyA0wUyWWRx0l3FfX5oVqC5U0gMNgCq4D0tqL3PoDg owner@laptop\n")
	h.run("keys:add", key).ok("Uploading")
	h.run("keys").ok("ssh-ed25519", "owner@laptop")
	h.run("keys:add", key).fails("Key is already in use.")
	h.run("keys:remove", "owner@laptop").ok()
	h.run("keys").ok("You have no SSH keys")
	h.recorded("owner key.add ok", "owner key.remove ok")

	h.run("regions").ok("virginia")
	h.run("apps:stacks", "-a", "clinic").ok("* debian-13")
	h.run("labs", "-a", "clinic").ok()
}

// field is the id of the line that begins with a name.
func field(table, name string) string {
	for _, line := range strings.Split(table, "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			return f[1]
		}
	}
	return ""
}

func TestApps(t *testing.T) {
	t.Parallel()
	h := newHost(t).as("admin")
	h.run("apps:create", "portal", "--space", "ward", "--team", "care", "--no-remote").ok("https://portal.apps.localhost/")
	h.run("apps:create", "lonely", "--no-remote").ok("https://lonely.apps.localhost/") // there is one space
	h.run("apps:create", "Bad_Name", "--space", "ward", "--team", "care", "--no-remote").fails("must start with a letter")
	h.recorded("admin app.create ok", "admin app.create ok")
	h.run("apps").ok("clinic", "portal")
	h.run("apps", "--team", "care").ok("portal")
	h.run("apps", "--space", "ward").ok("portal")
	h.run("apps", "--json").ok(`"name": "portal"`)
	h.run("apps:info", "-a", "portal").ok("Space: ward", "Owner: care", "Git URL: "+h.url+"/portal.git", "Stack: debian-13")
	h.run("apps:rename", "gate", "-a", "portal").ok("https://gate.apps.localhost/")
	h.run("maintenance:on", "-a", "gate").ok()
	h.run("maintenance", "-a", "gate").ok("on")
	h.run("maintenance:off", "-a", "gate").ok()
	h.recorded("admin app.update ok", "admin app.update ok", "admin app.update ok")
	h.run("features", "-a", "gate").ok("[+] preboot")
	h.run("features:info", "preboot", "-a", "gate").ok("true")
	h.run("features:disable", "preboot", "-a", "gate").fails("cannot be turned off")
	h.run("features:enable", "http-session-affinity", "-a", "gate").fails("is not served")

	h.run("buildpacks", "-a", "gate").ok("has no Buildpacks")
	h.run("buildpacks:set", "heroku/nodejs", "-a", "gate").ok("will use heroku/nodejs")
	h.run("buildpacks:add", "--index", "1", "https://github.com/x/first.git", "-a", "gate").ok("1. https://github.com/x/first.git", "2. heroku/nodejs")
	h.run("buildpacks:add", "urn:buildpack:ours", "-a", "gate").ok("3. ours")
	h.run("buildpacks:remove", "heroku/nodejs", "-a", "gate").ok("2. ours")
	h.run("buildpacks:set", "some/other", "-a", "gate").fails("no such buildpack")
	h.run("buildpacks", "-a", "gate").ok("https://github.com/x/first.git", "ours")
	h.run("buildpacks:clear", "-a", "gate").ok("detect buildpacks normally")
	h.recorded("admin app.buildpacks ok", "admin app.buildpacks ok", "admin app.buildpacks ok", "admin app.buildpacks ok", "admin app.buildpacks ok", "admin config.read ok")

	repo := t.TempDir()
	if out, err := exec.Command("git", "init", "-q", repo).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v %s", err, out)
	}
	h.runIn(repo, "git:remote", "-a", "gate").ok("set git remote heroku to " + h.url + "/gate.git")
	out, err := exec.Command("git", "-C", repo, "remote", "-v").CombinedOutput()
	if err != nil || !strings.Contains(string(out), h.url+"/gate.git (push)") {
		t.Errorf("git remote -v: %v %s", err, out)
	}
	h.run("apps:destroy", "-a", "gate", "--confirm", "gate").ok()
	h.run("apps:destroy", "-a", "clinic", "--confirm", "clinic").fails("has the add-on records")
	h.recorded("admin app.destroy ok")
}

func TestConfigAndReleases(t *testing.T) {
	t.Parallel()
	h := newHost(t).as("dev")
	h.run("config", "-a", "clinic").ok("GREETING: hello", "DATABASE_URL:")
	h.run("config:get", "GREETING", "-a", "clinic").ok("hello")
	h.recorded("dev config.read ok", "dev config.read ok")
	h.run("config:set", "A=1", "B=two words", "-a", "clinic").ok("v5", "A: 1", "B: two words")
	h.recorded("dev config.set ok", "dev release.live ok", "dev config.read ok")
	h.run("config:unset", "A", "-a", "clinic").ok("v6")
	h.run("config:get", "A", "-a", "clinic").ok().lacks("1")
	h.recorded("dev config.set ok", "dev release.live ok", "dev config.read ok", "dev config.read ok")
	h.run("releases", "-a", "clinic").ok("v6", "Remove A config vars", "Deploy 22222222 (waits for approval)", "dev@example.org")
	h.run("releases:info", "-a", "clinic").ok("Remove A config vars", "GREETING: hello", "heroku-postgresql:private-0")
	h.run("releases:info", "v1", "-a", "clinic").ok("Set GREETING config vars").lacks("DATABASE_URL")
	h.recorded("dev config.read ok", "dev config.read ok")
	h.run("releases:output", "v2", "-a", "clinic").ok("no release output available")
	h.run("releases:rollback", "v2", "-a", "clinic").ok("v7")
	h.recorded("dev release.rollback ok", "dev release.live ok")
	h.run("releases", "-a", "clinic", "-n", "1").ok("Rollback to v2").lacks("v6")
	h.as("viewer").run("config", "-a", "clinic").fails("needs the permission app.secrets", "forbidden")
	h.as("stranger").run("config", "-a", "clinic").fails("Couldn't find that app.")
	h.recorded("viewer config.read denied", "stranger config.read denied")
}

func TestDynos(t *testing.T) {
	t.Parallel()
	h := newHost(t).as("dev")
	h.run("ps", "-a", "clinic").ok("web (Shield-S): node server.js (1)", "web.1: up")
	h.run("ps:scale", "-a", "clinic").ok("web=1:Shield-S", "worker=0:Shield-S")
	h.run("ps:scale", "web=2:Private-M", "worker=1", "-a", "clinic").ok("web at 2:Shield-M", "worker at 1:Shield-S")
	h.run("ps:scale", "web=2:Standard-2X", "-a", "clinic").fails("No such dyno size")
	h.run("ps:type", "-a", "clinic").ok("Shield-M")
	h.run("ps:type", "web=private-l", "-a", "clinic").ok("Shield-L")
	h.recorded("dev formation.scale ok", "dev formation.scale ok")
	h.run("ps:restart", "-a", "clinic").ok()
	h.run("ps:restart", "--dyno-name", "web.1", "-a", "clinic").ok()
	h.run("ps:restart", "--process-type", "worker", "-a", "clinic").ok()
	h.recorded("dev dyno.restart ok", "dev dyno.restart ok", "dev dyno.restart ok")
	h.run("run:detached", "-a", "clinic", "--", "node", "--version").ok("run.1")
	h.run("ps:stop", "--dyno-name", "run.1", "-a", "clinic").ok()
	h.run("ps:stop", "--process-type", "run", "-a", "clinic").ok()
	h.run("ps:stop", "--process-type", "clock", "-a", "clinic").fails("process type")
	h.recorded("dev dyno.run ok", "dev dyno.stop ok", "dev dyno.stop ok")
	h.run("logs", "-a", "clinic", "-d", "web.1").ok("app[web.1]: hello from clinic")
	h.recorded("dev log.read ok")
	h.run("spaces:ps", "ward").ok("web", "node server.js", "web.1")
	h.as("viewer").run("ps:scale", "web=1", "-a", "clinic").fails("needs the permission app.operate")
	h.recorded("viewer formation.scale denied")
}

func TestDomainsAndCertificates(t *testing.T) {
	t.Parallel()
	h := newHost(t).as("dev")
	cert, key := h.pair("www.example.org")
	h.run("certs", "-a", "clinic").ok("has no SSL certificates")
	h.run("certs:add", cert, key, "-a", "clinic").ok("www.example.org", "SSL certificate is self signed")
	h.run("certs", "-a", "clinic").ok("cert-", "www.example.org")
	name := firstWord(h.run("certs", "-a", "clinic").stdout, "cert-")
	h.run("certs:info", "-a", "clinic", "--name", name).ok("www.example.org")
	h.recorded("dev certificate.add ok")
	h.run("domains:add", "www.example.org", "--cert", name, "-a", "clinic").ok()
	h.run("domains", "-a", "clinic").ok("clinic.apps.localhost", "www.example.org", "CNAME", name)
	h.run("domains:wait", "www.example.org", "-a", "clinic").ok()
	h.run("domains:info", "www.example.org", "-a", "clinic").ok("clinic.apps.localhost")
	h.run("domains:add", "not_a_host", "-a", "clinic").fails("host name")
	h.run("domains:add", "api.example.org", "--cert", name, "-a", "clinic").fails("is for www.example.org and not for api.example.org")
	old, oldKey := h.pairUntil("api.example.org", time.Now().Add(-time.Minute))
	h.run("certs:add", old, oldKey, "-a", "clinic").fails("The certificate of CN=api.example.org expired")
	h.recorded("dev domain.add ok")
	newer, newerKey := h.pair("www.example.org")
	h.run("certs:update", newer, newerKey, "--name", name, "-a", "clinic", "--confirm", "clinic").ok("www.example.org")
	h.run("certs:update", newer, key, "--name", name, "-a", "clinic", "--confirm", "clinic").fails("do not belong together")
	h.run("certs:remove", "--name", name, "-a", "clinic", "--confirm", "clinic").ok()
	h.run("domains:remove", "www.example.org", "-a", "clinic").ok()
	h.recorded("dev certificate.update ok", "dev certificate.remove ok", "dev domain.remove ok")
}

func firstWord(s, prefix string) string {
	for _, f := range strings.Fields(s) {
		if strings.HasPrefix(f, prefix) {
			return f
		}
	}
	return ""
}

func TestPeople(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.run("teams").ok("care", "owner")
	h.run("members", "--team", "care").ok("dev@example.org", "member", "auditor@example.org", "collaborator")
	h.run("members:add", "collab@example.org", "--team", "care", "--role", "member").ok()
	h.run("members:set", "collab@example.org", "--team", "care", "--role", "admin").ok()
	h.run("members", "--team", "care", "--role", "admin").ok("collab@example.org").lacks("dev@example.org")
	h.run("members:remove", "collab@example.org", "--team", "care").ok()
	h.recorded("owner role.grant ok", "owner role.grant ok", "owner role.revoke ok")
	h.run("members:add", "nobody@example.org", "--team", "care", "--role", "member").fails("There is no account for nobody@example.org")

	h.run("access", "-a", "clinic").ok("collab@example.org", "view", "owner@example.org")
	h.run("access:add", "stranger@example.org", "-a", "clinic", "--permissions", "deploy").ok()
	h.as("stranger").run("apps:info", "-a", "clinic").ok("clinic")
	h.run("access:update", "stranger@example.org", "-a", "clinic", "--permissions", "view").ok()
	h.as("stranger").run("config", "-a", "clinic").fails("needs the permission app.secrets")
	h.run("access:remove", "stranger@example.org", "-a", "clinic").ok()
	h.as("stranger").run("apps:info", "-a", "clinic").fails("Couldn't find that app.")
	h.recorded("owner collaborator.add ok", "owner collaborator.add ok", "stranger config.read denied", "owner collaborator.remove ok", "stranger app.view denied")
	h.as("dev").run("members:add", "collab@example.org", "--team", "care", "--role", "owner").fails("needs the permission team.manage")
	h.recorded("dev role.grant denied")
}

func TestSpaces(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.run("spaces").ok("ward", "care", "virginia", "allocated")
	h.run("spaces:create", "annex", "--team", "care", "--shield").ok("annex", "allocating", "Shield: on")
	annex, err := h.space("annex")
	if err != nil {
		t.Fatal(err)
	}
	h.Do(&spaces.Allocated{ID: annex.ID}, commandtest.Platform)
	h.run("spaces:wait", "annex").ok("annex", "allocated", "192.0.2.7")
	h.run("spaces:info", "annex").ok("annex", "Shield: on", "Region: This installation")
	h.run("spaces:rename", "--from", "annex", "--to", "annex-two").ok()
	h.recorded("owner space.create ok", "test space.allocate ok", "owner space.rename ok")
	h.run("spaces:trusted-ips", "annex-two").ok("no trusted IP ranges")
	h.run("trusted-ips:add", "203.0.113.0/24", "--space", "annex-two", "--confirm", "annex-two").ok("Added 203.0.113.0/24")
	h.run("spaces:trusted-ips", "annex-two").ok("203.0.113.0/24")
	h.run("trusted-ips:add", "300.0.0.1/8", "--space", "annex-two", "--confirm", "annex-two").fails("is not a network")
	h.run("trusted-ips:remove", "203.0.113.0/24", "--space", "annex-two", "--confirm", "annex-two").ok("Removed 203.0.113.0/24")
	h.recorded("owner space.trusted ok", "owner space.trusted ok")
	opening := []string{"trusted-ips:add", "0.0.0.0/0", "--space", "annex-two", "--confirm", "annex-two"}
	h.run(opening...).fails("opens the shield space annex-two to everybody")
	h.run("trusted-ips:add", "203.0.113.7/8", "--space", "annex-two", "--confirm", "annex-two").fails("write 203.0.0.0/8 for the network")
	h.with(`HEROKU_HEADERS={"Strongroom-Reason":"the portal is public","Strongroom-Confirm":"annex-two"}`).run(opening...).ok("Added 0.0.0.0/0")
	h.recorded("owner space.trusted ok")
	h.run("spaces:topology", "ward").ok("clinic", "clinic.apps.localhost", "web.1")
	h.run("spaces:destroy", "--space", "annex-two", "--confirm", "annex-two").ok()
	h.run("spaces:destroy", "--space", "ward", "--confirm", "ward").fails("still holds 1 apps")
	h.recorded("owner space.destroy ok")
	h.as("stranger").run("spaces:info", "ward").fails("Couldn't find that space.")
	h.recorded("stranger space.view denied")
}

func (h *host) space(name string) (s *document.Space, err error) {
	err = h.Store.Read(h.t.Context(), func(v store.View) error {
		s, err = store.One[*document.Space](v, "name", name)
		return err
	})
	return s, err
}

func TestAddons(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.run("addons:services").ok("heroku-postgresql", "Heroku Postgres")
	h.run("addons:plans", "heroku-postgresql").ok("heroku-postgresql:private-0", "heroku-postgresql:private-2")
	h.run("addons", "-a", "clinic").ok("heroku-postgresql (records)", "as DATABASE", "private-0", "created")
	h.run("addons", "--all").ok("records", "clinic")
	h.run("addons:info", "records", "-a", "clinic").ok("heroku-postgresql:private-0", "DATABASE", "clinic")
	h.run("pg:info", "-a", "clinic").ok("=== DATABASE_URL", "Plan: Private 0", "Status: Available", "Data Size: 7.00 MB", "Tables: 3", "Connections: 2", "Add-on: records")
	h.run("pg:info", "DATABASE", "-a", "clinic").ok("Add-on: records")
	h.run("pg:wait", "-a", "clinic").ok()
	h.run("pg:credentials", "-a", "clinic").ok("default", "active")
	h.recorded("owner config.read ok", "owner config.read ok")
	h.run("pg:credentials:url", "-a", "clinic").ok("host=records.localspace port=5432", "postgres://u")
	h.recorded("owner credential.read ok")
	h.as("viewer").run("pg:credentials:url", "-a", "clinic").fails("needs the permission app.secrets")
	h.recorded("viewer credential.read denied")

	h.run("addons:create", "heroku-postgresql:private-0", "-a", "clinic", "--name", "spare", "--as", "SPARE").ok("being created in the background")
	h.run("addons:create", "heroku-postgresql:private-9", "-a", "clinic").fails("Couldn't find the plan")
	spare, err := h.addon("spare")
	if err != nil {
		t.Fatal(err)
	}
	h.run("addons:info", "spare", "-a", "clinic").ok("creating")
	h.Do(&addons.Provisioned{ID: spare.ID, Image: "sha256:" + strings.Repeat("0", 64)}, commandtest.Platform)
	h.run("addons:wait", "spare", "-a", "clinic").ok()
	h.run("addons:wait", "-a", "clinic").ok()
	h.recorded("owner addon.create ok", "test addon.provision ok", "test release.live ok")
	h.run("apps:create", "reports", "--space", "ward", "--team", "care", "--no-remote").ok()
	h.run("addons:attach", "records", "-a", "reports", "--as", "RECORDS").ok("v1")
	h.run("config:get", "RECORDS_URL", "-a", "reports").ok("postgres://")
	h.run("addons:detach", "RECORDS", "-a", "reports").ok("v2")
	h.recorded("owner app.create ok", "owner addon.attach ok", "owner release.live ok", "owner config.read ok", "owner addon.detach ok", "owner release.live ok")
	h.run("addons:detach", "DATABASE", "-a", "clinic").fails("Cannot detach the last attachment")
	h.run("addons:destroy", "spare", "-a", "clinic", "--confirm", "clinic").ok("being destroyed in the background")
	h.recorded("owner addon.detach denied", "owner addon.destroy ok", "owner release.live ok")
	h.as("stranger").run("addons:info", "records", "-a", "clinic").fails("Couldn't find that app.")
	h.recorded("stranger app.view denied")
}

func (h *host) addon(name string) (a *document.Addon, err error) {
	err = h.Store.Read(h.t.Context(), func(v store.View) error {
		a, err = store.One[*document.Addon](v, "name", name)
		return err
	})
	return a, err
}
