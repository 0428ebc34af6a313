package evidence

import (
	"errors"
	"slices"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// entries reads the entries of a pack's ranges, by seq, for ledger.Stream: it
// checks that each is what its header says, as the verifier of the pack will.
type entries struct {
	*export
	ranges []ledger.Range // the front one holds the next entry
	page   []store.Record // read and not passed on yet
	header []byte
}

// pageSize is how many entries are read at a time, and pageBytes how much of their
// bodies, but for the last one.
const (
	pageSize  = 500
	pageBytes = 8 << 20
)

// fill is the first half of ledger.Stream.
func (e *entries) fill(b *ledger.Batch) (more bool, err error) {
	for !b.Full() {
		if len(e.page) == 0 {
			if len(e.ranges) == 0 {
				return false, nil
			}
			if err := e.read(); err != nil {
				return false, err
			}
		}
		if err := e.add(b, &e.page[0]); err != nil {
			return false, err
		}
		e.page = e.page[1:]
	}
	return true, nil
}

// read reads the next page.
func (e *entries) read() error {
	front := &e.ranges[0]
	var err error
	e.page, err = e.cfg.Store.Entries(e.ctx, store.Query{FromSeq: front.From, ToSeq: front.To, Limit: pageSize, Bytes: pageBytes})
	if err != nil {
		return err
	}
	if len(e.page) == 0 {
		return &store.Damage{Seq: front.From, What: "it is missing"}
	}
	if front.From = e.page[len(e.page)-1].Header.Seq + 1; front.From == front.To {
		e.ranges = e.ranges[1:]
	}
	return nil
}

// add passes on an entry: with its body, if the pack holds that.
func (e *entries) add(b *ledger.Batch, r *store.Record) error {
	shown, err := e.shown(r)
	if err != nil {
		return err
	}
	l := b.Add(r.Header.Seq)
	e.header = r.Header.Append(e.header[:0])
	l.Header = append(b.Bytes(len(e.header))[:0], e.header...)
	if shown {
		l.Framed = b.Bytes(ledger.FrameSize + len(r.Body))
		copy(l.Framed[ledger.FrameSize:], r.Body)
		l.Salt = r.Salt
	}
	return nil
}

// shown tells whether the pack holds an entry's body: those of the period and
// of the opening state, in scope and not erased, and those that say of these which
// were erased.
func (p *export) shown(r *store.Record) (bool, error) {
	if !p.inScope(r.Header.Scope) {
		return false, nil
	}
	_, opening := slices.BinarySearch(p.opening, r.Header.Seq)
	_, erasure := slices.BinarySearch(p.erasures, r.Header.Seq)
	switch wanted := p.inPeriod(r.Header.Seq) || opening || erasure; {
	case !wanted || p.erased[r.Header.Seq]:
		return false, nil
	case r.Body == nil:
		return false, fault.New(fault.Conflict, "The body of entry %d is not there: it was erased while the pack was written. Export it again; if that does not help, look at the ledger with ledger:verify.", r.Header.Seq)
	}
	return true, nil
}

func (p *export) inPeriod(seq int64) bool { return seq >= p.first && seq < p.last }

// damage says what is wrong with an entry that did not pass.
func damage(l *ledger.Line) error {
	switch {
	case l.HeaderErr != nil:
		return &store.Damage{Seq: l.Seq, What: "its header cannot be written"}
	case errors.Is(l.BodyErr, ledger.ErrBodyMismatch):
		return &store.Damage{Seq: l.Seq, What: "its body or salt was altered"}
	case l.BodyErr != nil:
		return &store.Damage{Seq: l.Seq, What: "its body cannot be read"}
	}
	return nil
}
