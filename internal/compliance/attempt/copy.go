package attempt

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/store"
)

// Ledger is what a copy of the ledger is made and verified with.
type Ledger struct {
	// Checkpoint signs the ledger as it is now, or gives the newest signature.
	Checkpoint func(ctx context.Context) (ledger.Checkpoint, []byte, error)
	// Signer is the log's key: whoever alters a copy may have stolen it.
	Signer note.Signer
	// Verify is what users verify packs with.
	Verify func(ctx context.Context, r io.ReaderAt, size int64, o pack.Options) (*pack.Result, error)
}

// Bounds of a copy: what it costs does not grow with the ledger.
const (
	copyEntries = 200
	copyBytes   = 4 << 20
)

// ledgerCopy is the newest part of the ledger in the form in which auditors get
// it: an evidence pack, whose rows can be altered before it is written.
type ledgerCopy struct {
	manifest   pack.Manifest
	checkpoint []byte
	key        string // the log's verifier key
	ranges     []ledger.Range
	proof      []tlog.Hash
	rows       []store.Record // before the period those that last wrote what it changes
	first      int            // index of the period's first row
	bodyless   map[int64]bool // the rows on both sides of the period
	blobs      []string
}

// copyNewest copies the newest entries. It gives nil if there are too few.
func (c Config) copyNewest(ctx context.Context) (*ledgerCopy, error) {
	checkpoint, signed, err := c.Ledger.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := c.newest(ctx, checkpoint.Size)
	if err != nil {
		return nil, err
	}
	from, to := bounds(rows)
	if to-from < 3 {
		return nil, nil
	}
	l := &ledgerCopy{checkpoint: signed, bodyless: map[int64]bool{rows[to].Header.Seq: true}}
	start := max(from-1, 0)
	if from > 0 {
		l.bodyless[rows[start].Header.Seq] = true
	}
	before, err := c.opening(ctx, l, rows[from:to])
	if err != nil {
		return nil, err
	}
	for _, r := range before {
		if r.Header.Seq < rows[start].Header.Seq {
			l.rows = append(l.rows, r)
		}
		delete(l.bodyless, r.Header.Seq)
	}
	l.first = len(l.rows) + from - start
	l.rows = append(l.rows, rows[start:to+1]...)
	l.manifest.Period = pack.Period{From: pack.Time{Time: rows[from].Header.Time}, To: pack.Time{Time: rows[to].Header.Time}}
	return l, c.prove(ctx, l, checkpoint.Size)
}

// newest reads the end of the ledger, as far as it has all bodies and is not too
// large.
func (c Config) newest(ctx context.Context, size int64) ([]store.Record, error) {
	rows, err := c.Store.Entries(ctx, store.Query{ToSeq: size, Newest: true, Limit: copyEntries})
	room := copyBytes
	for i, r := range rows {
		if room -= len(r.Body); r.Body == nil || room < 0 {
			rows = rows[:i]
			break
		}
	}
	slices.Reverse(rows)
	return rows, err
}

// bounds finds the longest period in rows: entries [from, to), with one before it
// (unless it begins with the log) and one at its end, of other times.
func bounds(rows []store.Record) (from, to int) {
	later := func(i int) bool { return rows[i].Header.Time.After(rows[i-1].Header.Time) }
	for to = len(rows) - 1; to > 0 && !later(to); to-- {
	}
	if len(rows) > 0 && rows[0].Header.Seq == 0 {
		return 0, to
	}
	for from = 1; from < to && !later(from); from++ {
	}
	return from, max(to, 0)
}

// opening reads the entries in which the documents that the period changes were
// written before: without them nobody could tell that nothing lies between.
func (c Config) opening(ctx context.Context, l *ledgerCopy, period []store.Record) ([]store.Record, error) {
	seen, wanted := map[string]bool{}, map[int64]bool{}
	for _, r := range period {
		body, err := ledger.ParseBody(r.Body)
		if err != nil {
			return nil, &store.Damage{Seq: r.Header.Seq, What: "its body cannot be read"}
		}
		for _, b := range body.Blobs {
			l.blobs = append(l.blobs, b.SHA256)
		}
		for _, change := range body.Changes {
			if id := change.Kind + " " + change.ID; change.Rev == 1 || seen[id] {
				continue
			} else {
				seen[id] = true
			}
			seqs, err := c.Store.History(ctx, document.Kind(change.Kind), change.ID)
			if err != nil {
				return nil, err
			}
			if i, _ := slices.BinarySearch(seqs, r.Header.Seq); i > 0 {
				wanted[seqs[i-1]] = true
			}
		}
	}
	var out []store.Record
	for seq := range wanted {
		if seq >= period[0].Header.Seq {
			continue
		}
		r, err := c.Store.Entry(ctx, seq)
		if err != nil {
			return nil, err
		}
		if r.Body == nil {
			return nil, provesNothing("the body of entry %d was erased, without which the newest entries do not verify.", seq)
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b store.Record) int { return int(a.Header.Seq - b.Header.Seq) })
	return out, nil
}

// prove adds what leads from the rows to the checkpoint.
func (c Config) prove(ctx context.Context, l *ledgerCopy, size int64) (err error) {
	l.manifest.Scopes = []*string{nil}
	scopes := map[string]bool{}
	for _, r := range l.rows {
		seq := r.Header.Seq
		if n := len(l.ranges); n > 0 && l.ranges[n-1].To == seq {
			l.ranges[n-1].To++
		} else {
			l.ranges = append(l.ranges, ledger.Range{From: seq, To: seq + 1})
		}
		if s := r.Header.Scope; s != nil && !l.bodyless[seq] && !scopes[*s] {
			scopes[*s] = true
			l.manifest.Scopes = append(l.manifest.Scopes, s)
		}
	}
	if l.proof, err = ledger.ProveRanges(l.ranges, size, c.Store.Hashes(ctx)); err != nil {
		return fmt.Errorf("prove the copy: %w", err)
	}
	return c.Store.Read(ctx, func(v store.View) error {
		i, err := store.One[*document.Installation](v, "all", "")
		if err == nil {
			l.manifest.Installation, l.key = i.ID, i.LogKey
		}
		return err
	})
}

// write makes the pack of these rows, as a thief of the log's key could: its
// files fit together and are signed. Only the checkpoint was there before.
func (l *ledgerCopy) write(rows []store.Record, signer note.Signer) ([]byte, error) {
	m := l.manifest
	m.Program, m.CreatedAt = agent, pack.Time{Time: time.Now().UTC()}
	var buf bytes.Buffer
	w, err := pack.Create(&buf, m)
	if err != nil {
		return nil, err
	}
	if err := w.AddCheckpoint(l.checkpoint); err != nil {
		return nil, err
	}
	if err := w.AddKeys(l.key); err != nil {
		return nil, err
	}
	if err := addLines(w.AddHeaders, rows, func(line []byte, r store.Record) []byte {
		return append(r.Header.Append(line), '\n')
	}); err != nil {
		return nil, err
	}
	if err := addLines(w.AddBodies, rows, func(line []byte, r store.Record) []byte {
		if l.bodyless[r.Header.Seq] {
			return line
		}
		return pack.AppendBodyLine(line, r.Header.Seq, r.Salt, r.Body)
	}); err != nil {
		return nil, err
	}
	if err := w.AddRangeProof(l.ranges, l.proof); err != nil {
		return nil, err
	}
	if err := w.AddReports([]pack.Report{}); err != nil {
		return nil, err
	}
	if err := w.AddBytes("index.html", []byte("<!doctype html><title>A copy for an attempt</title>\n")); err != nil {
		return nil, err
	}
	slices.Sort(l.blobs)
	for _, b := range slices.Compact(l.blobs) {
		if err := w.LeaveOut(b, "not part of a copy for an attempt"); err != nil {
			return nil, err
		}
	}
	if _, err := w.Close(signer); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func addLines(begin func() (io.Writer, error), rows []store.Record, line func([]byte, store.Record) []byte) error {
	out, err := begin()
	if err != nil {
		return err
	}
	var b []byte
	for _, r := range rows {
		b = line(b[:0], r)
		if _, err := out.Write(b); err != nil {
			return fmt.Errorf("write the copy: %w", err)
		}
	}
	return nil
}

// span names a part of the ledger.
func span(first, last int64) string { return fmt.Sprintf("%d to %d", first, last) }
