package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSettingsDigest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "strongroom.json")
	digest := func(text string) string {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := settingsDigest(path)
		if err != nil || !strings.HasPrefix(d, "sha256:") {
			t.Fatalf("%q: %q, %v", text, d, err)
		}
		return d
	}
	first := digest(`{"a": 1, "server": {"build": {"proxy": "http://mia:one@proxy.example:3128", "allow": ["x:1"]}}}`)
	for text, same := range map[string]bool{
		`{"server": {"build": {"allow": ["x:1"], "proxy": "http://mia:two@proxy.example:3128"}}, "a": 1}`: true,
		`{"server": {"build": {"allow": ["x:1"], "proxy": "http://mia:one@other.example:3128"}}, "a": 1}`: false,
		`{"server": {"build": {"allow": ["x:1", "y:2"], "proxy": "http://proxy.example:3128"}}, "a": 1}`:  false,
		`{`: false,
	} {
		if got := digest(text) == first; got != same {
			t.Errorf("%s: the same: %v", text, got)
		}
	}
	if d, err := settingsDigest(path + ".not"); d != "none" || err != nil {
		t.Errorf("without a file: %q, %v", d, err)
	}
}

func TestInstalled(t *testing.T) {
	now, err := (&parts{}).installed()
	running, rerr := digestOf("/proc/self/exe")
	if err != nil || rerr != nil || now.Program != running || now.Settings != "none" {
		t.Errorf("%+v, %v; runs %s, %v", now, err, running, rerr)
	}
}
