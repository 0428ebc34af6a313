package attempt

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// Volumes is what of the engine the attempt needs.
type Volumes interface {
	EnsureVolume(ctx context.Context, v driver.Volume) error
	LockVolume(ctx context.Context, id string) error
	DestroyVolume(ctx context.Context, id string) (driver.Disposal, error)
	PutFiles(ctx context.Context, volume, dir string, archive io.Reader) error
	GetFiles(ctx context.Context, volume, dir string) (io.ReadCloser, error)
}

// scratch is the id of the volume that the attempt makes. It is always the same,
// so that one which a stopped program left behind is found.
var scratch = uuid.NewSHA1(uuid.NameSpaceURL, []byte("strongroom:attempt.volume-without-key")).String()

// scratchBytes is room enough for one file.
const scratchBytes = 16 << 20

// canary is what lies in it.
const canary = "what nobody reads without the key"

// volumeWithoutKey: a volume whose key was taken away cannot be read, and opens
// to no other key. It is a volume made for this: none that holds anything.
func volumeWithoutKey(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "attempt.volume-without-key", Title: "A volume without its key cannot be read", Version: 1, Every: daily,
		Try: func(ctx context.Context) ([]compliance.Result, error) {
			space, err := c.anySpace(ctx)
			if err != nil {
				return nil, err
			}
			if space == nil {
				return []compliance.Result{compliance.NotApplicable("There is no space in which a volume could be made.").Of("", "", "")}, nil
			}
			return c.lockOut(ctx, space)
		},
	}
}

func (c Config) anySpace(ctx context.Context) (space *document.Space, err error) {
	err = c.Store.Read(ctx, func(v store.View) error {
		list, err := store.Find[*document.Space](v, "all", "")
		for _, s := range list {
			if s.State == document.SpaceAllocated {
				space = s
			}
		}
		return err
	})
	return space, err
}

// lockOut makes the volume, takes its key away, and tries to read.
func (c Config) lockOut(ctx context.Context, space *document.Space) (out []compliance.Result, err error) {
	if err := c.discard(ctx); err != nil {
		return nil, err
	}
	v := driver.Volume{ID: scratch, Space: space.ID, Bytes: scratchBytes, Key: key()}
	if err := c.Volumes.EnsureVolume(ctx, v); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.discard(context.WithoutCancel(ctx))) }()
	if err := c.Volumes.PutFiles(ctx, scratch, "", canaryFile()); err != nil {
		return nil, err
	}
	if found, err := c.reads(ctx); err != nil || !found {
		return nil, errors.Join(err, provesNothing("the volume cannot be read with its key either."))
	}
	t := &trial{}
	t.note("A file was written into a volume of the space %s and read again.", space.Name)
	if err := c.Volumes.LockVolume(ctx, scratch); err != nil {
		return nil, err
	}
	found, err := c.reads(ctx)
	if err != nil && fault.Of(err) != fault.Conflict { // it is not that it is locked
		return nil, err
	}
	t.tried(!found, "With its key taken away, reading it was answered with: %s", how(err, "the file was there."))
	v.Key = key()
	if err = c.Volumes.EnsureVolume(ctx, v); err != nil && fault.Of(err) != fault.Invalid { // it is not the key
		return nil, err
	}
	t.tried(err != nil, "Opening it with another key was answered with: %s", how(err, "it opened."))
	disposal, err := c.Volumes.DestroyVolume(ctx, scratch)
	switch kind := fault.Of(err); {
	case kind == fault.Unavailable || kind == fault.Conflict || ctx.Err() != nil:
		return nil, err
	case err != nil:
		t.tried(false, "The engine, which tries to read it on the disk before it destroys it, did not destroy it: %s", told(err))
	default:
		t.tried(disposal.KeyRemoved, "The engine tried to read it on the disk before it destroyed it: %s", disposal.ReadTried)
	}
	return t.one(nil)
}

// discard ends a volume that was left behind. There need not be one.
func (c Config) discard(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := c.Volumes.DestroyVolume(ctx, scratch)
	if fault.Of(err) == fault.NotFound {
		return nil
	}
	return err
}

// reads tells whether the file is there to be read. An error is how it is not.
func (c Config) reads(ctx context.Context) (bool, error) {
	in, err := c.Volumes.GetFiles(ctx, scratch, "")
	if err != nil {
		return false, err
	}
	defer in.Close()
	content, err := io.ReadAll(io.LimitReader(in, scratchBytes))
	return bytes.Contains(content, []byte(canary)), err
}

// how says what came of an attempt.
func how(err error, otherwise string) string {
	if err == nil {
		return otherwise
	}
	return told(err)
}

func key() []byte {
	b := make([]byte, 64)
	rand.Read(b)
	return b
}

func canaryFile() io.Reader {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	// A buffer takes everything.
	_ = w.WriteHeader(&tar.Header{Name: "canary", Mode: 0o600, Size: int64(len(canary)), Typeflag: tar.TypeReg})
	_, _ = fmt.Fprint(w, canary)
	_ = w.Close()
	return &buf
}
