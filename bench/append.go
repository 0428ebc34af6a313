package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
)

var quiet = slog.New(slog.DiscardHandler)

// writer is one way to append, made anew for each run.
type writer struct {
	name string
	// open returns what appends the n-th sample and comes back when it is
	// durable, and what ends the run.
	open func(ctx context.Context, dir string) (do func(n int64) error, end func() error, err error)
}

const (
	bareStore  = "store"
	wholeWay   = "kernel"
	flatFile   = "flat file"
	manyCaller = 64
)

func appendFigure(ctx context.Context, b *bench) error {
	p, err := newPool()
	if err != nil {
		return err
	}
	writers := []writer{{bareStore, p.openStore}, {wholeWay, openKernel}, {flatFile, p.openFlat}}
	rival, stop, err := b.postgresWriter(ctx, p)
	if err != nil {
		return err
	}
	defer stop()
	if rival != nil {
		writers = append(writers, *rival)
	}
	for _, callers := range []int{1, manyCaller, 256} {
		got, err := b.appendAll(ctx, writers, callers, 0)
		if err != nil {
			return err
		}
		b.appendResults(got, fmt.Sprintf("%d callers", callers), callers)
	}
	sustained := []writer{writers[0]}
	if rival != nil {
		sustained = append(sustained, *rival)
	}
	got, err := b.appendAll(ctx, sustained, manyCaller, b.entries)
	if err != nil {
		return err
	}
	b.appendResults(got, "sustained to "+thousands(b.entries)+", 64 callers", manyCaller)
	return nil
}

// appendAll measures each writer in turn, as often as there are runs; once
// where a total is given.
func (b *bench) appendAll(ctx context.Context, writers []writer, callers int, total int64) (map[string][]load, error) {
	got := map[string][]load{}
	runs := b.runs
	if total > 0 {
		runs = 1
	}
	for range runs {
		for _, w := range writers {
			l, err := b.appendOnce(ctx, w, callers, total)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", w.name, err)
			}
			b.say("  %3d callers  %-14s %8.0f/s  p50 %.2f ms  p99 %.2f ms", callers, w.name, l.rate, l.p50, l.p99)
			got[w.name] = append(got[w.name], l)
		}
	}
	return got, nil
}

func (b *bench) appendOnce(ctx context.Context, w writer, callers int, total int64) (load, error) {
	dir, remove, err := b.dir()
	if err != nil {
		return load{}, err
	}
	defer remove()
	do, end, err := w.open(ctx, dir)
	if err != nil {
		return load{}, err
	}
	var next atomic.Int64
	ask := func(int64) error { return do(next.Add(1) - 1) }
	if total == 0 { // every writer has files that grow until they are used again
		if _, err := drive(ctx, callers, b.slice/2, 0, ask); err != nil {
			return load{}, errors.Join(err, end())
		}
	}
	l, err := drive(ctx, callers, b.slice, total, ask)
	return l, errors.Join(err, end())
}

func (b *bench) appendResults(got map[string][]load, label string, callers int) {
	rate := func(l load) float64 { return l.rate }
	p50, p99 := func(l load) float64 { return l.p50 }, func(l load) float64 { return l.p99 }
	each := func(name string, of func(load) float64) (out []float64) {
		for _, l := range got[name] {
			out = append(out, of(l))
		}
		return out
	}
	for _, ours := range []string{bareStore, wholeWay} {
		if got[ours] == nil {
			continue
		}
		for peer := range got {
			if peer == bareStore || peer == wholeWay {
				continue
			}
			var a aim
			if ours == bareStore && peer != flatFile && callers == manyCaller {
				a = ratioAtLeast(1)
			}
			b.add(Result{Figure: "append", Case: ours + ", " + label, Unit: "/s", Peer: peer, Up: true}, each(ours, rate), each(peer, rate), a)
		}
		b.add(Result{Figure: "append", Case: ours + ", " + label + ", p50", Unit: "ms"}, each(ours, p50), nil, aim{})
		var a aim
		if callers == manyCaller {
			a = atMost(5, "≤ 5 ms")
		}
		b.add(Result{Figure: "append", Case: ours + ", " + label + ", p99", Unit: "ms"}, each(ours, p99), nil, a)
	}
}
