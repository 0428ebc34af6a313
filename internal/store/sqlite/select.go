package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// maxPage bounds a page of entries.
const maxPage = 10_000

// selection is a query with its words looked up and its times turned into seqs.
type selection struct {
	from, to int64 // from ≤ seq < to
	want     [wordColumns][]int64
	limit    int
	bytes    int // of bodies, after which there are no more; 0 = no bound
	newest   bool
}

// selection is nil if the query asks for a word that no entry has.
func (r *reading) selection(q store.Query) (*selection, error) {
	f := &selection{from: max(q.FromSeq, 0), to: r.size, limit: q.Limit, bytes: q.Bytes, newest: q.Newest}
	if q.ToSeq > 0 {
		f.to = min(f.to, q.ToSeq)
	}
	if f.limit <= 0 || f.limit > maxPage {
		f.limit = maxPage
	}
	one := func(word string) []string {
		if word == "" {
			return nil
		}
		return []string{word}
	}
	for role, list := range map[int][]string{
		byScope: q.Scopes, byAction: q.Actions, byOutcome: one(string(q.Outcome)), byActor: one(q.Actor), byApp: one(q.App), byTarget: one(q.Target),
	} {
		ids, err := r.ids(list)
		if err != nil || len(list) > 0 && len(ids) == 0 {
			return nil, err
		}
		f.want[role] = ids
	}
	// Times never fall, so bounds of time are bounds of seq.
	if !q.From.IsZero() {
		n, err := r.sizeAt(q.From)
		if err != nil {
			return nil, err
		}
		f.from = max(f.from, n)
	}
	if !q.To.IsZero() {
		n, err := r.sizeAt(q.To)
		if err != nil {
			return nil, err
		}
		f.to = min(f.to, n)
	}
	return f, nil
}

// ids looks words up, leaving out those that no entry has.
func (r *reading) ids(list []string) (out []int64, err error) {
	for _, w := range list {
		id, ok, err := r.s.words.id(r.transaction, w)
		if err != nil {
			return nil, err
		}
		if ok && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out, nil
}

func (f *selection) matches(l *line) bool {
	if l.seq < f.from || l.seq >= f.to {
		return false
	}
	for role, ids := range f.want {
		if ids != nil && !slices.Contains(ids, l.words[role]) {
			return false
		}
	}
	return true
}

// role is the one by which the fewest entries are found, -1 if postings do not
// help.
func (f *selection) role() int {
	for _, role := range []int{byTarget, byApp, byActor, byAction, byScope} {
		if f.want[role] != nil && !slices.ContainsFunc(f.want[role], func(w int64) bool { return !posted(role, w) }) {
			return role
		}
	}
	return -1
}

// lines finds what is selected, in order, up to the limit.
func (r *reading) lines(f *selection) ([]line, error) {
	role, done := f.role(), int64(0)
	if role >= 0 {
		segments, err := indexed(r.transaction)
		if err != nil {
			return nil, err
		}
		done = segments * segmentSize
	}
	c := &collector{selection: f}
	steps := []func() error{
		func() error { return r.posted(c, role, f.from, min(f.to, done)) },
		func() error { return r.scan(c, max(f.from, done), f.to) },
	}
	if f.newest {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if len(c.lines) >= f.limit {
			break
		}
		if err := step(); err != nil {
			return nil, err
		}
	}
	return c.lines[:min(len(c.lines), f.limit)], nil
}

// collector gathers lines in the order asked for.
type collector struct {
	*selection
	lines []line
}

// firstWindow is how many segments are looked at first; each further window is
// twice as large as all before.
const firstWindow = 8

// posted collects lines with from ≤ seq < to from the postings.
func (r *reading) posted(c *collector, role int, from, to int64) error {
	lo, hi := from/segmentSize, (to+segmentSize-1)/segmentSize
	for window := int64(firstWindow); lo < hi && len(c.lines) < c.limit; window *= 2 {
		a, b := lo, min(lo+window, hi)
		if c.newest {
			a, b = max(hi-window, lo), hi
			hi = a
		} else {
			lo = b
		}
		part, err := r.window(c, role, a, b)
		if err != nil {
			return err
		}
		c.lines = append(c.lines, part...)
	}
	return nil
}

// window collects the lines of the segments from a up to b.
func (r *reading) window(c *collector, role int, a, b int64) ([]line, error) {
	var part []line
	for _, word := range c.want[role] {
		err := r.each(`SELECT segment, data FROM postings WHERE key = ? AND segment >= ? AND segment < ? ORDER BY segment`,
			[]any{postingKey(word, role), a, b}, func(rows *sql.Rows) error {
				var segment int64
				var data sql.RawBytes
				if err := rows.Scan(&segment, &data); err != nil {
					return err
				}
				return readLines(data, segment, func(l *line) {
					if c.matches(l) {
						part = append(part, *l)
					}
				})
			})
		if err != nil {
			return nil, fmt.Errorf("read postings: %w", err)
		}
	}
	if len(c.want[role]) > 1 {
		slices.SortFunc(part, func(x, y line) int { return int(x.seq - y.seq) })
	}
	if c.newest {
		slices.Reverse(part)
	}
	return part, nil
}

// scan collects lines with from ≤ seq < to by reading entries.
func (r *reading) scan(c *collector, from, to int64) error {
	if from >= to {
		return nil
	}
	where, args := []string{"seq >= ?", "seq < ?"}, []any{from, to}
	for role, ids := range c.want {
		if ids == nil {
			continue
		}
		where = append(where, columns[role]+" IN (SELECT value FROM json_each(?))")
		args = append(args, jsonList(ids))
	}
	order := "ASC"
	if c.newest {
		order = "DESC"
	}
	err := r.each(`SELECT seq, time, scope, action, outcome, actor, app, target FROM entries WHERE `+
		strings.Join(where, " AND ")+` ORDER BY seq `+order+` LIMIT ?`, append(args, c.limit-len(c.lines)),
		func(rows *sql.Rows) error {
			l, err := scanLine(rows)
			if err == nil {
				c.lines = append(c.lines, *l)
			}
			return err
		})
	if err != nil {
		return fmt.Errorf("read entries: %w", err)
	}
	return nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, q store.Query) ([]store.Line, error) {
	var out []store.Line
	err := s.snapshot(ctx, func(r *reading) error {
		f, err := r.selection(q)
		if f == nil || err != nil {
			return err
		}
		list, err := r.lines(f)
		if err != nil {
			return err
		}
		out = make([]store.Line, len(list))
		for i := range list {
			if out[i], err = list[i].shown(r.transaction, s.words); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Entries implements store.Store.
func (s *Store) Entries(ctx context.Context, q store.Query) ([]store.Record, error) {
	var out []store.Record
	err := s.snapshot(ctx, func(r *reading) error {
		f, err := r.selection(q)
		if f == nil || err != nil {
			return err
		}
		if !slices.ContainsFunc(f.want[:], func(ids []int64) bool { return ids != nil }) {
			out, err = r.run(f)
			return err
		}
		list, err := r.lines(f)
		if err != nil || len(list) == 0 {
			return err
		}
		out, err = r.records(f, list)
		return err
	})
	return out, err
}

const recordColumns = `seq, time, scope, salt, body, hash`

// run reads entries that lie one after the other.
func (r *reading) run(f *selection) ([]store.Record, error) {
	query := `SELECT ` + recordColumns + ` FROM entries WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?`
	if f.newest {
		query = `SELECT ` + recordColumns + ` FROM entries WHERE seq >= ? AND seq < ? ORDER BY seq DESC LIMIT ?`
	}
	return r.scanRecords(f.bytes, query, f.from, f.to, f.limit)
}

// records reads the entries of lines, which are in order.
func (r *reading) records(f *selection, list []line) ([]store.Record, error) {
	seqs := make([]int64, len(list))
	for i := range list {
		seqs[i] = list[i].seq
	}
	query := `SELECT ` + recordColumns + ` FROM entries WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq`
	if f.newest {
		query += ` DESC`
	}
	return r.scanRecords(f.bytes, query, jsonList(seqs))
}

// jsonList is how a list of any length is given to one and the same statement.
func jsonList(list []int64) string {
	out := []byte{'['}
	for i, n := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, n, 10)
	}
	return string(append(out, ']'))
}

// errEnough ends a reading of rows.
var errEnough = errors.New("enough was read")

// scanRecords stops when that many bytes of bodies are read, unless bytes is 0.
func (r *reading) scanRecords(bytes int, query string, args ...any) ([]store.Record, error) {
	var out []store.Record
	read := 0
	err := r.each(query, args, func(rows *sql.Rows) error {
		e, err := r.scanRecord(rows)
		if err != nil {
			return err
		}
		out = append(out, e)
		if read += len(e.Body); bytes > 0 && read >= bytes {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("read entries: %w", err)
	}
	return out, nil
}

func (r *reading) scanRecord(rows *sql.Rows) (store.Record, error) {
	var e store.Record
	var at, salt, hash sql.RawBytes
	var term int64
	if err := rows.Scan(&e.Header.Seq, &at, &term, &salt, &e.Body, &hash); err != nil {
		return e, err
	}
	var err error
	if e.Header.Time, err = ledger.ParseTime(string(at)); err != nil {
		return e, &store.Damage{Seq: e.Header.Seq, What: "its time cannot be read"}
	}
	if term != 0 {
		scope, err := r.s.words.word(r.transaction, term)
		if err != nil {
			return e, err
		}
		e.Header.Scope = &scope
	}
	copy(e.Salt[:], salt)
	if len(hash) != len(e.Header.Body) {
		return e, &store.Damage{Seq: e.Header.Seq, What: "its body hash cannot be read"}
	}
	copy(e.Header.Body[:], hash)
	return e, nil
}

// Entry implements store.Store.
func (s *Store) Entry(ctx context.Context, seq int64) (store.Record, error) {
	list, err := s.Entries(ctx, store.Query{FromSeq: seq, ToSeq: seq + 1})
	if err != nil {
		return store.Record{}, err
	}
	if len(list) == 0 {
		return store.Record{}, fault.New(fault.NotFound, "there is no entry %d", seq)
	}
	return list[0], nil
}

// SizeAt implements store.Store.
func (s *Store) SizeAt(ctx context.Context, t time.Time) (n int64, err error) {
	err = s.snapshot(ctx, func(r *reading) error {
		n, err = r.sizeAt(t)
		return err
	})
	return n, err
}

// sizeAt bisects: times never fall.
func (r *reading) sizeAt(t time.Time) (int64, error) {
	want := ledger.FormatTime(t)
	lo, hi := int64(0), r.size
	for lo < hi {
		mid := lo + (hi-lo)/2
		var at string
		err := r.one(`SELECT time FROM entries WHERE seq = ?`, []any{mid}, &at)
		if errors.Is(err, sql.ErrNoRows) {
			return 0, &store.Damage{Seq: mid, What: "it is missing"}
		}
		if err != nil {
			return 0, fmt.Errorf("time of entry %d: %w", mid, err)
		}
		if at < want {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, nil
}
