package probe

import (
	"slices"
	"strings"
	"testing"
)

// TestAnswers: what was not tried was not refused.
func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		said string
		want []bool // nil: it proves nothing
	}{
		{"0 open\n1 closed\n", []bool{true, false}},
		{"1 closed\n0 open\n", []bool{true, false}},
		{"0 open\n", nil},
		{"", nil},
		{"0 open\n1 failed\n", nil},
		{"0 open\n1 closed\n1 open\n", nil},
		{"0 open\n2 closed\n", nil},
		{"0 open\n-1 closed\n", nil},
		{"0 open\nbash: fork: retry\n1 closed\n", nil},
		{"0 open\n" + strings.Repeat("1", 1<<20), nil},
	} {
		got, err := answers(strings.NewReader(test.said), 2)
		if !slices.Equal(got, test.want) || (err == nil) != (test.want != nil) {
			t.Errorf("%.40q: %v, %v; want %v", test.said, got, err, test.want)
		}
	}
}
