package sqlite

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// busy is a ledger of some segments with entries about a few things, and what
// listings of it must show.
type busy struct {
	*Store
	lines []store.Line
}

func newBusy(t *testing.T, entries int) *busy {
	t.Helper()
	b := &busy{Store: create(t)}
	b.grow(t, entries)
	return b
}

func (b *busy) grow(t *testing.T, entries int) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, uint64(entries)))
	word := func(kind string, n int) string {
		if i := rnd.IntN(n + 1); i > 0 {
			return fmt.Sprintf("%s-%d", kind, i)
		}
		return ""
	}
	for entries > 0 {
		n := min(entries, 300)
		entries -= n
		if err := b.Write(func(batch store.Batch) error {
			for range n {
				l := store.Line{
					Time: epoch.Add(time.Duration(batch.Size()/3) * time.Second), Scope: word("scope", 2), Action: word("action", 3) + ".do",
					Outcome: ledger.OK, Actor: word("actor", 5), App: word("app", 40), Target: word("target", 400),
				}
				if rnd.IntN(50) == 0 {
					l.Outcome = ledger.Denied
				}
				var err error
				if l.Seq, err = batch.Append(l.Time, store.Draft{Scope: l.Scope, Body: ledger.Body{
					Action: l.Action, Outcome: l.Outcome, Actor: ledger.Actor{Kind: ledger.AccountActor, ID: l.Actor}, App: l.App, Target: ledger.Target{ID: l.Target},
				}}); err != nil {
					return err
				}
				b.lines = append(b.lines, l)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// want is what the query must give.
func (b *busy) want(q store.Query) []store.Line {
	out := []store.Line{}
	one := func(asked, is string) bool { return asked == "" || asked == is }
	for _, l := range b.lines {
		if (len(q.Scopes) == 0 || slices.Contains(q.Scopes, l.Scope)) && (len(q.Actions) == 0 || slices.Contains(q.Actions, l.Action)) &&
			one(q.App, l.App) && one(q.Actor, l.Actor) && one(q.Target, l.Target) && one(string(q.Outcome), string(l.Outcome)) &&
			(q.From.IsZero() || !l.Time.Before(q.From)) && (q.To.IsZero() || l.Time.Before(q.To)) &&
			l.Seq >= q.FromSeq && (q.ToSeq == 0 || l.Seq < q.ToSeq) {
			out = append(out, l)
		}
	}
	if q.Newest {
		slices.Reverse(out)
	}
	if q.Limit > 0 {
		out = out[:min(len(out), q.Limit)]
	}
	return out
}

func (b *busy) check(t *testing.T, q store.Query) {
	t.Helper()
	want := b.want(q)
	got, err := b.List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, append([]store.Line{}, got...)); diff != "" {
		t.Fatalf("%+v: %s", q, diff)
	}
	records, err := b.Entries(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != len(want) {
		t.Fatalf("%+v: %d entries, want %d", q, len(records), len(want))
	}
	for i, r := range records {
		if r.Header.Seq != want[i].Seq || r.Header.Scope == nil && want[i].Scope != "" || r.Header.Scope != nil && *r.Header.Scope != want[i].Scope {
			t.Fatalf("%+v: entry %d is %+v, want %+v", q, i, r.Header, want[i])
		}
	}
	b.checkBytes(t, q, records)
}

// checkBytes wants the same up to the one that makes it enough.
func (b *busy) checkBytes(t *testing.T, q store.Query, all []store.Record) {
	t.Helper()
	q.Bytes = 1000
	some, err := b.Entries(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	want, read := 0, 0
	for want < len(all) && read < q.Bytes {
		read += len(all[want].Body)
		want++
	}
	if diff := cmp.Diff(all[:want], some, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%+v: %s", q, diff)
	}
}

// queries are some of each form, as random as they can be.
func (b *busy) queries(rnd *rand.Rand) []store.Query {
	var out []store.Query
	size := len(b.lines)
	for range 60 {
		some := b.lines[rnd.IntN(size)]
		q := store.Query{Newest: rnd.IntN(2) == 0}
		maybe := func(set func()) {
			if rnd.IntN(3) == 0 {
				set()
			}
		}
		maybe(func() { q.Scopes = []string{some.Scope} })
		maybe(func() { q.Scopes = append(q.Scopes, "scope-2", "scope-2", "unknown") })
		maybe(func() { q.Actions = []string{some.Action, "unknown"} })
		maybe(func() { q.App = some.App })
		maybe(func() { q.Actor = some.Actor })
		maybe(func() { q.Target = some.Target })
		maybe(func() { q.Outcome = some.Outcome })
		maybe(func() { q.From = some.Time })
		maybe(func() { q.To = some.Time.Add(time.Hour) })
		maybe(func() { q.FromSeq = some.Seq })
		maybe(func() { q.ToSeq = some.Seq + 1 + int64(rnd.IntN(size)) })
		q.Limit = []int{1, 7, 500, maxPage}[rnd.IntN(4)]
		out = append(out, q)
	}
	return out
}

// TestSelection holds listings against a model: while no posting is written,
// with some, with all of them and entries after the last, and with a segment
// that was interrupted.
func TestSelection(t *testing.T) {
	b := newBusy(t, segmentSize-1)
	rnd := rand.New(rand.NewPCG(3, 4))
	check := func(when string) {
		for _, q := range b.queries(rnd) {
			b.check(t, q)
		}
		if t.Failed() {
			t.Fatal(when)
		}
	}
	check("before any posting")
	b.grow(t, 2*segmentSize+100)
	if err := b.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := b.indexedNow(t); n != 3 {
		t.Fatalf("%d segments have postings, want 3", n)
	}
	check("with postings")
	b.interrupted(t)
	check("with half a segment's postings")
	if err := b.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("with those of the interrupted segment")
	alter(t, b.Store, `DELETE FROM postings`)
	alter(t, b.Store, `DELETE FROM meta WHERE name = 'indexed'`)
	check("with no postings")
	if err := b.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("with postings made anew")
	if err := b.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func (b *busy) indexedNow(t *testing.T) (n int64) {
	t.Helper()
	if err := b.snapshot(t.Context(), func(r *reading) (err error) {
		n, err = indexed(r.transaction)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// interrupted writes a part of the next segment's postings.
func (b *busy) interrupted(t *testing.T) {
	t.Helper()
	broken := errors.New("broken")
	b.writeMu.Lock()
	b.fail = func(statement string) error {
		if statement == "put postings" {
			return broken
		}
		return nil
	}
	b.writeMu.Unlock()
	b.grow(t, segmentSize)
	if err := b.catchUp(t.Context()); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	b.writeMu.Lock()
	b.fail = nil
	b.writeMu.Unlock()
	var rows []posting
	segment := b.indexedNow(t)
	if err := b.snapshot(t.Context(), func(r *reading) (err error) {
		rows, err = postings(r.transaction, segment)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.putPostings(segment, rows[:len(rows)/2], false); err != nil {
		t.Fatal(err)
	}
}

// TestHistory changes a few documents very often and asks for every moment.
func TestHistory(t *testing.T) {
	s := create(t)
	type state map[string]store.Change
	states := []state{{}}
	history := map[string][]int64{}
	rnd := rand.New(rand.NewPCG(5, 6))
	for len(states) <= 600 {
		if err := s.Write(func(b store.Batch) error {
			for range 1 + rnd.IntN(20) {
				d := team([]int{0, 0, 0, 0, 1, 1, 2, 3 + rnd.IntN(20)}[rnd.IntN(8)], "x")
				rev, _, err := b.Rev(d.Kind(), d.ID)
				if err != nil {
					return err
				}
				seq := b.Size()
				if err := change(b, d, rev > 0 && rnd.IntN(9) == 0); err != nil {
					return err
				}
				next := state{}
				for k, v := range states[len(states)-1] {
					next[k] = v
				}
				next[d.ID] = store.Change{ID: d.ID, Rev: rev + 1, Seq: seq}
				states, history[d.ID] = append(states, next), append(history[d.ID], seq)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	s = reopen(t, s)
	for n, want := range states {
		got, err := s.Changed(t.Context(), document.KindTeam, int64(n))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("at %d: %d documents, want %d", n, len(got), len(want))
		}
		for _, c := range got {
			if want[c.ID] != c {
				t.Fatalf("at %d: %+v, want %+v", n, c, want[c.ID])
			}
		}
	}
	for id, want := range history {
		got, err := s.History(t.Context(), document.KindTeam, id)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%s: %v, %v, want %v", id, got, err, want)
		}
	}
	if none, err := s.History(t.Context(), document.KindTeam, "nobody"); err != nil || none != nil {
		t.Errorf("%v, %v", none, err)
	}
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestWhatBatchesAreGiven alters documents that the store gave out: what the
// store remembers must not change with them.
func TestWhatBatchesAreGiven(t *testing.T) {
	s := create(t)
	write(t, s, "a")
	get := func(b store.Batch) *document.Team {
		t.Helper()
		d, err := store.Get[*document.Team](b, team(0, "").ID)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if err := s.Write(func(b store.Batch) error {
		for range 2 {
			d := get(b)
			if d.Name != "a" {
				t.Errorf("the team is named %q", d.Name)
			}
			d.Name = "altered"
		}
		found, err := b.Find(document.KindTeam, "name", "a")
		if err != nil || len(found) != 1 {
			return fmt.Errorf("found %v, %w", found, err)
		}
		found[0].(*document.Team).Name = "altered"
		mine := team(0, "mine")
		_, err = put(b, epoch, mine)
		mine.Name = "altered after it was put"
		if d := get(b); d.Name != "mine" {
			t.Errorf("the team is named %q", d.Name)
		}
		if list, err := b.Find(document.KindTeam, "name", "a"); err != nil || len(list) != 0 {
			t.Errorf("found by its old name: %v, %v", list, err)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(func(b store.Batch) error {
		if d := get(b); d.Name != "mine" {
			t.Errorf("in the next batch the team is named %q", d.Name)
		}
		_, err := put(b, epoch, team(0, "z"))
		return errors.Join(err, errors.New("the batch fails"))
	}); err == nil {
		t.Fatal("a failed batch was acknowledged")
	}
	if err := s.Write(func(b store.Batch) error {
		if d := get(b); d.Name != "mine" {
			t.Errorf("after a failed batch the team is named %q", d.Name)
		}
		list, err := b.Find(document.KindTeam, "name", "z")
		if len(list) != 0 {
			t.Errorf("a failed batch's key is found: %v", list)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
