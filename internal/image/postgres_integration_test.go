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
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The entrypoint runs as in production: its own uid, no capabilities, a
// read-only root, a volume, under runc. The test shares its network namespace,
// which is one of the test's own.
func TestPostgresEntrypoint(t *testing.T) {
	bundle := unpackBundle(t, "postgres")
	enterNetwork(t)
	volume := filepath.Join(bundle, "volume")
	ca := writeTLS(t, filepath.Join(volume, "tls"))
	for _, p := range []string{volume, filepath.Join(volume, "tls"), filepath.Join(volume, "tls", "server.key"), filepath.Join(volume, "tls", "server.crt")} {
		if err := os.Chown(p, 26, 26); err != nil {
			t.Fatal(err)
		}
	}
	const password = "the pass'word \\ of a test"

	t.Run("without a password", func(t *testing.T) {
		c := start(t, bundle, nil)
		if code := c.wait(t); code == 0 || !strings.Contains(c.out.String(), "POSTGRES_PASSWORD is not set") {
			t.Errorf("exit %d, output %s", code, c.out)
		}
	})

	first := start(t, bundle, []string{"POSTGRES_PASSWORD=" + password})
	psql := func(sslmode, pass, sql string) (string, error) {
		cmd := exec.Command("psql", "-XAt", "-v", "ON_ERROR_STOP=1", "-c", sql,
			"host=localhost hostaddr=127.0.0.1 user=postgres dbname=postgres connect_timeout=3 sslmode="+sslmode+" sslrootcert="+ca)
		cmd.Env = append(os.Environ(), "PGPASSWORD="+pass)
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	eventually(t, first, func() error { _, err := psql("verify-full", password, "select 1"); return err })

	wants := map[string]string{
		"show server_version_num":       "17",
		"show server_encoding":          "UTF8",
		"show data_checksums":           "on",
		"show password_encryption":      "scram-sha-256",
		"show ssl_min_protocol_version": "TLSv1.2",
		"show shared_preload_libraries": "pgaudit",
		"select datlocprovider from pg_database where datname='postgres'":      "b",
		"select count(*) from pg_hba_file_rules where error is null":           "1",
		"select version from pg_stat_ssl where pid = pg_backend_pid()":         "TLSv1.3",
		"select left(rolpassword, 13) from pg_authid where rolname='postgres'": "SCRAM-SHA-256",
	}
	for sql, want := range wants {
		if got, err := psql("verify-full", password, sql); err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q (%v), want %q", sql, got, err, want)
		}
	}
	refusals := []struct{ name, sslmode, password, sql, says string }{
		{"without TLS", "disable", password, "select 1", "no pg_hba.conf entry"},
		{"wrong password", "require", "wrong", "select 1", "password authentication failed"},
		{"alter system", "require", password, "alter system set ssl = off", "ALTER SYSTEM is not allowed"},
	}
	for _, r := range refusals {
		if out, err := psql(r.sslmode, r.password, r.sql); err == nil || !strings.Contains(out, r.says) {
			t.Errorf("%s: got %q (%v), want a refusal that says %q", r.name, out, err, r.says)
		}
	}
	if out, err := exec.Command("openssl", "s_client", "-starttls", "postgres", "-connect", "127.0.0.1:5432", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0").CombinedOutput(); err == nil {
		t.Errorf("TLS 1.1 was accepted: %s", out)
	}
	if out, err := first.exec(t, "psql", "-h", "/tmp", "-U", "postgres", "-c", "select 1"); err == nil || !strings.Contains(out, "no pg_hba.conf entry") {
		t.Errorf("the local socket: %q (%v), want a refusal", out, err)
	}
	if _, err := psql("require", password, "create extension vector; create extension pgaudit; create table kept (n int); insert into kept values (42)"); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(first.out.String(), password) {
		t.Error("the password is in the output")
	}
	if found := grep(t, volume, password); found != "" {
		t.Errorf("the password is in %s", found)
	}

	// A client that stays connected must not hold up the shutdown.
	idle := exec.Command("psql", "-X", "host=127.0.0.1 user=postgres dbname=postgres sslmode=require")
	idle.Env = append(os.Environ(), "PGPASSWORD="+password)
	if _, err := idle.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := idle.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { idle.Process.Kill(); idle.Wait() })
	began := time.Now()
	first.signal(t, syscall.SIGTERM)
	if code := first.wait(t); code != 0 {
		t.Errorf("after SIGTERM: exit %d\n%s", code, first.out)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("shutdown took %v", took)
	}
	if !strings.Contains(first.out.String(), "database system is shut down") {
		t.Errorf("no clean shutdown in the output:\n%s", first.out)
	}

	// The next start needs no password, undoes edits of the files, keeps data.
	for name, weak := range map[string]string{
		"pg_hba.conf": "host all all all trust\n", "postgresql.auto.conf": "ssl = off\nssl_min_protocol_version = 'TLSv1'\n",
	} {
		if err := os.WriteFile(filepath.Join(volume, "pgdata", name), []byte(weak), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(volume, "conf", "platform.conf"), []byte("work_mem = '5MB'\nssl = off\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	second := start(t, bundle, nil)
	eventually(t, second, func() error { _, err := psql("verify-full", password, "select 1"); return err })
	if got, _ := psql("require", password, "select n from kept"); got != "42" {
		t.Errorf("after a restart: %q, want 42", got)
	}
	if got, _ := psql("require", password, "show work_mem"); got != "5MB" {
		t.Errorf("the platform's setting: %q", got)
	}
	if out, err := psql("disable", password, "select 1"); err == nil {
		t.Errorf("a weakened file opened a way without TLS: %s", out)
	}
	second.signal(t, syscall.SIGTERM)
	second.wait(t)
}

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
	for _, d := range []string{root, filepath.Join(bundle, "volume")} {
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
	writeSpec(t, bundle, c.Config.Cmd, c.Config.Env)
	return bundle
}

func writeSpec(t *testing.T, bundle string, args, env []string) {
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
	process["user"] = map[string]any{"uid": 26, "gid": 26}
	process["args"], process["env"] = args, env
	process["capabilities"] = map[string]any{}
	delete(process, "rlimits")
	spec["mounts"] = append(keepMounts(spec["mounts"].([]any), "/proc", "/dev", "/dev/pts", "/dev/shm"),
		map[string]any{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "nodev", "mode=1777"}},
		map[string]any{"destination": "/var/lib/postgresql/data", "type": "bind", "source": filepath.Join(bundle, "volume"), "options": []string{"rbind", "rw"}},
	)
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
