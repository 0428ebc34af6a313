//go:build integration

package image

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/strongroom/strongroom/internal/postgres"
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
	sessionsBeside(t, first, volume, password)
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

// sessionsBeside: root who opens the server's own socket and connects over it is
// among the sessions that the platform sees, and is gone from them afterwards.
func sessionsBeside(t *testing.T, c *container, volume, password string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), "host=127.0.0.1 user=postgres dbname=postgres sslmode=require password='"+strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(password)+"'")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	list := func() []postgres.Session {
		out, err := postgres.ReadSessions(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(out, func(s postgres.Session) bool { return s.Address != "" })
	}
	if got := list(); len(got) > 0 {
		t.Fatalf("before: %+v", got)
	}
	hba := filepath.Join(volume, "pgdata", "pg_hba.conf")
	was, err := os.ReadFile(hba)
	if err != nil {
		t.Fatal(err)
	}
	reload := func(text string) {
		if err := os.WriteFile(hba, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "select pg_reload_conf()"); err != nil {
			t.Fatal(err)
		}
	}
	reload("local all all trust\n" + string(was))
	defer reload(string(was))
	var got []postgres.Session
	var seen atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20 { // until the server has read the file
			if _, err := c.exec(t, "psql", "-h", "/tmp", "-U", "postgres", "-c", "select pg_sleep(600)"); seen.Load() || err == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	eventually(t, c, func() error {
		if got = list(); len(got) != 1 {
			return fmt.Errorf("%d sessions over the socket", len(got))
		}
		return nil
	})
	seen.Store(true)
	if s := got[0]; s.Role != "postgres" || s.Application != "psql" || s.Ours || time.Since(s.Since) > time.Minute {
		t.Errorf("found %+v", s)
	}
	if _, err := conn.Exec(t.Context(), "select pg_terminate_backend($1)", got[0].PID); err != nil {
		t.Fatal(err)
	}
	<-done
	if got := list(); len(got) > 0 {
		t.Errorf("afterwards: %+v", got)
	}
}
