package spaces

import (
	"strconv"
	"time"

	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// SetTLS says what all connections to a space's apps have at least, and whether
// browsers are told to come by TLS alone.
type SetTLS struct {
	Identity string
	MinTLS   *string // document.TLS12 or TLS13; nil leaves it
	HSTS     *bool   // nil leaves it
	Space    *document.Space
}

// Action is space.tls.
func (*SetTLS) Action() string { return "space.tls" }

// Aim is the space.
func (c *SetTLS) Aim(v store.View) (control.Aim, error) {
	if c.MinTLS == nil && c.HSTS == nil {
		return control.Aim{}, fault.New(fault.Invalid, "Say what is to change: min_version or hsts.")
	}
	var err error
	if c.MinTLS, err = document.CleanTLS(c.MinTLS); err != nil {
		return control.Aim{}, err
	}
	if c.Space, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Manage(c.Space), nil
}

// Decide keeps HSTS on in shield spaces.
func (c *SetTLS) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	if c.MinTLS != nil {
		c.Space.MinTLS = *c.MinTLS
		d.Note("min_version", c.Space.LeastTLS())
	}
	if c.HSTS != nil {
		if c.Space.Shield && !*c.HSTS {
			return fault.New(fault.Invalid, "%s is a shield space, where every answer carries Strict-Transport-Security.", c.Space.Name)
		}
		c.Space.NoHSTS = !*c.HSTS
		d.Note("hsts", strconv.FormatBool(*c.HSTS))
	}
	d.Put(c.Space)
	return nil
}
