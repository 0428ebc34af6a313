package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Entries are found by postings: for each word in each role the entries of one
// segment that have it, packed into one row, with all that a listing shows. A
// segment's postings are written in bulk once it is full, when its entries are
// long acknowledged: five indexes that every append had to keep would cost it half
// as much processor time again and two and a half times the bytes (ADR 0021). What no posting covers yet, less than two segments at most times,
// is found by reading entries one after the other.
//
// Postings are derived: dropping them and setting "indexed" to 0 makes them anew.
const segmentSize = 2_048

// sliceRows bounds the rows that are written while appends wait.
const sliceRows = 256

const selectIndexed = `SELECT value FROM meta WHERE name = 'indexed'`

// indexed gives how many segments have their postings.
func indexed(t *transaction) (int64, error) {
	var text string
	err := t.one(selectIndexed, nil, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("postings: %w", err)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, &store.Damage{Seq: -1, What: "how far the postings go cannot be read"}
	}
	return n, nil
}

// index writes the postings of the next full segment; false if there is none.
func (s *Store) index(ctx context.Context) (more bool, err error) {
	s.indexMu.Lock()
	defer s.indexMu.Unlock()
	var segment int64
	var rows []posting
	err = s.snapshot(ctx, func(r *reading) error {
		if segment, err = indexed(r.transaction); err != nil || (segment+1)*segmentSize > r.size {
			return err
		}
		rows, err = postings(r.transaction, segment)
		return err
	})
	if err != nil || rows == nil {
		return false, err
	}
	// Readers take no notice of a segment's postings before "indexed" says
	// that it is done; a second attempt writes the same rows again.
	for len(rows) > sliceRows {
		if err := s.putPostings(segment, rows[:sliceRows], false); err != nil {
			return false, err
		}
		rows = rows[sliceRows:]
	}
	return true, s.putPostings(segment, rows, true)
}

// posting is one row: a word's entries of a segment.
type posting struct {
	key  int64
	data []byte
}

// builder collects the postings of one segment.
type builder struct {
	data map[int64]*building
}

type building struct {
	data []byte
	last line
}

// postings reads a segment and gives its rows in the order of their keys.
func postings(t *transaction, segment int64) ([]posting, error) {
	b := builder{data: map[int64]*building{}}
	first := segment * segmentSize
	next := first
	err := t.each(`SELECT seq, time, scope, action, outcome, actor, app, target FROM entries WHERE seq >= ? AND seq < ? ORDER BY seq`,
		[]any{first, first + segmentSize}, func(rows *sql.Rows) error {
			l, err := scanLine(rows)
			if err != nil {
				return err
			}
			if l.seq != next {
				return &store.Damage{Seq: next, What: "it is missing"}
			}
			next++
			b.add(first, l)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("postings: %w", err)
	}
	out := make([]posting, 0, len(b.data))
	for _, key := range slices.Sorted(maps.Keys(b.data)) {
		out = append(out, posting{key, b.data[key].data})
	}
	return out, nil
}

func (b *builder) add(first int64, l *line) {
	for role, word := range l.words {
		if !posted(role, word) {
			continue
		}
		key := postingKey(word, role)
		x, ok := b.data[key]
		if !ok {
			x = &building{last: line{seq: first}}
			b.data[key] = x
		}
		x.data = appendLine(x.data, &x.last, l)
		x.last = *l
	}
}

// posted tells whether entries can be found by that word. The empty word says
// nothing, except that an entry without a scope is the installation's. Outcomes
// have no postings: nearly all entries have the same.
func posted(role int, word int64) bool {
	return role != byOutcome && (word != 0 || role == byScope)
}

// scanLine reads the columns that postings are made of.
func scanLine(rows *sql.Rows) (*line, error) {
	var l line
	var at sql.RawBytes
	w := &l.words
	if err := rows.Scan(&l.seq, &at, &w[byScope], &w[byAction], &w[byOutcome], &w[byActor], &w[byApp], &w[byTarget]); err != nil {
		return nil, err
	}
	t, err := ledger.ParseTime(string(at))
	if err != nil {
		return nil, &store.Damage{Seq: l.seq, What: "its time cannot be read"}
	}
	l.nanos = t.UnixNano()
	return &l, nil
}

// putPostings writes rows of a segment and, with the last of them, that it is done.
func (s *Store) putPostings(segment int64, rows []posting, done bool) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.writer == nil {
		return errReadOnly
	}
	if err := s.trip("put postings"); err != nil {
		return err
	}
	t, err := s.writer.beginWrite()
	if err != nil {
		return fmt.Errorf("postings: %w", err)
	}
	if err := t.putPostings(segment, rows, done); err != nil {
		s.rollback(t)
		return fmt.Errorf("postings: %w", err)
	}
	return nil
}

func (t *transaction) putPostings(segment int64, rows []posting, done bool) error {
	for _, p := range rows {
		if err := t.exec(`INSERT OR REPLACE INTO postings (key, segment, data) VALUES (?,?,?)`, p.key, segment, p.data); err != nil {
			return err
		}
	}
	if done {
		if err := t.exec(`INSERT OR REPLACE INTO meta (name, value) VALUES ('indexed', ?)`, strconv.FormatInt(segment+1, 10)); err != nil {
			return err
		}
	}
	return t.commit()
}
