package verifier

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
)

// newStory is a ledger with all that a pack has to cope with: the period of the
// tests is entries 7 to 14, entry 6 lies right before it and 15 right after it.
func newStory(t *testing.T) *book {
	l := newBook(t)
	l.add(t, "", "installation.create", writes("installation", installation, 1, `{"schema":1}`))
	l.add(t, ours, "space.create", writes("space", ours, 1, `{"name":"clinic"}`))
	l.add(t, ours, "app.create", writes("app", "1", 1, `{"name":"intake"}`))
	l.add(t, ours, "app.update", writes("app", "1", 2, `{"name":"intake","n":-1}`), writes("app", "2", 1, `{"name":"billing"}`))
	l.add(t, other, "space.create", writes("space", other, 1, `{"name":"elsewhere"}`))
	l.add(t, ours, "app.delete", writes("app", "2", 2, ``))
	l.add(t, ours, "config.read")
	// The period.
	l.add(t, ours, "release.create", because("first, \"quoted\"\r\nwith ü, 🔒, \u2028 and <&>"), writes("release", "1", 1, `{"version":1,"by":null,"list":[1,{"x":"=1+1"}]}`))
	l.add(t, other, "config.read")
	l.add(t, ours, "app.update", writes("app", "1", 3, `{"name":"erased"}`)) // 9
	l.add(t, ours, "app.update", because("@here"), writes("app", "1", 4, `{"name":"\t intake","n":[1,{"x":null}],"~/":"odd"}`))
	l.add(t, ours, "app.create", writes("app", "2", 3, `{"name":"back again"}`))
	l.add(t, ours, "app.join", writes("app", "3", 7, `{"name":"moved, here"}`))
	l.add(t, ours, "config.read") // 13, erased
	l.add(t, ours, "body.erase", erases(13, "config.read"))
	// After it.
	l.add(t, ours, "evidence.export")
	l.add(t, other, "config.read")
	l.add(t, ours, "body.erase", erases(9, "app.update"))
	l.add(t, ours, "app.update", writes("app", "1", 5, `{"name":"later"}`))
	return l
}

// storyPack is the honest pack of the story's period.
func storyPack(l *book) *content {
	space, from, to := ours, pack.Time{Time: hour(7)}, pack.Time{Time: hour(15)}
	return &content{
		manifest: pack.Manifest{
			Installation: installation, Scope: pack.Asked{Spaces: []string{ours}}, Scopes: []*string{&space, nil},
			Period: pack.Period{From: from, To: to}, CreatedAt: to, Program: "test", Simulated: true,
		},
		ranges: []ledger.Range{{From: 0, To: 2}, {From: 3, To: 4}, {From: 5, To: 16}, {From: 17, To: 18}},
		bodies: []int64{0, 1, 3, 5, 7, 10, 11, 12, 14, 17},
		reports: []pack.Report{
			{CSV: "reports/all.csv", Type: pack.Events, Actions: []string{"release.create", "app.update", "app.join", "config.read", "body.erase"}, Columns: []pack.Column{
				pack.SeqColumn,
				{"time", "/header/time"},
				{"scope", "/header/scope"},
				{"header", "/header"},
				{"why, if given", "/body/reason"},
				{"=who", "/body/actor/email"},
				{"mfa", "/body/actor/mfa"},
				{"role", "/body/actor/roles/0"},
				{"no role", "/body/actor/roles/01"},
				{"no such", "/body/actor/roles/-"},
				{"x", "/body/changes/0/doc/list/1/x"},
				{"changes", "/body/changes"},
				{"doc", "/doc"},
			}},
			{CSV: "reports/apps.csv", Type: pack.State, Kind: "app", At: &to, Columns: []pack.Column{
				pack.SeqColumn,
				{"name", "/doc/name"},
				{"n", "/doc/n"},
				{"odd", "/doc/~0~1"},
				{"empty", "/doc/"},
				{"by", "/body/action"},
			}},
			{CSV: "reports/apps-before.csv", Type: pack.State, Kind: "app", At: &from, Columns: []pack.Column{pack.SeqColumn, {"doc", "/doc"}}},
		},
		size: int64(len(l.entries)),
	}
}

// TestRules makes packs whose manifest, checkpoint, proofs and reports all fit,
// by the log's own key, and which hold too little or too much.
func TestRules(t *testing.T) {
	l, p := newStory(t), newPair(t)
	tests := []struct {
		name    string
		edit    func(c *content)
		check   pack.Group // that refuses it; "": accepted
		opening string     // of what is accepted; "": as claimed
	}{
		{"honest", func(*content) {}, "", ""},
		{"the period's end is cut off", func(c *content) { c.ranges[2].To, c.bodies = 15, without(c.bodies, 17); c.ranges = c.ranges[:3] }, pack.HeadersGroup, ""},
		{"the tree is cut off, too", func(c *content) {
			c.ranges[2].To, c.bodies, c.size = 15, without(c.bodies, 17), 15
			c.ranges = c.ranges[:3]
		}, pack.HeadersGroup, ""},
		{"the period's beginning is cut off", func(c *content) { c.ranges[2].From, c.bodies = 8, without(c.bodies, 5, 7) }, pack.HeadersGroup, ""},
		{"it begins exactly with the period", func(c *content) { c.ranges[2].From, c.bodies = 7, without(c.bodies, 5) }, pack.HeadersGroup, ""},
		{"a hole in the period", func(c *content) {
			c.ranges = []ledger.Range{{From: 0, To: 2}, {From: 3, To: 4}, {From: 5, To: 8}, {From: 9, To: 16}, {From: 17, To: 18}}
		}, pack.HeadersGroup, ""},
		{"a body of the period is missing", func(c *content) { c.bodies = without(c.bodies, 12) }, pack.BodiesGroup, ""},
		{"a body.erase is missing", func(c *content) { c.bodies = without(c.bodies, 14) }, pack.BodiesGroup, ""},
		{"a body.erase after the period is missing", func(c *content) { c.ranges, c.bodies = c.ranges[:3], without(c.bodies, 17) }, pack.BodiesGroup, ""},
		{"an entry after the period, without its body", func(c *content) { c.bodies = without(c.bodies, 17) }, pack.BodiesGroup, ""},
		{"an entry after the period, right after the boundary", func(c *content) { c.ranges = []ledger.Range{c.ranges[0], c.ranges[1], {From: 5, To: 18}} }, pack.BodiesGroup, ""},
		{"a body after the period", func(c *content) { c.ranges[3].To, c.bodies = 19, with(c.bodies, 18) }, pack.BodiesGroup, ""},
		{"the boundary's body after the period", func(c *content) { c.bodies = with(c.bodies, 15) }, pack.BodiesGroup, ""},
		{"the boundary's body before the period", func(c *content) { c.bodies = with(c.bodies, 6) }, "", ""},
		{"a body of another scope", func(c *content) { c.bodies = with(c.bodies, 8) }, pack.BodiesGroup, ""},
		{"the scope is left out", func(c *content) { c.manifest.Scopes = c.manifest.Scopes[1:]; c.manifest.Scope.Spaces = []string{} }, pack.BodiesGroup, ""},
		{"an opening body is missing", func(c *content) { c.bodies = without(c.bodies, 3) }, pack.BodiesGroup, ""},
		{"an opening entry is missing", func(c *content) {
			c.ranges, c.bodies = []ledger.Range{c.ranges[0], c.ranges[2], c.ranges[3]}, without(c.bodies, 3)
		}, pack.BodiesGroup, ""},
		{"an older entry that is of no use", func(c *content) {
			c.ranges, c.bodies = []ledger.Range{{From: 0, To: 4}, c.ranges[2], c.ranges[3]}, with(c.bodies, 2)
		}, "", ""},
		{"an older entry without its body", func(c *content) { c.ranges[0].To, c.ranges[1].From = 1, 2; c.bodies = without(c.bodies, 1) }, pack.BodiesGroup, ""},
		{"an older entry of another scope", func(c *content) { c.ranges = []ledger.Range{c.ranges[0], {From: 3, To: 16}, c.ranges[3]} }, pack.BodiesGroup, ""},
		{"a deletion's body is missing", func(c *content) { c.bodies = without(c.bodies, 5) }, pack.BodiesGroup, ""},
		{"from the first entry on, with all bodies", func(c *content) {
			c.ranges, c.bodies = []ledger.Range{{From: 0, To: 16}, {From: 17, To: 18}}, with(c.bodies, 2, 6)
		}, "", "proven"},
		{"from the first entry on, with some bodies", func(c *content) { c.ranges = []ledger.Range{{From: 0, To: 16}, {From: 17, To: 18}} }, "", ""},
	}
	for _, test := range tests {
		c := storyPack(l)
		test.edit(c)
		b, key := l.pack(t, c), pack.Options{Key: l.vkey}
		if test.check != "" {
			p.refused(t, test.name, b, key, test.check)
			continue
		}
		if v := p.accepted(t, test.name, b, key); !strings.Contains(v.Opening, test.opening) || test.opening == "" && v.Opening != "as claimed" {
			t.Errorf("%s: opening state %q, want %q", test.name, v.Opening, test.opening)
		}
	}
}

// TestErasedOpening: the body that held a document when the period began was
// superseded in the period, and erased. Nobody can show it any more.
func TestErasedOpening(t *testing.T) {
	l, p := newBook(t), newPair(t)
	l.add(t, "", "installation.create", writes("installation", installation, 1, `{"schema":1}`))
	l.add(t, ours, "space.create", writes("space", ours, 1, `{"name":"clinic"}`))
	l.add(t, ours, "app.create", writes("app", "1", 1, `{"n":1}`))
	l.add(t, ours, "app.update", writes("app", "1", 2, `{"n":2}`))
	l.add(t, ours, "app.update", writes("app", "1", 3, `{"n":3}`))
	// The period.
	l.add(t, ours, "app.update", writes("app", "1", 4, `{"n":4}`))
	l.add(t, ours, "body.erase", erases(4, "app.update"))
	l.add(t, ours, "body.erase", erases(3, "app.update"))
	l.add(t, ours, "evidence.export")

	before := storyPack(l)
	before.reports = nil
	before.manifest.Period = pack.Period{From: pack.Time{Time: hour(0)}, To: pack.Time{Time: hour(5)}}
	before.ranges, before.bodies, before.size = []ledger.Range{{From: 0, To: 6}}, []int64{0, 1, 2, 3, 4}, 6
	previous := pack.Options{Key: l.vkey, Previous: archive(l.pack(t, before))}
	p.accepted(t, "the period before", l.pack(t, before), pack.Options{Key: l.vkey})

	tests := []struct {
		name   string
		ranges []ledger.Range
		bodies []int64
		alone  pack.Group // that refuses the pack; "": accepted
		after  pack.Group // that refuses it after the one of the period before
	}{
		{"erased", []ledger.Range{{From: 0, To: 2}, {From: 4, To: 9}}, []int64{0, 1, 5, 6, 7}, "", ""},
		{"not that one was erased", []ledger.Range{{From: 0, To: 2}, {From: 4, To: 9}}, []int64{0, 1, 5, 7}, pack.BodiesGroup, pack.BodiesGroup},
		{"kept back, from the first entry on", []ledger.Range{{From: 0, To: 9}}, []int64{0, 1, 2, 5, 7}, pack.BodiesGroup, pack.BodiesGroup},
		{"erased, and what was before is taken for the state", []ledger.Range{{From: 0, To: 9}}, []int64{0, 1, 2, 5, 6, 7}, "", pack.OpeningGroup},
		{"all kept back, from the first entry on", []ledger.Range{{From: 0, To: 9}}, []int64{0, 1, 5, 6, 7}, "", ""},
	}
	for _, test := range tests {
		c := storyPack(l)
		c.reports = nil
		c.manifest.Period = pack.Period{From: pack.Time{Time: hour(5)}, To: pack.Time{Time: hour(8)}}
		c.ranges, c.bodies = test.ranges, test.bodies
		for _, try := range []struct {
			opts  pack.Options
			check pack.Group
		}{{pack.Options{Key: l.vkey}, test.alone}, {previous, test.after}} {
			if try.check == "" {
				p.accepted(t, test.name, l.pack(t, c), try.opts)
			} else {
				p.refused(t, test.name, l.pack(t, c), try.opts, try.check)
			}
		}
	}

	// Somebody who keeps back what a document was cannot have it proven.
	never := newBook(t)
	never.add(t, "", "installation.create", writes("installation", installation, 1, `{"schema":1}`))
	never.add(t, ours, "app.create", writes("app", "1", 1, `{"n":1}`))
	never.add(t, ours, "evidence.export")
	before.manifest.Period.To, before.ranges, before.bodies, before.size = pack.Time{Time: hour(2)}, []ledger.Range{{From: 0, To: 3}}, []int64{0, 1}, 3
	c := storyPack(never)
	c.reports = nil
	c.manifest.Period = pack.Period{From: pack.Time{Time: hour(2)}, To: pack.Time{Time: hour(3)}}
	never.add(t, ours, "evidence.export")
	c.ranges, c.bodies, c.size = []ledger.Range{{From: 0, To: 4}}, []int64{0, 2}, 4
	p.accepted(t, "an app kept back", never.pack(t, c), pack.Options{Key: never.vkey})
	p.refused(t, "an app kept back, after the period before", never.pack(t, c),
		pack.Options{Key: never.vkey, Previous: archive(never.pack(t, before))}, pack.OpeningGroup)
}

// TestReports alters what reports/index.json says, with the manifest made anew.
func TestReports(t *testing.T) {
	l, p := newStory(t), newPair(t)
	f := takeApart(t, l.pack(t, storyPack(l)))
	for _, edit := range [][2]string{
		{`"type":"state"`, `"type":"events"`},
		{`"type":"state"`, `"type":"rows"`},
		{`"app.join"`, `"app.leave"`},
		{`,"app.join"`, ``},
		{`"kind":"app"`, `"kind":"space"`},
		{`/doc/name`, `/doc/n`},
		{`/doc/name`, `doc/name`},
		{`/doc/name`, `/doc/~2`},
		{`["seq","/header/seq"],`, ``},
		{`["seq","/header/seq"]`, `["seq","/header/time"]`},
		{`["by","/body/action"]`, `["by","/body/action","x"]`},
		{`["by","/body/action"]`, `["by"]`},
		{`"reports/apps.csv"`, `"reports/none.csv"`},
		{`"at":"2026-03-01T15:00:00.000000000Z"`, `"at":"2026-03-01T15:00:00.000000001Z"`},
		{`"at":"2026-03-01T07:00:00.000000000Z"`, `"at":"2026-03-01T06:59:59.999999999Z"`},
		{`"at":"2026-03-01T07:00:00.000000000Z"`, `"at":"2026-03-01T07:00:00Z"`},
	} {
		index := strings.Replace(string(f.content["reports/index.json"]), edit[0], edit[1], 1)
		if index == string(f.content["reports/index.json"]) {
			t.Fatalf("the index has no %s", edit[0])
		}
		p.refused(t, fmt.Sprint(edit), f.with("reports/index.json", []byte(index)).resigned(t, l.signer), pack.Options{Key: l.vkey}, pack.ReportsGroup)
	}
}

// TestJSON adds files of odd JSON, which are signed, not proven, but must have
// one meaning.
func TestJSON(t *testing.T) {
	l, p := newStory(t), newPair(t)
	f := takeApart(t, l.pack(t, storyPack(l)))
	for text, ok := range map[string]bool{
		`{"a":1.5e3,"b":[{"a":1},{"a":2}],"ü":"\u0000"}`: true,
		" [ ]\r\n\t":                    true,
		`{"__proto__":{"x":1}}`:         true,
		`["\ud800"]`:                    true,
		`[1e999]`:                       true,
		`[-0]`:                          true,
		``:                              false,
		`{"a":1,"a":1}`:                 false,
		`{"a":1,"\u0061":1}`:            false,
		`{"__proto__":1,"__proto__":2}`: false,
		`[01]`:                          false,
		`[+1]`:                          false,
		`[1.]`:                          false,
		`[.5]`:                          false,
		`[NaN]`:                         false,
		`[1,]`:                          false,
		`[,1]`:                          false,
		`{"a":1,}`:                      false,
		`{a:1}`:                         false,
		`['a']`:                         false,
		`[1] // x`:                      false,
		"[\"a\nb\"]":                    false,
		`["\x41"]`:                      false,
		"\ufeff[]":                      false,
		"[\"\xff\"]":                    false,
		"[\u00a0]":                      false,
		`[1}`:                           false,
		`{"a" 1}`:                       false,
		`[1 2]`:                         false,
		`truex`:                         false,
	} {
		b := f.with("oscal/x.json", []byte(text)).resigned(t, l.signer)
		if v := p.agree(t, text, b, pack.Options{Key: l.vkey}); (v.Verdict == "VERIFIED") != ok {
			t.Errorf("%q: %s %s", text, v.Verdict, v.Reason)
		}
	}
}

// witness is one that cosigns whatever it is given.
type witness struct {
	name string
	key  ed25519.PrivateKey
}

func (w witness) hash() []byte {
	sum := sha256.Sum256(append([]byte(w.name+"\n\x04"), w.public()...))
	return sum[:4]
}

func (w witness) public() []byte { return w.key.Public().(ed25519.PublicKey) }

func (w witness) vkey() string {
	return w.name + "+" + hex.EncodeToString(w.hash()) + "+" + base64.StdEncoding.EncodeToString(append([]byte{4}, w.public()...))
}

// cosign adds a cosignature of the time; one that does not hold, if broken.
func (w witness) cosign(checkpoint []byte, at time.Time, broken bool) []byte {
	text, _, _ := strings.Cut(string(checkpoint), "\n\n")
	sig := ed25519.Sign(w.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s\n", at.Unix(), text))
	sig[0] ^= map[bool]byte{true: 1}[broken]
	line := append(binary.BigEndian.AppendUint64(w.hash(), uint64(at.Unix())), sig...)
	return fmt.Appendf(checkpoint, "\u2014 %s %s\n", w.name, base64.StdEncoding.EncodeToString(line))
}

func TestWitnesses(t *testing.T) {
	l, p := newStory(t), newPair(t)
	a := witness{"witness.example.org", ed25519.NewKeyFromSeed([]byte(strings.Repeat("a", 32)))}
	b := witness{"other.example.org", ed25519.NewKeyFromSeed([]byte(strings.Repeat("b", 32)))}
	late, early := hour(15), hour(15).Add(-time.Second)
	both := []string{a.vkey(), b.vkey()}
	tests := []struct {
		name   string
		cosign func([]byte) []byte
		given  []string
		quorum int
		ok     bool
	}{
		{"cosigned", func(c []byte) []byte { return a.cosign(c, late, false) }, both[:1], 0, true},
		{"not cosigned", nil, both[:1], 0, false},
		{"before the period's end", func(c []byte) []byte { return a.cosign(c, early, false) }, both[:1], 0, false},
		{"broken", func(c []byte) []byte { return a.cosign(c, late, true) }, both[:1], 0, false},
		{"broken, of a witness that nobody asked for", func(c []byte) []byte { return a.cosign(c, late, true) }, nil, 0, true},
		{"one of two", func(c []byte) []byte { return a.cosign(c, late, false) }, both, 0, false},
		{"one of two is enough", func(c []byte) []byte { return b.cosign(c, late, false) }, both, 1, true},
		{"both", func(c []byte) []byte { return a.cosign(b.cosign(c, late, false), late, false) }, both, 0, true},
		{"one holds, the other is broken", func(c []byte) []byte { return a.cosign(b.cosign(c, late, false), late, true) }, both, 1, false},
	}
	for _, test := range tests {
		c := storyPack(l)
		c.cosign = test.cosign
		opts := pack.Options{Key: l.vkey, Witnesses: test.given, Quorum: test.quorum}
		if test.ok {
			p.accepted(t, test.name, l.pack(t, c), opts)
		} else {
			p.refused(t, test.name, l.pack(t, c), opts, pack.SignatureGroup)
		}
	}
}
