package addons_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

// lab has the world's database records of clinic, and a second app beside it.
type lab struct {
	*commandtest.World
	ward   string
	second *document.App
}

func newLab(t *testing.T) *lab {
	t.Helper()
	w := commandtest.New(t, commandtest.Noon)
	cmd := &apps.Create{Name: "second", Space: "ward"}
	w.Do(cmd, w.As("dev"))
	return &lab{w, w.IDs["space:ward"], cmd.App}
}

func (l *lab) attach(addon, app, as string) *document.Attachment {
	l.T.Helper()
	cmd := &addons.Attach{Addon: addon, App: app, As: as}
	l.Do(cmd, l.As("owner"))
	return cmd.Attachment
}

// config is an app's config vars as its owner reads them.
func (l *lab) config(app string) map[string]string {
	l.T.Helper()
	cmd := &config.Read{App: app}
	l.Do(cmd, l.As("owner"))
	out := map[string]string{}
	for name, v := range cmd.Values {
		out[name] = string(v.Reveal())
	}
	return out
}

func (l *lab) jobs(kind string) (refs []string) {
	l.T.Helper()
	list, err := l.Store.Jobs(l.T.Context(), 1000)
	if err != nil {
		l.T.Fatal(err)
	}
	for _, j := range list {
		if j.Kind == kind {
			refs = append(refs, j.Ref)
		}
	}
	return refs
}

func TestCreate(t *testing.T) {
	l := newLab(t)
	cmd := &addons.Create{App: "second", Plan: "heroku-postgresql:private-2", Name: "charts"}
	lines := l.Record(cmd, l.As("owner"))
	a := cmd.Addon
	if a.State != document.AddonProvisioning || a.Space != l.ward || a.Team != l.IDs["team:care"] || a.Bytes != 64<<30 || a.Version != "17" || a.EPHI != document.EPHIUnknown {
		t.Errorf("%+v", a)
	}
	if cmd.Attach.Name != "DATABASE" || lines[0].Scope != l.ward || len(lines) != 1 {
		t.Errorf("%+v, recorded as %v", cmd.Attach, lines)
	}
	if got := l.jobs(addons.JobProvision); !slices.Contains(got, a.ID) {
		t.Errorf("jobs %v", got)
	}
	if got := l.config("second"); len(got) != 0 {
		t.Errorf("config %v before the database is there", got)
	}
	secrets := map[string]bool{}
	for _, s := range []document.Sealed{*a.VolumeKey, *a.Admin, a.Roles[0].Password} {
		v, err := l.Keyring.Open(t.Context(), s.ID, s.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		secrets[string(v.Reveal())] = true
		if len(v.Reveal()) < 48 {
			t.Errorf("a secret of %d bytes", len(v.Reveal()))
		}
		if where := l.Tells(string(v.Reveal())); len(where) > 0 {
			t.Errorf("a secret is told by %v", where)
		}
	}
	if len(secrets) != 3 {
		t.Error("secrets are used twice")
	}
	for name, bad := range map[string]*addons.Create{
		"taken": {Plan: "heroku-postgresql", Name: "records"}, "name": {Plan: "heroku-postgresql", Name: "Bad Name"}, "attachment": {Plan: "heroku-postgresql", As: "no way"},
		"attachment in use": {Plan: "heroku-postgresql", As: "database"},
	} {
		bad.App = "second"
		if l.Refused(fault.Invalid, commandtest.None, bad, l.As("owner")); t.Failed() {
			t.Fatal(name)
		}
	}
	for _, plan := range []string{"heroku-redis", "heroku-postgresql:huge", ""} {
		l.Refused(fault.NotFound, commandtest.None, &addons.Create{App: "second", Plan: plan}, l.As("owner"))
	}
	for who, kind := range map[string]fault.Kind{"dev": fault.Forbidden, "viewer": fault.Forbidden, "collab": fault.NotFound, "stranger": fault.NotFound} {
		l.Refused(kind, l.ward, &addons.Create{App: "second", Plan: "heroku-postgresql"}, l.As(who))
	}
	further := &addons.Create{App: "second", Plan: "heroku-postgresql"}
	l.Do(further, l.As("owner"))
	if further.Attach.Name != "HEROKU_POSTGRESQL_AMBER" {
		t.Errorf("a further database is attached as %s", further.Attach.Name)
	}
}

func TestProvisioned(t *testing.T) {
	l := newLab(t)
	create := &addons.Create{App: "second", Plan: "heroku-postgresql", Name: "charts"}
	l.Do(create, l.As("owner"))
	id := create.Addon.ID
	l.Refused(fault.Forbidden, l.ward, &addons.Provisioned{ID: id}, l.As("owner"))
	lines := l.Record(&addons.ProvisionFailed{ID: id, Message: "The host has no room."}, commandtest.Platform)
	if a := commandtest.Get[*document.Addon](l.World, id); a.Message == "" || a.State != document.AddonProvisioning || lines[0].Outcome != ledger.Failed {
		t.Errorf("%+v", a)
	}
	lines = l.Record(&addons.Provisioned{ID: id, Image: "sha256:" + strings.Repeat("1", 64)}, commandtest.Platform)
	if a := commandtest.Get[*document.Addon](l.World, id); a.Message != "" || a.State != document.AddonProvisioned {
		t.Errorf("%+v", a)
	}
	if got := commandtest.Actions(lines); !slices.Equal(got, []string{"addon.provision", "release.live"}) {
		t.Errorf("recorded as %v", got)
	}
	u, err := url.Parse(l.config("second")["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	role := create.Addon.Roles[0]
	if pw, _ := u.User.Password(); u.Scheme != "postgres" || u.User.Username() != role.User || pw == "" || u.Host != "charts.localspace:5432" || u.Path != "/"+role.Database || u.RawQuery != "sslmode=require" {
		t.Errorf("the URL: %s", u.Redacted())
	}
	l.Refused(fault.Conflict, commandtest.None, &addons.Provisioned{ID: id}, commandtest.Platform)
}

func TestDisposalRefused(t *testing.T) {
	l := newLab(t)
	create := &addons.Create{App: "second", Plan: "heroku-postgresql", Name: "charts"}
	l.Do(create, l.As("owner"))
	id := create.Addon.ID
	l.Refused(fault.Conflict, commandtest.None, &addons.DisposalRefused{ID: id, Message: "busy"}, commandtest.Platform)
	l.Do(&addons.Destroy{Identity: "charts"}, l.As("owner"))
	l.Refused(fault.Forbidden, l.ward, &addons.DisposalRefused{ID: id, Message: "busy"}, l.As("owner"))
	lines := l.Record(&addons.DisposalRefused{ID: id, Message: "busy"}, commandtest.Platform)
	if a := commandtest.Get[*document.Addon](l.World, id); a.Message != "busy" || a.State != document.AddonDeprovisioning || lines[0].Outcome != ledger.Failed {
		t.Errorf("%+v %v", a, lines[0])
	}
}

func TestAttach(t *testing.T) {
	l := newLab(t)
	x := l.attach("records", "second", "charts")
	if x.Name != "CHARTS" || l.config("second")["CHARTS_URL"] != l.config("clinic")["DATABASE_URL"] {
		t.Errorf("%+v", x)
	}
	if y := l.attach("records", "second", ""); y.Name != "DATABASE" {
		t.Errorf("%+v", y)
	}
	l.Refused(fault.Invalid, commandtest.None, &addons.Attach{Addon: "records", App: "second", As: "CHARTS"}, l.As("owner"))
	for who, kind := range map[string]fault.Kind{"dev": fault.Forbidden, "collab": fault.NotFound, "stranger": fault.NotFound} {
		l.Refused(kind, l.ward, &addons.Attach{Addon: "records", App: "second"}, l.As(who))
	}
	young := &addons.Create{App: "clinic", Plan: "heroku-postgresql", Name: "young"}
	l.Do(young, l.As("owner"))
	l.Refused(fault.Conflict, commandtest.None, &addons.Attach{Addon: "young", App: "second"}, l.As("owner"))
}

// TestAttachAcrossSpaces is told as if the database were not there, whoever
// asks: also somebody who manages both apps.
func TestAttachAcrossSpaces(t *testing.T) {
	l := newLab(t)
	missing := l.Refused(fault.NotFound, commandtest.None, &addons.Attach{Addon: "there-is-none", App: "other"}, l.As("stranger"))
	for range 2 {
		for _, identity := range []string{"records", l.IDs["addon"]} {
			err := l.Refused(fault.NotFound, commandtest.None, &addons.Attach{Addon: identity, App: "other"}, l.As("stranger"))
			if err.Error() != missing.Error() {
				t.Errorf("%q differs from %q", err, missing)
			}
		}
		l.Do(&teams.GrantRole{Team: "care", Email: "stranger@example.org", Role: authz.Owner}, l.As("owner"))
	}
	if got := commandtest.Find[*document.Attachment](l.World, "app", l.IDs["app:other"]); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestAttachNeedsBothApps is somebody who manages only the app that would get
// access.
func TestAttachNeedsBothApps(t *testing.T) {
	l := newLab(t)
	l.Do(&apps.AddCollaborator{Identity: "second", Email: "collab@example.org", Permissions: []string{"manage", "deploy"}}, l.As("owner"))
	l.Refused(fault.Forbidden, l.ward, &addons.Attach{Addon: "records", App: "second"}, l.As("collab"))
	if got := l.config("second"); len(got) != 0 {
		t.Errorf("config %v", got)
	}
}

func TestDetach(t *testing.T) {
	l := newLab(t)
	x := l.attach("records", "second", "")
	detach := &addons.Detach{ID: x.ID}
	l.Refused(fault.Forbidden, l.ward, detach, l.As("dev"))
	l.Refused(fault.NotFound, l.ward, detach, l.As("stranger"))
	lines := l.Record(detach, l.As("owner"))
	if got := commandtest.Actions(lines); !slices.Equal(got, []string{"addon.detach", "release.live"}) {
		t.Errorf("recorded as %v", got)
	}
	if _, there := l.config("second")["DATABASE_URL"]; there || !l.Gone(document.KindAttachment, x.ID) {
		t.Error("access outlives the attachment")
	}
	// The last one stays: nobody would remember the data.
	l.Refused(fault.Forbidden, l.ward, &addons.Detach{ID: l.IDs["attachment"]}, l.As("owner"))
	l.Refused(fault.NotFound, commandtest.None, detach, l.As("owner"))
}

// TestDestroy detaches a database everywhere, each app in one release.
func TestDestroy(t *testing.T) {
	l := newLab(t)
	l.attach("records", "clinic", "one")
	l.attach("records", "clinic", "two")
	l.attach("records", "second", "")
	count := func(app string) int { return len(commandtest.Find[*document.Release](l.World, "app", app)) }
	clinic, second := count(l.IDs["app:clinic"]), count(l.second.ID)
	l.Refused(fault.Forbidden, l.ward, &addons.Destroy{Identity: "records"}, l.As("dev"))
	err := l.Refused(fault.NotFound, l.ward, &addons.Destroy{Identity: "records"}, l.As("stranger"))
	if missing := l.Refused(fault.NotFound, commandtest.None, &addons.Destroy{Identity: "none"}, l.As("stranger")); err.Error() != missing.Error() {
		t.Errorf("a stranger can tell %q from %q", err, missing)
	}
	lines := l.Record(&addons.Destroy{Identity: "DATABASE", App: "clinic"}, l.As("owner"))
	if got := commandtest.Actions(lines); !slices.Equal(got, []string{"addon.destroy", "release.live", "release.live"}) {
		t.Errorf("recorded as %v", got)
	}
	if count(l.IDs["app:clinic"]) != clinic+1 || count(l.second.ID) != second+1 {
		t.Errorf("%d and %d releases, want one each", count(l.IDs["app:clinic"])-clinic, count(l.second.ID)-second)
	}
	if got := l.config("clinic"); len(got) != 1 {
		t.Errorf("clinic has %d vars left", len(got))
	}
	if got := l.config("second"); len(got) != 0 {
		t.Errorf("second has %d vars left", len(got))
	}
	if a := commandtest.Get[*document.Addon](l.World, l.IDs["addon"]); a.State != document.AddonDeprovisioning || !slices.Contains(l.jobs(addons.JobDeprovision), a.ID) {
		t.Errorf("%+v", a)
	}
	l.Refused(fault.Conflict, commandtest.None, &addons.Destroy{Identity: "records"}, l.As("owner"))
	l.Refused(fault.Conflict, commandtest.None, &addons.Attach{Addon: "records", App: "second"}, l.As("owner"))

	// Its app may go before it: the disposal is recorded all the same.
	l.Do(&apps.Destroy{Identity: "clinic"}, l.As("owner"))
	lines = l.Record(&addons.Disposed{
		ID:     l.IDs["addon"],
		Data:   addons.Disposal{Volume: "v1", KeyRemoved: true, ReadTried: "list /: the volume is locked"},
		Server: addons.Disposal{Volume: "v2", ReadTried: "there was none"},
	}, commandtest.Platform)
	d := lines[0]
	for name, want := range map[string]string{
		"volume": "v1", "key_removed": "true", "read_tried": "list /: the volume is locked",
		"server_volume": "v2", "server_key_removed": "false", "server_read_tried": "there was none",
	} {
		if got := d.Detail(name); got != want {
			t.Errorf("%s is recorded as %q", name, got)
		}
	}
	if d.Scope != l.ward || !l.Gone(document.KindAddon, l.IDs["addon"]) {
		t.Errorf("recorded as %v", d)
	}
}

func TestReadCredential(t *testing.T) {
	l := newLab(t)
	l.attach("records", "second", "")
	read := func(identity, app, name string) *addons.ReadCredential {
		return &addons.ReadCredential{Identity: identity, App: app, Name: name, For: "psql"}
	}
	for _, cmd := range []*addons.ReadCredential{
		read("records", "", "default"), read(l.IDs["addon"], "", "default"), read("DATABASE_URL", "clinic", "default"), read("database", "second", "default"),
	} {
		lines := l.Record(cmd, l.As("dev"))
		u, err := url.Parse(l.config("clinic")["DATABASE_URL"])
		if err != nil {
			t.Fatal(err)
		}
		if pw, _ := u.User.Password(); string(cmd.Password.Reveal()) != pw || cmd.Role.User != u.User.Username() {
			t.Error("that is not the password")
		}
		if d := lines[0]; d.Detail("credential") != "default" || d.Detail("for") != "psql" || d.Target.Name != "records" || len(d.Changes) != 0 {
			t.Errorf("recorded as %v %v", d, d.Details)
		}
	}
	for who, kind := range map[string]fault.Kind{"viewer": fault.Forbidden, "auditor": fault.Forbidden, "collab": fault.Forbidden, "stranger": fault.NotFound} {
		cmd := read("records", "", "default")
		l.Refused(kind, l.ward, cmd, l.As(who))
		if cmd.Password.Reveal() != nil {
			t.Errorf("%s was refused and given the password", who)
		}
	}
	l.Refused(fault.NotFound, commandtest.None, read("records", "", "readonly"), l.As("dev"))
	l.Refused(fault.NotFound, commandtest.None, read("GONE", "clinic", "default"), l.As("dev"))
}

// TestNames resolves what people call an add-on.
func TestNames(t *testing.T) {
	l := newLab(t)
	commandtest.Read(l.World, func(v commandtest.View) error {
		for _, n := range []struct{ identity, app string }{
			{"records", ""}, {l.IDs["addon"], ""}, {"DATABASE", "clinic"}, {"database_url", l.IDs["app:clinic"]}, {l.IDs["attachment"], "clinic"},
		} {
			if a, err := addons.Find(v, n.identity, n.app); err != nil || a.ID != l.IDs["addon"] {
				t.Errorf("%v: %v, %v", n, a, err)
			}
		}
		for _, n := range []struct{ identity, app string }{{"DATABASE", ""}, {"DATABASE", "second"}, {"DATABASE", "none"}, {"", ""}} {
			if a, err := addons.Find(v, n.identity, n.app); fault.Of(err) != fault.NotFound {
				t.Errorf("%v: %v, %v", n, a, err)
			}
		}
		return nil
	})
}
