//go:build integration

package network

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/strongroom/strongroom/internal/driver"
)

// TestMain is also the process that runs under the edge's uid, and a space's
// resolver.
func TestMain(m *testing.M) {
	if os.Getenv("NETWORK_TEST_RESOLVER") != "" {
		os.Exit(resolverHelper())
	}
	if os.Getenv("NETWORK_TEST_EDGE") != "" {
		os.Exit(edgeHelper(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// rig is an installation of a test.
type rig struct {
	*Network
	t   *testing.T
	cfg Config
}

// newRig opens an installation with a name of its own and checks, when the
// test ends, that nothing of it is left.
func newRig(t *testing.T) *rig {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test needs root")
	}
	b := make([]byte, 3)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, cfg: Config{
		Dir:     filepath.Join(t.TempDir(), "net"),
		Name:    "t" + hex.EncodeToString(b),
		EdgeUID: testEdgeUID,
	}}
	r.open()
	t.Cleanup(func() {
		if err := r.Uninstall(context.Background()); err != nil {
			t.Errorf("uninstall: %v", err)
		}
		r.nothingLeft()
	})
	return r
}

func (r *rig) open() {
	r.t.Helper()
	n, err := Open(r.cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		r.t.Fatal(err)
	}
	r.Network = n
}

func (r *rig) nothingLeft() {
	r.t.Helper()
	for what, out := range map[string][]byte{
		"links":  output(r.t, "ip", "link"),
		"tables": output(r.t, "nft", "list", "tables"),
		"mounts": read(r.t, "/proc/self/mountinfo"),
	} {
		for _, name := range []string{r.cfg.Name, r.cfg.Dir} {
			if strings.Contains(string(out), name) {
				r.t.Errorf("%s still contain %s:\n%s", what, name, out)
			}
		}
	}
	if _, err := os.Stat(r.cfg.Dir); !errors.Is(err, os.ErrNotExist) {
		r.t.Errorf("%s is still there: %v", r.cfg.Dir, err)
	}
	if routes := string(output(r.t, "ip", "route", "show", "type", "blackhole")); strings.Contains(routes, r.host.block.String()) {
		r.t.Errorf("the block is still reserved:\n%s", routes)
	}
}

func output(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (r *rig) space(id string, index int, outbound ...driver.Outbound) SpaceNet {
	r.t.Helper()
	s, err := r.EnsureSpace(r.t.Context(), Space{ID: id, Index: index, Outbound: outbound})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) attach(space, id string) Endpoint {
	r.t.Helper()
	e, err := r.Attach(r.t.Context(), space, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

func (r *rig) policy(space string, private ...Private) {
	r.t.Helper()
	if err := r.ApplyPolicy(r.t.Context(), space, private); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) state(space string) SpaceState {
	r.t.Helper()
	o, err := r.Observe(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, s := range o.Spaces {
		if s.ID == space {
			return s
		}
	}
	r.t.Fatalf("no space %s in %+v", space, o)
	return SpaceState{}
}

// echo answers every connection and datagram in the namespace until the test
// ends.
func echo(t *testing.T, netns, address string) {
	t.Helper()
	err := inside(netns, func() error {
		tcp, err := net.Listen("tcp4", address)
		if err != nil {
			return err
		}
		udp, err := net.ListenPacket("udp4", address)
		if err != nil {
			tcp.Close()
			return err
		}
		t.Cleanup(func() { tcp.Close(); udp.Close() })
		go func() {
			for {
				c, err := tcp.Accept()
				if err != nil {
					return
				}
				go func() { defer c.Close(); io.Copy(c, c) }()
			}
		}()
		go func() {
			b := make([]byte, 2048)
			for {
				n, from, err := udp.ReadFrom(b)
				if err != nil {
					return
				}
				udp.WriteTo(b[:n], from)
			}
		}()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// try connects from the namespace and has an echo, or says why not.
func try(netns, network, address string) error {
	conn, err := dialFrom(netns, network, "", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	return ping(conn)
}

func dialFrom(netns, network, source, address string) (conn net.Conn, err error) {
	d := net.Dialer{Timeout: 700 * time.Millisecond}
	if source != "" {
		if strings.HasPrefix(network, "tcp") {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
		} else {
			d.LocalAddr = &net.UDPAddr{IP: net.ParseIP(source)}
		}
	}
	err = inside(netns, func() (err error) {
		conn, err = d.Dial(network, address)
		return err
	})
	return conn, err
}

func ping(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(700 * time.Millisecond)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("ping")); err != nil {
		return err
	}
	b := make([]byte, 4)
	_, err := io.ReadFull(conn, b)
	return err
}

func works(t *testing.T, netns, network, address string) {
	t.Helper()
	if err := try(netns, network, address); err != nil {
		t.Errorf("%s to %s should work: %v", network, address, err)
	}
}

func fails(t *testing.T, netns, network, address string) {
	t.Helper()
	if err := try(netns, network, address); err == nil {
		t.Errorf("%s to %s should not work", network, address)
	}
}

// failAll tries all at once, by TCP and UDP: most attempts end by their timeout.
func failAll(t *testing.T, netns string, addresses ...string) {
	t.Helper()
	var wg sync.WaitGroup
	for _, address := range addresses {
		for _, network := range []string{"tcp4", "udp4"} {
			wg.Go(func() { fails(t, netns, network, address) })
		}
	}
	wg.Wait()
}

func at(a netip.Addr, port int) string { return netip.AddrPortFrom(a, uint16(port)).String() }

func inNS(t *testing.T, netns string, fn func(*netlink.Handle) error) {
	t.Helper()
	if err := inside(netns, func() error { return withHandle(fn) }); err != nil {
		t.Fatal(err)
	}
}
