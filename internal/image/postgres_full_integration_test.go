//go:build integration

package image

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/postgres"
	"github.com/strongroom/strongroom/internal/secret"
)

// A database whose disk is full refuses what needs room, in words that say so,
// goes on with all else, keeps what was committed, also when it is killed, lets
// people make room, and takes writes again. Nothing here waits for a moment.
func TestPostgresOnAFullDisk(t *testing.T) {
	d := newFullDisk(t)
	d.start(d.now)
	d.must("", "create table kept (n int primary key, t text)", "create table filler (w int, t text)",
		"insert into kept select g, 'first' from generate_series(1, 20000) g")
	d.must("42", "select n from kept where n = 42")

	rows := d.fill("filler")
	t.Logf("full after %d rows, %s", rows, d.rooms())
	d.must(fmt.Sprint(rows), "select count(*) from filler")
	rows += d.hammer("filler")
	t.Logf("hammered, %s", d.rooms())
	if d.died() != 0 {
		t.Errorf("the database ended because its disk was full:\n%s", d.said())
	}
	d.kill()
	d.must(fmt.Sprint(rows), "select count(*) from filler")
	d.must("20000", "select count(*) from kept")
	d.refused("insert into filler select 0, repeat('x', 500) from generate_series(1, 100000)")
	d.says("the database's disk is full")
	if strings.Contains(d.said(), "xxxx") {
		t.Error("the log has a row's content")
	}

	// A table that was dropped is made anew by recovery, up to where it was
	// dropped; what it had is taken by another one.
	d.must("", "drop table filler", "create table second (w int, t text)")
	again := d.fill("second")
	d.kill()
	d.must(fmt.Sprint(again), "select count(*) from second")

	// Who filled the disk took the last block, and a new one comes each minute.
	d.patiently("truncate second")
	d.must("", "insert into kept values (0, 'last')", "insert into second select 0, repeat('x', 500) from generate_series(1, 100000)")
	d.must("20001", "select count(*) from kept")

	// Deleting makes room for the table's own rows, once it is vacuumed.
	d.fill("second")
	d.must("", "delete from second where ctid < '(100,0)'")
	d.patiently("vacuum second")
	d.must("", "insert into second select 0, repeat('x', 100) from generate_series(1, 1000)")
	d.stop()
	d.start(d.now)
	d.must("20001", "select count(*) from kept")
	if out, err := d.psql("drop table second"); err != nil {
		t.Errorf("drop on a full disk after a stop: %v, %s", err, out)
	}
	d.must("", "insert into kept values (-1, 'last')")
	t.Logf("at the end, %s", d.rooms())
}

// A database that was made on one volume, and has filled it to the end that
// PostgreSQL came to there, is moved over with all that was committed.
func TestPostgresMovesToTwoVolumes(t *testing.T) {
	for name, end := range map[string]func(d *fullDisk) (rows int){
		"stopped": func(d *fullDisk) int {
			rows := d.insert("filler", 1, 20, 4000)
			d.stop()
			return rows
		},
		"killed": func(d *fullDisk) int {
			rows := d.insert("filler", 1, 20, 4000)
			d.kill()
			return rows
		},
		"dead of a full disk": func(d *fullDisk) int {
			d.dies = true
			rows := d.insert("filler", 4, 10_000, 4000)
			// Until it doesn't come back any more.
			for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
				select {
				case <-d.ended:
					return rows
				default:
					d.psql("update kept set t = t || 'y'", "select pg_switch_wal()") // until there is no room for it
				}
			}
			d.Error("the old way does not end of a full disk")
			d.kill()
			return rows
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newFullDisk(t)
			d.start(d.old)
			d.must("", "create table kept (n int primary key, t text)", "create table filler (w int, t text)",
				"insert into kept select g, 'first' from generate_series(1, 20000) g")
			rows := end(d)
			d.start(d.now)
			d.must("20000", "select count(*) from kept")
			// What was committed as the server ended may not have been answered.
			d.must("t", fmt.Sprintf("select count(*) >= %d from filler", rows))
			for _, x := range []struct {
				path string
				want bool
			}{{"volume/pgdata/base/1/PG_VERSION", true}, {"volume/pgdata/PG_VERSION", false}, {"volume/pgdata/pg_wal", false}, {"server/pgdata/pg_wal", true}} {
				if _, err := os.Stat(filepath.Join(d.bundle, x.path)); (err == nil) != x.want {
					t.Errorf("%s: %v", x.path, err)
				}
			}
			d.stop()
			d.start(d.now)
			d.must("", "truncate filler", "insert into kept values (0, 'last')")
			d.must("20001", "select count(*) from kept")
			d.stop()
		})
	}
}

// fullDisk is a database in a container, on small file systems, that is started
// again when it ends, as the engine does.
type fullDisk struct {
	*testing.T
	bundle, ca string
	network    string         // of the test, for clients on other threads
	old, now   driver.Process // as it was run on one volume, as it is run
	process    driver.Process

	runs  []*container
	ended chan struct{}
	own   int  // runs that the test asked for
	dies  bool // it may answer a full disk by ending
}

func newFullDisk(t *testing.T) *fullDisk {
	t.Helper()
	d := &fullDisk{T: t, bundle: unpackBundle(t, "postgres")}
	enterNetwork(t)
	d.network = fmt.Sprintf("--net=/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
	addon := &document.Addon{Service: "heroku-postgresql", Plan: "private-0", Volume: document.NewID(), Bytes: 512 << 20}
	volumes, err := postgres.Volumes(addon, secret.NewValue(make([]byte, 64)))
	if err != nil {
		t.Fatal(err)
	}
	for n, dir := range []string{"volume", "server"} {
		mountDisk(t, filepath.Join(d.bundle, dir), volumes[n].Bytes)
	}
	d.ca = writeTLS(t, filepath.Join(d.bundle, "volume/tls"))
	for _, p := range []string{"server", "volume", "volume/tls", "volume/tls/server.key", "volume/tls/server.crt"} {
		if err := os.Chown(filepath.Join(d.bundle, p), postgres.UID, postgres.UID); err != nil {
			t.Fatal(err)
		}
	}
	f, err := postgres.Formation(addon, "", secret.NewValue([]byte("secret")))
	if err != nil {
		t.Fatal(err)
	}
	d.now, d.old = f.Process, f.Process
	d.old.Args = []string{"/usr/local/bin/postgres-entrypoint"}
	d.old.Env = append(slices.Clone(d.now.Env), driver.EnvVar{Name: "PGDATA", Value: "/var/lib/postgresql/data/pgdata"})
	return d
}

// start begins a run.
func (d *fullDisk) start(p driver.Process) {
	d.Helper()
	d.process, d.own = p, d.own+1
	d.run()
}

func (d *fullDisk) run() {
	d.Helper()
	if err := os.Remove(filepath.Join(d.bundle, "config.json")); err != nil {
		d.Fatal(err)
	}
	env := map[string]string{}
	for _, v := range d.process.Env {
		env[v.Name] = v.Name + "=" + v.Value
	}
	writeSpec(d.T, d.bundle, postgres.UID, d.process.Args, slices.Collect(maps.Values(env)))
	c := start(d.T, d.bundle, nil)
	ended := make(chan struct{})
	go func() {
		c.cmd.Wait()
		close(ended)
	}()
	d.runs, d.ended = append(d.runs, c), ended
}

func (d *fullDisk) end(signal string) {
	d.Helper()
	c := d.runs[len(d.runs)-1]
	exec.Command("runc", "--root", c.state, "kill", c.id, signal).Run() // it may have ended
	<-d.ended
}

// stop waits for a clean end.
func (d *fullDisk) stop() {
	d.Helper()
	d.end("TERM")
	if said := d.runs[len(d.runs)-1].out.String(); !strings.Contains(said, "database system is shut down") {
		d.Errorf("no clean end:\n%s", said)
	}
}

// kill ends all its processes at once; what is asked next starts it again.
func (d *fullDisk) kill() {
	d.Helper()
	d.end("KILL")
	d.own++
}

// died tells how often it ended by itself.
func (d *fullDisk) died() int { return len(d.runs) - d.own }

func (d *fullDisk) said() string {
	var out strings.Builder
	for _, c := range d.runs {
		out.WriteString(c.out.String())
	}
	return out.String()
}

func (d *fullDisk) psql(sql ...string) (string, error) {
	args := []string{d.network, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "host=localhost hostaddr=127.0.0.1 user=postgres dbname=postgres connect_timeout=3 sslmode=verify-full sslrootcert=" + d.ca}
	for _, s := range sql {
		args = append(args, "-c", s)
	}
	cmd := exec.Command("nsenter", args...)
	cmd.Env = append(os.Environ(), "PGPASSWORD=secret")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// eventually tries until it goes well, starting a database again that has ended.
func (d *fullDisk) eventually(what string, try func() error) {
	d.Helper()
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		select {
		case <-d.ended:
			d.run()
		default:
		}
		if err = try(); err == nil {
			return
		}
	}
	d.Fatalf("no %s: %v; %s\n%s", what, err, d.rooms(), d.said())
}

// must wants an answer, once it can be connected to.
func (d *fullDisk) must(want string, sql ...string) {
	d.Helper()
	d.eventually("connection", func() error { _, err := d.psql("select"); return err })
	if out, err := d.psql(sql...); err != nil || out != want {
		d.Fatalf("%q: %q (%v), want %q; %s\n%s", sql, out, err, want, d.rooms(), d.said())
	}
}

// patiently repeats what a full disk may refuse.
func (d *fullDisk) patiently(sql string) {
	d.Helper()
	began := time.Now()
	d.eventually(sql, func() error {
		out, err := d.psql(sql)
		if err != nil && !strings.Contains(out, "No space left on device") {
			d.Fatalf("%s: %s\n%s", sql, out, d.said())
		}
		return err
	})
	d.Logf("%s after %s", sql, time.Since(began).Round(time.Second))
}

// refused wants the answer that tells of a full disk.
func (d *fullDisk) refused(sql string) {
	d.Helper()
	if out, err := d.psql(sql); err == nil || !strings.Contains(out, "No space left on device") {
		d.Errorf("%s: %q (%v)", sql, out, err)
	}
}

func (d *fullDisk) says(text string) {
	d.Helper()
	d.eventually("word of it", func() error {
		if !strings.Contains(d.said(), text) {
			return fmt.Errorf("the log lacks %q", text)
		}
		return nil
	})
}

// together runs a function for each of a number of clients.
func together(clients int, do func(client int)) {
	var wg sync.WaitGroup
	for w := range clients {
		wg.Go(func() { do(w) })
	}
	wg.Wait()
}

// insert writes into a table from so many clients, each until it is refused for
// want of room or has made as many transactions as it shall. It gives the number
// of rows that were committed.
func (d *fullDisk) insert(table string, clients, transactions, rows int) int {
	var committed atomic.Int64
	together(clients, func(client int) {
		for range transactions {
			out, err := d.psql(fmt.Sprintf("insert into %s select %d, repeat(md5(g::text), 30) from generate_series(1, %d) g", table, client, rows))
			if err != nil {
				if !d.dies && !strings.Contains(out, "No space left on device") {
					d.Errorf("a full disk is told as: %s", out)
				}
				return
			}
			committed.Add(int64(rows))
		}
	})
	return int(committed.Load())
}

// fill writes from four clients until there is no room for a single row.
func (d *fullDisk) fill(table string) int {
	d.Helper()
	return d.insert(table, 4, 10_000, 4000) + d.insert(table, 4, 1000, 40) + d.insert(table, 1, 1000, 1)
}

// hammer reads, changes and deletes for a while: that makes more of the log than
// there would be room for beside the tables. It gives the number of rows that
// were committed to the table, in the room of rows that were refused before.
func (d *fullDisk) hammer(table string) int {
	d.Helper()
	var committed atomic.Int64
	deadline := time.Now().Add(20 * time.Second)
	together(4, func(client int) {
		for time.Now().Before(deadline) {
			for sql, must := range map[string]bool{
				"select count(*) from " + table: true,
				"select sum(n) from kept":       true,
				"checkpoint":                    true,
				fmt.Sprintf("begin; delete from %s where w = %d; rollback", table, client): true,
				fmt.Sprintf("update kept set t = 'other' where n %% 4 = %d", client):       false,
			} {
				if out, err := d.psql(sql); err != nil && (must || !strings.Contains(out, "No space left on device")) {
					d.Errorf("%s: %s", sql, out)
					return
				}
			}
			committed.Add(int64(d.insert(table, 1, 1, 1000)))
		}
	})
	return int(committed.Load())
}

// rooms says how much is used of the volumes.
func (d *fullDisk) rooms() string {
	var out []string
	for _, dir := range []string{"volume", "server"} {
		var s unix.Statfs_t
		if err := unix.Statfs(filepath.Join(d.bundle, dir), &s); err != nil {
			d.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s: %d of %d MiB free", dir, int64(s.Bavail)*s.Bsize>>20, int64(s.Blocks)*s.Bsize>>20))
	}
	return strings.Join(out, ", ")
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
