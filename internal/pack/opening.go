package pack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// opening is group 7: whether the state that the period began with is proven.
func (v *verifier) opening(ctx context.Context) error {
	b := &v.walk.bodies
	detail := fmt.Sprintf("%s: %d documents", asClaimed, b.living)
	if b.fromZero {
		detail = fmt.Sprintf("opening state: proven from the log's first entry, %d documents", b.living)
	}
	if v.opts.Previous != nil {
		var err error
		if detail, err = v.previous(ctx); err != nil {
			return err
		}
	}
	v.passed(OpeningGroup, detail)
	return nil
}

// previous checks the pack of the period before and that its closing state is
// this pack's opening state.
func (v *verifier) previous(ctx context.Context) (detail string, err error) {
	prev, err := newVerifier(*v.opts.Previous, Options{Key: v.result.Key})
	if err != nil {
		return "", err
	}
	err = prev.run(ctx)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return "", refuse(OpeningGroup, "", noSeq, "the previous pack is itself refused: %v", refusal)
	}
	if err != nil {
		return "", err
	}
	if err := v.follows(prev); err != nil {
		return "", err
	}
	count, err := v.compareStates(prev.walk.bodies.docs)
	if err != nil {
		return "", err
	}
	own := "as claimed"
	if prev.walk.bodies.fromZero {
		own = "proven from the log's first entry"
	}
	return fmt.Sprintf("opening state: proven, %d documents, equal to the closing state of the previous pack (whose own opening state: %s)", count, own), nil
}

// follows checks that the two packs are about the same log and scopes, one
// period after the other.
func (v *verifier) follows(prev *verifier) error {
	switch {
	case prev.checkpoint.Origin != v.checkpoint.Origin:
		return refuse(OpeningGroup, "", noSeq, "the previous pack is of log %s, this one of %s", prev.checkpoint.Origin, v.checkpoint.Origin)
	case !prev.manifest.Period.To.Equal(v.manifest.Period.From.Time):
		return refuse(OpeningGroup, "", noSeq, "the previous pack's period does not end where this one's begins")
	}
	for _, scope := range v.manifest.Scopes {
		if !prev.walk.scopes[scopeKey(scope)] {
			return refuse(OpeningGroup, "", noSeq, "the previous pack does not cover scope %q", scopeKey(scope))
		}
	}
	return nil
}

// compareStates compares the documents that live when the period begins with
// those that lived when the previous one ended. A document whose entry was
// erased since then counts if the entry's header is the same; an older version of
// it may show in an entry that is here because it wrote another one last.
func (v *verifier) compareStates(closing map[docKey]document) (count int, err error) {
	opening := v.walk.bodies.opening
	if opening == nil {
		return 0, refuse(OpeningGroup, headersPath, noSeq, "no entry is at or after the period's beginning")
	}
	last := map[int64]bool{} // entries that wrote some document last
	for _, key := range sortedKeys(closing) {
		want := closing[key]
		if want.deleted || !v.walk.scopes[want.scope] {
			continue
		}
		count++
		got, ok := opening[key]
		same := ok && !got.deleted && got.seq == want.seq && got.body == want.body
		if !same && !v.walk.bodies.erasedSince(want) {
			return 0, refuse(OpeningGroup, bodiesPath, want.seq,
				"%.40q %.80q, last written by this entry in the previous pack, is not so in the opening state", key.kind, key.id)
		}
		last[want.seq] = last[want.seq] || same
	}
	for _, key := range sortedKeys(opening) {
		got := opening[key]
		want, lived := closing[key]
		lived = lived && !want.deleted
		older := lived && want.seq > got.seq && last[got.seq] && v.walk.bodies.erasedSince(want)
		if !got.deleted && !older && (!lived || want.seq != got.seq) {
			return 0, refuse(OpeningGroup, bodiesPath, got.seq,
				"%.40q %.80q of the opening state did not live when the previous pack ended, or was last written by another entry", key.kind, key.id)
		}
	}
	return count, nil
}

// erasedSince reports whether the pack shows the entry that wrote the document
// and a body.erase that names it. One that merely lacks its body does not count:
// then the pack keeps something back.
func (b *bodies) erasedSince(doc document) bool {
	i, ok := slices.BinarySearchFunc(b.missing, doc.seq, bySeq)
	return ok && b.missing[i].body == doc.body && b.missing[i].erased != nil
}

func sortedKeys(docs map[docKey]document) []docKey {
	keys := slices.Collect(maps.Keys(docs))
	slices.SortFunc(keys, func(a, b docKey) int {
		return cmp.Or(strings.Compare(a.kind, b.kind), strings.Compare(a.id, b.id))
	})
	return keys
}
