package spaces

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// Bounds of what attempts to leave a space put on record: whoever tries a
// destination a second fills no ledger with it.
const (
	// RefusedAgain is how long a destination that is tried on and on waits until
	// its count is written again.
	RefusedAgain = time.Hour
	// MaxRefused is how many destinations one entry has at most.
	MaxRefused = 50
	// MaxRefusals is how many are kept for a space; the entries have all.
	MaxRefusals = 500
)

// RecordRefused keeps what apps of a space tried to reach outside and may not.
type RecordRefused struct {
	Space   string
	Refused []*document.Refusal // with what the engine counted; at most MaxRefused
}

// Action is outbound.refuse.
func (*RecordRefused) Action() string { return "outbound.refuse" }

// Aim is the space.
func (c *RecordRefused) Aim(v store.View) (control.Aim, error) {
	s, err := store.Get[*document.Space](v, c.Space)
	if err != nil {
		return control.Aim{}, err
	}
	return System(s), nil
}

// Decide adds to what is kept, and drops the oldest of what is too much.
func (c *RecordRefused) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	have, err := store.Find[*document.Refusal](v, "space", c.Space)
	if err != nil {
		return err
	}
	have = slices.Clone(have)
	var packets int64
	for _, r := range c.Refused {
		x := &document.Refusal{Base: document.Base{ID: document.NewID()}, Space: c.Space, App: r.App, To: r.To, Protocol: r.Protocol, Port: r.Port}
		if i := slices.IndexFunc(have, r.SameWay); i >= 0 {
			x = have[i]
			have = slices.Delete(have, i, i+1)
		}
		more := Since(x.Counted, r.Counted)
		x.Dyno, x.Counted = r.Dyno, r.Counted
		x.Count += more
		packets += more
		d.Put(x)
	}
	slices.SortFunc(have, func(a, b *document.Refusal) int {
		return cmp.Or(a.UpdatedAt.Compare(b.UpdatedAt), cmp.Compare(a.ID, b.ID))
	})
	for i := 0; i < len(have)+len(c.Refused)-MaxRefusals; i++ {
		d.Delete(document.KindRefusal, have[i].ID)
	}
	d.Note("destinations", strconv.Itoa(len(c.Refused)))
	d.Note("packets", strconv.FormatInt(packets, 10))
	return nil
}

// Since is what a counter has counted since it was read. It begins anew with the
// process that has it, and when nothing was tried for an hour.
func Since(before, now int64) int64 {
	if now < before {
		return now
	}
	return now - before
}
