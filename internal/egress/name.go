package egress

import (
	"net/netip"
	"strings"
)

// AnyName is the name of a rule that covers every name.
const AnyName = "*"

// MatchName tells whether the name of a rule covers a name: api.example.org
// itself; *.example.org whatever is below example.org, since whoever has that
// zone decides about all of it; * every name. Both are in lower case, without the
// final dot.
func MatchName(rule, name string) bool {
	if rule == AnyName {
		return true
	}
	if below, ok := strings.CutPrefix(rule, "*"); ok {
		return len(name) > len(below) && strings.HasSuffix(name, below)
	}
	return rule == name
}

// ValidName tells whether a rule can have the name: it becomes part of nothing
// that is not quoted, and still is checked wherever it arrives.
func ValidName(rule string) bool {
	if rule == AnyName {
		return true
	}
	name := strings.TrimPrefix(rule, "*.")
	if name == "" || len(rule) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// inner are the networks that are somebody's own: the same addresses are
// elsewhere to everybody else.
var inner = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("198.18.0.0/15"),
}

// Inner tells whether an address belongs to networks that are somebody's own,
// the operator's perhaps. A name of the outside that leads there is either a slip
// or an attack (rebinding): who has a name says where it leads.
func Inner(a netip.Addr) bool {
	for _, p := range inner {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
