package spool

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/strongroom/strongroom/internal/fault"
)

// registry is the streams that are read. Each is also a file, so that the next
// spool opens it again.
type registry struct {
	dir   string
	store *store
	log   *slog.Logger
	pool  *sync.Pool

	mu      sync.Mutex
	readers map[string]*reader
}

// registration is the file of a stream.
type registration struct {
	Stream Stream `json:"stream"`
	// Rest is the line that had begun when spool was stopped in order.
	Rest []byte `json:"rest,omitempty"`
}

const registrationSuffix = ".json"

func newRegistry(dir string, store *store, log *slog.Logger) (*registry, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &registry{
		dir: dir, store: store, log: log, readers: map[string]*reader{},
		pool: &sync.Pool{New: func() any { return new([chunkSize]byte) }},
	}, nil
}

// load opens what a former spool read. A stream whose FIFO is gone with its
// container is forgotten. One that cannot be opened for another reason does not
// keep the others waiting; the engine sees in Streams that it is missing.
func (r *registry) load() error {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(r.dir, entry.Name())
		if !strings.HasSuffix(path, registrationSuffix) {
			continue
		}
		if err := r.reopen(path); err != nil {
			r.log.Warn("stream of a former spool is not opened again", "file", path, "error", err)
			if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNoFIFO) {
				continue
			}
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *registry) reopen(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var reg registration
	if err := json.Unmarshal(b, &reg); err != nil {
		return err
	}
	if err := reg.Stream.check(); err != nil {
		return err
	}
	rd, err := openReader(reg.Stream, r.store, r.pool, r.log)
	if err != nil {
		return err
	}
	if len(reg.Rest) > 0 {
		rd.split.rest = reg.Rest
		// Not twice, should this spool crash.
		if err := r.save(registration{Stream: reg.Stream}); err != nil {
			r.log.Warn("registration not saved", "stream", reg.Stream.ID, "error", err)
		}
	}
	r.start(rd)
	return nil
}

func (r *registry) start(rd *reader) {
	r.readers[rd.ID] = rd
	go rd.run()
}

// save writes a stream's file, whole or not at all.
func (r *registry) save(reg registration) error {
	b, err := json.Marshal(reg)
	if err != nil {
		return err
	}
	path := r.path(reg.Stream.ID)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (r *registry) path(id string) string { return filepath.Join(r.dir, id+registrationSuffix) }

// open starts to read a stream.
func (r *registry) open(ctx context.Context, st Stream) error {
	if err := st.check(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.readers[st.ID]; old != nil {
		if old.Stream != st {
			return fault.New(fault.Conflict, "stream %s is open with other values", st.ID)
		}
		if old.current() {
			return nil
		}
		// The FIFO was made anew.
		if err := r.remove(ctx, old); err != nil {
			return err
		}
	}
	rd, err := openReader(st, r.store, r.pool, r.log)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "stream %s cannot be opened", st.ID)
	}
	if err := r.save(registration{Stream: st}); err != nil {
		rd.file.Close()
		return fault.Wrap(fault.Unavailable, err, "stream %s cannot be registered", st.ID)
	}
	r.start(rd)
	return nil
}

// close ends a stream. An unknown one is not an error.
func (r *registry) close(ctx context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	rd := r.readers[id]
	if rd == nil {
		return nil
	}
	return r.remove(ctx, rd)
}

// remove ends a stream that is open; r.mu is held.
func (r *registry) remove(ctx context.Context, rd *reader) error {
	delete(r.readers, rd.ID)
	err := rd.finish(ctx)
	if gone := os.Remove(r.path(rd.ID)); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

func (r *registry) list() []Stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Stream, 0, len(r.readers))
	for _, rd := range r.readers {
		list = append(list, rd.Stream)
	}
	slices.SortFunc(list, func(a, b Stream) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// shutdown stops all streams and notes what the next spool is to go on from.
func (r *registry) shutdown() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rd := range r.readers {
		rest, err := rd.stop()
		if err != nil {
			r.log.Warn("stream not closed in order", "stream", rd.ID, "error", err)
		}
		if len(rest) == 0 {
			continue
		}
		if err := r.save(registration{Stream: rd.Stream, Rest: rest}); err != nil {
			r.log.Error("the line that had begun is lost", "stream", rd.ID, "error", err)
		}
	}
}
