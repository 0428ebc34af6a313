// Package record has the checks of the record itself: that it is whole, that its
// head is signed, that nothing is gone that must be kept. The state cannot tell,
// being made of it.
//
// Invariants: a check reads and changes nothing; facts are seqs and times.
// internal/compliance/builtin brings All together with the catalogue.
package record

import (
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/outside"
	"github.com/strongroom/strongroom/internal/store"
)

// Means are what the checks look at. Without them they are there, and cannot run.
type Means struct {
	Store       store.Store
	Checkpoints *control.Checkpoints
	Outside     *outside.Observers
	Now         func() time.Time
}

// long is how long a check may take that reads the whole ledger.
const long = time.Hour

// All lists the checks, one a file.
func All(m Means) []*compliance.Check {
	return []*compliance.Check{checkpointFresh(m), witnessed(m), timestamped(m), failedLogins(m), retention(m), ledgerWhole(m)}
}

// whole makes a result one of the ledger as a whole.
func whole(r compliance.Result, seqs ...int64) []compliance.Result {
	r = r.Of("", "", "the ledger")
	r.Seqs = seqs
	return []compliance.Result{r}
}

func when(t time.Time) string { return t.Format(time.RFC3339) }
