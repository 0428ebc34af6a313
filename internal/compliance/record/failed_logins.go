package record

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// A series is so many refused log-ins to one account, or from one address, within
// so long (45 CFR 164.308(a)(5)(ii)(C), log-in monitoring). One that has a
// password wrong stops before.
const (
	seriesOf     = 10
	seriesWithin = 15 * time.Minute
)

// failedLogins: guessing is noticed while it goes on.
func failedLogins(m Means) *compliance.Check {
	return &compliance.Check{
		ID: "state.failed-logins", Title: "Nobody is guessing passwords or tokens", Version: 1,
		Every: time.Minute, Reads: []string{"account.login"},
		Try: func(ctx context.Context) ([]compliance.Result, error) {
			s := series{counts: map[string]int64{}, seqs: map[string][]int64{}}
			if err := s.read(ctx, m); err != nil {
				return nil, err
			}
			return []compliance.Result{s.result().Of("", "", "log-ins")}, nil
		},
	}
}

// series counts refused log-ins by what they have in common, in words.
type series struct {
	counts map[string]int64
	seqs   map[string][]int64
}

func (s series) read(ctx context.Context, m Means) error {
	q := store.Query{
		Scopes: []string{""}, Actions: []string{"account.login"}, Outcome: ledger.Denied, From: m.Now().Add(-seriesWithin), Limit: 500,
	}
	for {
		page, err := m.Store.Entries(ctx, q)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := m.Store.Read(ctx, func(v store.View) error { return s.add(v, page) }); err != nil {
			return err
		}
		q.FromSeq = page[len(page)-1].Header.Seq + 1
	}
}

func (s series) add(v store.View, page []store.Record) error {
	for _, r := range page {
		if r.Body == nil {
			continue
		}
		body, err := ledger.ParseBody(r.Body)
		if err != nil {
			return &store.Damage{Seq: r.Header.Seq, What: "its body cannot be read"}
		}
		account, err := v.Get(document.KindAccount, body.Target.ID)
		if err != nil {
			return err
		}
		a, _ := account.(*document.Account)
		if a != nil && a.Nobodys() {
			continue // the platform itself tries what must be refused
		}
		if a != nil {
			s.count(r.Header.Seq, body, "to the account "+a.Email)
		}
		s.count(r.Header.Seq, body, "from the address "+body.Actor.IP)
	}
	return nil
}

func (s series) count(seq int64, body *ledger.Body, what string) {
	s.counts[what] += max(body.Count, 1)
	s.seqs[what] = append(s.seqs[what], seq)
}

// result leaves the numbers out: they would make news of a series each minute.
func (s series) result() compliance.Result {
	var facts []string
	var seqs []int64
	for _, what := range slices.Sorted(maps.Keys(s.counts)) {
		if s.counts[what] >= seriesOf {
			facts = append(facts, fmt.Sprintf("%d or more log-ins %s were refused within %.0f minutes.", seriesOf, what, seriesWithin.Minutes()))
			seqs = append(seqs, s.seqs[what]...)
		}
	}
	if len(facts) == 0 {
		return compliance.Pass(fmt.Sprintf("No account and no address had %d log-ins refused within %.0f minutes.", seriesOf, seriesWithin.Minutes()))
	}
	slices.Sort(seqs)
	r := compliance.Fail(facts...)
	seqs = slices.Compact(seqs)
	r.Seqs = seqs[:min(len(seqs), maxNamed)]
	return r
}
