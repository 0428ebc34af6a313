package pattern_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/pattern"
)

func TestPattern(t *testing.T) {
	pair := pattern.New(`([a-z])=(\d)`)
	if !pair.MatchString("a=1") || pair.MatchString("a=b") {
		t.Error("it matches something else")
	}
	if diff := cmp.Diff([]string{"b=2", "b", "2"}, pair.FindStringSubmatch("-b=2 c=3")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]string{{"b=2", "b", "2"}, {"c=3", "c", "3"}}, pair.FindAllStringSubmatch("b=2 c=3", -1)); diff != "" {
		t.Error(diff)
	}
	broken := pattern.New(`(`) // not compiled yet: no panic
	defer func() {
		if recover() == nil {
			t.Error("an expression that is none was used")
		}
	}()
	broken.MatchString("")
}
