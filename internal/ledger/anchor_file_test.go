//go:build unix

package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/fault"
)

// faultyAnchor fails a swap before or after it is stored, once.
type faultyAnchor struct {
	Anchor
	before, after error
}

func (a *faultyAnchor) CompareAndSwap(old, new []byte) error {
	before, after := a.before, a.after
	a.before, a.after = nil, nil
	if before != nil {
		return before
	}
	return errors.Join(a.Anchor.CompareAndSwap(old, new), after)
}

// log is a log under test: a tree that grows, and its signer's configuration.
type log struct {
	tree memoryTree
	size int64
	cfg  SignerConfig
}

func newLog(t testing.TB) *log {
	t.Helper()
	origin := Origin(installation, 1)
	signer, verifier := testKey(t, origin)
	return &log{cfg: SignerConfig{
		Origin: origin, Anchor: NewFileAnchor(filepath.Join(t.TempDir(), "anchor")),
		Signers: []note.Signer{signer}, Keys: []note.Verifier{verifier},
	}}
}

func (l *log) grow(t testing.TB, n int, text string) {
	t.Helper()
	for range n {
		l.tree.add(t, l.size, LeafHash(fmt.Appendf(nil, "%s %d", text, l.size)))
		l.size++
	}
}

func (l *log) signer(t testing.TB) *Signer {
	t.Helper()
	s, err := NewSigner(l.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (l *log) sign(t testing.TB, s *Signer) []byte {
	t.Helper()
	c, signed, err := s.Sign(l.size, l.tree)
	if err != nil {
		t.Fatal(err)
	}
	opened, _, err := OpenCheckpoint(signed, l.cfg.Keys...)
	if err != nil || opened != c || c.Size != l.size {
		t.Fatalf("%+v, %v", opened, err)
	}
	stored, err := l.cfg.Anchor.Load()
	if err != nil || !bytes.Equal(stored, signed) {
		t.Fatalf("anchored %q, %v; released %q", stored, err, signed)
	}
	return signed
}

func TestSignerExtends(t *testing.T) {
	l := newLog(t)
	s := l.signer(t)
	l.sign(t, s) // the empty log
	for range 20 {
		l.grow(t, 3, "entry")
		l.sign(t, s)
		s = l.signer(t) // and after a restart
	}
	if again := l.sign(t, s); !bytes.Equal(again, l.sign(t, s)) {
		t.Error("the same tree has two notes")
	}
	if c, signed := s.Newest(); c.Size != 60 || signed == nil {
		t.Errorf("newest %+v", c)
	}
}

func TestSignerRefuses(t *testing.T) {
	tests := map[string]func(*testing.T, *log){
		"lost entries": func(t *testing.T, l *log) {
			l.tree, l.size = nil, 0
			l.grow(t, 5, "entry")
		},
		"another history": func(t *testing.T, l *log) {
			l.tree, l.size = nil, 0
			l.grow(t, 5, "entry")
			l.grow(t, 20, "forged")
		},
		"another last entry": func(t *testing.T, l *log) {
			l.tree, l.size = nil, 0
			l.grow(t, 9, "entry")
			l.grow(t, 1, "forged")
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLog(t)
			l.grow(t, 10, "entry")
			running := l.signer(t)
			kept := l.sign(t, running)
			change(t, l)
			for _, s := range []*Signer{running, l.signer(t)} {
				if _, signed, err := s.Sign(l.size, l.tree); fault.Of(err) != fault.Conflict || signed != nil {
					t.Errorf("signed: %v", err)
				}
			}
			if stored, err := l.cfg.Anchor.Load(); err != nil || !bytes.Equal(stored, kept) {
				t.Errorf("the anchor changed: %v", err)
			}
		})
	}
}

// TestSignerFaults: whichever side of a failed swap the anchor is on, the next
// signing finds out and goes on.
func TestSignerFaults(t *testing.T) {
	broken := errors.New("disk on fire")
	for name, set := range map[string]func(*faultyAnchor){
		"failed and not stored": func(a *faultyAnchor) { a.before = broken },
		"failed but stored":     func(a *faultyAnchor) { a.after = broken },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog(t)
			anchor := &faultyAnchor{Anchor: l.cfg.Anchor}
			l.cfg.Anchor = anchor
			s := l.signer(t)
			l.grow(t, 2, "entry")
			l.sign(t, s)
			set(anchor)
			l.grow(t, 2, "entry")
			if _, signed, err := s.Sign(l.size, l.tree); !errors.Is(err, broken) || signed != nil {
				t.Fatalf("released %q, %v", signed, err)
			}
			l.sign(t, s)
			l.grow(t, 2, "entry")
			l.sign(t, s)
		})
	}
}

func TestSignerSecondWriter(t *testing.T) {
	l := newLog(t)
	one, two := l.signer(t), l.signer(t)
	l.grow(t, 1, "entry")
	l.sign(t, one)
	l.grow(t, 1, "entry")
	if _, _, err := two.Sign(l.size, l.tree); !errors.Is(err, ErrAnchorMoved) {
		t.Errorf("the second signer overtook the first: %v", err)
	}
	l.sign(t, two) // it has read the anchor again, and the tree extends it
}

func TestSignerNewLog(t *testing.T) {
	l := newLog(t)
	l.grow(t, 10, "entry")
	last := l.sign(t, l.signer(t))
	next := *l
	next.tree, next.size = nil, 0
	next.grow(t, 1, string(last))
	for name, change := range map[string]func(*SignerConfig){
		"without the last checkpoint":    func(c *SignerConfig) { c.Previous = nil },
		"with another checkpoint":        func(c *SignerConfig) { c.Previous = append(last[:10:10], 'x') },
		"the number is not the next":     func(c *SignerConfig) { c.Origin = Origin(installation, 3) },
		"the number goes back":           func(c *SignerConfig) { c.Origin = Origin(installation, 0) },
		"of another installation":        func(c *SignerConfig) { c.Origin = Origin(strings.Replace(installation, "5f", "6f", 1), 2) },
		"the old key is not known":       func(c *SignerConfig) { _, c.Keys[0] = testKey(t, c.Origin) },
		"the origin is not of this kind": func(c *SignerConfig) { c.Origin = "go.sum database tree" },
	} {
		cfg := next.cfg
		cfg.Origin, cfg.Previous = Origin(installation, 2), last
		cfg.Keys = append([]note.Verifier(nil), cfg.Keys...)
		change(&cfg)
		if _, err := NewSigner(cfg); err == nil {
			t.Errorf("a new log began %s", name)
		}
	}
	next.cfg.Origin, next.cfg.Previous = Origin(installation, 2), last
	s := next.signer(t)
	next.sign(t, s)
	next.grow(t, 1, "entry")
	next.sign(t, s)
	if _, err := NewSigner(l.cfg); err == nil {
		t.Error("the old log goes on")
	}
}

func TestSignerRotation(t *testing.T) {
	l := newLog(t)
	l.grow(t, 1, "entry")
	l.sign(t, l.signer(t))
	signer, verifier := testKey(t, l.cfg.Origin)
	l.cfg.Signers, l.cfg.Keys = append(l.cfg.Signers, signer), append(l.cfg.Keys, verifier)
	signed := l.sign(t, l.signer(t)) // the same tree, now with two signatures
	for i, key := range l.cfg.Keys {
		if _, _, err := OpenCheckpoint(signed, key); err != nil {
			t.Errorf("key %d: %v", i, err)
		}
	}
}

func TestFileAnchor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchor")
	a := NewFileAnchor(path)
	if b, err := a.Load(); b != nil || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	if err := a.CompareAndSwap([]byte("x"), []byte("one")); !errors.Is(err, ErrAnchorMoved) {
		t.Errorf("swap of what is not there: %v", err)
	}
	if err := a.CompareAndSwap(nil, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := a.CompareAndSwap(nil, []byte("two")); !errors.Is(err, ErrAnchorMoved) {
		t.Errorf("first swap twice: %v", err)
	}
	if err := a.CompareAndSwap([]byte("one"), nil); err == nil {
		t.Error("emptied")
	}
	// What a crash between writing and renaming leaves behind is in nobody's way.
	if err := os.WriteFile(path+".new", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.CompareAndSwap([]byte("one"), []byte("two")); err != nil {
		t.Error(err)
	}
	if b, err := NewFileAnchor(path).Load(); string(b) != "two" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Load(); err == nil {
		t.Error("an empty anchor passes for none")
	}
	if err := NewFileAnchor(filepath.Join(path, "x")).CompareAndSwap(nil, []byte("one")); err == nil {
		t.Error("swap in a directory that is none")
	}
}

// TestFileAnchorRace: of many swaps from the same value one succeeds.
func TestFileAnchorRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchor")
	old := []byte(nil)
	for round := range 5 {
		var wg sync.WaitGroup
		errs := make([]error, 16)
		for i := range errs {
			wg.Go(func() {
				errs[i] = NewFileAnchor(path).CompareAndSwap(old, fmt.Appendf(nil, "%d of %d", i, round))
			})
		}
		wg.Wait()
		won := -1
		for i, err := range errs {
			switch {
			case err == nil && won >= 0:
				t.Fatalf("%d and %d both won", won, i)
			case err == nil:
				won = i
			case !errors.Is(err, ErrAnchorMoved):
				t.Fatal(err)
			}
		}
		var err error
		if old, err = NewFileAnchor(path).Load(); err != nil || string(old) != fmt.Sprintf("%d of %d", won, round) {
			t.Fatalf("%d won, %q is stored, %v", won, old, err)
		}
	}
}
