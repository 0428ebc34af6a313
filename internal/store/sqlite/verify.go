package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/store"
)

// Verify implements store.Store. It reads every entry in pages, each in a
// transaction of its own, so that it never pins the WAL for long, up to the
// size at which it started. Pages are read and hashed in parallel and folded in
// order.
func (s *Store) Verify(ctx context.Context, progress func(done, total int64)) error {
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	v := &verifier{
		s: s, total: head.Size, seed: maphash.MakeSeed(), hashes: newHead(verified{}),
		state: map[docKey]*folded{}, blank: map[int64]string{},
	}
	if err := v.entries(ctx, progress); err != nil {
		return err
	}
	if len(v.blank) > 0 {
		seq := slices.Min(slices.Collect(maps.Keys(v.blank)))
		return &store.Damage{Seq: seq, What: "its body is missing and no body.erase names it"}
	}
	return v.tables(ctx, head.Size)
}

// tables compares the documents with the fold while SQLite looks at every page.
// What is wrong with a document says more than a torn page.
func (v *verifier) tables(ctx context.Context, size int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	torn := make(chan error, 1)
	go func() { torn <- v.s.integrity(ctx) }()
	err := v.documents(ctx, size)
	if err != nil {
		cancel()
	}
	return cmp.Or(err, <-torn)
}

// verifier folds the entries again: tree hashes, revisions, newest changes.
type verifier struct {
	s      *Store
	total  int64
	seed   maphash.Seed
	next   int64
	time   time.Time
	hashes *head
	state  map[docKey]*folded
	blank  map[int64]string // scopes of entries without a body that no body.erase named yet
	gaps   bool             // some entry had no body
	docs   []byte           // what the entry at hand must say about its changes
}

// folded is the newest change of a document, as the entries have it.
type folded struct {
	rev, seq, born int64
	at, size       int
	ladder         ladder
}

// verified stands for tiles that the verifier does not have in memory: it has
// all that the tree's right edge needs.
type verified struct{}

func (verified) tile(n int64) ([]byte, error) {
	return nil, fmt.Errorf("tile %d was let go too early", n)
}

// entries reads pages ahead, one for each core, but leaves half of the readers to
// others.
func (v *verifier) entries(ctx context.Context, progress func(done, total int64)) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	pages := make(chan chan *page, min(runtime.GOMAXPROCS(0), maxReaders/2))
	wg.Go(func() {
		defer close(pages)
		for first := int64(0); first < v.total; first += pageSize {
			p := make(chan *page, 1)
			select {
			case pages <- p:
			case <-ctx.Done():
				return
			}
			wg.Go(func() { p <- v.s.readPage(ctx, first, min(first+pageSize, v.total)) })
		}
	})
	for p := range pages {
		if err := v.take(<-p); err != nil {
			return err
		}
		if progress != nil {
			progress(v.next, v.total)
		}
	}
	return ctx.Err()
}

// take folds the next page and compares the tree's hashes up to its end.
func (v *verifier) take(p *page) error {
	for i := range p.entries {
		if err := v.entry(&p.entries[i]); err != nil {
			return err
		}
	}
	if p.err != nil {
		return p.err
	}
	return v.compareTiles(p.tiles)
}

func (v *verifier) entry(e *checked) error {
	damage := func(format string, args ...any) error {
		return &store.Damage{Seq: v.next, What: fmt.Sprintf(format, args...)}
	}
	switch {
	case e.seq != v.next:
		return damage("it is missing")
	case e.time.Before(v.time):
		return damage("its time is before that of the entry before it")
	case e.damage != "":
		return damage("%s", e.damage)
	case e.blank:
		v.blank[e.seq], v.gaps = e.scope, true
	}
	v.time = e.time
	for _, seq := range e.erased {
		if scope, ok := v.blank[seq]; ok && scope == e.scope {
			delete(v.blank, seq)
		}
	}
	v.docs = v.docs[:0]
	for place, c := range e.changes {
		if old := v.change(c, e.seq, place); old != 0 && c.rev != old+1 && v.whole() {
			return damage("%s %s has revision %d after %d", c.kind, c.id, c.rev, old)
		}
	}
	if v.whole() && !bytes.Equal(v.docs, e.docs) {
		return damage("what it says about the changes before was altered")
	}
	v.next++
	return v.hashes.add(e.leaf)
}

// whole tells whether all bodies were there so far. One that was erased may have
// held revisions in between.
func (v *verifier) whole() bool { return !v.gaps }

// change makes a change the newest, adds to docs what its entry must say about
// it, and gives the revision before, 0 if none.
func (v *verifier) change(c bodyChange, seq int64, place int) (old int64) {
	f, ok := v.state[docKey{string(c.kind), string(c.id)}]
	if !ok {
		f = &folded{born: birth(seq, place)}
		v.state[docKey{string(c.kind), string(c.id)}] = f
	}
	v.docs = appendRevision(v.docs, seq, revision{f.born, c.rev, f.ladder.below(c.rev)})
	old, f.rev, f.seq, f.at, f.size = f.rev, c.rev, seq, c.at, c.size
	f.ladder = f.ladder.climb(c.rev, seq)
	return old
}

// compareTiles compares the recomputed tree hashes with the stored ones.
func (v *verifier) compareTiles(stored map[int64][]byte) error {
	for n := range v.hashes.dirty {
		have, want := stored[n], v.hashes.tiles[n]
		if len(have) < len(want) || !bytes.Equal(have[:len(want)], want) {
			return &store.Damage{Seq: v.blame(n, have, want), What: "a tree hash is not the one that its header gives: the header or the hash was altered"}
		}
	}
	v.hashes.trim()
	return nil
}

// blame names the entry whose stored hash is the first that differs.
func (v *verifier) blame(tile int64, have, want []byte) int64 {
	at := 0
	for at+hashSize <= len(have) && at+hashSize <= len(want) && bytes.Equal(have[at:at+hashSize], want[at:at+hashSize]) {
		at += hashSize
	}
	level, n := tlog.SplitStoredHashIndex(tile*tileHashes + int64(at/hashSize))
	return (n+1)<<level - 1
}
