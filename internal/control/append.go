package control

import (
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// append writes a decision's entries, adjacent and in order.
func (k *Kernel) append(b store.Batch, p *pending, aim Aim, d *Decision, now time.Time) (int64, error) {
	body := k.body(p, aim)
	body.Outcome, body.Error = d.Outcome, d.Error
	seq, err := appendPart(b, now, aim.Scope, body, &d.Part)
	if err != nil {
		return 0, err
	}
	for _, o := range d.Also {
		body := k.body(p, aim)
		body.Action, body.App, body.Target, body.Outcome = o.Action, o.App, o.Target, d.Outcome
		body.Cause = &seq
		if _, err := appendPart(b, now, o.Scope, body, &o.Part); err != nil {
			return 0, err
		}
	}
	return seq, nil
}

func (k *Kernel) body(p *pending, aim Aim) ledger.Body {
	return ledger.Body{
		Action: p.cmd.Action(), Actor: p.by.Actor, Via: p.by.Via, RequestID: p.by.RequestID,
		Target: aim.Target, App: aim.App, Reason: p.by.Reason, Cause: p.by.Cause,
	}
}

func appendPart(b store.Batch, now time.Time, scope string, body ledger.Body, p *Part) (int64, error) {
	draft := store.Draft{
		Scope: scope, Sealed: p.Sealed, Keys: p.Keys, DestroyKeys: p.DestroyKeys, Jobs: p.Jobs,
	}
	body.Blobs, body.Details, body.Erased, body.Checkpoint = p.Blobs, p.Details, p.Erased, p.Checkpoint
	for _, c := range p.docs {
		change, err := changeOf(b, now, c)
		if err != nil {
			return 0, err
		}
		body.Changes = append(body.Changes, change)
		draft.Docs = append(draft.Docs, c.doc)
	}
	draft.Body = body
	return b.Append(now, draft)
}

// check refuses what a command must not ask for: to put a document or a secret
// of one scope into an entry of another.
func (d *Decision) check(scope string) error {
	if err := d.Part.check(scope); err != nil {
		return err
	}
	for _, o := range d.Also {
		if err := o.check(o.Scope); err != nil {
			return err
		}
	}
	return nil
}

func (p *Part) check(scope string) error {
	for _, c := range p.docs {
		if c.doc != nil && c.doc.Within() != scope {
			return fmt.Errorf("%s %s belongs to scope %q and was put into an entry of %q", c.kind, c.id, c.doc.Within(), scope)
		}
	}
	for _, s := range p.Sealed {
		if s.Scope != scope {
			return fmt.Errorf("a value sealed for scope %q was put into an entry of %q", s.Scope, scope)
		}
	}
	for _, k := range p.Keys {
		if k.Scope != scope {
			return fmt.Errorf("the key of scope %q was put into an entry of %q", k.Scope, scope)
		}
	}
	return nil
}

// stamped is a document with the common head.
type stamped interface{ Head() *document.Base }

func changeOf(v store.View, now time.Time, c put) (ledger.Change, error) {
	rev, _, err := v.Rev(c.kind, c.id)
	if err != nil {
		return ledger.Change{}, err
	}
	change := ledger.Change{Kind: string(c.kind), ID: c.id, Rev: rev + 1}
	if c.doc == nil {
		return change, nil
	}
	if s, ok := c.doc.(stamped); ok {
		stamp(s.Head(), now)
	}
	change.Doc, err = document.Encode(c.doc)
	return change, err
}

func stamp(h *document.Base, now time.Time) {
	if h.Schema == 0 {
		h.Schema = 1
	}
	if h.CreatedAt.IsZero() {
		h.CreatedAt = now
	}
	h.UpdatedAt = now
}
