package pack

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

// document is what is known of a document after the entries seen so far.
type document struct {
	rev, seq int64
	scope    string            // of the entry that last wrote it
	body     [sha256.Size]byte // that entry's, as its header has it
	deleted  bool
}

// missing is an entry of the pack's scopes without a body.
type missing struct {
	seq    int64
	scope  string
	body   [sha256.Size]byte
	erased *erasure // nil: no body.erase named it yet
	// excused entries lie before the period in a range that begins at 0: if
	// they are not erased, the opening state is not proven, but nothing is wrong.
	excused bool
	// boundary is the last entry before the period: it needs no body, and may or
	// may not have been erased.
	boundary bool
}

// erasure is what a body.erase says about an entry.
type erasure struct {
	rule string
	// changed says that the erased body may have held documents: it was neither
	// a read nor a refused or failed attempt.
	changed bool
}

// gap is a jump in a document's revisions that erased entries may explain.
type gap struct {
	from, to int64 // the entries on both sides
	skipped  int64 // revisions
	reason   *fault.Error
}

// bodies makes the checks of group 4: which entries must, may and must not have
// a body, and that revisions have no gaps.
type bodies struct {
	docs    map[docKey]document
	missing []missing // by seq
	gaps    []gap

	count   int64 // bodies
	foreign int64 // headers of other scopes in the period

	headers      int64               // seen so far
	foreignFirst int64               // first entry of another scope before the period; -1: none
	reached      place               // how far the entries have come
	beyond       int64               // entries after the period
	living       int                 // documents when the period began
	fromZero     bool                // the range of the period begins at 0
	keepOpening  bool                // opening will be needed
	opening      map[docKey]document // the state when the period began, as far as the pack shows it
	whole        int64               // all entries before this one are there
	begins       int64               // the first entry at or after the period's beginning
}

func (b *bodies) init(keepOpening bool) {
	b.docs = map[docKey]document{}
	b.foreignFirst, b.keepOpening = -1, keepOpening
}

// enter notices that the entries reach the period, or its end. All entries
// before it that the pack shows are known then.
func (b *bodies) enter(seq int64, at place) error {
	if b.headers++; b.headers == seq+1 {
		b.whole = seq + 1
	}
	if at == afterPeriod {
		b.beyond++
	}
	before := b.reached
	b.reached = at
	if before != beforePeriod || at == beforePeriod {
		return nil
	}
	b.fromZero = b.headers == seq+1
	// The boundary: the last entry before the period needs no body.
	switch n := len(b.missing); {
	case b.fromZero:
		for i := range b.missing {
			b.missing[i].excused = true
		}
	case n > 0 && b.missing[n-1].seq == seq-1:
		b.missing[n-1].boundary = true
	}
	b.begins = seq
	if !b.fromZero && b.foreignFirst >= 0 && b.foreignFirst != seq-1 {
		return badBody(b.foreignFirst, "the ranges hold an entry of another scope that is neither in the period nor its boundary")
	}
	for _, doc := range b.docs {
		if !doc.deleted {
			b.living++
		}
	}
	if b.keepOpening {
		b.opening = maps.Clone(b.docs)
	}
	return nil
}

// without takes an entry that has no body.
func (b *bodies) without(seq int64, scope string, inScope bool, at place, body [sha256.Size]byte) error {
	switch {
	case at == afterPeriod && b.beyond > 1:
		return fault.New(fault.Invalid, "the entry has no body, and is neither in the period nor its boundary")
	case at == afterPeriod:
	case inScope:
		b.missing = append(b.missing, missing{seq: seq, scope: scope, body: body})
	case at == inPeriod:
		b.foreign++
	case b.foreignFirst < 0:
		b.foreignFirst = seq
	}
	return nil
}

// with takes an entry that has a body.
func (b *bodies) with(e *Entry, scope string, at place) error {
	b.count++
	action := string(e.action)
	if e.action == nil {
		return fault.New(fault.Invalid, "the body has no action")
	}
	if action == "body.erase" {
		if err := b.erase(e, scope); err != nil {
			return err
		}
	}
	if at == afterPeriod {
		if action != "body.erase" {
			return fault.New(fault.Invalid, "the pack must not hold a body from after the period")
		}
		return nil
	}
	changes, err := e.changes()
	if err != nil {
		return err
	}
	for _, c := range changes {
		if err := b.change(e, scope, action, c, at); err != nil {
			return err
		}
	}
	return nil
}

// change checks that the document's revision follows the last one known.
func (b *bodies) change(e *Entry, scope, action string, c change, at place) error {
	last, known := b.docs[c.key]
	if !known {
		last.seq = -1
	}
	if skipped := c.rev - last.rev - 1; skipped != 0 {
		g := gap{last.seq, e.Header.Seq, skipped, fault.New(fault.Invalid, "rev %d of %.40q %.80q follows rev %d", c.rev, c.key.kind, c.key.id, last.rev)}
		switch {
		case skipped < 0:
			return g.reason
		case strings.HasSuffix(action, ".join") && (!known || last.deleted):
			// It comes from a scope that the pack may not show.
		case at == beforePeriod && b.whole <= e.Header.Seq:
			// The opening state has only the entries that last wrote something.
		case b.explained(b.missing, g):
			b.gaps = append(b.gaps, g) // explained if those are erased
		default:
			return g.reason
		}
	}
	b.docs[c.key] = document{rev: c.rev, seq: e.Header.Seq, scope: scope, body: e.Header.Body, deleted: c.deleted()}
	return nil
}

// explained reports whether entries of the list, which have no body, may have
// held the revisions that a gap skips. Each held one; but one of the opening
// state stands for all that came before it, of which the pack shows nothing.
func (b *bodies) explained(list []missing, g gap) bool {
	between := within(list, g)
	return int64(len(between)) >= g.skipped ||
		slices.ContainsFunc(between, func(m missing) bool { return b.whole <= m.seq && m.seq < b.begins })
}

// within are the entries on the inside of a gap.
func within(list []missing, g gap) []missing {
	from, _ := slices.BinarySearchFunc(list, g.from+1, bySeq)
	to, _ := slices.BinarySearchFunc(list, g.to, bySeq)
	return list[from:max(from, to)]
}

func bySeq(m missing, seq int64) int { return cmp.Compare(m.seq, seq) }

// erase notes which bodies the entry says were erased: of earlier entries in the
// same scope. Those that the pack does not lack are of no interest.
func (b *bodies) erase(e *Entry, scope string) error {
	if e.body.Member("outcome").String() != "ok" {
		return nil
	}
	return eachObject(e.body, "erased", func(v ledger.Value) error {
		seq, ok1 := v.Member("seq").Int()
		rule, ok2 := text(v.Member("rule"))
		if !ok1 || !ok2 {
			return fault.New(fault.Invalid, "erased lacks seq or rule")
		}
		i, ok := slices.BinarySearchFunc(b.missing, seq, bySeq)
		if !ok || b.missing[i].scope != scope || b.missing[i].erased != nil {
			return nil
		}
		action, outcome := v.Member("action").String(), v.Member("outcome").String()
		b.missing[i].erased = &erasure{rule, outcome == "ok" && !strings.HasSuffix(action, ".read")}
		return nil
	})
}

// bodiesEnd is the rest of group 4, when all entries have gone by.
func (v *verifier) bodiesEnd(src *source) error {
	b := &v.walk.bodies
	if v.walk.refusal != nil {
		return v.walk.refusal
	}
	if src.bodiesTail != nil {
		seq := noSeq
		if tail, ok := src.bodiesTail.(*bodyError); ok {
			seq = tail.seq
		}
		return because(BodiesGroup, bodiesPath, seq, src.bodiesTail)
	}
	rules := map[string]int{}
	var silent []missing // may have held documents that nobody can see any more
	for _, m := range b.missing {
		switch {
		case m.erased != nil:
			rules[m.erased.rule]++
		case m.boundary:
			continue
		case m.excused:
			b.fromZero = false
		default:
			return refuse(BodiesGroup, bodiesPath, m.seq, "the body of an entry in scope is missing, and no body.erase names it")
		}
		if m.erased == nil || m.erased.changed {
			silent = append(silent, m)
		}
	}
	for _, g := range b.gaps {
		if !b.explained(silent, g) {
			return because(BodiesGroup, bodiesPath, g.to, g.reason)
		}
	}
	details := []string{fmt.Sprintf("%d bodies", b.count)}
	for _, rule := range slices.Sorted(maps.Keys(rules)) {
		details = append(details, fmt.Sprintf("%d bodies erased by rule %s", rules[rule], rule))
	}
	if b.foreign > 0 {
		details = append(details, fmt.Sprintf("%d entries of other scopes in the period, shown by their headers only", b.foreign))
	}
	v.passed(BodiesGroup, details...)
	return nil
}
