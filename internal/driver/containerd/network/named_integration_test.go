//go:build integration

package network

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/names"
	"github.com/strongroom/strongroom/internal/router/resolver"
)

// authority is a DNS server on the host that knows some names, and remembers
// what it was asked.
type authority struct {
	address string
	zone    map[string]string // addresses by name
	ttl     uint32

	mu    sync.Mutex
	asked []string
}

func authoritative(t *testing.T, ttl uint32, zone map[string]string) *authority {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	a := &authority{address: conn.LocalAddr().String(), zone: zone, ttl: ttl}
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			conn.WriteTo(a.answer(t, b[:n]), from)
		}
	}()
	return a
}

func (a *authority) answer(t *testing.T, query []byte) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		t.Error(err)
		return nil
	}
	q := m.Questions[0]
	name := strings.TrimSuffix(q.Name.String(), ".")
	a.mu.Lock()
	a.asked = append(a.asked, name)
	a.mu.Unlock()
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	if to, ok := a.zone[name]; !ok {
		m.RCode = dnsmessage.RCodeNameError
	} else if q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: a.ttl},
			Body:   &dnsmessage.AResource{A: netip.MustParseAddr(to).As4()},
		}}
	}
	packed, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return packed
}

// questions gives what was asked since it was called last.
func (a *authority) questions() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.asked
	a.asked = nil
	return out
}

type keeper struct {
	n  *Network
	id string
}

func (k keeper) Asks(name string) bool { return k.n.Asks(k.id, name) }

func (k keeper) Lead(ctx context.Context, name string, to []netip.Addr, lasts time.Duration) error {
	return k.n.Lead(ctx, k.id, name, to, lasts)
}

// resolverHelper is the part of a space's router that answers names, until its
// input ends.
func resolverHelper() int {
	packet, err := net.ListenPacket("udp4", at(gateway, 53))
	if err != nil {
		return 1
	}
	stream, err := net.Listen("tcp4", at(gateway, 53))
	if err != nil {
		return 1
	}
	zone, err := resolver.NewZone([]resolver.Name{{Name: "web", Addresses: []string{"100.64.0.2"}}}, resolver.Outside)
	if err != nil {
		return 1
	}
	own := resolver.New(slog.New(slog.DiscardHandler))
	own.Update(zone)
	go own.ServePacket(context.Background(), packet)
	go own.ServeStream(context.Background(), stream)
	os.Stdout.WriteString("ready\n")
	io.Copy(io.Discard, os.Stdin)
	return 0
}

// resolve runs the resolver of a space, and the engine's server of names.
func (r *rig) resolve(space SpaceNet, id string, cfg names.Config) *names.Server {
	t := r.t
	t.Helper()
	var outside net.PacketConn
	if err := inside(space.NetNS, func() (err error) {
		outside, err = net.ListenPacket("udp4", resolver.Outside)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	server := names.New(cfg, keeper{r.Network, id}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, outside) }()

	own := exec.Command("nsenter", "--net="+space.NetNS, "/proc/self/exe")
	own.Path, own.Args[2] = must(exec.LookPath("nsenter")), must(os.Executable())
	own.Env = append(os.Environ(), "NETWORK_TEST_RESOLVER=1")
	stdin, stdout := must(own.StdinPipe()), must(own.StdoutPipe())
	if err := own.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := own.Wait(); err != nil {
			t.Errorf("the resolver: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if _, err := io.ReadFull(stdout, make([]byte, len("ready\n"))); err != nil {
		t.Fatalf("the resolver does not start: %v", err)
	}
	return server
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// dig asks the space's resolver from an endpoint.
func dig(t *testing.T, netns string, args ...string) string {
	t.Helper()
	args = append([]string{"--net=" + netns, "dig", "@" + gateway.String(), "+tries=1", "+time=8"}, args...)
	return string(output(t, "nsenter", args...))
}

// TestNames is egress by name, from what real dig asks to what the kernel lets
// out, and what leaves the host for it.
func TestNames(t *testing.T) {
	r := newRig(t)
	base := fmt.Sprintf("198.51.%d", 100+r.host.state.Block%100)
	api, other := base+".41", base+".42"
	world := internet(t, r.cfg.Name, api, other)
	echo(t, world, "0.0.0.0:443")
	echo(t, world, "0.0.0.0:8443")
	// Somebody else's names lead wherever that one likes.
	zone := map[string]string{
		"api.example.org": api, "deep.down.example.net": other, "evil.org": other,
		"private.example.net": "10.1.2.3", "loopback.example.net": "127.0.0.1", "cloud.example.net": "169.254.169.254",
		"space.example.net": "100.64.16.2", "uplink.example.net": "100.96.0.1", "nowhere.example.net": "0.0.0.0",
		"this.example.net": hostAddress(t), "listed.example.net": "10.9.9.9",
	}
	up := authoritative(t, 1, zone)
	rules := []driver.Outbound{
		{Name: "api.example.org", Protocol: "tcp", FromPort: 443, ToPort: 443},
		{Name: "*.example.net", Protocol: "tcp", FromPort: 443, ToPort: 443},
		{CIDR: "10.9.9.0/24", Protocol: "tcp", FromPort: 5432, ToPort: 5432},
	}
	one := r.space("one", 0, rules...)
	a := r.attach("one", "a")
	server := r.resolve(one, "one", names.Config{Upstreams: []string{up.address}, Least: time.Second})
	answers := func(name string, want ...string) {
		t.Helper()
		if got := strings.Fields(dig(t, a.NetNS, "+short", name, "A")); !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}

	answers("web.localspace", "100.64.0.2")
	fails(t, a.NetNS, "tcp4", api+":443") // nobody has asked yet
	answers("API.example.org", api)
	works(t, a.NetNS, "tcp4", api+":443")
	fails(t, a.NetNS, "tcp4", api+":8443")
	fails(t, a.NetNS, "udp4", api+":443")
	fails(t, a.NetNS, "tcp4", other+":443")
	answers("deep.down.example.net", other)
	works(t, a.NetNS, "tcp4", other+":443")
	if !r.state("one").InForce {
		t.Error("what names led to is taken for a change of the rules")
	}
	if got := up.questions(); !slices.Equal(got, []string{"api.example.org", "deep.down.example.net"}) {
		t.Errorf("asked outside: %q", got)
	}

	// What no rule covers, or leads inside, has no answer, and says why. Of the
	// first nothing leaves the host.
	answers("listed.example.net", "10.9.9.9") // a rule for the network names it
	fails(t, a.NetNS, "tcp4", "10.9.9.9:443")
	for name := range zone {
		if strings.HasSuffix(name, ".example.net") && !strings.HasPrefix(name, "deep.") && !strings.HasPrefix(name, "listed.") {
			if out := dig(t, a.NetNS, name); !strings.Contains(out, "status: REFUSED") || !strings.Contains(out, "EDE: 15 (Blocked): (the name leads to where nothing of this space may go)") {
				t.Errorf("%s leads to %s:\n%s", name, zone[name], out)
			}
		}
	}
	up.questions()
	for _, question := range [][]string{{"evil.org"}, {"c2VjcmV0.evil.org", "TXT"}, {"+tcp", "example.net"}, {"-x", "8.8.8.8"}, {"org", "NS"}, {"deep.down.example.net", "AAAA"}, {"api.example.org", "HTTPS"}} {
		out := dig(t, a.NetNS, question...)
		if allowed := question[0] == "deep.down.example.net" || question[0] == "api.example.org"; !allowed &&
			(!strings.Contains(out, "status: REFUSED") || !strings.Contains(out, "no outbound rule of this space covers the name")) {
			t.Errorf("%v:\n%s", question, out)
		}
	}
	if got := up.questions(); len(got) > 0 {
		t.Errorf("asked outside: %q", got)
	}
	fails(t, a.NetNS, "udp4", up.address) // nor does a dyno reach it
	refused := map[string]string{}
	for _, x := range server.Refused() {
		if x.From != a.Address {
			t.Errorf("refused to %v, want %v", x.From, a.Address)
		}
		refused[x.Name] = x.Why
	}
	if refused["evil.org"] != names.Unlisted || refused["private.example.net"] != names.Inside || refused["api.example.org"] != "" {
		t.Errorf("refused: %v", refused)
	}

	// A connection outlives the answer, which ends a little after its second.
	conn, err := dialFrom(a.NetNS, "tcp4", "", api+":443")
	if err != nil {
		t.Fatalf("while the answer lasts: %v", err)
	}
	defer conn.Close()
	deadline := time.Now().Add(3 * longer)
	for try(a.NetNS, "tcp4", api+":443") == nil {
		if time.Now().After(deadline) {
			t.Fatal("an address is open long after its answer has ended")
		}
		time.Sleep(200 * time.Millisecond)
	}
	r.policy("one", Private{Address: a.Address}) // the rules are loaded anew
	if err := ping(conn); err != nil {
		t.Errorf("a connection did not outlive the answer: %v", err)
	}
	// What is open outlives a change of the rules, and another engine; a rule's
	// end closes all of it.
	answers("api.example.org", api)
	r.space("one", 0, append(slices.Clone(rules), driver.Outbound{CIDR: base + ".99/32", Protocol: "tcp", FromPort: 1, ToPort: 1})...)
	works(t, a.NetNS, "tcp4", api+":443")
	r.space("one", 0, rules[1:]...)
	fails(t, a.NetNS, "tcp4", api+":443")
	if ping(conn) == nil {
		t.Error("a connection outlives the rule for the name that led to it")
	}
	answers("api.example.org")
	answers("deep.down.example.net", other)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.open()
	works(t, a.NetNS, "tcp4", other+":443")
	if !r.state("one").InForce {
		t.Error("another engine takes what names led to for a change of the rules")
	}
	// Whoever opens more is found out.
	inNS(t, one.NetNS, func(*netlink.Handle) error {
		return load(t.Context(), fmt.Sprintf("add element inet %s named_tcp_443_443 { %s : 0x1 }\n", spaceTable, api))
	})
	if r.state("one").InForce {
		t.Error("an address that somebody else opened is not seen")
	}
	r.space("one", 0, rules[1:]...)
	fails(t, a.NetNS, "tcp4", api+":443")
}

// hostAddress is one of the host's own that is no loopback.
func hostAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if p, ok := a.(*net.IPNet); ok && p.IP.To4() != nil && !p.IP.IsLoopback() {
			return p.IP.String()
		}
	}
	t.Fatal("the host has no address but its loopback")
	return ""
}

// TestManyNames: what names lead to is bounded.
func TestManyNames(t *testing.T) {
	r := newRig(t)
	r.space("one", 0, driver.Outbound{Name: "*", Protocol: "tcp", FromPort: 443, ToPort: 443})
	lead := func(i, addresses int) error {
		var to []netip.Addr
		for k := range addresses {
			to = append(to, netip.AddrFrom4([4]byte{203, 0, byte(i), byte(k)}))
		}
		return r.Lead(t.Context(), "one", fmt.Sprintf("n%d.example.org", i), to, time.Minute)
	}
	const each = 256
	for i := range maxOpened / each {
		if err := lead(i, each); err != nil {
			t.Fatal(err)
		}
	}
	if err := lead(maxOpened/each, 1); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "addresses open") {
		t.Errorf("one more: %v, want Unavailable", err)
	}
	if !r.state("one").InForce {
		t.Error("not in force")
	}
	// Nor do names change what is open all the time.
	r.space("one", 0)
	r.space("one", 0, driver.Outbound{Name: "*", Protocol: "tcp", FromPort: 443, ToPort: 443})
	var err error
	for i := 0; err == nil && i < 10*changesAtOnce; i++ {
		err = lead(i%256, 1+i/256)
	}
	if fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "too often") {
		t.Errorf("names that lead elsewhere on and on: %v, want Unavailable", err)
	}
	if err := lead(0, 1); err != nil {
		t.Errorf("what is open already: %v", err)
	}
}
