package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd/network"
	"github.com/strongroom/strongroom/internal/driver/containerd/volume"
	"github.com/strongroom/strongroom/internal/driver/formation"
	"github.com/strongroom/strongroom/internal/spool"
)

// Namespace is the containerd namespace of everything this engine makes.
const Namespace = "strongroom"

// Ids on the host: space N has rangeSize ids from firstUID + N*rangeSize.
const (
	firstUID  = 200_000
	rangeSize = 65_536
	maxSpaces = 4096
)

// Config of a driver. All fields without a default are needed.
type Config struct {
	// Client of the private containerd (see Daemon). Close does not close it.
	Client *client.Client
	// Data is a directory on disk: which space has which ids, which volume
	// belongs to which space.
	Data string
	// Run is a directory on a tmpfs, searchable by everybody: what was applied,
	// with its secrets in files that only root reads, and FIFOs.
	Run string
	// Network and Volumes make namespaces and encrypted directories.
	Network *network.Network
	Volumes *volume.Pool
	// Logs takes the output of containers; SpoolUID owns the FIFOs it reads.
	Logs     Logs
	SpoolUID int
	// Ingress brings connections in. Nil: nothing does.
	Ingress Ingress
	// Init is the path of a static program that is the first process of every
	// container, collects orphans and passes signals on (tini-static). A command
	// that were first itself would not get signals that it has no handler for:
	// SIGTERM would have no effect on many.
	Init string
	// Cgroup is the parent of all containers' cgroups, "/strongroom" if empty.
	Cgroup string
	// Policy of restarts; the zero value means formation.DefaultPolicy.
	Policy formation.Policy
	// ScratchBytes is reserved in each space for what containers write outside
	// of volumes; 0 = 4 GiB.
	ScratchBytes int64
	// MaxImageBytes bounds one import; 0 = 8 GiB.
	MaxImageBytes int64
	// MaxUnpackedBytes and MaxUnpackedFiles bound what the layers of one image
	// may inflate to; 0 = 8 GiB and 1,000,000.
	MaxUnpackedBytes int64
	MaxUnpackedFiles int
	// Looks are surveys of areas of the host that have nothing to do with
	// containers.
	Looks map[string]func(context.Context, *driver.Survey) error
	// Defaults replaces zero limits of a process: 512 MiB, 256 processes.
	Defaults driver.Limits
}

func (c *Config) complete() {
	if c.Cgroup == "" {
		c.Cgroup = "/strongroom"
	}
	if c.Policy == (formation.Policy{}) {
		c.Policy = formation.DefaultPolicy
	}
	if c.ScratchBytes == 0 {
		c.ScratchBytes = 4 << 30
	}
	if c.MaxImageBytes == 0 {
		c.MaxImageBytes = 8 << 30
	}
	if c.MaxUnpackedBytes == 0 {
		c.MaxUnpackedBytes = 8 << 30
	}
	if c.MaxUnpackedFiles == 0 {
		c.MaxUnpackedFiles = 1_000_000
	}
	if c.Defaults.MemoryBytes == 0 {
		c.Defaults.MemoryBytes = 512 << 20
	}
	if c.Defaults.PIDs == 0 {
		c.Defaults.PIDs = 256
	}
}

// Logs is the spool process: *spool.Client.
type Logs interface {
	Open(ctx context.Context, stream spool.Stream) error
	Close(ctx context.Context, id string) error
	Write(ctx context.Context, line spool.Line) error
	Streams(ctx context.Context) ([]spool.Stream, error)
	Logs(ctx context.Context, query driver.LogQuery) (io.ReadCloser, error)
	RemoveSpace(ctx context.Context, space string) error
}

// Driver is the engine. Open makes it.
type Driver struct {
	cfg  Config
	log  *slog.Logger
	dirs dirs
	runc string // path of the wrapper

	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	workers sync.WaitGroup
	wake    chan struct{} // tells the planner that something changed
	starts  chan struct{} // holds a token for each start under way
	imports sync.Mutex
	said    chan spool.Line
	spaceOp locks // one change of a space at a time
	volOp   locks // one change of a volume at a time

	// mu guards what is known; never held during calls to others.
	mu         sync.Mutex
	spaces     map[string]*space
	formations map[string]driver.Formation
	containers map[string]*container
	volumes    map[string]volumeRecord
	execs      map[int]bool // process ids on the host of what Exec started
}

var _ driver.Driver = (*Driver)(nil)

// startsAtOnce bounds how many containers are being started at a time.
const startsAtOnce = 8

// Open returns an engine that goes on with what a former one left in Run and
// in containerd. Only one may be open at a time.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Driver, error) {
	cfg.complete()
	if !filepath.IsAbs(cfg.Init) {
		return nil, fmt.Errorf("the driver needs an init, not %q", cfg.Init)
	}
	d := &Driver{
		cfg: cfg, log: log, wake: make(chan struct{}, 1), starts: make(chan struct{}, startsAtOnce),
		said:   make(chan spool.Line, saidAtOnce),
		spaces: map[string]*space{}, formations: map[string]driver.Formation{},
		containers: map[string]*container{}, volumes: map[string]volumeRecord{}, execs: map[int]bool{},
	}
	var err error
	if d.dirs, err = makeDirs(cfg.Data, cfg.Run); err != nil {
		return nil, err
	}
	if d.runc, err = installRuntime(d.dirs); err != nil {
		return nil, err
	}
	d.ctx, d.stop = context.WithCancel(namespaces.WithNamespace(context.Background(), Namespace))
	if err := d.adopt(namespaces.WithNamespace(ctx, Namespace)); err != nil {
		d.stop()
		d.workers.Wait()
		return nil, fmt.Errorf("adopt what is running: %w", err)
	}
	d.workers.Go(d.planner)
	d.workers.Go(d.writeLines)
	d.kick()
	return d, nil
}

// Close ends the engine's own work. Containers go on.
func (d *Driver) Close() error {
	d.stop()
	d.workers.Wait()
	return nil
}

// Capabilities implements driver.Driver.
func (d *Driver) Capabilities(ctx context.Context) (driver.Capabilities, error) {
	v, err := d.cfg.Client.Version(d.with(ctx))
	if err != nil {
		return driver.Capabilities{}, d.unavailable(err)
	}
	return driver.Capabilities{
		Engine: "containerd", Version: v.Version, UserNamespaces: true,
		SocketHandover: d.cfg.Ingress != nil, VolumeErasure: true,
	}, nil
}

// with names the containerd namespace in a caller's context.
func (d *Driver) with(ctx context.Context) context.Context {
	return inNamespace(ctx)
}

func inNamespace(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, Namespace)
}

// kick has the planner look again.
func (d *Driver) kick() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// spawn runs f until it returns; Close waits for it.
func (d *Driver) spawn(f func()) {
	d.workers.Go(f)
}

// pause waits, and reports whether the engine still runs.
func (d *Driver) pause(t time.Duration) bool {
	select {
	case <-time.After(t):
		return true
	case <-d.ctx.Done():
		return false
	}
}

// locks is a set of mutexes by name.
type locks struct {
	mu   sync.Mutex
	held map[string]*lock
}

type lock struct {
	sync.Mutex
	users int
}

// lock locks the name and returns the function that unlocks it.
func (l *locks) lock(name string) (unlock func()) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*lock{}
	}
	k := l.held[name]
	if k == nil {
		k = &lock{}
		l.held[name] = k
	}
	k.users++
	l.mu.Unlock()
	k.Lock()
	return func() {
		k.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(l.held, name)
		}
	}
}

// errEnded is the cause when the engine is closing.
var errEnded = errors.New("the engine is closing")
