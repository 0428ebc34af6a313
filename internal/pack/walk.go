package pack

import (
	"errors"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

// walk is the pass over all entries of a pack, in order. A refusal of a header
// ends it; one of a later group is kept until the headers are known to be right.
type walk struct {
	period Period
	scopes map[string]bool // by scopeKey
	ranges []ledger.Range  // the front one holds the entry
	tree   *ledger.RangeVerifier

	headers      int64
	last         time.Time // of the entry before
	rangeBegins  bool      // the front range begins at 0 or before the period
	periodProven bool      // a range holds the whole period and its boundaries

	entry    Entry    // the one at hand, if it has a body
	refusal  *Refusal // the first of group 4
	mismatch *Refusal // the first body that is not its header's
	bodies   bodies
	blobs    blobs
	reports  reportChecks
}

func newWalk(v *verifier, tree *ledger.RangeVerifier) *walk {
	w := &walk{period: v.manifest.Period, scopes: map[string]bool{}, ranges: v.ranges, tree: tree}
	for _, scope := range v.manifest.Scopes {
		w.scopes[scopeKey(scope)] = true
	}
	w.bodies.init(v.opts.Previous != nil)
	w.blobs.init(v)
	return w
}

// take checks the next entry; it is the second half of ledger.Stream.
func (w *walk) take(l *ledger.Line) error {
	if err := w.header(l); err != nil {
		return because(HeadersGroup, headersPath, l.Seq, err)
	}
	if w.refusal != nil {
		return nil
	}
	err := w.body(l)
	if err == nil {
		return nil
	}
	seq := l.Seq
	var other *bodyError
	if errors.As(err, &other) {
		seq = other.seq
	}
	if err = because(BodiesGroup, bodiesPath, seq, err); !errors.As(err, &w.refusal) {
		return err
	}
	if errors.Is(l.BodyErr, ledger.ErrBodyMismatch) {
		w.mismatch = w.refusal
	}
	return nil
}

// header checks an entry's header against the ones before.
func (w *walk) header(l *ledger.Line) error {
	if l.HeaderErr != nil {
		return l.HeaderErr
	}
	t := l.Parsed.Time
	if w.headers > 0 && t.Before(w.last) {
		return fault.New(fault.Invalid, "the time is before that of the entry before")
	}
	if err := w.tree.Add(l.Leaf); err != nil {
		return because(HeadersGroup, rangePath, noSeq, err)
	}
	w.headers++
	w.last = t
	r := w.ranges[0]
	if l.Seq == r.From {
		w.rangeBegins = l.Seq == 0 || t.Before(w.period.From.Time)
	}
	if l.Seq == r.To-1 {
		w.periodProven = w.periodProven || w.rangeBegins && !t.Before(w.period.To.Time)
		w.ranges = w.ranges[1:]
	}
	return nil
}

// body makes the checks of groups 4 to 6 on an entry.
func (w *walk) body(l *ledger.Line) error {
	if l.BodyErr != nil {
		return l.BodyErr
	}
	scope := scopeKey(l.Parsed.Scope)
	place := w.place(l.Parsed.Time)
	if err := w.bodies.enter(l.Seq, place); err != nil {
		return err
	}
	if l.Framed == nil {
		return w.bodies.without(l.Seq, scope, w.scopes[scope], place, l.Parsed.Body)
	}
	if !w.scopes[scope] {
		return fault.New(fault.Invalid, "the pack must not hold a body of scope %q", scope)
	}
	w.entry.Take(l)
	if err := w.bodies.with(&w.entry, scope, place); err != nil {
		return err
	}
	w.blobs.take(&w.entry, place == inPeriod)
	return w.reports.take(&w.entry)
}

// place says where an entry lies to the period.
type place int

const (
	beforePeriod place = iota
	inPeriod
	afterPeriod
)

func (w *walk) place(t time.Time) place {
	switch {
	case t.Before(w.period.From.Time):
		return beforePeriod
	case t.Before(w.period.To.Time):
		return inPeriod
	default:
		return afterPeriod
	}
}
