//go:build integration

package image

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// launch runs the command of every dyno, below the init that the engine gives:
// these are what Heroku's users rely on.
func TestLaunch(t *testing.T) {
	bundle := unpackBundle(t, "base")
	app := filepath.Join(bundle, "rootfs", "app")
	for name, content := range map[string]string{
		".profile.d/a.sh": "export FROM_PACK=pack\nexport BOTH=pack\n",
		".profile":        "export BOTH=app\n",
	} {
		name = filepath.Join(app, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	init, err := exec.LookPath("tini-static")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("install", init, filepath.Join(bundle, "rootfs", "usr/local/bin/init")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	run := func(command string) *container {
		withArgs(t, bundle, "/usr/local/bin/init", "-g", "--", "/usr/local/bin/launch", command)
		return start(t, bundle, []string{"PORT=5000"})
	}

	t.Run("profile, environment and directory", func(t *testing.T) {
		c := run("echo $FROM_PACK $BOTH $PORT $PWD $HOME; id -u; psql --version; curl --version")
		if code := c.wait(t); code != 0 || !strings.HasPrefix(c.out.String(), "pack app 5000 /app /app\n1000\npsql (PostgreSQL) 17") {
			t.Errorf("exit %d:\n%s", code, c.out)
		}
	})
	t.Run("exit code", func(t *testing.T) {
		if code := run("true && exit 7").wait(t); code != 7 {
			t.Errorf("exit %d", code)
		}
	})
	t.Run("killed by a signal", func(t *testing.T) {
		if code := run("kill -9 $$").wait(t); code != 137 {
			t.Errorf("exit %d", code)
		}
	})
	t.Run("SIGTERM reaches the command behind others, once, and is waited for", func(t *testing.T) {
		c := run(`cd /tmp && bash -c 'trap "sleep 0.5; echo inner stops; exit 3" TERM; echo ready; while :; do sleep 0.1; done'`)
		for range 100 {
			if strings.Contains(c.out.String(), "ready") {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		c.signal(t, syscall.SIGTERM)
		began := time.Now()
		code := c.wait(t)
		if code != 3 || strings.Count(c.out.String(), "inner stops") != 1 || time.Since(began) > 5*time.Second {
			t.Errorf("exit %d after %v:\n%s", code, time.Since(began), c.out)
		}
	})
	t.Run("orphans are reaped", func(t *testing.T) {
		c := run(`for i in 1 2 3; do (sleep 0.1 & ) ; done; sleep 0.5; ps -eo stat= | grep -c Z || echo none`)
		c.wait(t)
		if !strings.Contains(c.out.String(), "none") {
			t.Errorf("zombies: %s", c.out)
		}
	})
}

func withArgs(t *testing.T, bundle string, args ...string) {
	t.Helper()
	name := filepath.Join(bundle, "config.json")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var spec map[string]any
	if err := json.Unmarshal(raw, &spec); err != nil {
		t.Fatal(err)
	}
	spec["process"].(map[string]any)["args"] = args
	spec["process"].(map[string]any)["cwd"] = "/app"
	if raw, err = json.Marshal(spec); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}
