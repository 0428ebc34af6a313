package main

import (
	"context"
	"slices"
	"syscall"
	"time"
)

// contest measures ours and the peer's in turn, as often as there are runs, and
// gives what each took, in the unit.
func (b *bench) contest(ctx context.Context, unit time.Duration, ours, theirs func() (time.Duration, error)) (a, p []float64, err error) {
	for range b.runs {
		for _, x := range []struct {
			do  func() (time.Duration, error)
			out *[]float64
		}{{ours, &a}, {theirs, &p}} {
			if x.do == nil {
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			took, err := x.do()
			if err != nil {
				return nil, nil, err
			}
			*x.out = append(*x.out, float64(took)/float64(unit))
		}
	}
	return a, p, nil
}

// typical calls do n times and gives the median of what the calls took.
func typical(n int, do func(i int) error) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		all := make([]time.Duration, n)
		for i := range all {
			at := time.Now()
			if err := do(i); err != nil {
				return 0, err
			}
			all[i] = time.Since(at)
		}
		slices.Sort(all)
		return all[n/2], nil
	}
}

// once calls do and gives what it took.
func once(do func() error) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		at := time.Now()
		err := do()
		return time.Since(at), err
	}
}

// cpu calls do and gives the processor time that the process used meanwhile:
// unlike the time on the wall it says the same when the machine is busy.
func cpu(do func() error) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		at := processorTime()
		err := do()
		return processorTime() - at, err
	}
}

func processorTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
