package control

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/ledger"
)

// faultyAnchor refuses to be written while it is broken.
type faultyAnchor struct {
	ledger.Anchor
	mu     sync.Mutex
	broken bool
	swaps  int
}

func (a *faultyAnchor) set(broken bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.broken = broken
}

func (a *faultyAnchor) CompareAndSwap(old, new []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.broken {
		return errors.New("the anchor's disk is gone")
	}
	a.swaps++
	return a.Anchor.CompareAndSwap(old, new)
}

// syncBuffer takes log lines from several goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) count(s string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.buf.String(), s)
}

// signing runs checkpoints for a lab.
type signing struct {
	*Checkpoints
	anchor *faultyAnchor
	key    note.Verifier
	log    syncBuffer
	halt   func()
}

func (l *lab) sign() *signing {
	l.Helper()
	origin := ledger.Origin("5f0c2c1e-8a54-4d55-9f6f-3d0a4c1d7b11", 1)
	skey, vkey, err := ledger.GenerateKey(rand.Reader, origin)
	must(l, err)
	signer, err := note.NewSigner(skey)
	must(l, err)
	s := &signing{anchor: &faultyAnchor{Anchor: ledger.NewFileAnchor(filepath.Join(l.TempDir(), "anchor"))}}
	s.key, err = note.NewVerifier(vkey)
	must(l, err)
	log, err := ledger.NewSigner(ledger.SignerConfig{Origin: origin, Anchor: s.anchor, Signers: []note.Signer{signer}, Keys: []note.Verifier{s.key}})
	must(l, err)
	s.Checkpoints = &Checkpoints{Store: l.store, Signer: log, Log: slog.New(slog.NewTextHandler(&s.log, nil))}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	s.halt = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			l.Errorf("checkpoints: %v", err)
		}
	})
	l.Cleanup(s.halt)
	return s
}

// anchored is the size under the anchored checkpoint, whose signature it checks.
func (s *signing) anchored(t *testing.T) int64 {
	t.Helper()
	signed, err := s.anchor.Load()
	must(t, err)
	if signed == nil {
		return 0
	}
	c, _, err := ledger.OpenCheckpoint(signed, s.key)
	must(t, err)
	return c.Size
}

func (s *signing) await(t *testing.T, size int64, patience time.Duration) bool {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if s.anchored(t) == size {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// TestCheckpointsFollow signs at the latest a second after an append, and not
// again while nothing is appended. The second is the bubble's, which no load on
// the machine makes longer.
func TestCheckpointsFollow(t *testing.T) { synctest.Test(t, checkpointsFollow) }

func checkpointsFollow(t *testing.T) {
	l := newLab(t)
	s := l.sign()
	for range 3 {
		must(t, l.try("more"))
		if !s.await(t, l.size(), time.Second) {
			t.Fatalf("signed are %d of %d entries", s.anchored(t), l.size())
		}
	}
	s.anchor.mu.Lock()
	swaps := s.anchor.swaps
	s.anchor.mu.Unlock()
	time.Sleep(3 * signEvery)
	s.anchor.mu.Lock()
	defer s.anchor.mu.Unlock()
	if s.anchor.swaps != swaps {
		t.Errorf("signed %d times more although nothing was appended", s.anchor.swaps-swaps)
	}
}

// TestCheckpointAtTheEnd signs what came since the last turn.
func TestCheckpointAtTheEnd(t *testing.T) {
	l := newLab(t)
	s := l.sign()
	must(t, l.try("last"))
	s.halt()
	if got := s.anchored(t); got != l.size() {
		t.Errorf("signed are %d of %d entries", got, l.size())
	}
}

// TestBrokenAnchor reports once that nothing can be signed, does not hold up
// commands, and goes on by itself.
func TestBrokenAnchor(t *testing.T) {
	l := newLab(t)
	s := l.sign()
	if !s.await(t, l.size(), 5*time.Second) {
		t.Fatal("not signed to begin with")
	}
	before := l.size()
	for round := range 2 {
		s.anchor.set(true)
		must(t, l.try("unsigned"))
		for range 500 {
			if s.log.count("checkpoint not signed") > round {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(3 * signEvery)
		if n := s.log.count("checkpoint not signed"); n != round+1 {
			t.Errorf("reported %d times, want once for each failure", n)
		}
		if s.anchored(t) >= l.size() {
			t.Fatal("signed past a broken anchor")
		}
		s.anchor.set(false)
		if !s.await(t, l.size(), 5*time.Second) {
			t.Fatalf("signed are %d of %d entries after the anchor was mended", s.anchored(t), l.size())
		}
		// It is said after the signature, which await sees.
		for range 500 {
			if s.log.count("checkpoints are signed again") > round {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := s.log.count("checkpoints are signed again"); n != round+1 {
			t.Errorf("the recovery was reported %d times, want %d", n, round+1)
		}
	}
	if l.size() != before+2 {
		t.Errorf("%d entries, want %d", l.size(), before+2)
	}
}

// TestSignGivesTheSame has exports ask for the checkpoint while the loop runs.
func TestSignGivesTheSame(t *testing.T) {
	l := newLab(t)
	s := l.sign()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				size := l.size()
				c, signed, err := s.Sign(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				if opened, _, err := ledger.OpenCheckpoint(signed, s.key); err != nil || opened != c || c.Size < size {
					t.Errorf("%+v, %v, want one over at least %d entries", c, err, size)
				}
				if err := l.try("more"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
