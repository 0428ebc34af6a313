package control

import (
	"net/netip"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// anonymousRate is how many anonymous denials a minute get entries of their
// own; above it they are counted in one (spec/ledger.md §3.3).
const anonymousRate = 600

// denials counts repeated refusals. The first of a kind is an entry at once;
// the same again within the minute is counted and becomes one entry at its end.
// Minutes go by the monotonic clock, so that a step of the wall clock neither
// ends nor prolongs them. Used by the writer only.
type denials struct {
	open      map[denialKey]*denial
	anonymous struct {
		minute time.Duration
		count  int
	}
	undo []func() // what the batch being written changed, newest last
}

type denialKey struct {
	actor, action, scope, source string
}

type denial struct {
	body  ledger.Body // of the newest one
	count int64       // of those that have no entry yet
	until time.Duration
}

func newDenials() *denials { return &denials{open: map[denialKey]*denial{}} }

// begin starts a batch.
func (d *denials) begin() { d.undo = d.undo[:0] }

// rollBack forgets what a failed batch changed: what it opened or counted was
// not recorded, what it flushed is still to be written.
func (d *denials) rollBack() {
	for i := len(d.undo) - 1; i >= 0; i-- {
		d.undo[i]()
	}
	d.begin()
}

// deny records a refusal, or counts it.
func (k *Kernel) deny(b store.Batch, p *pending, aim Aim, refused error, m moment) error {
	if aim.New {
		aim.Scope = aim.DenyScope
	}
	body := k.body(p, aim)
	body.Outcome, body.Error = ledger.Denied, fault.Message(refused)
	key := denialKey{p.by.Actor.ID, body.Action, aim.Scope, network(p.by.Actor.IP)}
	if p.by.account() == "" {
		key = k.denials.anonymousKey(key, m.up)
	}
	if x, ok := k.denials.open[key]; ok && m.up < x.until {
		k.denials.count(x, body)
		return nil
	}
	if _, err := b.Append(m.now, store.Draft{Scope: aim.Scope, Body: body}); err != nil {
		return err
	}
	k.denials.put(key, &denial{body: body, until: m.up + time.Minute})
	return nil
}

func (d *denials) count(x *denial, body ledger.Body) {
	was := *x
	d.undo = append(d.undo, func() { *x = was })
	x.count++
	x.body = body
}

func (d *denials) put(key denialKey, x *denial) {
	d.open[key] = x
	d.undo = append(d.undo, func() { delete(d.open, key) })
}

func (d *denials) remove(key denialKey) {
	x := d.open[key]
	delete(d.open, key)
	d.undo = append(d.undo, func() { d.open[key] = x })
}

// anonymousKey drops the source once there are too many, so that a flood from
// many addresses stays one entry a minute.
func (d *denials) anonymousKey(key denialKey, up time.Duration) denialKey {
	was := d.anonymous
	d.undo = append(d.undo, func() { d.anonymous = was })
	if minute := up.Truncate(time.Minute); d.anonymous.minute != minute {
		d.anonymous.minute, d.anonymous.count = minute, 0
	}
	d.anonymous.count++
	if d.anonymous.count > anonymousRate {
		key.source = "many"
	}
	return key
}

// due tells whether a counted minute is over.
func (d *denials) due(up time.Duration) bool {
	for _, x := range d.open {
		if up >= x.until {
			return true
		}
	}
	return false
}

// expire ends all counted minutes, before the program stops.
func (d *denials) expire() {
	for _, x := range d.open {
		x.until = 0
	}
}

// appendDenials writes the counts of minutes that are over.
func (k *Kernel) appendDenials(b store.Batch, m moment) error {
	for key, x := range k.denials.open {
		if m.up < x.until {
			continue
		}
		k.denials.remove(key)
		if x.count == 0 {
			continue
		}
		body := x.body
		body.Count = x.count
		if _, err := b.Append(m.now, store.Draft{Scope: key.scope, Body: body}); err != nil {
			return err
		}
	}
	return nil
}

// network is the source's /24 or /64.
func network(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	bits := 64
	if a = a.Unmap(); a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}
