package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Tree hashes lie in tiles of 128 (4 KB), in the order of tlog's stored hash
// index, which only ever grows at its end: appending rewrites one tile.
const (
	tileHashes = 128
	hashSize   = tlog.HashSize
)

// hashes reads stored hashes over q, keeping the tiles of one use in memory.
type hashes struct {
	ctx   context.Context
	q     querier
	tiles map[int64][]byte
}

func newHashes(ctx context.Context, q querier) *hashes {
	return &hashes{ctx: ctx, q: q, tiles: map[int64][]byte{}}
}

// ReadHashes implements tlog.HashReader.
func (h *hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		tile, err := h.tile(x / tileHashes)
		if err != nil {
			return nil, err
		}
		at := (x % tileHashes) * hashSize
		if int64(len(tile)) < at+hashSize {
			return nil, fmt.Errorf("tree hash %d is not stored", x)
		}
		copy(out[i][:], tile[at:])
	}
	return out, nil
}

func (h *hashes) tile(n int64) ([]byte, error) {
	if t, ok := h.tiles[n]; ok {
		return t, nil
	}
	var t []byte
	err := h.q.QueryRowContext(h.ctx, `SELECT data FROM hashes WHERE tile = ?`, n).Scan(&t)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("tree hashes: %w", err)
	}
	if len(h.tiles) >= 64 {
		clear(h.tiles)
	}
	h.tiles[n] = t
	return t, nil
}

// head is what the writer remembers of the log's end between batches.
type head struct {
	size  int64
	time  string // of the newest entry, as written
	tiles map[int64][]byte
	dirty map[int64]bool
	base  *hashes // for tiles that are not at the end
}

// ReadHashes implements tlog.HashReader over the batch's own hashes too.
func (h *head) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if t, ok := h.tiles[x/tileHashes]; ok {
			at := (x % tileHashes) * hashSize
			if int64(len(t)) >= at+hashSize {
				copy(out[i][:], t[at:])
				continue
			}
		}
		got, err := h.base.ReadHashes([]int64{x})
		if err != nil {
			return nil, err
		}
		out[i] = got[0]
	}
	return out, nil
}

// add appends the stored hashes of the next leaf.
func (h *head) add(leaf tlog.Hash) error {
	stored, err := tlog.StoredHashesForRecordHash(h.size, leaf, h)
	if err != nil {
		return fmt.Errorf("tree: %w", err)
	}
	at := tlog.StoredHashCount(h.size)
	for i, hash := range stored {
		n := (at + int64(i)) / tileHashes
		if err := h.load(n, (at+int64(i))%tileHashes == 0); err != nil {
			return err
		}
		h.tiles[n] = append(h.tiles[n], hash[:]...)
		h.dirty[n] = true
	}
	h.size++
	return nil
}

// load brings a tile to memory. A tile whose first hash is about to be written
// starts empty, whatever is stored: so the verifier recomputes all of it.
func (h *head) load(n int64, first bool) error {
	if first {
		h.tiles[n] = make([]byte, 0, tileHashes*hashSize)
	}
	if _, ok := h.tiles[n]; ok {
		return nil
	}
	t, err := h.base.tile(n)
	if err != nil {
		return err
	}
	h.tiles[n] = append(make([]byte, 0, tileHashes*hashSize), t...)
	return nil
}

// trim forgets tiles that are full and written; the right edge of the tree is
// in few of them, and base reads those again.
func (h *head) trim() {
	clear(h.dirty)
	last := (tlog.StoredHashCount(h.size) - 1) / tileHashes
	for n := range h.tiles {
		if n < last-8 {
			delete(h.tiles, n)
		}
	}
}
