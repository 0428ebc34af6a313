package pack

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzVerify mutates whole packs. Whatever comes, there is a verdict: no panic,
// no error but a refusal, and never VERIFIED without the key's signature over
// exactly these files.
func FuzzVerify(f *testing.F) {
	l := newTestLog(f)
	x := l.newExport(f)
	parts := takeApart(f, l.pack(f, x))
	f.Add(l.pack(f, x))
	f.Add(parts.zipped(f)) // stored, so that mutations reach the files
	paths, err := filepath.Glob(filepath.Join(vectors, "*.zip"))
	must(f, err)
	for _, path := range paths {
		b, err := os.ReadFile(path)
		must(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, key := range []string{l.vkey, ""} {
			result, err := Verify(context.Background(), bytes.NewReader(b), int64(len(b)), Options{Key: key})
			var refusal *Refusal
			if err != nil && !errors.As(err, &refusal) {
				t.Fatalf("neither verified nor refused: %v", err)
			}
			if err == nil && key != "" && result.Origin != l.origin {
				t.Fatal("another log's pack is verified")
			}
		}
	})
}

// FuzzResigned mutates one file of a pack and signs the manifest anew, so that
// the checks behind the signature are reached.
func FuzzResigned(f *testing.F) {
	l := newTestLog(f)
	parts := takeApart(f, l.pack(f, l.newExport(f)))
	paths := []string{headersPath, bodiesPath, rangePath, reportsPath, "reports/releases.csv", "reports/apps.csv", checkpointPath, keysPath}
	for i, path := range paths {
		f.Add(byte(i), parts.content[path])
	}
	f.Add(byte(2), []byte(`{"ranges":[[0,9007199254740991]],"proof":[]}`))
	f.Fuzz(func(t *testing.T, which byte, content []byte) {
		path := paths[int(which)%len(paths)]
		g := parts.clone()
		g.content[path] = content
		r := refusalOf(t, g.resigned(t, l.signer), Options{Key: l.vkey})
		same := bytes.Equal(content, parts.content[path])
		if r == nil && !same && path != keysPath && path != reportsPath && path != rangePath {
			t.Fatalf("%s accepted: %q", path, content)
		}
		if r != nil && same {
			t.Fatal(r)
		}
	})
}

// FuzzZip reads zips of any form: what is accepted is consistent with itself.
func FuzzZip(f *testing.F) {
	for _, zip64 := range []bool{false, true} {
		var z handZip
		z.add(handFile{name: "a", content: someText, deflate: true, descriptor: 24})
		z.add(handFile{name: "b", content: someText, zip64: true})
		f.Add(z.end(zip64))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := readAll(b)
		var refusal *Refusal
		if err != nil && !errors.As(err, &refusal) {
			t.Fatal(err)
		}
	})
}

// FuzzRows evaluates any pointer on any document.
func FuzzRows(f *testing.F) {
	f.Add("/body/a/0/~1", []byte(`{"a":[{"/":"=x"}],"action":"x"}`))
	f.Add("/header/scope", []byte(`{"action":"x","changes":[{"doc":{"a":1},"id":"1","kind":"k","rev":1}]}`))
	f.Add("/doc/a", []byte(`{"action":"x","changes":[{"doc":null,"id":"1","kind":"k","rev":1}]}`))
	header := []byte(`{"body":"` + strings.Repeat("0", 64) + `","scope":null,"seq":0,"time":"2026-03-01T00:00:00.000000000Z","v":1}`)
	period := Period{Time{at(0)}, Time{at(1)}}
	f.Fuzz(func(t *testing.T, pointer string, body []byte) {
		e, err := NewEntry(header, body)
		if err != nil {
			return
		}
		for _, report := range []Report{
			{Type: Events, Actions: []string{"x"}, Columns: []Column{SeqColumn, {"c", pointer}}},
			{Type: State, Kind: "k", At: &Time{at(1)}, Columns: []Column{SeqColumn, {"c", pointer}}},
		} {
			rows, err := NewRows(report, period)
			if err != nil {
				continue
			}
			emit := func(r Row) error {
				line := r.Line
				if !bytes.HasPrefix(line, []byte("0,")) || line[len(line)-1] != '\n' {
					t.Fatalf("row %q", line)
				}
				if cell := strings.TrimPrefix(string(line[2:]), `"`); strings.IndexByte("=+-@\t\r", cell[0]) >= 0 {
					t.Fatalf("a formula: %q", line)
				}
				return nil
			}
			if err := rows.Add(e, emit); err == nil {
				must(t, rows.Finish(emit))
			}
		}
	})
}

// FuzzBodyLine takes lines apart: what is accepted is written the same.
func FuzzBodyLine(f *testing.F) {
	f.Add([]byte("7 YO8xxIXERIfffnRnVAeNGQ== {}"))
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := splitBody(line)
		if err != nil {
			return
		}
		if again := AppendBodyLine(nil, got.seq, got.salt, got.body); string(again) != string(line)+"\n" {
			t.Fatalf("%q is written %q", line, again)
		}
	})
}
