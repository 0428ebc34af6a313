package spool

import (
	"net"
	"time"
)

// Config of a spool process. Zero values mean what the comments say.
type Config struct {
	// Dir holds the segments: Dir/<space>/<app>/<first id>.seg. Required.
	Dir string
	// Run holds the lock and the registrations, which a restarted spool opens
	// again by itself. On a tmpfs, like the FIFOs it names. Required.
	Run string
	// Listener serves the API; if nil, Socket is the path to listen on (0660).
	// A Listener that outlives the process (supervise.Spec.Listen) lets callers
	// wait instead of fail while spool is restarted.
	Listener net.Listener
	Socket   string
	// UIDs may call besides root and spool's own uid.
	UIDs []int
	// Control and Build are for package supervise: once all streams are open
	// again, spool answers on Control. Empty = not supervised.
	Control string
	Build   string
	// SegmentBytes and SegmentAge end a segment. 0 = 8 MiB, 1 h.
	SegmentBytes int64
	SegmentAge   time.Duration
	// AppBytes bounds what is kept of one app; the oldest segments go first, and
	// a line says so. 0 = 256 MiB.
	AppBytes int64
	// MaxAge is when lines are deleted; a segment goes with its newest line. 0 = 30 days.
	MaxAge time.Duration
	// MaxApps bounds the apps of one space (a router names apps itself). 0 = 4096.
	MaxApps int
}

// Kinds of stream.
const (
	// KindOutput is a process's output: every line is text.
	KindOutput = ""
	// KindRouter is a router's access log: every line is a JSON object
	// {"app": "…", "text": "…"}. App is left empty in the Stream; Source and Dyno of the
	// Stream are stamped on every line, whatever the line says.
	KindRouter = "router"
)

// Stream is a FIFO whose lines are to be kept. One container has two (stdout
// and stderr), each with its own ID, equal otherwise.
//
// The FIFO must be readable and writable by spool's uid. Whoever makes it
// should hold it open (O_RDWR|O_NONBLOCK) as root during Open: a pipe counts against the
// user who opened it first, and unprivileged users get pipes of 8 KB instead of
// 64 KB once they have about a thousand.
type Stream struct {
	ID     string `json:"id"` // letters, digits, '-', '_', '.'; unique
	Space  string `json:"space"`
	App    string `json:"app"`    // "" = the platform's own
	Source string `json:"source"` // "app" or "heroku"
	Dyno   string `json:"dyno"`   // "web.1"
	Path   string `json:"path"`   // of the FIFO
	Kind   string `json:"kind"`   // KindOutput or KindRouter
}

// Line is one that the platform itself says of an app, such as
// "State changed from starting to up".
type Line struct {
	Space  string    `json:"space"`
	App    string    `json:"app"`
	Source string    `json:"source"` // "" = "heroku"
	Dyno   string    `json:"dyno"`
	Text   string    `json:"text"`
	Time   time.Time `json:"time"` // zero = now
}
