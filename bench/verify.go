package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/store/sqlite"
)

// inMemory is at most this many entries: of a longer ledger the hashing of the
// first ones is measured and scaled.
const inMemory = 100_000

// verifyFigure compares verification with nothing but SHA-256 of the bytes that
// have to be hashed, on one core: that of a pack's entries, which are at hand,
// and that of the whole ledger, read from the database.
func verifyFigure(ctx context.Context, b *bench) error {
	n := b.entries
	s, _, err := b.built(ctx, wide, n)
	if err != nil {
		return err
	}
	defer s.Close()
	v, err := loadEntriesToVerify(ctx, s, min(n, inMemory))
	if err != nil {
		return err
	}
	some := int64(len(v.headers))
	for _, x := range []struct {
		what    string
		entries int64
		do      func() error
	}{
		{"entries in memory", some, func() error { return v.verify(ctx) }},
		{"ledger:verify", n, func() error { return s.Verify(ctx, nil) }},
	} {
		what := x.what + ", " + thousands(x.entries)
		scale := float64(x.entries) / float64(some)
		if err := b.verifyOne(ctx, what, scale, once, x.do, v.hash, ratioAtMost(1.25)); err != nil {
			return err
		}
		if err := b.verifyOne(ctx, what+", processor time", scale, cpu, x.do, v.hash, aim{}); err != nil {
			return err
		}
	}
	return nil
}

// verifyOne measures one way to verify by one clock.
func (b *bench) verifyOne(ctx context.Context, what string, scale float64, watch func(func() error) func() (time.Duration, error), do, hash func() error, a aim) error {
	ours, theirs, err := b.contest(ctx, time.Millisecond, watch(do), watch(hash))
	if err != nil {
		return err
	}
	for i := range theirs {
		theirs[i] *= scale
	}
	b.add(Result{Figure: "verify", Case: what, Unit: "ms", Peer: "SHA-256, one core"}, ours, theirs, a)
	return nil
}

// toVerify are entries in memory, with the root that they lead to.
type toVerify struct {
	headers [][]byte
	bodies  [][]byte
	salts   [][ledger.SaltSize]byte
	root    [32]byte
}

func loadEntriesToVerify(ctx context.Context, s *sqlite.Store, n int64) (*toVerify, error) {
	v := &toVerify{}
	const page = 5000
	for at := int64(0); at < n; at += page {
		list, err := s.Entries(ctx, store.Query{FromSeq: at, ToSeq: min(at+page, n)})
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			v.headers = append(v.headers, r.Header.Append(nil))
			v.bodies, v.salts = append(v.bodies, r.Body), append(v.salts, r.Salt)
		}
	}
	root, err := ledger.Root(n, s.Hashes(ctx))
	v.root = root
	return v, err
}

// hash hashes what verification has to: leaf, body and one node an entry.
func (v *toVerify) hash() error {
	var node [65]byte
	leaf, body := make([]byte, 0, 1024), make([]byte, 0, 4096)
	for i, header := range v.headers {
		leaf = append(append(leaf[:0], 0), header...)
		sha256.Sum256(leaf)
		body = ledger.AppendFrame(body[:0], &v.salts[i], v.bodies[i])
		sha256.Sum256(body)
		sha256.Sum256(node[:])
	}
	return nil
}

// verify is what the pack's verifier does with its entries.
func (v *toVerify) verify(ctx context.Context) error {
	n := len(v.headers)
	proof, err := ledger.NewRangeVerifier([]ledger.Range{{From: 0, To: int64(n)}}, nil, int64(n), v.root)
	if err != nil {
		return err
	}
	next := 0
	fill := func(batch *ledger.Batch) (bool, error) {
		for ; next < n && !batch.Full(); next++ {
			l := batch.Add(int64(next))
			l.Header = append(batch.Bytes(len(v.headers[next]))[:0], v.headers[next]...)
			l.Framed = batch.Bytes(ledger.FrameSize + len(v.bodies[next]))
			copy(l.Framed[ledger.FrameSize:], v.bodies[next])
			l.Salt = v.salts[next]
		}
		return next < n, nil
	}
	err = ledger.Stream(ctx, fill, func(l *ledger.Line) error {
		if l.HeaderErr != nil || l.BodyErr != nil {
			return fmt.Errorf("entry %d: %v, %v", l.Seq, l.HeaderErr, l.BodyErr)
		}
		return proof.Add(l.Leaf)
	})
	if err != nil {
		return err
	}
	return proof.Close()
}
