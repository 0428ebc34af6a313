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
	// MaxConcurrent bounds the git processes that serve requests at once;
	// default 16.
	MaxConcurrent int
	// IdleTimeout ends a request whose client sends nothing for that long;
	// default 1 minute.
	IdleTimeout time.Duration
	// DeployTimeout ends a deploy; default 1 hour. Builds have their own.
	DeployTimeout time.Duration
	Log           *slog.Logger // default: discard
}

func (c *Config) defaults() {
	def(&c.MaxPush, 512<<20)
	def(&c.MaxRepository, 4<<30)
	def(&c.MaxConcurrent, 16)
	def(&c.IdleTimeout, time.Minute)
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
