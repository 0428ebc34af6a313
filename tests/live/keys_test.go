//go:build live

package live

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

// search finds which of the words occur in the files below the folders, and
// where; mounts below them are left out. Holes, of which images have many, are
// skipped.
func search(t *testing.T, words [][]byte, folders ...string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, folder := range folders {
		var top unix.Stat_t
		if err := unix.Stat(folder, &top); err != nil {
			t.Fatal(err)
		}
		err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return nil // it was removed meanwhile
			}
			var s unix.Stat_t
			if err := unix.Lstat(path, &s); err != nil {
				return nil
			}
			if s.Dev != top.Dev {
				return fs.SkipDir
			}
			if e.Type().IsRegular() {
				for _, w := range searchFile(t, path, words) {
					found[w] = append(found[w], path)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// searchFile gives the words that the file holds.
func searchFile(t *testing.T, path string, words [][]byte) (found []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	const chunk, overlap = 1 << 20, 256
	buf := make([]byte, overlap+chunk)
	var at int64
	for {
		if at, err = f.Seek(at, unix.SEEK_DATA); err != nil {
			return found // ENXIO: nothing but holes follows
		}
		from := max(0, at-overlap)
		n, err := f.ReadAt(buf, from)
		for _, w := range words {
			if bytes.Contains(buf[:n], w) && !slices.Contains(found, string(w)) {
				found = append(found, string(w))
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("read %s: %v", path, err)
			}
			return found
		}
		at = from + int64(n)
	}
}

// TestCanaries: what patients told is nowhere in the clear but on the unlocked
// volume of their database. Nor is what was typed and shown in a session.
func TestCanaries(t *testing.T) {
	s := newSite(t)
	c := s.client(t, "intake")
	patient, typed, config := "canary "+rand.Text(), "canary-"+rand.Text(), "canary-"+rand.Text()
	began := time.Now().Add(-time.Second)
	for i := range 3 {
		body, err := json.Marshal(map[string]string{"name": "Jane Doe", "dateOfBirth": "1970-01-02", "reason": fmt.Sprintf("%s %d", patient, i)})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Post("https://"+s.host("intake")+"/patients", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode >= http.StatusBadRequest {
			t.Fatalf("a patient's record: %s", resp.Status)
		}
	}
	if all, err := s.get(c, "intake", "/patients"); err != nil || !strings.Contains(all, patient) {
		t.Fatalf("the app does not have what was written: %v", err)
	}
	s.h(t, "developer", "run", "-a", "intake", "--", "echo", typed).ok(typed)
	s.h(t, "developer", "pg:psql", "-a", "intake", "-c", "select name from patients where reason = '"+patient+" 1'").ok("Jane Doe")
	s.h(t, "developer", "config:set", "CANARY="+config, "-a", "intake").ok()
	t.Cleanup(func() { s.h(t, "developer", "config:unset", "CANARY", "-a", "intake").ok() })
	canaries := [][]byte{[]byte(patient), []byte(typed), []byte(config)}

	// Words that must be found, so that the search is known to find: in an
	// image, beside what is encrypted in it; in the ledger; on the volume.
	beside := "beside-" + rand.Text()
	volumes, err := filepath.Glob(filepath.Join(s.data, "engine/volumes/mnt/*"))
	if err != nil || len(volumes) == 0 {
		t.Fatalf("no volume is unlocked: %v", err)
	}
	name := filepath.Join(volumes[0], beside)
	if err := os.WriteFile(name, []byte(strings.Repeat(beside+"\n", 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(name)
	unix.Sync()

	unlocked := search(t, canaries[:1], volumes...)
	if len(unlocked[patient]) == 0 {
		t.Error("the patients' records are not found on the unlocked volume: the search proves nothing")
	}
	everywhere := []string{s.data, s.data + "/server"} // which may be a disk of its own
	if _, err := os.Stat(s.run + "/spool"); err == nil {
		everywhere = append(everywhere, s.run+"/spool", s.run+"/server", s.run+"/edge", s.run+"/routers")
	}
	found := search(t, append(slices.Clone(canaries), []byte(beside), []byte(`"config.set"`), []byte(`"session.open"`)), everywhere...)
	for _, c := range canaries {
		for _, path := range found[string(c)] {
			t.Errorf("%q is in the clear in %s", c, path)
		}
	}
	for word, where := range map[string]string{beside: ".img", `"config.set"`: "ledger.db", `"session.open"`: "ledger.db"} {
		if !slices.ContainsFunc(found[word], func(path string) bool { return strings.Contains(path, where) }) {
			t.Errorf("%s is not found in any %s: the search proves nothing", word, where)
		}
	}
	s.searchPack(t, began, canaries)
}

// searchPack exports the evidence of the time since and looks into every file
// of the pack.
func (s *site) searchPack(t *testing.T, since time.Time, canaries [][]byte) {
	t.Helper()
	var pack string
	eventually(t, time.Minute, "the session being in a pack", func() error {
		pack = filepath.Join(t.TempDir(), "pack.zip")
		s.sr(t, "auditor", "evidence:export", "--space", "clinic", "--from", since.UTC().Format(time.RFC3339Nano), "--to", time.Now().UTC().Format(time.RFC3339Nano), "--out", pack).ok()
		z, err := zip.OpenReader(pack)
		if err != nil {
			return err
		}
		defer z.Close()
		sessions, err := readMember(z, "reports/sessions.csv")
		if err == nil && !bytes.Contains(sessions, []byte("run")) {
			err = fmt.Errorf("reports/sessions.csv:\n%s", sessions)
		}
		return err
	})
	z, err := zip.OpenReader(pack)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	all := 0
	known := map[string]bool{`"config.set"`: false, "CANARY": false, `"session.open"`: false}
	for _, f := range z.File {
		b, err := readMember(z, f.Name)
		if err != nil {
			t.Fatal(err)
		}
		all += len(b)
		for _, c := range canaries {
			if bytes.Contains(b, c) {
				t.Errorf("%q is in %s of the pack", c, f.Name)
			}
		}
		for word := range known {
			known[word] = known[word] || bytes.Contains(b, []byte(word))
		}
	}
	for word, there := range known {
		if !there {
			t.Errorf("%s is in no file of the pack: the search proves nothing", word)
		}
	}
	t.Logf("no canary in %d files of a pack, %d bytes", len(z.File), all)
}

func readMember(z *zip.ReadCloser, name string) ([]byte, error) {
	f, err := z.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// vault is an app that has nothing but a database.
type vault struct {
	*site
	app, addon string
	id, volume string // of the add-on, of its volume with the tables
	engine     driver.Driver
}

const vaultRow = "the row that must come back"

func newVault(t *testing.T) *vault {
	t.Helper()
	tag := strings.ToLower(rand.Text()[:5])
	v := &vault{site: newSite(t), app: "vault-" + tag, addon: "vaultdb-" + tag}
	v.engine = v.site.engine(t)
	v.h(t, "developer", "apps:create", v.app, "--space", "other", "--team", "care", "--no-remote").ok()
	t.Cleanup(func() {
		v.h(t, "operator", "addons:destroy", v.addon, "-a", v.app, "--confirm", v.app)
		v.h(t, "operator", "apps:destroy", "-a", v.app, "--confirm", v.app).ok()
	})
	v.h(t, "operator", "addons:create", "heroku-postgresql", "-a", v.app, "--name", v.addon).ok()
	v.h(t, "developer", "addons:wait", v.addon, "-a", v.app).ok()
	var list []struct{ ID string }
	if err := json.Unmarshal([]byte(v.h(t, "developer", "addons", "-a", v.app, "--json").ok().out), &list); err != nil || len(list) != 1 {
		t.Fatalf("%v, %d add-ons", err, len(list))
	}
	v.id = list[0].ID
	v.volume = v.formation(t).Process.Mounts[0].Volume
	v.h(t, "developer", "pg:psql", "-a", v.app, "-c", "create table kept as select '"+vaultRow+"'::text as line").ok("SELECT 1")
	return v
}

// read wants the row.
func (v *vault) read(t *testing.T) error {
	t.Helper()
	if r := v.h(t, "developer", "pg:psql", "-a", v.app, "-c", "select line from kept"); r.code != 0 || !strings.Contains(r.out, vaultRow) {
		return fmt.Errorf("%s: %s", r.line, r.said)
	}
	return nil
}

func (v *vault) image() string {
	return filepath.Join(v.data, "engine/volumes/volumes", v.volume+".img")
}

// dataDir is where the database's files are while the volume is unlocked.
func (v *vault) dataDir() string {
	return filepath.Join(v.data, "engine/volumes/mnt", v.volume, "data")
}

// formation is what the engine runs as the database.
func (v *vault) formation(t *testing.T) (f driver.Formation) {
	t.Helper()
	for _, f := range v.formations(t) {
		if f.ID == v.id {
			return f
		}
	}
	t.Fatal("the engine does not run the database")
	return f
}

// TestKeyRemoved takes the key of a database's volume out of the kernel: nothing
// can be read and PostgreSQL does not start, with an error that says why. With
// the key back, which the server has, all is there.
func TestKeyRemoved(t *testing.T) {
	v := newVault(t)
	f := v.formation(t)
	server, err := v.pid("server")
	if err != nil {
		t.Fatal(err)
	}
	// Else the server would have the database up again at once.
	if err := syscall.Kill(server, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resume := func() { _ = syscall.Kill(server, syscall.SIGCONT) }
	defer resume()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	// While it runs the key cannot be taken away under it.
	if err := v.engine.LockVolume(ctx, v.volume); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "in use") {
		t.Errorf("to lock the volume of a running database: %v", err)
	}
	if err := v.engine.RemoveFormation(ctx, v.id); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "the database being stopped and its volume locked", func() error { return v.engine.LockVolume(ctx, v.volume) })
	for _, o := range v.observe(t, v.engine).Volumes {
		if o.ID == v.volume && o.Unlocked {
			t.Error("the volume is unlocked")
		}
	}
	v.scrambled(t)

	_, err = v.engine.StartTask(ctx, driver.Task{
		ID: uuid.NewString(), Space: f.Space, Name: "postgres.2", Attach: true, Timeout: time.Minute, Labels: driver.Labels{Source: "heroku", Type: "run"}, Process: f.Process,
	})
	if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "is locked") {
		t.Errorf("to start PostgreSQL without the key: %v", err)
	}
	if err := v.engine.ApplyFormation(ctx, f); err != nil {
		t.Logf("the formation: %v", err)
	}
	for range 30 {
		for _, o := range v.observe(t, v.engine).Instances {
			if o.Formation == v.id && o.State == driver.Up {
				t.Fatal("PostgreSQL started without the key")
			}
		}
		time.Sleep(100 * time.Millisecond)
	}

	resume()
	eventually(t, 2*time.Minute, "the database being back", func() error { return v.read(t) })
}

// scrambled mounts the image without the key, as a thief would, and finds
// neither names nor content.
func (v *vault) scrambled(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-o", "loop,ro,noload", v.image(), dir).CombinedOutput(); err != nil {
		t.Fatalf("mount the image: %v %s", err, out)
	}
	defer func() {
		if out, err := exec.Command("umount", "--detach-loop", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	}()
	files, refused := 0, 0
	err := filepath.WalkDir(filepath.Join(dir, "data"), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		for _, name := range []string{"postgres", "pgdata", "PG_VERSION", "global", "base", "pg_wal", "postgresql.conf"} {
			if e.Name() == name {
				t.Errorf("%s can be read without the key", path)
			}
		}
		if !e.Type().IsRegular() {
			return nil
		}
		files++
		f, err := os.Open(path)
		if err == nil {
			f.Close()
			t.Errorf("%s can be opened without the key", path)
		}
		if errors.Is(err, unix.ENOKEY) {
			refused++
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if files < 100 || refused != files {
		t.Errorf("of %d files on the volume %d are refused for want of the key", files, refused)
	}
}

// TestDisposal holds a file of a database open: its destruction is refused and
// says why, and goes through when the file is closed.
func TestDisposal(t *testing.T) {
	v := newVault(t)
	held, err := os.Open(filepath.Join(v.dataDir(), "postgres/pgdata/base/1/PG_VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := v.engine.DestroyVolume(ctx, v.volume); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "in use") {
		t.Errorf("to destroy the volume of a running database: %v", err)
	}
	if err := v.read(t); err != nil {
		t.Errorf("after the refusal: %v", err)
	}

	v.h(t, "operator", "addons:destroy", v.addon, "-a", v.app, "--confirm", v.app).ok("destroyed in the background")
	eventually(t, 30*time.Second, "the refusal being on record", func() error {
		list := v.disposals(t)
		if len(list) == 0 {
			return errors.New("nothing is recorded")
		}
		if list[0].Outcome != ledger.Failed || !strings.Contains(list[0].Error, v.volume+" is in use") {
			return fmt.Errorf("recorded as %+v", list[0])
		}
		return nil
	})
	if _, err := os.Stat(v.image()); err != nil {
		t.Errorf("the image after the refusal: %v", err)
	}
	if b := make([]byte, 2); !readsAt(held, b) || string(b) != "17" {
		t.Errorf("the file that is held open reads %q", b)
	}
	v.h(t, "developer", "addons:info", v.addon, "-a", v.app).ok("destroying")

	held.Close()
	eventually(t, 30*time.Second, "the disposal", func() error {
		list := v.disposals(t)
		if last := list[len(list)-1]; last.Outcome != ledger.OK || detail(last, "key_removed") != "true" || !strings.Contains(detail(last, "read_tried"), "required key not available") {
			return fmt.Errorf("recorded as %+v", last)
		}
		return nil
	})
	if _, err := os.Stat(v.image()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the image after the disposal: %v", err)
	}
	v.h(t, "developer", "addons:info", v.addon, "-a", v.app).fails("find")
	if n := len(v.disposals(t)); n != 2 {
		t.Errorf("%d entries tell of the disposal, want the refusal and the end", n)
	}
}

func readsAt(f *os.File, b []byte) bool {
	n, err := f.ReadAt(b, 0)
	return n == len(b) && err == nil
}

// disposals are the entries about the disposal of the vault's database.
func (v *vault) disposals(t *testing.T) (list []ledger.Body) {
	t.Helper()
	var entries []struct{ Body ledger.Body }
	v.fetch(t, "auditor", "/strongroom/ledger/entries?scope=other&action=addon.dispose&target="+v.id, &entries)
	for _, e := range entries {
		list = append(list, e.Body)
	}
	return list
}

func detail(b ledger.Body, name string) string {
	for _, d := range b.Details {
		if d.Name == name {
			return d.Value
		}
	}
	return ""
}
