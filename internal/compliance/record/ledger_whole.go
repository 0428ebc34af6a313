package record

import (
	"context"
	"errors"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/store"
)

// ledgerWhole: the tree follows from the entries, the state from their bodies, and
// nothing else is there.
func ledgerWhole(m Means) *compliance.Check {
	return &compliance.Check{
		ID: "state.ledger-whole", Title: "Tree and state follow from the entries", Version: 1,
		Every: 24 * time.Hour, Within: long,
		Try: func(ctx context.Context) ([]compliance.Result, error) {
			err := m.Store.Verify(ctx, nil)
			var damage *store.Damage
			switch {
			case err == nil:
				return whole(compliance.Pass("Computed again from all entries, the tree and the state are what is stored.")), nil
			case !errors.As(err, &damage):
				return nil, err
			case damage.Seq < 0:
				return whole(compliance.Fail(damage.Error() + ".")), nil
			}
			return whole(compliance.Fail(damage.Error()+"."), damage.Seq), nil
		},
	}
}
