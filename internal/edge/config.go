package edge

import (
	"os"
	"time"
)

// Config of the edge process. HTTPS and Control are needed; the rest has
// working zero values.
type Config struct {
	// HTTPS takes the connections that are passed to the routers.
	HTTPS Endpoint
	// HTTP takes requests to be redirected to HTTPS. Leave it empty for none.
	HTTP Endpoint
	// Control is the unix socket of the control interface; its Address is a path.
	Control Endpoint
	// Controller is the uid that may use the control interface: 0, root.
	Controller int
	// TableFile keeps the last table, so that a restarted edge serves before
	// anybody pushes one. It belongs in a directory of the edge's own on a
	// tmpfs. Empty: nothing is kept.
	TableFile string

	// PublicPort is the HTTPS port as clients see it, for redirects: default 443.
	PublicPort int

	HelloTimeout  time.Duration // to a whole ClientHello or HTTP request; default 5 s
	MaxHandshakes int           // connections whose hello is incomplete; default 4096
	MaxPerSource  int           // of them from one /24 (IPv6: /48); default 128
}

// Endpoint is a listening socket: an inherited one, or else an address to open.
// An inherited socket must not be a multipath TCP socket (Go's net.Listen makes
// those unless told otherwise; see Listen).
type Endpoint struct {
	File    *os.File
	Address string
}
