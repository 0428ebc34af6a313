package sqlite

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

func newSigner(t *testing.T, anchor string) func() *ledger.Signer {
	t.Helper()
	origin := ledger.Origin("5f0c2c1e-8a54-4d55-9f6f-3d0a4c1d7b11", 1)
	skey, vkey, err := ledger.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return func() *ledger.Signer {
		s, err := ledger.NewSigner(ledger.SignerConfig{
			Origin: origin, Anchor: ledger.NewFileAnchor(anchor), Signers: []note.Signer{signer}, Keys: []note.Verifier{verifier},
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func TestCreateRefusesAnExistingLedger(t *testing.T) {
	s := create(t)
	if _, err := Create(t.Context(), s.path, quiet); fault.Of(err) != fault.Conflict {
		t.Errorf("got %v, want a conflict", err)
	}
}

func TestOpenRefusesALaterSchema(t *testing.T) {
	s := create(t)
	alter(t, s, `UPDATE meta SET value = '2' WHERE name = 'schema'`)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), s.path, quiet); err == nil || !strings.Contains(err.Error(), "later one") {
		t.Errorf("got %v, want a refusal that names the remedy", err)
	}
}

func TestVerifyRefusesALaterDocument(t *testing.T) {
	s := create(t)
	later := team(1, "later")
	later.Schema = 99
	if err := s.Write(func(b store.Batch) error { _, err := put(b, epoch, later); return err }); err != nil {
		t.Fatal(err)
	}
	var newer *document.NewerError
	if err := s.Verify(t.Context(), nil); !errors.As(err, &newer) {
		t.Errorf("got %v, want a NewerError", err)
	}
}

// TestStateIsTheFold drives random changes and compares the tables that
// commands read with a model folded from the entries, at the end and at every
// moment before.
func TestStateIsTheFold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, err := Create(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), quiet)
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		var model []map[string]string // by size: id → name
		model = append(model, map[string]string{})
		steps := rapid.IntRange(1, 12).Draw(rt, "batches")
		for range steps {
			n := rapid.IntRange(1, 4).Draw(rt, "entries")
			err := s.Write(func(b store.Batch) error {
				for range n {
					next := map[string]string{}
					for k, v := range model[len(model)-1] {
						next[k] = v
					}
					d := team(rapid.IntRange(0, 5).Draw(rt, "id"), rapid.StringMatching(`[a-c]{1,2}`).Draw(rt, "name"))
					gone := rapid.IntRange(0, 3).Draw(rt, "delete") == 0
					if err := change(b, d, gone); err != nil {
						return err
					}
					if delete(next, d.ID); !gone {
						next[d.ID] = d.Name
					}
					model = append(model, next)
				}
				return nil
			})
			if err != nil {
				rt.Fatal(err)
			}
		}
		check := func(at int, v store.View) error {
			for i := range 6 {
				id := team(i, "").ID
				doc, err := v.Get(document.KindTeam, id)
				if err != nil {
					return err
				}
				want, ok := model[at][id]
				if (doc != nil) != ok || ok && doc.(*document.Team).Name != want {
					return fmt.Errorf("at %d: %s is %v, want %q", at, id, doc, want)
				}
			}
			for _, name := range []string{"a", "bb", "c"} {
				found, err := v.Find(document.KindTeam, "name", name)
				if err != nil {
					return err
				}
				want := 0
				for _, n := range model[at] {
					if n == name {
						want++
					}
				}
				if len(found) != want {
					return fmt.Errorf("at %d: %d teams are named %s, want %d", at, len(found), name, want)
				}
			}
			return nil
		}
		for at := range model {
			if err := s.At(t.Context(), int64(at), func(v store.View) error { return check(at, v) }); err != nil {
				rt.Fatal(err)
			}
		}
		if err := s.Read(t.Context(), func(v store.View) error { return check(len(model)-1, v) }); err != nil {
			rt.Fatal(err)
		}
		if err := s.Verify(t.Context(), nil); err != nil {
			rt.Fatal(err)
		}
	})
}

func change(b store.Batch, d *document.Team, gone bool) error {
	rev, _, err := b.Rev(d.Kind(), d.ID)
	if err != nil {
		return err
	}
	raw, err := document.Encode(d)
	if err != nil {
		return err
	}
	c := ledger.Change{Kind: string(d.Kind()), ID: d.ID, Rev: rev + 1, Doc: raw}
	doc := document.Doc(d)
	if gone {
		c.Doc, doc = nil, nil
	}
	_, err = b.Append(epoch.Add(time.Duration(b.Size())*time.Second), store.Draft{
		Scope: d.ID, Docs: []document.Doc{doc},
		Body: ledger.Body{Action: "test.change", Outcome: ledger.OK, Changes: []ledger.Change{c}, Actor: ledger.Actor{Kind: ledger.SystemActor}},
	})
	return err
}

func TestSizeAtAndEntries(t *testing.T) {
	s := create(t)
	write(t, s, "a", "b", "c")
	write(t, s, "d")
	for at, want := range map[time.Duration]int64{0: 0, time.Second: 1, 1500 * time.Millisecond: 2, 3 * time.Second: 3, time.Hour: 4} {
		if n, err := s.SizeAt(t.Context(), epoch.Add(at)); err != nil || n != want {
			t.Errorf("size at +%s: %d, %v, want %d", at, n, err, want)
		}
	}
	scope := team(0, "").ID
	tests := []struct {
		name string
		q    store.Query
		want []int64
	}{
		{"all", store.Query{}, []int64{0, 1, 2, 3}},
		{"newest first", store.Query{Newest: true, Limit: 2}, []int64{3, 2}},
		{"scope", store.Query{Scopes: []string{scope}}, []int64{0, 3}},
		{"scope and time", store.Query{Scopes: []string{scope}, From: epoch.Add(time.Second)}, []int64{3}},
		{"until", store.Query{To: epoch.Add(2 * time.Second)}, []int64{0, 1}},
		{"unknown word", store.Query{App: "nobody"}, nil},
		{"action", store.Query{Actions: []string{"test.put", "unknown"}, FromSeq: 2}, []int64{2, 3}},
		{"outcome", store.Query{Outcome: ledger.Denied}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list, err := s.Entries(t.Context(), tt.q)
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, r := range list {
				got = append(got, r.Header.Seq)
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestErasure: what a later version replaced can be erased, once and for all;
// what is now cannot. The past tells which of its documents are lost and gives
// the others.
func TestErasure(t *testing.T) {
	s := create(t)
	write(t, s, "a", "b", "c")
	write(t, s, "A", "B")
	if err := tryErase(s, 3); err == nil {
		t.Error("a body that holds a current document was erased")
	}
	for range 2 { // the second time nothing is left to do
		if err := tryErase(s, 0); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := s.Entry(t.Context(), 0); err != nil || r.Body != nil || r.Salt != [ledger.SaltSize]byte{} {
		t.Errorf("the erased body is %q, %x, %v", r.Body, r.Salt, err)
	}
	a, b := team(0, ""), team(1, "")
	lost := []store.Lost{{Kind: document.KindTeam, ID: a.ID, Scope: a.ID, Rev: 1, Seq: 0}}
	if err := s.At(t.Context(), 3, func(v store.View) error {
		var gone *store.Erased
		if _, err := v.Get(document.KindTeam, a.ID); !errors.As(err, &gone) || !slices.Equal(gone.Lost, lost) || fault.Of(err) != fault.Conflict {
			t.Errorf("the erased one: %v", err)
		}
		list, err := v.Find(document.KindTeam, "all", "")
		if !errors.As(err, &gone) || !slices.Equal(gone.Lost, lost) || len(list) != 2 {
			t.Errorf("all: %v, %v", list, err)
		}
		var told []store.Lost
		all, err := store.Find[*document.Team](store.Surviving(v, func(l store.Lost) { told = append(told, l) }), "all", "")
		if err != nil || len(all) != 2 || all[0].ID != b.ID || !slices.Equal(told, lost) {
			t.Errorf("those that survive: %v, %v, %v", all, told, err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	s = reopen(t, s)
	write(t, s, "A2") // what the writer starts from is whole
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	alter(t, s, `UPDATE entries SET salt = NULL, body = NULL WHERE seq = 3`)
	if err := s.Verify(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "entry 3: its body is missing") {
		t.Errorf("a body that was taken away: %v", err)
	}
}

// TestErasureInAnotherScope: only an entry of the same scope says that a body was
// erased, and only one that was not refused.
func TestErasureInAnotherScope(t *testing.T) {
	for name, d := range map[string]store.Draft{
		"another scope": {Scope: "7d3e5a10-2b1c-4a6e-9c55-1f2e3d4c5b6a", Body: erasing(ledger.OK, 0)},
		"denied":        {Body: erasing(ledger.Denied, 0)},
	} {
		s := create(t)
		if err := s.Write(func(b store.Batch) error {
			_, err := b.Append(epoch, store.Draft{Body: ledger.Body{Action: "test.put", Outcome: ledger.OK, Actor: ledger.Actor{Kind: ledger.SystemActor}}})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.Write(func(b store.Batch) error { _, err := b.Append(epoch, d); return err }); err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "entry 0: its body is missing") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReadersSeeWholeBatches writes and reads at the same time.
func TestReadersSeeWholeBatches(t *testing.T) {
	s := create(t)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := s.Read(t.Context(), func(v store.View) error {
					if v.Size()%2 != 0 {
						return fmt.Errorf("a reader saw half a batch: %d entries", v.Size())
					}
					return nil
				}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 50 {
		write(t, s, "a", "b")
	}
	close(stop)
	wg.Wait()
}

// TestKill writes in a child process that is killed at any moment: what it
// said was durable is there, and the ledger is whole.
func TestKill(t *testing.T) {
	if path := os.Getenv("STRONGROOM_TEST_LEDGER"); path != "" {
		s, err := Open(t.Context(), path, quiet)
		if err != nil {
			t.Fatal(err)
		}
		for {
			write(t, s, "a", "b", "c")
			h, err := s.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Println("durable", h.Size)
		}
	}
	s := create(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for round := range 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), "STRONGROOM_TEST_LEDGER="+s.path)
		var out strings.Builder
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(150+round*70) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait() //nolint:errcheck // it was killed
		lines := strings.Split(out.String(), "\n")
		var said int64
		if len(lines) >= 2 {
			fmt.Sscanf(lines[len(lines)-2], "durable %d", &said)
		}
		n, err := Open(t.Context(), s.path, quiet)
		if err != nil {
			t.Fatal(err)
		}
		h, err := n.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if h.Size < said || h.Size%3 != 0 {
			t.Errorf("round %d: %d entries, %d were acknowledged in batches of 3", round, h.Size, said)
		}
		if err := n.Verify(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if round == 4 && h.Size == 0 {
			t.Error("the child never wrote")
		}
	}
}
