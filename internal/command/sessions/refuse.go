package sessions

import (
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Refuse records a secret or a key that opened no session: guessed, used twice,
// or too late.
type Refuse struct {
	What string // "one-time secret" or "key", never the thing itself
}

// Action is session.open: what failed is the opening of one.
func (*Refuse) Action() string { return "session.open" }

// Aim is a session that there is not.
func (c *Refuse) Aim(store.View) (control.Aim, error) {
	return control.Aim{Target: ledger.Target{Kind: "session", Name: "unknown " + c.What}, Need: authz.Public}, nil
}

// Decide always refuses.
func (c *Refuse) Decide(store.View, control.By, time.Time, *control.Decision) error {
	return fault.New(fault.Unauthenticated, "No session waits for this %s.", c.What)
}
