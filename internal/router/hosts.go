package router

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/strongroom/strongroom/internal/edge/cidr"
	"github.com/strongroom/strongroom/internal/edge/hostname"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/router/resolver"
)

// hosts is a compiled Snapshot. It does not change.
type hosts struct {
	digest  string
	names   hostname.Map[*host]
	terms   map[[sha256.Size]byte]*terms // parsed certificates, for the next snapshot
	trusted *cidr.Set                    // nil: everybody whom the edge lets in
	zone    *resolver.Zone
}

// host is one served name.
type host struct {
	name        string
	app         string
	backends    []*backend
	crashed     bool
	maintenance bool
	hsts        bool
	*terms
}

// terms are what a connection to a host is made on.
type terms struct {
	tls     *tls.Config
	clients *authorities // nil: clients need no certificate
}

// compile checks the whole snapshot. Certificates that old already parsed are
// taken over: parsing is the costly part, and most snapshots only change
// backends.
func compile(snapshot Snapshot, backends map[Backend]*backend, old *hosts) (*hosts, error) {
	h := &hosts{digest: snapshot.Digest(), terms: make(map[[sha256.Size]byte]*terms)}
	for _, row := range snapshot.Hosts {
		if err := h.add(row, snapshot.HSTS, backends, old); err != nil {
			return nil, err
		}
	}
	if snapshot.Trusted != nil {
		trusted, err := cidr.Parse(snapshot.Trusted)
		if err != nil {
			return nil, fault.New(fault.Invalid, "trusted networks: %v", err)
		}
		h.trusted = &trusted
	}
	var err error
	h.zone, err = resolver.NewZone(snapshot.Names, snapshot.Outside)
	return h, err
}

func (h *hosts) add(row Host, hsts bool, backends map[Backend]*backend, old *hosts) error {
	parsed, err := h.parse(row, old)
	if err != nil {
		return err
	}
	compiled := &host{
		name: row.Name, app: row.App, hsts: hsts,
		crashed: row.Crashed, maintenance: row.Maintenance, terms: parsed,
	}
	for _, b := range row.Backends {
		if address, err := netip.ParseAddrPort(b.Address); err != nil || address.Port() == 0 {
			return fault.New(fault.Invalid, "host %s: %q is not a backend address", row.Name, b.Address)
		}
		compiled.backends = append(compiled.backends, backends[b])
	}
	if err := h.names.Add(row.Name, compiled); err != nil {
		return fault.New(fault.Invalid, "the snapshot's hosts: %v", err)
	}
	return nil
}

// parse returns the terms of a host. Its errors say which host, and
// nothing that was in the PEM.
func (h *hosts) parse(row Host, old *hosts) (*terms, error) {
	key := fingerprint(row)
	if known := h.terms[key]; known != nil {
		return known, nil
	}
	if old != nil && old.terms[key] != nil {
		h.terms[key] = old.terms[key]
		return h.terms[key], nil
	}
	version, ok := map[string]uint16{"": tls.VersionTLS12, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[row.MinTLS]
	if !ok {
		return nil, fault.New(fault.Invalid, "host %s: the minimum TLS version must be 1.2 or 1.3", row.Name)
	}
	certificate, err := tls.X509KeyPair([]byte(row.Certificate), []byte(row.Key))
	if err != nil {
		return nil, fault.New(fault.Invalid, "host %s: the certificate and its key cannot be used", row.Name)
	}
	clients, err := parseAuthorities(row.Clients)
	if err != nil {
		return nil, fault.New(fault.Invalid, "host %s: the authorities of its clients cannot be read", row.Name)
	}
	h.terms[key] = &terms{hostTLS(certificate, version), clients}
	return h.terms[key], nil
}

// fingerprint identifies what parse makes of a row. Lengths keep the parts apart.
func fingerprint(row Host) [sha256.Size]byte {
	sum := sha256.New()
	for _, part := range []string{row.Certificate, row.Key, row.MinTLS, row.Clients} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		sum.Write(length[:])
		sum.Write([]byte(part))
	}
	return [sha256.Size]byte(sum.Sum(nil))
}

// find returns the host that a name belongs to, or nil.
func (h *hosts) find(name string) *host {
	found, _ := h.names.Find(name)
	return found
}

// trusts says whether a client may be connected.
func (h *hosts) trusts(client net.Addr) bool {
	if h.trusted == nil {
		return true
	}
	address, ok := client.(*net.TCPAddr)
	return ok && h.trusted.Contains(address.AddrPort().Addr())
}
