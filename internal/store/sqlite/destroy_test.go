package sqlite

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// files finds the bytes in the files of the database's directory.
func (s *Store) files(t *testing.T, what []byte) (in []string) {
	t.Helper()
	list, err := filepath.Glob(filepath.Dir(s.path) + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range list {
		content, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if bytes.Contains(content, what) {
			in = append(in, filepath.Base(path))
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
		crand.Read(wrapped)
		crand.Read(kept)
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

// TestErasedBodiesAreInNoFile erases bodies of many sizes in any order, such as
// share pages and such as fill many, and looks for every one of them, its salt
// and what stood in it. SQLite moves rows between pages when others shrink; what
// it leaves behind must be gone too.
func TestErasedBodiesAreInNoFile(t *testing.T) {
	s, random := create(t), rand.New(rand.NewPCG(1, 2))
	const n = 300
	for from := 0; from < n; from += 50 {
		if err := s.Write(func(b store.Batch) error {
			for i := from; i < from+50; i++ {
				size := []int{40, 300, 1500, 9000, 40000}[random.IntN(5)]
				body := ledger.Body{
					Action: "test.put", Outcome: ledger.OK, Via: ledger.ViaAPI, Actor: ledger.Actor{Kind: ledger.SystemActor},
					Reason: fmt.Sprintf("patient-%04d ", i) + strings.Repeat(fmt.Sprintf("<%04d>", i), size/6),
				}
				if _, err := b.Append(epoch, store.Draft{Body: body}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(walInterval / 5)
	}
	var salts [n][]byte
	for i := range salts {
		rec, err := s.Entry(t.Context(), int64(i))
		if err != nil {
			t.Fatal(err)
		}
		salts[i] = rec.Salt[:]
	}
	order := random.Perm(n)
	for list := range slices.Chunk(order[:n*9/10], 27) {
		erase(t, s, list...)
		time.Sleep(walInterval / 5)
	}
	content := s.settled(t)
	for i, seq := range order {
		gone := i < n*9/10
		for what, text := range map[string][]byte{
			"beginning": fmt.Appendf(nil, "patient-%04d", seq), "rest": fmt.Appendf(nil, "<%04d><%04d>", seq, seq), "salt": salts[seq],
		} {
			if bytes.Contains(content, text) == gone {
				t.Errorf("erased=%v and in the files=%v: the %s of the body of entry %d", gone, gone, what, seq)
			}
		}
	}
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// erase appends an entry that erases bodies.
func erase(t *testing.T, s *Store, seqs ...int) {
	t.Helper()
	if err := tryErase(s, seqs...); err != nil {
		t.Fatal(err)
	}
}

func tryErase(s *Store, seqs ...int) error {
	d := store.Draft{Body: erasing(ledger.OK, seqs...)}
	first, err := s.Entry(context.Background(), int64(seqs[0]))
	if err != nil {
		return err
	}
	if first.Header.Scope != nil {
		d.Scope = *first.Header.Scope
	}
	return s.Write(func(b store.Batch) error { _, err := b.Append(b.LastTime(), d); return err })
}

func erasing(outcome ledger.Outcome, seqs ...int) ledger.Body {
	body := ledger.Body{Action: "body.erase", Outcome: outcome, Via: ledger.ViaAPI, Actor: ledger.Actor{Kind: ledger.SystemActor}}
	for _, seq := range seqs {
		body.Erased = append(body.Erased, ledger.Erased{Seq: int64(seq), Action: "test.put", Outcome: ledger.OK, Rule: "test"})
	}
	return body
}

// settled gives the bytes of all files of the database, once its log was emptied.
func (s *Store) settled(t *testing.T) (content []byte) {
	t.Helper()
	for range 100 {
		if info, err := os.Stat(s.path + "-wal"); err == nil && info.Size() == 0 && !s.shred.Load() {
			break
		}
		time.Sleep(walInterval / 5)
	}
	for _, name := range s.files(t, nil) {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(s.path), name))
		if err != nil {
			t.Fatal(err)
		}
		content = append(content, b...)
	}
	return content
}
