package pack

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

// cosigner is a witness of C2SP tlog-cosignature, written from that page.
type cosigner struct {
	name string
	key  ed25519.PrivateKey
	at   time.Time
}

func newCosigner(t testing.TB, name string, at time.Time) *cosigner {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return &cosigner{name, key, at}
}

func (c *cosigner) public() []byte { return append([]byte{4}, c.key.Public().(ed25519.PublicKey)...) }
func (c *cosigner) Name() string   { return c.name }

func (c *cosigner) KeyHash() uint32 {
	sum := sha256.Sum256(append([]byte(c.name+"\n"), c.public()...))
	return binary.BigEndian.Uint32(sum[:])
}

func (c *cosigner) Sign(msg []byte) ([]byte, error) {
	text := fmt.Sprintf("cosignature/v1\ntime %d\n%s", c.at.Unix(), msg)
	return append(binary.BigEndian.AppendUint64(nil, uint64(c.at.Unix())), ed25519.Sign(c.key, []byte(text))...), nil
}

func (c *cosigner) vkey() string {
	return fmt.Sprintf("%s+%08x+%s", c.name, c.KeyHash(), base64.StdEncoding.EncodeToString(c.public()))
}

// cosigned adds cosignatures to a pack's checkpoint and makes the manifest anew.
func cosigned(t *testing.T, l *testLog, b []byte, signers ...note.Signer) []byte {
	t.Helper()
	f := takeApart(t, b)
	text, _, _ := strings.Cut(string(f.content[checkpointPath]), "\n\n")
	signed, err := note.Sign(&note.Note{Text: text + "\n"}, append([]note.Signer{l.signer}, signers...)...)
	must(t, err)
	f.content[checkpointPath] = signed
	return f.resigned(t, l.signer)
}

func details(r *Result, group Group) string {
	for _, check := range r.Checks {
		if check.Group == group {
			return strings.Join(check.Details, "\n")
		}
	}
	return ""
}

func TestWitnesses(t *testing.T) {
	l := newTestLog(t)
	one, two := newCosigner(t, "w.example.org/1", at(22)), newCosigner(t, "w.example.org/2", at(40))
	early, absent := newCosigner(t, "early", at(22).Add(-time.Second)), newCosigner(t, "absent", at(40))
	b := cosigned(t, l, l.pack(t, l.newExport(t)), one, two, early)
	tests := map[string]struct {
		witnesses []*cosigner
		quorum    int
		want      string // in the details; "" means refused
	}{
		"none given":               {nil, 0, notWitnessed},
		"one":                      {[]*cosigner{one}, 0, "witnessed by w.example.org/1 at 2026-03-01T22:00:00.000000000Z"},
		"all":                      {[]*cosigner{one, two}, 0, "witnessed by w.example.org/2"},
		"before the period's end":  {[]*cosigner{early}, 0, ""},
		"absent":                   {[]*cosigner{one, absent}, 0, ""},
		"quorum reached":           {[]*cosigner{absent, two, early}, 1, "not witnessed by absent\nwitnessed by w.example.org/2"},
		"quorum of all":            {[]*cosigner{one, two}, 2, "witnessed by w.example.org/1"},
		"quorum missed":            {[]*cosigner{one, early, absent}, 2, ""},
		"another key of that name": {[]*cosigner{newCosigner(t, one.name, at(22))}, 0, ""},
	}
	for name, tt := range tests {
		opts := Options{Key: l.vkey, Quorum: tt.quorum}
		for _, w := range tt.witnesses {
			opts.Witnesses = append(opts.Witnesses, w.vkey())
		}
		if tt.want == "" {
			if r := refusalOf(t, b, opts); r == nil || r.Check != SignatureGroup || r.File != checkpointPath || !strings.Contains(r.Reason, "witnesses needed") {
				t.Errorf("%s: %v", name, r)
			}
			continue
		}
		result, err := verifyBytes(t, b, opts)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := details(result, SignatureGroup); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	// A cosignature that fails rejects the checkpoint, even if no quorum needs it.
	f := takeApart(t, b)
	bad := newCosigner(t, two.name, at(40))
	bad.key = slices.Clone(two.key)
	bad.key[0] ^= 1 // the seed: another signature under the same public half
	f.content[checkpointPath] = []byte(strings.SplitAfter(string(f.content[checkpointPath]), "\n\n")[0])
	signed, err := note.Sign(&note.Note{Text: strings.TrimSuffix(string(f.content[checkpointPath]), "\n")}, l.signer, one, bad)
	must(t, err)
	f.content[checkpointPath] = signed
	wantRefusal(t, f.resigned(t, l.signer), Options{Key: l.vkey, Witnesses: []string{one.vkey(), two.vkey()}, Quorum: 1},
		Refusal{SignatureGroup, checkpointPath, noSeq, "the signature of a known key does not match"})
}

// TestOnlyWitness: a witness's signature does not stand in for the log's.
func TestOnlyWitness(t *testing.T) {
	l := newTestLog(t)
	w := newCosigner(t, "w", at(40))
	f := takeApart(t, l.pack(t, l.newExport(t)))
	text, _, _ := strings.Cut(string(f.content[checkpointPath]), "\n\n")
	signed, err := note.Sign(&note.Note{Text: text + "\n"}, w)
	must(t, err)
	f.content[checkpointPath] = signed
	wantRefusal(t, f.resigned(t, l.signer), Options{Key: l.vkey, Witnesses: []string{w.vkey()}},
		Refusal{SignatureGroup, checkpointPath, noSeq, "not signed by the given key"})
}

func TestBadOptions(t *testing.T) {
	l := newTestLog(t)
	b := l.pack(t, l.newExport(t))
	w := newCosigner(t, "w", at(40))
	same := &cosigner{"alias", w.key, w.at}
	for name, opts := range map[string]Options{
		"key":                  {Key: "nonsense"},
		"witness":              {Key: l.vkey, Witnesses: []string{"nonsense"}},
		"log key as witness":   {Key: l.vkey, Witnesses: []string{l.vkey}},
		"witness twice":        {Key: l.vkey, Witnesses: []string{w.vkey(), w.vkey()}},
		"witness by two names": {Key: l.vkey, Witnesses: []string{w.vkey(), same.vkey()}},
		"negative quorum":      {Key: l.vkey, Witnesses: []string{w.vkey()}, Quorum: -1},
		"quorum too great":     {Key: l.vkey, Witnesses: []string{w.vkey()}, Quorum: 2},
	} {
		if result, err := verifyBytes(t, b, opts); fault.Of(err) != fault.Invalid || result != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSince(t *testing.T) {
	l := newTestLog(t)
	x := l.newExport(t)
	x.since = 10
	b := l.pack(t, x)
	old := l.signed(t, l.at(t, 10))
	result, err := verifyBytes(t, b, Options{Key: l.vkey, Since: old})
	must(t, err)
	if got := details(result, HeadersGroup); !strings.Contains(got, "extends the checkpoint over 10 entries") {
		t.Error(got)
	}
	if _, err := verifyBytes(t, b, Options{Since: old}); err != nil {
		t.Errorf("without a key: %v", err)
	}
	if _, err := verifyBytes(t, l.pack(t, l.newExport(t)), Options{Key: l.vkey, Since: l.signed(t, x.checkpoint)}); err != nil {
		t.Errorf("the same checkpoint needs no proof: %v", err)
	}
	forged := newTestLog(t)
	forged.signer = l.signer
	other := l.at(t, 10)
	other.Origin = ledger.Origin(installation, 2)
	larger := l.at(t, 26)
	larger.Size = 27
	same := forged.at(t, 26)
	for name, tt := range map[string]struct {
		pack  []byte
		since []byte
		want  Refusal
	}{
		"another history":            {b, forged.signed(t, forged.at(t, 10)), Refusal{File: consistencyPath, Reason: "does not extend"}},
		"another history, same size": {l.pack(t, l.newExport(t)), forged.signed(t, same), Refusal{File: consistencyPath, Reason: "does not extend"}},
		"proof of another size":      {b, l.signed(t, l.at(t, 9)), Refusal{File: consistencyPath, Reason: "begins at 10"}},
		"no proof":                   {l.pack(t, l.newExport(t)), old, Refusal{File: consistencyPath, Reason: "has no proof"}},
		"another log":                {b, l.signed(t, other), Refusal{File: checkpointPath, Reason: "is of log"}},
		"larger":                     {b, l.signed(t, larger), Refusal{File: checkpointPath, Reason: "is over 27"}},
		"another key":                {b, newTestLog(t).signed(t, l.at(t, 10)), Refusal{File: "", Reason: "not signed by the given key"}},
		"no checkpoint":              {b, []byte("hello"), Refusal{File: "", Reason: "malformed"}},
	} {
		r := refusalOf(t, tt.pack, Options{Key: l.vkey, Since: tt.since})
		if r == nil || r.Check != HeadersGroup || r.File != tt.want.File || !strings.Contains(r.Reason, tt.want.Reason) {
			t.Errorf("%s: %v", name, r)
		}
	}
	// Every byte of the proof counts, with the log's own key.
	f := takeApart(t, b)
	flips(f.content[consistencyPath], func(at int, flipped []byte) {
		g := f.clone()
		g.content[consistencyPath] = flipped
		if r := refusalOf(t, g.resigned(t, l.signer), Options{Key: l.vkey, Since: old}); r == nil || r.File != consistencyPath {
			t.Errorf("byte %d: %v", at, r)
		}
	})
}

// previousExport is the pack of the entries 0 to 8, with all bodies.
func previousExport(t testing.TB, l *testLog) *export {
	x := l.newExport(t)
	x.manifest.Period = Period{Time{at(0)}, Time{at(9)}}
	x.manifest.BlobsLeftOut, x.blobs, x.reports = nil, nil, nil
	x.ranges = []ledger.Range{{From: 0, To: 10}}
	x.bodies = []int64{0, 1, 2, 4, 5, 6, 7, 8}
	return x
}

func TestPrevious(t *testing.T) {
	l := newTestLog(t)
	now := l.pack(t, l.newExport(t))
	opts := func(previous []byte) Options {
		return Options{Key: l.vkey, Previous: &Archive{bytes.NewReader(previous), int64(len(previous))}}
	}
	previous := l.pack(t, previousExport(t, l))
	result, err := verifyBytes(t, previous, Options{Key: l.vkey})
	must(t, err)
	if got := details(result, OpeningGroup); got != "opening state: proven from the log's first entry, 0 documents" {
		t.Error(got)
	}
	result, err = verifyBytes(t, now, opts(previous))
	must(t, err)
	want := "opening state: proven, 4 documents, equal to the closing state of the previous pack (whose own opening state: proven from the log's first entry)"
	if got := details(result, OpeningGroup); got != want {
		t.Error(got)
	}

	tests := map[string]struct {
		now, previous func(*export)
		want          Refusal
	}{
		"document left out of the opening state": {
			now:  func(x *export) { x.ranges[0].To, x.bodies = 2, slices.Delete(x.bodies, 2, 3) }, // space's
			want: Refusal{OpeningGroup, bodiesPath, 2, `"space"`},
		},
		"an older entry for the document": {
			now: func(x *export) {
				x.ranges = []ledger.Range{{From: 0, To: 3}, {From: 4, To: 5}, {From: 7, To: 23}, {From: 24, To: 25}}
				x.bodies[3] = 4
			},
			want: Refusal{BodiesGroup, bodiesPath, 17, `rev 4 of "app" "1" follows rev 1`},
		},
		"document that was deleted": {
			now: func(x *export) {
				x.ranges = []ledger.Range{{From: 0, To: 3}, {From: 5, To: 23}, {From: 24, To: 25}}
				x.bodies = slices.Insert(slices.Delete(x.bodies, 4, 5), 3, 5) // 5 creates app 2, 7 deletes it
			},
			want: Refusal{BodiesGroup, bodiesPath, 7, "missing, and no body.erase"},
		},
		"deletion left out": {
			now: func(x *export) {
				x.ranges = []ledger.Range{{From: 0, To: 3}, {From: 5, To: 7}, {From: 8, To: 23}, {From: 24, To: 25}}
				x.bodies = slices.Insert(slices.Delete(x.bodies, 4, 5), 3, 5)
			},
			want: Refusal{OpeningGroup, bodiesPath, 5, `"app" "2" of the opening state did not live`},
		},
		"periods do not meet": {
			previous: func(x *export) {
				x.manifest.Period.To = Time{at(8)}
				x.bodies = x.bodies[:7]
				x.ranges[0].To = 9
			},
			want: Refusal{OpeningGroup, "", noSeq, "does not end where"},
		},
		"previous pack covers less": {
			previous: func(x *export) {
				x.manifest.Scopes = []*string{ptr(space), nil}
				x.bodies = slices.Delete(x.bodies, 1, 2)
			},
			want: Refusal{OpeningGroup, "", noSeq, "does not cover scope"},
		},
		"previous pack is refused": {
			previous: func(x *export) { x.bodies = x.bodies[:7] },
			want:     Refusal{OpeningGroup, "", noSeq, "itself refused"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			x, p := l.newExport(t), previousExport(t, l)
			x.reports = nil
			if tt.now != nil {
				tt.now(x)
			}
			if tt.previous != nil {
				tt.previous(p)
			}
			wantRefusal(t, l.pack(t, x), opts(l.pack(t, p)), tt.want)
		})
	}
	t.Run("another log", func(t *testing.T) {
		other := newTestLog(t)
		other.signer, other.origin = l.signer, ledger.Origin(installation, 2)
		wantRefusal(t, now, opts(other.pack(t, previousExport(t, other))), Refusal{OpeningGroup, "", noSeq, "the previous pack is of log"})
	})
	t.Run("another key", func(t *testing.T) {
		other := newTestLog(t)
		wantRefusal(t, now, opts(other.pack(t, previousExport(t, other))), Refusal{OpeningGroup, "", noSeq, "not signed by the given key"})
	})
}

// TestPreviousErased: the entry that last wrote a document was erased after the
// document changed again; its header is enough.
func TestPreviousErased(t *testing.T) {
	l := emptyLog(t)
	l.add(t, space, "app.create", doc("app", "1", 1, `{}`))
	l.add(t, space, "config.read", nil)
	l.add(t, space, "app.update", doc("app", "1", 2, `{"a":1}`)) // 2, the period of the second pack
	l.add(t, space, "body.erase", erased(0, "app.create", ledger.OK))
	l.add(t, space, "evidence.export", nil)
	x, p := previousExport(t, l), previousExport(t, l)
	p.manifest.Period, p.ranges, p.bodies = Period{Time{at(0)}, Time{at(2)}}, []ledger.Range{{From: 0, To: 3}}, []int64{0, 1}
	x.manifest.Period, x.ranges, x.bodies = Period{Time{at(2)}, Time{at(4)}}, []ledger.Range{{From: 0, To: 5}}, []int64{1, 2, 3}
	previous := l.pack(t, p)
	result, err := verifyBytes(t, l.pack(t, x), Options{Key: l.vkey, Previous: &Archive{bytes.NewReader(previous), int64(len(previous))}})
	must(t, err)
	if got := details(result, OpeningGroup); !strings.Contains(got, "proven, 1 documents") {
		t.Error(got)
	}
}

// TestFromZero: the range begins at 0, but that proves the opening state only
// with every body.
func TestFromZero(t *testing.T) {
	l := newTestLog(t)
	x := l.newExport(t)
	x.ranges = []ledger.Range{{From: 0, To: 26}}
	x.bodies = []int64{0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 17, 18, 19, 20, 21, 24}
	for name, tt := range map[string]struct {
		bodies []int64
		want   string
	}{
		"all bodies":     {x.bodies, "opening state: proven from the log's first entry, 4 documents"},
		"one is missing": {slices.Delete(slices.Clone(x.bodies), 7, 8), asClaimed + ": 4 documents"},
	} {
		x.bodies, x.ranges[0].To = tt.bodies, 25
		// 23 lies between the boundary and the last erasure, so the range ends before it.
		x.ranges = []ledger.Range{{From: 0, To: 23}, {From: 24, To: 25}}
		result, err := verifyBytes(t, l.pack(t, x), Options{Key: l.vkey})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := details(result, OpeningGroup); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	// A whole tree needs no proof hashes at all.
	whole := emptyLog(t)
	whole.add(t, space, "app.create", doc("app", "1", 1, `{}`))
	whole.add(t, space, "evidence.export", nil)
	y := previousExport(t, whole)
	y.manifest.Period, y.ranges, y.bodies = Period{Time{at(0)}, Time{at(1)}}, []ledger.Range{{From: 0, To: 2}}, []int64{0}
	_, err := verifyBytes(t, whole.pack(t, y), Options{Key: whole.vkey})
	must(t, err)
}

func TestVerifyStops(t *testing.T) {
	l := newTestLog(t)
	b := l.pack(t, l.newExport(t))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	result, err := Verify(ctx, bytes.NewReader(b), int64(len(b)), Options{Key: l.vkey})
	if !errors.Is(err, context.Canceled) || result != nil {
		t.Errorf("%v, %v", result, err)
	}
	broken := errors.New("disk on fire")
	for _, after := range []int64{0, 100, 3000, int64(len(b)) - 30} {
		result, err := Verify(context.Background(), &failingReader{bytes.NewReader(b), after, broken}, int64(len(b)), Options{Key: l.vkey})
		if !errors.Is(err, broken) || result != nil {
			t.Errorf("failing at %d: %v", after, err)
		}
	}
}

// failingReader fails reads that touch the byte at.
type failingReader struct {
	*bytes.Reader
	at  int64
	err error
}

func (r *failingReader) ReadAt(p []byte, off int64) (int, error) {
	if off <= r.at && r.at < off+int64(len(p)) {
		return 0, r.err
	}
	return r.Reader.ReadAt(p, off)
}
