package sqlite

import (
	"bytes"
	"crypto/rand"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// beside appends an entry with what lies beside the ledger.
func beside(t *testing.T, s *Store, d store.Draft) {
	t.Helper()
	d.Body = ledger.Body{Action: "test.beside", Outcome: ledger.OK, Via: ledger.ViaAPI, Actor: ledger.Actor{Kind: ledger.SystemActor}}
	if err := s.Write(func(b store.Batch) error { _, err := b.Append(epoch, d); return err }); err != nil {
		t.Fatal(err)
	}
}

// files finds the bytes in the database file and in its log.
func (s *Store) files(t *testing.T, what []byte) (in []string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(s.path + suffix)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if bytes.Contains(content, what) {
			in = append(in, "ledger.db"+suffix)
		}
	}
	return in
}

// TestDestroyedKeyIsInNoFile looks for a destroyed key where a thief of the
// disk would: the file and its write-ahead log.
func TestDestroyedKeyIsInNoFile(t *testing.T) {
	for _, settled := range []bool{false, true} {
		s := create(t)
		scope, wrapped, kept := uuid.NewString(), make([]byte, 60), make([]byte, 60)
		rand.Read(wrapped)
		rand.Read(kept)
		beside(t, s, store.Draft{Keys: []secret.WrappedKey{{ID: uuid.NewString(), Scope: scope, Wrapped: wrapped}}})
		beside(t, s, store.Draft{Keys: []secret.WrappedKey{{ID: uuid.NewString(), Scope: uuid.NewString(), Wrapped: kept}}})
		if settled {
			time.Sleep(2 * walInterval) // the log's pages were copied to the file
		}
		if len(s.files(t, wrapped)) == 0 {
			t.Fatal("the key is nowhere to begin with")
		}
		beside(t, s, store.Draft{DestroyKeys: []string{scope}})
		var in []string
		for range 100 {
			if in = s.files(t, wrapped); len(in) == 0 {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if len(in) > 0 {
			t.Errorf("settled=%v: the destroyed key is still in %v", settled, in)
		}
		if k, err := s.WrappedKey(t.Context(), scope); err != nil || k.Wrapped != nil {
			t.Errorf("%+v, %v", k, err)
		}
		if len(s.files(t, kept)) == 0 {
			t.Error("another scope's key is gone too")
		}
	}
}
