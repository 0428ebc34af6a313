package record

import (
	"context"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
)

// timestamped: an authority's stamp says of a checkpoint that it was there then.
func timestamped(m Means) *compliance.Check {
	return &compliance.Check{
		ID: "record.timestamped", Title: "A time-stamp authority stamps the ledger's checkpoints", Version: 1,
		Every: 5 * time.Minute,
		Try: func(ctx context.Context) ([]compliance.Result, error) {
			s, err := m.Outside.Stamped(ctx)
			if err != nil {
				return nil, err
			}
			if s == nil {
				return whole(compliance.NotApplicable("The settings name no time-stamp authority.")), nil
			}
			last := "It has not stamped anything yet."
			if !s.Stamp.At.IsZero() {
				last = fmt.Sprintf("%s stamped %d entries at %s.", s.Stamp.By, s.Size, when(s.Stamp.At))
			}
			switch {
			case s.Refusal != "":
				return whole(compliance.Fail(s.Refusal, last)), nil
			case s.Stamp.At.IsZero() || m.Now().Sub(s.Stamp.At) > 2*s.Every:
				return whole(compliance.Fail("The time-stamp authority does not answer.", last)), nil
			}
			return whole(compliance.Pass(last)), nil
		},
	}
}
