package document

import (
	"net/netip"
	"regexp"
	"strings"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/fault"
)

// NewID makes an id: a UUIDv7, so that ids sort by when they were made.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// NewScope makes the id of a space or a team: a UUIDv4, because scope ids are
// in headers that strangers see and shall not tell when the scope was made.
func NewScope() string { return uuid.NewString() }

var (
	nameRule   = regexp.MustCompile(`^[a-z][a-z0-9-]{1,28}[a-z0-9]$`)
	configRule = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`)
	typeRule   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`)
	labelRule  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	emailRule  = regexp.MustCompile(`^[^\s@<>"',;:\\()\[\]]{1,64}@[a-z0-9.-]{1,190}$`)
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
		return fault.New(fault.Invalid, "%.64q is not a process type: use letters, digits, dashes and underscores.", name)
	}
	return nil
}

// CleanEmail checks an address and gives it in lower case.
func CleanEmail(email string) (string, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	if !emailRule.MatchString(email) {
		return "", fault.New(fault.Invalid, "%.80q is not an email address.", email)
	}
	return email, nil
}

// CleanHostname checks a host name (RFC 1123, at least two labels; the first
// may be "*") and gives it in lower case without a final dot.
func CleanHostname(host string) (string, error) {
	host = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(host), "."))
	labels := strings.Split(host, ".")
	if len(host) > 253 || len(labels) < 2 {
		return "", fault.New(fault.Invalid, "%.80q is not a fully qualified host name.", host)
	}
	for i, l := range labels {
		if i == 0 && l == "*" && len(labels) > 2 {
			continue
		}
		if !labelRule.MatchString(l) {
			return "", fault.New(fault.Invalid, "%.80q is not a host name: %.63q is not a valid label.", host, l)
		}
	}
	return host, nil
}

// CleanCIDR checks a network and gives it in its masked form. A lone address
// is a network of one.
func CleanCIDR(s string) (string, error) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()).String(), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return "", fault.New(fault.Invalid, "%.64q is not a network in CIDR notation, such as 203.0.113.0/24.", s)
	}
	return p.Masked().String(), nil
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
