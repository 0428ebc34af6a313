package compliance_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// runs starts an engine of these checks in a world whose clock is the bubble's,
// and gives what stops it and waits until it has ended.
func runs(t *testing.T, w *commandtest.World, list ...*compliance.Check) (e *compliance.Engine, stop func()) {
	t.Helper()
	control := &compliance.Control{ID: "a", Severity: "low"}
	for _, c := range list {
		control.Proof.Checks = append(control.Proof.Checks, c.ID)
	}
	e = compliance.New(compliance.Config{
		Store: w.Store, Kernel: w.Kernel, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Programme: join(t, &compliance.Catalogue{Controls: []*compliance.Control{control}}, list...),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	return e, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func said() []compliance.Result {
	return []compliance.Result{compliance.Pass("shut").Of("", "", "the door")}
}

// TestHanging: a check that hangs is unknown when its time is over, and says so.
// It delays no other one, nor does it run twice at once.
func TestHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hangs, inside, quick, state atomic.Int64
		w := commandtest.Bare(t, time.Time{})
		_, stop := runs(t, w,
			&compliance.Check{ID: "hangs", Version: 1, Every: time.Minute, Reads: []string{"check."}, Try: func(ctx context.Context) ([]compliance.Result, error) {
				if inside.Add(1) != 1 {
					t.Error("it runs twice at once")
				}
				defer inside.Add(-1)
				if hangs.Add(1) == 1 {
					return said(), nil
				}
				<-ctx.Done()
				return nil, fmt.Errorf("ask: %w", ctx.Err())
			}},
			&compliance.Check{ID: "quick", Every: time.Minute, Try: func(context.Context) ([]compliance.Result, error) {
				quick.Add(1)
				return said(), nil
			}},
			&compliance.Check{ID: "state", Every: 10 * time.Second, State: func(store.View, time.Time) ([]compliance.Result, error) {
				state.Add(1)
				return said(), nil
			}})
		status := func() *document.Status {
			return commandtest.Find[*document.Status](w, "check", "hangs")[0]
		}
		time.Sleep(30 * time.Second)
		if s := status(); s.Status != document.StatusPass || inside.Load() != 1 {
			t.Errorf("while it hangs: %+v, %d inside", s, inside.Load())
		}
		time.Sleep(5*time.Minute - 30*time.Second + time.Second)
		if s := status(); s.Status != document.StatusUnknown || len(s.Facts) != 1 || s.Facts[0] != "The check could not run: It did not end within 1m0s." {
			t.Errorf("after its time: %+v", s)
		}
		if n := quick.Load(); n != 6 {
			t.Errorf("in five minutes the check of each minute ran %d times", n)
		}
		if n := state.Load(); n != 31 {
			t.Errorf("in five minutes the check of the state ran %d times", n)
		}
		stop()
		if inside.Load() != 0 {
			t.Error("it still runs after the engine")
		}
		if s := status(); s.Before != document.StatusPass {
			t.Errorf("what was cut short at the end is on record: %+v", s)
		}
	})
}

// TestAtOnce: few checks run at once, none beside one with which it shares what
// it acts on, and each has its turn though others hang again and again.
func TestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inside, sharing atomic.Int64
		var ran [12]atomic.Int64
		var list []*compliance.Check
		for i := range ran {
			c := &compliance.Check{ID: fmt.Sprint("c", i), Every: time.Minute}
			if i >= 10 {
				c.Shares = "the stage"
			}
			c.Try = func(ctx context.Context) ([]compliance.Result, error) {
				defer inside.Add(-1)
				if n := inside.Add(1); n > 8 {
					t.Errorf("%d run at once", n)
				}
				if c.Shares != "" {
					defer sharing.Add(-1)
					if sharing.Add(1) != 1 {
						t.Error("both act on the stage")
					}
				}
				ran[i].Add(1)
				<-ctx.Done()
				return nil, ctx.Err()
			}
			list = append(list, c)
		}
		_, stop := runs(t, commandtest.Bare(t, time.Time{}), list...)
		time.Sleep(time.Second)
		if inside.Load() != 8 {
			t.Errorf("%d run at once", inside.Load())
		}
		time.Sleep(10 * time.Minute)
		for i := range ran {
			// Twelve for eight places: each has two of three turns; the two at one
			// stage, every other one.
			if n := ran[i].Load(); n < 4 {
				t.Errorf("c%d ran %d times in ten minutes", i, n)
			}
		}
		stop()
	})
}
