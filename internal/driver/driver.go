// Package driver is the contract between Strongroom and the engine that runs
// its workloads: spaces, formations, tasks, volumes, images, routes and logs.
//
// All values are serialisable, so that the engine can be another process
// (package driver/remote). Every Ensure/Apply/Remove is idempotent and level
// triggered: it takes the whole desired value and returns when the engine has
// taken it over; what became of it is read with Observe. The engine keeps what
// it was told across its own restart and goes on restarting instances of an
// applied formation while nobody is connected to it.
//
// internal/reconcile and internal/operation call it; driver/drivertest holds
// the suite that every implementation passes. Secrets (environment values, TLS
// keys, volume keys) pass through these values: implementations keep them in
// memory, on a tmpfs or under encryption, never in logs, errors or argv.
package driver

import (
	"context"
	"io"
	"time"
)

// Driver is an engine. Methods are safe for concurrent use. Errors carry a
// fault kind where the caller can act on them: NotFound, Invalid, Conflict,
// Unavailable.
type Driver interface {
	// Capabilities states what this engine can and cannot do. What it cannot
	// do is reported as "not proven", never assumed.
	Capabilities(ctx context.Context) (Capabilities, error)

	// Observe reports all that the engine holds at this moment.
	Observe(ctx context.Context) (Observation, error)
	// Survey looks in one area of the host for what is not the engine's doing.
	// An area that it does not look at is NotFound: not to have looked is not to
	// have found nothing.
	Survey(ctx context.Context, area string) (*Survey, error)

	// EnsureSpace creates the space or brings its rules to those given.
	EnsureSpace(ctx context.Context, space Space) error
	// RemoveSpace removes the space with all that is inside it except volumes,
	// which are disposed of one by one. An unknown id is not an error.
	RemoveSpace(ctx context.Context, id string) error

	// ImportImage takes an OCI image layout as a tar stream and returns the
	// image's manifest digest ("sha256:…"). Importing twice is harmless.
	ImportImage(ctx context.Context, archive io.Reader) (digest string, err error)

	// EnsureVolume creates the volume, or unlocks it with its key.
	EnsureVolume(ctx context.Context, volume Volume) error
	// LockVolume removes the key: its content is unreadable until EnsureVolume.
	// It refuses (Conflict) while anything still has a file of it open.
	LockVolume(ctx context.Context, id string) error
	// DestroyVolume locks the volume, tries a read that must fail, and removes
	// it. It refuses (Conflict) while anything still has a file of it open.
	DestroyVolume(ctx context.Context, id string) (Disposal, error)
	// PutFiles extracts a tar stream into the directory of an unlocked volume.
	// Owners in the stream are ids as seen inside the container.
	PutFiles(ctx context.Context, volume, dir string, archive io.Reader) error
	// GetFiles streams a directory of an unlocked volume as tar.
	GetFiles(ctx context.Context, volume, dir string) (io.ReadCloser, error)

	// ApplyFormation keeps Quantity instances of Process running. A change of
	// Revision replaces them: where Process.Port is set and Rolling is true,
	// new instances accept connections on it before old ones are drained.
	ApplyFormation(ctx context.Context, formation Formation) error
	// RemoveFormation drains and stops its instances. Unknown id: no error.
	RemoveFormation(ctx context.Context, id string) error
	// StopInstance stops one instance; the engine then starts another if the
	// formation still wants it. This is a restart of one dyno.
	StopInstance(ctx context.Context, instance string) error

	// StartTask starts a process that runs once: a one-off dyno, a release
	// phase, a build. With Attach the returned session carries its input and
	// output; without, output goes to the logs and the session only waits.
	StartTask(ctx context.Context, task Task) (Session, error)
	// StopTask ends a running task. Unknown or ended: no error.
	StopTask(ctx context.Context, id string) error
	// Exec starts another process inside a running instance or task.
	Exec(ctx context.Context, exec Exec) (Session, error)
	// Dial opens a TCP connection to a port of a formation's ready instance,
	// from the engine's side of the space (database tunnels, health checks).
	Dial(ctx context.Context, formation string, port int) (io.ReadWriteCloser, error)

	// ApplyRoutes replaces the routing of a space.
	ApplyRoutes(ctx context.Context, routes Routes) error

	// Logs streams log lines as newline-delimited JSON LogLine values, oldest
	// first; with Follow until ctx ends or the reader is closed.
	Logs(ctx context.Context, query LogQuery) (io.ReadCloser, error)
	// RemoveLogs deletes all lines of a space, for when the space is removed
	// for good. An unknown id is not an error.
	RemoveLogs(ctx context.Context, space string) error
}

// Capabilities of an engine.
type Capabilities struct {
	Engine         string `json:"engine"`          // "containerd", "kubernetes", "memory"
	Version        string `json:"version"`         // of the runtime behind it
	UserNamespaces bool   `json:"user_namespaces"` // container root is not host root
	SocketHandover bool   `json:"socket_handover"` // the edge passes sockets, holds no keys
	VolumeErasure  bool   `json:"volume_erasure"`  // a removed key makes content unreadable
	FixedEgress    bool   `json:"fixed_egress"`    // a space can have a source address of its own
}

// Space is an isolated network with its own router, resolver and id range.
type Space struct {
	ID       string     `json:"id"` // UUID
	Name     string     `json:"name"`
	Trusted  []string   `json:"trusted"`  // CIDRs that may connect to the routers; empty = nobody
	Outbound []Outbound `json:"outbound"` // what may leave; empty = nothing
}

// Outbound allows new connections to leave a space, to a network or to where a
// name leads: one of the two is set.
type Outbound struct {
	CIDR string `json:"cidr"` // "0.0.0.0/0" = anywhere but the host, other spaces and link-local
	// Name is api.example.org; *.example.org, for all that is below it; or *, for
	// every name. The space's resolver answers it, and each address that it leads
	// to is open for as long as that answer lasts, unless it is somebody's own.
	Name     string `json:"name"`
	Protocol string `json:"protocol"` // "tcp", "udp" or "any"
	FromPort int    `json:"from_port"`
	ToPort   int    `json:"to_port"`
}

// Volume is an encrypted directory. Key is 64 bytes from a CSPRNG, needed at
// each unlock; the engine never stores it on disk in the clear.
type Volume struct {
	ID    string `json:"id"`
	Space string `json:"space"`
	Bytes int64  `json:"bytes"` // space reserved for it
	Key   []byte `json:"key"`
}

// Disposal is the evidence of a destroyed volume.
type Disposal struct {
	KeyRemoved bool   `json:"key_removed"` // the kernel confirmed that no file was busy
	ReadTried  string `json:"read_tried"`  // what was tried and which error came back
}

// Process is what runs in a container. Images start directly as UID; there is
// no way to become another user inside.
//
// Besides Env it sees DYNO, its own name (web.1, run.1234), as on Heroku.
type Process struct {
	Image  string   `json:"image"` // manifest digest
	Args   []string `json:"args"`
	Env    []EnvVar `json:"env"`
	Dir    string   `json:"dir"`
	UID    int      `json:"uid"`  // inside the container's user namespace
	Port   int      `json:"port"` // what it listens on; 0 = nothing; readiness = accepts TCP
	Limits Limits   `json:"limits"`
	Mounts []Mount  `json:"mounts"`
	// ReadOnly mounts the root read-only; /tmp and the mounts stay writable.
	ReadOnly bool `json:"read_only"`
}

// EnvVar is one environment variable; its value may be a secret.
type EnvVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Limits of one container; zero values mean the engine's defaults.
type Limits struct {
	MemoryBytes int64 `json:"memory_bytes"`
	CPUMillis   int64 `json:"cpu_millis"` // 1000 = one core
	PIDs        int64 `json:"pids"`
}

// Mount of a volume's directory.
type Mount struct {
	Volume   string `json:"volume"`
	Dir      string `json:"dir"`  // inside the volume, "" = its root
	Path     string `json:"path"` // inside the container
	ReadOnly bool   `json:"read_only"`
}

// Labels say whose output and process this is; they end up on log lines.
type Labels struct {
	App    string `json:"app"`    // UUID; empty for the platform's own
	Source string `json:"source"` // Heroku's log source: "app" or "heroku"
	Type   string `json:"type"`   // process type: web, worker, run, release, build, postgres
}

// Formation is a set of equal instances that are kept running.
type Formation struct {
	ID       string        `json:"id"` // UUID, stable
	Space    string        `json:"space"`
	Labels   Labels        `json:"labels"`
	Name     string        `json:"name"`     // DNS name, as web.intake.app: <name>.localspace resolves to its ready instances
	Revision string        `json:"revision"` // instances of another revision are replaced
	Quantity int           `json:"quantity"`
	Process  Process       `json:"process"`
	Rolling  bool          `json:"rolling"` // false: stop the old before starting the new (volumes)
	Grace    time.Duration `json:"grace"`   // between SIGTERM and SIGKILL
	Boot     time.Duration `json:"boot"`    // a Port not accepting after this long is a failed boot
	// Peers are ids of formations that instances of this one may connect to,
	// and that may not be reached by others when Private.
	Peers   []string `json:"peers"`
	Private bool     `json:"private"` // reachable only from formations and tasks that name it as a peer
}

// Task is a process that runs once.
type Task struct {
	ID      string        `json:"id"` // UUID
	Space   string        `json:"space"`
	Labels  Labels        `json:"labels"`
	Name    string        `json:"name"` // "run.1234"
	Process Process       `json:"process"`
	Attach  bool          `json:"attach"`
	TTY     bool          `json:"tty"`
	Rows    int           `json:"rows"`
	Cols    int           `json:"cols"`
	Timeout time.Duration `json:"timeout"` // 0 = none
	Peers   []string      `json:"peers"`
	Private bool          `json:"private"` // nothing in the space may connect to it
}

// Exec is another process in a running container, with its environment.
type Exec struct {
	ID        string   `json:"id"`
	Container string   `json:"container"` // instance or task id
	Args      []string `json:"args"`
	Env       []EnvVar `json:"env"` // added to the container's own
	TTY       bool     `json:"tty"`
	Rows      int      `json:"rows"`
	Cols      int      `json:"cols"`
}

// Session is a running task or exec. Read gives output (stdout and stderr
// merged), io.EOF when the process has ended and all output was read. Write
// gives input; CloseWrite ends it. Close detaches and ends the process of an
// attached session.
type Session interface {
	io.ReadWriteCloser
	CloseWrite() error
	Resize(rows, cols int) error
	// Wait returns when the process has ended. It may be called more than once.
	Wait(ctx context.Context) (Exit, error)
}

// Exit of a process.
type Exit struct {
	Code      int  `json:"code"` // 128+n for signal n, as shells do
	OOMKilled bool `json:"oom_killed"`
}

// Routes of a space: what its router serves.
type Routes struct {
	Space string `json:"space"`
	// HSTS has every answer tell browsers to come by TLS alone for a year.
	HSTS    bool    `json:"hsts"`
	Domains []Route `json:"domains"`
}

// Route sends a hostname to a formation.
type Route struct {
	Hostname    string `json:"hostname"` // lower case; "*.example.org" matches one label
	App         string `json:"app"`
	Formation   string `json:"formation"`   // "" = no process to answer: 503
	Maintenance bool   `json:"maintenance"` // 503 with the maintenance page
	Certificate string `json:"certificate"` // PEM chain
	Key         string `json:"key"`         // PEM
	MinTLS      string `json:"min_tls"`     // "1.2" or "1.3"
	// Clients is a PEM bundle of authorities, of whom one must vouch for each
	// client in the handshake; "" = clients need no certificate.
	Clients string `json:"clients"`
}

// Observation is all that an engine holds.
type Observation struct {
	Time       time.Time           `json:"time"`
	Spaces     []ObservedSpace     `json:"spaces"`
	Formations []ObservedFormation `json:"formations"`
	Instances  []Instance          `json:"instances"`
	Tasks      []ObservedTask      `json:"tasks"`
	Volumes    []ObservedVolume    `json:"volumes"`
	Images     []string            `json:"images"`
}

// ObservedSpace is a space as it is in force.
type ObservedSpace struct {
	ID      string `json:"id"`
	Digest  string `json:"digest"`   // Digest(Space) of what is in force
	Routes  string `json:"routes"`   // Digest(Routes) of what is in force
	Egress  string `json:"egress"`   // source address of what leaves, if fixed
	Subnet  string `json:"subnet"`   // its instances' addresses
	UIDBase int    `json:"uid_base"` // first host uid of its range
	UIDs    int    `json:"uids"`
	Router  string `json:"router"` // "up" or "down"
	// Strangers are the connections from outside that it refused.
	Strangers []Stranger `json:"strangers"`
	// Refused is what was tried within the last hour and may not leave; not all
	// of it where that is much.
	Refused []Refusal `json:"refused"`
}

// Why a connection from outside is refused.
const (
	StrangerUntrusted   = "untrusted"           // by the edge: from a network that is not trusted
	StrangerPastEdge    = "untrusted-past-edge" // by the space's router: the edge let it in
	StrangerCertificate = "client-certificate"  // in the handshake: none by the domain's authorities
)

// Stranger counts the connections to a space that were refused for one reason,
// since the process began that counts them.
type Stranger struct {
	Why   string    `json:"why"`  // StrangerUntrusted …
	Host  string    `json:"host"` // the domain; "" where that was not looked at
	Count int64     `json:"count"`
	Last  time.Time `json:"last"`
	From  string    `json:"from"` // address of the last; "" where it is not kept
}

// Refusal is a destination outside of a space that an instance or task tried to
// reach, and may not.
type Refusal struct {
	App      string `json:"app"`      // whose it is; empty for the platform's own and for what has ended
	Dyno     string `json:"dyno"`     // "web.1"
	To       string `json:"to"`       // an address, or a name, of which long labels are left out
	Protocol string `json:"protocol"` // tcp, udp; of a name RefusedDNS or RefusedRebind
	Port     int    `json:"port"`
	Packets  int64  `json:"packets"` // or questions
}

// Why a name of the outside has no answer.
const (
	RefusedDNS    = "dns"    // no outbound rule covers it
	RefusedRebind = "rebind" // its answer led inside
)

// ObservedFormation is a formation as applied.
type ObservedFormation struct {
	ID       string `json:"id"`
	Space    string `json:"space"`
	Digest   string `json:"digest"` // Digest(Formation) of what was applied
	Revision string `json:"revision"`
	Ready    int    `json:"ready"` // instances of Revision that accept connections (or run, without Port)
}

// Instance states.
const (
	Starting = "starting"
	Up       = "up"
	Crashed  = "crashed"
	Draining = "draining"
)

// Instance is one running member of a formation: a dyno.
type Instance struct {
	ID        string    `json:"id"` // UUID
	Formation string    `json:"formation"`
	Ordinal   int       `json:"ordinal"` // web.1 has ordinal 1
	Revision  string    `json:"revision"`
	State     string    `json:"state"`
	Address   string    `json:"address"`
	Since     time.Time `json:"since"` // when it entered State
	Restarts  int       `json:"restarts"`
	LastExit  *Exit     `json:"last_exit"`
}

// ObservedTask is a task that runs or ended less than an hour ago.
type ObservedTask struct {
	ID      string    `json:"id"`
	Space   string    `json:"space"`
	App     string    `json:"app"`
	Name    string    `json:"name"`
	Running bool      `json:"running"`
	Since   time.Time `json:"since"`
	Exit    *Exit     `json:"exit"`
}

// ObservedVolume is a volume and whether its content can be read.
type ObservedVolume struct {
	ID       string `json:"id"`
	Space    string `json:"space"`
	Unlocked bool   `json:"unlocked"`
	Bytes    int64  `json:"bytes"`
	Used     int64  `json:"used"`
}

// LogQuery selects log lines of one app.
type LogQuery struct {
	Space  string `json:"space"`
	App    string `json:"app"`
	Lines  int    `json:"lines"`  // the newest that many; 0 = none of the past
	Follow bool   `json:"follow"` // go on with what comes
	Source string `json:"source"` // "" = any
	Dyno   string `json:"dyno"`   // "web" or "web.1"; "" = any
	After  string `json:"after"`  // LogLine.ID to continue after; wins over Lines
}

// LogLine is one line that a process wrote, or that the platform says of it.
type LogLine struct {
	ID     string    `json:"id"` // grows within an app; opaque
	Time   time.Time `json:"time"`
	Source string    `json:"source"` // "app" or "heroku"
	Dyno   string    `json:"dyno"`   // "web.1"
	Text   string    `json:"text"`   // without newline; at most 10,000 bytes
}
