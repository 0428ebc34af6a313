//go:build integration

package edge_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/edge"
)

func TestAcrossNetworks(t *testing.T) {
	h := newHost(t)
	edgeProcess, routerProcess := h.startEdge(), h.startRouter()
	h.pushTable()
	h.pushSnapshot()

	for _, version := range []string{"--http1.1", "--http2"} {
		output, err := h.curl(version, "-w", "%{http_version}", "https://"+hostname+"/path?q=1")
		if want := "from " + clientAddress + "\n"; err != nil || !strings.HasPrefix(output, want) {
			t.Errorf("curl %s: %q, %v; want %q", version, output, err, want)
		}
		line, err := h.lines.ReadString('\n')
		if err != nil || !strings.Contains(line, `"app":"a1"`) || !strings.Contains(line, "status=200") || strings.Contains(line, "q=1") {
			t.Errorf("access line %q, %v", line, err)
		}
	}
	if output, err := h.curl("--interface", untrustedAddress, "https://"+hostname+"/"); err == nil {
		t.Errorf("an untrusted source gets %q, %v", output, err)
	}
	if output, err := h.curl("-k", "https://"+edgeAddress+"/"); err == nil {
		t.Errorf("no name gets %q", output)
	}
	output, err := h.curl("-w", "%{redirect_url}", "http://"+hostname+"/a?b=c")
	if want := "https://" + hostname + "/a?b=c"; err != nil || output != want {
		t.Errorf("redirected to %q, %v", output, err)
	}

	eventually(t, "the redirect is counted", func() bool {
		status, err := h.edgeClient.Status(t.Context())
		return err == nil && status.Redirected == 1
	})
	status, err := h.edgeClient.Status(t.Context())
	if err != nil || status.Handed != 2 || status.Refused[edge.ReasonUntrusted] != 1 || status.Redirected != 1 {
		t.Errorf("the edge counted %+v, %v", status, err)
	}
	if edgeProcess.namespace() == routerProcess.namespace() {
		t.Error("the edge and the router share a network")
	}
	for _, p := range []*process{edgeProcess, routerProcess} {
		for property, want := range map[string]string{
			"Seccomp": "2", "NoNewPrivs": "1", "CapEff": strings.Repeat("0", 16), "CapPrm": strings.Repeat("0", 16), "CapAmb": strings.Repeat("0", 16),
		} {
			if got := p.property(property); got != want {
				t.Errorf("%s of %v is %q, want %q", property, p.command.Env, got, want)
			}
		}
	}
	if uid := routerProcess.property("Uid"); !strings.HasPrefix(uid, "65100 65100") {
		t.Errorf("the router runs as %s", uid)
	}
}

func TestResolverInTheSpace(t *testing.T) {
	h := newHost(t)
	h.startRouter()
	h.pushSnapshot()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (conn net.Conn, err error) {
		err = within(h.space, func() error {
			var dialer net.Dialer
			conn, err = dialer.DialContext(ctx, network, gatewayAddress+":53")
			return err
		})
		return conn, err
	}}
	if got, err := resolver.LookupHost(t.Context(), "web.localspace."); err != nil || !slices.Equal(got, []string{"10.1.0.7"}) {
		t.Errorf("web.localspace is %v, %v", got, err)
	}
	if got, err := resolver.LookupHost(t.Context(), "example.org."); err == nil {
		t.Errorf("a name outside is %v", got)
	}
}

// The edge may die: what it passed on lives, what comes meanwhile waits, and the
// next edge goes on with the last table although nobody pushes one.
func TestEdgeDies(t *testing.T) {
	h := newHost(t)
	first := h.startEdge()
	h.startRouter()
	h.pushTable()
	h.pushSnapshot()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(h.certificate))
	config := &tls.Config{ServerName: hostname, RootCAs: roots}
	open := tls.Client(h.dial(edgeAddress+":443"), config)
	want := "from " + clientAddress
	if got, err := request(open); err != nil || got != want {
		t.Fatalf("before: %q, %v", got, err)
	}

	first.kill()
	if got, err := request(open); err != nil || got != want {
		t.Errorf("the open connection, with the edge dead: %q, %v", got, err)
	}
	waiting := tls.Client(h.dial(edgeAddress+":443"), config)
	h.startEdge()
	if got, err := request(waiting); err != nil || got != want {
		t.Errorf("a connection made while the edge was dead: %q, %v", got, err)
	}
}

// A router may die: what is passed meanwhile waits until the next one has its
// snapshot.
func TestRouterDies(t *testing.T) {
	h := newHost(t)
	h.startEdge()
	first := h.startRouter()
	h.pushTable()
	h.pushSnapshot()
	if output, err := h.curl("https://" + hostname + "/"); err != nil {
		t.Fatalf("before: %q, %v", output, err)
	}
	first.kill()
	h.routerClient.Close()
	result := make(chan string, 1)
	go func() {
		output, err := h.curl("https://" + hostname + "/")
		if err != nil {
			output += err.Error()
		}
		result <- output
	}()
	eventually(t, "the connection waits for the router", func() bool {
		status, err := h.edgeClient.Status(t.Context())
		return err == nil && status.Handed == 2
	})
	h.startRouter()
	time.Sleep(300 * time.Millisecond) // it has no snapshot, and must not answer
	h.pushSnapshot()
	if got, want := <-result, "from "+clientAddress+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whoever holds a passed socket can disconnect it and connect it into the host's
// network; the host's rule for sockets of the edge's uid is what stops that. The
// first half shows that the attack works, so that the second means something.
func TestPassedSocketCannotConnectAnew(t *testing.T) {
	for _, guarded := range []bool{false, true} {
		h := newHost(t)
		if guarded {
			h.guard()
		}
		target := h.listen(h.client, clientAddress+":7777")
		defer target.Close()
		h.startEdge()
		h.pushTable()
		thief := h.start("thief", h.space, routerUID, []string{"TARGET=" + clientAddress + ":7777"}, h.handover)
		conn := h.dial(edgeAddress + ":443")
		go func() { _ = tls.Client(conn, &tls.Config{ServerName: hostname}).Handshake() }() // for its hello; it ends with conn
		err := <-thief.done
		thief.done <- nil
		output := thief.output.String()
		if reached := strings.Contains(output, "reached"); reached == guarded || (err == nil) != guarded {
			t.Errorf("guarded %v: %v, %s", guarded, err, output)
		}
	}
}

// A legitimate answer must pass the rule: it is part of an established connection.
func TestHostRuleLetsAnswersPass(t *testing.T) {
	h := newHost(t)
	h.guard()
	h.startEdge()
	h.startRouter()
	h.pushTable()
	h.pushSnapshot()
	output, err := h.curl("https://" + hostname + "/")
	if err != nil || output != "from "+clientAddress+"\n" {
		t.Errorf("curl: %q, %v", output, err)
	}
}
