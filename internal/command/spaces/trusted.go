package spaces

import (
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// SetTrusted replaces who may connect to a space's apps. Networks may overlap, so
// that narrow ones can be added before a wide one is taken away; one that is there
// twice is there once.
type SetTrusted struct {
	Identity string
	Rules    []document.TrustedIP
	// Confirm is the space's name, once more: for networks that open a shield
	// space to everybody.
	Confirm string
	Space   *document.Space

	rules []document.TrustedIP
}

// MaxTrusted is how many inbound rules a space may have.
const MaxTrusted = 100

// Action is space.trusted.
func (*SetTrusted) Action() string { return "space.trusted" }

// Aim is the space.
func (c *SetTrusted) Aim(v store.View) (control.Aim, error) {
	if len(c.Rules) > MaxTrusted {
		return control.Aim{}, fault.New(fault.Invalid, "A space has at most %d trusted IP ranges.", MaxTrusted)
	}
	var err error
	if c.Space, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Manage(c.Space), nil
}

// Decide refuses to open a shield space to everybody without a reason and a
// confirmation.
func (c *SetTrusted) Decide(_ store.View, by control.By, now time.Time, d *control.Decision) error {
	if err := c.clean(); err != nil {
		return err
	}
	if vast := c.vast(); len(vast) > 0 {
		if by.Reason == "" || c.Confirm != c.Space.Name {
			return fault.New(fault.Invalid, "%s opens the shield space %s to everybody: confirm it (header Strongroom-Confirm: %s) and give a reason (header Strongroom-Reason). Both are recorded.",
				strings.Join(vast, ", "), c.Space.Name, c.Space.Name)
		}
		d.Note("confirmed", strings.Join(vast, " "))
	}
	c.Space.Trusted, c.Space.Ruleset = c.rules, document.NewID()
	c.Space.RuledBy, c.Space.RuledAt = by.Actor.Email, now
	d.Put(c.Space)
	return nil
}

// clean checks the rules that are new. A list that clients read, change and send
// back may hold what was allowed once.
func (c *SetTrusted) clean() (err error) {
	c.rules = []document.TrustedIP{}
	for _, r := range c.Rules {
		if r.Action != "allow" {
			return fault.New(fault.Invalid, "The action of an inbound rule is allow, not %.32q.", r.Action)
		}
		if !slices.Contains(c.Space.Trusted, r) {
			if r.Source, err = document.CleanSource(r.Source); err != nil {
				return err
			}
		}
		if !slices.Contains(c.rules, r) {
			c.rules = append(c.rules, r)
		}
	}
	return nil
}

// vast gives the networks that open a shield space to everybody and were not on
// its list before.
func (c *SetTrusted) vast() (list []string) {
	for _, r := range c.rules {
		if c.Space.Shield && document.Vast(r.Source) && !slices.Contains(c.Space.Trusted, r) {
			list = append(list, r.Source)
		}
	}
	return list
}
