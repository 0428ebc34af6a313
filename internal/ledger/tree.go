package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Hashes returns what must be stored when the leaf of entry seq is appended,
// in order: the hashes at the indexes StoredIndex(seq) and following. The
// reader must serve all hashes stored before.
func Hashes(seq int64, leaf tlog.Hash, r tlog.HashReader) ([]tlog.Hash, error) {
	hashes, err := tlog.StoredHashesForRecordHash(seq, leaf, r)
	if err != nil {
		return nil, fmt.Errorf("hashes of entry %d: %w", seq, err)
	}
	return hashes, nil
}

// StoredIndex is the index of the first hash that belongs to entry seq, which
// is also the number of hashes stored for a tree of size seq.
func StoredIndex(seq int64) int64 { return tlog.StoredHashIndex(0, seq) }

// Root returns the root hash of the tree of size n.
func Root(n int64, r tlog.HashReader) (tlog.Hash, error) {
	root, err := tlog.TreeHash(n, r)
	if err != nil {
		return tlog.Hash{}, fmt.Errorf("root of tree %d: %w", n, err)
	}
	return root, nil
}

// ProveInclusion proves that entry seq is in the tree of size n.
func ProveInclusion(n, seq int64, r tlog.HashReader) (tlog.RecordProof, error) {
	return tlog.ProveRecord(n, seq, r)
}

// VerifyInclusion checks a proof made by ProveInclusion.
func VerifyInclusion(p tlog.RecordProof, n int64, root tlog.Hash, seq int64, leaf tlog.Hash) error {
	return tlog.CheckRecord(p, n, root, seq, leaf)
}

// ProveConsistency proves that the tree of size n extends the one of size old.
// Every tree extends the empty one; that needs no proof.
func ProveConsistency(n, old int64, r tlog.HashReader) (tlog.TreeProof, error) {
	if old == 0 {
		return tlog.TreeProof{}, nil
	}
	return tlog.ProveTree(n, old, r)
}

// VerifyConsistency checks a proof made by ProveConsistency.
func VerifyConsistency(p tlog.TreeProof, n int64, root tlog.Hash, old int64, oldRoot tlog.Hash) error {
	if old == 0 {
		if empty, _ := tlog.TreeHash(0, nil); len(p) != 0 || oldRoot != empty {
			return fmt.Errorf("the empty tree has no proof and one root")
		}
		return nil
	}
	return tlog.CheckTree(p, n, root, old, oldRoot)
}
