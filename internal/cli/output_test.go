package cli

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for took, want := range map[time.Duration]string{
			time.Second:     "",
			5 * time.Second: "waiting (2s)\nwaiting (4s)\n",
		} {
			var out bytes.Buffer
			stop := meanwhile(&out, still("waiting"))
			time.Sleep(took)
			stop()
			time.Sleep(time.Minute)
			if out.String() != want {
				t.Errorf("of %s: %q, want %q", took, out.String(), want)
			}
		}
		var got counter
		if line := got.line(2 * time.Second); line != "the server prepares the pack (2s)" {
			t.Error(line)
		}
		got.Write([]byte(strings.Repeat("x", 5000))) //nolint:errcheck // it only counts
		if line := got.line(4 * time.Second); line != "4 KB (4s)" {
			t.Error(line)
		}
	})
}
