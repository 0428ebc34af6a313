package main

import "github.com/strongroom/strongroom/internal/document"

// pool holds samples made before the clock runs, so that it is the writers that
// are measured and not who makes work for them. Beyond its end callers make
// their own, for all writers alike.
type pool struct {
	samples []*sample
	leaves  []*leaf
}

// poolSize is more than a writer takes in a second or two.
const poolSize = 60_000

func newPool() (*pool, error) {
	p := &pool{}
	for n := range int64(poolSize) {
		s, err := wide.sample(n)
		if err != nil {
			return nil, err
		}
		l, err := newLeaf(s, n)
		if err != nil {
			return nil, err
		}
		p.samples, p.leaves = append(p.samples, s), append(p.leaves, l)
	}
	return p, nil
}

// sample gives the n-th sample; nobody else has it.
func (p *pool) sample(n int64) (*sample, error) {
	if n < int64(len(p.samples)) {
		s := *p.samples[n]
		s.body.Changes = append(s.body.Changes[:0:0], s.body.Changes...)
		return &s, nil
	}
	return wide.sample(n)
}

// leaf gives the n-th sample as the peers get it.
func (p *pool) leaf(n int64) (*leaf, error) {
	if n < int64(len(p.leaves)) {
		l := *p.leaves[n]
		return &l, nil
	}
	s, err := wide.sample(n)
	if err != nil {
		return nil, err
	}
	return newLeaf(s, n)
}

// revOf is the revision of the n-th sample's document when all samples come in
// order.
func revOf(s *sample, n int64) int64 {
	if s.doc.Kind() == document.KindDyno {
		return 1
	}
	return n/worldApps + 2
}
