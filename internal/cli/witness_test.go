package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/witness"
	"github.com/strongroom/strongroom/tests/port"
)

// machine is the other machine, on which a witness runs.
type machine struct {
	t        *testing.T
	dir, url string
	key      string // verifier key
	stop     func() said
}

func newMachine(t *testing.T, name string) *machine {
	t.Helper()
	m := &machine{t: t, dir: filepath.Join(t.TempDir(), name)}
	got := strongroom(t.Context(), "", "witness:init", "--dir", m.dir, "--name", name)
	if got.code != 0 {
		t.Fatalf("witness:init: %+v", got)
	}
	m.key = strings.TrimSpace(got.out)
	return m
}

// run has the witness answer until it is stopped.
func (m *machine) run(more ...string) {
	m.t.Helper()
	at := port.Address(m.t)
	m.url = "http://" + at
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan said, 1)
	go func() {
		done <- strongroom(ctx, "", append([]string{"witness", "--dir", m.dir, "--listen", at}, more...)...)
	}()
	m.stop = func() said { cancel(); return <-done }
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if resp, err := http.Get(m.url); err == nil {
			resp.Body.Close()
			return
		} else if time.Now().After(deadline) {
			m.t.Fatalf("the witness does not answer: %v", err)
		}
	}
}

// TestWitness makes a witness, has it know a log, and asks it as a log does.
func TestWitness(t *testing.T) {
	s := newSite(t, nil)
	m := newMachine(t, "witness.example.org")
	if out := s.ok("witness:trust", s.key, "--dir", m.dir); !strings.Contains(out, "knows strongroom/") {
		t.Errorf("witness:trust: %s", out)
	}
	if out := s.ok("witness:history", "--dir", m.dir); out != "" {
		t.Errorf("before anything was cosigned: %s", out)
	}
	m.run()
	key, err := ledger.NewWitness(m.key)
	if err != nil {
		t.Fatal(err)
	}
	c := &witness.Client{URL: m.url, Key: key, HTTP: http.DefaultClient}
	checkpoint := []byte(s.ok("ledger:checkpoint"))
	if _, err := c.Add(t.Context(), &witness.Request{Note: checkpoint}); err != nil {
		t.Fatal(err)
	}
	size := strings.Split(string(checkpoint), "\n")[1]
	if out := s.ok("witness:history", "--dir", m.dir); !strings.Contains(out, " "+size+" entries") || strings.Count(out, "\n") != 1 {
		t.Errorf("the history: %s", out)
	}
	var got cosigned
	if err := json.Unmarshal([]byte(s.ok("witness:history", "--dir", m.dir, "--json")), &got); err != nil || time.Since(got.At) > time.Minute {
		t.Errorf("as JSON: %+v, %v", got, err)
	}
	// What the witness kept is a checkpoint like another.
	s.ok("ledger:verify", "--data", s.data, "--checkpoint", s.file("kept", got.Note))
	s.fails(1, "Another witness runs", "witness", "--dir", m.dir, "--listen", port.Address(t))
	if end := m.stop(); end.code != 0 {
		t.Errorf("the witness ended: %+v", end)
	}
	s.fails(1, "There is a witness", "witness:init", "--dir", m.dir, "--name", "again")
	s.fails(1, "witness:init", "witness", "--dir", t.TempDir())
	s.fails(1, "witness:init", "witness:history", "--dir", t.TempDir())
	s.fails(1, "not a log's verifier key", "witness:trust", s.file("bad", "x+y+z"), "--dir", m.dir)
}
