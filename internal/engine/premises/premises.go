// Package premises looks at the host outside of containers for what is not the
// platform's doing: what its own processes run, the files of its data directory,
// root's terminals, and logins as the host's log tells of them.
//
// Invariants: it reads and changes nothing; it tells of paths, programs, users
// and times, never of arguments, contents or commands, which may be secrets.
// internal/engine gives its looks to the driver; internal/compliance/host judges.
package premises

import (
	"context"
	"sync"

	"github.com/strongroom/strongroom/internal/driver"
)

// Config says what is the platform's.
type Config struct {
	Data    string // the data directory
	Program string // absolute path of strongroom
	Cgroup  string // of the processes that the engine started outside of containers
	// ServerUID and SpoolUID own their parts of the data directory.
	ServerUID int
	SpoolUID  int
}

// Premises remember what must not change.
type Premises struct {
	cfg     Config
	owners  map[owner]int
	records []records

	mu    sync.Mutex
	first digests
}

// New returns the premises of an installation.
func New(cfg Config) *Premises {
	return &Premises{cfg: cfg, owners: map[owner]int{root: 0, server: cfg.ServerUID, spool: cfg.SpoolUID}, records: []records{journal, authLog("/var/log/auth.log"), authLog("/var/log/secure")}, first: digests{}}
}

// Looks are surveys by area.
func (p *Premises) Looks() map[string]func(context.Context, *driver.Survey) error {
	return map[string]func(context.Context, *driver.Survey) error{
		driver.AreaPrograms: p.programs, driver.AreaFiles: p.files, driver.AreaShells: p.shells, driver.AreaLogins: p.logins,
	}
}
