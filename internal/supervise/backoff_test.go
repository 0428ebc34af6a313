package supervise

import (
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The keeper restarts at once, then with growing pauses, and at once again
// after a run of five seconds.
func TestPausesBetweenRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lives := []time.Duration{0, 0, 0, 0, 0, 0, 5 * time.Second, 0}
		begin := time.Now()
		var starts []time.Duration
		ctx, cancel := context.WithCancel(t.Context())
		c := newChild(Spec{Name: "x", Args: []string{"/x"}}, nil, testLog(t))
		c.launch = func(Spec, *cgroup, []*os.File) (*process, error) {
			n := len(starts)
			starts = append(starts, time.Since(begin))
			p := &process{pid: n, since: time.Now(), done: make(chan struct{}), exit: "done"}
			if n == len(lives) {
				cancel()
				return p, nil
			}
			time.AfterFunc(lives[n], func() { close(p.done) })
			return p, nil
		}
		c.keep(ctx)
		ms := time.Millisecond
		want := []time.Duration{
			0, 0, 100 * ms, 600 * ms, 1600 * ms, 6600 * ms, 11600 * ms,
			16600 * ms, // after five seconds up
			16700 * ms,
		}
		if diff := cmp.Diff(want, starts); diff != "" {
			t.Errorf("starts (-want +got):\n%s", diff)
		}
	})
}

// A wish that comes during a pause is acted on at once.
func TestStopDuringPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChild(Spec{Name: "x", Args: []string{"/x"}}, nil, testLog(t))
		c.launch = func(Spec, *cgroup, []*os.File) (*process, error) { return nil, os.ErrNotExist }
		go c.keep(t.Context())
		time.Sleep(10 * time.Second)
		begin := time.Now()
		if err := c.stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("Stop took %v", waited)
		}
	})
}
