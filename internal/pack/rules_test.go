package pack

import (
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/ledger"
)

// TestRules makes packs that the holder of the log's key could make, each of
// which breaks one rule.
func TestRules(t *testing.T) {
	t.Parallel()
	without := func(list []int64, seq int64) []int64 {
		i := slices.Index(list, seq)
		return slices.Delete(slices.Clone(list), i, i+1)
	}
	tests := map[string]struct {
		ledger func(*testing.T, *testLog) // adds to the ledger; what it adds lies after the pack's period
		export func(*export)
		want   Refusal
	}{
		"body of an opening entry missing": {
			export: func(x *export) { x.bodies = without(x.bodies, 1) },
			want:   Refusal{BodiesGroup, bodiesPath, 1, "missing, and no body.erase names it"},
		},
		"opening entry of another scope": {
			export: func(x *export) { x.ranges[0].To = 4 },
			want:   Refusal{BodiesGroup, bodiesPath, 3, "neither in the period nor its boundary"},
		},
		"body of another scope": {
			export: func(x *export) { x.bodies = slices.Insert(x.bodies, 7, 11) },
			want:   Refusal{BodiesGroup, bodiesPath, 11, "must not hold a body of scope"},
		},
		"scope left out": {
			export: func(x *export) { x.manifest.Scopes = []*string{ptr(space), nil} },
			want:   Refusal{BodiesGroup, bodiesPath, 1, "must not hold a body of scope"},
		},
		"body from after the period": {
			export: func(x *export) { x.bodies = slices.Insert(x.bodies, 15, 22) },
			want:   Refusal{BodiesGroup, bodiesPath, 22, "from after the period"},
		},
		"header after the period without a body": {
			export: func(x *export) { x.ranges[1].To, x.ranges[2].From, x.ranges = 25, 25, x.ranges[:2] },
			want:   Refusal{BodiesGroup, bodiesPath, 23, "neither in the period nor its boundary"},
		},
		"no body.erase": {
			export: func(x *export) { x.ranges, x.bodies = x.ranges[:2], without(x.bodies, 24) },
			want:   Refusal{BodiesGroup, bodiesPath, 16, "missing, and no body.erase names it"},
		},
		"no boundary at the end": {
			export: func(x *export) { x.ranges[1].To = 22 },
			want:   Refusal{HeadersGroup, headersPath, 24, "no range begins"},
		},
		"no boundary at the beginning": {
			export: func(x *export) { x.ranges[1].From, x.bodies = 9, without(without(x.bodies, 6), 7) },
			want:   Refusal{HeadersGroup, headersPath, 24, "no range begins"},
		},
		"gap in the period": {
			export: func(x *export) {
				x.ranges = []ledger.Range{{From: 0, To: 3}, {From: 6, To: 18}, {From: 19, To: 23}, {From: 24, To: 25}}
				x.bodies = without(x.bodies, 18)
			},
			want: Refusal{HeadersGroup, headersPath, 24, "no range begins"},
		},
		"tombstone missing": {
			export: func(x *export) {
				x.ranges = []ledger.Range{{From: 0, To: 3}, {From: 6, To: 7}, {From: 8, To: 23}, {From: 24, To: 25}}
				x.bodies = without(x.bodies, 7)
			},
			want: Refusal{BodiesGroup, bodiesPath, 19, `rev 3 of "app" "2" follows rev 0`},
		},
		"range beyond the checkpoint": {
			export: func(x *export) { x.ranges[2] = ledger.Range{From: 24, To: 27} },
			want:   Refusal{HeadersGroup, rangePath, noSeq, "beyond the tree's 26 entries"},
		},
		"blob not listed": {
			export: func(x *export) { x.manifest.BlobsLeftOut = nil },
			want:   Refusal{BlobsGroup, bodiesPath, 13, blobOf(blobOut).SHA256 + " is neither in the pack"},
		},
		"blob of no entry": {
			export: func(x *export) { x.blobs = append(x.blobs, []byte("x")) },
			want:   Refusal{BlobsGroup, "blobs/" + blobOf([]byte("x")).SHA256[7:], noSeq, "no entry of the pack names"},
		},
		"scopes without null": {
			export: func(x *export) { x.manifest.Scopes = x.manifest.Scopes[:2] },
			want:   Refusal{Reason: "the scopes do not hold null"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := newTestLog(t)
			x := l.newExport(t)
			tt.export(x)
			if tt.want.Check == "" { // the Writer refuses already
				if _, err := Create(nil, x.manifest); err == nil || !strings.Contains(err.Error(), tt.want.Reason) {
					t.Fatalf("created: %v", err)
				}
				return
			}
			if x.ranges[len(x.ranges)-1].To > x.checkpoint.Size {
				f := takeApart(t, l.pack(t, l.newExport(t)))
				f.content[rangePath] = []byte(strings.Replace(string(f.content[rangePath]), "[24,25]", "[24,27]", 1))
				wantRefusal(t, f.resigned(t, l.signer), Options{Key: l.vkey}, tt.want)
				return
			}
			wantRefusal(t, l.pack(t, x), Options{Key: l.vkey}, tt.want)
		})
	}
}

// TestLedgerRules puts a ledger that breaks a rule into an honest pack: ten
// entries before the period, then what the test adds.
func TestLedgerRules(t *testing.T) {
	t.Parallel()
	app := func(rev int64, content string) func(*ledger.Body) { return doc("app", "1", rev, content) }
	const some = `{"a":1}`
	tests := map[string]struct {
		add  func(*testing.T, *testLog)
		want *Refusal // nil: nothing is wrong
	}{
		"next revisions": {func(t *testing.T, l *testLog) {
			l.add(t, space, "app.update", app(2, some))
			l.add(t, space, "app.delete", app(3, ""))
			l.add(t, space, "app.create", app(4, some))
		}, nil},
		"gap":                 {func(t *testing.T, l *testLog) { l.add(t, space, "app.update", app(3, some)) }, &Refusal{Reason: "rev 3 of \"app\" \"1\" follows rev 1"}},
		"same again":          {func(t *testing.T, l *testLog) { l.add(t, space, "app.update", app(1, some)) }, &Refusal{Reason: "rev 1 of \"app\" \"1\" follows rev 1"}},
		"first is not 1":      {func(t *testing.T, l *testLog) { l.add(t, space, "x.create", doc("x", "1", 2, some)) }, &Refusal{Reason: "rev 2 of \"x\" \"1\" follows rev 0"}},
		"deletion skips":      {func(t *testing.T, l *testLog) { l.add(t, space, "app.delete", app(4, "")) }, &Refusal{Reason: "rev 4"}},
		"rev 0":               {func(t *testing.T, l *testLog) { l.add(t, space, "x.create", doc("x", "1", 0, some)) }, &Refusal{Reason: "a change lacks"}},
		"join begins above 1": {func(t *testing.T, l *testLog) { l.add(t, space, "app.join", doc("app", "9", 5, some)) }, nil},
		"join after leaving": {func(t *testing.T, l *testLog) {
			l.add(t, space, "app.leave", app(2, ""))
			l.add(t, space, "app.join", app(9, some))
		}, nil},
		"join over what lives": {func(t *testing.T, l *testLog) { l.add(t, space, "app.join", app(9, some)) }, &Refusal{Reason: "rev 9"}},
		"join goes back": {func(t *testing.T, l *testLog) {
			l.add(t, space, "app.leave", app(2, ""))
			l.add(t, space, "app.join", app(2, some))
		}, &Refusal{Reason: "rev 2 of \"app\" \"1\" follows rev 2"}},
		"gap explained by an erasure": {func(t *testing.T, l *testLog) {
			seq := l.add(t, space, "app.update", app(2, some))
			l.erased[seq] = true
			l.add(t, space, "app.update", app(3, some))
			l.add(t, space, "body.erase", erased(seq, "app.update", ledger.OK))
		}, nil},
		"gap too wide for the erasure": {func(t *testing.T, l *testLog) {
			seq := l.add(t, space, "app.update", app(2, some))
			l.erased[seq] = true
			l.add(t, space, "app.update", app(4, some))
			l.add(t, space, "body.erase", erased(seq, "app.update", ledger.OK))
		}, &Refusal{Reason: "rev 4"}},
		"gap beside an erased read": {func(t *testing.T, l *testLog) {
			seq := l.add(t, space, "config.read", nil)
			l.erased[seq] = true
			l.add(t, space, "app.update", app(3, some))
			l.add(t, space, "body.erase", erased(seq, "config.read", ledger.OK))
		}, &Refusal{Reason: "rev 3"}},
		"gap beside an erased denial": {func(t *testing.T, l *testLog) {
			seq := l.add(t, space, "app.update", nil)
			l.erased[seq] = true
			l.add(t, space, "app.update", app(3, some))
			l.add(t, space, "body.erase", erased(seq, "app.update", ledger.Denied))
		}, &Refusal{Reason: "rev 3"}},
		"gap after the erasure": {func(t *testing.T, l *testLog) {
			seq := l.add(t, space, "app.update", nil)
			l.erased[seq] = true
			l.add(t, space, "app.update", app(2, some))
			l.add(t, space, "app.update", app(4, some))
			l.add(t, space, "body.erase", erased(seq, "app.update", ledger.OK))
		}, &Refusal{Reason: "rev 4"}},
		"erased in another scope": {func(t *testing.T, l *testLog) {
			seq := l.add(t, space, "config.read", nil)
			l.erased[seq] = true
			l.add(t, "", "body.erase", erased(seq, "config.read", ledger.OK))
		}, &Refusal{Reason: "no body.erase names it"}},
		"erasure was denied": {func(t *testing.T, l *testLog) {
			seq := l.add(t, space, "config.read", nil)
			l.erased[seq] = true
			l.add(t, space, "body.erase", func(b *ledger.Body) {
				b.Outcome = ledger.Denied
				erased(seq, "config.read", ledger.OK)(b)
			})
		}, &Refusal{Reason: "no body.erase names it"}},
		"erased before it was": {func(t *testing.T, l *testLog) {
			l.add(t, space, "body.erase", erased(int64(len(l.entries))+1, "config.read", ledger.OK))
			l.erased[l.add(t, space, "config.read", nil)] = true
		}, &Refusal{Reason: "no body.erase names it"}},
		"two documents in one entry": {func(t *testing.T, l *testLog) {
			l.add(t, space, "app.update", func(b *ledger.Body) {
				app(2, some)(b)
				doc("config", "1", 1, some)(b)
			})
		}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := emptyLog(t)
			l.add(t, space, "app.create", app(1, some))
			for len(l.entries) < 5 {
				l.add(t, space, "config.read", nil)
			}
			tt.add(t, l)
			end := l.add(t, space, "evidence.export", nil)
			x := l.newExport(t)
			x.manifest.Period = Period{Time{at(5)}, Time{at(end)}}
			x.ranges = []ledger.Range{{From: 0, To: 1}, {From: 4, To: end + 1}}
			x.bodies, x.blobs = []int64{0}, nil
			for seq := int64(5); seq < end; seq++ {
				if !l.erased[seq] {
					x.bodies = append(x.bodies, seq)
				}
			}
			x.reports[1].At, x.reports[2].At = &Time{at(end)}, &Time{at(5)}
			b := l.pack(t, x)
			if tt.want == nil {
				_, err := verifyBytes(t, b, Options{Key: l.vkey})
				must(t, err)
				return
			}
			r := refusalOf(t, b, Options{Key: l.vkey})
			if r == nil || r.Check != BodiesGroup || r.File != bodiesPath || r.Seq < 5 || !strings.Contains(r.Reason, tt.want.Reason) {
				t.Errorf("%v, want %s", r, tt.want.Reason)
			}
		})
	}
}

// TestReportRules alters reports/index.json.
func TestReportRules(t *testing.T) {
	t.Parallel()
	l := newTestLog(t)
	f := takeApart(t, l.pack(t, l.newExport(t)))
	index := string(f.content[reportsPath])
	for name, tt := range map[string]struct {
		old, new string
		want     Refusal
	}{
		"unknown type":         {`"type":"events"`, `"type":"summary"`, Refusal{File: reportsPath, Reason: "unknown or incomplete"}},
		"state without kind":   {`"kind":"app",`, ``, Refusal{File: reportsPath, Reason: "unknown or incomplete"}},
		"state without time":   {`"at":"2026-03-01T22:00:00.000000000Z",`, ``, Refusal{File: reportsPath, Reason: "unknown or incomplete"}},
		"time after":           {`"at":"2026-03-01T22:00:00.000000000Z"`, `"at":"2026-03-01T22:00:00.000000001Z"`, Refusal{File: reportsPath, Reason: "outside of the period"}},
		"time before":          {`"at":"2026-03-01T09:00:00.000000000Z"`, `"at":"2026-03-01T08:59:59.999999999Z"`, Refusal{File: reportsPath, Reason: "outside of the period"}},
		"time in other form":   {`"at":"2026-03-01T22:00:00.000000000Z"`, `"at":"2026-03-01T22:00:00Z"`, Refusal{File: reportsPath, Reason: "not a ledger time"}},
		"first column":         {`["seq","/header/seq"],["time"`, `["time"`, Refusal{File: reportsPath, Reason: "first column is not seq"}},
		"pointer elsewhere":    {`/body/action`, `/salt/action`, Refusal{File: reportsPath, Reason: "does not lead into"}},
		"pointer to all":       {`/body/action`, ``, Refusal{File: reportsPath, Reason: "does not lead into"}},
		"pointer with ~2":      {`/body/action`, `/body/~2`, Refusal{File: reportsPath, Reason: "neither ~0 nor ~1"}},
		"column of three":      {`["outcome","/body/outcome"]`, `["outcome","/body/outcome","x"]`, Refusal{File: reportsPath, Reason: "another shape"}},
		"CSV not there":        {`reports/apps.csv`, `reports/none.csv`, Refusal{File: "reports/none.csv", Reason: "not in the pack"}},
		"CSV twice":            {`reports/apps.csv`, `reports/releases.csv`, Refusal{File: "reports/releases.csv", Reason: "names the file twice"}},
		"no array":             {index, `{}`, Refusal{File: reportsPath, Reason: "another shape"}},
		"name in other case":   {`"actions"`, `"Actions"`, Refusal{File: reportsPath, Reason: "none of the format's"}},
		"another action":       {`"release.approve"`, `"release.reject"`, Refusal{File: "reports/releases.csv", Seq: 10, Reason: "a row that no entry gives"}},
		"one more action":      {`"release.approve"`, `"release.approve","config.read","app.join"`, Refusal{File: "reports/releases.csv", Seq: 14, Reason: "is missing"}},
		"another time":         {`"at":"2026-03-01T22:00:00.000000000Z"`, `"at":"2026-03-01T18:00:00.000000000Z"`, Refusal{File: "reports/apps.csv", Seq: 14, Reason: "missing"}},
		"another title":        {`["name"`, `["nom"`, Refusal{File: "reports/apps.csv", Reason: "first line is not the titles"}},
		"another kind":         {`"kind":"app"`, `"kind":"space"`, Refusal{File: "reports/apps.csv", Seq: 2, Reason: "missing"}},
		"column without title": {`["name","/doc/name"]`, `["name"]`, Refusal{File: reportsPath, Reason: "another shape"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := f.clone()
			changed := strings.Replace(index, tt.old, tt.new, 1)
			if changed == index {
				t.Fatal("no change")
			}
			g.content[reportsPath] = []byte(changed)
			r := refusalOf(t, g.resigned(t, l.signer), Options{Key: l.vkey})
			if r == nil || r.Check != ReportsGroup || r.File != tt.want.File && r.File != reportsPath ||
				tt.want.Seq != 0 && r.Seq != tt.want.Seq || !strings.Contains(r.Reason, tt.want.Reason) {
				t.Errorf("%v, want %+v", r, tt.want)
			}
		})
	}
}
