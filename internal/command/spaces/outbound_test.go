package spaces_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/egress"
	"github.com/strongroom/strongroom/internal/fault"
)

func leaves(target, protocol string, from, to int) document.OutboundRef {
	return document.OutboundRef{Target: target, Protocol: protocol, FromPort: from, ToPort: to}
}

// rules are those of a space, in words.
func (l *lab) rules(id string) (out []string) {
	for _, r := range l.space(id).Outbound {
		out = append(out, r.String())
	}
	return out
}

func (l *lab) wantRules(id string, want ...string) {
	l.T.Helper()
	if got := l.rules(id); strings.Join(got, "; ") != strings.Join(want, "; ") {
		l.T.Errorf("rules %q, want %q", got, want)
	}
}

func TestOutbound(t *testing.T) {
	l := newLab(t)
	shield := l.create("ward", true)
	lab := leaves("203.0.113.0/24", "tcp", 443, 443)
	lines := l.Record(&spaces.SetOutbound{Identity: "ward", Add: []document.OutboundRef{lab}}, commandtest.Reason(l.As("owner"), "the laboratory"))
	if len(lines) != 1 || lines[0].Action != "space.outbound" || lines[0].Scope != shield.ID || lines[0].Reason != "the laboratory" {
		t.Errorf("recorded as %v", lines)
	}
	got := l.space(shield.ID)
	if r := got.Outbound[0]; r.Reason != "the laboratory" || r.By != "owner@example.org" || !r.At.Equal(l.Now()) {
		t.Errorf("a rule does not tell who made it, when and why: %+v", r)
	}

	was := l.Now()

	// Others' rules keep their story when one is added, or all are replaced.
	l.Pass(time.Hour)
	l.Do(&spaces.SetOutbound{Identity: "ward", Add: []document.OutboundRef{leaves("198.51.100.7", "any", 0, 0)}}, l.As("owner"))
	l.Do(&spaces.SetOutbound{Identity: "ward", Replace: true, Add: []document.OutboundRef{lab, leaves("192.0.2.0/25", "udp", 53, 54)}}, l.As("owner"))
	l.wantRules(shield.ID, "203.0.113.0/24 tcp 443", "192.0.2.0/25 udp 53-54")
	if r := l.space(shield.ID).Outbound[0]; r.Reason != "the laboratory" || !r.At.Equal(was) {
		t.Errorf("a rule that stayed has another story: %+v", r)
	}
	l.Do(&spaces.SetOutbound{Identity: "ward", Remove: []document.OutboundRef{lab}}, l.As("owner"))
	l.wantRules(shield.ID, "192.0.2.0/25 udp 53-54")
	if s := l.space(shield.ID); s.OutboundSet == got.OutboundSet || s.OutboundBy != "owner@example.org" || !s.OutboundAt.Equal(l.Now()) {
		t.Errorf("the ruleset is told apart by nothing: %+v", s)
	}
	l.Refused(fault.Forbidden, shield.ID, &spaces.SetOutbound{Identity: "ward", Add: []document.OutboundRef{lab}}, l.As("dev"))
	l.Refused(fault.NotFound, shield.ID, &spaces.SetOutbound{Identity: "ward", Add: []document.OutboundRef{lab}}, l.As("stranger"))
}

func TestOutboundMode(t *testing.T) {
	l := newLab(t)
	private := l.create("attic", false)
	l.wantRules(private.ID, "0.0.0.0/0 any 0-65535")
	if r := private.Outbound[0]; private.OutboundMode() != document.OutboundOpen || r.By != "owner@example.org" || r.At.IsZero() {
		t.Errorf("a private space begins as %+v", private.Outbound)
	}
	change := func(mode string, add ...document.OutboundRef) {
		l.Do(&spaces.SetOutbound{Identity: "attic", Mode: mode, Add: add}, l.As("owner"))
	}
	change(document.OutboundOpen) // as it is already
	l.wantRules(private.ID, "0.0.0.0/0 any 0-65535")
	change(document.OutboundNone, leaves("192.0.2.1", "tcp", 443, 443))
	l.wantRules(private.ID, "192.0.2.1/32 tcp 443")
	change(document.OutboundOpen)
	l.wantRules(private.ID, "192.0.2.1/32 tcp 443", "0.0.0.0/0 any 0-65535")
	change(document.OutboundNone)
	l.wantRules(private.ID, "192.0.2.1/32 tcp 443")
	if got := l.space(private.ID).OutboundMode(); got != document.OutboundNone {
		t.Errorf("mode %s", got)
	}
	if private.Outbound[0].Mode != document.OutboundOpen {
		t.Errorf("the rule of an open space is of mode %q", private.Outbound[0].Mode)
	}
}

// TestOutboundRegistries: the mode brings rules like others and takes away those
// that it brought, and no others.
func TestOutboundRegistries(t *testing.T) {
	l := newLab(t)
	s := l.create("ward", true)
	change := func(c spaces.SetOutbound) {
		c.Identity = "ward"
		l.Do(&c, l.As("owner"))
	}
	own := leaves(egress.Registries[0], "tcp", 443, 443)
	change(spaces.SetOutbound{Add: []document.OutboundRef{own}})
	change(spaces.SetOutbound{Mode: document.OutboundRegistries})
	got := l.space(s.ID)
	if len(got.Outbound) != len(egress.Registries) || got.OutboundMode() != document.OutboundRegistries || got.Outbound[0].Mode != "" || got.Outbound[1].Mode != "registries" {
		t.Errorf("%s: %+v", got.OutboundMode(), got.Outbound)
	}
	l.Pass(time.Hour)
	change(spaces.SetOutbound{Mode: document.OutboundRegistries}) // as it is already
	if again := l.space(s.ID); !cmp.Equal(got.Outbound, again.Outbound) {
		t.Errorf("said again, it changes (-first +then):\n%s", cmp.Diff(got.Outbound, again.Outbound))
	}
	l.Refused(fault.Conflict, commandtest.None, &spaces.SetOutbound{Identity: "ward", Add: []document.OutboundRef{leaves(egress.Registries[1], "tcp", 443, 443)}}, l.As("owner"))
	change(spaces.SetOutbound{Mode: document.OutboundNone})
	l.wantRules(s.ID, own.String())
}

func TestOutboundNames(t *testing.T) {
	l := newLab(t)
	s := l.create("ward", true)
	add := func(names ...string) *spaces.SetOutbound {
		c := &spaces.SetOutbound{Identity: "ward"}
		for _, n := range names {
			c.Add = append(c.Add, leaves(n, "tcp", 443, 443))
		}
		return c
	}
	l.Do(add("API.Example.org.", "*.labs.example.net", "xn--bcher-kva.example"), l.As("owner"))
	l.wantRules(s.ID, "api.example.org tcp 443", "*.labs.example.net tcp 443", "xn--bcher-kva.example tcp 443")
	l.Do(&spaces.SetOutbound{Identity: "ward", Remove: []document.OutboundRef{leaves("api.example.ORG", "tcp", 443, 443)}}, l.As("owner"))
	l.wantRules(s.ID, "*.labs.example.net tcp 443", "xn--bcher-kva.example tcp 443")
	for name, says := range map[string]string{
		"*.org": "not a fully qualified host name", "api.*.example.org": "is not a valid label", "example": "not a fully qualified host name",
		"web.intake.app.localspace": "is no name of the outside", "8.8.8.8.in-addr.arpa": "is no name of the outside",
		"https://api.example.org": "is not a network", "api.example.org:443": "is not a valid label", "10.0.0.256": "not a fully qualified host name",
		"büro.example.org": "is not a valid label", "": "not a fully qualified host name", strings.Repeat("a.", 130) + "example.org": "not a fully qualified host name",
	} {
		if err := l.Refused(fault.Invalid, commandtest.None, add(name), l.As("owner")); !strings.Contains(fault.Message(err), says) {
			t.Errorf("%q: %v", name, err)
		}
	}
	// All names, or all of those that anybody can have, open a shield space wide.
	for _, name := range []string{"*", "*.co.uk", "*.github.io"} {
		because := commandtest.Reason(l.As("owner"), "partners everywhere")
		l.Refused(fault.Invalid, commandtest.None, add(name), because)
		wide := add(name)
		wide.Confirm = "ward"
		l.Do(wide, because)
	}
}

// TestOutboundWide: nobody opens a shield space to the world by accident.
func TestOutboundWide(t *testing.T) {
	l := newLab(t)
	shield := l.create("ward", true)
	l.create("attic", false)
	for name, c := range map[string]spaces.SetOutbound{
		"everything":      {Mode: document.OutboundOpen},
		"the world":       {Add: []document.OutboundRef{leaves("0.0.0.0/0", "tcp", 443, 443)}},
		"half of it":      {Add: []document.OutboundRef{leaves("128.0.0.0/1", "tcp", 443, 443)}},
		"all replaced":    {Replace: true, Add: []document.OutboundRef{leaves("0.0.0.0/0", "udp", 53, 53)}},
		"a part too many": {Add: []document.OutboundRef{leaves("16.0.0.0/7", "any", 0, 0)}},
	} {
		t.Run(name, func(t *testing.T) {
			because := commandtest.Reason(l.As("owner"), "partners everywhere")
			try := func(confirm string) *spaces.SetOutbound {
				again := c
				again.Identity, again.Confirm = "ward", confirm
				return &again
			}
			l.Refused(fault.Invalid, commandtest.None, try("ward"), commandtest.Reason(l.As("owner"), ""))
			l.Refused(fault.Invalid, commandtest.None, try(""), because)
			if err := l.Refused(fault.Invalid, commandtest.None, try("attic"), because); !strings.Contains(err.Error(), "--confirm ward") {
				t.Errorf("does not say what to do: %v", err)
			}
			lines := l.Record(try("ward"), because)
			if len(lines) != 1 || lines[0].Reason != "partners everywhere" {
				t.Errorf("recorded as %v", lines)
			}
			// What is there already takes no second confirmation.
			l.Do(&spaces.SetOutbound{Identity: "ward", Add: []document.OutboundRef{leaves("192.0.2.9", "tcp", 1, 1)}}, l.As("owner"))
			l.Do(&spaces.SetOutbound{Identity: "ward", Replace: true}, l.As("owner"))
			l.wantRules(shield.ID)
		})
	}
	l.Do(&spaces.SetOutbound{Identity: "attic", Replace: true, Add: []document.OutboundRef{leaves("0.0.0.0/0", "tcp", 443, 443)}}, l.As("owner"))
}

func TestOutboundBad(t *testing.T) {
	l := newLab(t)
	s := l.create("ward", true)
	one := leaves("203.0.113.0/24", "tcp", 443, 443)
	l.Do(&spaces.SetOutbound{Identity: "ward", Add: []document.OutboundRef{one}}, l.As("owner"))
	many := func(n int) (out []document.OutboundRef) {
		for i := range n {
			out = append(out, leaves(fmt.Sprintf("198.18.%d.%d", i/250, i%250), "tcp", 443, 443))
		}
		return out
	}
	host := []netip.Addr{netip.MustParseAddr("::1"), netip.MustParseAddr("192.0.2.7")}
	for want, c := range map[string]spaces.SetOutbound{
		"named twice":               {Add: []document.OutboundRef{leaves("192.0.2.1", "tcp", 1, 1), leaves("192.0.2.1/32", "tcp", 1, 1)}},
		"named twice.":              {Replace: true, Add: []document.OutboundRef{one, one}},
		"at most 1000":              {Add: many(10_000)},
		"these would be 1001":       {Add: many(1000)},
		"overlaps 100.64.0.0/10":    {Add: []document.OutboundRef{leaves("100.64.3.0/24", "tcp", 1, 1)}},
		"overlaps 169.254.0.0/16":   {Add: []document.OutboundRef{leaves("169.254.169.254", "tcp", 80, 80)}},
		"the host's own addresses":  {Add: []document.OutboundRef{leaves("127.0.0.1", "tcp", 80, 80)}},
		"own address 192.0.2.7":     {Add: []document.OutboundRef{leaves("192.0.2.0/29", "tcp", 80, 80)}, Host: host},
		"Did you mean 192.0.2.0/24": {Add: []document.OutboundRef{leaves("192.0.2.5/24", "tcp", 80, 80)}},
		"is not a network":          {Add: []document.OutboundRef{leaves("example.org/24", "tcp", 80, 80)}},
		"only IPv4":                 {Add: []document.OutboundRef{leaves("2001:db8::/32", "tcp", 80, 80)}},
		"not a protocol":            {Add: []document.OutboundRef{leaves("192.0.2.1", "TCP; accept", 80, 80)}},
		"are not a range":           {Add: []document.OutboundRef{leaves("192.0.2.1", "tcp", 443, 80)}},
		"ports 0 to 0":              {Add: []document.OutboundRef{leaves("192.0.2.1", "tcp", 0, 0)}},
		"to 70000":                  {Add: []document.OutboundRef{leaves("192.0.2.1", "udp", 1, 70000)}},
		"none, registries or open":  {Mode: "shut"},
	} {
		c.Identity = "ward"
		if err := l.Refused(fault.Invalid, commandtest.None, &c, l.As("owner")); err == nil || !strings.Contains(fault.Message(err), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	l.Refused(fault.Conflict, commandtest.None, &spaces.SetOutbound{Identity: "ward", Add: []document.OutboundRef{one}}, l.As("owner"))
	l.Refused(fault.NotFound, commandtest.None, &spaces.SetOutbound{Identity: "ward", Remove: []document.OutboundRef{leaves("203.0.113.0/24", "tcp", 443, 444)}}, l.As("owner"))
	l.wantRules(s.ID, "203.0.113.0/24 tcp 443")
	l.Do(&spaces.SetOutbound{Identity: "ward", Replace: true, Add: many(document.MaxOutbound)}, l.As("owner"))
}

func TestRecordRefused(t *testing.T) {
	l := newLab(t)
	s := l.create("ward", true)
	tried := func(to string, port int, counted int64) *document.Refusal {
		return &document.Refusal{App: "clinic", Dyno: "web.1", To: to, Protocol: "tcp", Port: port, Counted: counted}
	}
	record := func(list ...*document.Refusal) []commandtest.Line {
		l.Pass(time.Minute)
		return l.Record(&spaces.RecordRefused{Space: s.ID, Refused: list}, commandtest.Platform)
	}
	kept := func() map[string]int64 {
		out := map[string]int64{}
		for _, r := range commandtest.Find[*document.Refusal](l.World, "space", s.ID) {
			out[fmt.Sprintf("%s %d", r.To, r.Port)] = r.Count
		}
		return out
	}
	lines := record(tried("192.0.2.1", 443, 3), tried("192.0.2.1", 80, 1))
	if len(lines) != 1 || lines[0].Scope != s.ID || lines[0].Action != "outbound.refuse" || lines[0].Detail("destinations") != "2" || lines[0].Detail("packets") != "4" {
		t.Errorf("recorded as %v", lines)
	}
	record(tried("192.0.2.1", 443, 10))
	record(tried("192.0.2.1", 443, 2)) // the engine's counter began anew
	if diff := cmp.Diff(map[string]int64{"192.0.2.1 443": 12, "192.0.2.1 80": 1}, kept()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	l.Refused(fault.Forbidden, s.ID, &spaces.RecordRefused{Space: s.ID}, l.As("owner"))

	// The oldest make room: 80 was not tried again.
	for n := range spaces.MaxRefusals/spaces.MaxRefused + 1 {
		var list []*document.Refusal
		for port := range spaces.MaxRefused {
			list = append(list, tried(fmt.Sprintf("198.51.100.%d", n), 1+port, 1))
		}
		record(list...)
	}
	if got := kept(); len(got) != spaces.MaxRefusals || got["192.0.2.1 80"] != 0 || got["198.51.100.10 50"] != 1 {
		t.Errorf("%d are kept", len(got))
	}
	l.Do(&spaces.Gone{ID: s.ID}, commandtest.Platform)
	if n := len(kept()); n != 0 {
		t.Errorf("%d are left of a space that is gone", n)
	}
}
