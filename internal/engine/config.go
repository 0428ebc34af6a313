package engine

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// User ids of the platform's own processes where Config says nothing else. The
// router of the space with index N runs as RouterUID+N.
const (
	ServerUID = 64001
	EdgeUID   = 64002
	SpoolUID  = 64003
	RouterUID = 65100
)

// Config of the engine. Zero values mean what the comments say.
type Config struct {
	// Data is the host's data directory: DATA/engine and DATA/logs are made in
	// it. Default /var/lib/strongroom.
	Data string
	// Run holds sockets: engine.sock, spool.sock, edge.sock, routers/. What is
	// secret lies in RUN/engine, on a tmpfs that is mounted if need be.
	// Default /run/strongroom.
	Run string
	// Name is a short prefix, [a-z][a-z0-9]{0,7}, of what is visible in the
	// host's network, and names the cgroups. Two installations on one host
	// need different ones. Default "sr".
	Name string
	// HTTPS and HTTP are the addresses of the edge. Without HTTPS there is no
	// edge; without HTTP it does not redirect.
	HTTPS string
	HTTP  string
	// ServerUID may call the engine, besides root. EdgeUID and SpoolUID run
	// those processes. Default: the constants of the same names.
	ServerUID int
	EdgeUID   int
	SpoolUID  int
	// Upstreams are DNS servers ("ip:port") that the engine asks for names of
	// the outside that rules of spaces cover. Default: those of the host's
	// /etc/resolv.conf.
	Upstreams []string
	// Program is the absolute path of strongroom, for its children. Default:
	// the running program.
	Program string
	// ScratchBytes is reserved on disk in each space for what its containers
	// write outside of volumes. Default 4 GiB.
	ScratchBytes int64
	// Containerd is the absolute path of containerd. Default: found in PATH.
	Containerd string
	// Init is the absolute path of tini-static, the first process of every
	// container. Default: found in PATH.
	Init string
	// Control is the socket on which the engine's own supervisor finds it (see
	// package supervise). Empty: none.
	Control string
	// StopChildren ends containerd, spool, edge and routers with the engine.
	// Containers go on even then.
	StopChildren bool
}

func (c *Config) complete() error {
	c.Data = cmp.Or(c.Data, "/var/lib/strongroom")
	c.Run = cmp.Or(c.Run, "/run/strongroom")
	c.Name = cmp.Or(c.Name, "sr")
	c.ServerUID = cmp.Or(c.ServerUID, ServerUID)
	c.EdgeUID = cmp.Or(c.EdgeUID, EdgeUID)
	c.SpoolUID = cmp.Or(c.SpoolUID, SpoolUID)
	if c.Upstreams == nil {
		c.Upstreams = hostResolvers("/etc/resolv.conf")
	}
	var err error
	if c.Program == "" {
		if c.Program, err = os.Executable(); err != nil {
			return err
		}
	}
	if c.Containerd == "" {
		if c.Containerd, err = exec.LookPath("containerd"); err != nil {
			return fmt.Errorf("find containerd: %w", err)
		}
	}
	if c.Init == "" {
		if c.Init, err = exec.LookPath("tini-static"); err != nil {
			return fmt.Errorf("find tini-static (package tini): %w", err)
		}
	}
	if !filepath.IsAbs(c.Data) || !filepath.IsAbs(c.Run) || !filepath.IsAbs(c.Program) {
		return fmt.Errorf("the engine needs absolute paths")
	}
	return nil
}

// Where things lie.
func (c *Config) engineData() string   { return filepath.Join(c.Data, "engine") }
func (c *Config) volumes() string      { return filepath.Join(c.engineData(), "volumes") }
func (c *Config) logData() string      { return filepath.Join(c.Data, "logs") }
func (c *Config) secretRun() string    { return filepath.Join(c.Run, "engine") }
func (c *Config) engineSocket() string { return filepath.Join(c.Run, "engine.sock") }
func (c *Config) spoolSocket() string  { return filepath.Join(c.Run, "spool.sock") }
func (c *Config) edgeSocket() string   { return filepath.Join(c.Run, "edge.sock") }
func (c *Config) routers() string      { return filepath.Join(c.Run, "routers") }

// platform is the cgroup of the processes that the engine starts besides.
func (c *Config) platform() string { return c.Name + "-platform" }

// dynos is the cgroup of all containers.
func (c *Config) dynos() string { return "/" + c.Name + "-dynos" }
