package containerd

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd/network"
)

// Observe implements driver.Driver. What is to be running is reported as
// running only if containerd says so, and a space's digest only if its rules
// are in force.
func (d *Driver) Observe(ctx context.Context) (driver.Observation, error) {
	ctx = d.with(ctx)
	up := d.up() // before asking: what comes up meanwhile must not look dead
	alive, err := d.alive(ctx)
	if err != nil {
		return driver.Observation{}, err
	}
	net, err := d.cfg.Network.Observe(ctx)
	if err != nil {
		return driver.Observation{}, err
	}
	o := driver.Observation{Time: time.Now().UTC()}
	if o.Images, err = d.imageDigests(ctx); err != nil {
		return driver.Observation{}, err
	}
	if o.Volumes, err = d.observeVolumes(ctx); err != nil {
		return driver.Observation{}, err
	}
	o.Spaces = d.observeSpaces(ctx, net)
	dead := map[string]bool{}
	for _, id := range up {
		dead[id] = !alive[id]
	}
	d.observeContainers(&o, dead)
	return o, nil
}

// up returns the instances that are believed to be up.
func (d *Driver) up() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []string
	for _, c := range d.containers {
		if c.State == driver.Up {
			list = append(list, c.ID)
		}
	}
	return list
}

// alive returns the containers whose process runs.
func (d *Driver) alive(ctx context.Context) (map[string]bool, error) {
	list, err := d.cfg.Client.TaskService().List(ctx, &tasks.ListTasksRequest{})
	if err != nil {
		return nil, d.unavailable(err)
	}
	alive := map[string]bool{}
	for _, t := range list.Tasks {
		alive[t.ID] = t.Status == task.Status_RUNNING
	}
	return alive, nil
}

func (d *Driver) observeVolumes(ctx context.Context) ([]driver.ObservedVolume, error) {
	states, err := d.cfg.Volumes.Observe(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []driver.ObservedVolume
	for _, v := range states {
		if r, known := d.volumes[v.ID]; known { // the others are scratch
			out = append(out, driver.ObservedVolume{ID: v.ID, Space: r.Space, Unlocked: v.Unlocked, Bytes: v.Bytes, Used: v.Used})
		}
	}
	return out, nil
}

func (d *Driver) observeSpaces(ctx context.Context, net network.Observation) []driver.ObservedSpace {
	inForce := map[string]network.SpaceState{}
	for _, s := range net.Spaces {
		inForce[s.ID] = s
	}
	names := d.refusedNames(net)
	var out []driver.ObservedSpace
	d.mu.Lock()
	for _, id := range slices.Sorted(maps.Keys(d.spaces)) {
		s := d.spaces[id]
		seen := driver.ObservedSpace{ID: id, UIDBase: s.base(), UIDs: rangeSize, Router: "down"}
		if n := inForce[id]; n.InForce && net.Host.InForce {
			seen.Digest, seen.Subnet = driver.Digest(s.Space), n.Subnet.String()
		}
		if seen.Routes = s.served; d.cfg.Ingress == nil && s.Routes != nil {
			seen.Routes = driver.Digest(*s.Routes) // there is nobody to serve them
		}
		seen.Refused = d.refused(inForce[id].Refused, names[id])
		out = append(out, seen)
	}
	d.mu.Unlock()
	for i := range out {
		if d.cfg.Ingress == nil {
			continue
		}
		out[i].Strangers = d.cfg.Ingress.Strangers(out[i].ID)
		if d.cfg.Ingress.Up(ctx, out[i].ID) {
			out[i].Router = "up"
		}
	}
	return out
}

// refusedNames asks for the names that each space's dynos may not know.
func (d *Driver) refusedNames(net network.Observation) map[string][]RefusedName {
	out := map[string][]RefusedName{}
	if d.cfg.Ingress != nil {
		for _, s := range net.Spaces {
			out[s.ID] = d.cfg.Ingress.RefusedNames(s.ID)
		}
	}
	return out
}

const dnsPort = 53

// refused says whose attempts those of addresses were; d.mu is held.
func (d *Driver) refused(list []network.Refusal, names []RefusedName) []driver.Refusal {
	owners := map[string]*container{}
	for _, c := range d.containers {
		owners[c.Address] = c
	}
	out := make([]driver.Refusal, 0, len(list)+len(names))
	add := func(from string, x driver.Refusal) {
		if c := owners[from]; c != nil {
			x.App, x.Dyno = c.Labels.App, c.Dyno
		}
		out = append(out, x)
	}
	for _, r := range list {
		add(r.From.String(), driver.Refusal{To: r.To.String(), Protocol: r.Protocol, Port: r.Port, Packets: int64(r.Packets)})
	}
	for _, n := range names {
		add(n.From, driver.Refusal{To: n.Name, Protocol: n.Why, Port: dnsPort, Packets: n.Questions})
	}
	return out
}

func (d *Driver) observeContainers(o *driver.Observation, dead map[string]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ready := map[string]int{}
	for _, c := range d.ordered() {
		if c.isTask() {
			o.Tasks = append(o.Tasks, observedTask(c))
			continue
		}
		i := observedInstance(c, dead[c.ID])
		if i.State == driver.Up && i.Revision == d.formations[i.Formation].Revision {
			ready[i.Formation]++
		}
		o.Instances = append(o.Instances, i)
	}
	for _, id := range slices.Sorted(maps.Keys(d.formations)) {
		f := d.formations[id]
		o.Formations = append(o.Formations, driver.ObservedFormation{
			ID: id, Space: f.Space, Digest: driver.Digest(f), Revision: f.Revision, Ready: ready[id],
		})
	}
}

func observedTask(c *container) driver.ObservedTask {
	return driver.ObservedTask{
		ID: c.ID, Space: c.Space, App: c.Labels.App, Name: c.Dyno, Running: c.Exit == nil, Since: c.Since, Exit: c.Exit,
	}
}

func observedInstance(c *container, dead bool) driver.Instance {
	i := driver.Instance{
		ID: c.ID, Formation: c.Formation, Ordinal: c.Ordinal, Revision: c.Revision, State: c.State,
		Address: c.Address, Since: c.Since, Restarts: c.Restarts, LastExit: c.Last,
	}
	if c.Exit != nil {
		i.LastExit = c.Exit
	}
	if i.State == driver.Up && dead {
		i.State = driver.Crashed
	}
	return i
}

func (d *Driver) knownSpace(id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err := d.space(id)
	return err
}
