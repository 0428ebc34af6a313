package pack

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

// flips calls fn with the content after one bit of one byte was flipped: of
// every byte of a small file, of about 250 bytes of a large one.
func flips(content []byte, fn func(at int, flipped []byte)) {
	step := 1
	if len(content) > 1000 {
		step = len(content)/250 | 1
	}
	for i := 0; i < len(content); i += step {
		b := bytes.Clone(content)
		b[i] ^= 1 << (i % 8)
		fn(i, b)
	}
}

func refusalOf(t *testing.T, b []byte, opts Options) *Refusal {
	t.Helper()
	_, err := verifyBytes(t, b, opts)
	var refusal *Refusal
	if err != nil && !errors.As(err, &refusal) {
		t.Fatalf("neither verified nor refused: %v", err)
	}
	return refusal
}

// TestFlipEveryMember: nobody but the holder of the log's key can change a bit
// of any file unnoticed, and the refusal names the file.
func TestFlipEveryMember(t *testing.T) {
	t.Parallel()
	l := newTestLog(t)
	f := takeApart(t, l.pack(t, l.newExport(t)))
	for _, path := range f.paths() {
		flips(f.content[path], func(at int, flipped []byte) {
			g := f.clone()
			g.content[path] = flipped
			r := refusalOf(t, g.zipped(t), Options{Key: l.vkey})
			switch {
			case r == nil:
				t.Errorf("%s: accepted with byte %d flipped", path, at)
			case path == manifestPath:
				// Another manifest may be malformed, list other files than there
				// are, or be one that nobody signed.
				if r.Check != FormGroup && r.File != signaturePath && r.File != checkpointPath {
					t.Errorf("byte %d: %v", at, r)
				}
			case r.File != path:
				t.Errorf("%s, byte %d: %v", path, at, r)
			}
		})
	}
}

// TestFlipAndSign does the same with the log's own key: the manifest is made
// anew. What is proven by the entries is refused all the same.
//
// Legitimately unnoticed remain: index.html and other files that are marked
// "signed, not proven"; keys.json (information only); what the manifest itself
// states (simulated, program, created_at, reasons for leaving blobs out); and a
// change of reports/index.json after which it still describes exactly the CSV,
// such as the name of an action that no entry has.
func TestFlipAndSign(t *testing.T) {
	t.Parallel()
	l := newTestLog(t)
	f := takeApart(t, l.pack(t, l.newExport(t)))
	unnoticed := map[string]int{}
	for _, path := range f.paths() {
		if path == manifestPath || path == signaturePath {
			continue
		}
		flips(f.content[path], func(at int, flipped []byte) {
			g := f.clone()
			g.content[path] = flipped
			r := refusalOf(t, g.resigned(t, l.signer), Options{Key: l.vkey})
			if r == nil {
				unnoticed[path]++
				return
			}
			want := map[string]Group{
				checkpointPath: SignatureGroup, headersPath: HeadersGroup, rangePath: HeadersGroup,
				bodiesPath: BodiesGroup, reportsPath: ReportsGroup,
			}[path]
			switch {
			case strings.HasPrefix(path, blobsPrefix):
				want = BlobsGroup
			case strings.HasSuffix(path, ".csv"):
				want = ReportsGroup
			}
			malformed := r.Check == FormGroup && strings.HasSuffix(path, ".json")
			if r.Check != want && !malformed {
				t.Errorf("%s, byte %d: %v", path, at, r)
			}
			if file := r.File; file != path && path != reportsPath && (path != headersPath || file != rangePath) {
				t.Errorf("%s, byte %d: names another file: %v", path, at, r)
			}
		})
	}
	for path, n := range unnoticed {
		if path != indexPath && path != keysPath && path != reportsPath {
			t.Errorf("%s: %d flips accepted", path, n)
		}
	}
	if n := unnoticed[reportsPath]; n > len(f.content[reportsPath])/20 {
		t.Errorf("reports/index.json: %d flips of %d accepted", n, len(f.content[reportsPath]))
	}
}

func linesOf(content []byte) [][]byte {
	all := bytes.SplitAfter(content, []byte("\n"))
	return all[:len(all)-1]
}

// TestDropAndAddLines drops and doubles every line of the ledger and of every
// CSV, and swaps it with the next, with a new manifest by the log's own key.
func TestDropAndAddLines(t *testing.T) {
	t.Parallel()
	l := newTestLog(t)
	f := takeApart(t, l.pack(t, l.newExport(t)))
	groups := map[string]Group{headersPath: HeadersGroup, bodiesPath: BodiesGroup}
	for path := range f.content {
		if strings.HasSuffix(path, ".csv") {
			groups[path] = ReportsGroup
		}
	}
	for path, group := range groups {
		all := linesOf(f.content[path])
		for i := range all {
			for what, changed := range map[string][][]byte{
				"dropped": slices.Delete(slices.Clone(all), i, i+1),
				"doubled": slices.Insert(slices.Clone(all), i, all[i]),
				"swapped": swapped(all, i),
			} {
				g := f.clone()
				g.content[path] = bytes.Join(changed, nil)
				if bytes.Equal(g.content[path], f.content[path]) {
					continue
				}
				r := refusalOf(t, g.resigned(t, l.signer), Options{Key: l.vkey})
				if r == nil || r.Check != group || r.File != path {
					t.Errorf("%s, line %d %s: %v", path, i, what, r)
				}
			}
		}
	}
}

func swapped(all [][]byte, i int) [][]byte {
	out := slices.Clone(all)
	j := (i + 1) % len(out)
	out[i], out[j] = out[j], out[i]
	return out
}

// TestDropAndAddFiles drops every file and adds some, with and without a new
// manifest.
func TestDropAndAddFiles(t *testing.T) {
	t.Parallel()
	l := newTestLog(t)
	f := takeApart(t, l.pack(t, l.newExport(t)))
	for _, path := range f.paths() {
		g := f.clone()
		delete(g.content, path)
		if r := refusalOf(t, g.zipped(t), Options{Key: l.vkey}); r == nil || r.Check != FormGroup || r.File != path {
			t.Errorf("%s dropped: %v", path, r)
		}
		if path == manifestPath || path == signaturePath {
			continue
		}
		r := refusalOf(t, g.resigned(t, l.signer), Options{Key: l.vkey})
		file := path
		if strings.HasPrefix(path, blobsPrefix) {
			file = bodiesPath // the entry that names it
		}
		if r == nil || r.File != file {
			t.Errorf("%s dropped and signed: %v", path, r)
		}
	}
	for _, path := range []string{"reports/extra.csv", "a", "INDEX.html", "blobs/" + strings.Repeat("0", 64)} {
		g := f.clone()
		g.content[path] = []byte("x")
		if r := refusalOf(t, g.zipped(t), Options{Key: l.vkey}); r == nil || r.Check != FormGroup {
			t.Errorf("%s added: %v", path, r)
		}
	}
	g := f.clone()
	g.content["blobs/"+strings.TrimPrefix(blobOf([]byte("x")).SHA256, "sha256:")] = []byte("x")
	if r := refusalOf(t, g.resigned(t, l.signer), Options{Key: l.vkey}); r == nil || r.Check != BlobsGroup || !strings.Contains(r.Reason, "no entry of the pack names") {
		t.Errorf("a blob added and signed: %v", r)
	}
}

// TestOtherKey: a pack that is whole in itself but made under another key.
func TestOtherKey(t *testing.T) {
	t.Parallel()
	l, forged := newTestLog(t), newTestLog(t)
	b := forged.pack(t, forged.newExport(t))
	wantRefusal(t, b, Options{Key: l.vkey}, Refusal{SignatureGroup, checkpointPath, noSeq, "not signed by the given key"})
	result, err := verifyBytes(t, b, Options{})
	must(t, err)
	own, err := verifyBytes(t, l.pack(t, l.newExport(t)), Options{})
	must(t, err)
	if result.Verdict != Consistent || result.ExitCode() != 3 || result.Fingerprint == own.Fingerprint {
		t.Errorf("%s, %s", result.Verdict, result.Fingerprint)
	}
	// The real checkpoint with a manifest by another key, and the reverse.
	f := takeApart(t, l.pack(t, l.newExport(t)))
	wantRefusal(t, f.resigned(t, forged.signer), Options{Key: l.vkey}, Refusal{SignatureGroup, signaturePath, noSeq, "not signed by the given key"})
	wantRefusal(t, f.resigned(t, forged.signer), Options{}, Refusal{SignatureGroup, keysPath, noSeq, "none of the pack's own keys"})
}

// TestFlipEveryZipByte flips every byte of the zip itself. What is accepted has
// the same files with the same content, and lies where a zip keeps what a pack
// does not use: who made it, with what attributes, at what time to the second,
// and the bits of deflated data that stand for nothing.
func TestFlipEveryZipByte(t *testing.T) {
	t.Parallel()
	l := newTestLog(t)
	b := l.pack(t, l.newExport(t))
	want := takeApart(t, b).content
	z, err := openZip(Archive{bytes.NewReader(b), int64(len(b))})
	must(t, err)
	const extraSize = 9 // an extended timestamp, in both places
	free := map[int]bool{}
	central := len(b) - endSize
	for _, m := range z.order {
		central -= centralSize + len(m.name) + extraSize
	}
	pos := central
	for _, m := range z.order {
		for i := range m.head.compressed {
			free[int(m.data+i)] = true
		}
		for _, i := range []int{4, 5, 36, 37, 38, 39, 40, 41} { // made by, attributes
			free[pos+i] = true
		}
		end := pos + centralSize + len(m.name) + extraSize
		for i := range extraSize {
			free[end-extraSize+i] = true
			free[int(m.data)-extraSize+i] = true
		}
		pos = end
	}
	if pos != len(b)-endSize {
		t.Fatalf("the directory ends at %d, not %d", pos, len(b)-endSize)
	}
	for i := range b {
		flipped := bytes.Clone(b)
		flipped[i] ^= 1 << (i % 8)
		if r := refusalOf(t, flipped, Options{Key: l.vkey}); r != nil {
			continue
		}
		if !free[i] {
			t.Errorf("accepted with byte %d of %d flipped", i, len(b))
		}
		if !maps.EqualFunc(want, takeApart(t, flipped).content, bytes.Equal) {
			t.Errorf("accepted with byte %d flipped, and with other files", i)
		}
	}
}

// TestFormComesFirst: a file that is not the manifest's is what is wrong with a
// pack, whatever else is: also one that is digested while its entries go by.
func TestFormComesFirst(t *testing.T) {
	l, other := newTestLog(t), newTestLog(t)
	whole := takeApart(t, l.pack(t, l.newExport(t)))
	for _, path := range []string{headersPath, bodiesPath} {
		for what, change := range map[string]func([]byte) []byte{
			"first line":  func(b []byte) []byte { b[0] ^= 1; return b },
			"last line":   func(b []byte) []byte { b[len(b)-2] ^= 1; return b },
			"no newlines": func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte(" ")) },
		} {
			for _, key := range []string{l.vkey, other.vkey, ""} {
				f := whole.clone()
				f.content[path] = change(bytes.Clone(f.content[path]))
				r, err := verifyBytes(t, f.zipped(t), Options{Key: key})
				var refusal *Refusal
				if !errors.As(err, &refusal) || refusal.Check != FormGroup || refusal.File != path {
					t.Errorf("%s of %s: %v", what, path, err)
				}
				if len(r.Checks) != 1 || r.Key != "" || r.Origin != "" || r.Manifest == nil {
					t.Errorf("%s of %s: the result goes on: %+v", what, path, r)
				}
			}
		}
	}
}
