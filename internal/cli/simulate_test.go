package cli

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// TestSimulateRefuses what it cannot do, before anything is made. That it can
// do the rest is shown by tests/year.
func TestSimulateRefuses(t *testing.T) {
	there := t.TempDir()
	fresh := filepath.Join(there, "year")
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{nil, 2, "--out is needed"},
		{[]string{"--out", there}, 1, "exists already. Name another directory"},
		{[]string{"--out", fresh, "--entries", "7"}, 1, "comes to 10000 entries at least"},
		{[]string{"--out", fresh, "--every", "7h"}, 1, "run every 1, 2, 3, 4, 6, 8 or 12 hours"},
		{[]string{"--out", fresh, "more"}, 2, "takes 0 argument(s)"},
	} {
		var out, errs bytes.Buffer
		if code := Main(append([]string{"simulate"}, test.args...), strings.NewReader(""), &out, &errs); code != test.code || !strings.Contains(errs.String(), test.says) {
			t.Errorf("%v: %d %q, want %d %q", test.args, code, errs.String(), test.code, test.says)
		}
		if left, _ := filepath.Glob(fresh + "*"); len(left) != 0 {
			t.Errorf("%v: left %v", test.args, left)
		}
	}
}
