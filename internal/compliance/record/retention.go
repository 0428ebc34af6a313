package record

import (
	"context"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// maxNamed bounds how many entries a failure names.
const maxNamed = 20

// retention: what must be kept is looked for before somebody asks for it.
func retention(m Means) *compliance.Check {
	return &compliance.Check{
		ID: "state.retention", Title: "No body of an entry is gone before six years", Version: 1,
		Every: 24 * time.Hour, Within: long,
		Try: func(ctx context.Context) ([]compliance.Result, error) {
			since := ledger.KeptSince(m.Now())
			gone, err := bodiless(ctx, m.Store, since)
			if err != nil {
				return nil, err
			}
			if len(gone) == 0 {
				return whole(compliance.Pass("Every entry since " + when(since) + " has its body.")), nil
			}
			var facts []string
			var seqs []int64
			for _, e := range gone {
				facts = append(facts, fmt.Sprintf("Entry %d has no body, which must be kept until %s.", e.Header.Seq, when(ledger.KeptUntil(e.Header.Time))))
				seqs = append(seqs, e.Header.Seq)
			}
			return whole(compliance.Fail(facts...), seqs...), nil
		},
	}
}

// bodiless lists the first entries since a moment that have no body any more.
func bodiless(ctx context.Context, st store.Store, since time.Time) (out []store.Record, err error) {
	q := store.Query{Limit: 500}
	if q.FromSeq, err = st.SizeAt(ctx, since); err != nil {
		return nil, err
	}
	for {
		page, err := st.Entries(ctx, q)
		if err != nil || len(page) == 0 {
			return out, err
		}
		for _, e := range page {
			if e.Body == nil {
				out = append(out, e)
			}
			if len(out) == maxNamed {
				return out, nil
			}
		}
		q.FromSeq = page[len(page)-1].Header.Seq + 1
	}
}
