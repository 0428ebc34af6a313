//go:build integration

package image

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// unpackBundle lays the image of a recipe out as a runc bundle.
func unpackBundle(t *testing.T, recipe string) string {
	t.Helper()
	bundle := t.TempDir()
	a, err := Open(testArchive(t, recipe))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	img, err := a.Image()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(bundle, "rootfs")
	for _, d := range []string{root, filepath.Join(bundle, "volume"), filepath.Join(bundle, "server")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("tar", "-x", "--numeric-owner", "-C", root)
		cmd.Stdin = r
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("unpack: %v\n%s", err, out)
		}
		r.Close()
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(strings.Split(c.Config.User, ":")[0])
	if err != nil {
		t.Fatal(err)
	}
	writeSpec(t, bundle, uid, c.Config.Cmd, c.Config.Env)
	return bundle
}

func writeSpec(t *testing.T, bundle string, uid int, args, env []string) {
	t.Helper()
	cmd := exec.Command("runc", "spec")
	cmd.Dir = bundle
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("runc spec: %v\n%s", err, out)
	}
	raw, err := os.ReadFile(filepath.Join(bundle, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var spec map[string]any
	if err := json.Unmarshal(raw, &spec); err != nil {
		t.Fatal(err)
	}
	process := spec["process"].(map[string]any)
	process["terminal"] = false
	process["user"] = map[string]any{"uid": uid, "gid": uid}
	process["args"], process["env"] = args, env
	process["capabilities"] = map[string]any{}
	delete(process, "rlimits")
	spec["mounts"] = append(keepMounts(spec["mounts"].([]any), "/proc", "/dev", "/dev/pts", "/dev/shm"),
		map[string]any{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "nodev", "mode=1777"}},
	)
	if uid == 26 {
		for dir, path := range map[string]string{"volume": "/var/lib/postgresql/data", "server": "/var/lib/postgresql/server"} {
			spec["mounts"] = append(spec["mounts"].([]any), map[string]any{
				"destination": path, "type": "bind", "source": filepath.Join(bundle, dir), "options": []string{"rbind", "rw"},
			})
		}
	}
	spec["linux"] = map[string]any{"namespaces": []map[string]string{{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}}}
	if raw, err = json.Marshal(spec); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func keepMounts(mounts []any, wanted ...string) []any {
	var kept []any
	for _, m := range mounts {
		for _, w := range wanted {
			if m.(map[string]any)["destination"] == w {
				kept = append(kept, m)
			}
		}
	}
	return kept
}

// container is one run of a bundle.
type container struct {
	id, state string
	cmd       *exec.Cmd
	out       *bytes.Buffer
}

func start(t *testing.T, bundle string, env []string) *container {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(bundle, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(env) > 0 {
		var spec map[string]any
		if err := json.Unmarshal(raw, &spec); err != nil {
			t.Fatal(err)
		}
		process := spec["process"].(map[string]any)
		for _, e := range env {
			process["env"] = append(process["env"].([]any), e)
		}
		changed, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bundle, "config.json"), changed, 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.WriteFile(filepath.Join(bundle, "config.json"), raw, 0o600)
	}
	c := &container{id: fmt.Sprintf("sr-image-test-%d-%d", os.Getpid(), time.Now().UnixNano()), state: t.TempDir(), out: &bytes.Buffer{}}
	c.cmd = exec.Command("runc", "--root", c.state, "run", "--bundle", bundle, c.id)
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.out
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command("runc", "--root", c.state, "delete", "--force", c.id).Run()
		c.cmd.Wait()
	})
	for range 100 {
		if exec.Command("runc", "--root", c.state, "state", c.id).Run() == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond) // the spec must be read before it is restored
	return c
}

func (c *container) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if out, err := exec.Command("runc", "--root", c.state, "kill", c.id, fmt.Sprint(int(s))).CombinedOutput(); err != nil {
		t.Fatalf("signal: %v\n%s", err, out)
	}
}

func (c *container) exec(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command("runc", append([]string{"--root", c.state, "exec", c.id}, args...)...).CombinedOutput()
	return string(out), err
}

func (c *container) wait(t *testing.T) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { c.cmd.Process.Kill() })
	defer stop()
	var exit *exec.ExitError
	switch err := c.cmd.Wait(); {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case err != nil:
		t.Fatal(err)
	}
	return 0
}

func eventually(t *testing.T, c *container, try func() error) {
	t.Helper()
	var err error
	for range 150 {
		if err = try(); err == nil {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Fatalf("never came up: %v\n%s", err, c.out)
}

// enterNetwork puts this goroutine, and what it starts, into a network
// namespace of its own with loopback only. The thread ends with the test.
func enterNetwork(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("this test needs root: %v", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("loopback: %v\n%s", err, out)
	}
}

// writeTLS makes a self-signed certificate for localhost and returns its path.
func writeTLS(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, content := range map[string][]byte{
		"server.crt": certificate,
		"server.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, certificate, 0o644); err != nil {
		t.Fatal(err)
	}
	return ca
}

func grep(t *testing.T, root, text string) string {
	t.Helper()
	found := ""
	err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(p)
		if bytes.Contains(raw, []byte(text)) {
			found = p
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
