package host_test

import (
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/compliance/host"
	"github.com/strongroom/strongroom/internal/document"
)

func TestClock(t *testing.T) {
	right := host.Clock{Kept: true, Offset: -20 * time.Millisecond, Estimated: time.Millisecond, Bound: 900 * time.Millisecond}
	for name, tt := range map[string]struct {
		edit  func(*host.Clock)
		tells string
	}{
		"ahead":        {func(c *host.Clock) { c.Offset = time.Second }, "wrong by 1s"},
		"behind":       {func(c *host.Clock) { c.Offset = -3 * time.Second }, "wrong by 1s"},
		"uncertain":    {func(c *host.Clock) { c.Estimated = time.Minute }, "wrong by 1s"},
		"not compared": {func(c *host.Clock) { c.Bound = 16 * time.Second }, "two hours"},
	} {
		b := newBench(t)
		b.clock = right
		if got := b.look(t, "host.clock", "host"); got.Status != document.StatusPass {
			t.Errorf("%s, before: %+v", name, got)
		}
		tt.edit(&b.clock)
		if got := b.look(t, "host.clock", "host"); got.Status != document.StatusFail || !strings.Contains(got.Facts[0], tt.tells) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestKernelClock asks the real kernel, whose answer depends on the host.
func TestKernelClock(t *testing.T) {
	c, err := host.KernelClock()
	if err != nil || c.Bound < 0 || c.Estimated < 0 {
		t.Errorf("%+v, %v", c, err)
	}
}
