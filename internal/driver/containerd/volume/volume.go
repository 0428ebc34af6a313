// Package volume keeps encrypted volumes: one preallocated ext4 loop image a
// volume, with one directory under an fscrypt v2 policy.
package volume

import (
	"context"
	"errors"
	"log/slog"

	"github.com/strongroom/strongroom/internal/driver"
)

// KeySize is the size of a volume's key.
const KeySize = 64

// Config of a pool.
type Config struct {
	// Dir holds volumes/<id>.img and mnt/<id>. It is made if it is missing.
	// One process at a time may have it open. Its mounts must be visible to
	// containerd.
	Dir string
}

// Pool is the volumes below one directory. Its methods are safe for
// concurrent use.
type Pool struct {
	cfg Config
	log *slog.Logger
}

// State is one volume as it is.
type State struct {
	ID       string
	Unlocked bool
	Bytes    int64 // as given when it was made
	Used     int64 // 0 while it is locked
}

var errNotYet = errors.New("volume: not built yet")

// Open adopts the volumes below Dir, mounted or not.
func Open(cfg Config, log *slog.Logger) (*Pool, error) { return nil, errNotYet }

// Close lets go of Dir and leaves what is mounted mounted.
func (p *Pool) Close() error { return nil }

// Ensure creates the volume or unlocks it and returns the path of its
// directory, owned by uid and gid. The wrong key is Invalid and leaves the
// volume as it was. The pool keeps no copy of key; clear it after the call.
func (p *Pool) Ensure(ctx context.Context, id string, key []byte, bytes int64, uid, gid int) (string, error) {
	return "", errNotYet
}

// Path of an unlocked volume's directory; NotFound if there is no such volume,
// Conflict if it is locked.
func (p *Pool) Path(id string) (string, error) { return "", errNotYet }

// Lock removes the key from the kernel and unmounts. Conflict while anything
// holds a file of the volume; it then stays usable. Locked already: no error.
func (p *Pool) Lock(ctx context.Context, id string) error { return errNotYet }

// Destroy locks the volume, tries a read that must fail, and removes the
// image. Conflict as in Lock; NotFound if there is no such volume.
func (p *Pool) Destroy(ctx context.Context, id string) (driver.Disposal, error) {
	return driver.Disposal{}, errNotYet
}

// Observe reports every volume.
func (p *Pool) Observe(ctx context.Context) ([]State, error) { return nil, errNotYet }
