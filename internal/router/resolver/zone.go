package resolver

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/edge/hostname"
	"github.com/strongroom/strongroom/internal/fault"
)

// Domain is the domain of all names inside a space.
const Domain = "localspace"

// Name is a name below localspace and its addresses. Instances are entries of
// their own: "web" with all ready addresses, "1.web" with one. A name without
// addresses exists but has no records, which a client should not remember as
// "no such name".
type Name struct {
	Name      string   `json:"name"` // relative to localspace
	Addresses []string `json:"addresses"`
}

// Zone is all that a resolver knows. It does not change.
type Zone struct {
	names   map[string][]netip.Addr // by full name without the final dot
	parents map[string]bool         // names that have others below them
	reverse map[netip.Addr]string
	outside string
}

// NewZone checks the names and the address of who answers for the outside
// ("ip:port"; "": nobody, and such names are refused). Its errors are
// fault.Invalid.
func NewZone(names []Name, outside string) (*Zone, error) {
	z := &Zone{
		names: make(map[string][]netip.Addr), parents: map[string]bool{Domain: true},
		reverse: make(map[netip.Addr]string), outside: outside,
	}
	for _, name := range names {
		if err := z.add(name); err != nil {
			return nil, err
		}
	}
	if address, err := netip.ParseAddrPort(outside); outside != "" && (err != nil || address.Port() == 0) {
		return nil, fault.New(fault.Invalid, "the DNS server %q is not an address with a port", outside)
	}
	return z, nil
}

func (z *Zone) add(name Name) error {
	full := name.Name + "." + Domain
	if normal, ok := hostname.Normal(full); !ok || normal != full {
		return fault.New(fault.Invalid, "%q is not a name in lower case", name.Name)
	}
	if _, taken := z.names[full]; taken {
		return fault.New(fault.Invalid, "the name %s is in the snapshot twice", name.Name)
	}
	addresses := make([]netip.Addr, 0, len(name.Addresses))
	for _, text := range name.Addresses {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" || address.Is4In6() {
			return fault.New(fault.Invalid, "name %s: %q is not an address", name.Name, text)
		}
		addresses = append(addresses, address)
		z.reverse[address] = pointer(z.reverse[address], full)
	}
	z.names[full] = addresses
	for _, parent, ok := strings.Cut(full, "."); ok && parent != Domain; _, parent, ok = strings.Cut(parent, ".") {
		z.parents[parent] = true
	}
	return nil
}

// pointer chooses the name that an address is given back as: the one with the
// most labels, which is the instance's own.
func pointer(a, b string) string {
	if a == "" {
		return b
	}
	return slices.MaxFunc([]string{a, b}, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.Count(a, "."), strings.Count(b, ".")), cmp.Compare(b, a))
	})
}

// exists says whether a name of the zone has records or names below it.
func (z *Zone) exists(name string) bool {
	_, known := z.names[name]
	return known || z.parents[name]
}

// within says whether a name is localspace or below it.
func within(name string) bool {
	return name == Domain || strings.HasSuffix(name, "."+Domain)
}

// reversed returns the address that an in-addr.arpa or ip6.arpa name is about.
func reversed(name string) (address netip.Addr, ok bool) {
	if labels, found := strings.CutSuffix(name, ".in-addr.arpa"); found {
		parts := strings.Split(labels, ".")
		slices.Reverse(parts)
		address, err := netip.ParseAddr(strings.Join(parts, "."))
		return address, err == nil && address.Is4()
	}
	nibbles, found := strings.CutSuffix(name, ".ip6.arpa")
	if !found || len(nibbles) != 63 {
		return netip.Addr{}, false
	}
	var b strings.Builder
	for i := 62; i >= 0; i -= 2 {
		b.WriteByte(nibbles[i])
		if i%8 == 0 && i > 0 {
			b.WriteByte(':')
		}
	}
	address, err := netip.ParseAddr(b.String())
	return address, err == nil
}

// reverseZone says whether a name belongs to the reverse tree of an address
// that means nothing outside this space or this host.
func reverseZone(address netip.Addr) bool {
	return address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() ||
		address.IsUnspecified() || sharedSpace.Contains(address)
}

// sharedSpace is the carrier-grade NAT range, which container networks use too.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")
