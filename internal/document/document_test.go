package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/ledger"
)

var update = flag.Bool("update", false, "add golden files that are missing; never changes one")

func sortedKinds() []Kind { return slices.Sorted(maps.Keys(types)) }

func canonical(t testing.TB, raw json.RawMessage) []byte {
	t.Helper()
	b, err := ledger.Canonicalize(raw)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRoundTrip takes each kind through the ledger's form and back, filled and
// empty.
func TestRoundTrip(t *testing.T) {
	for _, kind := range sortedKinds() {
		for name, d := range map[string]Doc{"filled": filled(t, kind), "empty": types[kind].zero()} {
			t.Run(string(kind)+"/"+name, func(t *testing.T) {
				raw, err := Encode(d)
				if err != nil {
					t.Fatal(err)
				}
				back, err := Decode(kind, canonical(t, raw))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(d, back); diff != "" {
					t.Errorf("(-put +got):\n%s", diff)
				}
				if back.Kind() != kind || back.Ident() != d.Ident() || back.Within() != d.Within() || !slices.Equal(back.Keys(), d.Keys()) {
					t.Errorf("it is another document: %+v", back)
				}
			})
		}
	}
}

// TestKinds finds every kind of the source in the table of types, each with a
// document of its own that names it, also on a nil pointer.
func TestKinds(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var declared []Kind
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			s, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if id, ok := s.Type.(*ast.Ident); ok && id.Name == "Kind" && len(s.Values) == 1 {
				text, err := strconv.Unquote(s.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				declared = append(declared, Kind(text))
			}
			return true
		})
	}
	slices.Sort(declared)
	if !slices.Equal(declared, sortedKinds()) {
		t.Errorf("declared: %v\nin types: %v", declared, sortedKinds())
	}
	if got := Kinds(); len(got) != len(types) {
		t.Errorf("Kinds gives %d of %d", len(got), len(types))
	}
	seen := map[reflect.Type]Kind{}
	for kind, k := range types {
		d := k.zero()
		if d.Kind() != kind {
			t.Errorf("%s decodes as %s", kind, d.Kind())
		}
		if other, twice := seen[reflect.TypeOf(d)]; twice {
			t.Errorf("%s and %s have the same type", kind, other)
		}
		seen[reflect.TypeOf(d)] = kind
		null := reflect.Zero(reflect.TypeOf(d)).Interface().(Doc)
		if null.Kind() != kind {
			t.Errorf("a nil %T is of kind %q", d, null.Kind())
		}
	}
}

var memberRule = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// TestMembers keeps to what the ledger can hold: members with names in lower
// case, none left out when empty.
func TestMembers(t *testing.T) {
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice:
			walk(path, typ.Elem())
		case reflect.Struct:
			if typ == timeType {
				return
			}
			for i := range typ.NumField() {
				f := typ.Field(i)
				if f.Anonymous {
					walk(path, f.Type)
					continue
				}
				tag := f.Tag.Get("json")
				if !memberRule.MatchString(tag) {
					t.Errorf("%s.%s has the tag %q: a name in lower case and no option is needed", path, f.Name, tag)
				}
				walk(path+"."+tag, f.Type)
			}
		}
	}
	for _, kind := range sortedKinds() {
		walk(string(kind), reflect.TypeOf(types[kind].zero()).Elem())
	}
}

// TestKeys are what a database of this release is indexed by: a key that
// changes or goes away is not found in the databases that exist. The file only
// grows.
func TestKeys(t *testing.T) {
	var lines []string
	add := func(d Doc, what string) {
		lines = append(lines, fmt.Sprintf("%s%s within %q", d.Kind(), what, d.Within()))
		for _, k := range d.Keys() {
			lines = append(lines, fmt.Sprintf("%s%s by %s = %q", d.Kind(), what, k.Name, k.Value))
		}
	}
	for _, kind := range sortedKinds() {
		add(filled(t, kind), "")
	}
	for _, status := range []string{ReleaseWaiting, ReleasePending, ReleaseSucceeded, ReleaseFailed, ReleaseExpired} {
		add(&Release{App: "a", Version: 2, Status: status}, " "+status)
	}
	for _, state := range []string{SessionOpen, SessionClosed, SessionInterrupted} {
		add(&Session{App: "a", State: state}, " "+state)
	}
	path := filepath.Join("testdata", "keys.txt")
	old, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	have := strings.Split(strings.TrimSpace(string(old)), "\n")
	for _, line := range have {
		if line != "" && !slices.Contains(lines, line) {
			t.Errorf("not so any more: %s", line)
		}
	}
	if !*update {
		return
	}
	for _, line := range lines {
		if !slices.Contains(have, line) {
			old = append(old, line+"\n"...)
		}
	}
	if err := os.WriteFile(path, old, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestCorpus decodes a document of each kind as each release wrote it. A file
// that exists is never written again: ledgers with such documents exist, once
// the release is out.
func TestCorpus(t *testing.T) {
	if *update {
		addCorpus(t)
	}
	files, err := filepath.Glob("testdata/v*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Kind]bool{}
	for _, path := range files {
		kind := Kind(strings.TrimSuffix(filepath.Base(path), ".json"))
		seen[kind] = true
		t.Run(path, func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			d, err := Decode(kind, raw)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Encode(d)
			if err != nil {
				t.Fatal(err)
			}
			var was, now any
			if err := errors.Join(json.Unmarshal(raw, &was), json.Unmarshal(again, &now)); err != nil {
				t.Fatal(err)
			}
			// The schema is that of the bytes as long as there is one only.
			if lost := missing("", was, now); len(lost) > 0 {
				t.Errorf("decoded to something else:\n%s", strings.Join(lost, "\n"))
			}
		})
	}
	for _, kind := range sortedKinds() {
		if !seen[kind] {
			t.Errorf("no release has a document of kind %s in the corpus: run this test with -update", kind)
		}
	}
}

// missing lists what of an old document is not the same in the new one, which
// may have members that the old one had not.
func missing(path string, was, now any) (out []string) {
	switch w := was.(type) {
	case map[string]any:
		n, ok := now.(map[string]any)
		if !ok {
			return []string{path + " is no object any more"}
		}
		for _, name := range slices.Sorted(maps.Keys(w)) {
			v, ok := n[name]
			if !ok {
				out = append(out, path+"/"+name+" is lost")
				continue
			}
			out = append(out, missing(path+"/"+name, w[name], v)...)
		}
	case []any:
		n, ok := now.([]any)
		if !ok || len(n) != len(w) {
			return []string{fmt.Sprintf("%s: %v became %v", path, was, now)}
		}
		for i := range w {
			out = append(out, missing(fmt.Sprintf("%s/%d", path, i), w[i], n[i])...)
		}
	default:
		if was != now {
			out = append(out, fmt.Sprintf("%s: %v became %v", path, was, now))
		}
	}
	return out
}

// release is what -update adds files for.
const release = "v0.1"

func addCorpus(t *testing.T) {
	t.Helper()
	for _, kind := range sortedKinds() {
		raw, err := Encode(filled(t, kind))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", release, string(kind)+".json")
		if _, err := os.Stat(path); err == nil {
			continue
		}
		var buf bytes.Buffer
		if err := json.Indent(&buf, canonical(t, raw), "", "  "); err != nil {
			t.Fatal(err)
		}
		buf.WriteByte('\n')
		if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	var newer *NewerError
	_, err := Decode(KindApp, []byte(`{"schema":2,"id":"x","of":"tomorrow"}`))
	if !errors.As(err, &newer) || newer.Kind != KindApp || newer.ID != "x" || newer.Schema != 2 || !strings.Contains(err.Error(), "later") {
		t.Errorf("a later schema: %v", err)
	}
	for name, f := range map[string]func() (Doc, error){
		"unknown kind": func() (Doc, error) { return Decode("balloon", []byte(`{"schema":1}`)) },
		"empty kind":   func() (Doc, error) { return Decode("", []byte(`{"schema":1}`)) },
		"no JSON":      func() (Doc, error) { return Decode(KindApp, []byte(`{"schema":1`)) },
		"nothing":      func() (Doc, error) { return Decode(KindApp, nil) },
		"a list":       func() (Doc, error) { return Decode(KindApp, []byte(`[]`)) },
		"a string":     func() (Doc, error) { return Decode(KindApp, []byte(`"app"`)) },
		"another type": func() (Doc, error) { return Decode(KindApp, []byte(`{"schema":1,"name":7}`)) },
		"a huge number": func() (Doc, error) {
			return Decode(KindApp, []byte(`{"schema":1,"slug_size":1e30}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if d, err := f(); err == nil {
				t.Errorf("decoded to %+v", d)
			}
		})
	}
}

// FuzzDecode reads whatever a damaged database may hold.
func FuzzDecode(f *testing.F) {
	kinds := sortedKinds()
	for i, kind := range kinds {
		raw, err := Encode(filled(f, kind))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, []byte(raw))
	}
	f.Add(0, []byte(`{"schema":-1}`))
	f.Fuzz(func(t *testing.T, n int, raw []byte) {
		kind := kinds[((n%len(kinds))+len(kinds))%len(kinds)]
		d, err := Decode(kind, raw)
		if err != nil {
			return
		}
		d.Keys()
		d.Within()
		again, err := Encode(d)
		if err != nil {
			t.Fatalf("%s %+v cannot be written again: %v", kind, d, err)
		}
		back, err := Decode(kind, again)
		if err != nil {
			t.Fatalf("written again it cannot be read: %v", err)
		}
		if diff := cmp.Diff(d, back); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
	})
}
