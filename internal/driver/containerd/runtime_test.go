package containerd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRuntimeScript runs the wrapper with stand-ins for runc and nsenter that
// print how they were called.
func TestRuntimeScript(t *testing.T) {
	dir := t.TempDir()
	show := filepath.Join(dir, "show")
	write(t, show, "#!/bin/sh\necho \"$@\"\n", 0o700)
	write(t, filepath.Join(dir, "box.json"), "the whole specification", 0o600)
	script := filepath.Join(dir, "runc")
	write(t, script, fmt.Sprintf(runtimeScript, dir, show, show), 0o700)
	bundle := filepath.Join(dir, "bundle")
	if err := os.Mkdir(bundle, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, want string }{
		{"--root /r --log l create --bundle BUNDLE --pid-file p box", "--net=DIR/box.net -- DIR/show --root /r --log l create --bundle BUNDLE --pid-file p box"},
		{"--root /r exec --process p.json --detach box", "--net=DIR/box.net -- DIR/show --root /r exec --process p.json --detach box"},
		{"--root /r start box", "--root /r start box"},
		{"--root /r kill --all box 15", "--root /r kill --all box 15"},
		{"--root /r delete --force box", "--root /r delete --force box"},
	} {
		names := strings.NewReplacer("BUNDLE", bundle, "DIR", dir)
		config := filepath.Join(bundle, "config.json")
		write(t, config, "without environment", 0o600)
		out, err := exec.Command(script, strings.Fields(names.Replace(tt.args))...).CombinedOutput()
		want := strings.ReplaceAll(names.Replace(tt.want), dir+"/show", show)
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%s:\ngot  %s, %v\nwant %s", tt.args, out, err, want)
		}
		content, _ := os.ReadFile(config)
		if replaced := string(content) == "the whole specification"; replaced != strings.Contains(tt.args, "create") {
			t.Errorf("%s: the specification is %q", tt.args, content)
		}
	}
	// A container without a specification is not created.
	if out, err := exec.Command(script, "create", "--bundle", bundle, "other").CombinedOutput(); err == nil {
		t.Errorf("created an unknown container: %s", out)
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
