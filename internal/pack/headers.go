package pack

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/ledger"
)

// entries makes the checks of groups 3 to 6 in one pass over headers and
// bodies. Of what fails, the lowest group counts, and in it the first entry.
func (v *verifier) entries(ctx context.Context) error {
	proof, err := v.readRanges()
	if err != nil {
		return err
	}
	tree, err := ledger.NewRangeVerifier(v.ranges, proof, v.checkpoint.Size, v.checkpoint.Root)
	if err != nil {
		return because(HeadersGroup, rangePath, noSeq, err)
	}
	v.walk = newWalk(v, tree)
	if err := v.walk.reports.open(v); err != nil {
		return err
	}
	src := newSource(v.ranges, v.longFile(headersPath), v.longFile(bodiesPath))
	if err := ledger.Stream(ctx, src.fill, v.walk.take); err != nil {
		return err
	}
	if err := v.headersEnd(src); err != nil {
		return err
	}
	for _, end := range []func(*source) error{v.bodiesEnd, v.blobsEnd, v.reportsEnd} {
		if err := end(src); err != nil {
			return err
		}
	}
	return nil
}

// readRanges reads ledger/range.json. Size and root come from the checkpoint.
func (v *verifier) readRanges() ([]tlog.Hash, error) {
	content, err := v.readFile(rangePath, maxJSON)
	if err != nil {
		return nil, err
	}
	var p RangeProof
	if err := decodeJSON(content, &p); err != nil {
		return nil, because(HeadersGroup, rangePath, noSeq, err)
	}
	if p.Ranges == nil || p.Proof == nil {
		return nil, refuse(HeadersGroup, rangePath, noSeq, "the file lacks ranges or proof")
	}
	for _, r := range p.Ranges {
		v.ranges = append(v.ranges, ledger.Range{From: r[0], To: r[1]})
	}
	if err := ledger.CheckRanges(v.ranges, v.checkpoint.Size); err != nil {
		return nil, because(HeadersGroup, rangePath, noSeq, err)
	}
	return toHashes(p.Proof), nil
}

// headersEnd is the rest of group 3, when all headers have gone by.
func (v *verifier) headersEnd(src *source) error {
	w := v.walk
	if src.headersTail != nil {
		return because(HeadersGroup, headersPath, noSeq, src.headersTail)
	}
	if err := w.tree.Close(); err != nil {
		if w.mismatch != nil {
			return refuse(HeadersGroup, headersPath, w.mismatch.Seq,
				"%v; the entry's body does not match its header either, so the header was altered", err)
		}
		return because(HeadersGroup, rangePath, noSeq, err)
	}
	if !w.periodProven {
		last := noSeq
		if n := len(v.ranges); n > 0 {
			last = v.ranges[n-1].To - 1
		}
		return refuse(HeadersGroup, headersPath, last,
			"no range begins at 0 or before the period and ends with an entry at or after its end")
	}
	details := []string{
		fmt.Sprintf("%d headers in %d ranges lead to the checkpoint", w.headers, len(v.ranges)),
		fmt.Sprintf("every entry from %s to %s is there", ledger.FormatTime(v.manifest.Period.From.Time), ledger.FormatTime(v.manifest.Period.To.Time)),
	}
	if v.opts.Since != nil {
		old, err := v.extends()
		if err != nil {
			return err
		}
		details = append(details, fmt.Sprintf("extends the checkpoint over %d entries", old))
	}
	v.passed(HeadersGroup, details...)
	return nil
}

// extends checks that the pack's checkpoint extends the older one that was given.
func (v *verifier) extends() (old int64, err error) {
	since, _, err := ledger.OpenCheckpoint(v.opts.Since, v.logKey)
	if err != nil {
		return 0, refuse(HeadersGroup, "", noSeq, "the older checkpoint: %v", err)
	}
	if since.Origin != v.checkpoint.Origin {
		return 0, refuse(HeadersGroup, checkpointPath, noSeq,
			"the older checkpoint is of log %s, the pack's of %s", since.Origin, v.checkpoint.Origin)
	}
	if since.Size > v.checkpoint.Size {
		return 0, refuse(HeadersGroup, checkpointPath, noSeq,
			"the older checkpoint is over %d entries, the pack's over %d only", since.Size, v.checkpoint.Size)
	}
	var c Consistency
	switch content, err := v.readConsistency(); {
	case err != nil:
		return 0, err
	case content != nil:
		if err := decodeJSON(content, &c); err != nil {
			return 0, because(HeadersGroup, consistencyPath, noSeq, err)
		}
		if c.From != since.Size {
			return 0, refuse(HeadersGroup, consistencyPath, noSeq,
				"the proof begins at %d entries, the older checkpoint has %d", c.From, since.Size)
		}
	case since.Size != v.checkpoint.Size && since.Size != 0:
		return 0, refuse(HeadersGroup, consistencyPath, noSeq, "the pack has no proof that it extends an older checkpoint")
	}
	if err := ledger.VerifyConsistency(toHashes(c.Proof), v.checkpoint.Size, v.checkpoint.Root, since.Size, since.Root); err != nil {
		return 0, refuse(HeadersGroup, consistencyPath, noSeq, "the pack's checkpoint does not extend the older one: %v", err)
	}
	return since.Size, nil
}

// readConsistency returns nil if the pack has no consistency proof.
func (v *verifier) readConsistency() ([]byte, error) {
	if v.files[consistencyPath] == nil {
		return nil, nil
	}
	return v.readFile(consistencyPath, maxNote)
}
