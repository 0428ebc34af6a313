package edge

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Table says which space serves which names, and for whom. It holds no
// secrets. Push it with Client; it replaces the one before as a whole.
type Table struct {
	Spaces []Space `json:"spaces"`
}

// Space is one row of the table.
type Space struct {
	// ID is the space's id; it names the space in counters.
	ID string `json:"space"`
	// Socket is the absolute path of the SOCK_SEQPACKET socket on which the
	// space's router takes connections. The edge's uid must be able to write it.
	Socket string `json:"socket"`
	// Trusted lists the networks (CIDR) that may connect; empty means nobody.
	Trusted []string `json:"trusted"`
	// Hostnames lists the names served. "*.example.org" matches exactly one
	// label; a name given in full wins over a wildcard. No name may appear in
	// two spaces.
	Hostnames []string `json:"hostnames"`
}

// Digest identifies the table's content: "sha256:" and the hash of its JSON.
func (t Table) Digest() string {
	encoded, err := json.Marshal(t)
	if err != nil { // strings and slices of strings always encode
		panic(err)
	}
	sum := sha256.Sum256(encoded)
	return "sha256:" + hex.EncodeToString(sum[:])
}
