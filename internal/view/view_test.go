package view_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/view"
	"github.com/strongroom/strongroom/internal/view/viewtest"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)

func base() document.Base {
	return document.Base{Schema: 1, ID: uuid.NewString(), CreatedAt: at, UpdatedAt: at}
}

var site = view.Site{API: "https://localhost:5443", Git: "https://localhost:5443", Region: "virginia", Since: at}

type world struct {
	account *document.Account
	team    *document.Team
	space   *document.Space
	app     *document.App
	release *document.Release
	addon   *document.Addon
}

func newWorld() world {
	w := world{
		account: &document.Account{Base: base(), Email: "ada@example.org", Name: "Ada"},
		team:    &document.Team{Base: base(), Name: "care"},
	}
	w.space = &document.Space{
		Base: base(), Team: w.team.ID, Name: "ward", Shield: true, Region: "virginia", State: document.SpaceAllocated,
		Trusted: []document.TrustedIP{{Source: "203.0.113.0/24", Action: "allow"}}, Ruleset: uuid.NewString(), RuledBy: "ada@example.org", RuledAt: at,
	}
	w.app = &document.App{
		Base: base(), Name: "clinic", Team: w.team.ID, Space: w.space.ID, Owner: w.account.ID, Stack: "debian-13", EPHI: "yes", ReleasedAt: &at, SlugSize: 42,
	}
	w.release = &document.Release{
		Base: base(), App: w.app.ID, Version: 2, Slug: uuid.NewString(), Status: document.ReleaseWaiting, Required: 1,
		By: w.account.ID, ByEmail: w.account.Email, Description: "Deploy 0123abcd",
	}
	w.addon = &document.Addon{
		Base: base(), App: w.app.ID, Space: w.space.ID, Team: w.team.ID, Name: "postgresql-1", Service: "heroku-postgresql",
		Plan: "private-0", State: document.AddonProvisioned, Version: "17", Bytes: 2 << 30,
		Roles: []document.Credential{{Name: "default", User: "u1", Database: "d1"}},
	}
	return w
}

var (
	service = view.ServiceInfo{Name: "heroku-postgresql", Human: "Heroku Postgres"}
	plan    = view.PlanInfo{Service: "heroku-postgresql", Name: "heroku-postgresql:private-0", Human: "Private 0", Default: true}
)

func TestSchema(t *testing.T) {
	s := viewtest.Load(t)
	w := newWorld()
	in := at.Add(time.Hour)
	token := &document.Token{Base: base(), Account: w.account.ID, Description: "ci", Scope: []string{"global"}, ExpiresAt: &in}
	member := &document.Member{Base: base(), Team: w.team.ID, Account: w.account.ID, Email: w.account.Email, Roles: []string{"approver", "member"}}
	endpoint := &document.Endpoint{
		Base: base(), App: w.app.ID, Name: "cert-1", Certificate: "-----BEGIN CERTIFICATE-----", Names: []string{"www.example.org"}, StartsAt: at, ExpiresAt: in,
	}
	context := view.AppContext{Team: w.team, Space: w.space, Owner: w.account, Hostname: "clinic.apps.localhost"}
	attachment := &document.Attachment{Base: base(), App: w.app.ID, Addon: w.addon.ID, Name: "DATABASE", Credential: "default"}
	attached := view.AttachmentContext{App: w.app, Addon: w.addon, AddonApp: w.app, Plan: plan, ConfigVars: []string{"DATABASE_URL"}}
	slug := &document.Slug{Base: base(), Image: "sha256:00", Commit: "0123", Processes: []document.Process{{Type: "web", Command: "node ."}}}
	dyno := &document.Dyno{Base: base(), App: w.app.ID, Name: "web.1", Type: "web", Size: "Private-S", State: "up", Release: 2}
	for _, c := range []struct {
		schema string
		value  any
	}{
		{"account", view.OfAccount(w.account)},
		{"account", view.OfAccount(&document.Account{Base: base(), Email: "a@example.org", Suspended: true})},
		{"oauth-authorization", view.OfToken(token, w.account, "HRKU-1", at)},
		{"oauth-authorization", view.OfToken(&document.Token{Base: base()}, w.account, "", at)},
		{"key", view.OfKey(&document.SSHKey{Base: base(), Comment: "ada@laptop"}, w.account)},
		{"rate-limit", view.RateLimit{Remaining: 4499}},
		{"team", view.OfTeam(w.team, []string{"auditor"})},
		{"team", view.OfTeam(w.team, nil)},
		{"team-member", view.OfMember(member, w.account)},
		{"team-member", view.OfMember(member, nil)},
		{"space", site.OfSpace(w.space, w.team, nil)},
		{"space-nat", view.OfNAT(w.space, []string{"192.0.2.7"})},
		{"space-nat", view.OfNAT(w.space, nil)},
		{"inbound-ruleset", view.OfInboundRuleset(w.space)},
		{"space-topology", view.Topology{Version: 1, Apps: []view.TopologyApp{
			view.OfTopologyApp(w.app, []*document.Formation{{Base: base(), Type: "web"}}, []*document.Dyno{dyno}, nil),
		}}},
		{"app", site.OfApp(w.app, context)},
		{"app", site.OfApp(&document.App{Base: base(), Name: "bare", Owner: w.account.ID, Stack: "debian-13"}, view.AppContext{Owner: w.account})},
		{"team-app", site.OfTeamApp(w.app, context, true)},
		{"collaborator", view.OfCollaborator(&document.Collaborator{Base: base(), Account: w.account.ID, Email: w.account.Email, Permissions: []string{"view"}}, w.app, "")},
		{"collaborator", view.OfTeamMember(member, w.app)},
		{"[]team-app-permission", view.AppPermissions()},
		{"config-var", view.ConfigVars{"A": "1"}},
		{"build", site.OfBuild(&document.Build{Base: base(), Status: document.BuildPending, By: w.account.ID, ByEmail: w.account.Email}, w.app, "", "https://localhost/o")},
		{"build", site.OfBuild(&document.Build{Base: base(), Status: document.BuildSucceeded, By: w.account.ID, ByEmail: w.account.Email, Slug: uuid.NewString(), Buildpack: "nodejs"}, w.app, uuid.NewString(), "")},
		{"slug", view.OfSlug(slug, "debian-13")},
		{"release", view.OfRelease(w.release, view.ReleaseContext{App: w.app, Plans: []string{"private-0"}})},
		{"formation", view.OfFormation(&document.Formation{Base: base(), Type: "web", Size: "Private-S", Quantity: 2}, w.app)},
		{"dyno", view.OfDyno(dyno, w.app, nil, "")},
		{"dyno", view.OfDyno(dyno, w.app, w.release, "rendezvous://localhost:5444/x")},
		{"dyno-size", view.OfSize(view.Size{Name: "Private-S", Memory: 1 << 30, Compute: 1}, "amd64")},
		{"log-session", view.LogSession{ID: uuid.NewString(), LogplexURL: "https://localhost/x"}},
		{"domain", view.OfDomain(&document.Domain{Base: base(), Hostname: "www.example.org"}, w.app, "clinic.apps.localhost", endpoint)},
		{"domain", view.OfDomain(&document.Domain{Base: base(), Hostname: "clinic.apps.localhost", Default: true}, w.app, "", nil)},
		{"sni-endpoint", view.OfEndpoint(endpoint, w.app, []string{uuid.NewString()})},
		{"[]buildpack-installation", view.OfBuildpacks([]string{"heroku/nodejs", "https://github.com/x/y.git#v1"})},
		{"app-feature", site.OfFeature("app", view.FeatureInfo{Name: "preboot"}, true)},
		{"add-on", site.OfAddon(w.addon, view.AddonContext{App: w.app, Team: w.team, Plan: plan, Service: service}, nil)},
		{"add-on-attachment", site.OfAttachment(attachment, attached, nil)},
		{"plan", site.OfPlan(plan)},
		{"add-on-service", site.OfService(service)},
		{"[]region", site.Regions()},
		{"stack", site.OfStack("debian-13", true)},
	} {
		s.Value(t, c.schema, c.value)
	}
}

func TestSchemaRefuses(t *testing.T) {
	s := viewtest.Load(t)
	if s.Has("no-such-resource") {
		t.Error("a resource that Heroku does not have is known")
	}
	probe := &testing.T{}
	done := make(chan bool)
	go func() { // Errorf on a T of its own must not end this test
		defer close(done)
		s.Value(probe, "rate-limit", map[string]any{"remaining": "many"})
	}()
	<-done
	if !probe.Failed() {
		t.Error("a rate limit that is text passed")
	}
}

func TestHerokuRole(t *testing.T) {
	for _, c := range []struct {
		roles []string
		want  string
	}{
		{[]string{"approver", "owner"}, "owner"},
		{[]string{"member", "auditor"}, "member"},
		{[]string{"auditor"}, "collaborator"},
		{[]string{"operator"}, ""},
		{nil, ""},
	} {
		if got := view.HerokuRole(c.roles); got != c.want {
			t.Errorf("HerokuRole(%v) = %q, want %q", c.roles, got, c.want)
		}
	}
}

func TestExpansions(t *testing.T) {
	w := newWorld()
	addon := site.OfAddon(w.addon, view.AddonContext{App: w.app, Plan: plan, Service: service}, view.ParseExpand(" plan ,addon_service"))
	if p, ok := addon.Plan.(view.Plan); !ok || p.Name != plan.Name {
		t.Errorf("plan = %#v, want it in full", addon.Plan)
	}
	if s, ok := addon.AddonService.(view.Service); !ok || s.Name != service.Name {
		t.Errorf("addon_service = %#v, want it in full", addon.AddonService)
	}
	at := &document.Attachment{Base: base(), Name: "DATABASE", Credential: "ro"}
	context := view.AttachmentContext{App: w.app, Addon: w.addon, AddonApp: w.app, Plan: plan, ConfigVars: []string{"DATABASE_URL"}}
	if bare := site.OfAttachment(at, context, view.ParseExpand("")); bare.Addon.Plan != nil || bare.ConfigVars != nil {
		t.Errorf("inclusions that nobody asked for: %+v", bare)
	}
	full := site.OfAttachment(at, context, view.ParseExpand("addon:plan,config_vars"))
	if full.Addon.Plan == nil || len(full.ConfigVars) != 1 || *full.Namespace != "credential:ro" {
		t.Errorf("attachment = %+v", full)
	}
}

func TestWaitingRelease(t *testing.T) {
	w := newWorld()
	r := view.OfRelease(w.release, view.ReleaseContext{App: w.app})
	if r.Status != "pending" || r.Strongroom.Status != "waiting" || r.Description != "Deploy 0123abcd (waits for approval)" {
		t.Errorf("a release that waits for approval: %+v", r)
	}
	if r.EligibleForRollback {
		t.Error("a release that was never live is eligible for rollback")
	}
}

func TestNoPasswordUnlessRevealed(t *testing.T) {
	w := newWorld()
	c := view.OfCredential(w.addon, w.addon.Roles[0])
	if c.Credentials[0].Password != "" || c.Host != "" {
		t.Errorf("credential = %+v", c)
	}
	open := c.Reveal("postgresql-1.localspace", 5432, "s3cret")
	if open.Credentials[0].Password != "s3cret" || c.Credentials[0].Password != "" {
		t.Errorf("revealed %+v, and the original is %+v", open, c)
	}
}

// TestRefusal: whose attempt it was is said where that is known.
func TestRefusal(t *testing.T) {
	r := &document.Refusal{Base: document.Base{ID: "1"}, App: "2", Dyno: "web.1", To: "192.0.2.1", Protocol: "tcp", Port: 443, Count: 3}
	got := view.OfRefusal(r, &document.App{Base: document.Base{ID: "2"}, Name: "clinic"})
	if got.App == nil || got.App.Name != "clinic" || got.Dyno == nil || *got.Dyno != "web.1" || got.Packets != 3 {
		t.Errorf("shown as %+v", got)
	}
	if got := view.OfRefusal(&document.Refusal{To: "192.0.2.1"}, nil); got.App != nil || got.Dyno != nil {
		t.Errorf("nobody's is shown as %+v", got)
	}
}
