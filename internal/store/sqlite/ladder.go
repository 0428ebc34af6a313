package sqlite

import (
	"encoding/binary"
	"math/bits"

	"github.com/strongroom/strongroom/internal/store"
)

// The changes of a document form a skip list that runs backwards. A change with
// revision r names the change before it and, for each power of two that r is a
// multiple of, the change before it whose revision is one, too. So the entry of
// a change is written once and never touched again, appending costs a few bytes,
// and the state at any past moment is found in a logarithmic number of steps. A
// table of changes would be simpler; keeping it costs an append a quarter more
// processor time and half as many bytes again, for its rows lie scattered.

// ladder has, for each k, the seq of a document's newest change whose revision
// is a multiple of 2^k.
type ladder []int64

// below gives what the change with revision rev names.
func (l ladder) below(rev int64) ladder { return l[:min(len(l), rungs(rev))] }

// climb gives the ladder after a change, in the same memory if there is room.
func (l ladder) climb(rev, seq int64) ladder {
	for k := range rungs(rev) {
		if k == len(l) {
			l = append(l, seq)
		}
		l[k] = seq
	}
	return l
}

// rungs is how many powers of two rev is a multiple of, up to a bound that
// serves a million changes.
func rungs(rev int64) int { return min(bits.TrailingZeros64(uint64(rev)), 20) + 1 }

// revision is a document's change as the column docs of its entry keeps it.
type revision struct {
	born int64 // which document
	rev  int64
	back ladder // what it names
}

// birth is the number of a document: where its first change is.
func birth(seq int64, place int) int64 { return seq<<20 | int64(place) }

func appendRevision(dst []byte, seq int64, r revision) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.born))
	dst = binary.AppendUvarint(dst, uint64(r.rev))
	return appendLadder(dst, seq, r.back)
}

// appendLadder writes seqs as distances from seq.
func appendLadder(dst []byte, seq int64, l ladder) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(l)))
	for _, s := range l {
		dst = binary.AppendUvarint(dst, uint64(seq-s))
	}
	return dst
}

// findRevision looks for a document's change in the column docs.
func findRevision(docs []byte, seq, born int64) (revision, error) {
	d := decoder{data: docs}
	for len(d.data) > 0 && !d.bad {
		r := revision{born: d.uint(), rev: d.uint(), back: d.ladder(seq)}
		if r.born == born && !d.bad && (len(r.back) == 0 || r.back[0] < seq) {
			return r, nil
		}
	}
	return revision{}, &store.Damage{Seq: seq, What: "it does not say which document it changes"}
}

// ladder reads what appendLadder wrote: seqs before seq, or seq itself in the
// row of a document.
func (d *decoder) ladder(seq int64) ladder {
	n := d.uint()
	if n > 64 {
		d.bad = true
	}
	var l ladder
	for range n {
		if d.bad {
			break
		}
		l = append(l, seq-d.uint())
	}
	return l
}

func readLadder(data []byte, seq int64) (ladder, error) {
	d := decoder{data: data}
	l := d.ladder(seq)
	return l, d.err("the history of a document")
}
