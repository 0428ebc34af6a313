package network

import (
	"net/netip"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/egress"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pattern"
)

var (
	// Ids become file names and aliases of links.
	validID   = pattern.New(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)
	validName = pattern.New(`^[a-z][a-z0-9]{0,7}$`)
)

// maxRules bounds what one space may ask for. So many are put in force within a
// second, since networks are elements of sets (outbound.go).
const maxRules = 16384

// outbound is a checked driver.Outbound.
type outbound struct {
	to   netip.Prefix // no prefix if it is for a name
	name string       // "" if it is for a network
	service
}

// service is what an outbound rule opens of where it leads.
type service struct {
	protocol string // "tcp", "udp" or "any"
	from, up uint16 // ports, inclusive
}

// everything says that the service is not bound to ports.
func (s service) everything() bool {
	return s.protocol == "any" && s.from == 0 && s.up == 65535
}

// has says whether connections by that protocol to that port are part of it.
func (s service) has(protocol uint8, port uint16) bool {
	switch protocol {
	case protoTCP:
		return s.protocol != "udp" && s.from <= port && port <= s.up
	case protoUDP:
		return s.protocol != "tcp" && s.from <= port && port <= s.up
	case protoICMP:
		return s.everything()
	}
	return false
}

// admits says whether a new connection may leave under this rule for a network.
func (o outbound) admits(to netip.Addr, protocol uint8, port uint16) bool {
	return o.to.Contains(to) && o.has(protocol, port)
}

const (
	protoICMP = 1
	protoTCP  = 6
	protoUDP  = 17
)

func (c Config) check() (Config, error) {
	if c.Pool == (netip.Prefix{}) {
		c.Pool = defaultPool
	}
	switch {
	case c.Dir == "":
		return c, fault.New(fault.Invalid, "The network needs a directory.")
	case !validName.MatchString(c.Name):
		return c, fault.New(fault.Invalid, "The network's name %q must be 1 to 8 lower-case letters and digits.", c.Name)
	case c.EdgeUID <= 0:
		return c, fault.New(fault.Invalid, "The edge needs a uid of its own, not %d.", c.EdgeUID)
	case !c.Pool.Addr().Is4() || c.Pool.Bits() != poolBits || c.Pool.Masked() != c.Pool:
		return c, fault.New(fault.Invalid, "The pool %s must be an IPv4 /%d.", c.Pool, poolBits)
	}
	return c, nil
}

// check validates the space and returns its outbound rules.
func (s Space) check(pool netip.Prefix) ([]outbound, error) {
	if !validID.MatchString(s.ID) {
		return nil, fault.New(fault.Invalid, "%q can't be the id of a space.", s.ID)
	}
	if s.Index < 0 || s.Index >= maxSpaces {
		return nil, fault.New(fault.Invalid, "The index of a space must be from 0 to %d, not %d.", maxSpaces-1, s.Index)
	}
	if len(s.Outbound) > maxRules || len(s.Trusted) > maxRules {
		return nil, fault.New(fault.TooLarge, "A space can have at most %d rules of each kind.", maxRules)
	}
	for _, cidr := range s.Trusted {
		if _, err := parseCIDR(cidr); err != nil {
			return nil, err
		}
	}
	rules := make([]outbound, 0, len(s.Outbound))
	for _, o := range s.Outbound {
		rule, err := checkOutbound(pool, o)
		if err != nil {
			return nil, err
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

func checkOutbound(pool netip.Prefix, o driver.Outbound) (outbound, error) {
	s, err := checkService(o)
	if err != nil {
		return outbound{}, err
	}
	if o.Name != "" {
		if o.CIDR != "" || !egress.ValidName(o.Name) {
			return outbound{}, fault.New(fault.Invalid, "%q can't be the name of an outbound rule.", o.Name)
		}
		return outbound{name: o.Name, service: s}, nil
	}
	to, err := parseCIDR(o.CIDR)
	if err != nil {
		return outbound{}, err
	}
	if !to.Addr().Is4() {
		return outbound{}, fault.New(fault.Invalid, "%s: outbound rules are IPv4 only.", o.CIDR)
	}
	for _, n := range egress.Never(pool) {
		if n.Bits() <= to.Bits() && n.Contains(to.Addr()) {
			return outbound{}, fault.New(fault.Invalid, "%s can't be opened: nothing leaves a space for %s.", o.CIDR, n.Prefix)
		}
	}
	return outbound{to: to, service: s}, nil
}

func checkService(o driver.Outbound) (service, error) {
	switch o.Protocol {
	case "tcp", "udp":
		if o.FromPort == 0 && o.ToPort == 0 {
			return service{}, fault.New(fault.Invalid, "An outbound %s rule needs ports.", o.Protocol)
		}
	case "any":
		if o.FromPort == 0 && o.ToPort == 0 {
			o.ToPort = 65535
		}
	default:
		return service{}, fault.New(fault.Invalid, "%q is not a protocol: use tcp, udp or any.", o.Protocol)
	}
	if o.FromPort < 0 || o.FromPort > o.ToPort || o.ToPort > 65535 {
		return service{}, fault.New(fault.Invalid, "Ports %d to %d are not a range.", o.FromPort, o.ToPort)
	}
	return service{o.Protocol, uint16(o.FromPort), uint16(o.ToPort)}, nil
}

// parseCIDR refuses bits outside the mask: 10.0.0.5/8 is more often a slip of
// the pen than the wish to open sixteen million addresses.
func parseCIDR(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fault.New(fault.Invalid, "%q is not a CIDR.", s)
	}
	if p.Masked() != p {
		return p, fault.New(fault.Invalid, "%s has bits outside its mask; did you mean %s?", s, p.Masked())
	}
	return p, nil
}

// checkPrivate validates a policy for endpoints of the subnet.
func checkPrivate(subnet netip.Prefix, private []Private) error {
	seen := map[netip.Addr]bool{}
	for _, p := range private {
		if !subnet.Contains(p.Address) {
			return fault.New(fault.Invalid, "The private address %s is not in the space's %s.", p.Address, subnet)
		}
		if seen[p.Address] {
			return fault.New(fault.Invalid, "The private address %s is named twice.", p.Address)
		}
		seen[p.Address] = true
		for _, from := range p.From {
			if !subnet.Contains(from) {
				return fault.New(fault.Invalid, "The peer %s of %s is not in the space's %s.", from, p.Address, subnet)
			}
		}
	}
	return nil
}
