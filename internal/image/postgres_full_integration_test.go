//go:build integration

package image

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/postgres"
)

// A database whose disk is full refuses what would need room, in words that say
// so, keeps all that was committed, lets people make room, and goes on.
func TestPostgresOnAFullDisk(t *testing.T) {
	bundle := unpackBundle(t, "postgres")
	enterNetwork(t)
	volume := filepath.Join(bundle, "volume")
	mountDisk(t, volume, 1<<30)
	ca := writeTLS(t, filepath.Join(volume, "tls"))
	for _, p := range []string{volume, filepath.Join(volume, "tls"), filepath.Join(volume, "tls", "server.key"), filepath.Join(volume, "tls", "server.crt")} {
		if err := os.Chown(p, 26, 26); err != nil {
			t.Fatal(err)
		}
	}
	spec := []string{"PATH=/usr/local/bin:/usr/lib/postgresql/17/bin:/usr/bin:/bin", "HOME=/var/lib/postgresql", "PGDATA=/var/lib/postgresql/data/pgdata", "LANG=C.UTF-8"}
	if err := os.Remove(filepath.Join(bundle, "config.json")); err != nil {
		t.Fatal(err)
	}
	writeSpec(t, bundle, 26, postgres.Command(), spec)
	db := &fullDisk{T: t, bundle: bundle, ca: ca}
	db.start("POSTGRES_PASSWORD=secret")
	reserved := func() error { _, err := os.Stat(filepath.Join(volume, "reserve")); return err }
	db.eventually("a reserve", reserved)
	db.must("", "create table kept (n int)", "insert into kept values (42)", "create table filler (t text)")

	rows := 0
	for ; rows < 20_000*200; rows += 20_000 {
		out, err := db.psql("insert into filler select repeat(md5(g::text), 30) from generate_series(1, 20000) g")
		if err == nil {
			continue
		}
		if !strings.Contains(out, "read-only transaction") && !strings.Contains(out, "No space left on device") {
			t.Errorf("a full disk is told as: %s", out)
		}
		break
	}
	t.Logf("full after %d rows", rows)
	refused := func() error {
		if out, err := db.psql("insert into kept values (0)"); err == nil || !strings.Contains(out, "read-only transaction") {
			return fmt.Errorf("%q, %v", out, err)
		}
		return nil
	}
	db.eventually("a refusal in words", refused)
	db.must(fmt.Sprint(rows), "select count(*) from filler")
	db.must("42", "select n from kept")

	// Who insists gets to the very end of the disk, where PostgreSQL gives up.
	if out, err := db.psql("set default_transaction_read_only = off", "insert into filler select repeat(md5(g::text), 30) from generate_series(1, 5000000) g"); err == nil {
		t.Errorf("more than the disk holds was written: %s", out)
	}
	db.kill()
	db.must("42", "select n from kept")
	db.must(fmt.Sprint(rows), "select count(*) from filler")
	db.eventually("a refusal in words", refused)

	db.must("", "set default_transaction_read_only = off", "truncate filler", "checkpoint")
	db.eventually("a new reserve", reserved)
	db.eventually("writes", func() error { _, err := db.psql("insert into kept values (43)"); return err })
	db.must("42,43", "select string_agg(n::text, ',' order by n) from kept")
	for _, want := range []string{"is full. Writes are refused until there is room", "There is room again"} {
		if !strings.Contains(db.said(), want) {
			t.Errorf("the log lacks %q:\n%s", want, db.said())
		}
	}
	db.kill()
}

// fullDisk is a database in a container that is started again when it ends, as
// the engine does.
type fullDisk struct {
	*testing.T
	bundle, ca string
	runs       []*container
	ended      chan struct{}
}

func (d *fullDisk) start(env ...string) {
	d.Helper()
	c := start(d.T, d.bundle, env)
	ended := make(chan struct{})
	go func() {
		c.cmd.Wait()
		close(ended)
	}()
	d.runs, d.ended = append(d.runs, c), ended
}

func (d *fullDisk) kill() {
	d.Helper()
	c := d.runs[len(d.runs)-1]
	exec.Command("runc", "--root", c.state, "kill", c.id, "KILL").Run() // it may have ended
	<-d.ended
}

func (d *fullDisk) said() string {
	var out strings.Builder
	for _, c := range d.runs {
		out.WriteString(c.out.String())
	}
	return out.String()
}

func (d *fullDisk) psql(sql ...string) (string, error) {
	args := []string{"-XAtq", "-v", "ON_ERROR_STOP=1", "host=localhost hostaddr=127.0.0.1 user=postgres dbname=postgres connect_timeout=3 sslmode=verify-full sslrootcert=" + d.ca}
	for _, s := range sql {
		args = append(args, "-c", s)
	}
	cmd := exec.Command("psql", args...)
	cmd.Env = append(os.Environ(), "PGPASSWORD=secret")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (d *fullDisk) eventually(what string, try func() error) {
	d.Helper()
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		select {
		case <-d.ended:
			d.start()
		default:
		}
		if err = try(); err == nil {
			return
		}
	}
	d.Fatalf("no %s: %v\n%s", what, err, d.said())
}

// must wants an answer, if need be after the database has recovered.
func (d *fullDisk) must(want string, sql ...string) {
	d.Helper()
	d.eventually(fmt.Sprintf("answer to %q", sql), func() error {
		out, err := d.psql(sql...)
		if err == nil && out != want {
			d.Fatalf("%q: %q, want %q", sql, out, want)
		}
		if err != nil {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
}

// mountDisk mounts a file system of its own at dir.
func mountDisk(t *testing.T, dir string, bytes int64) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "disk.img")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(bytes); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, args := range [][]string{{"mkfs.ext4", "-q", "-m", "0", file}, {"mount", "-o", "loop", file, dir}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	})
}
