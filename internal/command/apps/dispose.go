package apps

import (
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// JobDispose removes what a destroyed app leaves outside of the ledger; ref is
// the app's id.
const JobDispose = "app.dispose"

// Dispose records that a destroyed app's repository and build cache are gone.
type Dispose struct {
	App   *document.App // as it was
	Cache string        // how it is known that the cache is gone
}

// Action is app.dispose.
func (*Dispose) Action() string { return "app.dispose" }

// Aim is the app, which is no more.
func (c *Dispose) Aim(store.View) (control.Aim, error) {
	return control.Aim{
		Scope: c.App.Space, App: c.App.ID, Target: ledger.Target{Kind: "app", ID: c.App.ID, Name: c.App.Name}, Need: authz.System,
	}, nil
}

// Decide notes what was removed. A job that is done twice is recorded twice.
func (c *Dispose) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	d.Note("repository", "removed")
	d.Note("build_cache", c.Cache)
	return nil
}
