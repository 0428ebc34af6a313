package git

import (
	"log/slog"
	"time"
)

// Config of a Handler. Zero values of bounds mean the defaults named.
type Config struct {
	// Root holds one bare repository an app. It is made if it is not there,
	// mode 0700.
	Root string
	// MaxPush is the most that one push may send; default 512 MiB.
	MaxPush int64
	// MaxRepository is the size at which a repository takes no more pushes;
	// default 4 GiB.
	MaxRepository int64
	// MaxConcurrent bounds the pushes that are under way at once, and apart from
	// them, since a push lasts as long as its build, all other requests; default
	// 16 of each.
	MaxConcurrent int
	// IdleTimeout ends a request whose client sends nothing for that long;
	// default 1 minute.
	IdleTimeout time.Duration
	// UnpackTimeout is how long git may work on one push before it is known
	// what is in it, not counting the wait for the client; default 5 minutes. A
	// small pack can inflate to far more than was sent.
	UnpackTimeout time.Duration
	// MaxObject is the most memory that git may ask for at once: the size of
	// the largest file that a push may hold as changes to another; default
	// 256 MiB. Files that are sent whole are not held in memory.
	MaxObject int64
	// DeployTimeout ends a deploy; default 1 hour. Builds have their own.
	DeployTimeout time.Duration
	Log           *slog.Logger // default: discard
}

func (c *Config) defaults() {
	def(&c.MaxPush, 512<<20)
	def(&c.MaxRepository, 4<<30)
	def(&c.MaxConcurrent, 16)
	def(&c.IdleTimeout, time.Minute)
	def(&c.UnpackTimeout, 5*time.Minute)
	def(&c.MaxObject, 256<<20)
	def(&c.DeployTimeout, time.Hour)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
