package checks

import (
	"slices"
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
	Runs []document.Run
}

// Action is check.beat.
func (*Beat) Action() string { return "check.beat" }

// Aim is the installation.
func (*Beat) Aim(store.View) (control.Aim, error) {
	return control.Aim{Target: ledger.Target{Kind: "check"}, Need: authz.System}, nil
}

// Decide replaces the last run of each check; the ones before are in the ledger.
func (c *Beat) Decide(v store.View, _ control.By, now time.Time, d *control.Decision) error {
	b := &document.Beat{Base: document.Base{ID: document.NewID()}}
	list, err := store.Find[*document.Beat](v, "all", "")
	if err != nil {
		return err
	}
	if len(list) > 0 {
		b = list[0]
	}
	for _, r := range c.Runs {
		if r.To.Before(r.From) || r.To.After(now) {
			return fault.New(fault.Invalid, "The check %s cannot have run from %s to %s: it is %s.", r.Check, r.From, r.To, now)
		}
		b.Runs = slices.DeleteFunc(b.Runs, func(old document.Run) bool { return old.Check == r.Check })
		b.Runs = append(b.Runs, r)
	}
	d.Put(b)
	return nil
}
