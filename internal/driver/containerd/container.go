package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/strongroom/strongroom/internal/driver"
	"golang.org/x/sys/unix"
)

// record is what is known of a container; it lies in a file so that the next
// engine knows it too.
type record struct {
	ID      string
	Space   string
	Labels  driver.Labels
	Dyno    string // "web.1", "run.1234"
	Process driver.Process
	Address string

	// Of an instance.
	Formation string
	Revision  string
	Ordinal   int
	State     string
	Restarts  int
	Last      *driver.Exit // of the one it replaces

	// Of a task.
	Attach     bool
	TTY        bool
	Rows, Cols int
	Peers      []string
	Private    bool
	Deadline   time.Time // zero = none

	Since   time.Time // when it entered its state
	Started time.Time
	Kill    time.Time // it is being stopped, and killed at this time
	Exit    *driver.Exit
	Ran     time.Duration
	Done    bool // nothing is left of it but this record
}

// container is one instance or task, and stays for a while after its end. Its
// record is guarded by Driver.mu.
type container struct {
	record
	failing  bool
	stopping bool
	line     *line         // of an attached one
	task     client.Task   // set when launched
	launched chan struct{} // closed when its start succeeded or failed
	exited   chan struct{} // closed when its process has ended and Exit is set
	ended    chan struct{} // closed when nothing of it is left but the record
}

func newContainer(r record) *container {
	return &container{record: r, launched: make(chan struct{}), exited: make(chan struct{}), ended: make(chan struct{})}
}

// read returns a copy of the record as it is now.
func (d *Driver) read(c *container) record {
	d.mu.Lock()
	defer d.mu.Unlock()
	return c.record
}

// isTask reports whether it runs once.
func (r *record) isTask() bool { return r.Formation == "" }

// saveContainer keeps the record for the next engine; d.mu is held. A failure
// can only be a full tmpfs: the engine goes on with what it knows.
func (d *Driver) saveContainer(c *container) {
	if err := save(d.dirs.containers, c.ID, c.record); err != nil {
		d.log.Error("container not remembered", "container", c.ID, "err", err)
	}
}

// forgetContainer drops the record of one that has ended; d.mu is held.
func (d *Driver) forgetContainer(c *container) error {
	if d.containers[c.ID] == c {
		delete(d.containers, c.ID)
	}
	return forget(d.dirs.containers, c.ID)
}

// enter changes an instance's state; d.mu is held.
func (d *Driver) enter(c *container, state string) {
	was := c.State
	c.State, c.Since = state, time.Now().UTC()
	d.saveContainer(c)
	d.say(c.record, fmt.Sprintf("State changed from %s to %s", was, state))
}

// launch starts the container's process. When it fails nothing is left of it.
func (d *Driver) launch(ctx context.Context, c *container, stdio cio.Creator) (err error) {
	defer close(c.launched)
	select {
	case d.starts <- struct{}{}:
		defer func() { <-d.starts }()
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() {
		if err != nil {
			d.clean(d.read(c))
		}
	}()
	s, b, rootfs, err := d.prepare(ctx, c)
	if err != nil {
		return err
	}
	if !c.Attach {
		if stdio, err = d.openStreams(ctx, b.record); err != nil {
			return err
		}
	}
	if err := d.saveSpec(c.ID, s, b.netns); err != nil {
		return err
	}
	task, err := d.create(ctx, b, s, rootfs, stdio)
	if err != nil {
		return err
	}
	d.mu.Lock()
	c.task = task
	c.Started = time.Now().UTC()
	d.saveContainer(c)
	d.mu.Unlock()
	// The container has the mounts of its own; these would only hold volumes.
	return d.unmountSources(c.ID)
}

// prepare makes all that the container needs.
func (d *Driver) prepare(ctx context.Context, c *container) (*specs.Spec, bundle, []mount.Mount, error) {
	fail := func(err error) (*specs.Spec, bundle, []mount.Mount, error) { return nil, bundle{}, nil, err }
	d.mu.Lock()
	s, err := d.space(c.Space)
	d.mu.Unlock()
	if err != nil {
		return fail(err)
	}
	img, err := d.image(ctx, c.Process.Image)
	if err != nil {
		return fail(err)
	}
	layers, err := d.mapLayers(s, img.layers)
	if err != nil {
		return fail(err)
	}
	netns, err := d.attach(ctx, c)
	if err != nil {
		return fail(err)
	}
	r := d.read(c)
	b := bundle{
		record: r, base: s.base(), netns: netns, cgroup: d.cgroup(c.ID), files: filepath.Join(d.dirs.files, c.ID),
		imageEnv: img.config.Env, imageDir: img.config.WorkingDir, defaults: d.cfg.Defaults,
		init: d.cfg.Init,
	}
	if err := writeFiles(b.files, r); err != nil {
		return fail(err)
	}
	scratch, err := d.scratch(ctx, s)
	if err != nil {
		return fail(err)
	}
	upper, work, tmp, err := writable(scratch, c.ID, s.base())
	if err != nil {
		return fail(err)
	}
	b.tmp = tmp
	if b.mounts, err = d.mountSources(r, s.base()); err != nil {
		return fail(err)
	}
	return b.spec(), b, overlay(layers, upper, work), nil
}

func (d *Driver) cgroup(id string) string { return filepath.Join(d.cfg.Cgroup, id) }

// attach gives the container its network, and its peers their way to it,
// before anything runs in it.
func (d *Driver) attach(ctx context.Context, c *container) (netns string, err error) {
	e, err := d.cfg.Network.Attach(ctx, c.Space, c.ID)
	if err != nil {
		return "", err
	}
	d.mu.Lock()
	c.Address = e.Address.String()
	d.saveContainer(c)
	d.mu.Unlock()
	return e.NetNS, d.applyPolicy(ctx, c.Space)
}

// writeFiles makes the files that say who and where the container is.
func writeFiles(dir string, r record) error {
	hosts := "127.0.0.1\tlocalhost\n::1\tlocalhost\n" + r.Address + "\t" + r.ID + "\n"
	resolv := "nameserver 169.254.1.1\nsearch localspace\n"
	return errors.Join(
		os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "hosts"), []byte(hosts), 0o644),
		os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte(resolv), 0o644),
		os.Chmod(filepath.Join(dir, "hosts"), 0o644),
		os.Chmod(filepath.Join(dir, "resolv.conf"), 0o644),
	)
}

func overlay(layers []string, upper, work string) []mount.Mount {
	lower := "lowerdir=" + layers[0]
	for _, l := range layers[1:] {
		lower += ":" + l
	}
	return []mount.Mount{{
		Type: "overlay", Source: "overlay",
		Options: []string{"nosuid", "nodev", lower, "upperdir=" + upper, "workdir=" + work},
	}}
}

// create registers the container, without command and environment, and starts
// it.
func (d *Driver) create(ctx context.Context, b bundle, s *specs.Spec, rootfs []mount.Mount, stdio cio.Creator) (client.Task, error) {
	r := b.record
	public := *s
	public.Process = &specs.Process{Args: []string{"see " + d.dirs.specs}, Cwd: "/"}
	host := uint32(b.base + r.Process.UID)
	con, err := d.cfg.Client.NewContainer(ctx, r.ID,
		client.WithContainerLabels(labels(r)),
		client.WithRuntime("io.containerd.runc.v2", &options.Options{BinaryName: d.runc, IoUid: host, IoGid: host}),
		withSpec(&public),
	)
	if err != nil {
		return nil, d.unavailable(err)
	}
	task, err := con.NewTask(ctx, stdio, client.WithRootFS(rootfs))
	if err != nil {
		return nil, fmt.Errorf("create task: %w", err)
	}
	if err := task.Start(ctx); err != nil {
		return nil, fmt.Errorf("start task: %w", err)
	}
	return task, nil
}

// withSpec registers the specification as it is.
func withSpec(s *specs.Spec) client.NewContainerOpts {
	return func(_ context.Context, _ *client.Client, c *containers.Container) (err error) {
		c.Spec, err = typeurl.MarshalAny(s)
		return err
	}
}

// labels let people and the next engine see what a container is.
func labels(r record) map[string]string {
	l := map[string]string{
		"strongroom/space": r.Space, "strongroom/app": r.Labels.App, "strongroom/source": r.Labels.Source,
		"strongroom/type": r.Labels.Type, "strongroom/dyno": r.Dyno,
	}
	if r.isTask() {
		l["strongroom/task"] = r.ID
		return l
	}
	l["strongroom/formation"] = r.Formation
	l["strongroom/revision"] = r.Revision
	l["strongroom/ordinal"] = strconv.Itoa(r.Ordinal)
	return l
}

// watch waits for the end of the process, through restarts of containerd, and
// then clears up after it.
func (d *Driver) watch(c *container) {
	for {
		exit, err := d.awaitExit(c)
		if d.ctx.Err() != nil {
			return
		}
		if err == nil {
			d.finish(c, exit)
			return
		}
		d.log.Warn("container not observed", "container", c.ID, "err", err)
		if !d.pause(200 * time.Millisecond) {
			return
		}
	}
}

// unknownExit is the code of a process whose end nobody saw.
const unknownExit = 255

func (d *Driver) awaitExit(c *container) (driver.Exit, error) {
	con, err := d.cfg.Client.LoadContainer(d.ctx, c.ID)
	if errdefs.IsNotFound(err) {
		return driver.Exit{Code: unknownExit}, nil
	}
	if err != nil {
		return driver.Exit{}, err
	}
	task, err := con.Task(d.ctx, nil)
	if errdefs.IsNotFound(err) {
		return driver.Exit{Code: unknownExit}, nil
	}
	if err != nil {
		return driver.Exit{}, err
	}
	exited, err := task.Wait(d.ctx)
	if err != nil {
		return driver.Exit{}, err
	}
	select {
	case status := <-exited:
		if err := status.Error(); err != nil {
			return driver.Exit{}, err
		}
		code := int(status.ExitCode())
		return driver.Exit{Code: code, OOMKilled: code == 137 && oomKilled(d.cgroup(c.ID))}, nil
	case <-d.ctx.Done():
		return driver.Exit{}, errEnded
	}
}

// finish records the end of the process and removes what was made for it. If
// the engine is closed meanwhile, the next one does the rest.
func (d *Driver) finish(c *container, exit driver.Exit) {
	d.mu.Lock()
	if c.Exit == nil { // else a former engine was at it
		c.Exit = &exit
		if !c.Started.IsZero() {
			c.Ran = time.Since(c.Started)
		}
	}
	d.saveContainer(c)
	close(c.exited)
	r := c.record
	d.mu.Unlock()
	if c.line != nil {
		c.line.await(d.ctx)
	}
	d.say(r, fmt.Sprintf("Process exited with status %d", exit.Code))
	if exit.OOMKilled {
		d.say(r, "Error R15 (Memory quota vastly exceeded)")
	}
	if !d.clean(r) {
		return
	}
	d.mu.Lock()
	c.Done = true
	d.conclude(c)
	close(c.ended)
	d.mu.Unlock()
	d.publishSoon(c.Space)
	d.kick()
}

// taskMemory is how long an ended task is observed.
const taskMemory = time.Hour

// conclude decides what stays of a container that has ended; d.mu is held.
func (d *Driver) conclude(c *container) {
	switch {
	case c.isTask():
		c.Since = time.Now().UTC()
		d.saveContainer(c)
		d.forgetLater(c, taskMemory)
	case c.State == driver.Draining:
		if err := d.forgetContainer(c); err != nil {
			d.log.Error("record not removed", "container", c.ID, "err", err)
		}
	default:
		d.enter(c, driver.Crashed)
	}
}

func (d *Driver) forgetLater(c *container, after time.Duration) {
	time.AfterFunc(after, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.ctx.Err() == nil {
			d.forgetContainer(c)
		}
	})
}

// clean removes all that was made for a container, whatever of it there is.
// It goes on until that has succeeded, or the engine is closed: a leftover
// would pin volumes.
func (d *Driver) clean(r record) bool {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := d.cleanOnce(r)
		if err == nil {
			return true
		}
		if d.ctx.Err() != nil {
			return false
		}
		d.log.Warn("container not cleared up", "container", r.ID, "err", err)
		if !d.pause(wait) {
			return false
		}
	}
}

func (d *Driver) cleanOnce(r record) error {
	ctx, cancel := context.WithTimeout(d.ctx, 30*time.Second)
	defer cancel()
	if err := d.delete(ctx, r.ID); err != nil {
		return err
	}
	err := errors.Join(d.closeStreams(ctx, r), d.unmountSources(r.ID), d.cfg.Network.Detach(ctx, r.Space, r.ID))
	if scratch, e := d.cfg.Volumes.Path(scratchID(r.Space)); e == nil {
		err = errors.Join(err, os.RemoveAll(filepath.Join(scratch, r.ID)))
	}
	return errors.Join(err, os.RemoveAll(filepath.Join(d.dirs.files, r.ID)), d.forgetSpec(r.ID))
}

// delete removes the container from containerd, killing what is left of it.
func (d *Driver) delete(ctx context.Context, id string) error {
	con, err := d.cfg.Client.LoadContainer(ctx, id)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	task, err := con.Task(ctx, nil)
	if err == nil {
		_, err = task.Delete(ctx, client.WithProcessKill)
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	if err := con.Delete(ctx); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	return nil
}

// stopContainer has the process end: a signal, grace, SIGKILL. d.mu is held;
// the rest happens in the background.
func (d *Driver) stopContainer(c *container, first unix.Signal, grace time.Duration) {
	due := time.Now().Add(grace)
	if c.stopping && !c.Kill.After(due) {
		return
	}
	if c.stopping {
		first = 0 // it was sent
	}
	c.Kill, c.stopping = due, true
	d.saveContainer(c)
	d.spawn(func() { d.terminate(c, first) })
}

// terminate carries a stop out. It kills again and again, since containerd may
// be restarting just now.
func (d *Driver) terminate(c *container, first unix.Signal) {
	select {
	case <-c.launched:
	case <-d.ctx.Done():
		return
	}
	d.mu.Lock()
	due := c.Kill
	d.mu.Unlock()
	if first != 0 && time.Until(due) > 0 {
		d.letGo(c)
		d.signal(c, first)
	}
	for wait := time.Until(due); ; wait = time.Second {
		select {
		case <-time.After(wait):
		case <-c.ended:
			return
		case <-d.ctx.Done():
			return
		}
		d.signal(c, unix.SIGKILL)
	}
}

// letGo waits until the router sends an instance no more requests.
func (d *Driver) letGo(c *container) {
	if d.cfg.Ingress == nil || c.isTask() {
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, publishPatience)
	defer cancel()
	if err := d.publish(ctx, c.Space); err != nil {
		d.log.Warn("instance stopped before the router knew", "container", c.ID, "err", err)
		return
	}
	if err := d.cfg.Ingress.Idle(ctx, c.Space, c.Address); err != nil && d.ctx.Err() == nil {
		d.log.Info("instance stopped with requests under way", "container", c.ID)
	}
}

// signal goes to the init, which passes it on once to each process of the
// command; SIGKILL, which it could not pass on, to all.
func (d *Driver) signal(c *container, s unix.Signal) {
	d.mu.Lock()
	task := c.task
	d.mu.Unlock()
	if task == nil {
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, 10*time.Second)
	defer cancel()
	var opts []client.KillOpts
	if s == unix.SIGKILL {
		opts = append(opts, client.WithKillAll)
	}
	if err := task.Kill(ctx, s, opts...); err != nil && !errdefs.IsNotFound(err) && d.ctx.Err() == nil {
		d.log.Warn("signal not sent", "container", c.ID, "signal", s.String(), "err", err)
	}
}
