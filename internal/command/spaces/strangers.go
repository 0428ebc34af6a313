package spaces

import (
	"slices"
	"strconv"
	"time"

	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// RecordStrangers keeps how many connections to a space were refused.
type RecordStrangers struct {
	Space string
	Seen  []*document.Stranger // with what the engine counted
}

// Action is inbound.refuse.
func (*RecordStrangers) Action() string { return "inbound.refuse" }

// Aim is the space.
func (c *RecordStrangers) Aim(v store.View) (control.Aim, error) {
	s, err := store.Get[*document.Space](v, c.Space)
	if err != nil {
		return control.Aim{}, err
	}
	return System(s), nil
}

// Decide adds to what is kept.
func (c *RecordStrangers) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	have, err := store.Find[*document.Stranger](v, "space", c.Space)
	if err != nil {
		return err
	}
	var total int64
	for _, s := range c.Seen {
		x := &document.Stranger{Base: document.Base{ID: document.NewID()}, Space: c.Space, Why: s.Why, Host: s.Host}
		if i := slices.IndexFunc(have, s.Same); i >= 0 {
			x = have[i]
		}
		more := Since(x.Counted, s.Counted)
		x.Count, x.Counted, x.Last, x.From = x.Count+more, s.Counted, s.Last, s.From
		total += more
		d.Put(x)
	}
	d.Note("connections", strconv.FormatInt(total, 10))
	return nil
}
