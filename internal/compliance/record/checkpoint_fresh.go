package record

import (
	"context"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
)

// maxUnsigned is how long an entry may wait for a checkpoint that covers it.
const maxUnsigned = 10 * time.Second

// checkpointFresh: nobody has the time to rewrite what just happened.
func checkpointFresh(m Means) *compliance.Check {
	return &compliance.Check{
		ID: "state.checkpoint-fresh", Title: "Each entry has a signed checkpoint within seconds", Version: 1,
		Every: time.Minute,
		Try: func(ctx context.Context) ([]compliance.Result, error) {
			newest, _ := m.Checkpoints.Newest()
			head, err := m.Store.Head(ctx)
			if err != nil {
				return nil, err
			}
			if newest.Size >= head.Size {
				return whole(compliance.Pass("The newest checkpoint covers all entries.")), nil
			}
			first, err := m.Store.Entry(ctx, newest.Size)
			if err != nil {
				return nil, err
			}
			if m.Now().Sub(first.Header.Time) > maxUnsigned {
				return whole(compliance.Fail(fmt.Sprintf("The newest checkpoint covers %d entries. Entry %d of %s has none.",
					newest.Size, newest.Size, when(first.Header.Time))), newest.Size), nil
			}
			return whole(compliance.Pass("The entries that the newest checkpoint does not cover are seconds old.")), nil
		},
	}
}
