package server

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// private are the ranges of networks that are somebody's own (RFC 1918, RFC
// 6598): the operator's, where nothing expects code that anybody may push.
var private = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
}

// public is all of IPv4 but the private ranges: the outbound rules of a space
// only allow.
func public() []netip.Prefix {
	var out []netip.Prefix
	var split func(netip.Prefix)
	split = func(p netip.Prefix) {
		hit := false
		for _, x := range private {
			if x.Contains(p.Addr()) && x.Bits() <= p.Bits() {
				return
			}
			hit = hit || x.Overlaps(p)
		}
		if !hit {
			out = append(out, p)
			return
		}
		half := netip.PrefixFrom(p.Addr(), p.Bits()+1)
		b := p.Addr().As4()
		b[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
		split(half)
		split(netip.PrefixFrom(netip.AddrFrom4(b), p.Bits()+1))
	}
	split(netip.MustParsePrefix("0.0.0.0/0"))
	return out
}

// buildSpace is the network that builds use. It reaches ports 443 and 53 of
// public addresses, and of private ones what builds need by the configuration;
// nothing of the installation.
func (d *deploys) buildSpace(ctx context.Context) driver.Space {
	s := driver.Space{ID: buildSpaceID(d.p.installation.ID), Name: "builds", Trusted: []string{}}
	for _, p := range public() {
		s.Outbound = append(
			s.Outbound, driver.Outbound{CIDR: p.String(), Protocol: "tcp", FromPort: 443, ToPort: 443},
			driver.Outbound{CIDR: p.String(), Protocol: "udp", FromPort: 53, ToPort: 53},
		)
	}
	for _, e := range d.needed(ctx) {
		s.Outbound = append(s.Outbound, driver.Outbound{CIDR: e.Addr().String() + "/32", Protocol: "any", FromPort: int(e.Port()), ToPort: int(e.Port())})
	}
	return s
}

// buildSpaceID follows from the installation's id.
func buildSpaceID(installation string) string {
	return uuid.NewSHA1(uuid.MustParse(installation), []byte("builds")).String()
}

// needed are the addresses that builds need wherever they are: the host's
// resolvers, the package registry, the proxy, and what the operator adds.
func (d *deploys) needed(ctx context.Context) []netip.AddrPort {
	var out []netip.AddrPort
	for _, a := range d.resolvers("/etc/resolv.conf") {
		out = append(out, netip.AddrPortFrom(a, 53))
	}
	endpoints, err := d.p.cfg.Build.endpoints()
	if err != nil { // refused when the server started
		d.p.log.Error("the builds' network", "error", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, e := range endpoints {
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", e.host)
		if err != nil {
			d.p.log.Warn("builds may not reach what they need", "host", e.host, "error", err)
		}
		for _, a := range found {
			out = append(out, netip.AddrPortFrom(a.Unmap(), e.port))
		}
	}
	slices.SortFunc(out, netip.AddrPort.Compare)
	return slices.Compact(out)
}

// resolvers are the DNS servers that a file such as resolv.conf names.
func (*deploys) resolvers(file string) []netip.Addr {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for line := range strings.Lines(string(raw)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil && a.Is4() && !a.IsLoopback() {
			out = append(out, a)
		}
	}
	return out
}

// endpoint is a host and port that builds connect to.
type endpoint struct {
	host string
	port uint16
}

// endpoints are those that the settings name.
func (c BuildConfig) endpoints() ([]endpoint, error) {
	var out []endpoint
	for name, address := range map[string]string{"registry": c.Registry, "proxy": c.Proxy} {
		if address == "" {
			continue
		}
		if !strings.Contains(address, "://") {
			address = "http://" + address
		}
		u, err := url.Parse(address)
		if err != nil || u.Hostname() == "" {
			return nil, fault.New(fault.Invalid, "build.%s: not an address such as https://registry.example.org/", name)
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80"}[u.Scheme]
		}
		if port == "" {
			port = "443"
		}
		e, err := newEndpoint("build."+name, u.Hostname(), port)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	for _, a := range c.Allow {
		host, port, err := net.SplitHostPort(a)
		if err != nil {
			return nil, fault.New(fault.Invalid, "build.allow: %q is not a host and port such as git.example.org:443", a)
		}
		e, err := newEndpoint("build.allow", host, port)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func newEndpoint(setting, host, port string) (endpoint, error) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || host == "" {
		return endpoint{}, fault.New(fault.Invalid, "%s: not a host and port such as git.example.org:443", setting)
	}
	return endpoint{host, uint16(n)}, nil
}
