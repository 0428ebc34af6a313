package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd"
	"github.com/strongroom/strongroom/internal/edge"
	"github.com/strongroom/strongroom/internal/router"
	"github.com/strongroom/strongroom/internal/router/resolver"
	"github.com/strongroom/strongroom/internal/spool"
	"github.com/strongroom/strongroom/internal/supervise"
)

// routerGrace is what a router gets to end its open requests.
const routerGrace = 35 * time.Second

// keepEvery is how often routers and edge are compared with what they are to
// serve: one that was restarted knows nothing.
const keepEvery = 500 * time.Millisecond

// ingress is the routers and the edge of this host.
type ingress struct {
	*engine
	edge *edge.Client // nil without an edge
	push sync.Mutex   // held while the edge is told

	mu    sync.Mutex
	since time.Time // all spaces were taken over; zero before
	gates map[string]*gate
	table string // digest of what the edge was told last
	pid   int    // of the edge that was told
}

// gate is one router.
type gate struct {
	containerd.Gate
	client *router.Client
	access *os.File
	names  *outside
	told   sync.Mutex // held while it is told

	// Guarded by ingress.mu.
	traffic   *containerd.Traffic
	strangers []driver.Stranger
	pid       int // of the router that was told last; 0 = none
}

var _ containerd.Ingress = (*ingress)(nil)

func newIngress(e *engine) *ingress {
	in := &ingress{engine: e, gates: map[string]*gate{}}
	if e.cfg.HTTPS != "" {
		in.edge = edge.NewClient(e.cfg.edgeSocket())
	}
	return in
}

// EnsureSpace implements containerd.Ingress.
func (in *ingress) EnsureSpace(ctx context.Context, g containerd.Gate) error {
	in.mu.Lock()
	have := in.gates[g.Space]
	if have != nil {
		have.Gate = g
	}
	in.mu.Unlock()
	if have == nil {
		access, err := in.openAccessLog(ctx, g)
		if err != nil {
			return fmt.Errorf("access log: %w", err)
		}
		names, err := in.answerNames(g)
		if err != nil {
			return errors.Join(fmt.Errorf("answer names of the outside: %w", err), access.Close())
		}
		have = &gate{Gate: g, client: router.NewClient(in.routerControl(g.Space)), access: access, names: names}
		in.mu.Lock()
		in.gates[g.Space] = have
		in.mu.Unlock()
	}
	if err := openResolverPort(g.NetNS); err != nil {
		return fmt.Errorf("open the resolver's port: %w", err)
	}
	if err := in.children.Ensure(in.routerSpec(g, have.access)); err != nil {
		return err
	}
	return in.tellEdge(ctx)
}

func accessStream(space string) string { return "router." + space }

func (in *ingress) accessPath(space string) string {
	return filepath.Join(in.cfg.secretRun(), "streams", "router-"+space)
}

// openAccessLog makes the FIFO of a router's access log and has spool read it.
func (in *ingress) openAccessLog(ctx context.Context, g containerd.Gate) (*os.File, error) {
	path := in.accessPath(g.Space)
	if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := os.Chown(path, in.cfg.SpoolUID, in.cfg.SpoolUID); err != nil {
		return nil, err
	}
	// Open for reading as well, so that it outlives a restart of spool.
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	stream := spool.Stream{
		ID: accessStream(g.Space), Space: g.Space, Source: "heroku", Dyno: "router", Path: path, Kind: spool.KindRouter,
	}
	if err := in.spool.Open(ctx, stream); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// RemoveSpace implements containerd.Ingress.
func (in *ingress) RemoveSpace(ctx context.Context, id string) error {
	in.mu.Lock()
	g := in.gates[id]
	delete(in.gates, id)
	in.mu.Unlock()
	if g != nil {
		g.names.stop() // its socket keeps the space's network
	}
	if err := in.tellEdge(ctx); err != nil {
		in.log.Warn("edge not told", "err", err)
	}
	if err := in.children.Stop(ctx, routerName(id)); err != nil {
		return err
	}
	if g != nil {
		g.client.Close()
		g.access.Close()
	}
	if err := in.spool.Close(ctx, accessStream(id)); err != nil {
		return err
	}
	var err error
	for _, path := range []string{in.accessPath(id), in.handover(id), in.routerControl(id), filepath.Join(in.cfg.routers(), id), in.output(routerName(id))} {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// Publish implements containerd.Ingress.
func (in *ingress) Publish(ctx context.Context, t containerd.Traffic) error {
	in.mu.Lock()
	g := in.gates[t.Space]
	if g != nil {
		g.traffic = &t
	}
	in.mu.Unlock()
	if g == nil {
		return nil
	}
	return errors.Join(in.tellRouter(ctx, g), in.tellEdge(ctx))
}

// tellRouter pushes what a router is to serve.
func (in *ingress) tellRouter(ctx context.Context, g *gate) error {
	g.told.Lock()
	defer g.told.Unlock()
	pid := in.pids()[routerName(g.Space)]
	in.mu.Lock()
	t := g.traffic
	in.mu.Unlock()
	if t == nil {
		return nil
	}
	if err := g.client.Push(ctx, snapshot(*t)); err != nil {
		return err
	}
	in.mu.Lock()
	g.pid = pid
	in.mu.Unlock()
	return nil
}

// tellEdge pushes the table, if it is another than the edge has.
func (in *ingress) tellEdge(ctx context.Context) error {
	if in.edge == nil || !in.complete() {
		return nil
	}
	in.push.Lock()
	defer in.push.Unlock()
	pid := in.pids()["edge"]
	table := in.edgeTable()
	if digest := table.Digest(); digest != in.table || pid != in.pid || pid == 0 {
		if err := in.edge.Push(ctx, table); err != nil {
			return err
		}
		in.table, in.pid = digest, pid
	}
	return nil
}

// takenOver says that all spaces that there were are known.
func (in *ingress) takenOver() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.since = time.Now()
}

// takeOverPatience is how long one space that is not published may keep the
// edge from being told of the others.
const takeOverPatience = 5 * time.Second

// complete tells whether the table is. An engine that was restarted learns of
// one space after the other; until it knows all that they serve, the edge goes
// on with the table that it has.
func (in *ingress) complete() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.since.IsZero():
		return false
	case time.Since(in.since) > takeOverPatience:
		return true
	}
	for _, g := range in.gates {
		if g.traffic == nil {
			return false
		}
	}
	return true
}

func (in *ingress) edgeTable() edge.Table {
	in.mu.Lock()
	defer in.mu.Unlock()
	var list []edge.Space
	taken := map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(in.gates)) {
		g := in.gates[id]
		s := edge.Space{ID: id, Socket: in.handover(id), Trusted: g.Trusted}
		for _, r := range served(g.traffic) {
			// A name in two spaces would void the whole table.
			if other, ok := taken[r.Hostname]; ok {
				in.log.Error("two spaces claim one name", "hostname", r.Hostname, "served", other, "refused", id)
				continue
			}
			taken[r.Hostname] = id
			s.Hostnames = append(s.Hostnames, r.Hostname)
		}
		list = append(list, s)
	}
	return edge.Table{Spaces: list}
}

// Idle implements containerd.Ingress.
func (in *ingress) Idle(ctx context.Context, space, address string) error {
	in.mu.Lock()
	g := in.gates[space]
	in.mu.Unlock()
	for g != nil {
		s, err := g.client.Status(ctx)
		if err != nil {
			return err
		}
		busy := slices.ContainsFunc(s.Backends, func(b router.BackendStatus) bool {
			host, _, _ := net.SplitHostPort(b.Address)
			return host == address && b.Requests > 0
		})
		if !busy {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Up implements containerd.Ingress.
func (in *ingress) Up(_ context.Context, id string) bool {
	return in.pids()[routerName(id)] != 0
}

// pids returns the processes that are up by name.
func (in *ingress) pids() map[string]int {
	up := map[string]int{}
	for _, s := range in.children.Status() {
		if s.State == supervise.Up {
			up[s.Name] = s.PID
		}
	}
	return up
}

// keep tells those again that were restarted, and counts who was refused, until
// ctx ends.
func (in *ingress) keep(ctx context.Context) error {
	var counted time.Time
	for {
		select {
		case <-time.After(keepEvery):
		case <-ctx.Done():
			return nil
		}
		up := in.pids()
		for _, g := range in.stale(up) {
			in.tell(ctx, routerName(g.Space), func(ctx context.Context) error { return in.tellRouter(ctx, g) })
		}
		if in.edge != nil && up["edge"] != 0 {
			in.tell(ctx, "edge", in.tellEdge)
		}
		if time.Since(counted) >= countEvery {
			in.count(ctx, up)
			counted = time.Now()
		}
	}
}

func (in *ingress) tell(ctx context.Context, who string, f func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := f(ctx); err != nil && ctx.Err() == nil {
		in.log.Warn("not told what to serve", "process", who, "err", err)
	}
}

// stale returns the routers that are up and were not told anything yet.
func (in *ingress) stale(up map[string]int) []*gate {
	in.mu.Lock()
	defer in.mu.Unlock()
	var list []*gate
	for _, g := range in.gates {
		if pid := up[routerName(g.Space)]; pid != 0 && pid != g.pid && g.traffic != nil {
			list = append(list, g)
		}
	}
	return list
}

// served returns the routes that can be served: those with a certificate.
func served(t *containerd.Traffic) []driver.Route {
	var list []driver.Route
	if t != nil && t.Routes != nil {
		for _, r := range t.Routes.Domains {
			if r.Certificate != "" {
				list = append(list, r)
			}
		}
	}
	return list
}

// snapshot says it in the router's words.
func snapshot(t containerd.Traffic) router.Snapshot {
	s := router.Snapshot{Space: t.Space, HSTS: t.Routes != nil && t.Routes.HSTS, Trusted: append([]string{}, t.Trusted...), Hosts: []router.Host{}, Names: []router.Name{}, Outside: resolver.Outside}
	for _, r := range served(&t) {
		h := router.Host{
			Name: r.Hostname, App: r.App, Maintenance: r.Maintenance,
			Certificate: r.Certificate, Key: r.Key, MinTLS: r.MinTLS, Clients: r.Clients,
		}
		b := t.Formations[r.Formation]
		h.Crashed = b.Crashed && len(b.Instances) == 0
		if b.Port == 0 {
			b.Instances = nil // they listen on nothing
		}
		for _, i := range b.Instances {
			h.Backends = append(h.Backends, router.Backend{Address: net.JoinHostPort(i.Address, strconv.Itoa(b.Port)), Dyno: i.Dyno})
		}
		s.Hosts = append(s.Hosts, h)
	}
	for _, name := range slices.SortedFunc(maps.Keys(t.Names), strings.Compare) {
		s.Names = append(s.Names, router.Name{Name: name, Addresses: t.Names[name]})
	}
	return s
}
