//go:build integration

package network

import (
	"context"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/strongroom/strongroom/internal/driver"
)

// found surveys and gives what was found in a space, or in none.
func (r *rig) found(of func(context.Context, *driver.Survey) error, space string) string {
	r.t.Helper()
	s := driver.NewSurvey("test")
	s.Add("one", "one")
	s.Add("two", "two")
	if err := of(r.t.Context(), s); err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, p := range s.Parts {
		if len(p.Looked) == 0 {
			r.t.Errorf("nothing was looked at in %q", p.Space)
		}
		for _, x := range p.Strays {
			if p.Space != space {
				r.t.Errorf("found in %q: %s", p.Space, x.Text)
			}
			out = append(out, x.Text)
		}
	}
	return strings.Join(out, "\n")
}

// TestSurveyRules changes rules by hand, sees that found, puts it right, sees
// that told for a while, and then no more.
func TestSurveyRules(t *testing.T) {
	r := newRig(t)
	one := r.space("one", 0)
	r.space("two", 1, driver.Outbound{CIDR: "198.18.0.0/15", Protocol: "any"})
	r.attach("one", "a")
	if got := r.found(r.SurveyRules, ""); got != "" {
		t.Fatalf("before: %s", got)
	}
	forget := func(list *tampers) {
		for i := range *list {
			(*list)[i].told = time.Now().Add(-2 * again)
		}
	}
	for _, tt := range []struct{ script, want string }{
		{"insert rule inet strongroom forward accept\n", `added: rule of chain forward [{"accept":null}].`},
		{"flush chain inet strongroom input\n", "missing: rule of chain input "},
		{"add chain inet strongroom forward { policy accept; }\n", `"policy":"accept"`},
		{"add element inet strongroom sources { \"i9\" . 100.64.0.77 }\n", "addresses that its links may send from"},
		{"delete table inet strongroom\n", "all of it was deleted."},
	} {
		if err := inside(one.NetNS, func() error { return load(t.Context(), tt.script) }); err != nil {
			t.Fatal(err)
		}
		got := r.found(r.SurveyRules, "one")
		if !strings.Contains(got, "Somebody else has changed the table strongroom: ") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: found %q", tt.script, got)
		}
		r.space("one", 0)
		got = r.found(r.SurveyRules, "one")
		if !strings.Contains(got, "it was put right at ") || !strings.Contains(got, tt.want) || strings.Contains(got, "has changed") {
			t.Errorf("%s: put right, found %q", tt.script, got)
		}
		forget(&r.Network.spaces["one"].tampers)
		if got := r.found(r.SurveyRules, ""); got != "" {
			t.Errorf("%s: in the end: %s", tt.script, got)
		}
	}

	table := func(verb string) {
		if err := inside(one.NetNS, func() error { return load(t.Context(), verb+" table ip byhand\n") }); err != nil {
			t.Fatal(err)
		}
	}
	table("add")
	if got := r.found(r.SurveyRules, "one"); !strings.Contains(got, `There is a table "byhand"`) {
		t.Errorf("found %q", got)
	}
	table("delete")

	host := hostTable(r.cfg.Name)
	if err := load(t.Context(), "insert rule inet "+host+" output accept\n"); err != nil {
		t.Fatal(err)
	}
	if got := r.found(r.SurveyRules, ""); !strings.Contains(got, "changed the table "+host) || !strings.Contains(got, "added: rule of chain output") {
		t.Errorf("found %q", got)
	}
	if err := r.EnsureHost(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.found(r.SurveyRules, ""); !strings.Contains(got, "it was put right at ") {
		t.Errorf("found %q", got)
	}
	forget(&r.host.tampers)

	// What the engine itself changes is nobody else's doing.
	r.attach("one", "b")
	db := r.attach("one", "db")
	r.policy("one", Private{Address: db.Address, From: []netip.Addr{}})
	if err := r.Detach(t.Context(), "one", "db"); err != nil {
		t.Fatal(err)
	}
	r.space("one", 0, driver.Outbound{CIDR: "198.18.0.0/15", Protocol: "any"})
	if got := r.found(r.SurveyRules, ""); got != "" {
		t.Errorf("in the end: %s", got)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.open()
	if got := r.found(r.SurveyRules, ""); got != "" {
		t.Errorf("after a restart: %s", got)
	}
}

func TestSurveyLinks(t *testing.T) {
	r := newRig(t)
	one := r.space("one", 0, driver.Outbound{CIDR: "198.18.0.0/15", Protocol: "any"})
	r.space("two", 1)
	a := r.attach("one", "a")
	if got := r.found(r.SurveyLinks, ""); got != "" {
		t.Fatalf("before: %s", got)
	}
	link := func(netns, name string) (undo func()) { // of a kind that every kernel here has
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		inNS(t, netns, func(h *netlink.Handle) error {
			return h.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: name + "p"})
		})
		return func() { inNS(t, netns, func(h *netlink.Handle) error { return removeLink(h, name) }) }
	}
	address := func(netns, link string) (undo func()) {
		change := func(do func(*netlink.Handle, netlink.Link, *netlink.Addr) error) {
			inNS(t, netns, func(h *netlink.Handle) error {
				l, err := h.LinkByName(link)
				if err != nil {
					return err
				}
				return do(h, l, &netlink.Addr{IPNet: hostNet(netip.MustParsePrefix("192.0.2.9/32"))})
			})
		}
		change((*netlink.Handle).AddrAdd)
		return func() { change((*netlink.Handle).AddrDel) }
	}
	for _, tt := range []struct {
		name, space, want string
		make              func() (undo func())
	}{
		{"a link in a space", "one", `The space has a link "byhand" (veth)`, func() func() { return link(one.NetNS, "byhand") }},
		{"a link in a container", "one", `The container a has a link "byhand"`, func() func() { return link(a.NetNS, "byhand") }},
		{"a link on the host", "", `has a name as those of spaces`, func() func() { return link(threadNS, r.cfg.Name+"-9") }},
		{"an address in a space", "one", "The link lo has the address 192.0.2.9/32", func() func() { return address(one.NetNS, "lo") }},
		{"an address of a container", "one", "The link eth0 has the address 192.0.2.9/32", func() func() { return address(a.NetNS, "eth0") }},
		{"a namespace of no container", "one", `The network namespace "byhand"`, func() func() {
			path := filepath.Join(filepath.Dir(a.NetNS), "byhand")
			if err := makeNS(path, func() error { return nil }); err != nil {
				t.Fatal(err)
			}
			return func() {
				if err := removeNS(path); err != nil {
					t.Error(err)
				}
			}
		}},
		{"a lost link", "one", "The link i2 of the space is gone", func() func() {
			inNS(t, one.NetNS, func(h *netlink.Handle) error { return removeLink(h, linkName(2)) })
			return func() { r.attach("one", "a") }
		}},
		{"a lost namespace", "two", "The network namespace of the space is gone", func() func() {
			if err := removeNS(r.spaces["two"].netns()); err != nil {
				t.Fatal(err)
			}
			return func() { r.space("two", 1) }
		}},
	} {
		undo := tt.make()
		if got := r.found(r.SurveyLinks, tt.space); !strings.Contains(got, tt.want) {
			t.Errorf("%s: found %q", tt.name, got)
		}
		undo()
		if got := r.found(r.SurveyLinks, ""); got != "" {
			t.Errorf("%s, undone: %s", tt.name, got)
		}
	}
}
