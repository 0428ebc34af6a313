package containerd

import (
	"io"
	"strings"
	"testing"
)

func TestBounded(t *testing.T) {
	for length, over := range map[int]bool{0: false, 9: false, 10: true, 11: true} {
		b := &bounded{r: strings.NewReader(strings.Repeat("x", length)), left: 10}
		_, err := io.ReadAll(b)
		if b.over != over || (err != nil) != over {
			t.Errorf("%d bytes: %v, over %v", length, err, b.over)
		}
	}
}
