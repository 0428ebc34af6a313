package volume

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pattern"
)

// KeySize is the size of a volume's key.
const KeySize = 64

// Config of a pool.
type Config struct {
	// Dir holds the images and their mount points. It is made if it is
	// missing. One process at a time may have it open. Its mounts must be
	// visible to containerd.
	Dir string
}

// Pool is the volumes below one directory. Its methods are safe for
// concurrent use.
type Pool struct {
	dir      string
	log      *slog.Logger
	lock     *os.File
	patience time.Duration

	mu   sync.Mutex
	busy map[string]*sync.Mutex // one change of a volume at a time
}

// State is one volume as it is.
type State struct {
	ID       string
	Unlocked bool
	Bytes    int64 // as asked for when it was made
	Used     int64 // 0 while it is locked
}

// meta is kept beside the image.
type meta struct {
	Bytes int64 `json:"bytes"`
}

var validID = pattern.New(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// Open adopts the volumes below Dir, mounted or not.
func Open(cfg Config, log *slog.Logger) (*Pool, error) {
	for _, dir := range []string{"volumes", "mnt"} {
		if err := os.MkdirAll(filepath.Join(cfg.Dir, dir), 0o711); err != nil {
			return nil, err
		}
	}
	// The kernel names mounts by their real path.
	dir, err := filepath.EvalSymlinks(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	p := &Pool{dir: dir, log: log, lock: lock, patience: patience, busy: map[string]*sync.Mutex{}}
	if err := p.tidy(); err != nil {
		lock.Close()
		return nil, err
	}
	return p, nil
}

// tidy removes images that were not finished and mount points without a mount.
func (p *Pool) tidy() error {
	unfinished, err := filepath.Glob(filepath.Join(p.dir, "volumes", "*.new"))
	if err != nil {
		return err
	}
	for _, name := range unfinished {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	points, err := os.ReadDir(filepath.Join(p.dir, "mnt"))
	if err != nil {
		return err
	}
	for _, e := range points {
		// Fails for those that are mounted on, as it should.
		_ = os.Remove(p.mountpoint(e.Name()))
	}
	return nil
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fault.New(fault.Conflict, "Another process works on the volumes in %s.", dir)
	}
	return nil, fmt.Errorf("lock %s: %w", dir, err)
}

// Close lets go of Dir and leaves what is unlocked unlocked.
func (p *Pool) Close() error { return p.lock.Close() }

func (p *Pool) image(id string) string      { return filepath.Join(p.dir, "volumes", id+".img") }
func (p *Pool) metaFile(id string) string   { return filepath.Join(p.dir, "volumes", id+".json") }
func (p *Pool) mountpoint(id string) string { return filepath.Join(p.dir, "mnt", id) }
func (p *Pool) data(id string) string       { return filepath.Join(p.mountpoint(id), "data") }
func (p *Pool) proof(id string) string      { return filepath.Join(p.mountpoint(id), "proof") }

// alone begins a change of a volume; the caller ends it with the result.
func (p *Pool) alone(id string) (unlock func(), err error) {
	if !validID.MatchString(id) {
		return nil, fault.New(fault.Invalid, "%q can't be the id of a volume.", id)
	}
	p.mu.Lock()
	m := p.busy[id]
	if m == nil {
		m = new(sync.Mutex)
		p.busy[id] = m
	}
	p.mu.Unlock()
	m.Lock()
	return m.Unlock, nil
}

func (p *Pool) exists(id string) (bool, error) {
	_, err := os.Stat(p.image(id))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Path of an unlocked volume's directory; NotFound if there is no such volume,
// Conflict if it is locked.
func (p *Pool) Path(id string) (string, error) {
	done, err := p.alone(id)
	if err != nil {
		return "", err
	}
	defer done()
	there, err := p.exists(id)
	if err != nil {
		return "", err
	}
	if !there {
		return "", fault.New(fault.NotFound, "There is no volume %s on this host.", id)
	}
	unlocked, err := p.unlocked(id)
	if err != nil {
		return "", err
	}
	if !unlocked {
		return "", fault.New(fault.Conflict, "The volume %s is locked.", id)
	}
	return p.data(id), nil
}

// unlocked says whether the volume is mounted and the kernel has its key.
func (p *Pool) unlocked(id string) (bool, error) {
	m, err := p.mounted(id)
	if err != nil || m == nil {
		return false, err
	}
	identifier, err := policy(p.data(id))
	if err != nil {
		return false, err
	}
	if identifier == (keyID{}) {
		return false, nil // making it was interrupted
	}
	status, err := keyStatus(p.mountpoint(id), identifier)
	return status == unix.FSCRYPT_KEY_STATUS_PRESENT, err
}

// Observe reports every volume.
func (p *Pool) Observe(ctx context.Context) ([]State, error) {
	entries, err := os.ReadDir(filepath.Join(p.dir, "volumes"))
	if err != nil {
		return nil, err
	}
	var out []State
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".img")
		if !ok || ctx.Err() != nil {
			continue
		}
		state, err := p.observe(id)
		if err != nil {
			return nil, fmt.Errorf("observe volume %s: %w", id, err)
		}
		if state != nil {
			out = append(out, *state)
		}
	}
	return out, ctx.Err()
}

func (p *Pool) observe(id string) (*State, error) {
	done, err := p.alone(id)
	if err != nil {
		return nil, err
	}
	defer done()
	there, err := p.exists(id)
	if err != nil || !there {
		return nil, err
	}
	m, err := p.readMeta(id)
	if err != nil {
		return nil, err
	}
	state := &State{ID: id, Bytes: m.Bytes}
	if state.Unlocked, err = p.unlocked(id); err != nil || !state.Unlocked {
		return state, err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(p.mountpoint(id), &st); err != nil {
		return nil, err
	}
	state.Used = int64(st.Blocks-st.Bfree) * st.Bsize
	return state, nil
}

// readMeta of a volume. A volume whose description is missing is described by
// its image.
func (p *Pool) readMeta(id string) (meta, error) {
	b, err := os.ReadFile(p.metaFile(id))
	if errors.Is(err, os.ErrNotExist) {
		info, err := os.Stat(p.image(id))
		if err != nil {
			return meta{}, err
		}
		return meta{Bytes: info.Size()}, nil
	}
	if err != nil {
		return meta{}, err
	}
	var m meta
	if err := json.Unmarshal(b, &m); err != nil {
		return meta{}, fmt.Errorf("%s: %w", p.metaFile(id), err)
	}
	return m, nil
}
