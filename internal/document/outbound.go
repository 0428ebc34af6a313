package document

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/strongroom/strongroom/internal/egress"
	"github.com/strongroom/strongroom/internal/fault"
)

// MaxOutbound is how many outbound rules a space may have: each change of them
// puts all of them on record.
const MaxOutbound = 1000

// OutboundRef is an outbound rule of a space: what may leave it.
type OutboundRef struct {
	Target   string    `json:"target"`   // CIDR, or a name: api.example.org, *.example.org, or * for every name
	Protocol string    `json:"protocol"` // tcp, udp or any
	FromPort int       `json:"from_port"`
	ToPort   int       `json:"to_port"`
	Reason   string    `json:"reason"` // why it was added, if that was said
	By       string    `json:"by"`     // who added it
	At       time.Time `json:"at"`
	Mode     string    `json:"mode"` // which brought it and takes it away again; "" if it was added by itself
}

// Outbound modes of a space: what may leave besides what single rules name.
const (
	OutboundNone       = "none"
	OutboundRegistries = "registries" // packages are fetched from where they usually are
	OutboundOpen       = "open"
)

// Anywhere is the rule that an open space has.
var Anywhere = OutboundRef{Target: "0.0.0.0/0", Protocol: "any", FromPort: 0, ToPort: maxPort, Mode: OutboundOpen}

// OutboundRules are those that a mode brings. They become rules of the space like
// others, so that what is open is on record even if the list here changes.
func OutboundRules(mode string) (out []OutboundRef, err error) {
	switch mode {
	case "", OutboundNone:
	case OutboundOpen:
		out = append(out, Anywhere)
	case OutboundRegistries:
		for _, name := range egress.Registries {
			out = append(out, OutboundRef{Target: name, Protocol: "tcp", FromPort: 443, ToPort: 443, Mode: mode})
		}
	default:
		return nil, fault.New(fault.Invalid, "The outbound mode of a space is none, registries or open, not %.32q.", mode)
	}
	return out, nil
}

// OfMode tells whether a mode brought the rule. Spaces of before there were modes
// have Anywhere without one.
func (o OutboundRef) OfMode() bool { return o.Mode != "" || o.Same(Anywhere) }

const maxPort = 65535

// Same tells whether two rules open the same, whoever made them.
func (o OutboundRef) Same(other OutboundRef) bool {
	return o.Target == other.Target && o.Protocol == other.Protocol && o.FromPort == other.FromPort && o.ToPort == other.ToPort
}

// String is the rule as people write it: 192.0.2.0/24 tcp 443.
func (o OutboundRef) String() string {
	if o.FromPort == o.ToPort {
		return fmt.Sprintf("%s %s %d", o.Target, o.Protocol, o.FromPort)
	}
	return fmt.Sprintf("%s %s %d-%d", o.Target, o.Protocol, o.FromPort, o.ToPort)
}

// Wide tells whether a rule opens so much that nobody can know who is there: a
// vast network, every name, or all below a name where anybody can have one.
func (o OutboundRef) Wide() bool {
	if o.Named() {
		below, wild := strings.CutPrefix(o.Target, "*.")
		suffix, _ := publicsuffix.PublicSuffix(below)
		return o.Target == egress.AnyName || wild && suffix == below
	}
	return Vast(o.Target)
}

// Named tells whether the rule is for a name.
func (o OutboundRef) Named() bool {
	_, err := netip.ParsePrefix(o.Target)
	return err != nil
}

// OutboundMode says what may leave the space besides what single rules name.
func (s *Space) OutboundMode() string {
	if slices.ContainsFunc(s.Outbound, Anywhere.Same) {
		return OutboundOpen
	}
	if slices.ContainsFunc(s.Outbound, func(o OutboundRef) bool { return o.Mode == OutboundRegistries }) {
		return OutboundRegistries
	}
	return OutboundNone
}

// CleanOutbound checks a rule and gives it in its usual form: a lone address as a
// network of one, a name in lower case.
func CleanOutbound(o OutboundRef) (_ OutboundRef, err error) {
	if o.Target, err = outboundTarget(o.Target); err != nil {
		return o, err
	}
	switch o.Protocol {
	case "tcp", "udp":
	case "any":
		if o.FromPort == 0 && o.ToPort == 0 {
			o.ToPort = maxPort
		}
	default:
		return o, fault.New(fault.Invalid, "%.32q is not a protocol: use tcp, udp or any.", o.Protocol)
	}
	least := 1
	if o.Protocol == "any" {
		least = 0
	}
	if o.FromPort < least || o.ToPort > maxPort || o.FromPort > o.ToPort {
		return o, fault.New(fault.Invalid, "The ports %d to %d of %s are not a range from 1 to %d.", o.FromPort, o.ToPort, o.Target, maxPort)
	}
	return o, nil
}

// outboundTarget is a network if it looks like one, and a name otherwise.
func outboundTarget(s string) (string, error) {
	_, err := netip.ParseAddr(strings.TrimSpace(s))
	if err == nil || strings.Contains(s, "/") {
		p, err := outboundNetwork(s)
		return p.String(), err
	}
	return outboundName(s)
}

// outboundName refuses names that the space's own resolver has, and what is below
// a top-level domain: nobody means that.
func outboundName(s string) (string, error) {
	if s == egress.AnyName {
		return s, nil
	}
	clean, err := CleanHostname(s)
	if err != nil {
		return "", fault.New(fault.Invalid, "%s An outbound rule is for a network such as 203.0.113.0/24 or a name such as api.example.org or *.example.org.", fault.Message(err))
	}
	for _, own := range []string{"localspace", "localhost", "arpa"} {
		if strings.HasSuffix(clean, "."+own) {
			return "", fault.New(fault.Invalid, "%s is no name of the outside.", clean)
		}
	}
	return clean, nil
}

// outboundNetwork refuses bits outside of the mask (10.0.0.5/8 is a slip of the
// pen, not the wish to open sixteen million addresses) and what no rule opens.
func outboundNetwork(s string) (netip.Prefix, error) {
	clean, err := CleanCIDR(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	p := netip.MustParsePrefix(clean)
	if given, err := netip.ParsePrefix(s); err == nil && given != given.Masked() {
		return p, fault.New(fault.Invalid, "%s has bits outside of its mask. Did you mean %s?", s, p)
	}
	if !p.Addr().Is4() {
		return p, fault.New(fault.Invalid, "%s: only IPv4 leaves a space.", p)
	}
	if egress.Vast(p) {
		return p, nil // what no rule opens stays closed inside of it
	}
	for _, n := range egress.Never(egress.Pool) {
		if n.Overlaps(p) {
			return p, fault.New(fault.Invalid, "%s overlaps %s, %s: nothing leaves a space for there. Name only networks beside it.", p, n.Prefix, n.What)
		}
	}
	return p, nil
}

// Refusal is a destination outside of a space that an app tried to reach, and
// may not.
type Refusal struct {
	Base
	Space string `json:"space"`
	App   string `json:"app"`  // empty: the platform's own, or what has ended since
	Dyno  string `json:"dyno"` // that tried last
	To    string `json:"to"`   // an address, or a name, of which long labels are left out
	// Protocol is tcp or udp; of a name dns if no rule covers it, and rebind if it
	// led to where nothing of a space may go.
	Protocol string `json:"protocol"`
	Port     int    `json:"port"`
	Count    int64  `json:"count"` // packets or questions, at least
	// Counted is what the engine's own counter said when Count was made.
	Counted int64 `json:"counted"`
}

// Kind is KindRefusal.
func (*Refusal) Kind() Kind { return KindRefusal }

// Keys finds refusals by space.
func (r *Refusal) Keys() []Key { return []Key{{"space", r.Space}} }

// Within is the space.
func (r *Refusal) Within() string { return r.Space }

// SameWay tells whether two refusals are of one app and one destination.
func (r *Refusal) SameWay(o *Refusal) bool {
	return r.App == o.App && r.To == o.To && r.Protocol == o.Protocol && r.Port == o.Port
}
