package network

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/strongroom/strongroom/internal/egress"
	"github.com/strongroom/strongroom/internal/fault"
)

// An address that a name led to is open for a while: an element with a timeout
// of the map of a service. The element's value marks the connections that are
// made while it is there with the name of the rule. So a connection outlives the
// element, as clients expect, and ends with the rule.
const (
	namedMap = "named_"
	// maxOpened bounds the addresses that are open at a time, in all maps of a
	// space and in each of them.
	maxOpened = 4096
	// longer is how much longer an address is open than was asked for, so that
	// the next question for the name within that time changes nothing.
	longer = 5 * time.Second
	// linger is how long an opening that has ended is remembered: the kernel's
	// clock began to run a little later.
	linger = time.Minute
	// Each change of what is open runs nft: a dyno that has a zone of its own, in
	// which every name leads elsewhere, shall not keep the host busy with it.
	changesPerSecond = 20
	changesAtOnce    = 100
)

// opening is an open address.
type opening struct {
	in    string // the map
	to    netip.Addr
	mark  uint32
	until time.Time
}

// opened are the openings of a space by map and address.
type opened map[string]map[netip.Addr]opening

func newChanges() *rate.Limiter { return rate.NewLimiter(changesPerSecond, changesAtOnce) }

func (o opened) put(x opening) {
	if o[x.in] == nil {
		o[x.in] = map[netip.Addr]opening{}
	}
	o[x.in][x.to] = x
}

func (o opened) len() (n int) {
	for _, in := range o {
		n += len(in)
	}
	return n
}

// keep forgets what was over long ago, and what no rule leads to any more.
func (o opened) keep(rules []outbound, now time.Time) {
	led := map[string]map[uint32]bool{}
	for _, r := range rules {
		if r.name != "" {
			if led[r.namedMap()] == nil {
				led[r.namedMap()] = map[uint32]bool{}
			}
			led[r.namedMap()][r.mark()] = true
		}
	}
	for in, all := range o {
		maps.DeleteFunc(all, func(_ netip.Addr, x opening) bool { return !led[in][x.mark] || x.until.Add(linger).Before(now) })
	}
}

// list gives what is open now, in order.
func (o opened) list(now time.Time) (out []opening) {
	for _, in := range o {
		for _, x := range in {
			if x.until.After(now.Add(time.Second)) {
				out = append(out, x)
			}
		}
	}
	slices.SortFunc(out, func(a, b opening) int { return cmp.Or(cmp.Compare(a.in, b.in), a.to.Compare(b.to)) })
	return out
}

// have says whether all of what the kernel holds was opened here.
func (o opened) have(list []opening) bool {
	return !slices.ContainsFunc(list, func(x opening) bool {
		known, ok := o[x.in][x.to]
		return !ok || known.mark != x.mark || x.until.After(known.until.Add(linger))
	})
}

// mark is how connections that the name led to are known.
func (o outbound) mark() uint32 {
	sum := sha256.Sum256([]byte(o.name))
	return max(binary.BigEndian.Uint32(sum[:]), 1) // 0 is no mark
}

// covers tells whether the rule lets the space ask for a name: by the rule's own
// name, or because connections may go everywhere.
func (o outbound) covers(name string) bool {
	return o.name != "" && egress.MatchName(o.name, name) || o.to.IsValid() && o.to.Bits() == 0
}

// led says whether the rule's name led to where the connection goes.
func (o outbound) led(f flow) bool {
	return o.name != "" && f.mark == o.mark() && o.has(f.protocol, f.port)
}

func (s service) namedMap() string { return namedMap + s.String() }

// named are the services of rules for names.
func named(rules []outbound) []service {
	by := map[service]bool{}
	for _, o := range rules {
		if o.name != "" {
			by[o.service] = true
		}
	}
	return slices.SortedFunc(maps.Keys(by), service.compare)
}

// namedRules open the service of where names led to.
func (s service) namedRules() (out []string) {
	for _, m := range s.matches() {
		out = append(out, m+" ct mark set ip daddr map @"+s.namedMap()+" accept")
	}
	return out
}

func writeNamed(b *strings.Builder, s service, open []opening) {
	fmt.Fprintf(b, "\tmap %s {\n\t\ttype ipv4_addr : mark\n\t\tsize %d\n\t\tflags timeout\n", s.namedMap(), maxOpened)
	var elements []string
	for _, x := range open {
		if x.in == s.namedMap() {
			elements = append(elements, x.element(time.Now()))
		}
	}
	if len(elements) > 0 {
		fmt.Fprintf(b, "\t\telements = { %s }\n", strings.Join(elements, ", "))
	}
	b.WriteString("\t}\n")
}

func (x opening) element(now time.Time) string {
	return fmt.Sprintf("%s timeout %ds : 0x%08x", x.to, int(x.until.Sub(now).Seconds()), x.mark)
}

// openings reads the elements of a map.
func openings(in string, v any) (out []opening) {
	list, _ := v.([]any)
	for _, e := range list {
		pair, _ := e.([]any)
		if len(pair) != 2 {
			continue
		}
		outer, _ := pair[0].(map[string]any)
		inner, _ := outer["elem"].(map[string]any)
		to, _ := netip.ParseAddr(fmt.Sprint(inner["val"])) // no address: nobody opened it
		left := time.Duration(number(inner["expires"])) * time.Second
		out = append(out, opening{in, to, uint32(number(pair[1])), time.Now().Add(left)})
	}
	return out
}

// adoptOpened takes over what an engine before has opened.
func (s *space) adoptOpened(ctx context.Context) error {
	return inside(s.netns(), func() error {
		now, err := list(ctx, spaceTable)
		for _, x := range now.open {
			s.opened.put(x)
		}
		s.opened.keep(s.outbound, time.Now())
		return err
	})
}

// Asks tells whether a space may ask for a name of the outside, in lower case
// and without the final dot.
func (n *Network) Asks(spaceID, name string) (ok bool) {
	err := n.with(spaceID, func(s *space) error {
		ok = slices.ContainsFunc(s.outbound, func(o outbound) bool { return o.covers(name) })
		return nil
	})
	return err == nil && ok
}

// Lead says that a name leads to addresses, and opens these for as long as that
// lasts, as far as the space's rules say. It refuses all of them (Forbidden) if
// one is not for a space to reach: the host's own, another space's, special, or
// of somebody's own network that no rule for a network names.
func (n *Network) Lead(ctx context.Context, spaceID, name string, to []netip.Addr, lasts time.Duration) error {
	host, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("the host's addresses: %w", err)
	}
	return n.with(spaceID, func(s *space) error {
		for _, a := range to {
			if !s.leads(a, host) {
				return fault.New(fault.Forbidden, "%s leads to %s, where nothing of a space may go.", name, a)
			}
		}
		if err := s.open(ctx, name, to, lasts); err != nil {
			return fmt.Errorf("open where %s leads: %w", name, err)
		}
		return nil
	})
}

// leads says whether a name may lead to an address at all.
func (s *space) leads(a netip.Addr, host []net.Addr) bool {
	for _, h := range host {
		if p, ok := h.(*net.IPNet); ok && a == addr(p.IP) {
			return false
		}
	}
	for _, n := range egress.Never(s.pool) {
		if n.Contains(a) {
			return false
		}
	}
	return a.Is4() && (!egress.Inner(a) || slices.ContainsFunc(s.outbound, func(o outbound) bool {
		return o.to.IsValid() && !egress.Vast(o.to) && o.to.Contains(a)
	}))
}

// open opens addresses under all rules that cover the name. One of somebody's
// own network is open as far as a rule for the network says: a name, which is
// somebody else's, adds nothing to it.
func (s *space) open(ctx context.Context, name string, to []netip.Addr, lasts time.Duration) error {
	now := time.Now()
	var news []opening
	done := map[service]bool{}
	for _, o := range s.outbound {
		if o.name == "" || done[o.service] || !egress.MatchName(o.name, name) {
			continue
		}
		done[o.service] = true
		for _, a := range to {
			if have := s.opened[o.namedMap()][a]; !egress.Inner(a) && have.until.Before(now.Add(lasts)) {
				news = append(news, opening{o.namedMap(), a, o.mark(), now.Add(lasts + longer)})
			}
		}
	}
	if len(news) == 0 {
		return nil
	}
	if !s.changes.Allow() {
		return fault.New(fault.Unavailable, "Names of the space %s lead to new addresses too often.", s.id)
	}
	if s.opened.len()+len(news) > maxOpened {
		if s.opened.keep(s.outbound, now); s.opened.len()+len(news) > maxOpened {
			return fault.New(fault.Unavailable, "The space %s has more than %d addresses open.", s.id, maxOpened)
		}
	}
	if err := inside(s.netns(), func() error { return s.load(ctx, news, now) }); err != nil {
		return err
	}
	for _, x := range news {
		s.opened.put(x)
	}
	return nil
}

// load adds elements to their maps in one transaction. What may be there already
// is taken out: older kernels do not change the timeout of what is there. Whether
// it has ended meanwhile is not known; "add" makes the deletion succeed.
func (s *space) load(ctx context.Context, news []opening, now time.Time) error {
	var b strings.Builder
	for _, x := range news {
		have, ok := s.opened[x.in][x.to]
		if !ok {
			have = x
		}
		for _, verb := range []string{"add", "delete"} {
			fmt.Fprintf(&b, "%s element inet %s %s { %s : 0x%08x }\n", verb, spaceTable, x.in, x.to, have.mark)
		}
		fmt.Fprintf(&b, "add element inet %s %s { %s }\n", spaceTable, x.in, x.element(now))
	}
	err := load(ctx, b.String())
	if err == nil {
		return nil
	}
	return errors.Join(err, s.apply(ctx)) // somebody has changed the table
}
