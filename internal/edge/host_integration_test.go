//go:build integration

package edge_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/edge"
	"github.com/strongroom/strongroom/internal/router"
)

// The networks of the test. The space has no link to the others at all.
const (
	clientAddress    = "198.51.100.2"
	untrustedAddress = "198.51.100.3"
	edgeAddress      = "198.51.100.1"
	gatewayAddress   = "169.254.1.1"
	hostname         = "app.example.org"
)

func uintptrOf(b *[16]byte) uintptr { return uintptr(unsafe.Pointer(b)) }

// host is a host in miniature: a client's network, the host's with the edge in
// it, and a space's with its router, resolver and a dyno.
type host struct {
	t       *testing.T
	dir     string
	program string

	client, outside, space netns.NsHandle
	https, http            *os.File // what the edge inherits
	edgeControl            *os.File
	handover, control      *os.File // what the router inherits
	packet, stream, log    *os.File
	lines                  *bufio.Reader
	dyno                   string
	certificate, key       string
	authority              string // a file for curl

	edgeClient   *edge.Client
	routerClient *router.Client
}

func newHost(t *testing.T) *host {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test makes network namespaces: run it as root")
	}
	dir, err := os.MkdirTemp("", "edge-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := &host{t: t, dir: dir, program: program(t, dir)}
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Mkdir(filepath.Join(dir, "edge"), 0o700))
	must(t, os.Chown(filepath.Join(dir, "edge"), edgeUID, edgeUID))
	h.client, h.outside, h.space = h.namespace(), h.namespace(), h.namespace()
	h.wire()
	h.sockets()
	h.serveDyno()
	h.certify()
	h.edgeClient, h.routerClient = edge.NewClient(h.path("edge.sock")), router.NewClient(h.path("control.sock"))
	t.Cleanup(func() { h.edgeClient.Close(); h.routerClient.Close() })
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

// namespace makes a network namespace without a name: it goes with its last user.
func (h *host) namespace() netns.NsHandle {
	h.t.Helper()
	var handle netns.NsHandle
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and let the thread go: it is in the new namespace
		var err error
		if handle, err = netns.New(); err == nil {
			err = up("lo")
		}
		result <- err
	}()
	must(h.t, <-result)
	h.t.Cleanup(func() { handle.Close() })
	return handle
}

func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

// wire joins the client's and the host's network, and gives the space its gateway.
func (h *host) wire() {
	h.t.Helper()
	must(h.t, within(h.client, func() error {
		veth := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: "outside", PeerNamespace: netlink.NsFd(h.outside)}
		veth.Name = "client"
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		return errors.Join(address("client", clientAddress+"/24"), address("client", untrustedAddress+"/24"), up("client"))
	}))
	must(h.t, within(h.outside, func() error { return errors.Join(address("outside", edgeAddress+"/24"), up("outside")) }))
	must(h.t, within(h.space, func() error { return address("lo", gatewayAddress+"/32") }))
}

func address(link, cidr string) error {
	device, err := netlink.LinkByName(link)
	if err != nil {
		return err
	}
	parsed, err := netlink.ParseAddr(cidr)
	if err != nil {
		return err
	}
	return netlink.AddrAdd(device, parsed)
}

// sockets opens what the engine opens for the processes.
func (h *host) sockets() {
	h.t.Helper()
	h.https, h.http = h.listen(h.outside, edgeAddress+":443"), h.listen(h.outside, edgeAddress+":80")
	h.edgeControl = h.listenUnix("unix", "edge.sock", 0)
	h.handover = h.listenUnix("unixpacket", "router.sock", edgeUID)
	h.control = h.listenUnix("unix", "control.sock", 0)
	h.stream = h.listen(h.space, gatewayAddress+":53")
	must(h.t, within(h.space, func() error {
		packet, err := net.ListenPacket("udp", gatewayAddress+":53")
		if err != nil {
			return err
		}
		defer packet.Close()
		h.packet, err = packet.(*net.UDPConn).File()
		return err
	}))
	must(h.t, unix.Mkfifo(h.path("log"), 0o600))
	read, err := os.OpenFile(h.path("log"), os.O_RDWR, 0)
	must(h.t, err)
	h.lines = bufio.NewReader(read)
	h.log, err = os.OpenFile(h.path("log"), os.O_WRONLY, 0)
	must(h.t, err)
	h.t.Cleanup(func() {
		for _, file := range []*os.File{h.https, h.http, h.edgeControl, h.handover, h.control, h.packet, h.stream, h.log, read} {
			file.Close()
		}
	})
}

func (h *host) listen(space netns.NsHandle, address string) (file *os.File) {
	h.t.Helper()
	must(h.t, within(space, func() error {
		listener, err := edge.Listen(h.t.Context(), address)
		if err != nil {
			return err
		}
		defer listener.Close()
		file, err = listener.File()
		return err
	}))
	return file
}

func (h *host) listenUnix(network, name string, owner int) *os.File {
	h.t.Helper()
	listener, err := net.ListenUnix(network, &net.UnixAddr{Name: h.path(name), Net: network})
	must(h.t, err)
	defer listener.Close()
	listener.SetUnlinkOnClose(false)
	must(h.t, os.Chmod(h.path(name), 0o600))
	must(h.t, os.Chown(h.path(name), owner, owner))
	file, err := listener.File()
	must(h.t, err)
	return file
}

// serveDyno answers in the space with the client's address as the router says it.
func (h *host) serveDyno() {
	h.t.Helper()
	var listener net.Listener
	must(h.t, within(h.space, func() (err error) {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	}))
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "from %s\n", r.Header.Get("X-Forwarded-For"))
	})}
	go func() { _ = server.Serve(listener) }()
	h.t.Cleanup(func() { server.Close() })
	h.dyno = listener.Addr().String()
}

func (h *host) certify() {
	h.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(h.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: hostname}, DNSNames: []string{hostname},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	must(h.t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	must(h.t, err)
	h.certificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	h.key = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	h.authority = h.path("authority.pem")
	must(h.t, os.WriteFile(h.authority, []byte(h.certificate), 0o644))
}

func (h *host) startEdge() *process {
	h.t.Helper()
	return h.start("edge", h.outside, edgeUID, []string{"TABLE=" + h.path("edge/table.json")}, h.https, h.http, h.edgeControl)
}

func (h *host) startRouter() *process {
	h.t.Helper()
	return h.start("router", h.space, routerUID, nil, h.handover, h.control, h.packet, h.stream, h.log)
}

func (h *host) pushTable() {
	h.t.Helper()
	must(h.t, h.edgeClient.Push(h.t.Context(), edge.Table{Spaces: []edge.Space{{
		ID: "s1", Socket: h.path("router.sock"), Trusted: []string{clientAddress + "/32"}, Hostnames: []string{hostname},
	}}}))
}

func (h *host) pushSnapshot() {
	h.t.Helper()
	must(h.t, h.routerClient.Push(h.t.Context(), router.Snapshot{
		Space: "s1",
		Hosts: []router.Host{{
			Name: hostname, App: "a1", Certificate: h.certificate, Key: h.key,
			Backends: []router.Backend{{Address: h.dyno, Dyno: "web.1"}},
		}},
		Names: []router.Name{{Name: "web", Addresses: []string{"10.1.0.7"}}},
	}))
}

// guard loads the rule that the engine loads before the first hand-over.
func (h *host) guard() {
	h.t.Helper()
	command := exec.Command("nft", "-f", "-")
	command.Stdin = strings.NewReader(`table inet strongroom {
	chain output {
		type filter hook output priority 0; policy accept;
		meta skuid 64002 ct state != { established, related } drop
	}
}
`)
	must(h.t, within(h.outside, func() error {
		output, err := command.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
		return nil
	}))
}

// curl runs in the client's network.
func (h *host) curl(arguments ...string) (output string, err error) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 20*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, "curl", append([]string{
		"-sS", "--max-time", "15", "--noproxy", "*", "--cacert", h.authority,
		"--resolve", hostname + ":443:" + edgeAddress, "--resolve", hostname + ":80:" + edgeAddress,
	}, arguments...)...)
	err = within(h.client, func() error {
		combined, err := command.CombinedOutput()
		output = string(combined)
		return err
	})
	return output, err
}

// dial connects from the client's network.
func (h *host) dial(address string) net.Conn {
	h.t.Helper()
	var conn net.Conn
	must(h.t, within(h.client, func() (err error) {
		conn, err = net.DialTimeout("tcp", address, 5*time.Second)
		return err
	}))
	h.t.Cleanup(func() { conn.Close() })
	must(h.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return conn
}

// request sends one over an open connection and returns the body of the answer.
func request(conn io.ReadWriter) (string, error) {
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+hostname+"\r\n\r\n"); err != nil {
		return "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return strings.TrimSpace(string(body)), err
}
