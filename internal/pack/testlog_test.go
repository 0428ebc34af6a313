package pack

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/ledger"
)

const (
	installation = "5f0c2c1e-8a54-4d55-9f6f-3d0a4c1d7b11"
	team         = "0b9a2f54-1f43-4c1f-8a43-6d7b7a1c2e01"
	space        = "7d3e5a10-2b1c-4a6e-9c55-1f2e3d4c5b6a"
	otherSpace   = "c4a8e2d6-9b7f-4f3a-8e21-0a1b2c3d4e5f"
)

// testLog is a whole ledger in memory, with the key that signs it.
type testLog struct {
	entries []*ledger.Entry
	erased  map[int64]bool // bodies that nobody has any more
	hashes  []tlog.Hash
	signer  note.Signer
	vkey    string
	origin  string
}

func (l *testLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = l.hashes[x]
	}
	return out, nil
}

func emptyLog(t testing.TB) *testLog {
	t.Helper()
	l := &testLog{erased: map[int64]bool{}, origin: ledger.Origin(installation, 1)}
	skey, vkey, err := ledger.GenerateKey(rand.Reader, l.origin)
	if err != nil {
		t.Fatal(err)
	}
	if l.signer, err = note.NewSigner(skey); err != nil {
		t.Fatal(err)
	}
	l.vkey = vkey
	return l
}

// at is a time on the test's clock: entry n happens at at(n).
func at(n int64) time.Time {
	return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Hour)
}

// add appends an entry; scope "" is null.
func (l *testLog) add(t testing.TB, scope, action string, change func(*ledger.Body)) int64 {
	t.Helper()
	seq := int64(len(l.entries))
	body := &ledger.Body{
		Action: action, Outcome: ledger.OK, Via: ledger.ViaAPI, RequestID: fmt.Sprintf("r-%d", seq),
		Actor: ledger.Actor{
			Kind: ledger.AccountActor, ID: "01934f6e-0000-7000-8000-000000000001", Email: "person@example.org",
			IP: "198.51.100.1", UserAgent: "heroku-cli/11.10.0", Session: "s1", MFA: true, Roles: []string{"member", "admin"},
		},
		Target: ledger.Target{Kind: "app", ID: "1", Name: "intake"},
	}
	if change != nil {
		change(body)
	}
	content, err := body.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	e := &ledger.Entry{Seq: seq, Time: at(seq), Body: content}
	if scope != "" {
		e.Scope = &scope
	}
	rand.Read(e.Salt[:])
	l.append(t, e)
	return seq
}

func (l *testLog) append(t testing.TB, e *ledger.Entry) {
	t.Helper()
	hashes, err := ledger.Hashes(e.Seq, ledger.LeafHash(e.Header()), l)
	if err != nil {
		t.Fatal(err)
	}
	l.entries, l.hashes = append(l.entries, e), append(l.hashes, hashes...)
}

// doc makes a body's change; an empty doc deletes.
func doc(kind, id string, rev int64, doc string) func(*ledger.Body) {
	return func(b *ledger.Body) {
		b.Changes = append(b.Changes, ledger.Change{Kind: kind, ID: id, Rev: rev, Doc: json.RawMessage(doc)})
	}
}

var (
	blobIn  = []byte("what a session showed")
	blobOut = []byte("a recording that was not asked for")
)

func blobOf(content []byte) ledger.Blob {
	return ledger.Blob{SHA256: ledger.FormatDigest(sha256.Sum256(content)), Size: int64(len(content)), MediaType: "text/plain", Role: "recording"}
}

func erased(seq int64, action string, outcome ledger.Outcome) func(*ledger.Body) {
	return func(b *ledger.Body) {
		b.Erased = append(b.Erased, ledger.Erased{Seq: seq, Action: action, Actor: b.Actor.ID, Outcome: outcome, Rule: "six-years"})
	}
}

// newTestLog makes a ledger with all that a pack has to cope with. The period of
// the tests is entries 9 to 21.
func newTestLog(t testing.TB) *testLog {
	l := emptyLog(t)
	l.add(t, "", "installation.create", doc("installation", installation, 1, `{"schema":1}`))
	l.add(t, team, "team.create", doc("team", team, 1, `{"name":"care"}`))
	l.add(t, space, "space.create", doc("space", space, 1, `{"name":"clinic"}`))
	l.add(t, otherSpace, "space.create", doc("space", otherSpace, 1, `{"name":"elsewhere"}`))
	l.add(t, space, "app.create", doc("app", "1", 1, `{"name":"intake"}`))
	l.add(t, space, "app.create", doc("app", "2", 1, `{"name":"billing"}`))
	l.add(t, space, "app.update", doc("app", "1", 2, `{"name":"intake","maintenance":true}`))
	l.add(t, space, "app.delete", doc("app", "2", 2, ``))
	l.add(t, space, "config.read", nil)
	// From here on the period.
	l.add(t, space, "release.create", doc("release", "1", 1, `{"version":1,"status":"pending","approved_by":null}`)) // 9
	l.add(t, space, "release.approve", func(b *ledger.Body) {
		b.Outcome, b.Error, b.Reason = ledger.Denied, "the author may not approve", "first, \"quoted\"\nreason with ü and 🔒"
	})
	l.add(t, otherSpace, "config.read", nil)
	l.add(t, space, "release.live", func(b *ledger.Body) {
		b.Reason = "=1+1"
		doc("release", "1", 2, `{"version":1,"status":"current","approved_by":"b@example.org"}`)(b)
	})
	l.add(t, space, "session.close", func(b *ledger.Body) { b.Blobs = []ledger.Blob{blobOf(blobIn), blobOf(blobOut)} })
	l.add(t, space, "app.join", doc("app", "3", 7, `{"name":"moved, here"}`))
	l.erased[l.add(t, space, "config.read", nil)] = true                                              // 15
	l.erased[l.add(t, space, "app.update", doc("app", "1", 3, `{"name":"intake","n":[1,2]}`))] = true // 16
	l.add(t, space, "app.update", doc("app", "1", 4, `{"name":"\t intake","n":[1,{"x":null}]}`))
	l.add(t, "", "check.status", nil)
	l.add(t, space, "app.create", doc("app", "2", 3, `{"name":"-billing"}`)) // 19, again after its deletion
	l.add(t, space, "body.erase", erased(15, "config.read", ledger.OK))
	l.add(t, team, "team.update", doc("team", team, 2, `{"name":"@care"}`)) // 21
	// From here on after it.
	l.add(t, space, "evidence.export", nil) // 22, the boundary
	l.add(t, otherSpace, "config.read", nil)
	l.add(t, space, "body.erase", erased(16, "app.update", ledger.OK)) // 24
	l.add(t, space, "app.update", doc("app", "1", 5, `{"name":"later"}`))
	return l
}

// export says what to put in a pack.
type export struct {
	manifest   Manifest
	ranges     []ledger.Range
	bodies     []int64 // the entries that have theirs
	reports    []Report
	checkpoint ledger.Checkpoint
	blobs      [][]byte
	since      int64
}

func ptr[T any](v T) *T { return &v }

func testReports() []Report {
	return []Report{
		{CSV: "reports/releases.csv", Type: Events, Actions: []string{"release.create", "release.approve", "release.live"}, Columns: []Column{
			SeqColumn,
			{"time", "/header/time"},
			{"action", "/body/action"},
			{"outcome", "/body/outcome"},
			{"who", "/body/actor/email"},
			{"role", "/body/actor/roles/1"},
			{"why, if given", "/body/reason"},
			{"mfa", "/body/actor/mfa"},
			{"actor", "/body/actor"},
			{"doc", "/doc"},
		}},
		{CSV: "reports/apps.csv", Type: State, Kind: "app", At: &Time{at(22)}, Columns: []Column{
			SeqColumn, {"name", "/doc/name"}, {"n", "/doc/n"}, {"x", "/doc/n/1/x"}, {"none", "/doc/no~1such~0thing"}, {"by", "/body/action"},
		}},
		{CSV: "reports/apps-before.csv", Type: State, Kind: "app", At: &Time{at(9)}, Columns: []Column{SeqColumn, {"doc", "/doc"}}},
	}
}

// newExport is the pack of the tests' period and space.
func (l *testLog) newExport(t testing.TB) *export {
	return &export{
		manifest: Manifest{
			Installation: installation, Scope: Asked{Spaces: []string{space}}, Scopes: []*string{ptr(space), ptr(team), nil},
			Period: Period{Time{at(9)}, Time{at(22)}}, CreatedAt: Time{at(30)}, Program: "strongroom test", Simulated: true,
			BlobsLeftOut: []LeftOut{{blobOf(blobOut).SHA256, "recordings not asked for"}},
		},
		// 7 is there because app 2, which it deletes, comes back in the period.
		ranges:     []ledger.Range{{From: 0, To: 3}, {From: 6, To: 23}, {From: 24, To: 25}},
		bodies:     []int64{0, 1, 2, 6, 7, 9, 10, 12, 13, 14, 17, 18, 19, 20, 21, 24},
		reports:    testReports(),
		checkpoint: l.at(t, int64(len(l.entries))),
		blobs:      [][]byte{blobIn},
	}
}

func (l *testLog) at(t testing.TB, n int64) ledger.Checkpoint {
	t.Helper()
	root, err := ledger.Root(n, l)
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Checkpoint{Origin: l.origin, Size: n, Root: root}
}

func (l *testLog) signed(t testing.TB, c ledger.Checkpoint) []byte {
	t.Helper()
	signed, err := ledger.SignCheckpoint(c, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (l *testLog) writeCSV(w io.Writer, report Report, period Period, seqs []int64) error {
	csv, err := NewCSV(w, report, period)
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		e, err := NewEntry(l.entries[seq].Header(), l.entries[seq].Body)
		if err != nil {
			return err
		}
		if err := csv.Add(e); err != nil {
			return err
		}
	}
	return csv.Close()
}

// pack exports as the evidence package does.
func (l *testLog) pack(t testing.TB, x *export) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := Create(&out, x.manifest)
	must(t, err)
	must(t, w.AddBytes(indexPath, []byte("<!doctype html><title>pack</title>")))
	must(t, w.AddCheckpoint(l.signed(t, x.checkpoint)))
	must(t, w.AddKeys(l.vkey))
	headers, err := w.AddHeaders()
	must(t, err)
	for _, r := range x.ranges {
		for _, e := range l.entries[r.From:r.To] {
			_, err := headers.Write(append(e.Header(), '\n'))
			must(t, err)
		}
	}
	bodies, err := w.AddBodies()
	must(t, err)
	for _, seq := range x.bodies {
		_, err := bodies.Write(AppendBodyLine(nil, seq, l.entries[seq].Salt, l.entries[seq].Body))
		must(t, err)
	}
	proof, err := ledger.ProveRanges(x.ranges, x.checkpoint.Size, l)
	must(t, err)
	must(t, w.AddRangeProof(x.ranges, proof))
	if x.since > 0 {
		proof, err := ledger.ProveConsistency(x.checkpoint.Size, x.since, l)
		must(t, err)
		must(t, w.AddConsistency(x.since, proof))
	}
	must(t, w.AddReports(x.reports))
	for _, report := range x.reports {
		csv, err := w.Add(report.CSV)
		must(t, err)
		must(t, l.writeCSV(csv, report, x.manifest.Period, x.bodies))
	}
	for _, blob := range x.blobs {
		out, err := w.AddBlob(blobOf(blob).SHA256)
		must(t, err)
		_, err = out.Write(blob)
		must(t, err)
	}
	_, err = w.Close(l.signer)
	must(t, err)
	return out.Bytes()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// files is a pack taken apart: what a tamperer works on.
type files struct {
	manifest Manifest
	content  map[string][]byte
}

func takeApart(t testing.TB, b []byte) *files {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	must(t, err)
	f := &files{content: map[string][]byte{}}
	for _, file := range z.File {
		in, err := file.Open()
		must(t, err)
		f.content[file.Name], err = io.ReadAll(in)
		must(t, err)
	}
	must(t, json.Unmarshal(f.content[manifestPath], &f.manifest))
	return f
}

func (f *files) clone() *files { return &files{f.manifest, maps.Clone(f.content)} }

func (f *files) paths() []string { return slices.Sorted(maps.Keys(f.content)) }

// resigned makes a pack of the files with a new manifest, signed by the signer:
// what the holder of the log's key can do.
func (f *files) resigned(t testing.TB, signer note.Signer) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := Create(&out, f.manifest)
	must(t, err)
	for _, path := range f.paths() {
		if path != manifestPath && path != signaturePath {
			must(t, w.AddBytes(path, f.content[path]))
		}
	}
	_, err = w.Close(signer)
	must(t, err)
	return out.Bytes()
}

// zipped makes a zip of the files as they are: what everybody can do.
func (f *files) zipped(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, path := range f.paths() {
		h := &zip.FileHeader{Name: path, Method: zip.Store}
		file, err := w.CreateHeader(h)
		must(t, err)
		_, err = file.Write(f.content[path])
		must(t, err)
	}
	must(t, w.Close())
	return out.Bytes()
}
