package main

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// pastFigure reads the state after half of the entries, against that of now.
func pastFigure(ctx context.Context, b *bench) error {
	n := b.entries
	s, _, err := b.built(ctx, wide, n)
	if err != nil {
		return err
	}
	defer s.Close()
	one := func(i int) func(store.View) error {
		return func(v store.View) error {
			_, err := store.Get[*document.Formation](v, id('f', i%(worldApps*worldFormations)))
			return err
		}
	}
	kind := func(v store.View) error {
		_, err := store.Find[*document.Formation](v, "all", "")
		return err
	}
	then := func(fn func(store.View) error) error { return s.At(ctx, n/2, fn) }
	now := func(fn func(store.View) error) error { return s.Read(ctx, fn) }
	for _, x := range []struct {
		name         string
		unit         time.Duration
		says         string
		ours, theirs func() (time.Duration, error)
	}{
		{
			"one document", time.Microsecond, "µs",
			typical(500, func(i int) error { return then(one(i)) }), typical(500, func(i int) error { return now(one(i)) }),
		},
		{
			thousands(worldApps*worldFormations) + " documents of a kind", time.Millisecond, "ms",
			typical(5, func(int) error { return then(kind) }), typical(5, func(int) error { return now(kind) }),
		},
	} {
		ours, theirs, err := b.contest(ctx, x.unit, x.ours, x.theirs)
		if err != nil {
			return err
		}
		b.add(Result{Figure: "past", Case: x.name + ", middle of " + thousands(n), Unit: x.says, Peer: "state of now"}, ours, theirs, aim{})
	}
	return nil
}
