package build

import (
	"crypto"
	"crypto/ed25519"
	"log/slog"
	"os"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/image"
)

// Config of a Builder. Zero values of bounds mean the defaults named.
type Config struct {
	// WorkDir holds sources and layers while a build runs. It must exist, and
	// be the server's alone.
	WorkDir string
	// BaseArchive is the archive of the image "base"; apps' layers go on it.
	BaseArchive string
	// BuildImage is the manifest digest of the imported image "build".
	BuildImage string
	// BuildpackDir holds the operator's own buildpacks, a directory each;
	// "" allows none by directory.
	BuildpackDir string
	// Key signs provenance: an Ed25519 key.
	Key crypto.Signer
	// BuilderID is the URI under which the provenance names this platform.
	BuilderID string

	// Registry is how build containers reach package registries.
	Registry Registry

	Limits       driver.Limits // of the build container; default 2 GiB, 2 cores, 1024 processes
	Timeout      time.Duration // of the whole build; default 15 minutes
	ScratchBytes int64         // of the scratch volume; default 4 GiB
	MaxSource    int64         // unpacked source; default 1 GiB
	MaxSlug      int64         // unpacked /app after the build; default 1 GiB
	MaxFiles     int           // in source and slug; default 200,000
	MaxLog       int64         // bytes of output passed on; default 8 MiB

	Now func() time.Time // default time.Now
	Log *slog.Logger     // default: discard
}

// Registry is how build containers reach package registries. A space's
// outbound rules must allow the addresses and ports behind it, and names are
// resolved by the space's resolver: by default TCP 443 to npm's own registry,
// and to the hosts of git buildpacks.
type Registry struct {
	// NPM is the npm registry's address; "" leaves npm's own default.
	NPM string
	// CA holds PEM certificates that build containers trust besides the
	// distribution's: of a company's proxy or private registry.
	CA []byte
	// HTTPSProxy and NoProxy are the usual variables; "" = none.
	HTTPSProxy string
	NoProxy    string
}

func (c *Config) defaults() {
	def(&c.Limits.MemoryBytes, 2<<30)
	def(&c.Limits.CPUMillis, 2000)
	def(&c.Limits.PIDs, 1024)
	def(&c.Timeout, 15*time.Minute)
	def(&c.ScratchBytes, 4<<30)
	def(&c.MaxSource, 1<<30)
	def(&c.MaxSlug, 1<<30)
	def(&c.MaxFiles, 200_000)
	def(&c.MaxLog, 8<<20)
	if c.Now == nil {
		c.Now = time.Now
	}
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

// Builder builds. It is safe for concurrent use.
type Builder struct {
	config Config
	driver driver.Driver
	base   image.Info
}

// New returns a Builder that runs its containers with d.
func New(d driver.Driver, c Config) (*Builder, error) {
	c.defaults()
	if c.Key == nil {
		return nil, fault.New(fault.Invalid, "Builds need a key to sign provenance with.")
	}
	if _, ok := c.Key.Public().(ed25519.PublicKey); !ok {
		return nil, fault.New(fault.Invalid, "The key that signs provenance is a %T; an Ed25519 key is needed.", c.Key.Public())
	}
	if info, err := os.Stat(c.WorkDir); err != nil || !info.IsDir() {
		return nil, fault.Wrap(fault.Invalid, err, "The builds' work directory %q is not a directory.", c.WorkDir)
	}
	base, err := image.ReadInfo(c.BaseArchive)
	if err != nil {
		return nil, err
	}
	return &Builder{config: c, driver: d, base: base}, nil
}
