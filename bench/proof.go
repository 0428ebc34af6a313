package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store/sqlite"
)

// proofFigure proves random entries, against the same from a tree in memory.
func proofFigure(ctx context.Context, b *bench) error {
	n := b.entries
	s, _, err := b.built(ctx, wide, n)
	if err != nil {
		return err
	}
	defer s.Close()
	memory, err := readTree(ctx, s, n)
	if err != nil {
		return err
	}
	prove := func(r tlog.HashReader) func() (time.Duration, error) {
		return typical(3000, func(int) error {
			_, err := ledger.ProveInclusion(n, rand.Int64N(n), r)
			return err
		})
	}
	ours, theirs, err := b.contest(ctx, time.Microsecond, prove(s.Hashes(ctx)), prove(memory))
	if err != nil {
		return err
	}
	b.add(Result{Figure: "proof", Case: "one of " + thousands(n), Unit: "µs", Peer: "tree in memory"}, ours, theirs, atMost(20, "≤ 20 µs"))
	return nil
}

// readTree brings all hashes to memory.
func readTree(ctx context.Context, s *sqlite.Store, n int64) (*tree, error) {
	count := tlog.StoredHashCount(n)
	t := &tree{size: n}
	const page = 20_000
	for at := int64(0); at < count; at += page {
		indexes := make([]int64, 0, page)
		for x := at; x < min(at+page, count); x++ {
			indexes = append(indexes, x)
		}
		got, err := s.Hashes(ctx).ReadHashes(indexes)
		if err != nil {
			return nil, fmt.Errorf("read the tree: %w", err)
		}
		t.hashes = append(t.hashes, got...)
	}
	return t, nil
}
