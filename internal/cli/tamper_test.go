package cli

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/tests/forge/thief"
)

// The ledger of a real server is changed behind its back, in five ways, by
// somebody with root on its host. Those who only edit the database are found out
// by the server's own keys. Whoever makes the whole tree anew and signs it with
// the stolen key is found out by one honest witness, and by nothing else: the
// tests want that, too, or they would not show what a witness is for.

// victim is the entry that somebody wants to be different, and neighbour the one
// that it changes places with.
const victim, neighbour = "team-victim", "team-nearby"

// crime is a scene: a ledger that a witness has seen, on the disk of a server
// that does not run.
type crime struct {
	*site
	witness   *machine
	db        string
	whole     []byte         // the database
	anchor    string         // the checkpoint outside of it
	rows      []store.Record // all entries
	at, other int            // of victim and neighbour
	kept      string         // file of what the witness cosigned last
	from      string
}

func newCrime(t *testing.T) *crime {
	t.Helper()
	c := &crime{from: rfc3339(time.Now().Add(-time.Hour)), witness: newMachine(t, "witness.example.org")}
	c.site = newSite(t, nil)
	c.space("care", "clinic")
	for _, team := range []string{"earlier", victim, neighbour, "later"} {
		c.ok("teams:create", team)
	}
	c.ok("witness:trust", c.key, "--dir", c.witness.dir)
	c.witness.run()
	t.Cleanup(func() { c.witness.stop() })
	c.stop()
	c.configure(map[string]any{"witnesses": []map[string]string{{"url": c.witness.url, "key": c.witness.key}}})
	c.restart()

	// While all is well: the witness cosigns, and what is exported shows it.
	pack := c.export("whole.zip")
	if out := c.ok("evidence:verify", pack, "--key", c.key, "--witness", c.witness.key); !strings.Contains(out, "witnessed by witness.example.org at ") {
		t.Fatalf("the pack of the ledger as it was:\n%s", out)
	}
	if found := c.finding("record.witnessed"); found != "" {
		t.Fatalf("while all is well: %s", found)
	}
	c.copied()
	c.stop()
	lines := strings.Split(strings.TrimSpace(c.ok("witness:history", "--dir", c.witness.dir, "--json")), "\n")
	var last cosigned
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	c.kept = c.file("kept", last.Note)
	c.db = filepath.Join(c.data, "server", "ledger.db")
	c.anchor = read(t, c.anchorPath())
	c.readRows()
	c.whole = []byte(read(t, c.db))
	c.ok("ledger:verify", "--data", c.data, "--checkpoint", c.kept)
	return c
}

// copied: a copy that is made while the server runs is whole.
func (c *crime) copied() {
	c.t.Helper()
	to := filepath.Join(c.t.TempDir(), "copy")
	if err := thief.Copy(c.t.Context(), c.data, to); err != nil {
		c.t.Fatal(err)
	}
	c.ok("ledger:verify", "--data", to)
}

func (c *crime) anchorPath() string { return filepath.Join(c.data, "anchor", "checkpoint") }

// configure adds settings of the server.
func (c *crime) configure(more map[string]any) {
	c.t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(read(c.t, c.config)), &all); err != nil {
		c.t.Fatal(err)
	}
	for k, v := range more {
		all["server"].(map[string]any)[k] = v
	}
	b, err := json.Marshal(all)
	if err != nil {
		c.t.Fatal(err)
	}
	replace(c.t, c.config, string(b))
}

func (c *crime) restart() {
	c.t.Helper()
	if got := c.serve(); got.code != 0 {
		c.t.Fatalf("the server ended: %+v", got)
	}
}

func (c *crime) export(name string) string {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), name)
	c.ok("evidence:export", "--space", "clinic", "--from", c.from, "--out", path)
	return path
}

// finding gives the facts of a check's open finding, "" if there is none.
func (c *crime) finding(check string) string {
	c.t.Helper()
	var list []struct {
		Check string
		Facts []string
	}
	if err := json.Unmarshal([]byte(c.ok("findings", "--json")), &list); err != nil {
		c.t.Fatal(err)
	}
	for _, f := range list {
		if f.Check == check {
			return strings.Join(f.Facts, " ")
		}
	}
	return ""
}

// readRows reads all entries.
func (c *crime) readRows() {
	c.t.Helper()
	var err error
	if c.rows, err = thief.Rows(c.t.Context(), c.data); err != nil {
		c.t.Fatal(err)
	}
	find := func(name string) int {
		return slices.IndexFunc(c.rows, func(r store.Record) bool {
			return bytes.Contains(r.Body, []byte(`"team.create"`)) && bytes.Contains(r.Body, []byte(name))
		})
	}
	if c.at, c.other = find(victim), find(neighbour); c.at < 0 || c.other <= c.at {
		c.t.Fatalf("entries %d and %d", c.at, c.other)
	}
}

// restore puts the ledger back as it was.
func (c *crime) restore() {
	c.t.Helper()
	for _, beside := range []string{"-wal", "-shm"} {
		if err := os.Remove(c.db + beside); err != nil && !os.IsNotExist(err) {
			c.t.Fatal(err)
		}
	}
	replace(c.t, c.db, string(c.whole))
	replace(c.t, c.anchorPath(), c.anchor)
}

// ways are what can be done to a ledger: with an editor of databases, and by
// making it anew.
var ways = []struct {
	name    string
	says    string // of the first: what the verification answers
	edit    func(c *crime) []string
	rewrite func(c *crime, rows []store.Record) []store.Record
}{
	{
		"deleted", "at entry SEQ: it is missing",
		func(c *crime) []string { return []string{thief.Delete(int64(c.at))} },
		func(c *crime, rows []store.Record) []store.Record { return slices.Delete(rows, c.at, c.at+1) },
	},
	{
		"altered", "at entry SEQ: its body or salt was altered",
		func(c *crime) []string {
			return []string{fmt.Sprintf(`UPDATE entries SET body = CAST(replace(body, '%s', 'team-forgery') AS BLOB) WHERE seq = %d`, victim, c.at)}
		},
		func(c *crime, rows []store.Record) []store.Record {
			rows[c.at].Body = bytes.ReplaceAll(rows[c.at].Body, []byte(victim), []byte("team-forgery"))
			return rows
		},
	},
	{
		"reordered", "at entry SEQ: ",
		func(c *crime) []string {
			return []string{
				fmt.Sprintf(`UPDATE entries SET seq = -1 WHERE seq = %d`, c.at),
				fmt.Sprintf(`UPDATE entries SET seq = %d WHERE seq = %d`, c.at, c.other),
				fmt.Sprintf(`UPDATE entries SET seq = %d WHERE seq = -1`, c.other),
			}
		},
		func(c *crime, rows []store.Record) []store.Record {
			a, b := &rows[c.at], &rows[c.other]
			a.Body, b.Body, a.Header.Scope, b.Header.Scope = b.Body, a.Body, b.Header.Scope, a.Header.Scope
			return rows
		},
	},
	{
		"inserted", "has revision 1 after 1",
		func(c *crime) []string {
			return []string{
				fmt.Sprintf(`CREATE TEMP TABLE copy AS SELECT * FROM entries WHERE seq = %d`, c.at),
				fmt.Sprintf(`UPDATE entries SET seq = -seq WHERE seq > %d`, c.at),
				fmt.Sprintf(`UPDATE entries SET seq = 1 - seq WHERE seq < -%d`, c.at),
				fmt.Sprintf(`UPDATE copy SET seq = %d`, c.at+1),
				`INSERT INTO entries SELECT * FROM copy`,
			}
		},
		func(c *crime, rows []store.Record) []store.Record {
			return slices.Insert(rows, c.at+1, c.invented(rows[c.at]))
		},
	},
	{
		"rolled back", "damaged",
		func(c *crime) []string { return []string{fmt.Sprintf(`DELETE FROM entries WHERE seq >= %d`, c.at)} },
		func(c *crime, rows []store.Record) []store.Record { return rows[:c.at] },
	},
}

// invented is an entry that never was: an act by whoever did the one before.
func (c *crime) invented(like store.Record) store.Record {
	c.t.Helper()
	body, err := ledger.ParseBody(like.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	body.Action, body.Changes = "config.read", nil
	if like.Body, err = body.Canonical(); err != nil {
		c.t.Fatal(err)
	}
	rand.Read(like.Salt[:])
	return like
}

func TestTamper(t *testing.T) {
	c := newCrime(t)
	for _, w := range ways {
		t.Run(w.name+" by hand", func(t *testing.T) {
			c.within(t)
			c.restore()
			c.edited(w.edit(c), w.says)
		})
		t.Run(w.name+" and signed anew", func(t *testing.T) {
			c.within(t)
			c.restore()
			c.remade(w.rewrite(c, slices.Clone(c.rows)))
		})
	}
	if c.cosignedSince() {
		t.Error("the witness cosigned a forgery")
	}
}

// within has a part of the test fail and clean up for itself.
func (c *crime) within(t *testing.T) {
	whole := c.t
	c.t = t
	t.Cleanup(func() { c.t = whole })
}

// edited: the database was edited and nothing else. The server does not serve
// it, and ledger:verify names what is wrong.
func (c *crime) edited(statements []string, says string) {
	c.t.Helper()
	if err := thief.Edit(c.t.Context(), c.data, statements...); err != nil {
		c.t.Fatal(err)
	}
	says = strings.ReplaceAll(says, "SEQ", fmt.Sprint(c.at))
	c.fails(1, says, "ledger:verify", "--data", c.data)
	if got := c.serve(); got.code == 0 || !strings.Contains(got.err, says) {
		c.stop()
		c.t.Errorf("the server serves it: %+v", got)
	}
}

// remade: the tree is made anew, the database holds together, and the anchor has
// a checkpoint of the log's own key. On this host nothing shows it.
func (c *crime) remade(rows []store.Record) {
	c.t.Helper()
	if err := thief.Remake(c.t.Context(), c.data, rows); err != nil {
		c.t.Fatal(err)
	}
	c.ok("ledger:verify", "--data", c.data)
	c.fails(1, "the given checkpoint was signed over", "ledger:verify", "--data", c.data, "--checkpoint", c.kept)

	c.restart()
	defer c.stop()
	pack := c.export("forged.zip")
	c.ok("evidence:verify", pack, "--key", c.key)
	c.fails(1, "not witnessed by witness.example.org", "evidence:verify", pack, "--key", c.key, "--witness", c.witness.key)

	var found string
	for deadline := time.Now().Add(20 * time.Second); found == "" && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		found = c.finding("record.witnessed")
	}
	if !strings.Contains(found, "was rewritten") && !strings.Contains(found, "entries were lost or taken away") {
		c.t.Errorf("the finding: %q", found)
	}
}

// cosignedSince tells whether the witness cosigned anything but what it kept.
func (c *crime) cosignedSince() bool {
	c.t.Helper()
	lines := strings.Split(strings.TrimSpace(c.ok("witness:history", "--dir", c.witness.dir, "--json")), "\n")
	var last cosigned
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		c.t.Fatal(err)
	}
	return last.Note != read(c.t, c.kept)
}
