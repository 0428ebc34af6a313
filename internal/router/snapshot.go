package router

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/strongroom/strongroom/internal/router/resolver"
)

// Snapshot is all that a router knows: the hosts of its space, the dynos behind
// them, and the names that the resolver answers. Push it with Client; it
// replaces the one before as a whole.
type Snapshot struct {
	Space string `json:"space"`
	// HSTS makes every answer carry Strict-Transport-Security.
	HSTS bool `json:"hsts"`
	// Trusted lists the networks (CIDR) that may be connected. The edge lets
	// nobody else in; with this, connections that are open are cut too when their
	// network is taken away. Null leaves them; an empty list cuts all.
	Trusted []string `json:"trusted"`
	Hosts   []Host   `json:"hosts"`
	Names   []Name   `json:"names"`
	// Outside is the DNS server ("ip:port") for names outside localspace: the
	// engine's. Empty: such names are REFUSED.
	Outside string `json:"outside"`
}

// Host is one served name.
type Host struct {
	// Name is the host name; "*.example.org" matches exactly one label.
	Name     string    `json:"name"`
	App      string    `json:"app"`      // the app's id, for the access log
	Backends []Backend `json:"backends"` // dynos that accept connections; none: H14
	// Crashed says that dynos should run but do not stay up: with no backends
	// the error is then H10 instead of H14.
	Crashed     bool   `json:"crashed"`
	Maintenance bool   `json:"maintenance"` // 503 with the maintenance page: H80
	Certificate string `json:"certificate"` // PEM chain, leaf first
	Key         string `json:"key"`         // PEM
	MinTLS      string `json:"min_tls"`     // "1.2" (default) or "1.3"
	// Clients is a PEM bundle of authorities, of whom one must vouch for each
	// client. Empty: clients need no certificate.
	Clients string `json:"clients"`
}

// String hides the key from anything that prints a snapshot.
func (h Host) String() string { return h.Name }

// GoString hides the key from %#v.
func (h Host) GoString() string { return "router.Host{" + h.Name + "}" }

// Backend is one dyno that accepts connections.
type Backend struct {
	Address string `json:"address"` // "ip:port" inside the space
	Dyno    string `json:"dyno"`    // "web.1"
}

// Name is a name below localspace and its addresses.
type Name = resolver.Name

// Digest identifies the snapshot's content: "sha256:" and the hash of its JSON.
func (s Snapshot) Digest() string {
	encoded, err := json.Marshal(s)
	if err != nil { // plain strings, bools and slices always encode
		panic(err)
	}
	sum := sha256.Sum256(encoded)
	return "sha256:" + hex.EncodeToString(sum[:])
}
