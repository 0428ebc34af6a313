package sqlite

import (
	"encoding/binary"
	"time"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// The words of an entry that it is found by, as columns of entries and members
// of a posting.
const (
	byScope = iota
	byAction
	byOutcome
	byActor
	byApp
	byTarget
	wordColumns

	roles = 8 // room in postings' keys
)

// columns are the names of the words' columns.
var columns = [wordColumns]string{"scope", "action", "outcome", "actor", "app", "target"}

// postingKey is what a word in a role is stored under.
func postingKey(word int64, role int) int64 { return word*roles + int64(role) }

// line is what a listing needs of an entry, as postings keep it.
type line struct {
	seq   int64
	nanos int64 // time, since the Unix epoch
	words [wordColumns]int64
}

// appendLine encodes a line that follows prev.
func appendLine(dst []byte, prev, l *line) []byte {
	dst = binary.AppendUvarint(dst, uint64(l.seq-prev.seq))
	dst = binary.AppendVarint(dst, l.nanos-prev.nanos)
	for _, w := range l.words {
		dst = binary.AppendUvarint(dst, uint64(w))
	}
	return dst
}

// readLines calls fn for each line of a posting; l is used again for the next.
func readLines(data []byte, segment int64, fn func(l *line)) error {
	d := decoder{data: data}
	l := line{seq: segment * segmentSize}
	for len(d.data) > 0 && !d.bad {
		l.seq += d.uint()
		l.nanos += d.int()
		for i := range l.words {
			l.words[i] = d.uint()
		}
		if !d.bad {
			fn(&l)
		}
	}
	return d.err("a posting")
}

// shown resolves a line's words.
func (l *line) shown(t *transaction, w *words) (store.Line, error) {
	out := store.Line{Seq: l.seq, Time: time.Unix(0, l.nanos).UTC()}
	var outcome string
	for i, to := range []*string{&out.Scope, &out.Action, &outcome, &out.Actor, &out.App, &out.Target} {
		var err error
		if *to, err = w.word(t, l.words[i]); err != nil {
			return out, err
		}
	}
	out.Outcome = ledger.Outcome(outcome)
	return out, nil
}
