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
// Used by the writer only.
type denials struct {
	open      map[denialKey]*denial
	fresh     []denialKey // opened by the batch that is being written
	anonymous struct {
		minute time.Time
		count  int
	}
}

type denialKey struct {
	actor, action, scope, source string
}

type denial struct {
	key   denialKey
	scope string
	body  ledger.Body
	count int64
	until time.Time
}

func newDenials() *denials { return &denials{open: map[denialKey]*denial{}} }

// deny records a refusal, or counts it.
func (k *Kernel) deny(b store.Batch, p *pending, aim Aim, refused error, now time.Time) error {
	if aim.New {
		aim.Scope = aim.DenyScope
	}
	body := k.body(p, aim)
	body.Outcome, body.Error = ledger.Denied, fault.Message(refused)
	key := denialKey{p.by.Actor.ID, body.Action, aim.Scope, network(p.by.Actor.IP)}
	if p.by.account() == "" {
		key = k.denials.anonymousKey(key, now)
	}
	if d, ok := k.denials.open[key]; ok && now.Before(d.until) {
		d.count++
		d.body = body
		return nil
	}
	if _, err := b.Append(now, store.Draft{Scope: aim.Scope, Body: body}); err != nil {
		return err
	}
	k.denials.open[key] = &denial{key: key, scope: aim.Scope, body: body, until: now.Add(time.Minute)}
	k.denials.fresh = append(k.denials.fresh, key)
	return nil
}

// anonymousKey drops the source once there are too many, so that a flood from
// many addresses stays one entry a minute.
func (d *denials) anonymousKey(key denialKey, now time.Time) denialKey {
	if minute := now.Truncate(time.Minute); d.anonymous.minute != minute {
		d.anonymous.minute, d.anonymous.count = minute, 0
	}
	d.anonymous.count++
	if d.anonymous.count > anonymousRate {
		key.source = "many"
	}
	return key
}

// due tells whether a counted minute is over.
func (d *denials) due(now time.Time) bool {
	for _, x := range d.open {
		if !now.Before(x.until) {
			return true
		}
	}
	return false
}

// expire ends all counted minutes, before the program stops.
func (d *denials) expire() {
	for _, x := range d.open {
		x.until = time.Time{}
	}
}

// appendDenials writes the counts of minutes that are over.
func (k *Kernel) appendDenials(b store.Batch, now time.Time) ([]*denial, error) {
	var flushed []*denial
	for key, x := range k.denials.open {
		if now.Before(x.until) {
			continue
		}
		delete(k.denials.open, key)
		flushed = append(flushed, x)
		if x.count == 0 {
			continue
		}
		body := x.body
		body.Count = x.count
		if _, err := b.Append(now, store.Draft{Scope: x.scope, Body: body}); err != nil {
			return flushed, err
		}
	}
	return flushed, nil
}

// restore undoes a failed batch: what it opened was not recorded, what it
// flushed is still to be written.
func (d *denials) restore(list []*denial) {
	for _, key := range d.fresh {
		delete(d.open, key)
	}
	for _, x := range list {
		if have, ok := d.open[x.key]; ok {
			have.count += x.count
			continue
		}
		d.open[x.key] = x
	}
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
