// Package bodies has the command that erases bodies of entries whose retention
// has ended (spec/ledger.md "Erasure", ADR 0031).
//
// Invariants: nothing is erased that the present rests on, that must still be
// kept, or that says what else was erased; the entry names what went and holds
// nothing of it. internal/api calls it.
package bodies

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// maxSeqs bounds the entries of one command: it reads them all before it is
// decided.
const maxSeqs = 500

// action is also what no body may have that is to be erased.
const action = "body.erase"

// Erase deletes the bodies and salts of entries of one scope. Its entry is in
// that scope too, as verifiers want it.
type Erase struct {
	Seqs    []int64
	Confirm string // the name of the scope
	Erased  []ledger.Erased

	bodies []*body
	unseen bool            // one of the entries is not there
	last   *document.Space // the scope, if that is a space, as it was last known
	target ledger.Target
}

// Action is body.erase.
func (*Erase) Action() string { return action }

// Prepare reads the entries. What it learns of them does not change any more, but
// for what Decide asks again; none of it is told before it is known who asks.
func (c *Erase) Prepare(ctx context.Context, t control.Tools) error {
	slices.Sort(c.Seqs)
	c.Seqs = slices.Compact(c.Seqs)
	if len(c.Seqs) == 0 || len(c.Seqs) > maxSeqs {
		return fault.New(fault.Invalid, "Give 1 to %d entries, by their seqs.", maxSeqs)
	}
	for _, seq := range c.Seqs {
		b, err := read(ctx, t.Store, seq)
		if fault.Of(err) == fault.NotFound {
			c.unseen = true
			return nil
		}
		if err != nil {
			return err
		}
		c.bodies = append(c.bodies, b)
	}
	var err error
	c.last, err = store.LastKnown[*document.Space](ctx, t.Store, c.bodies[0].scope)
	return err
}

// Aim is the scope of the first entry. Only whoever reads its evidence is told
// that there is such an entry.
func (c *Erase) Aim(v store.View) (a control.Aim, err error) {
	if c.unseen {
		return a, fault.New(fault.NotFound, "Couldn't find that entry.")
	}
	a = control.Aim{Scope: c.bodies[0].scope, Need: authz.EvidenceErase, See: authz.EvidenceRead, Hidden: "entry"}
	a.Target, a.On.Team, err = c.aimed(v, a.Scope)
	if a.Target.Kind == "installation" {
		a.Need, a.See = authz.Operate, authz.Operate
	}
	c.target = a.Target
	return a, err
}

// aimed says what a scope is, and whose.
func (c *Erase) aimed(v store.View, scope string) (t ledger.Target, team string, err error) {
	if scope == "" {
		i, err := store.One[*document.Installation](v, "all", "")
		if err != nil {
			return t, "", err
		}
		return ledger.Target{Kind: "installation", ID: i.ID, Name: i.Name}, "", nil
	}
	d, err := v.Get(document.KindSpace, scope)
	if err != nil {
		return t, "", err
	}
	s, ok := d.(*document.Space)
	if !ok { // it is no more, or no space
		s = c.last
	}
	if s != nil {
		return ledger.Target{Kind: "space", ID: s.ID, Name: s.Name}, s.Team, nil
	}
	x, err := store.Get[*document.Team](v, scope)
	if err != nil {
		return t, "", err
	}
	return ledger.Target{Kind: "team", ID: x.ID, Name: x.Name}, x.ID, nil
}

// Decide refuses as a whole if it refuses one.
func (c *Erase) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	for _, b := range c.bodies {
		if first := c.bodies[0]; b.scope != first.scope {
			return fault.New(fault.Invalid, "Entry %d is of another scope than entry %d: erase the entries of one scope at a time.", b.seq, first.seq)
		}
	}
	for _, b := range c.bodies {
		if err := b.erasable(v, now); err != nil {
			return err
		}
	}
	if strings.TrimSpace(by.Reason) == "" {
		return fault.New(fault.Invalid, "Say why these bodies are erased, such as --reason \"retention of 2026 is over\": it is what remains of them.")
	}
	if c.Confirm != c.target.Name {
		return fault.New(fault.Invalid, "This deletes the bodies of %d entries of the %s %s for good, also from what packs will show. Repeat its name: --confirm %[3]s", len(c.bodies), c.target.Kind, c.target.Name)
	}
	for _, b := range c.bodies {
		d.Erased = append(d.Erased, ledger.Erased{Seq: b.seq, Action: b.action, Actor: b.actor, Outcome: b.outcome, Rule: ledger.SixYears})
		d.Note(fmt.Sprintf("body %d", b.seq), hex.EncodeToString(b.digest[:]))
	}
	c.Erased = d.Erased
	return nil
}
