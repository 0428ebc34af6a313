package ledger

import (
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/fault"
)

// A range proof shows that given leaves are all the leaves of given ranges: it
// holds the hashes of the largest subtrees outside of them, from left to right.
// The complete subtrees lie at multiples of their power-of-two size; the one at
// the right edge of the tree may be incomplete.

// Range is the entries with From ≤ seq < To.
type Range struct{ From, To int64 }

// CheckRanges requires ranges that are sorted, not empty, neither overlapping
// nor adjacent, and within a tree of size n.
func CheckRanges(ranges []Range, n int64) error {
	end := int64(-1)
	for _, r := range ranges {
		if r.From <= end || r.From >= r.To || r.To > n {
			return fault.New(fault.Invalid,
				"range [%d,%d) is empty, out of order, adjacent to the one before, or beyond the tree's %d entries", r.From, r.To, n)
		}
		end = r.To
	}
	return nil
}

// gaps calls fn for every subtree that the proof of the ranges has a hash for,
// in order.
func gaps(ranges []Range, n int64, fn func(lo, hi int64) error) error {
	lo := int64(0)
	for _, r := range append(ranges[:len(ranges):len(ranges)], Range{n, n}) {
		for lo < r.From {
			hi := gapNode(lo, r.From, n)
			if err := fn(lo, hi); err != nil {
				return err
			}
			lo = hi
		}
		lo = r.To
	}
	return nil
}

// gapNode returns the end of the largest subtree that begins at lo and ends at
// or before hi, in a tree of size n. lo < hi ≤ n.
func gapNode(lo, hi, n int64) int64 {
	// A subtree that begins at lo has at most as many leaves as lo's lowest bit.
	limit := lo & -lo
	if hi == n && (lo == 0 || n-lo <= limit) {
		return n
	}
	size := int64(1) << (bits.Len64(uint64(hi-lo)) - 1)
	if lo != 0 {
		size = min(size, limit)
	}
	return lo + size
}

// ProveRanges makes the proof that the leaves of the ranges are all the leaves
// of those ranges in the tree of size n, whose hashes r serves. It reads the
// hashes that it needs in one call.
func ProveRanges(ranges []Range, n int64, r tlog.HashReader) ([]tlog.Hash, error) {
	if err := CheckRanges(ranges, n); err != nil {
		return nil, err
	}
	var indexes []int64
	var counts []int // how many stored hashes make up each hash of the proof
	err := gaps(ranges, n, func(lo, hi int64) error {
		before := len(indexes)
		indexes = appendSubtree(indexes, lo, hi)
		counts = append(counts, len(indexes)-before)
		return nil
	})
	if err != nil || len(indexes) == 0 {
		return nil, err
	}
	hashes, err := r.ReadHashes(indexes)
	if err != nil {
		return nil, fmt.Errorf("read hashes for range proof: %w", err)
	}
	if len(hashes) != len(indexes) {
		return nil, fmt.Errorf("read hashes for range proof: asked for %d, got %d", len(indexes), len(hashes))
	}
	proof := make([]tlog.Hash, 0, len(counts))
	for _, count := range counts {
		proof = append(proof, foldRight(hashes[:count]))
		hashes = hashes[count:]
	}
	return proof, nil
}

// appendSubtree appends the indexes of the stored hashes that the subtree
// [lo, hi) is made of: one if it is complete.
func appendSubtree(indexes []int64, lo, hi int64) []int64 {
	for lo < hi {
		level := bits.Len64(uint64(hi-lo)) - 1
		indexes = append(indexes, tlog.StoredHashIndex(level, lo>>level))
		lo += 1 << level
	}
	return indexes
}

// foldRight joins ever smaller subtrees, left to right, into the tree above them.
func foldRight(hashes []tlog.Hash) tlog.Hash {
	h := hashes[len(hashes)-1]
	for i := len(hashes) - 2; i >= 0; i-- {
		h = tlog.NodeHash(hashes[i], h)
	}
	return h
}

// RangeVerifier checks a range proof while the leaves go by: it keeps one hash
// for each level of the tree.
type RangeVerifier struct {
	ranges []Range
	proof  []tlog.Hash
	n      int64
	root   tlog.Hash

	pos   int64       // everything before is on the stack
	stack []tlog.Hash // complete subtrees, ever smaller, as the bits of pos say
}

// NewRangeVerifier begins to check the proof that the leaves of ranges lead to
// root, the tree of size n.
func NewRangeVerifier(ranges []Range, proof []tlog.Hash, n int64, root tlog.Hash) (*RangeVerifier, error) {
	if err := CheckRanges(ranges, n); err != nil {
		return nil, err
	}
	v := &RangeVerifier{ranges: ranges, proof: proof, n: n, root: root}
	return v, v.skip()
}

// Next returns the seq of the leaf that Add expects, and false if it expects none.
func (v *RangeVerifier) Next() (seq int64, ok bool) { return v.pos, len(v.ranges) > 0 }

// Add takes the next leaf.
func (v *RangeVerifier) Add(leaf tlog.Hash) error {
	if len(v.ranges) == 0 {
		return fault.New(fault.Invalid, "a leaf beyond the ranges")
	}
	v.push(leaf, 1)
	if v.pos < v.ranges[0].To {
		return nil
	}
	v.ranges = v.ranges[1:]
	return v.skip()
}

// Close returns nil if all leaves came, the proof was consumed and the root is right.
func (v *RangeVerifier) Close() error {
	switch {
	case len(v.ranges) > 0:
		return fault.New(fault.Invalid, "leaves are missing from %d on", v.pos)
	case len(v.proof) > 0:
		return fault.New(fault.Invalid, "the range proof has %d hashes too many", len(v.proof))
	}
	root, _ := tlog.TreeHash(0, nil)
	if v.n > 0 {
		root = foldRight(v.stack)
	}
	if root != v.root {
		return fault.New(fault.Invalid, "the headers and the range proof do not lead to the checkpoint's root hash")
	}
	return nil
}

// skip takes proof hashes up to the beginning of the next range or the tree's end.
func (v *RangeVerifier) skip() error {
	end := v.n
	if len(v.ranges) > 0 {
		end = v.ranges[0].From
	}
	for v.pos < end {
		if len(v.proof) == 0 {
			return fault.New(fault.Invalid, "the range proof is too short")
		}
		v.push(v.proof[0], gapNode(v.pos, end, v.n)-v.pos)
		v.proof = v.proof[1:]
	}
	return nil
}

// push puts a subtree of size leaves on the stack and joins what it completes.
// The incomplete right edge of the tree comes last and is joined by Close.
func (v *RangeVerifier) push(h tlog.Hash, size int64) {
	if size&(size-1) == 0 {
		for joined := v.pos; joined&size != 0; size <<= 1 {
			h = tlog.NodeHash(v.stack[len(v.stack)-1], h)
			v.stack = v.stack[:len(v.stack)-1]
			v.pos -= size
		}
	}
	v.stack = append(v.stack, h)
	v.pos += size
}

// VerifyRanges checks a proof made by ProveRanges. next returns the hashes of
// the ranges' leaves in order; nothing is kept of them.
func VerifyRanges(ranges []Range, next func() (tlog.Hash, error), proof []tlog.Hash, n int64, root tlog.Hash) error {
	v, err := NewRangeVerifier(ranges, proof, n, root)
	if err != nil {
		return err
	}
	for {
		if _, ok := v.Next(); !ok {
			return v.Close()
		}
		leaf, err := next()
		if err != nil {
			return err
		}
		if err := v.Add(leaf); err != nil {
			return err
		}
	}
}
