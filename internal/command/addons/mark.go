package addons

import (
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// Mark says whether an add-on holds ePHI.
type Mark struct {
	Identity string
	EPHI     string
	Addon    *document.Addon // the result
}

// Action is addon.mark.
func (*Mark) Action() string { return "addon.mark" }

// Aim is the add-on.
func (c *Mark) Aim(v store.View) (a control.Aim, err error) {
	if c.Addon, err = Find(v, c.Identity, ""); err != nil {
		return a, err
	}
	_, a, err = aim(v, c.Addon, authz.AppManage)
	return a, err
}

// Decide keeps the mark.
func (c *Mark) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	if err := document.CheckEPHI(c.EPHI); err != nil {
		return err
	}
	c.Addon.EPHI = c.EPHI
	d.Put(c.Addon)
	return nil
}
