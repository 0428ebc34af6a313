package checks

import (
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Beat records that checks ran, on time, whatever they said. A period of a check
// that no beat covers is unknown.
type Beat struct {
	Beats []document.Beat // without ids
}

// Action is check.beat.
func (*Beat) Action() string { return "check.beat" }

// Aim is the installation.
func (*Beat) Aim(store.View) (control.Aim, error) {
	return control.Aim{Target: ledger.Target{Kind: "check"}, Need: authz.System}, nil
}

// Decide replaces each check's last beat; the ones before are in the ledger.
func (c *Beat) Decide(v store.View, _ control.By, now time.Time, d *control.Decision) error {
	for _, b := range c.Beats {
		if b.To.Before(b.From) || b.To.After(now) {
			return fault.New(fault.Invalid, "The check %s cannot have run from %s to %s: it is %s.", b.Check, b.From, b.To, now)
		}
		last, err := store.Find[*document.Beat](v, "check", b.Check)
		if err != nil {
			return err
		}
		b.Base = document.Base{ID: document.NewID()}
		if len(last) > 0 {
			b.Base = last[0].Base
		}
		d.Put(&b)
	}
	return nil
}
