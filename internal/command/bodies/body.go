package bodies

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// body is what must be known of one to decide whether it may go. It holds none of
// its documents.
type body struct {
	seq     int64
	time    time.Time
	scope   string // "" = the installation
	digest  [sha256.Size]byte
	gone    bool
	action  string
	actor   string
	outcome ledger.Outcome
	changes []change
}

// change is a version of a document.
type change struct {
	kind document.Kind
	id   string
	rev  int64
	next time.Time // when another took its place; zero: none did
}

func read(ctx context.Context, st store.Store, seq int64) (*body, error) {
	rec, err := st.Entry(ctx, seq)
	if err != nil {
		return nil, err
	}
	b := &body{seq: seq, time: rec.Header.Time, digest: rec.Header.Body, gone: rec.Body == nil}
	if rec.Header.Scope != nil {
		b.scope = *rec.Header.Scope
	}
	if b.gone {
		return b, nil
	}
	content, err := ledger.ParseBody(rec.Body)
	if err != nil {
		return nil, err
	}
	b.action, b.actor, b.outcome = content.Action, content.Actor.ID, content.Outcome
	for _, x := range content.Changes {
		c := change{kind: document.Kind(x.Kind), id: x.ID, rev: x.Rev}
		if c.next, err = replaced(ctx, st, c, seq); err != nil {
			return nil, err
		}
		b.changes = append(b.changes, c)
	}
	return b, nil
}

// replaced is when the next version of a document was written.
func replaced(ctx context.Context, st store.Store, c change, seq int64) (at time.Time, err error) {
	list, err := st.History(ctx, c.kind, c.id)
	if err != nil {
		return at, err
	}
	next := slices.Index(list, seq) + 1
	if next == len(list) {
		return at, nil
	}
	rec, err := st.Entry(ctx, list[next])
	return rec.Header.Time, err
}

// erasable refuses what must not be erased, for the reason that lasts longest.
func (b *body) erasable(v store.View, now time.Time) error {
	switch {
	case b.gone:
		return fault.New(fault.Conflict, "The body of entry %d is erased already.", b.seq)
	case b.action == action:
		return fault.New(fault.Forbidden, "Entry %d says which bodies were erased. It is kept for good: without it they would be missing.", b.seq)
	}
	for _, x := range b.changes {
		if err := x.needed(v, b.seq); err != nil {
			return err
		}
	}
	if until := ledger.KeptUntil(b.inForce()); now.Before(until) {
		return fault.New(fault.Forbidden, "The body of entry %d must be kept until %s: six years from when it was written and from when what it holds was last in force. Nobody can shorten that.", b.seq, until.Format(time.RFC3339))
	}
	return nil
}

// inForce is the time up to which something rested on the body.
func (b *body) inForce() time.Time {
	last := b.time
	for _, c := range b.changes {
		if c.next.After(last) {
			last = c.next
		}
	}
	return last
}

// needed refuses a version that the present rests on: the newest, and the config
// that a release runs with or would be rolled back to.
func (c change) needed(v store.View, seq int64) error {
	_, newest, err := v.Rev(c.kind, c.id)
	if err != nil {
		return err
	}
	if newest == seq {
		return fault.New(fault.Conflict, "The body of entry %d holds the newest version of %s %s, and so a part of the present.", seq, c.kind, c.id)
	}
	if c.kind != document.KindConfig {
		return nil
	}
	list, err := store.Find[*document.Release](v, "app", c.id)
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.ConfigRev == c.rev {
			return fault.New(fault.Conflict, "The body of entry %d holds the config of release v%d, which runs with it or can be rolled back to.", seq, r.Version)
		}
	}
	return nil
}
