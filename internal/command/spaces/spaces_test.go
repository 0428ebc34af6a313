package spaces_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
)

// lab is a team with an owner and a member, and a stranger.
type lab struct {
	*commandtest.World
	team string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	w := commandtest.Bare(t, commandtest.Noon)
	create := &teams.Create{Name: "care"}
	w.Do(create, w.As("root"))
	for name, role := range map[string]authz.Role{"owner": authz.Owner, "dev": authz.Member, "stranger": ""} {
		w.Account(name, "")
		if role != "" {
			w.Do(&teams.GrantRole{Team: "care", Email: name + "@example.org", Role: role}, w.As("root"))
		}
	}
	return &lab{w, create.Team.ID}
}

func (l *lab) create(name string, shield bool) *document.Space {
	l.T.Helper()
	cmd := &spaces.Create{Name: name, Team: "care", Shield: shield}
	l.Do(cmd, l.As("owner"))
	return cmd.Space
}

func (l *lab) space(id string) *document.Space { return commandtest.Get[*document.Space](l.World, id) }

func TestCreate(t *testing.T) {
	l := newLab(t)
	private := l.create("open", false)
	if len(private.Trusted) != 1 || private.Trusted[0].Source != "0.0.0.0/0" || len(private.Outbound) != 1 {
		t.Errorf("a private space: %+v", private)
	}
	cmd := &spaces.Create{Name: "ward", Team: "care", Shield: true}
	lines := l.Record(cmd, l.As("owner"))
	ward := l.space(cmd.Space.ID)
	if len(ward.Trusted) != 0 || len(ward.Outbound) != 0 || ward.State != document.SpaceAllocating || ward.Team != l.team {
		t.Errorf("a shield space: %+v", ward)
	}
	if len(lines) != 1 || lines[0].Scope != ward.ID {
		t.Errorf("recorded as %v", lines)
	}
	if where := l.Tells("PRIVATE KEY"); len(where) > 0 {
		t.Errorf("the key of the space's authority is told by %v", where)
	}
	// A refusal belongs to the team: there is no such space.
	l.Refused(fault.Forbidden, l.team, &spaces.Create{Name: "mine", Team: "care"}, l.As("dev"))
	l.Refused(fault.NotFound, l.team, &spaces.Create{Name: "mine", Team: "care"}, l.As("stranger"))
	for _, name := range []string{"ward", "Not A Name", ""} {
		l.Refused(fault.Invalid, commandtest.None, &spaces.Create{Name: name, Team: "care"}, l.As("owner"))
	}
	l.Refused(fault.NotFound, commandtest.None, &spaces.Create{Name: "mine", Team: "nope"}, l.As("owner"))
}

// TestAuthority has a space's own authority sign for a server, as a client of
// the space's would check it.
func TestAuthority(t *testing.T) {
	l := newLab(t)
	s, other := l.create("ward", true), l.create("attic", true)
	key, err := l.Keyring.Open(t.Context(), s.CAKey.ID, s.CAKey.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	chain, leafKey, err := spaces.Issue(s.CA, key, []string{"db.localspace"}, time.Hour, commandtest.Noon)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(chain), leafKey.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		ca, host string
		at       time.Duration
		ok       bool
	}{
		"its own":           {s.CA, "db.localspace", 0, true},
		"another host":      {s.CA, "other.localspace", 0, false},
		"later":             {s.CA, "db.localspace", 2 * time.Hour, false},
		"another space's":   {other.CA, "db.localspace", 0, false},
		"its end is longer": {s.CA, "db.localspace", 59 * time.Minute, true},
	} {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(tt.ca))
		_, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: tt.host, Roots: roots, CurrentTime: commandtest.Noon.Add(tt.at)})
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if pair.Leaf.IsCA || pair.Leaf.CheckSignatureFrom(pair.Leaf) == nil {
		t.Error("the leaf can sign")
	}
	for name, bad := range map[string]struct {
		ca  string
		key secret.Value
	}{
		"no certificate": {"", key}, "no key": {s.CA, secret.Value{}},
		"neither": {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})), key},
	} {
		if _, _, err := spaces.Issue(bad.ca, bad.key, []string{"a"}, time.Hour, commandtest.Noon); err == nil || strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRename(t *testing.T) {
	l := newLab(t)
	s, other := l.create("ward", true), l.create("attic", false)
	l.Do(&spaces.Rename{Identity: "ward", Name: "clinic"}, l.As("owner"))
	l.Do(&spaces.Rename{Identity: s.ID, Name: "clinic"}, l.As("owner")) // to what it is
	if got := l.space(s.ID).Name; got != "clinic" {
		t.Errorf("name %q", got)
	}
	l.Refused(fault.Invalid, commandtest.None, &spaces.Rename{Identity: "clinic", Name: "attic"}, l.As("owner"))
	l.Refused(fault.Forbidden, s.ID, &spaces.Rename{Identity: "clinic", Name: "mine"}, l.As("dev"))
	err := l.Refused(fault.NotFound, other.ID, &spaces.Rename{Identity: "attic", Name: "mine"}, l.As("stranger"))
	if missing := l.Refused(fault.NotFound, commandtest.None, &spaces.Rename{Identity: "ward", Name: "mine"}, l.As("stranger")); err.Error() != missing.Error() {
		t.Errorf("a stranger can tell %v from %v", err, missing)
	}
}

func TestTrusted(t *testing.T) {
	l := newLab(t)
	shield, private := l.create("ward", true), l.create("open", false)
	allow := func(sources ...string) (out []document.TrustedIP) {
		for _, s := range sources {
			out = append(out, document.TrustedIP{Source: s, Action: "allow"})
		}
		return out
	}
	tests := []struct {
		name    string
		sources []string
		why     string
		ok      bool
	}{
		{"an office", []string{"203.0.113.0/24", " 203.0.113.0/24", "2001:db8::1"}, "", true},
		{"host bits set", []string{"203.0.113.7/24"}, "", false},
		{"host bits of IPv6", []string{"2001:db8::1/32"}, "", false},
		{"the spaces themselves", []string{"100.64.0.0/10"}, "", false},
		{"one space", []string{"100.64.16.0/20"}, "", false},
		{"more than the spaces", []string{"100.0.0.0/8"}, "", true},
		{"metadata", []string{"169.254.169.254"}, "", false},
		{"multicast", []string{"224.0.0.1"}, "", false},
		{"no host", []string{"0.0.0.0"}, "", false},
		{"link-local", []string{"fe80::/64"}, "", false},
		{"a narrow one beside a wide one", []string{"198.51.0.0/16", "198.51.100.0/24"}, "", true},
		{"nobody", nil, "", true},
		{"everybody", []string{"0.0.0.0/0"}, "", false},
		{"everybody, with a reason", []string{"0.0.0.0/0"}, "the portal is public", true},
		{"everybody by IPv6", []string{"::/0"}, "", false},
		{"everybody as a host", []string{"198.51.100.7/0"}, "", false},
		{"everybody in halves", []string{"0.0.0.0/1", "128.0.0.0/1"}, "", false},
		{"everybody in quarters of IPv6", []string{"2000::/3"}, "", false},
		{"everybody, mapped", []string{"::ffff:0:0/96"}, "", false},
		{"a large network", []string{"10.0.0.0/8"}, "", true},
		{"a provider's IPv6", []string{"2001:db8::/32"}, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l.Do(&spaces.SetTrusted{Identity: "ward"}, l.As("owner"))
			was := l.space(shield.ID)
			cmd := &spaces.SetTrusted{Identity: "ward", Rules: allow(tt.sources...), Confirm: "ward"}
			by := commandtest.Reason(l.As("owner"), tt.why)
			if !tt.ok {
				l.Refused(fault.Invalid, commandtest.None, cmd, by)
				return
			}
			lines := l.Record(cmd, by)
			got := l.space(shield.ID)
			if got.Ruleset == was.Ruleset || got.RuledBy != "owner@example.org" || lines[0].Reason != tt.why {
				t.Errorf("%+v, recorded as %v", got, lines)
			}
			if tt.name == "an office" && !slices.Equal(got.Trusted, allow("203.0.113.0/24", "2001:db8::1/128")) {
				t.Errorf("rules %+v, want networks, each once", got.Trusted)
			}
		})
	}
	// The reason alone is not enough, nor is another space's name.
	for _, confirm := range []string{"", private.Name} {
		cmd := &spaces.SetTrusted{Identity: "ward", Rules: allow("0.0.0.0/0"), Confirm: confirm}
		l.Refused(fault.Invalid, commandtest.None, cmd, commandtest.Reason(l.As("owner"), "the portal is public"))
	}
	// What is open stays open while other networks come and go.
	open := &spaces.SetTrusted{Identity: "ward", Rules: allow("0.0.0.0/0"), Confirm: "ward"}
	if lines := l.Record(open, commandtest.Reason(l.As("owner"), "the portal is public")); lines[0].Reason == "" {
		t.Error("the reason is not recorded")
	}
	l.Do(&spaces.SetTrusted{Identity: "ward", Rules: allow("0.0.0.0/0", "203.0.113.0/24")}, commandtest.Reason(l.As("owner"), ""))
	// A private space is open without a reason.
	l.Do(&spaces.SetTrusted{Identity: private.ID, Rules: allow("0.0.0.0/0")}, commandtest.Reason(l.As("owner"), ""))

	many := make([]document.TrustedIP, spaces.MaxTrusted+1)
	l.Refused(fault.Invalid, commandtest.None, &spaces.SetTrusted{Identity: "ward", Rules: many}, l.As("owner"))
	l.Refused(fault.Invalid, commandtest.None, &spaces.SetTrusted{Identity: "ward", Rules: []document.TrustedIP{{Source: "203.0.113.0/24", Action: "deny"}}}, l.As("owner"))
	l.Refused(fault.Invalid, commandtest.None, &spaces.SetTrusted{Identity: "ward", Rules: allow("example.org")}, l.As("owner"))
	l.Refused(fault.Forbidden, shield.ID, &spaces.SetTrusted{Identity: "ward", Rules: allow("203.0.113.0/24")}, l.As("dev"))
}

func TestTLS(t *testing.T) {
	l := newLab(t)
	shield, private := l.create("ward", true), l.create("open", false)
	l.Refused(fault.Forbidden, shield.ID, &spaces.SetTLS{Identity: "ward", MinTLS: new("1.3")}, l.As("dev"))
	l.Do(&spaces.SetTLS{Identity: "ward", MinTLS: new("1.3"), HSTS: new(true)}, l.As("owner"))
	l.Do(&spaces.SetTLS{Identity: "open", HSTS: new(false)}, l.As("owner"))
	for id, want := range map[string]string{shield.ID: "1.3", private.ID: "1.2"} {
		if s := l.space(id); s.LeastTLS() != want || s.NoHSTS == s.Shield {
			t.Errorf("%s: TLS %s, HSTS off: %v", s.Name, s.LeastTLS(), s.NoHSTS)
		}
	}
	l.Do(&spaces.SetTLS{Identity: "ward", MinTLS: new("1.2")}, l.As("owner"))
	if s := l.space(shield.ID); s.LeastTLS() != "1.2" || s.NoHSTS {
		t.Errorf("%+v", s)
	}
	for _, bad := range []*spaces.SetTLS{{}, {MinTLS: new("1.1")}, {MinTLS: new("TLS1.3")}, {HSTS: new(false)}} {
		bad.Identity = "ward"
		l.Refused(fault.Invalid, commandtest.None, bad, l.As("owner"))
	}
}

func TestLife(t *testing.T) {
	l := newLab(t)
	s := l.create("ward", true)
	l.Refused(fault.Forbidden, s.ID, &spaces.Allocated{ID: s.ID}, l.As("owner"))
	l.Do(&spaces.Allocated{ID: s.ID}, commandtest.Platform)
	if got := l.space(s.ID).State; got != document.SpaceAllocated {
		t.Errorf("state %s", got)
	}
	l.Refused(fault.Conflict, commandtest.None, &spaces.Allocated{ID: s.ID}, commandtest.Platform)

	app := &apps.Create{Name: "clinic", Space: "ward"}
	l.Do(app, l.As("dev"))
	addon := &addons.Create{App: "clinic", Plan: "heroku-postgresql"}
	l.Do(addon, l.As("owner"))
	destroy := func() control.Command { return &spaces.Destroy{Identity: "ward"} }
	l.Refused(fault.Forbidden, s.ID, destroy(), l.As("dev"))
	l.Refused(fault.Conflict, commandtest.None, destroy(), l.As("owner"))
	l.Do(&addons.Destroy{Identity: addon.Addon.Name}, l.As("owner"))
	l.Do(&apps.Destroy{Identity: "clinic"}, l.As("owner"))
	l.Refused(fault.Conflict, commandtest.None, destroy(), l.As("owner")) // the database is still there
	l.Do(&addons.Disposed{ID: addon.Addon.ID}, commandtest.Platform)
	l.Do(destroy(), l.As("owner"))
	l.Refused(fault.Conflict, commandtest.None, destroy(), l.As("owner"))
	l.Refused(fault.Conflict, commandtest.None, &apps.Create{Name: "late", Space: "ward"}, l.As("dev"))
	if got := l.space(s.ID).State; got != document.SpaceDeleting {
		t.Errorf("state %s", got)
	}

	if _, err := l.Keyring.Open(t.Context(), s.CAKey.ID, s.CAKey.SHA256); err != nil {
		t.Fatalf("the key goes before the space is gone: %v", err)
	}
	lines := l.Record(&spaces.Gone{ID: s.ID}, commandtest.Platform)
	if !l.Gone(document.KindSpace, s.ID) || lines[0].Scope != s.ID || lines[0].Detail("key") != "destroyed" {
		t.Errorf("recorded as %v", lines)
	}
	if _, err := l.Keyring.Open(t.Context(), s.CAKey.ID, s.CAKey.SHA256); fault.Of(err) != fault.NotFound {
		t.Errorf("a secret of a space that is gone: %v, want not found", err)
	}
	l.Refused(fault.NotFound, commandtest.None, &spaces.Gone{ID: s.ID}, commandtest.Platform)
	l.create("ward", true) // its name is free again
}

func TestAttempts(t *testing.T) {
	l := newLab(t)
	s := l.create("ward", true)
	record := func(target string, refused bool, result string) {
		l.Do(&spaces.RecordAttempt{Scope: s.ID, Name: "connect", From: "attic", Target: target, Refused: refused, Result: result, Count: 2}, commandtest.Platform)
	}
	record("10.0.0.1", true, "timed out")
	record("10.0.0.1", false, "connected")
	record("10.0.0.2", true, "timed out")
	list := commandtest.Find[*document.Attempt](l.World, "scope", s.ID)
	if len(list) != 2 || list[0].Count != 4 || list[0].Refused || list[0].Result != "connected" || list[1].Count != 2 {
		t.Errorf("%+v", list)
	}
	l.Refused(fault.Forbidden, s.ID, &spaces.RecordAttempt{Scope: s.ID, Name: "connect"}, l.As("owner"))
}
