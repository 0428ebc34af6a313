// Package witnesstest has a real witness, over HTTP, for the tests of those who
// ask one.
package witnesstest

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/strongroom/strongroom/internal/witness"
)

// Machine is the machine that the witness runs on.
type Machine struct {
	T    testing.TB
	Dir  witness.Directory
	URL  string
	Key  string      // the witness's verifier key
	Away atomic.Bool // connections end without an answer
}

// New starts a witness of that name, which runs until the test ends and knows
// the logs of these verifier keys.
func New(t testing.TB, name string, logs ...string) *Machine {
	t.Helper()
	m := &Machine{T: t, Dir: witness.Directory(filepath.Join(t.TempDir(), "witness"))}
	var err error
	if m.Key, err = witness.Init(m.Dir, name); err != nil {
		t.Fatal(err)
	}
	for _, key := range logs {
		m.Trust(key)
	}
	w, err := witness.Open(m.Dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if m.Away.Load() {
			panic(http.ErrAbortHandler)
		}
		w.ServeHTTP(rw, r)
	}))
	m.URL = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// Trust has the witness know a log.
func (m *Machine) Trust(key string) {
	m.T.Helper()
	if _, err := m.Dir.Trust(key, ""); err != nil {
		m.T.Fatal(err)
	}
}

// Forget has the witness know no log any more. What it cosigned it remembers.
func (m *Machine) Forget() {
	m.T.Helper()
	if err := os.Remove(filepath.Join(string(m.Dir), "logs.json")); err != nil {
		m.T.Fatal(err)
	}
}

// Cosigned are the sizes of the checkpoints of a log that it cosigned.
func (m *Machine) Cosigned(origin string) (sizes []int64) {
	m.T.Helper()
	for c, err := range m.Dir.History(origin) {
		if err != nil {
			m.T.Fatal(err)
		}
		sizes = append(sizes, c.N)
	}
	return sizes
}
