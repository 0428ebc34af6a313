package verifier

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/evidence/evidencetest"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
)

const (
	installation = "5f0c2c1e-8a54-4d55-9f6f-3d0a4c1d7b11"
	ours         = "7d3e5a10-2b1c-4a6e-9c55-1f2e3d4c5b6a" // the space of the packs
	other        = "c4a8e2d6-9b7f-4f3a-8e21-0a1b2c3d4e5f"
)

// book is a ledger in memory, whose writer is honest; the packs that he makes of
// it need not be.
type book struct {
	entries []*ledger.Entry
	hashes  []tlog.Hash
	origin  string
	signer  note.Signer
	vkey    string
}

func newBook(t *testing.T) *book {
	l := &book{origin: ledger.Origin(installation, 1)}
	l.signer, l.vkey = evidencetest.NewSigner(t, l.origin)
	return l
}

// ReadHashes makes the book a tlog.HashReader.
func (l *book) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, x := range indexes {
		out = append(out, l.hashes[x])
	}
	return out, nil
}

// hour is the time of entry n.
func hour(n int64) time.Time {
	return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Hour)
}

// add appends an entry; scope "" is null.
func (l *book) add(t *testing.T, scope, action string, edits ...func(*ledger.Body)) int64 {
	t.Helper()
	seq := int64(len(l.entries))
	body := &ledger.Body{
		Action: action, Outcome: ledger.OK, Via: ledger.ViaAPI, RequestID: fmt.Sprintf("r-%d", seq),
		Actor:  ledger.Actor{Kind: ledger.AccountActor, ID: "01934f6e-0000-7000-8000-000000000001", Email: "person@example.org", Roles: []string{"member"}},
		Target: ledger.Target{Kind: "app", ID: "1", Name: "intake"},
	}
	for _, edit := range edits {
		edit(body)
	}
	content, err := body.Canonical()
	must(t, err)
	e := &ledger.Entry{Seq: seq, Time: hour(seq), Body: content}
	if scope != "" {
		e.Scope = &scope
	}
	rand.Read(e.Salt[:]) //nolint:errcheck // never fails
	hashes, err := ledger.Hashes(seq, ledger.LeafHash(e.Header()), l)
	must(t, err)
	l.entries, l.hashes = append(l.entries, e), append(l.hashes, hashes...)
	return seq
}

// writes is a change of a body; an empty doc deletes.
func writes(kind, id string, rev int64, doc string) func(*ledger.Body) {
	return func(b *ledger.Body) {
		b.Changes = append(b.Changes, ledger.Change{Kind: kind, ID: id, Rev: rev, Doc: json.RawMessage(doc)})
	}
}

// erases names an entry whose body has been erased.
func erases(seq int64, action string) func(*ledger.Body) {
	return func(b *ledger.Body) {
		b.Erased = append(b.Erased, ledger.Erased{Seq: seq, Action: action, Actor: b.Actor.ID, Outcome: ledger.OK, Rule: "six-years"})
	}
}

// because gives a reason: any text.
func because(text string) func(*ledger.Body) { return func(b *ledger.Body) { b.Reason = text } }

// content says what a pack holds.
type content struct {
	manifest pack.Manifest
	ranges   []ledger.Range
	bodies   []int64
	reports  []pack.Report
	size     int64 // of the tree under the checkpoint
	cosign   func(checkpoint []byte) []byte
}

// without is the list without some seqs.
func without(list []int64, seqs ...int64) []int64 {
	return slices.DeleteFunc(slices.Clone(list), func(seq int64) bool { return slices.Contains(seqs, seq) })
}

// with is the list with some more seqs.
func with(list []int64, seqs ...int64) []int64 {
	out := append(slices.Clone(list), seqs...)
	slices.Sort(out)
	return out
}

// pack makes it, with the log's key and a proof that fits the ranges.
func (l *book) pack(t *testing.T, c *content) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := pack.Create(&out, c.manifest)
	must(t, err)
	root, err := ledger.Root(c.size, l)
	must(t, err)
	checkpoint, err := ledger.SignCheckpoint(ledger.Checkpoint{Origin: l.origin, Size: c.size, Root: root}, l.signer)
	must(t, err)
	if c.cosign != nil {
		checkpoint = c.cosign(checkpoint)
	}
	must(t, w.AddBytes("index.html", []byte("<!doctype html>")))
	must(t, w.AddCheckpoint(checkpoint))
	must(t, w.AddKeys(l.vkey))
	var headers, bodies []byte
	for _, r := range c.ranges {
		for _, e := range l.entries[r.From:r.To] {
			headers = append(append(headers, e.Header()...), '\n')
		}
	}
	for _, seq := range c.bodies {
		bodies = pack.AppendBodyLine(bodies, seq, l.entries[seq].Salt, l.entries[seq].Body)
	}
	must(t, w.AddBytes("ledger/headers", headers))
	must(t, w.AddBytes("ledger/bodies", bodies))
	proof, err := ledger.ProveRanges(c.ranges, c.size, l)
	must(t, err)
	must(t, w.AddRangeProof(c.ranges, proof))
	must(t, w.AddReports(c.reports))
	for _, report := range c.reports {
		member, err := w.Add(report.CSV)
		must(t, err)
		csv, err := pack.NewCSV(member, report, c.manifest.Period)
		must(t, err)
		for _, seq := range c.bodies {
			e, err := pack.NewEntry(l.entries[seq].Header(), l.entries[seq].Body)
			must(t, err)
			must(t, csv.Add(e))
		}
		must(t, csv.Close())
	}
	_, err = w.Close(l.signer)
	must(t, err)
	return out.Bytes()
}
