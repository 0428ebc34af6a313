//go:build integration

package engine

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/drivertest"
)

// dnsServer answers every question with one address of nobody, and remembers the
// names.
type dnsServer struct {
	mu    sync.Mutex
	names []string
}

func (d *dnsServer) serve(t *testing.T) (address string) {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(b[:n]); err != nil {
				t.Error(err)
				continue
			}
			q := m.Questions[0]
			d.mu.Lock()
			d.names = append(d.names, strings.TrimSuffix(q.Name.String(), "."))
			d.mu.Unlock()
			m.Response, m.Additionals = true, nil
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60},
				Body:   &dnsmessage.AResource{A: [4]byte{198, 51, 100, 77}},
			}}
			packed, err := m.Pack()
			if err != nil {
				t.Error(err)
			}
			conn.WriteTo(packed, from)
		}
	}()
	return conn.LocalAddr().String()
}

func (d *dnsServer) asked() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	slices.Sort(d.names)
	return slices.Compact(slices.Clone(d.names))
}

// TestNames goes from a dyno's own resolver by its space's router and the engine
// to the host's DNS server, and finds what was refused with whose it was.
func TestNames(t *testing.T) {
	var up dnsServer
	upstream := up.serve(t)
	in := install(t, func(c *Config) { c.Upstreams = []string{upstream} })
	ctx := t.Context()
	space := driver.Space{ID: uuid.NewString(), Name: "prod", Outbound: []driver.Outbound{
		{Name: "*.example.org", Protocol: "tcp", FromPort: 443, ToPort: 443},
	}}
	in.must(in.driver.EnsureSpace(ctx, space))
	image, err := in.driver.ImportImage(ctx, bytes.NewReader(testImage(t)))
	in.must(err)
	app := uuid.NewString()
	lookUp := func(revision string, names ...string) {
		t.Helper()
		args := []string{drivertest.Program}
		for _, n := range names {
			args = append(args, "dial "+n+":443")
		}
		in.must(in.driver.ApplyFormation(ctx, driver.Formation{
			ID: uuid.NewSHA1(uuid.Nil, []byte(space.ID)).String(), Space: space.ID, Labels: driver.Labels{App: app, Source: "app", Type: "worker"}, Name: "worker.shop.app",
			Revision: revision, Quantity: 1, Grace: time.Second, Boot: 30 * time.Second,
			Process: driver.Process{Image: image, Args: append(args, "wait"), UID: 1007},
		}))
	}
	wantAsked := func(want ...string) {
		t.Helper()
		in.eventually("questions outside", func() error {
			if got := up.asked(); !slices.Equal(got, want) {
				return fmt.Errorf("%q, want %q", got, want)
			}
			return nil
		})
	}
	lookUp("1", "evil.example.com", "api.example.org")
	wantAsked("api.example.org")
	// The engine's end ends its servers: the next one has them again.
	in.end()
	in.start()
	lookUp("2", "other.example.com", "late.example.org")
	wantAsked("api.example.org", "late.example.org")
	in.eventually("what was refused", func() error {
		o, err := in.driver.Observe(ctx)
		if err != nil || len(o.Spaces) != 1 {
			return fmt.Errorf("%+v, %w", o.Spaces, err)
		}
		for _, r := range o.Spaces[0].Refused {
			if r.Packets > 0 && r == (driver.Refusal{App: app, Dyno: "worker.1", To: "other.example.com", Protocol: driver.RefusedDNS, Port: 53, Packets: r.Packets}) {
				return nil
			}
		}
		return fmt.Errorf("%+v", o.Spaces[0].Refused)
	})
}
