package edge

// Reasons for which the edge closes a connection, as they appear in
// Status.Refused.
const (
	ReasonUntrusted   = "untrusted"    // the source may not reach the space, or any space
	ReasonUnknownName = "unknown_name" // nobody serves the name
	ReasonNoName      = "no_name"      // a ClientHello without a server name
	ReasonMalformed   = "malformed"    // not a ClientHello, or not a request
	ReasonTooLarge    = "too_large"    // more than 16 KiB without a whole hello
	ReasonTimeout     = "timeout"      // not whole in time
	ReasonClosed      = "closed"       // the client went away first
	ReasonTooMany     = "too_many"     // too many unfinished connections
	ReasonSourceBusy  = "source_busy"  // too many of them from one network
	ReasonQueueFull   = "queue_full"   // the router does not keep up
	ReasonRouterDown  = "router_down"  // the router's socket cannot be reached
)

// Status is what the edge reports about itself.
type Status struct {
	Table       string            `json:"table"`       // Digest of the table in force; "" before the first
	Handshaking int               `json:"handshaking"` // connections whose hello is incomplete
	Accepted    uint64            `json:"accepted"`    // connections on both ports
	Handed      uint64            `json:"handed"`      // passed to a router
	Redirected  uint64            `json:"redirected"`  // answered on the HTTP port
	Refused     map[string]uint64 `json:"refused"`     // closed, by reason
	// Spaces breaks Handed and Refused down for the spaces of the table in
	// force, where the space was known when the connection was decided on.
	Spaces map[string]SpaceStatus `json:"spaces"`
}

// SpaceStatus counts the connections of one space since it entered the table.
type SpaceStatus struct {
	Handed  uint64            `json:"handed"`
	Refused map[string]uint64 `json:"refused"`
}
