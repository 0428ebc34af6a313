package containerd

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
)

// Ingress is what brings connections into spaces: a router for each, and the
// edge before them. Its calls are level triggered like the engine's own.
type Ingress interface {
	// EnsureSpace brings the router of a space up.
	EnsureSpace(ctx context.Context, gate Gate) error
	// RemoveSpace ends it. Unknown id: no error.
	RemoveSpace(ctx context.Context, id string) error
	// Publish says what the router is to serve, replacing what was said
	// before. When it returns without error, that is in force.
	Publish(ctx context.Context, traffic Traffic) error
	// Idle waits until the router has no request under way to an address
	// that was published before and no longer is.
	Idle(ctx context.Context, space, address string) error
	// Strangers are the connections to a space that were refused, as counted a
	// moment ago.
	Strangers(id string) []driver.Stranger
	// RefusedNames lists the names of the outside that were asked for within
	// the last hour and have no answer.
	RefusedNames(space string) []RefusedName
	// Up reports whether a space's router is at work.
	Up(ctx context.Context, id string) bool
}

// RefusedName counts the questions of one address for a name.
type RefusedName struct {
	From, Name, Why string // driver.RefusedDNS …
	Questions       int64
}

// Gate is the place where a space's router works.
type Gate struct {
	Space   string
	Index   int
	NetNS   string
	Trusted []string
}

// Traffic is what a space's router serves and its resolver answers.
type Traffic struct {
	Space      string
	Trusted    []string
	Routes     *driver.Routes      // nil = none were applied yet
	Formations map[string]Backends // by formation id
	Names      map[string][]string // addresses by name relative to localspace
}

// Backends are a formation's instances that accept connections.
type Backends struct {
	Port      int
	Instances []BackendInstance
	Crashed   bool // instances are wanted and none stays up
}

// BackendInstance is one of them.
type BackendInstance struct {
	Address string
	Dyno    string
}

// publishPatience is how long stopping an instance waits for the router to
// have taken it out.
const publishPatience = 5 * time.Second

// publish tells the router of a space what there is now. Without Ingress it
// does nothing.
func (d *Driver) publish(ctx context.Context, id string) error {
	if d.cfg.Ingress == nil {
		return nil
	}
	defer d.spaceOp.lock("publish " + id)()
	t, ok := d.traffic(id)
	if !ok {
		return nil
	}
	if err := d.cfg.Ingress.Publish(ctx, t); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.spaces[id]; s != nil && t.Routes != nil {
		s.served = driver.Digest(*t.Routes)
	}
	return nil
}

// publishSoon publishes in the background until it succeeds.
func (d *Driver) publishSoon(id string) {
	if d.cfg.Ingress == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.spaces[id]
	if s == nil {
		return
	}
	s.dirty = true
	if !s.publishing {
		s.publishing = true
		d.spawn(func() { d.publisher(s) })
	}
}

// publisher publishes a space until nothing has changed since.
func (d *Driver) publisher(s *space) {
	wait := 100 * time.Millisecond
	for d.takeDirty(s) {
		ctx, cancel := context.WithTimeout(d.ctx, publishPatience)
		err := d.publish(ctx, s.ID)
		cancel()
		if err == nil {
			continue
		}
		d.log.Warn("router not told", "space", s.ID, "err", err)
		d.mu.Lock()
		s.dirty = true
		d.mu.Unlock()
		if !d.pause(wait) {
			return
		}
		wait = min(2*wait, 10*time.Second)
	}
}

// takeDirty reports whether there is something to publish; if not, the
// publisher is done.
func (d *Driver) takeDirty(s *space) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.publishing = s.dirty && d.spaces[s.ID] == s
	s.dirty = false
	return s.publishing
}

// traffic is the present state of a space, for its router.
func (d *Driver) traffic(id string) (Traffic, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.spaces[id]
	if s == nil {
		return Traffic{}, false
	}
	t := Traffic{Space: id, Trusted: s.Trusted, Routes: s.Routes, Formations: map[string]Backends{}, Names: map[string][]string{}}
	for _, f := range d.formations {
		if f.Space == id {
			t.Formations[f.ID] = Backends{Port: f.Process.Port}
			t.Names[f.Name] = nil
		}
	}
	for _, c := range d.ordered() {
		f, kept := d.formations[c.Formation]
		if c.Space != id || !kept {
			continue
		}
		b := t.Formations[f.ID]
		switch c.State {
		case driver.Up:
			b.Instances = append(b.Instances, BackendInstance{Address: c.Address, Dyno: c.Dyno})
			t.Names[f.Name] = append(t.Names[f.Name], c.Address)
			t.Names[strconv.Itoa(c.Ordinal)+"."+f.Name] = []string{c.Address}
		case driver.Crashed:
			b.Crashed = true
		}
		t.Formations[f.ID] = b
	}
	return t, true
}

// ordered returns all containers in a stable order; d.mu is held.
func (d *Driver) ordered() []*container {
	var list []*container
	for _, id := range slices.Sorted(maps.Keys(d.containers)) {
		list = append(list, d.containers[id])
	}
	return list
}

// ApplyRoutes implements driver.Driver.
func (d *Driver) ApplyRoutes(_ context.Context, r driver.Routes) error {
	if err := r.Validate(); err != nil {
		return err
	}
	defer d.spaceOp.lock(r.Space)()
	d.mu.Lock()
	s, err := d.space(r.Space)
	if err == nil {
		s.Routes = &r
		err = d.saveSpace(s)
	}
	d.mu.Unlock()
	if err != nil {
		return err
	}
	d.publishSoon(r.Space)
	return nil
}
