package spaces

import (
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// JobDispose removes the files of a space that is gone; ref is its id.
const JobDispose = "space.dispose"

// Dispose records that the encrypted files of a space and its logs are removed.
// Its key was destroyed by space.gone.
type Dispose struct{ Space *document.Space } // as it was

// Action is space.dispose.
func (*Dispose) Action() string { return "space.dispose" }

// Aim is the space, which is no more.
func (c *Dispose) Aim(store.View) (control.Aim, error) {
	return control.Aim{
		Scope: c.Space.ID, Target: ledger.Target{Kind: "space", ID: c.Space.ID, Name: c.Space.Name}, Need: authz.System,
	}, nil
}

// Decide notes what was removed. A job that is done twice is recorded twice.
func (*Dispose) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	d.Note("blobs", "removed")
	d.Note("logs", "removed")
	return nil
}
