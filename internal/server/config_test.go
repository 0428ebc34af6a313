package server

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/document"
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

// TestProxiesAndRate reach the API and git.
func TestProxiesAndRate(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	p := &parts{
		cfg:   Config{TrustedProxies: []string{"10.1.0.0/16"}, RatePerHour: 60},
		store: w.Store, kernel: w.Kernel, log: slog.New(slog.DiscardHandler), deploys: &deploys{},
		installation: commandtest.Get[*document.Installation](w, w.IDs["installation"]),
	}
	if err := p.cfg.defaults(); err != nil {
		t.Fatal(err)
	}
	handler, err := p.handler(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	request := func() *http.Request {
		r := httptest.NewRequest("GET", "https://localhost/account", nil)
		r.RemoteAddr = "10.1.2.3:40000"
		r.Header.Set("X-Forwarded-For", "203.0.113.9")
		r.Header.Set("Accept", "application/vnd.heroku+json; version=3")
		r.Header.Set("Authorization", "Bearer "+w.Tokens["dev"])
		return r
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request())
	if left := answer.Header().Get("Ratelimit-Remaining"); left != "59" {
		t.Errorf("%d, %q requests are left, want 59", answer.Code, left)
	}
	wrong := request()
	wrong.Header.Set("Authorization", "Bearer none")
	before := w.Size()
	handler.ServeHTTP(httptest.NewRecorder(), wrong)
	if lines := w.Since(before); len(lines) != 1 || lines[0].Actor.IP != "203.0.113.9" {
		t.Errorf("recorded: %v", lines)
	}
	if by, err := p.authenticate(request()); err != nil || by.Actor.IP != "203.0.113.9" {
		t.Errorf("git's actor is %+v, %v", by.Actor, err)
	}
	for says, c := range map[string]Config{
		"listeners":       {Listeners: []string{":22", "ssh"}},
		"trusted_proxies": {TrustedProxies: []string{"10.1.0.0/40"}},
		"rate_per_hour":   {RatePerHour: -1},
	} {
		if err := c.defaults(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
