// Package evidence has the commands about evidence packs: the export that puts
// itself on record before it reads, and the issue of what it wrote.
//
// internal/evidence calls it while it makes a pack.
package evidence

import (
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Export begins a pack. Its entry is the boundary that the pack ends with.
type Export struct {
	Space      string // name or id
	From, To   time.Time
	Recordings bool
	Items      []string        // of frameworks; nil = all
	Notice     time.Time       // whose versions are shown; zero = the period's end
	Ended      *document.Space // as it last was, if it was destroyed; nil = it is there
	Pack       *document.Pack  // the result

	space *document.Space
}

// Action is evidence.export.
func (*Export) Action() string { return "evidence.export" }

// Aim is the space.
func (c *Export) Aim(v store.View) (control.Aim, error) {
	if !c.From.Before(c.To) {
		return control.Aim{}, fault.New(fault.Invalid, "The period is empty: --from must be before --to.")
	}
	var err error
	if c.space = c.Ended; c.space != nil {
		return read(c.space), nil
	}
	if c.space, err = spaces.Find(v, c.Space); err != nil {
		return control.Aim{}, err
	}
	return read(c.space), nil
}

// read is the aim of reading a space's evidence. Who may follows from its team,
// also when the space is no more.
func read(s *document.Space) control.Aim {
	a := spaces.Manage(s)
	a.Need = authz.EvidenceRead
	return a
}

// Decide refuses a period that is not over: `to` may not be later than the
// export's own entry.
func (c *Export) Decide(_ store.View, by control.By, now time.Time, d *control.Decision) error {
	if c.To.After(now) {
		return fault.New(fault.Invalid, "The period ends in the future (%s); what has not happened cannot be proven.", c.To.Format(time.RFC3339))
	}
	if !c.Notice.IsZero() && (c.Notice.Before(c.From) || c.Notice.After(c.To)) {
		return fault.New(fault.Invalid, "The date of the notice (%s) must lie in the period.", c.Notice.Format(time.RFC3339))
	}
	c.Pack = &document.Pack{
		Base: document.Base{ID: document.NewID()}, Scope: c.space.ID, Spaces: []string{c.space.ID}, From: c.From, To: c.To,
		By: by.Actor.ID, ByEmail: by.Actor.Email,
	}
	d.Put(c.Pack)
	d.Note("from", ledger.FormatTime(c.From))
	d.Note("to", ledger.FormatTime(c.To))
	if len(c.Items) > 0 {
		d.Note("items", strings.Join(c.Items, " "))
	}
	if !c.Notice.IsZero() {
		d.Note("notice", ledger.FormatTime(c.Notice))
	}
	if c.Recordings {
		d.Note("recordings", "included")
	}
	return nil
}

// Issue records the digest of the pack that was written.
type Issue struct {
	ID, Manifest string
	Ended        *document.Space // as in Export

	pack  *document.Pack
	space *document.Space
}

// Action is evidence.issue.
func (*Issue) Action() string { return "evidence.issue" }

// Aim is the pack.
func (c *Issue) Aim(v store.View) (control.Aim, error) {
	if !strings.HasPrefix(c.Manifest, "sha256:") {
		return control.Aim{}, fault.New(fault.Invalid, "%.80q is not a digest.", c.Manifest)
	}
	var err error
	if c.pack, err = store.Get[*document.Pack](v, c.ID); err != nil {
		return control.Aim{}, err
	}
	if c.space = c.Ended; c.space == nil {
		if c.space, err = store.Get[*document.Space](v, c.pack.Scope); err != nil {
			return control.Aim{}, err
		}
	}
	a := read(c.space)
	a.Target = ledger.Target{Kind: "pack", ID: c.ID, Name: c.Manifest}
	return a, nil
}

// Decide is for whoever exported it.
func (c *Issue) Decide(_ store.View, by control.By, _ time.Time, d *control.Decision) error {
	if c.pack.By != by.Actor.ID {
		return fault.New(fault.Forbidden, "Somebody else exported that pack.")
	}
	c.pack.Manifest = c.Manifest
	d.Put(c.pack)
	return nil
}
