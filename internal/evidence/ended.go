package evidence

import (
	"context"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// ended finds a space that was destroyed, by id or by the name that it had, as
// it last was; of several of a name, the one that ended last. What happened in it
// stays on record, and so can be shown.
func (x *Exporter) ended(ctx context.Context, identity string) (*document.Space, error) {
	head, err := x.cfg.Store.Head(ctx)
	if err != nil {
		return nil, err
	}
	list, err := x.cfg.Store.Changed(ctx, document.KindSpace, head.Size)
	if err != nil {
		return nil, err
	}
	var found *document.Space
	last := int64(-1)
	for _, c := range list {
		s, err := x.before(ctx, c)
		if err != nil {
			return nil, err
		}
		if s != nil && c.Seq > last && (s.ID == identity || s.Name == identity) {
			found, last = s, c.Seq
		}
	}
	if found == nil {
		return nil, fault.New(fault.NotFound, "There is no space %.80q, and none that was destroyed.", identity)
	}
	return found, nil
}

// before gives a space as it was before the change that ended it, as far as that is
// known; nil if it has not ended.
func (x *Exporter) before(ctx context.Context, c store.Change) (s *document.Space, err error) {
	gone := false
	if err := x.cfg.Store.At(ctx, c.Seq+1, func(v store.View) error {
		_, err := store.Get[*document.Space](v, c.ID)
		gone = fault.Of(err) == fault.NotFound
		if gone {
			return nil
		}
		return err
	}); err != nil || !gone {
		return nil, err
	}
	return store.LastKnown[*document.Space](ctx, x.cfg.Store, c.ID)
}
