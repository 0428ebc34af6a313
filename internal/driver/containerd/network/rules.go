package network

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/egress"
)

const (
	spaceTable = "strongroom" // in each space's own namespace
	uplink     = "up0"        // the space's end of its uplink
	// maxOutgoing bounds a space's share of the host's connection tracking
	// table, which the edge's connections need as well.
	maxOutgoing = 8192
)

// source says which address a link may send from.
type source struct {
	link    string
	address netip.Addr
}

// counter is the value of a named counter, carried over when a table is
// replaced.
type counter struct{ Packets, Bytes uint64 }

// spaceRules is all that a space's table depends on.
type spaceRules struct {
	pool     netip.Prefix
	subnet   netip.Prefix
	uplink   netip.Addr // the space's end; invalid if nothing may leave
	outbound []outbound
	private  []Private
	sources  []source
	counters map[string]counter
	refused  []Refusal // carried over like counters
	open     []opening
}

// text is an nft script that puts the table in force in one transaction.
func (r spaceRules) text() string {
	var b strings.Builder
	replaceTable(&b, spaceTable)
	writeCounter(&b, "denied", r.counters)
	writeCounter(&b, "invalid", r.counters)
	r.writeSets(&b)

	// A chain of its own, so that whatever is refused is counted. Refusing
	// tells the caller at once; forged packets are dropped without an answer.
	writeChain(&b, "refuse", "", []string{
		`counter name "denied" reject with icmpx admin-prohibited`,
	})
	// What an instance sends outside is kept as well.
	writeChain(&b, "away", "", []string{remember, `goto refuse`})
	writeChain(&b, "early", "type filter hook prerouting priority raw; policy accept;", r.early())
	writeChain(&b, "forward", "type filter hook forward priority filter; policy drop;", []string{
		`ct state established,related accept`,
		`ct state invalid counter name "invalid" drop`,
		`iifname "i*" oifname "i*" goto inside`,
		`iifname "i*" goto outgoing`,
		`counter name "denied" drop`,
	})
	writeChain(&b, "inside", "", []string{
		`ip saddr . ip daddr @peers accept`,
		`ip daddr @private goto refuse`,
		fmt.Sprintf(`ip saddr %s ip daddr %s accept`, r.subnet, r.subnet),
		`goto refuse`,
	})
	writeChain(&b, "outgoing", "", r.outgoing())
	writeChain(&b, "input", "type filter hook input priority filter; policy drop;", []string{
		`ct state established,related accept`,
		`ct state invalid counter name "invalid" drop`,
		`iifname "lo" accept`,
		fmt.Sprintf(`iifname "i*" ip daddr %s meta l4proto { tcp, udp } th dport 53 accept`, gateway),
		`iifname "i*" goto refuse`,
		`counter name "denied" drop`,
	})
	// The router and the platform's dials. Only what runs in this namespace
	// comes by here, and instances do not. Neither has business outside: names
	// are asked for by the engine.
	writeChain(&b, "output", "type filter hook output priority filter; policy drop;", []string{
		`ct state established,related accept`,
		`oifname "lo" accept`,
		fmt.Sprintf(`oifname "i*" ip saddr %s ip daddr %s accept`, gateway, r.subnet),
		`counter name "denied" drop`,
	})
	if r.uplink.IsValid() {
		writeChain(&b, "translate", "type nat hook postrouting priority srcnat; policy accept;", []string{
			fmt.Sprintf(`oifname "%s" snat ip to %s`, uplink, r.uplink),
		})
	}
	b.WriteString("}\n")
	return b.String()
}

func (r spaceRules) writeSets(b *strings.Builder) {
	var sources, private, peers []string
	for _, s := range sorted(r.sources, func(a, b source) int { return a.address.Compare(b.address) }) {
		sources = append(sources, fmt.Sprintf("%q . %s", s.link, s.address))
	}
	for _, p := range sorted(r.private, func(a, b Private) int { return a.Address.Compare(b.Address) }) {
		private = append(private, p.Address.String())
		from := sorted(p.From, netip.Addr.Compare)
		for _, client := range slices.Compact(from) {
			peers = append(peers, fmt.Sprintf("%s . %s", client, p.Address))
		}
	}
	writeRefused(b, r.refused)
	writeSet(b, "sources", "ifname . ipv4_addr", "", sources)
	writeSet(b, "private", "ipv4_addr", "", private)
	writeSet(b, "peers", "ipv4_addr . ipv4_addr", "", peers)
	if r.uplink.IsValid() {
		writeSet(b, "never", "ipv4_addr", "interval", stringsOf(egress.Never(r.pool)))
	}
	for _, g := range groups(r.outbound) {
		writeSet(b, g.set(), "ipv4_addr", "interval", stringsOf(g.to))
	}
	for _, s := range named(r.outbound) {
		writeNamed(b, s, r.open)
	}
}

// early looks at packets before routing and connection tracking.
func (r spaceRules) early() []string {
	rules := []string{
		`iifname "i*" meta nfproto != ipv4 counter name "denied" drop`,
		`iifname "i*" iifname . ip saddr != @sources counter name "denied" drop`,
		`fib daddr type { broadcast, multicast, anycast } counter name "denied" drop`,
	}
	if !r.uplink.IsValid() {
		// Nothing leads there, and the kernel says so to the sender without
		// asking a later chain; this only counts the attempt. No link leads to
		// the gateway either, which is here.
		nowhere := fmt.Sprintf(`iifname "i*" ip daddr != %s fib daddr oif missing `, gateway)
		rules = append(rules, nowhere+remember, nowhere+`counter name "denied"`)
	}
	return rules
}

func (r spaceRules) outgoing() []string {
	if !r.uplink.IsValid() {
		return []string{`goto away`}
	}
	rules := []string{
		`ip daddr @never goto away`,
		fmt.Sprintf(`oifname != "%s" goto away`, uplink),
		fmt.Sprintf(`ct count over %d goto away`, maxOutgoing),
	}
	for _, g := range groups(r.outbound) {
		rules = append(rules, g.rules()...)
	}
	for _, s := range named(r.outbound) {
		rules = append(rules, s.namedRules()...)
	}
	return append(rules, `goto away`)
}

// hostRules is all that the installation's table on the host depends on.
type hostRules struct {
	name     string // of the installation
	pool     netip.Prefix
	block    netip.Prefix
	edgeUID  int
	uplinks  []source // host's end and the space's address behind it
	guarded  []string // interfaces that forward only because of us
	counters map[string]counter
}

func hostTable(name string) string { return "strongroom_" + name }

func (r hostRules) text() string {
	ours := `"` + r.name + `-*"`
	var b strings.Builder
	replaceTable(&b, hostTable(r.name))
	writeCounter(&b, "denied", r.counters)
	writeCounter(&b, "edge_denied", r.counters)
	var uplinks, guarded []string
	for _, u := range sorted(r.uplinks, func(a, b source) int { return a.address.Compare(b.address) }) {
		uplinks = append(uplinks, fmt.Sprintf("%q . %s", u.link, u.address))
	}
	for _, g := range sorted(r.guarded, cmp.Compare[string]) {
		guarded = append(guarded, fmt.Sprintf("%q", g))
	}
	writeSet(&b, "uplinks", "ifname . ipv4_addr", "", uplinks)
	writeSet(&b, "guarded", "ifname", "", guarded)
	writeSet(&b, "never", "ipv4_addr", "interval", stringsOf(egress.Never(r.pool)))

	// A socket that the edge has handed over can be disconnected and connected
	// anew by its holder, in the host's network. It keeps its creator's uid:
	// so nothing that the edge's uid created may open a connection. Accepted
	// connections are established by the time that it sends.
	writeChain(&b, "output", "type filter hook output priority filter; policy accept;", []string{
		fmt.Sprintf(`meta skuid %d ct state != { established, related } counter name "edge_denied" drop`, r.edgeUID),
	})
	// Nothing in a space has business with the host's own addresses.
	writeChain(&b, "input", "type filter hook input priority filter; policy accept;", []string{
		fmt.Sprintf(`iifname %s counter name "denied" drop`, ours),
	})
	writeChain(&b, "forward", "type filter hook forward priority filter; policy accept;", []string{
		fmt.Sprintf(`iifname %s goto leaving`, ours),
		fmt.Sprintf(`oifname %s ct state != { established, related } counter name "denied" drop`, ours),
		fmt.Sprintf(`iifname @guarded oifname != %s ct state new drop`, ours),
	})
	writeChain(&b, "leaving", "", []string{
		`iifname . ip saddr != @uplinks counter name "denied" drop`,
		`meta nfproto != ipv4 counter name "denied" drop`,
		`ip daddr @never counter name "denied" drop`,
		fmt.Sprintf(`oifname %s counter name "denied" drop`, ours),
		`ct state established,related,new accept`,
		`counter name "denied" drop`,
	})
	writeChain(&b, "translate", "type nat hook postrouting priority srcnat; policy accept;", []string{
		fmt.Sprintf(`ip saddr %s masquerade`, r.block),
	})
	b.WriteString("}\n")
	return b.String()
}

// replaceTable begins a script that puts a table in the place of what is
// there. "add" makes the deletion succeed when there is none.
func replaceTable(b *strings.Builder, name string) {
	fmt.Fprintf(b, "add table inet %s\ndelete table inet %s\ntable inet %s {\n", name, name, name)
}

func writeCounter(b *strings.Builder, name string, values map[string]counter) {
	v := values[name]
	fmt.Fprintf(b, "\tcounter %s { packets %d bytes %d }\n", name, v.Packets, v.Bytes)
}

func writeSet(b *strings.Builder, name, typ, flags string, elements []string) {
	fmt.Fprintf(b, "\tset %s {\n\t\ttype %s\n", name, typ)
	if flags != "" {
		fmt.Fprintf(b, "\t\tflags %s\n", flags)
	}
	if len(elements) > 0 {
		fmt.Fprintf(b, "\t\telements = { %s }\n", strings.Join(elements, ", "))
	}
	b.WriteString("\t}\n")
}

func writeChain(b *strings.Builder, name, hook string, rules []string) {
	fmt.Fprintf(b, "\tchain %s {\n", name)
	if hook != "" {
		fmt.Fprintf(b, "\t\t%s\n", hook)
	}
	for _, rule := range rules {
		fmt.Fprintf(b, "\t\t%s\n", rule)
	}
	b.WriteString("\t}\n")
}

func sorted[T any](in []T, by func(a, b T) int) []T {
	out := slices.Clone(in)
	slices.SortFunc(out, by)
	return out
}

func stringsOf[T fmt.Stringer](in []T) []string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = v.String()
	}
	return out
}
