package control

import (
	"testing"

	"github.com/strongroom/strongroom/internal/fault"
)

// TestRehearse answers as Execute would, and writes nothing.
func TestRehearse(t *testing.T) {
	l := newLab(t)
	size := l.size()
	if err := l.kernel.Rehearse(t.Context(), l.rename("new"), l.as(l.owner)); err != nil {
		t.Errorf("the owner: %v", err)
	}
	rehearsed := l.kernel.Rehearse(t.Context(), l.rename("new"), l.as(l.stranger))
	if fault.Of(rehearsed) == "" {
		t.Errorf("the stranger: %v", rehearsed)
	}
	if l.size() != size || len(l.kernel.denials.open) != 0 {
		t.Errorf("%d entries were written", l.size()-size)
	}
	if _, err := l.kernel.Execute(t.Context(), l.rename("new"), l.as(l.stranger)); err == nil || err.Error() != rehearsed.Error() {
		t.Errorf("executed it says %v, rehearsed %v", err, rehearsed)
	}
}
