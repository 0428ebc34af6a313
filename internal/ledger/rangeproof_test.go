package ledger

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// naive is the specification's recursion, word for word. prove makes the proof,
// verify consumes it.
type naive struct {
	leaves []tlog.Hash
	ranges []Range
	proof  []tlog.Hash
	prove  bool
}

func (n *naive) mth(lo, hi int64) tlog.Hash {
	meets := slices.ContainsFunc(n.ranges, func(r Range) bool { return r.From < hi && lo < r.To })
	if !meets {
		if n.prove {
			n.proof = append(n.proof, n.subtree(lo, hi))
			return n.proof[len(n.proof)-1]
		}
		h := n.proof[0]
		n.proof = n.proof[1:]
		return h
	}
	if hi-lo == 1 {
		return n.leaves[lo]
	}
	k := int64(1)
	for k*2 < hi-lo {
		k *= 2
	}
	left := n.mth(lo, lo+k)
	return tlog.NodeHash(left, n.mth(lo+k, hi))
}

func (n *naive) subtree(lo, hi int64) tlog.Hash {
	all := naive{leaves: n.leaves, ranges: []Range{{lo, hi}}}
	return all.mth(lo, hi)
}

func testTree(t testing.TB, n int) (memoryTree, []tlog.Hash) {
	var tree memoryTree
	var leaves []tlog.Hash
	for i := range n {
		leaves = append(leaves, LeafHash(fmt.Appendf(nil, "leaf %d", i)))
		tree.add(t, int64(i), leaves[i])
	}
	return tree, leaves
}

func iterate(leaves []tlog.Hash, ranges []Range) func() (tlog.Hash, error) {
	var list []tlog.Hash
	for _, r := range ranges {
		list = append(list, leaves[r.From:r.To]...)
	}
	return func() (tlog.Hash, error) {
		if len(list) == 0 {
			return tlog.Hash{}, errors.New("no more leaves")
		}
		h := list[0]
		list = list[1:]
		return h, nil
	}
}

// genRanges draws valid ranges for a tree of size n.
func genRanges(t *rapid.T, n int64) []Range {
	var ranges []Range
	pos := int64(0)
	for pos < n && rapid.IntRange(0, 5).Draw(t, "more") > 0 {
		from := rapid.Int64Range(pos, n-1).Draw(t, "from")
		to := rapid.Int64Range(from+1, n).Draw(t, "to")
		ranges = append(ranges, Range{from, to})
		pos = to + 1
	}
	return ranges
}

func TestRangeProofIsTheRecursion(t *testing.T) {
	const size = 200
	tree, leaves := testTree(t, size)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, size).Draw(t, "n")
		ranges := genRanges(t, n)
		proof, err := ProveRanges(ranges, n, tree)
		if err != nil {
			t.Fatal(err)
		}
		made := naive{leaves: leaves, ranges: ranges, prove: true}
		root := made.mth(0, n)
		if !slices.Equal(proof, made.proof) {
			t.Fatalf("proof of %v in %d has %d hashes, the recursion's %d", ranges, n, len(proof), len(made.proof))
		}
		if own, err := Root(n, tree); err != nil || own != root {
			t.Fatalf("root %v, %v", own, err)
		}
		if err := VerifyRanges(ranges, iterate(leaves, ranges), proof, n, root); err != nil {
			t.Fatal(err)
		}
	})
}

// TestRangeProofSound changes one thing at a time in what is right.
func TestRangeProofSound(t *testing.T) {
	const size = 64
	tree, leaves := testTree(t, size)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(2, size).Draw(t, "n")
		ranges := genRanges(t, n)
		proof, err := ProveRanges(ranges, n, tree)
		if err != nil {
			t.Fatal(err)
		}
		root, err := Root(n, tree)
		if err != nil {
			t.Fatal(err)
		}
		changed := slices.Clone(leaves)
		other := slices.Clone(ranges)
		switch kind := rapid.IntRange(0, 5).Draw(t, "change"); {
		case kind == 0 && len(proof) > 0: // a hash of the proof
			proof[rapid.IntRange(0, len(proof)-1).Draw(t, "hash")][3] ^= 1
		case kind == 1 && len(proof) > 0: // one too few
			proof = proof[:len(proof)-1]
		case kind == 2: // one too many
			proof = append(proof, tlog.Hash{})
		case kind == 3 && len(ranges) > 0: // a leaf
			r := ranges[rapid.IntRange(0, len(ranges)-1).Draw(t, "range")]
			changed[rapid.Int64Range(r.From, r.To-1).Draw(t, "leaf")][0] ^= 1
		case kind == 4: // the root
			root[31] ^= 1
		case kind == 5 && len(ranges) > 0: // a range one shorter, so that a leaf is left out
			i := rapid.IntRange(0, len(ranges)-1).Draw(t, "range")
			if other[i].To-other[i].From == 1 {
				t.Skip("would be empty")
			}
			other[i].To--
		default:
			t.Skip("nothing to change")
		}
		if err := VerifyRanges(other, iterate(changed, other), proof, n, root); err == nil {
			t.Fatal("accepted")
		}
	})
}

func TestCheckRanges(t *testing.T) {
	for _, bad := range [][]Range{
		{{0, 0}}, {{3, 2}}, {{-1, 2}}, {{0, 11}}, {{10, 11}}, {{0, 2}, {2, 4}}, {{0, 3}, {2, 4}}, {{5, 6}, {1, 2}}, {{1, 2}, {1, 2}},
	} {
		if err := CheckRanges(bad, 10); err == nil {
			t.Errorf("%v accepted", bad)
		}
		if _, err := ProveRanges(bad, 10, memoryTree{}); err == nil {
			t.Errorf("%v proved", bad)
		}
		if _, err := NewRangeVerifier(bad, nil, 10, tlog.Hash{}); err == nil {
			t.Errorf("%v verified", bad)
		}
	}
}

// TestRangeProofHugeTree: the size is the pack's claim, so it must cost nothing.
func TestRangeProofHugeTree(t *testing.T) {
	const n = MaxInt
	begin := time.Now()
	v, err := NewRangeVerifier([]Range{{n - 1, n}}, make([]tlog.Hash, 60), n, tlog.Hash{})
	if err == nil {
		err = v.Add(tlog.Hash{})
	}
	if err == nil {
		err = v.Close()
	}
	if err == nil {
		t.Error("accepted")
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("took %v", took)
	}
}

func TestRangeVerifierMisuse(t *testing.T) {
	tree, leaves := testTree(t, 3)
	root, err := Root(3, tree)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewRangeVerifier([]Range{{0, 3}}, nil, 3, root)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err == nil {
		t.Error("closed before the leaves came")
	}
	for i, leaf := range leaves {
		if seq, ok := v.Next(); !ok || seq != int64(i) {
			t.Errorf("next is %d, %v", seq, ok)
		}
		if err := v.Add(leaf); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := v.Next(); ok {
		t.Error("expects more leaves")
	}
	if err := v.Add(leaves[0]); err == nil {
		t.Error("took a leaf too many")
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
}

func TestEmptyTree(t *testing.T) {
	root, err := Root(0, memoryTree{})
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyRanges(nil, nil, nil, 0, root); err != nil {
		t.Error(err)
	}
}

func TestProofs(t *testing.T) {
	const size = 40
	tree, leaves := testTree(t, size)
	roots := make([]tlog.Hash, size+1)
	for n := range roots {
		var err error
		if roots[n], err = Root(int64(n), tree); err != nil {
			t.Fatal(err)
		}
	}
	for n := int64(1); n <= size; n++ {
		for old := range n + 1 {
			proof, err := ProveConsistency(n, old, tree)
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifyConsistency(proof, n, roots[n], old, roots[old]); err != nil {
				t.Errorf("%d extends %d: %v", n, old, err)
			}
			wrong := roots[old]
			wrong[0] ^= 1
			if err := VerifyConsistency(proof, n, roots[n], old, wrong); err == nil {
				t.Errorf("%d extends another tree of %d", n, old)
			}
		}
		for seq := range n {
			proof, err := ProveInclusion(n, seq, tree)
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifyInclusion(proof, n, roots[n], seq, leaves[seq]); err != nil {
				t.Errorf("%d in %d: %v", seq, n, err)
			}
			wrong := leaves[seq]
			wrong[0] ^= 1
			if err := VerifyInclusion(proof, n, roots[n], seq, wrong); err == nil {
				t.Errorf("another leaf as %d in %d", seq, n)
			}
		}
	}
}

func FuzzRangeProof(f *testing.F) {
	f.Add(int64(17), []byte{1, 3, 4, 16}, []byte("proof"))
	f.Add(int64(MaxInt), []byte{0, 1}, []byte{})
	f.Fuzz(func(t *testing.T, n int64, bounds, content []byte) {
		var ranges []Range
		for i := 0; i+1 < len(bounds); i += 2 {
			ranges = append(ranges, Range{int64(bounds[i]), int64(bounds[i+1])})
		}
		var proof []tlog.Hash
		for len(content) >= tlog.HashSize {
			proof = append(proof, tlog.Hash(content[:tlog.HashSize]))
			content = content[tlog.HashSize:]
		}
		next := func() (tlog.Hash, error) { return tlog.Hash{}, nil }
		if err := VerifyRanges(ranges, next, proof, n, tlog.Hash{}); err == nil {
			t.Fatal("a root of zeros was reached")
		}
	})
}
