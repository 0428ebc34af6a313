package document

import (
	"net/netip"
	"strings"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/egress"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pattern"
)

// NewID makes an id: a UUIDv7, so that ids sort by when they were made.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// NewScope makes the id of a space or a team: a UUIDv4, because scope ids are
// in headers that strangers see and shall not tell when the scope was made.
func NewScope() string { return uuid.NewString() }

var (
	nameRule    = pattern.New(`^[a-z][a-z0-9-]{1,28}[a-z0-9]$`)
	configRule  = pattern.New(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`)
	typeRule    = pattern.New(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)
	labelRule   = pattern.New(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	mailboxRule = pattern.New(`^[a-z0-9.!#$%&*+/=?^_{|}~-]{1,64}$`)
)

// CheckName checks the name of an app, space, team or add-on: a DNS label
// (RFC 1123) of 3 to 30 characters that begins with a letter, as Heroku asks.
func CheckName(what, name string) error {
	if !nameRule.MatchString(name) {
		return fault.New(fault.Invalid, "Name of the %s must start with a letter, end with a letter or digit, have 3 to 30 characters and hold only lower-case letters, digits, and dashes.", what)
	}
	return nil
}

// Bounds of config vars.
const (
	MaxConfigVars  = 500
	MaxConfigValue = 64 << 10 // bytes
)

// CheckConfigName checks the name of a config var.
func CheckConfigName(name string) error {
	if !configRule.MatchString(name) {
		return fault.New(fault.Invalid, "Config var names hold letters, digits and underscores and do not begin with a digit: %.64q is none.", name)
	}
	return nil
}

// CheckProcessType checks the name of a process type.
func CheckProcessType(name string) error {
	if !typeRule.MatchString(name) {
		return fault.New(fault.Invalid, "%.64q is not a process type: begin with a letter or digit, and use letters, digits, dashes and underscores.", name)
	}
	return nil
}

// CleanEmail checks an address and gives it in lower case. It is shown on
// terminals and pages, so it holds plain ASCII only.
func CleanEmail(email string) (string, error) {
	clean := strings.Map(lower, strings.TrimSpace(email))
	mailbox, domain, ok := strings.Cut(clean, "@")
	_, good := badLabel(domain)
	if !ok || !good || !mailboxRule.MatchString(mailbox) || len(domain) > 190 {
		return "", fault.New(fault.Invalid, "%.80q is not an email address.", email)
	}
	return clean, nil
}

// lower is for ASCII only: other letters have lower forms that are ASCII, and
// would become somebody else's address.
func lower(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// badLabel gives the first label of a domain name that is none, or good.
func badLabel(name string) (label string, good bool) {
	for l := range strings.SplitSeq(name, ".") {
		if !labelRule.MatchString(l) {
			return l, false
		}
	}
	return "", true
}

// CleanHostname checks a host name (RFC 1123, at least two labels, of which the
// last is no number; the first may be "*") and gives it in lower case without a
// final dot.
func CleanHostname(host string) (string, error) {
	clean := strings.Map(lower, strings.TrimSuffix(strings.TrimSpace(host), "."))
	name := strings.TrimPrefix(clean, "*.")
	labels := strings.Split(name, ".")
	last := labels[len(labels)-1]
	if len(clean) > 253 || len(labels) < 2 || strings.Trim(last, "0123456789") == "" {
		return "", fault.New(fault.Invalid, "%.80q is not a fully qualified host name.", host)
	}
	if l, good := badLabel(name); !good {
		return "", fault.New(fault.Invalid, "%.80q is not a host name: %.63q is not a valid label.", host, l)
	}
	return clean, nil
}

// CleanCIDR checks a network and gives it in its masked form. A lone address
// is a network of one. IPv4 in the clothes of IPv6 is given as IPv4, as which it
// is matched.
func CleanCIDR(s string) (string, error) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()).String(), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return "", fault.New(fault.Invalid, "%.64q is not a network in CIDR notation, such as 203.0.113.0/24.", s)
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked().String(), nil
}

// nowhere lists the networks from which nobody can connect: those that mean no
// host, and those of the spaces themselves, which meet no edge.
var nowhere = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"),
}

// CleanSource checks a network that is to be let in. Stricter than CleanCIDR, it
// refuses set host bits, which open more than whoever wrote them had in mind,
// and networks from which nobody can come.
func CleanSource(s string) (string, error) {
	clean, err := CleanCIDR(s)
	if err != nil {
		return "", err
	}
	p := netip.MustParsePrefix(clean)
	if given, err := netip.ParsePrefix(strings.TrimSpace(s)); err == nil && given.Masked() != given {
		a := given.Addr().Unmap()
		return "", fault.New(fault.Invalid, "%s is more than the one address in it: write %s for the network, or %s/%d for the address.", given, p, a, a.BitLen())
	}
	for _, n := range nowhere {
		if n.Bits() <= p.Bits() && n.Overlaps(p) {
			return "", fault.New(fault.Invalid, "Nobody can connect from %s: it lies in %s, which is reserved or belongs to the spaces themselves.", p, n)
		}
	}
	return clean, nil
}

// Vast tells whether a network is too large for anybody to know who is in it.
func Vast(cidr string) bool {
	p, err := netip.ParsePrefix(cidr)
	return err != nil || egress.Vast(p)
}

// Size of a dyno.
type Size struct {
	Name        string
	MemoryBytes int64
	CPUMillis   int64
	PIDs        int64
}

// Sizes that dynos can have, with Heroku's names.
var Sizes = []Size{
	{"Private-S", 1 << 30, 1000, 512},
	{"Private-M", 5 << 29, 2000, 1024},
	{"Private-L", 14 << 30, 4000, 4096},
	{"Shield-S", 1 << 30, 1000, 512},
	{"Shield-M", 5 << 29, 2000, 1024},
	{"Shield-L", 14 << 30, 4000, 4096},
}

// SizeByName finds a dyno size, whatever its case. "" is the smallest.
func SizeByName(name string) (Size, error) {
	if name == "" {
		return Sizes[0], nil
	}
	for _, s := range Sizes {
		if strings.EqualFold(s.Name, name) {
			return s, nil
		}
	}
	return Size{}, fault.New(fault.Invalid, "No such dyno size as %.32q. Sizes are Private-S, Private-M, Private-L, Shield-S, Shield-M and Shield-L.", name)
}
