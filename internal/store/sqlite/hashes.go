package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/bits"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// Tree hashes lie in tiles, in the order of tlog's stored hash index, which
// only ever grows at its end: appending rewrites one tile. A tile is as large
// as its row can be without leaving its page.
const (
	tileHashes = 126
	hashSize   = tlog.HashSize
)

// tiles reads stored tiles.
type tiles interface {
	tile(n int64) ([]byte, error)
}

const selectTile = `SELECT data FROM hashes WHERE tile = ?`

// txHashes reads stored hashes inside a transaction, keeping the tiles of one
// use in memory.
type txHashes struct {
	tx   *transaction
	kept map[int64][]byte
}

func newHashes(tx *transaction) *txHashes { return &txHashes{tx: tx, kept: map[int64][]byte{}} }

func (h *txHashes) tile(n int64) ([]byte, error) {
	if t, ok := h.kept[n]; ok {
		return t, nil
	}
	var t []byte
	if err := h.tx.one(selectTile, []any{n}, &t); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("tree hashes: %w", err)
	}
	if len(h.kept) >= 64 {
		clear(h.kept)
	}
	h.kept[n] = t
	return t, nil
}

// inTile gives the hash with the stored index x.
func inTile(tile []byte, x int64) (hash tlog.Hash, ok bool) {
	at := (x % tileHashes) * hashSize
	if int64(len(tile)) < at+hashSize {
		return hash, false
	}
	copy(hash[:], tile[at:])
	return hash, true
}

func readHashes(from tiles, indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		tile, err := from.tile(x / tileHashes)
		if err != nil {
			return nil, err
		}
		var ok bool
		if out[i], ok = inTile(tile, x); !ok {
			return nil, fmt.Errorf("tree hash %d is not stored", x)
		}
	}
	return out, nil
}

// Bounds of the hashes that are kept for proofs.
const (
	keptLevel = 6       // nodes over 64 leaves and more
	keptNodes = 131_072 // of a log with four million entries
	keptTiles = 512
)

// proofHashes reads committed hashes for proofs. A committed hash never
// changes, so it keeps what it read: the upper nodes of the tree, of which every
// proof needs a dozen from as many tiles, and the last tiles. Safe for
// concurrent use.
type proofHashes struct {
	from *readers

	mu    sync.Mutex
	nodes *generations[int64, tlog.Hash]
	tiles *generations[int64, []byte] // full ones
}

func newProofHashes(from *readers) *proofHashes {
	return &proofHashes{
		from: from, nodes: newGenerations[int64, tlog.Hash](keptNodes), tiles: newGenerations[int64, []byte](keptTiles),
	}
}

// proofReader is proofHashes for one caller.
type proofReader struct {
	*proofHashes
	ctx context.Context
}

// ReadHashes implements tlog.HashReader.
func (h proofReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		var ok bool
		if out[i], ok = h.nodes.get(x); ok {
			continue
		}
		tile, err := h.tile(x / tileHashes)
		if err != nil {
			return nil, err
		}
		if out[i], ok = inTile(tile, x); !ok {
			return nil, fmt.Errorf("tree hash %d is not stored", x)
		}
		if level, _ := tlog.SplitStoredHashIndex(x); level >= keptLevel {
			h.nodes.put(x, out[i])
		}
	}
	return out, nil
}

func (h proofReader) tile(n int64) ([]byte, error) {
	if t, ok := h.tiles.get(n); ok {
		return t, nil
	}
	var t []byte
	if err := h.from.point(h.ctx, selectTile, []any{n}, &t); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("tree hashes: %w", err)
	}
	if len(t) == tileHashes*hashSize {
		h.tiles.put(n, t)
	}
	return t, nil
}

// Hashes implements store.Store.
func (s *Store) Hashes(ctx context.Context) tlog.HashReader { return proofReader{s.proofs, ctx} }

// head is what the writer remembers of the log's end between batches.
type head struct {
	size  int64
	time  string // of the newest entry, as written
	tiles map[int64][]byte
	dirty map[int64]bool
	base  tiles // for tiles that are not at the end
}

func newHead(base tiles) *head {
	return &head{tiles: map[int64][]byte{}, dirty: map[int64]bool{}, base: base}
}

func (h *head) tile(n int64) ([]byte, error) {
	if err := h.load(n, false); err != nil {
		return nil, err
	}
	return h.tiles[n], nil
}

// ReadHashes implements tlog.HashReader over the batch's own hashes too.
func (h *head) ReadHashes(indexes []int64) ([]tlog.Hash, error) { return readHashes(h, indexes) }

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

// trim forgets tiles that are written and do not hold the tree's right edge,
// which is all that appending reads.
func (h *head) trim() {
	clear(h.dirty)
	edge := map[int64]bool{tlog.StoredHashCount(h.size) / tileHashes: true}
	for level := range bits.Len64(uint64(h.size)) {
		if nodes := h.size >> level; nodes&1 == 1 {
			edge[tlog.StoredHashIndex(level, nodes-1)/tileHashes] = true
		}
	}
	for n := range h.tiles {
		if !edge[n] {
			delete(h.tiles, n)
		}
	}
}

// putHashes writes the tiles that the batch touched.
func (b *batch) putHashes() error {
	for n := range b.head.dirty {
		if err := b.exec("put tree hashes",
			`INSERT INTO hashes (tile, data) VALUES (?,?) ON CONFLICT (tile) DO UPDATE SET data = excluded.data`,
			n, b.head.tiles[n]); err != nil {
			return err
		}
	}
	return nil
}
