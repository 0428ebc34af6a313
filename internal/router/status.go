package router

// Status is what a router reports about itself.
type Status struct {
	Space       string          `json:"space"`
	Snapshot    string          `json:"snapshot"`    // Digest of the one in force; "" before the first
	Connections int             `json:"connections"` // open client connections
	Handed      uint64          `json:"handed"`      // connections received from the edge
	Rejected    uint64          `json:"rejected"`    // hand-overs that were malformed or too many
	Untrusted   uint64          `json:"untrusted"`   // hand-overs from networks that are not trusted: the edge lets in what it should not
	Strangers   []Stranger      `json:"strangers"`   // refused in the handshake, by host
	Requests    uint64          `json:"requests"`    // begun
	LogDropped  uint64          `json:"log_dropped"` // access lines that nobody read in time
	Backends    []BackendStatus `json:"backends"`    // of the snapshot, and those still draining
}

// BackendStatus says what one dyno is doing. A backend that is Draining and
// has no Requests may be stopped without losing any.
type BackendStatus struct {
	Address  string `json:"address"`
	Dyno     string `json:"dyno"`
	Requests int64  `json:"requests"` // under way
	Draining bool   `json:"draining"` // no longer in the snapshot
}
