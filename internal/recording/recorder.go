package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/blob"
	"github.com/strongroom/strongroom/internal/fault"
)

// DefaultMax is the space reserved for a recording where Config gives none.
const DefaultMax = 64 << 20

// MediaType of a sealed recording.
const MediaType = "application/x-asciicast"

// Blobs is where sealed recordings go; *blob.Store implements it.
type Blobs interface {
	Put(ctx context.Context, scope *string, r io.Reader, max int64) (blob.Ref, error)
}

// Config of a Recorder.
type Config struct {
	// Dir holds the files of running sessions. It belongs on a local file
	// system that can reserve space (ext4, XFS, tmpfs).
	Dir string
	// Keys gives the scopes' data keys.
	Keys blob.Keys
	// Blobs takes the sealed recordings.
	Blobs Blobs
	// Max is how many bytes of disk one recording may take; they are reserved
	// when the session begins. 0 means DefaultMax; less than 64 KiB is refused.
	Max int64
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Recorder opens, seals and recovers recordings in one directory.
type Recorder struct {
	dir   string
	keys  blob.Keys
	blobs Blobs
	max   int64
	now   func() time.Time

	// making is held from a file's making to its being locked: Recover takes
	// one that is neither begun nor locked for what a crash left.
	making sync.Mutex
}

// New returns a Recorder, creating its directory if need be.
func New(cfg Config) (*Recorder, error) {
	if cfg.Max == 0 {
		cfg.Max = DefaultMax
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Max < reserve*16 {
		return nil, fault.New(fault.Invalid, "A recording needs room for at least %d bytes.", reserve*16)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	return &Recorder{dir: cfg.Dir, keys: cfg.Keys, blobs: cfg.Blobs, max: cfg.Max, now: cfg.Now}, nil
}

// Meta says what a recording is of.
type Meta struct {
	ID      string    // the session's UUID; it names the file
	Scope   *string   // whose data key encrypts it; nil is the installation
	Command string    // may be empty
	Cols    int       // of the terminal; 0 means 80
	Rows    int       // of the terminal; 0 means 24
	Term    string    // the TERM variable
	Started time.Time // times in the recording count from here
}

// End says how a session ended.
type End struct {
	Reason string `json:"reason"`         // "exit", "disconnect", …; Interrupted after a crash
	Exit   *int   `json:"exit,omitempty"` // of the process, if it is known
}

// Interrupted is the reason of a session that ended in a crash.
const Interrupted = "interrupted"

// Sealed is a recording that was moved to the blob store.
type Sealed struct {
	Meta
	End   End
	Ref   blob.Ref // of the asciicast, in the scope's blobs
	Chain string   // digest of the last chunk: the head of the chain
	In    int64    // bytes typed
	Out   int64    // bytes shown
	Last  time.Duration
	// Damaged is set if more than the last, unfinished write was unreadable:
	// not what a crash leaves behind. What precedes the damage was kept.
	Damaged bool
}

// Open begins a recording. When it returns, its space is reserved and its
// beginning is on disk. The caller calls Seal, however the session ends.
func (r *Recorder) Open(ctx context.Context, meta Meta) (*Recording, error) {
	if _, err := uuid.Parse(meta.ID); err != nil || len(meta.ID) != 36 {
		return nil, fault.New(fault.Invalid, "A session's id is a UUID.")
	}
	key, err := r.wrapKey(ctx, meta.Scope)
	if err != nil {
		return nil, err
	}
	f, err := r.create(meta.ID)
	if err != nil {
		return nil, unwritable(err)
	}
	rec, err := begin(r, f, key, meta)
	if err == nil {
		err = r.publish(meta.ID)
	}
	if err != nil {
		os.Remove(f.Name())
		f.Close()
		return nil, unwritable(err)
	}
	return rec, nil
}

// Remove deletes the working file of a sealed recording. Call it when the
// ledger's closing entry is durable. No file: no error.
func (r *Recorder) Remove(id string) error {
	if _, err := uuid.Parse(id); err != nil || len(id) != 36 {
		return fault.New(fault.Invalid, "A session's id is a UUID.")
	}
	if err := os.Remove(r.path(id)); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("remove recording: %w", err)
	}
	return syncDir(r.dir)
}

const (
	suffix    = ".recording"
	newSuffix = ".new" // not begun yet: nothing was typed
)

func (r *Recorder) path(id string) string { return filepath.Join(r.dir, id+suffix) }

// create makes the file under a name that Recover does not take for a
// recording, locks it against Recover and reserves its space.
func (r *Recorder) create(id string) (*os.File, error) {
	if _, err := os.Lstat(r.path(id)); err == nil {
		return nil, fault.New(fault.Conflict, "Session %s already has a recording.", id)
	}
	f, err := r.make(id)
	if err != nil {
		return nil, err
	}
	if err := fallocate(f, r.max); err != nil {
		os.Remove(f.Name())
		f.Close()
		return nil, err
	}
	return f, nil
}

func (r *Recorder) make(id string) (*os.File, error) {
	r.making.Lock()
	defer r.making.Unlock()
	f, err := os.OpenFile(filepath.Join(r.dir, id+newSuffix), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		os.Remove(f.Name())
		f.Close()
		return nil, err
	}
	return f, nil
}

func (r *Recorder) publish(id string) error {
	if err := os.Rename(filepath.Join(r.dir, id+newSuffix), r.path(id)); err != nil {
		return err
	}
	return syncDir(r.dir)
}

// fallocate reserves the space, where the file system can: a write then neither
// finds the disk full nor has to wait for blocks to be found.
func fallocate(f *os.File, size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case err == unix.EINTR:
		case err == unix.EOPNOTSUPP || err == unix.ENOSYS:
			return f.Truncate(size)
		default:
			return err
		}
	}
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// unwritable keeps a fault that err already is.
func unwritable(err error) error {
	if fault.Of(err) != "" {
		return err
	}
	return fault.Wrap(fault.Unavailable, err, "The session cannot be recorded, so it cannot go on.")
}
