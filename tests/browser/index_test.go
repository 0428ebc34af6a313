//go:build integration

package browser

import (
	"archive/zip"
	"bytes"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/strongroom/strongroom/internal/evidence/evidencetest"
	"github.com/strongroom/strongroom/internal/ledger"
)

// TestIndex takes the page of a pack through its verdicts.
func TestIndex(t *testing.T) {
	b, files, key := exported(t)
	_, other := evidencetest.NewSigner(t, strings.Split(key, "+")[0])
	_, stranger := evidencetest.NewSigner(t, "log.example.org")
	p := index(t, files)
	for _, test := range []struct {
		name, key, verdict, says string
		passed                   int
	}{
		{"the right key", key, "VERIFIED", "Period: from 2026-03-02 11:00:00 UTC up to, and not including, 2026-03-02 13:00:00 UTC.", 8},
		{"the right key between spaces", "\n  " + key + " \n", "VERIFIED", "signed this pack", 8},
		{"no key", "", "CONSISTENT, ORIGIN NOT CHECKED", ledger.Fingerprint(key), 8},
		{"another key of that name", other, "REFUSED", "In checkpoint: not signed by the given key", 2},
		{"a stranger's key", stranger, "REFUSED", "In checkpoint: not signed by the given key", 2},
	} {
		v := p.verify(b, test.key)
		passed := 0
		for _, state := range v.Checks {
			if state == "passed" {
				passed++
			}
		}
		if v.Verdict != test.verdict || !strings.Contains(v.Says, test.says) || passed != test.passed || v.Explore != (test.verdict != "REFUSED") {
			t.Errorf("%s: %+v", test.name, v)
		}
	}
	if v := p.verify(b, "no key at all"); v.Verdict != "" || !strings.Contains(v.Status, "not a verifier key") {
		t.Errorf("what is no key: %+v", v)
	}
}

// TestAlone: the page of its own says the same, of a pack and of what is none.
func TestAlone(t *testing.T) {
	b, files, key := exported(t)
	p := alone(t)
	if v := p.verify(b, key); v.Verdict != "VERIFIED" {
		t.Errorf("%+v", v)
	}
	if v := p.verify(files["index.html"], key); v.Verdict != "REFUSED" || !strings.Contains(v.Says, "In the zip") {
		t.Errorf("no zip: %+v", v)
	}
	if v := p.verify(nil, key); v.Verdict != "REFUSED" {
		t.Errorf("nothing: %+v", v)
	}
}

// TestMutations flips one bit of one byte: the page names the file. Each kind of
// member is tried, and the zip around them.
func TestMutations(t *testing.T) {
	b, files, key := exported(t)
	p := index(t, files)
	random := rand.New(rand.NewPCG(3, 1))
	tried := 0
	for _, name := range kinds(files) {
		at := name
		if name == "manifest.json" {
			at = "" // one that is still a manifest contradicts the file that it lists
		}
		for range 3 {
			flipped := flip(random, files[name])
			v := p.verify(zipped(t, files, map[string][]byte{name: flipped}), key)
			if tried++; v.Verdict != "REFUSED" || !strings.Contains(v.Says, "In "+at) {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
	for i := range 12 {
		flipped := flip(random, b)
		v := p.verify(flipped, key)
		tried++
		// A zip keeps times and the like, which are no part of what it holds.
		if v.Verdict == "VERIFIED" && maps.EqualFunc(files, content(t, flipped), bytes.Equal) {
			continue
		}
		if v.Verdict != "REFUSED" || !strings.Contains(v.Says, "In ") {
			t.Errorf("flip %d of the zip: %+v", i, v)
		}
	}
	if tried < 50 {
		t.Errorf("only %d mutations", tried)
	}
}

// kinds gives one member of each kind: of each folder and ending.
func kinds(files map[string][]byte) []string {
	found := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		folder, _, _ := strings.Cut(name, "/")
		kind := folder + path.Ext(name)
		if folder == "ledger" || folder == name {
			kind = name
		}
		if _, ok := found[kind]; !ok && len(files[name]) > 0 {
			found[kind] = name
		}
	}
	return slices.Sorted(maps.Values(found))
}

func flip(random *rand.Rand, content []byte) []byte {
	b := bytes.Clone(content)
	b[random.IntN(len(b))] ^= 1 << random.IntN(8)
	return b
}

// zipped makes a zip of the files, some of them changed.
func zipped(t *testing.T, files, changed map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		must(t, err)
		text := files[name]
		if other, ok := changed[name]; ok {
			text = other
		}
		_, err = f.Write(text)
		must(t, err)
	}
	must(t, w.Close())
	return out.Bytes()
}

// TestHostile gives the page what is made to be too much for it.
func TestHostile(t *testing.T) {
	_, files, key := exported(t)
	p := alone(t)
	large := strings.Replace(string(files["manifest.json"]), `"path":"ledger/bodies"`, `"bytes":10000000000,"was":"x","path":"ledger/bodies"`, 1)
	for what, test := range map[string]struct {
		pack []byte
		says string
	}{
		"a file that inflates to 64 MiB":   {bomb(t, files, "index.html", 64<<20), "In index.html: has 67108864 bytes; at most"},
		"a manifest of 17 MiB":             {bomb(t, files, "manifest.json", 17<<20), "In manifest.json: has 17825792 bytes; at most 16777216 are right"},
		"a size that is given twice":       {zipped(t, files, map[string][]byte{"manifest.json": []byte(large)}), `duplicate member "bytes"`},
		"brackets a hundred thousand deep": {zipped(t, files, map[string][]byte{"manifest.json": bytes.Repeat([]byte("["), 100_000)}), "nested too deeply"},
		"a name from above":                {renamed(t, files, "index.html", "../index.html"), `an empty, "." or ".." segment`},
		"a name twice":                     {renamed(t, files, "keys.json", "Index.html"), "two members are named"},
	} {
		if v := p.verify(test.pack, key); v.Verdict != "REFUSED" || !strings.Contains(v.Says, test.says) {
			t.Errorf("%s: %+v", what, v)
		}
	}
}

// bomb makes a zip in which one file is zeros, deflated.
func bomb(t *testing.T, files map[string][]byte, name string, size int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, n := range slices.Sorted(maps.Keys(files)) {
		f, err := w.Create(n)
		must(t, err)
		text := files[n]
		if n == name {
			text = make([]byte, size)
		}
		_, err = f.Write(text)
		must(t, err)
	}
	must(t, w.Close())
	return out.Bytes()
}

func renamed(t *testing.T, files map[string][]byte, from, to string) []byte {
	t.Helper()
	other := maps.Clone(files)
	other[to] = other[from]
	return zipped(t, other, nil)
}

// TestPolicy: what a script in the page might try, its policy forbids.
func TestPolicy(t *testing.T) {
	_, files, _ := exported(t)
	p := index(t, files)
	for what, try := range map[string]string{
		"fetch":  `fetch('https://example.org/').then(() => 'allowed', () => 'forbidden')`,
		"markup": `new Promise((done) => { globalThis.ran = 'forbidden'; document.body.insertAdjacentHTML('beforeend', '<img src="https://example.org/x" onerror="ran = \'allowed\'">'); setTimeout(() => done(ran), 200); })`,
		"script": `new Promise((done) => { globalThis.ran = 'forbidden'; const s = document.createElement('script'); s.textContent = 'ran = "allowed"'; document.body.append(s); setTimeout(() => done(ran), 50); })`,
	} {
		said, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](try, chromedp.EvalAwaitPromise))
		must(t, err)
		if said != "forbidden" {
			t.Errorf("%s is %s", what, said)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.problems) < 3 {
		t.Errorf("the policy forbade only %q", p.problems)
	}
	p.problems, p.loaded = nil, p.loaded[:1] // what was tried here is shown as asked for, and blocked
}
