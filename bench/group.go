package main

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// group is group commit: one writer that takes what waits and commits it
// together, as control.Kernel does. Ours and the peers write through it alike.
type group[T any] struct {
	queue  chan waiting[T]
	commit func([]T) error
	done   chan struct{}
}

type waiting[T any] struct {
	item   T
	result chan error
}

// groupSize bounds a batch, as the kernel's default does.
const groupSize = 256

func newGroup[T any](commit func([]T) error) *group[T] {
	g := &group[T]{queue: make(chan waiting[T], 1024), commit: commit, done: make(chan struct{})}
	go g.run()
	return g
}

func (g *group[T]) run() {
	defer close(g.done)
	for first := range g.queue {
		// Those whom the last batch answered are about to ask again: let them.
		runtime.Gosched()
		list := []waiting[T]{first}
		for more := true; more && len(list) < groupSize; {
			select {
			case w, ok := <-g.queue:
				if more = ok; ok {
					list = append(list, w)
				}
			default:
				more = false
			}
		}
		items := make([]T, len(list))
		for i, w := range list {
			items[i] = w.item
		}
		err := g.commit(items)
		for _, w := range list {
			w.result <- err
		}
	}
}

// submit returns when the item is durable.
func (g *group[T]) submit(item T) error {
	w := waiting[T]{item, make(chan error, 1)}
	g.queue <- w
	return <-w.result
}

func (g *group[T]) close() {
	close(g.queue)
	<-g.done
}

// load is what concurrent callers reached.
type load struct {
	rate     float64 // a second
	p50, p99 float64 // ms
}

// drive lets callers call do as fast as it answers, for the time given or, if
// total is not 0, until so many calls were made. do gets the number of the call.
func drive(ctx context.Context, callers int, length time.Duration, total int64, do func(n int64) error) (load, error) {
	var (
		next  atomic.Int64
		mu    sync.Mutex
		all   []time.Duration
		first error
		wg    sync.WaitGroup
	)
	if total > 0 {
		length = time.Hour
	} else {
		total = 1 << 62
	}
	begin := time.Now()
	for range callers {
		wg.Go(func() {
			var took []time.Duration
			var err error
			for ctx.Err() == nil && time.Since(begin) < length {
				n := next.Add(1) - 1
				if n >= total {
					break
				}
				at := time.Now()
				if err = do(n); err != nil {
					break
				}
				took = append(took, time.Since(at))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if first == nil {
				first = err
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(begin)
	if first == nil {
		first = ctx.Err()
	}
	if first != nil {
		return load{}, first
	}
	slices.Sort(all)
	return load{float64(len(all)) / elapsed.Seconds(), percentile(all, 0.5), percentile(all, 0.99)}, nil
}

// percentile of sorted durations, in ms.
func percentile(sorted []time.Duration, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[int(p*float64(len(sorted)-1))]) / float64(time.Millisecond)
}
