package server

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/egress"
	"github.com/strongroom/strongroom/internal/fault"
)

// buildSpace is the network that builds use. It reaches port 443 of public
// addresses that names lead to, and of others what builds need by the
// configuration; nothing of the installation.
func (d *deploys) buildSpace(ctx context.Context) driver.Space {
	s := driver.Space{ID: buildSpaceID(d.p.installation.ID), Name: "builds", Trusted: []string{}}
	s.Outbound = append(s.Outbound, driver.Outbound{Name: egress.AnyName, Protocol: "tcp", FromPort: 443, ToPort: 443})
	for _, e := range d.needed(ctx) {
		s.Outbound = append(s.Outbound, driver.Outbound{CIDR: e.Addr().String() + "/32", Protocol: "any", FromPort: int(e.Port()), ToPort: int(e.Port())})
	}
	return s
}

// buildSpaceID follows from the installation's id.
func buildSpaceID(installation string) string {
	return uuid.NewSHA1(uuid.MustParse(installation), []byte("builds")).String()
}

// needed are the addresses that builds need wherever they are: the package
// registry, the proxy, and what the operator adds.
func (d *deploys) needed(ctx context.Context) []netip.AddrPort {
	var out []netip.AddrPort
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
