package server

import (
	"strings"
	"testing"
	"time"
)

// Bounds that are none are refused before anything starts.
func TestBuildBounds(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*BuildConfig)
		says string
	}{
		{"defaults", func(*BuildConfig) {}, ""},
		{"all set", func(c *BuildConfig) { c.Timeout, c.PushMiB, c.SlugMiB, c.LogKiB = "90s", 10, 20, 30 }, ""},
		{"no unit", func(c *BuildConfig) { c.Timeout = "15" }, "build.timeout"},
		{"backwards", func(c *BuildConfig) { c.Timeout = "-1m" }, "build.timeout"},
		{"negative", func(c *BuildConfig) { c.PushMiB = -1 }, "build.push_mib"},
		{"overflowing", func(c *BuildConfig) { c.ScratchMiB = 1 << 50 }, "build.scratch_mib"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var config Config
			c.set(&config.Build)
			err := config.defaults()
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
	if d, err := (BuildConfig{Timeout: "90s"}).timeout(); d != 90*time.Second || err != nil {
		t.Errorf("%v, %v", d, err)
	}
}
