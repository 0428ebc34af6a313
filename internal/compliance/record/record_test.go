package record_test

import (
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/compliance/record"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/outside"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/timestamp/timestamptest"
	"github.com/strongroom/strongroom/internal/witness/witnesstest"
)

// lab is a world whose head is signed when the test says so.
type lab struct {
	*commandtest.World
	means  record.Means
	anchor string
	kept   []byte // the body that was taken away

	witness *witnesstest.Machine
	stamps  *timestamptest.Authority
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{World: commandtest.New(t, commandtest.Noon), anchor: filepath.Join(t.TempDir(), "anchor")}
	signed, _ := l.Checkpoints(filepath.Join(l.anchor, "checkpoint"))
	l.witness = witnesstest.New(t, "witness.example.org", l.LogKey)
	l.stamps = timestamptest.New(t)
	observers, err := outside.New(outside.Config{
		Store: l.Store, Checkpoints: signed, Kernel: l.Kernel, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Now: l.Now,
		Witnesses:  []outside.Witness{{URL: l.witness.URL, Key: l.witness.Key}},
		Timestamps: outside.Timestamps{URL: l.stamps.URL, CAFile: l.stamps.CA},
	})
	if err != nil {
		t.Fatal(err)
	}
	l.means = record.Means{Store: l.Store, Checkpoints: signed, Outside: observers, Now: l.Now}
	if err := os.Mkdir(l.anchor, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.sign(); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) sign() error {
	_, _, err := l.means.Checkpoints.Sign(l.T.Context())
	return err
}

// ask shows the newest checkpoint to those outside.
func (l *lab) ask() {
	newest, signed := l.means.Checkpoints.Newest()
	l.means.Outside.Cosign(l.T.Context(), newest, signed, time.Time{})
	l.means.Outside.Stamp(l.T.Context(), newest, time.Time{})
}

// behind is somebody who writes to the database behind the platform's back.
func (l *lab) behind(statement string, args ...any) {
	l.T.Helper()
	db, err := sql.Open("sqlite", filepath.Join(l.Dir, "ledger.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		l.T.Fatal(err)
	}
	defer db.Close()
	if l.kept == nil {
		if err := db.QueryRow(`SELECT body FROM entries WHERE seq = 7`).Scan(&l.kept); err != nil {
			l.T.Fatal(err)
		}
	}
	if r, err := db.Exec(statement, args...); err != nil {
		l.T.Fatal(err)
	} else if n, err := r.RowsAffected(); n != 1 || err != nil {
		l.T.Fatalf("%s: %d rows, %v", statement, n, err)
	}
}

func (l *lab) restore() { l.behind(`UPDATE entries SET body = ? WHERE seq = 7`, l.kept) }

// guess is somebody who tries passwords.
func (l *lab) guess(email string) {
	l.T.Helper()
	by := control.By{Actor: ledger.Actor{Kind: ledger.AnonymousActor, IP: "192.0.2.7"}, Via: ledger.ViaAPI}
	for range 10 {
		if _, err := l.Kernel.Execute(l.T.Context(), &people.Login{Email: email, Password: secret.NewValue([]byte("guess"))}, by); fault.Of(err) != fault.Unauthenticated {
			l.T.Fatal(err)
		}
		l.Pass(80 * time.Second) // what fails within a minute is one entry with a count
	}
}

// mutations break what a check watches and mend it again.
var mutations = []struct {
	check  string
	tells  string
	breaks func(l *lab)
	mends  func(l *lab)
}{
	{
		check: "state.checkpoint-fresh", tells: " has none",
		breaks: func(l *lab) {
			// The anchor's disk is gone, and something happens.
			if err := os.Rename(l.anchor, l.anchor+".away"); err != nil {
				l.T.Fatal(err)
			}
			l.Do(&apps.Update{Identity: "clinic", Maintenance: new(true)}, l.As("owner"))
			if l.sign() == nil {
				l.T.Error("signed without an anchor")
			}
			l.Pass(time.Minute)
		},
		mends: func(l *lab) {
			if err := os.Rename(l.anchor+".away", l.anchor); err != nil {
				l.T.Fatal(err)
			}
			if err := l.sign(); err != nil {
				l.T.Fatal(err)
			}
		},
	},
	{
		check: "record.witnessed", tells: "does not answer.\nIt cosigned ",
		breaks: func(l *lab) {
			l.witness.Away.Store(true)
			l.ask()
			l.Pass(15 * time.Minute)
			l.expect("record.witnessed", document.StatusPass, "") // it may be slow
			l.Pass(time.Second)
		},
		mends: func(l *lab) {
			l.witness.Away.Store(false)
			l.ask()
		},
	},
	{
		check: "record.witnessed", tells: "It refuses: it answers with status 404: this witness does not know that log.",
		breaks: func(l *lab) { l.witness.Forget(); l.ask() },
		mends:  func(l *lab) { l.witness.Trust(l.LogKey); l.ask() },
	},
	{
		check: "record.timestamped", tells: "does not answer.\nTest TSA stamped ",
		breaks: func(l *lab) {
			// The authority's clock is the wall's.
			l.Set(time.Now().Add(119 * time.Minute))
			l.stamps.Away.Store(true)
			l.ask()
			l.expect("record.timestamped", document.StatusPass, "") // it has time
			l.Pass(2 * time.Minute)
		},
		mends: func(l *lab) {
			l.stamps.Away.Store(false)
			l.Set(time.Now())
			l.ask()
		},
	},
	{
		check: "state.ledger-whole", tells: "the ledger is damaged at entry 7",
		breaks: func(l *lab) {
			l.behind(`UPDATE entries SET body = replace(body, 'ok', 'no') WHERE seq = 7`)
		},
		mends: (*lab).restore,
	},
	{
		check: "state.ledger-whole", tells: "the ledger is damaged",
		breaks: func(l *lab) {
			l.behind(`UPDATE documents SET rev = rev + 1 WHERE kind = 'app' AND id = ?`, l.IDs["app:clinic"])
		},
		mends: func(l *lab) {
			l.behind(`UPDATE documents SET rev = rev - 1 WHERE kind = 'app' AND id = ?`, l.IDs["app:clinic"])
		},
	},
	{
		check: "state.failed-logins", tells: "10 or more log-ins to the account dev@example.org were refused within 15 minutes.",
		breaks: func(l *lab) { l.guess("dev@example.org") },
		mends:  func(l *lab) { l.Pass(time.Hour) },
	},
	{
		check: "state.failed-logins", tells: "10 or more log-ins from the address 192.0.2.7 were refused within 15 minutes.",
		breaks: func(l *lab) { l.guess("nobody@example.org") },
		mends:  func(l *lab) { l.Pass(time.Hour) },
	},
	{
		check: "state.retention", tells: "Entry 7 has no body, which must be kept until 2032-03-02T12:00:00Z",
		breaks: func(l *lab) { l.behind(`UPDATE entries SET body = NULL WHERE seq = 7`) },
		mends:  (*lab).restore,
	},
	{
		check: "state.retention", tells: "Entry 7 has no body",
		breaks: func(l *lab) { l.behind(`UPDATE entries SET body = NULL WHERE seq = 7`) },
		mends: func(l *lab) { // it need not be kept any longer
			l.Set(commandtest.Noon.AddDate(6, 0, 1))
			l.T.Cleanup(l.restore)
		},
	},
}

// TestMutations: every check sees what it watches break, and sees it mended.
func TestMutations(t *testing.T) {
	tested := map[string]bool{}
	for _, m := range mutations {
		tested[m.check] = true
		t.Run(m.check, func(t *testing.T) {
			l := newLab(t)
			l.expect(m.check, document.StatusPass, "")
			m.breaks(l)
			l.expect(m.check, document.StatusFail, m.tells)
			m.mends(l)
			l.expect(m.check, document.StatusPass, "")
		})
	}
	for _, c := range record.All(record.Means{}) {
		if !tested[c.ID] {
			t.Errorf("nothing breaks what %s watches", c.ID)
		}
	}
}

func (l *lab) expect(check, status, tells string) {
	l.T.Helper()
	for _, c := range record.All(l.means) {
		if c.ID != check {
			continue
		}
		got, err := c.Try(l.T.Context())
		if err != nil || len(got) != 1 || got[0].Status != status || !strings.Contains(strings.Join(got[0].Facts, "\n"), tells) {
			l.T.Errorf("%+v, %v; want %s that tells %q", got, err, status, tells)
		}
		return
	}
	l.T.Errorf("there is no check %s", check)
}

// TestNoWitness: that nobody sees the ledger is no reason to look green.
func TestNoWitness(t *testing.T) {
	l := newLab(t)
	var err error
	if l.means.Outside, err = outside.New(outside.Config{}); err != nil {
		t.Fatal(err)
	}
	l.expect("record.witnessed", document.StatusFail, "neither a witness nor")
	l.expect("record.timestamped", document.StatusNotApplicable, "name no time-stamp authority")
	if l.means.Outside, err = outside.New(outside.Config{
		Checkpoints: l.means.Checkpoints, Timestamps: outside.Timestamps{URL: l.stamps.URL, CAFile: l.stamps.CA},
		Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Now: l.Now,
	}); err != nil {
		t.Fatal(err)
	}
	l.expect("record.witnessed", document.StatusNotApplicable, "but a time-stamp authority")
	l.expect("record.timestamped", document.StatusPass, "Test TSA stamped")
}

// TestSeconds: what just happened may wait for its checkpoint.

func TestSeconds(t *testing.T) {
	l := newLab(t)
	l.Do(&apps.Update{Identity: "clinic", Maintenance: new(true)}, l.As("owner"))
	l.Pass(5 * time.Second)
	l.expect("state.checkpoint-fresh", document.StatusPass, "seconds old")
}
