package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/strongroom/strongroom/internal/fault"
)

// ErrCorrupt means that what is stored is not what was put there. It is never
// caused by the caller, and it is itself worth recording.
var ErrCorrupt = errors.New("the stored blob was altered or damaged")

// Keys gives the data keys of scopes; package secret implements it.
type Keys interface {
	// DataKey returns the 32-byte key of the scope (nil: the installation). The
	// key of a scope never changes; it is only destroyed, and then the error is
	// a fault.NotFound. The caller does not modify the slice.
	DataKey(ctx context.Context, scope *string) ([]byte, error)
}

// Ref names a blob inside its scope.
type Ref struct {
	SHA256 string `json:"sha256"` // "sha256:<hex>" of the plaintext
	Size   int64  `json:"size"`   // of the plaintext, in bytes
}

// Store is a directory of encrypted blobs. Its methods are safe for concurrent
// use, also by several processes.
type Store struct {
	dir  string
	keys Keys

	mkdir sync.Mutex // a directory that one Put found is durable: no other is still syncing it
}

// Open returns the store in dir, creating it if need be, and removes what
// interrupted Puts left behind.
func Open(dir string, keys Keys) (*Store, error) {
	if err := makeDir(filepath.Join(dir, tempDir)); err != nil {
		return nil, fmt.Errorf("open blob store: %w", err)
	}
	if err := removeAbandoned(filepath.Join(dir, tempDir)); err != nil {
		return nil, fmt.Errorf("open blob store: %w", err)
	}
	return &Store{dir: dir, keys: keys}, nil
}

// Put stores all of r and returns its digest and size; it is durable then. More
// than max bytes is a fault.TooLarge, and nothing is kept. Putting what is
// already there is harmless: it replaces the file, and so repairs a damaged one.
func (s *Store) Put(ctx context.Context, scope *string, r io.Reader, max int64) (Ref, error) {
	k, err := s.scopeKeys(ctx, scope)
	if err != nil {
		return Ref{}, err
	}
	tmp, err := createTemp(filepath.Join(s.dir, tempDir))
	if err != nil {
		return Ref{}, unwritable(err)
	}
	defer tmp.discard()
	ref, err := k.write(ctx, tmp.File, r, max)
	if err != nil {
		return Ref{}, err
	}
	path := s.path(k, ref.SHA256)
	if err := s.ensureDir(filepath.Dir(path)); err != nil {
		return Ref{}, unwritable(err)
	}
	if err := tmp.publish(path); err != nil {
		return Ref{}, unwritable(err)
	}
	return ref, nil
}

// Get opens a blob. The reader verifies as it reads: every byte it returns was
// authenticated, and io.EOF comes only after the digest of the whole matched.
// It ends with ctx. A blob that is not there, or whose scope's key was
// destroyed, is a fault.NotFound.
func (s *Store) Get(ctx context.Context, scope *string, sha256 string) (io.ReadCloser, error) {
	r, err := s.open(ctx, scope, sha256)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Stat tells whether a blob is there and how long it is, without reading its
// content; the answer is authenticated.
func (s *Store) Stat(ctx context.Context, scope *string, sha256 string) (Ref, error) {
	r, err := s.open(ctx, scope, sha256)
	if err != nil {
		return Ref{}, err
	}
	defer r.Close()
	return Ref{SHA256: sha256, Size: r.size}, nil
}

// Delete removes a blob, durably. One that is not there is no error. It needs
// the scope's key to find the file: after that is destroyed, use DeleteScope.
func (s *Store) Delete(ctx context.Context, scope *string, sha256 string) error {
	k, err := s.scopeKeys(ctx, scope)
	if err != nil {
		return err
	}
	if _, err := parseDigest(sha256); err != nil {
		return err
	}
	path := s.path(k, sha256)
	if err := os.Remove(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return unwritable(err)
	}
	return syncDir(filepath.Dir(path))
}

// DeleteScope removes every blob of a scope, for when its key was destroyed and
// only unreadable files are left. It refuses the installation's own.
func (s *Store) DeleteScope(_ context.Context, scope string) error {
	if !isUUID(scope) {
		return invalidScope()
	}
	if err := os.RemoveAll(filepath.Join(s.dir, scope)); err != nil {
		return unwritable(err)
	}
	return syncDir(s.dir)
}

func (s *Store) open(ctx context.Context, scope *string, sha256 string) (*reader, error) {
	k, err := s.scopeKeys(ctx, scope)
	if err != nil {
		return nil, err
	}
	if _, err := parseDigest(sha256); err != nil {
		return nil, err
	}
	f, err := os.Open(s.path(k, sha256))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "There is no blob %s.", sha256)
	} else if err != nil {
		return nil, fmt.Errorf("open blob: %w", err)
	}
	r, err := k.read(ctx, f, sha256)
	if err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

// path of a blob: keyed, so that the name says nothing without the data key.
func (s *Store) path(k scopeKeys, sha256 string) string {
	name := k.fileName(sha256)
	return filepath.Join(s.dir, k.dir, name[:2], name)
}

func (s *Store) ensureDir(dir string) error {
	s.mkdir.Lock()
	defer s.mkdir.Unlock()
	return makeDir(dir)
}

func unwritable(err error) error {
	return fault.Wrap(fault.Unavailable, err, "The evidence store cannot be written to.")
}
