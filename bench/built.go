package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/store/sqlite"
)

// built opens a ledger of so many samples, building it if it is not in the
// cache or does not open.
func (b *bench) built(ctx context.Context, w world, entries int64) (*sqlite.Store, string, error) {
	path := filepath.Join(b.cache, fmt.Sprintf("ledger-%d-spaces-%d-entries.db", w.spaces, entries))
	if w.watched {
		path = filepath.Join(b.cache, fmt.Sprintf("ledger-watched-%d-entries.db", entries))
	}
	if s, err := usable(ctx, path, entries); err == nil {
		return s, path, nil
	}
	b.say("  building a ledger of %d entries", entries)
	if err := removeLedger(path); err != nil {
		return nil, "", err
	}
	s, err := newLedger(ctx, w, path+".new")
	if err != nil {
		return nil, "", err
	}
	if err := errors.Join(w.fill(ctx, s, entries), s.Settle(ctx), s.Close()); err != nil {
		return nil, "", errors.Join(err, removeLedger(path+".new"))
	}
	// Only now has it the name under which it is looked for.
	if err := os.Rename(path+".new", path); err != nil {
		return nil, "", err
	}
	if err := removeLedger(path + ".new"); err != nil {
		return nil, "", err
	}
	s, err = usable(ctx, path, entries)
	return s, path, err
}

// usable opens a ledger and asks it for something of each sort: the form of the
// database may have changed since it was built.
func usable(ctx context.Context, path string, entries int64) (*sqlite.Store, error) {
	s, err := sqlite.Open(ctx, path, quiet)
	if err != nil {
		return nil, err
	}
	try := func() error {
		h, err := s.Head(ctx)
		if err != nil || h.Size < entries {
			return fmt.Errorf("%d entries: %w", h.Size, err)
		}
		list, err := s.List(ctx, store.Query{App: id('p', 0), Limit: 1})
		if err != nil || len(list) == 0 {
			return fmt.Errorf("%d lines: %w", len(list), err)
		}
		return s.At(ctx, h.Size-1, func(v store.View) error {
			_, err := store.Get[*document.Formation](v, id('f', 0))
			return err
		})
	}
	if err := try(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// fill appends samples until there are so many entries.
func (w world) fill(ctx context.Context, s *sqlite.Store, entries int64) error {
	checks, err := w.looks()
	if err != nil {
		return err
	}
	h, err := s.Head(ctx)
	if err != nil {
		return err
	}
	for n, full := int64(0), h.Size >= entries; !full; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.Write(func(batch store.Batch) error {
			for range 1000 {
				if full = batch.Size() >= entries; full {
					break
				}
				if err := w.watch(batch, n, checks); err != nil {
					return err
				}
				x, err := w.sample(n)
				if err != nil {
					return err
				}
				if err := x.appendTo(batch); err != nil {
					return err
				}
				n++
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

func removeLedger(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// copyOf gives a copy of a closed ledger that a figure may write to.
func copyOf(path, dir string) (string, error) {
	in, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer in.Close()
	to := filepath.Join(dir, "ledger.db")
	out, err := os.Create(to)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(out, in)
	return to, errors.Join(err, out.Close())
}
