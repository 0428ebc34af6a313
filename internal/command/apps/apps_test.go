package apps_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
)

func ptr[T any](v T) *T { return &v }

func create(w *commandtest.World, name, space, by string) *document.App {
	w.T.Helper()
	cmd := &apps.Create{Name: name, Space: space, Domain: "apps.localhost"}
	w.Do(cmd, w.As(by))
	return cmd.App
}

func hostnames(w *commandtest.World, app *document.App) (out []string) {
	for _, d := range commandtest.Find[*document.Domain](w, "app", app.ID) {
		out = append(out, d.Hostname)
	}
	slices.Sort(out)
	return out
}

func TestCreate(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	ward := w.IDs["space:ward"]
	a := create(w, "intake", "ward", "dev")
	if a.Team != w.IDs["team:care"] || a.Space != ward || a.Owner != w.Accounts["dev"].ID || a.EPHI != document.EPHIUnknown || a.Stack != apps.Stack {
		t.Errorf("%+v", a)
	}
	if c := commandtest.Get[*document.Config](w, a.ID); len(c.Vars) != 0 {
		t.Errorf("config %+v", c)
	}
	if got := hostnames(w, a); !slices.Equal(got, []string{"intake.apps.localhost"}) {
		t.Errorf("domains %v", got)
	}
	made := &apps.Create{Space: ward}
	w.Do(made, w.As("dev"))
	if document.CheckName("app", made.App.Name) != nil {
		t.Errorf("made up the name %q", made.App.Name)
	}
	for name, cmd := range map[string]*apps.Create{
		"taken": {Name: "clinic", Space: "ward"}, "no space": {Name: "x-1"}, "malformed": {Name: "X", Space: "ward"}, "mark": {Name: "x-1", Space: "ward", EPHI: "maybe"},
	} {
		if w.Refused(fault.Invalid, commandtest.None, cmd, w.As("dev")); t.Failed() {
			t.Fatal(name)
		}
	}
	for who, kind := range map[string]fault.Kind{
		"viewer": fault.Forbidden, "approver": fault.Forbidden, "auditor": fault.Forbidden, "collab": fault.NotFound, "stranger": fault.NotFound, "root": fault.NotFound,
	} {
		w.Refused(kind, ward, &apps.Create{Name: "mine-" + who, Space: "ward"}, w.As(who))
	}
	w.Refused(fault.NotFound, commandtest.None, &apps.Create{Name: "mine", Space: "nope"}, w.As("stranger"))
}

// TestDenialsLieWhereTheyWereAimed runs every command about an app as somebody
// who may not: what they are told does not differ from what there is not.
func TestDenialsLieWhereTheyWereAimed(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	w.Do(&apps.AddDomain{Identity: "clinic", Hostname: "www.example.org"}, w.As("dev"))
	chain, key := selfSigned(t, "www.example.org", time.Now().Add(time.Hour))
	commands := func(app string) []control.Command {
		return []control.Command{
			&apps.Update{Identity: app, Name: ptr("mine")}, &apps.Destroy{Identity: app},
			&apps.AddCollaborator{Identity: app, Email: "stranger@example.org"}, &apps.RemoveCollaborator{Identity: app, Email: "collab@example.org"},
			&apps.AddDomain{Identity: app, Hostname: "x.example.org"}, &apps.UpdateDomain{Identity: app, Hostname: "www.example.org"},
			&apps.RemoveDomain{Identity: app, Hostname: "www.example.org"}, &apps.PutEndpoint{Identity: app, Chain: chain, Key: key},
			&apps.RemoveEndpoint{Identity: app, Name: "x"}, &apps.Scale{Identity: app, Updates: []apps.ScaleUpdate{{Type: "web", Quantity: ptr(9)}}},
			&apps.Restart{Identity: app}, &apps.Restart{Identity: app, Dyno: "web.1", Stop: true},
		}
	}
	hidden, missing := commands("clinic"), commands("there-is-none")
	for i, cmd := range hidden {
		err := w.Refused(fault.NotFound, w.IDs["space:ward"], cmd, w.As("stranger"))
		none := w.Refused(fault.NotFound, commandtest.None, missing[i], w.As("stranger"))
		if err.Error() != none.Error() {
			t.Errorf("%s: a stranger can tell %q from %q", cmd.Action(), err, none)
		}
		w.Refused(fault.Forbidden, w.IDs["space:ward"], cmd, w.As("collab")) // who may see the app
		w.Refused(fault.Forbidden, w.IDs["space:ward"], cmd, w.As("auditor"))
	}
	w.Refused(fault.Forbidden, w.IDs["space:ward"], &apps.ObserveDynos{App: w.IDs["app:clinic"]}, w.As("owner"))
	for _, manage := range []control.Command{
		&apps.Update{Identity: "clinic", EPHI: ptr("no")}, &apps.Destroy{Identity: "clinic"}, &apps.AddCollaborator{Identity: "clinic", Email: "stranger@example.org"},
	} {
		w.Refused(fault.Forbidden, w.IDs["space:ward"], manage, w.As("dev")) // for those who manage it
	}
}

func TestUpdate(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	a := create(w, "intake", "ward", "dev")
	w.Do(&apps.AddDomain{Identity: "intake", Hostname: "intake.example.org"}, w.As("dev"))
	w.Do(&apps.Update{Identity: "intake", Maintenance: ptr(true)}, w.As("dev"))
	w.Do(&apps.Update{Identity: a.ID, Name: ptr("front"), EPHI: ptr("yes")}, w.As("owner"))
	got := commandtest.Get[*document.App](w, a.ID)
	if got.Name != "front" || !got.Maintenance || got.EPHI != "yes" {
		t.Errorf("%+v", got)
	}
	if h := hostnames(w, a); !slices.Equal(h, []string{"front.apps.localhost", "intake.example.org"}) {
		t.Errorf("domains %v", h)
	}
	w.Do(&apps.Update{Identity: "front", Name: ptr("front")}, w.As("owner"))
	for _, bad := range []*apps.Update{{Name: ptr("clinic")}, {Name: ptr("Bad Name")}, {EPHI: ptr("")}, {EPHI: ptr("perhaps")}} {
		bad.Identity = "front"
		w.Refused(fault.Invalid, commandtest.None, bad, w.As("owner"))
	}
	create(w, "intake", "ward", "dev") // the name is free again
}

func TestDestroy(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	id := w.IDs["app:clinic"]
	w.Refused(fault.Conflict, commandtest.None, &apps.Destroy{Identity: "clinic"}, w.As("owner")) // its database holds data
	w.Do(&addons.Destroy{Identity: "records"}, w.As("owner"))
	w.Do(&apps.AddDomain{Identity: "clinic", Hostname: "www.example.org"}, w.As("dev"))
	w.Do(&apps.Destroy{Identity: "clinic"}, w.As("owner"))
	if !w.Gone(document.KindApp, id) || !w.Gone(document.KindConfig, id) {
		t.Error("the app is still there")
	}
	left := map[string]int{
		"formations": len(commandtest.Find[*document.Formation](w, "app", id)), "dynos": len(commandtest.Find[*document.Dyno](w, "app", id)),
		"domains": len(commandtest.Find[*document.Domain](w, "app", id)), "collaborators": len(commandtest.Find[*document.Collaborator](w, "app", id)),
		"attachments": len(commandtest.Find[*document.Attachment](w, "app", id)),
	}
	for what, n := range left {
		if n != 0 {
			t.Errorf("%d %s are left", n, what)
		}
	}
	if n := len(commandtest.Find[*document.Release](w, "app", id)); n == 0 {
		t.Error("the releases are gone: what was live is history")
	}
	w.Refused(fault.NotFound, commandtest.None, &apps.Destroy{Identity: "clinic"}, w.As("owner"))
	again := create(w, "clinic", "ward", "dev")
	if again.ID == id {
		t.Error("a new app of the name is the old one")
	}
}

func TestDomains(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	clinic := commandtest.Get[*document.App](w, w.IDs["app:clinic"])
	add := func(app, host string) *apps.AddDomain { return &apps.AddDomain{Identity: app, Hostname: host} }
	w.Do(add("clinic", "WWW.Example.org."), w.As("dev"))
	w.Do(add("clinic", "*.clinic.example"), w.As("dev"))
	second := create(w, "second", "ward", "dev")
	w.Do(add("second", "a.clinic.example"), w.As("dev")) // the same team's
	for name, cmd := range map[string]struct {
		*apps.AddDomain
		by string
	}{
		"in use":                           {add("clinic", "www.example.org"), "dev"},
		"in use by another team":           {add("other", "www.example.org"), "stranger"},
		"under another team's wildcard":    {add("other", "b.clinic.example"), "stranger"},
		"another team's wildcard":          {add("other", "*.clinic.example"), "stranger"},
		"a wildcard over another's name":   {add("other", "*.example.org"), "stranger"},
		"another app's own name":           {add("other", "clinic.apps.localhost"), "stranger"},
		"the name of an app to come":       {add("other", "next.apps.localhost"), "stranger"},
		"all names of apps":                {add("other", "*.apps.localhost"), "stranger"},
		"the platform's domain":            {add("other", "apps.localhost"), "stranger"},
		"below the name of an app to come": {add("other", "a.next.apps.localhost"), "stranger"},
		"an address":                       {add("clinic", "10.0.0.1"), "dev"},
		"no host name":                     {add("clinic", "exa_mple.org"), "dev"},
	} {
		if w.Refused(fault.Invalid, commandtest.None, cmd.AddDomain, w.As(cmd.by)); t.Failed() {
			t.Fatal(name)
		}
	}
	w.Do(add("second", "*.example.org"), w.As("dev")) // over a name of the same team
	w.Do(&apps.RemoveDomain{Identity: "second", Hostname: "*.example.org"}, w.As("dev"))
	// An app whose own name is somebody's domain by then is not made: two apps
	// would answer to it.
	claimed := &apps.Create{Name: "claimed", Space: "ward"}
	w.Do(claimed, w.As("dev")) // without a domain of the platform's, so that it may claim
	w.Do(add("claimed", "later.apps.localhost"), w.As("dev"))
	w.Refused(fault.Invalid, commandtest.None, &apps.Create{Name: "later", Space: "attic", Domain: "apps.localhost"}, w.As("stranger"))
	w.Refused(fault.Invalid, commandtest.None, &apps.Update{Identity: "second", Name: ptr("later")}, w.As("owner"))

	w.Refused(fault.Invalid, commandtest.None, &apps.RemoveDomain{Identity: "clinic", Hostname: "clinic.apps.localhost"}, w.As("dev"))
	w.Refused(fault.NotFound, commandtest.None, &apps.RemoveDomain{Identity: "clinic", Hostname: "a.clinic.example"}, w.As("dev"))
	w.Do(&apps.RemoveDomain{Identity: "clinic", Hostname: "www.example.org"}, w.As("dev"))
	w.Do(add("other", "www.example.org"), w.As("stranger"))
	if got := hostnames(w, clinic); !slices.Equal(got, []string{"*.clinic.example", "clinic.apps.localhost"}) {
		t.Errorf("clinic has %v", got)
	}
	if got := hostnames(w, second); !slices.Equal(got, []string{"a.clinic.example", "second.apps.localhost"}) {
		t.Errorf("second has %v", got)
	}
}

// selfSigned makes a self-signed one.
func selfSigned(t *testing.T, name string, until time.Time) (chain string, key secret.Value) {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: commandtest.Noon.Add(-time.Hour), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, priv.Public(), priv)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		secret.NewValue(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

func TestCertificates(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	w.Do(&apps.AddDomain{Identity: "clinic", Hostname: "www.example.org"}, w.As("dev"))
	w.Do(&apps.AddDomain{Identity: "clinic", Hostname: "a.example.org"}, w.As("dev"))
	until := commandtest.Noon.AddDate(0, 3, 0)
	chain, key := selfSigned(t, "www.example.org", until)
	secretLine := strings.Split(string(key.Reveal()), "\n")[1]
	// A key that is pasted into the chain's field too.
	put := &apps.PutEndpoint{Identity: "clinic", Chain: chain + string(key.Reveal()), Key: key}
	w.Do(put, w.As("dev"))
	e := commandtest.Get[*document.Endpoint](w, put.Endpoint.ID)
	if !slices.Equal(e.Names, []string{"www.example.org"}) || !e.SelfSigned || !e.ExpiresAt.Equal(until) || !strings.HasPrefix(e.Fingerprint, "sha256:") {
		t.Errorf("%+v", e)
	}
	if where := w.Tells(secretLine); len(where) > 0 {
		t.Errorf("the key is told by %v", where)
	}
	if got, err := w.Keyring.Open(t.Context(), e.Key.ID, e.Key.SHA256); err != nil || string(got.Reveal()) != string(key.Reveal()) {
		t.Errorf("the sealed key: %v", err)
	}
	endpoint := func(host string) string {
		for _, d := range commandtest.Find[*document.Domain](w, "hostname", host) {
			return d.Endpoint
		}
		return "?"
	}
	if endpoint("www.example.org") != e.ID || endpoint("a.example.org") != "" || endpoint("clinic.apps.localhost") != "" {
		t.Error("the certificate is not with the domains that it names")
	}

	// Replacing keeps the endpoint.
	chain2, key2 := selfSigned(t, "*.example.org", until)
	other, otherKey := selfSigned(t, "a.example.org", until)
	w.Refused(fault.Invalid, commandtest.None, &apps.PutEndpoint{Identity: "clinic", Replace: e.Name, Chain: other, Key: otherKey}, w.As("dev"))
	w.Do(&apps.PutEndpoint{Identity: "clinic", Replace: e.Name, Chain: chain2, Key: key2}, w.As("dev"))
	if got := commandtest.Get[*document.Endpoint](w, e.ID); got.Name != e.Name || got.Fingerprint == e.Fingerprint || endpoint("a.example.org") != e.ID {
		t.Errorf("%+v", got)
	}
	w.Do(&apps.UpdateDomain{Identity: "clinic", Hostname: "a.example.org"}, w.As("dev"))
	w.Do(&apps.UpdateDomain{Identity: "clinic", Hostname: "www.example.org", Endpoint: e.Name}, w.As("dev"))

	third := &apps.PutEndpoint{Identity: "clinic", Chain: other, Key: otherKey}
	w.Do(third, w.As("dev"))
	for _, elsewhere := range []control.Command{
		&apps.UpdateDomain{Identity: "clinic", Hostname: "www.example.org", Endpoint: third.Endpoint.Name},
		&apps.AddDomain{Identity: "clinic", Hostname: "b.example.org", Endpoint: third.Endpoint.Name},
	} {
		if err := w.Refused(fault.Invalid, commandtest.None, elsewhere, w.As("dev")); !strings.Contains(err.Error(), "is for a.example.org and not for") {
			t.Errorf("%s: %v", elsewhere.Action(), err)
		}
	}

	expired, expiredKey := selfSigned(t, "www.example.org", commandtest.Noon.Add(-time.Minute))
	for name, bad := range map[string]*apps.PutEndpoint{
		"another key": {Chain: chain, Key: key2}, "expired": {Chain: expired, Key: expiredKey}, "nothing": {}, "no PEM": {Chain: "x", Key: secret.NewValue([]byte("y"))},
	} {
		bad.Identity = "clinic"
		if err := w.Refused(fault.Invalid, commandtest.None, bad, w.As("dev")); strings.Contains(fmt.Sprint(err), secretLine) {
			t.Errorf("%s: the refusal tells the key", name)
		}
	}
	w.Refused(fault.TooLarge, commandtest.None, &apps.PutEndpoint{Identity: "clinic", Chain: strings.Repeat("x", 200<<10)}, w.As("dev"))
	w.Refused(fault.NotFound, commandtest.None, &apps.PutEndpoint{Identity: "clinic", Replace: "none", Chain: chain, Key: key}, w.As("dev"))
	w.Refused(fault.NotFound, commandtest.None, &apps.UpdateDomain{Identity: "other", Hostname: "other.apps.localhost", Endpoint: e.ID}, w.As("stranger"))

	w.Do(&apps.RemoveEndpoint{Identity: "clinic", Name: e.Name}, w.As("dev"))
	if endpoint("www.example.org") != "" || !w.Gone(document.KindEndpoint, e.ID) {
		t.Error("a domain still has the certificate that was removed")
	}
}

func TestCollaborators(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	add := &apps.AddCollaborator{Identity: "clinic", Email: "Stranger@example.org", Permissions: []string{"operate", "view", "operate"}}
	w.Do(add, w.As("owner"))
	if got := add.Collaborator.Permissions; !slices.Equal(got, []string{"operate", "view"}) {
		t.Errorf("permissions %v", got)
	}
	w.Do(&apps.Update{Identity: "clinic", Maintenance: ptr(true)}, w.As("stranger"))
	w.Refused(fault.Forbidden, w.IDs["space:ward"], &apps.Destroy{Identity: "clinic"}, w.As("stranger"))
	// Giving again replaces.
	w.Do(&apps.AddCollaborator{Identity: "clinic", Email: "stranger@example.org", Permissions: []string{"view"}}, w.As("owner"))
	if list := commandtest.Find[*document.Collaborator](w, "account", w.Accounts["stranger"].ID); len(list) != 1 || len(list[0].Permissions) != 1 {
		t.Errorf("%+v", list)
	}
	w.Refused(fault.Forbidden, w.IDs["space:ward"], &apps.Update{Identity: "clinic", Maintenance: ptr(false)}, w.As("stranger"))
	w.Refused(fault.Invalid, commandtest.None, &apps.AddCollaborator{Identity: "clinic", Email: "stranger@example.org", Permissions: []string{"root"}}, w.As("owner"))
	w.Refused(fault.NotFound, commandtest.None, &apps.AddCollaborator{Identity: "clinic", Email: "nobody@example.org"}, w.As("owner"))
	w.Do(&apps.RemoveCollaborator{Identity: "clinic", Email: "stranger@example.org"}, w.As("owner"))
	w.Refused(fault.NotFound, w.IDs["space:ward"], &apps.Update{Identity: "clinic", Maintenance: ptr(false)}, w.As("stranger"))
	w.Refused(fault.NotFound, commandtest.None, &apps.RemoveCollaborator{Identity: "clinic", Email: "stranger@example.org"}, w.As("owner"))
}

func formation(w *commandtest.World, app, processType string) *document.Formation {
	w.T.Helper()
	list := commandtest.Find[*document.Formation](w, "app+type", w.IDs["app:"+app]+"+"+processType)
	if len(list) != 1 {
		w.T.Fatalf("%s has %d formations %s", app, len(list), processType)
	}
	return list[0]
}

func TestScale(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	scale := func(u ...apps.ScaleUpdate) *apps.Scale { return &apps.Scale{Identity: "clinic", Updates: u} }
	w.Do(scale(apps.ScaleUpdate{Type: "web", Quantity: ptr(3), Size: "shield-m"}, apps.ScaleUpdate{Type: "worker", Quantity: ptr(0)}), w.As("dev"))
	if f := formation(w, "clinic", "web"); f.Quantity != 3 || f.Size != "Shield-M" {
		t.Errorf("%+v", f)
	}
	w.Do(scale(apps.ScaleUpdate{Type: "web", Size: "Private-L"}), w.As("dev"))
	if f := formation(w, "clinic", "web"); f.Quantity != 3 || f.Size != "Private-L" {
		t.Errorf("%+v", f)
	}
	for name, bad := range map[string]*apps.Scale{
		"nothing": scale(), "less than none": scale(apps.ScaleUpdate{Type: "web", Quantity: ptr(-1)}), "too many": scale(apps.ScaleUpdate{Type: "web", Quantity: ptr(apps.MaxQuantity + 1)}),
		"no size": scale(apps.ScaleUpdate{Type: "web", Size: "huge"}), "twice": scale(apps.ScaleUpdate{Type: "web", Quantity: ptr(1)}, apps.ScaleUpdate{Type: "web", Size: "Private-S"}),
	} {
		if w.Refused(fault.Invalid, commandtest.None, bad, w.As("dev")); t.Failed() {
			t.Fatal(name)
		}
	}
	w.Refused(fault.NotFound, commandtest.None, scale(apps.ScaleUpdate{Type: "web", Quantity: ptr(1)}, apps.ScaleUpdate{Type: "clock", Quantity: ptr(1)}), w.As("dev"))
	if f := formation(w, "clinic", "web"); f.Quantity != 3 {
		t.Errorf("half of a refused scaling took effect: %+v", f)
	}
}

func TestRestart(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	web, worker := formation(w, "clinic", "web").Restart, formation(w, "clinic", "worker").Restart
	w.Do(&apps.Restart{Identity: "clinic", Type: "web"}, w.As("dev"))
	w.Do(&apps.Restart{Identity: "clinic"}, w.As("dev"))
	if formation(w, "clinic", "web").Restart != web+2 || formation(w, "clinic", "worker").Restart != worker+1 {
		t.Error("restarts are not counted by type")
	}
	before, err := w.Store.Jobs(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	dyno := commandtest.Find[*document.Dyno](w, "app+name", w.IDs["app:clinic"]+"+web.1")[0]
	w.Do(&apps.Restart{Identity: "clinic", Dyno: "web.1"}, w.As("dev"))
	jobs, err := w.Store.Jobs(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	if last := jobs[len(jobs)-1]; len(jobs) != len(before)+1 || last.Kind != apps.JobStopInstance || last.Ref != dyno.ID {
		t.Errorf("jobs %+v", jobs)
	}
	w.Refused(fault.NotFound, commandtest.None, &apps.Restart{Identity: "clinic", Dyno: "web.9"}, w.As("dev"))
	w.Refused(fault.NotFound, commandtest.None, &apps.Restart{Identity: "clinic", Type: "clock"}, w.As("dev"))
}

func TestObserve(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	id, f := w.IDs["app:clinic"], formation(w, "clinic", "web")
	dyno := func(dynoID, name, state string) *document.Dyno {
		return &document.Dyno{Base: document.Base{ID: dynoID}, App: id, Space: w.IDs["space:ward"], Name: name, Type: "web", Size: f.Size, State: state, Release: 4, Formation: f.ID}
	}
	a, b := document.NewID(), document.NewID()
	lines := w.Record(&apps.ObserveDynos{App: id, Dynos: []*document.Dyno{dyno(a, "web.1", "up"), dyno(b, "web.2", "starting")}}, commandtest.Platform)
	if n := len(lines[0].Changes); n != 3 { // two came, the one before went
		t.Errorf("%d changes", n)
	}
	lines = w.Record(&apps.ObserveDynos{App: id, Dynos: []*document.Dyno{dyno(a, "web.1", "up"), dyno(b, "web.2", "up")}}, commandtest.Platform)
	if n := len(lines[0].Changes); n != 1 || lines[0].Detail("web.2") != "up" {
		t.Errorf("%d changes, %v", n, lines[0].Details)
	}
	w.Do(&apps.ObserveDynos{App: id}, commandtest.Platform)
	if list := commandtest.Find[*document.Dyno](w, "app", id); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// TestTwoTeams keeps what one team does out of the other's scope.
func TestTwoTeams(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	before := w.Size()
	w.Do(&apps.Update{Identity: "clinic", Maintenance: ptr(true)}, w.As("dev"))
	w.Do(&apps.Update{Identity: "other", Maintenance: ptr(true)}, w.As("stranger"))
	w.Do(&spaces.SetTrusted{Identity: "attic"}, w.As("stranger"))
	for i, want := range []string{"space:ward", "space:attic", "space:attic"} {
		if l := w.Since(before)[i]; l.Scope != w.IDs[want] {
			t.Errorf("%v, want in %s", l, want)
		}
	}
}
