package network

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

func TestSpaceCheck(t *testing.T) {
	ok := Space{ID: "7c1d0b2e-6f0e-4a3c-9f0e-2d6f3b1a9c55", Index: maxSpaces - 1}
	out := func(cidr, protocol string, from, to int) Space {
		s := ok
		s.Outbound = []driver.Outbound{{CIDR: cidr, Protocol: protocol, FromPort: from, ToPort: to}}
		return s
	}
	cases := map[string]struct {
		space Space
		kind  fault.Kind
	}{
		"plain":                     {ok, ""},
		"no id":                     {Space{}, fault.Invalid},
		"id with a slash":           {Space{ID: "a/b"}, fault.Invalid},
		"id of dots":                {Space{ID: ".."}, fault.Invalid},
		"id with a newline":         {Space{ID: "a\nb"}, fault.Invalid},
		"long id":                   {Space{ID: strings.Repeat("a", 65)}, fault.Invalid},
		"negative index":            {Space{ID: "a", Index: -1}, fault.Invalid},
		"index too large":           {Space{ID: "a", Index: maxSpaces}, fault.Invalid},
		"trusted":                   {Space{ID: "a", Trusted: []string{"192.0.2.0/24", "2001:db8::/32"}}, ""},
		"trusted is no CIDR":        {Space{ID: "a", Trusted: []string{"192.0.2.1"}}, fault.Invalid},
		"tcp":                       {out("192.0.2.0/24", "tcp", 443, 443), ""},
		"any port of any":           {out("0.0.0.0/0", "any", 0, 0), ""},
		"tcp without ports":         {out("0.0.0.0/0", "tcp", 0, 0), fault.Invalid},
		"icmp":                      {out("0.0.0.0/0", "icmp", 1, 2), fault.Invalid},
		"no protocol":               {out("0.0.0.0/0", "", 1, 2), fault.Invalid},
		"ports backwards":           {out("0.0.0.0/0", "tcp", 2, 1), fault.Invalid},
		"port too large":            {out("0.0.0.0/0", "tcp", 1, 65536), fault.Invalid},
		"negative port":             {out("0.0.0.0/0", "tcp", -1, 5), fault.Invalid},
		"IPv6":                      {out("::/0", "tcp", 1, 2), fault.Invalid},
		"IPv4 in IPv6":              {out("::ffff:192.0.2.0/120", "tcp", 1, 2), fault.Invalid},
		"bits outside the mask":     {out("192.0.2.1/24", "tcp", 1, 2), fault.Invalid},
		"metadata":                  {out("169.254.169.254/32", "tcp", 80, 80), fault.Invalid},
		"loopback":                  {out("127.0.0.0/8", "tcp", 80, 80), fault.Invalid},
		"other spaces":              {out("100.64.16.0/20", "tcp", 80, 80), fault.Invalid},
		"contains other spaces too": {out("100.0.0.0/8", "tcp", 80, 80), ""},
		"too many":                  {Space{ID: "a", Outbound: make([]driver.Outbound, maxRules+1)}, fault.TooLarge},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := c.space.check(defaultPool); fault.Of(err) != c.kind || (err == nil) != (c.kind == "") {
				t.Errorf("error %v, want kind %q", err, c.kind)
			}
		})
	}
}

func TestConfigCheck(t *testing.T) {
	ok := Config{Dir: "/run/x", Name: "sr", EdgeUID: 64002}
	change := func(f func(*Config)) Config { c := ok; f(&c); return c }
	cases := map[string]struct {
		config Config
		ok     bool
	}{
		"plain":        {ok, true},
		"other pool":   {change(func(c *Config) { c.Pool = netip.MustParsePrefix("10.64.0.0/10") }), true},
		"no dir":       {change(func(c *Config) { c.Dir = "" }), false},
		"no name":      {change(func(c *Config) { c.Name = "" }), false},
		"long name":    {change(func(c *Config) { c.Name = "abcdefghi" }), false},
		"wild name":    {change(func(c *Config) { c.Name = "a*" }), false},
		"root is edge": {change(func(c *Config) { c.EdgeUID = 0 }), false},
		"small pool":   {change(func(c *Config) { c.Pool = netip.MustParsePrefix("10.0.0.0/16") }), false},
		"crooked pool": {change(func(c *Config) { c.Pool = netip.MustParsePrefix("10.0.0.1/10") }), false},
		"IPv6 pool":    {change(func(c *Config) { c.Pool = netip.MustParsePrefix("fd00::/10") }), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := c.config.check()
			if (err == nil) != c.ok {
				t.Errorf("error %v", err)
			}
			if err == nil && !got.Pool.IsValid() {
				t.Error("no pool")
			}
		})
	}
}

func TestCheckPrivate(t *testing.T) {
	in, out := addrs("100.64.0.2", "100.64.0.3"), addrs("100.64.16.2")[0]
	cases := map[string]struct {
		private []Private
		ok      bool
	}{
		"none":           {nil, true},
		"one":            {[]Private{{in[0], in[1:]}}, true},
		"nobody":         {[]Private{{Address: in[0]}}, true},
		"foreign":        {[]Private{{Address: out}}, false},
		"foreign peer":   {[]Private{{in[0], []netip.Addr{out}}}, false},
		"named twice":    {[]Private{{Address: in[0]}, {Address: in[0]}}, false},
		"invalid":        {[]Private{{}}, false},
		"mapped to IPv6": {[]Private{{Address: netip.MustParseAddr("::ffff:100.64.0.2")}}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if err := checkPrivate(subnet(defaultPool, 0), c.private); (err == nil) != c.ok {
				t.Errorf("error %v", err)
			}
		})
	}
}
