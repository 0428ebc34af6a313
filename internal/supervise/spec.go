package supervise

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

// Spec says how one child is started and recognised.
type Spec struct {
	// Name is the child's name: lower-case letters, digits, '-', '_', '.'. It
	// is unique within a supervisor and names the child's cgroup.
	Name string
	// Args is the command line; Args[0] is the absolute path of the program.
	// Arguments are readable by every user of the host: no secrets.
	Args []string
	// Env is the whole environment; nothing is inherited. No secrets: what a
	// child must know it is told over its own socket.
	Env []string
	// Dir is the working directory, "/" if empty.
	Dir string
	// UID and GID are whom the child runs as. Supplementary groups are Groups
	// and nothing else whenever UID or GID differ from the supervisor's own.
	UID, GID int
	Groups   []int
	// NetNS is the path of a network namespace (/run/netns/x) to start in;
	// empty = the supervisor's own. A running child in another one is replaced.
	NetNS string
	// Files are inherited as fd 3 and up; Listen follow them. The supervisor
	// keeps them open (it never closes them) and passes the same at a restart.
	Files []*os.File `json:"-"`
	// Listen are sockets that the supervisor opens at the first start and keeps,
	// so that connections queue while the child is restarted. After a takeover
	// it fetches them back out of the running child.
	Listen []Listen
	// Output is the file for standard output and error, appended to.
	// Empty = /dev/null.
	Output string
	// OutputMax bounds Output: above it the file is moved to Output+".1" (an
	// older one is lost), at start and while the child runs. 0 = 16 MiB.
	OutputMax int64
	// Control is the path of the unix socket on which the child answers GET
	// /supervise (see Serve). Its directory must be writable by the child; if it
	// does not exist it is made, 0700, and given to UID. So: one directory a child.
	Control string
	// Build is the build that the child must report on Control. See BuildID.
	Build string
	// Probe replaces Control for programs that are not ours (containerd): it
	// returns the process id that the kernel gives for who answers, or an error
	// while nobody does. See ProbeSocket.
	Probe func(ctx context.Context) (pid int, err error) `json:"-"`
	// KeepOld takes a running child over whatever its build and arguments are.
	KeepOld bool
	// KeepDescendants says that the child's own children outlive it (containerd's
	// shims; what the engine supervises, where it got no cgroups of its own): they
	// are then left alone when the child stops or is replaced.
	KeepDescendants bool
	// Grace is the time between SIGTERM and SIGKILL. 0 = 10 s.
	Grace time.Duration
	// Umask of the child. 0 = 027.
	Umask int
	// OOMScoreAdj is -1000…1000; lowering it needs CAP_SYS_RESOURCE and is
	// logged and left when that is missing.
	OOMScoreAdj int
	// NoNewPrivs forbids the child to gain privileges by execve, for ever.
	NoNewPrivs bool
	// AmbientCaps are capabilities that a child of another uid keeps
	// (unix.CAP_NET_BIND_SERVICE). Prefer Listen.
	AmbientCaps []uintptr
	// MemoryBytes and PIDs limit the child's cgroup; 0 = no limit. A host
	// without the controller is logged and tolerated.
	MemoryBytes int64
	PIDs        int64
}

// Listen is a listening socket to open for a child.
type Listen struct {
	Network string      // "tcp", "tcp4", "tcp6", "unix" (stream) or "unixpacket"
	Address string      // host:port or path
	Mode    os.FileMode // of a unix socket; 0 = 0660
	UID     int         // owner of a unix socket
	GID     int         // group of a unix socket
}

// normal returns the Spec with its defaults filled in, or says what is wrong with it.
func (s Spec) normal() (Spec, error) {
	switch {
	case !validName(s.Name):
		return s, fault.New(fault.Invalid, "%q cannot be a child's name", s.Name)
	case len(s.Args) == 0 || !filepath.IsAbs(s.Args[0]):
		return s, fault.New(fault.Invalid, "child %s: the program needs an absolute path", s.Name)
	case s.UID < 0 || s.GID < 0:
		return s, fault.New(fault.Invalid, "child %s: uid and gid cannot be negative", s.Name)
	case s.Control != "" && s.Probe != nil:
		return s, fault.New(fault.Invalid, "child %s: either Control or Probe", s.Name)
	}
	s.Dir = cmp.Or(s.Dir, "/")
	s.OutputMax = cmp.Or(s.OutputMax, 16<<20)
	s.Grace = cmp.Or(s.Grace, 10*time.Second)
	s.Umask = cmp.Or(s.Umask, 0o027)
	return s, nil
}

// validName says whether name can name a child and its cgroup.
func validName(name string) bool {
	if name == "" || len(name) > 100 || name[0] == '.' {
		return false
	}
	for _, r := range name {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.", r) {
			return false
		}
	}
	return true
}

// equal says whether a child started by one Spec fits the other. What is a
// handle and not a value is left out.
func (s Spec) equal(o Spec) bool {
	s.Files, o.Files, s.Probe, o.Probe = nil, nil, nil, nil
	return reflect.DeepEqual(s, o)
}

// States of a child.
const (
	Starting = "starting" // started, does not answer yet
	Up       = "up"       // answers
	Waiting  = "waiting"  // ended; will be started again after a pause
	Stopping = "stopping" // asked to stop
	Stopped  = "stopped"  // ended and not wanted
)

// Status is what is known of one child.
type Status struct {
	Name     string    `json:"name"`
	State    string    `json:"state"`
	PID      int       `json:"pid"`      // 0 = not running
	Since    time.Time `json:"since"`    // when this process was started or taken over
	Restarts int       `json:"restarts"` // starts after the first, in this supervisor's life
	Adopted  bool      `json:"adopted"`  // taken over, not started, by this supervisor
	Build    string    `json:"build"`    // as the child says; "" with Probe
	LastExit string    `json:"last_exit"`
}
